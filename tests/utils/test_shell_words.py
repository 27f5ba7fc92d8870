"""Commands of local processes are split as a shell does it; what only a shell could do is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microscaling.utils.shell_words import OpenQuote, shell_feature, split

PLAIN = "ab_%+,./:=@^-"
QUOTED = st.one_of(
    st.text(PLAIN, max_size=4),
    st.text(PLAIN + ' $`"\\*?;&|<>()#~{}[]!\t\n', max_size=6).map(lambda text: f"'{text}'"),
    st.text(PLAIN + " '*?;&|<>()#~{}[]\t\n", max_size=6).map(lambda text: f'"{text}"'),
    st.sampled_from(
        ['"\\$x"', '"\\`"', '"\\""', '"\\\\"', '"\\a"', "\\$", "\\ ", "\\'", '\\"', "\\\\", "\\*"]
    ),
    st.sampled_from(["\\\n", '"a\\\nb"', "''", '""']),
)


@settings(max_examples=150, deadline=None)
@example(["a\\\n", "\\\n"])
@example(['"a\\b"', "''"])
@given(st.lists(st.lists(QUOTED, min_size=1, max_size=4).map("".join), min_size=1, max_size=4))
def test_split_as_a_real_shell_does(parts):
    command = " ".join(["x", *parts])
    shown = subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True)
    assert split(command) == shown.stdout.decode().split("\0")[:-1]
    assert shell_feature(split(command)) == ""


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("VAR=x cmd", "VAR=..."),
        ("A=1 B=2 cmd --x", "A=..."),
        ('PATH="/x y" cmd', "PATH=..."),
        ("PATH+=:/x cmd", "PATH+=..."),
        ("a && b", "&& joins"),
        ("a&&b", "&& joins"),
        ("a || b", "|| joins"),
        ("a | b", "| joins"),
        ("a|b", "| joins"),
        ("a |& b", "|& joins"),
        ("a; b", "; joins"),
        ("a ;", "; joins"),
        ("a;b", "; joins"),
        ("a &", "& joins"),
        ("a&", "& joins"),
        ("cmd > log", "> joins"),
        ("cmd >log", "> joins"),
        ("cmd>log", "> joins"),
        ("cmd >> log", ">> joins"),
        ("cmd 2>&1", "2>&1 joins"),
        ("cmd 2> /dev/null", "2> joins"),
        ("cmd &> log", "&> joins"),
        ("cmd < jobs.txt", "< joins"),
        ("cmd <<EOF", "<< joins"),
        ("cmd $VAR", "$VAR stands"),
        ("cmd ${VAR:-7} x", "${VAR:-7} stands"),
        ("cmd --x=$VAR/y", "$VAR stands"),
        ('cmd "$HOME/x"', "$HOME stands"),
        ("cmd $(date)", "$(date) stands"),
        ('cmd "$(date +%s)"', "$(date +%s) stands"),
        ("cmd $1", "$1 stands"),
        ("cmd $$", "$$ stands"),
        ("cmd `date`", "`date` stands"),
        ("cmd *.py", "*.py is a pattern"),
        ("cmd jobs/?.csv", "jobs/?.csv is a pattern"),
        ("~/bin/worker", "~/bin/worker stands for a home folder"),
        ("cmd ~", "~ stands for a home folder"),
        ("cmd ~root/x", "~root/x stands for a home folder"),
        ("cmd # the worker", "# begins a comment"),
        ("(cd /x; cmd)", "( begins a subshell"),
        ("cd /srv", "'cd' is a word of the shell"),
        ("exec cmd", "'exec' is a word of the shell"),
        ("sh -c 'a' && b", "&& joins"),
        ("sh -c $CMD", "$CMD stands"),
        ("sh -c 'a' > log", "> joins"),
        ("env A=$B cmd", "$B stands"),
    ],
)
def test_what_only_a_shell_can_do(command, found):
    assert shell_feature(split(command)).startswith(found)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sh -c 'oops", r"No closing quotation \('\)"),
        ('cmd "oops', r'No closing quotation \("\)'),
        ("cmd it's", r"No closing quotation \('\)"),
        ("cmd oops\\", "it ends with a backslash"),
    ],
)
def test_open_quotes(command, said):
    with pytest.raises(OpenQuote, match=said):
        split(command)


@pytest.mark.parametrize(
    "command",
    [
        "sh -c 'VAR=x cmd && b | c; d > log 2>&1 < $HOME/*.py `date` ~/x & # y'",
        'sh -c "cd $HOME && exec worker > log"',
        'bash -lc "source env.sh; exec worker $QUEUE"',
        'env A=b sh -ec "echo $A"',
        'nice -n 5 sh -c "echo $PPID"',
        'su worker -c "run $X"',
        'ssh host "echo $HOSTNAME"',
        "sh -c 'it is \"quoted\" $(twice)'",
        "env VAR=x cmd --name=value",
        "python worker.py --url redis://host:6379/0?a=1&b=2",
        "curl http://host/?a=1;b=2",
        "cmd --queue a,b --where x=1",
        "cmd 'a && b' \"c | d\" 'x > y' '$VAR' '*' '~' '#'",
        "cmd \\$VAR \\* \\; a\\&b",
        "cmd \"\\$VAR\" 'it''s'",
        "cmd a~b x#y 100% user@host {a} [b] ^c a!b cost$ 5$",
        "cmd ''",
        "python -c print(1)",
        "worker --table a&b",
        "./VAR=x",
        "/usr/bin/[ -f x ]",
        "cmd 'a\nb' \\\n --more",
    ],
)
def test_what_is_none_of_that(command):
    assert shell_feature(split(command)) == ""


def test_the_agent_names_each_such_command_at_its_start(tmp_path):
    """One line each, and exit code 2; what is fine is not named."""
    commands = {
        "cleaner": "VAR=x cmd",
        "mailer": "cd /srv && worker > log",
        "open": "sh -c 'oops",
        "unset": '"" --queue jobs',
        "fine": "sh -c 'worker > log && x=$Y'",
    }
    apps = [
        {"name": name, "priority": 1, "minContainers": 0, "maxContainers": 1, "config": {"command": command}}
        for name, command in commands.items()
    ]
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith("MSS_")},
        "MSS_SCHEDULER": "PROCESS",
        "MSS_CONFIG": "ENVVAR",
        "MSS_CONFIG_DATA": json.dumps({"maxContainers": 4, "apps": apps}),
        "MSS_MONITOR": "none",
        "MSS_STATE_DIR": str(tmp_path / "state"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "microscaling"], env=environ, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("microscaling: ")]
    assert [error.split()[1] for error in errors] == ["cleaner:", "mailer:", "open:", "unset:"]
    expected = ["VAR=...", "&& joins", "No closing quotation", "its first word is empty"]
    assert [words in error for words, error in zip(expected, errors, strict=True)] == [True] * 4
    assert all("env NAME=value program" in error and "sh -c" in error for error in errors[:2])
    assert not (tmp_path / "state").exists()
