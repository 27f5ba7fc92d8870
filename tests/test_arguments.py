"""The command line: what it takes, and what it says to a wrong argument."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from microscaling.__main__ import main
from microscaling.arguments import COMMANDS, EXAMPLE, OPTIONS, USAGE, by_group, parse
from microscaling.config.services.plugin import TYPE as SERVICES
from microscaling.settings import variables


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sevrer"], 'unknown argument "sevrer"; did you mean server?'),
        (["schemas"], 'unknown argument "schemas"; did you mean schema?'),
        (["--heath"], 'unknown argument "--heath"; did you mean --health?'),
        (["apps.yml"], 'unknown argument "apps.yml"; did you mean -f apps.yml?'),
        (["server", "--port"], 'unknown argument "--port"; it is a variable: MSS_SERVER_ADDRESS=host:port'),
        (["--scheduler=TOY"], 'unknown argument "--scheduler=TOY"; it is a variable: MSS_SCHEDULER=...'),
        (["start"], 'unknown argument "start"; the agent needs no command: microscaling -f FILE'),
        (["--config", "a.yml"], 'unknown argument "--config"; did you mean -f FILE?'),
        (["-f", ""], "argument -f/--file: expected a path, got an empty one"),
        (["server", "-f", "a"], "argument --file: has no meaning with server"),
        (["server", "--dry-run"], "argument --dry-run: has no meaning with server"),
        (["check", "--dry-run"], "argument --dry-run: has no meaning with check"),
        (["--strict"], "argument --strict: has no meaning with run"),
        (["--health", "-f", "a"], "argument --file: has no meaning with --health"),
        (
            ["pause", "--for", "soon"],
            'argument --for: expected a time such as 90s, 30m, 2h30m or 1d, got "soon"',
        ),
        (["pause", "--for", "0h"], 'argument --for: expected a time such as 90s, 30m, 2h30m or 1d, got "0h"'),
        (
            ["pause", "--for", "2h3"],
            'argument --for: expected a time such as 90s, 30m, 2h30m or 1d, got "2h3"',
        ),
        (["pin", "mailer", "-1"], 'pin: expected a whole number of containers, got "-1"'),
        (["pin", "mailer", "1.5"], 'pin: expected a whole number of containers, got "1.5"'),
        (["pin", "mailer"], "pin: to how many containers? pin mailer NUMBER"),
        (["run", "--max", "many"], 'argument --max: expected a whole number of containers, got "many"'),
        (["status", "--max", "3"], "argument --max: has no meaning with status"),
        (["pin", "mailer", "3", "--down"], "argument --down: has no meaning with pin"),
        (
            ["--max-containers", "3"],
            'unknown argument "--max-containers"; it is a variable: --max N, or MSS_MAX_CONTAINERS=N',
        ),
        (["resume", "--for", "1h"], "argument --for: has no meaning with resume"),
        (["check", "--json"], "argument --json: has no meaning with check"),
        (["status", "mailer"], 'unknown argument "mailer"'),
        (["run", "a.yml"], 'unknown argument "a.yml"; did you mean -f a.yml?'),
        (["check", "a.yml", "-f", "b.yml"], 'unknown argument "a.yml"; did you mean -f a.yml?'),
        (["zzz"], 'unknown argument "zzz"'),
        (["-f"], "argument -f/--file: expected one argument"),
        (["\x1b[31m"], r'unknown argument "\x1b[31m"'),
    ],
)
def test_a_wrong_argument_is_one_line_with_the_right_one(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert err == f"microscaling: {says}; microscaling --help lists the arguments\n"
    assert out == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5h", 5400), ("2h30m", 9000), ("1d12h", 129_600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse(["pause", "mailer", "--for", text]).seconds == seconds


@pytest.mark.parametrize(
    ("given", "command", "words", "file"),
    [
        ("explain --json mailer", "explain", ["mailer"], None),
        ("pause --down --for 2h mailer", "pause", ["mailer"], None),
        ("pin --for 2h mailer 3", "pin", ["mailer", "3"], None),
        ("pin mailer --for 2h 3", "pin", ["mailer", "3"], None),
        ("check --strict a.yml", "check", ["a.yml"], "a.yml"),
        ("check --max 3 a.yml", "check", ["a.yml"], "a.yml"),
        ("--max 3 check a.yml", "check", ["a.yml"], "a.yml"),
        ("check -- -a.yml", "check", ["-a.yml"], "-a.yml"),
    ],
)
def test_options_may_stand_between_a_command_and_its_words(
    given: str, command: str, words: list[str], file: str | None
) -> None:
    asked = parse(given.split())
    assert (asked.command, asked.words, asked.file) == (command, words, file)


@pytest.mark.parametrize("words", [["explain"], ["pin"]])
def test_a_command_for_a_task_needs_it(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"microscaling: {words[0]}: which task? ")
    assert "microscaling status lists them; " in err


def test_help_has_a_line_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    section = capsys.readouterr().out.partition("\ncommands:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\w+) +\S", section, re.MULTILINE) == list(COMMANDS)
    assert max(map(len, section.splitlines())) <= 100


@pytest.mark.parametrize("arguments", [["--help"], ["server", "--help"]])
def test_help_has_examples_and_every_variable(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert not ended.value.code
    out = capsys.readouterr().out
    assert "microscaling -f apps.yml" in out
    assert all(name in out for name in (*variables(), *(v.name for v in SERVICES.variables), "MSS_LEASE"))


@pytest.mark.parametrize("command", [*EXAMPLE])
def test_a_command_has_a_help_of_its_own(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([command, "--help"])
    assert not ended.value.code
    out = capsys.readouterr().out
    assert out.startswith(f"usage: microscaling {command} {USAGE[command]}".rstrip() + "\n")
    assert COMMANDS[command] in out
    assert f"\nexample: {EXAMPLE[command]}\n" in out
    assert EXAMPLE[command].startswith(f"microscaling {command}")
    shown = {*re.findall(r"^  (?:-f FILE, )?(--[a-z-]+)", out, re.MULTILINE)}
    assert shown == {option for option, of in OPTIONS.items() if command in of}
    assert {*re.findall(r"--[a-z-]+", USAGE[command])} <= shown
    assert len(out.splitlines()) < 20


def test_every_command_has_help_with_examples() -> None:
    assert {*COMMANDS} == {*EXAMPLE, "run", "server", "simulate"}
    assert {*USAGE} == {*COMMANDS}
    parse(EXAMPLE["pin"].split()[1:])


def test_every_variable_is_in_one_group() -> None:
    groups = by_group()
    assert sorted(name for names in groups.values() for name in names) == sorted(variables())
    assert all(groups.values())


def run(folder: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.getcwd()}
    ended = subprocess.run(
        [sys.executable, "-m", "microscaling", *arguments],
        env=plain | {"MSS_MONITOR": "none", "MSS_SCHEDULER": "TOY"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ended.returncode, ended.stderr


def test_a_file_is_all_that_a_start_needs(tmp_path: Path) -> None:
    path = tmp_path / "apps.json"
    path.write_text('{"maxContainers": 1, "apps": [{"name": "a", "maxContainers": "many"}]}')
    code, err = run(tmp_path, "-f", str(path), MSS_CONFIG="SERVER")
    assert code == 2
    assert err.startswith(f"microscaling: {path}: apps[0].maxContainers: expected a whole number")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
@pytest.mark.parametrize("name", ["apps.yml", "apps.json"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, text: str) -> None:
    if name == "apps.yml":
        pytest.importorskip("yaml")
    path = tmp_path / name
    path.write_text(text)
    code, err = run(tmp_path, "-f", str(path))
    assert code == 2
    assert len(err.splitlines()) == 1
    assert err.startswith(f"microscaling: {path}: ")
