"""The signal that asks a local process to end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from microscaling.demand.container import ContainerOptions
from microscaling.demand.task import Task
from microscaling.scheduler.process.stop_signal import stop_signal
from tests.scheduler.processes import backends, wait_for


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", signal.SIGTERM),
        ("SIGINT", signal.SIGINT),
        ("quit", signal.SIGQUIT),
        ("10", 10),
        ("99", signal.SIGTERM),
        ("RTMIN+3", signal.SIGRTMIN + 3),
        ("SIGRTMAX-1", signal.SIGRTMAX - 1),
        ("RTMAX-99", signal.SIGTERM),
        ("RTMIN", signal.SIGRTMIN),
    ],
)
def test_signals(text: str, number: int) -> None:
    assert stop_signal(Task("a", container=ContainerOptions(request={"StopSignal": text}))) == number


def test_a_process_gets_the_signal_of_its_task(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = f'trap "echo quit >>{log}; exit 0" QUIT; trap "echo term >>{log}" TERM; echo up >{log}'
    task = Task("a", command=f"sh -c '{lines}; while :; do sleep 0.05; done'")
    task.container = ContainerOptions(request={"StopSignal": "SIGQUIT"})
    with backends(str(tmp_path / "state")) as make:
        backend = make()
        id = backend.create(task, "n")
        backend.start(id)
        wait_for(lambda: log.exists() and log.read_text() == "up\n")
        backend.stop(id, 20)
        assert log.read_text() == "up\nquit\n"
