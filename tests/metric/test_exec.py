"""The metric of a command's output, with real commands."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.exec import MAX_BYTES, ExecMetric
from tests.services.service import wait_for


def measured(command: str, **more: Any) -> int:
    metric = ExecMetric(command)
    for name, value in more.items():
        setattr(metric, name, value)
    metric.update()
    return metric.current


@pytest.mark.parametrize(
    ("output", "number"), [("12", 12), (r" 12\n\n", 12), ("1.2e1", 12), ("0.4", 1), ('{"waiting": 12}', 12)]
)
def test_a_number(output: str, number: int) -> None:
    assert measured(f"printf '{output}'") == number


def test_counts_of_every_state() -> None:
    metric = ExecMetric("""echo '{"waiting": 12, "running": 3, "stuck": 1, "future": 9, "paused": false}'""")
    metric.with_running = True
    metric.update()
    assert metric.measured == Measurement(12, 3, stuck=1, future=9)
    assert metric.current == 15
    assert measured("""echo '{"waiting": -1}'""", at_least=0) == 0


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("sh -c 'echo no such table >&2; echo 0; exit 3'", "command sh: exit code 3: no such table$"),
        ("sh -c 'echo 7; kill -9 $$'", "command sh: ended by SIGKILL"),
        ("true", "command true: writes nothing"),
        ("sh -c 'echo later >&2'", "command sh: writes nothing: later"),
        ("echo nan", "the output: expected a whole number, got nan"),
        ("echo none", "the output: expected a whole number, got 'none'"),
        ("""echo '{"waiting": true}'""", "waiting: expected a whole number, got true"),
        ("""echo '{"waiting": 1, "running": "2"}'""", "running: expected a whole number"),
        ("""echo '{"waiting": 1, "paused": "no"}'""", "paused: expected true or false"),
        ("""echo '{"waiting": 1, "runing": 2}'""", '"runing" is unknown: expected waiting, running'),
        ("""echo '{"running": 2}'""", "has no waiting"),
        ("""echo '{"waiting": 1'""", "the output is not JSON"),
        ("/no/such/program", "command /no/such/program: .*No such file"),
        ("yes", f"command yes: writes more than {MAX_BYTES} bytes"),
    ],
)
def test_anything_else_is_an_error(command: str, why: str) -> None:
    with pytest.raises(MetricError, match=why) as caught:
        measured(command)
    assert str(caught.value).isprintable()


def test_at_the_deadline_its_whole_group_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"trap '' TERM; sleep 600 & echo $! >> {pids}; echo $$ >> {pids}; echo 7; wait"
    metric = ExecMetric(f"sh -c '{script.replace(chr(39), chr(34))}'")
    assert metric.source is not None
    metric.source.limit(3.0)  # which a busy machine may take for the start of the shell
    before = time.monotonic()
    with pytest.raises(MetricError, match="command sh: has not ended within 3 s"):
        metric.update()
    assert time.monotonic() - before < 600
    for pid in pids.read_text().split():
        wait_for(lambda: not alive(int(pid)))  # noqa: B023
    assert metric.current == 0


def test_what_it_has_left_in_the_background_goes_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    assert measured(f"""sh -c 'sleep 600 >/dev/null 2>&1 & echo $! > {pid}; echo 7'""") == 7
    wait_for(lambda: not alive(int(pid.read_text())))


def test_it_has_the_agents_environment_and_no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAITING", "23")
    assert measured("printenv WAITING") == 23
    assert measured("wc -c") == 0


def test_no_descriptor_is_left() -> None:
    gc.collect()  # what tests before this one have left is not closed meanwhile
    before = sorted(os.listdir("/proc/self/fd"))
    for command in ("echo 7", "false", "/no/such/program"):
        with contextlib.suppress(MetricError):
            measured(command)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("echo 7 | wc -l", r"needs a shell \(\| joins, ends or redirects commands\).*use sh -c"),
        ("echo $WAITING", r"needs a shell \(\$WAITING stands for a value"),
        ("echo '7", "cannot be read: No closing quotation"),
        ("  ", "names no program"),
    ],
)
def test_a_command_that_needs_a_shell_says_so(command: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        ExecMetric(command)


def test_a_program_that_is_not_there_is_a_mistake_at_the_start() -> None:
    metric = ExecMetric("no-such-program --count")
    assert metric.source is not None
    with pytest.raises(ConfigError, match='exec: there is no program "no-such-program" here'):
        metric.source.check()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
