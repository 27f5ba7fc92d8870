"""Services of Compose that drain: on a real engine, with containers as Compose makes them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from microscaling.demand.drain import Busy, Drain, Way
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.base import SCHEDULERS
from microscaling.scheduler.compose.scheduler import ComposeScheduler
from microscaling.settings import Settings
from scripts.bench_drain import pass_time
from tests.integration import engines

OF = "com.docker.compose."
WORKER = "trap 'touch /quiet' USR1; trap 'exit 0' TERM; while :; do sleep 0.1; done"


@pytest.fixture
def project(engine: APIClient, prefix: str) -> Iterator[str]:
    name = f"{prefix}{time.monotonic_ns() % 10**9}"
    yield name
    for one in engine.containers(all=True, filters={"label": f"{OF}project={name}"}):
        engine.remove_container(one["Id"], force=True)


def original(engine: APIClient, project: str) -> str:
    labels = {
        f"{OF}project": project, f"{OF}service": "web", f"{OF}container-number": "1",
        f"{OF}oneoff": "False", f"{OF}config-hash": "h", "microscaling.enable": "true",
    }  # fmt: skip
    host = engine.create_host_config(network_mode="none", restart_policy={"Name": "always"})
    id: str = engine.create_container(
        engines.BUSYBOX, ["sh", "-c", WORKER], name=f"{project}-web-1", labels=labels, host_config=host
    )["Id"]
    engine.start(id)
    return id


@pytest.fixture
def scene(
    engine: APIClient, project: str, tmp_path: Path
) -> Iterator[tuple[Task, Callable[[int], None], Callable[[Callable[[], bool]], None]]]:
    original(engine, project)
    task = Task("web", max_containers=4, max_delta=4)
    task.busy, task.drain = Busy(Way.FILE, "/busy"), Drain("USR1", seconds=300)
    tasks = Tasks([task], 4)
    settings = Settings(docker_host=engines.host_of_the_machine(), state_dir=str(tmp_path))
    scheduler: Any = SCHEDULERS.chosen("MSS_SCHEDULER", "COMPOSE").make(
        settings, {"MSS_COMPOSE_PROJECT": project}
    )
    assert isinstance(scheduler, ComposeScheduler)
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(scheduler.cleanup)
        scheduler.init_scheduler(task)
        scheduler.count_all_tasks(tasks)

        def decide(count: int) -> None:
            with tasks:
                task.demand = count
            scheduler.stop_start_tasks(tasks)

        def until(what: Callable[[], bool]) -> None:
            deadline = time.monotonic() + 60
            while not what():
                assert time.monotonic() < deadline, f"{task}"
                pass_time(scheduler, tasks, 0.1)

        yield task, decide, until


def test_a_busy_copy_is_stopped_after_its_job_and_never_taken_for_a_stop_by_a_person(
    engine: APIClient,
    project: str,
    scene: tuple[Task, Callable[[int], None], Callable[[Callable[[], bool]], None]],
) -> None:
    task, decide, until = scene

    def copies() -> list[str]:
        found = engine.containers(filters={"label": [f"{OF}project={project}"]})
        return [one["Id"] for one in found if "com.microscaling.copy-of" in one["Labels"]]

    def run(id: str, line: str) -> int:
        made = engine.exec_create(id, ["sh", "-c", line])["Id"]
        engine.exec_start(made)
        return engines.exit_code_of(engine, made)

    decide(3)
    until(lambda: task.running == 3 and len(copies()) == 2)
    first, second = copies()
    for id in (f"{project}-web-1", first, second):
        assert run(id, "touch /busy") == 0
    decide(1)
    until(lambda: task.draining == 2)
    until(lambda: all(run(id, "test -e /quiet") == 0 for id in (first, second)))
    assert (task.requested, task.running) == (1, 3)
    assert run(first, "rm /busy") == 0
    until(lambda: copies() == [second])
    assert task.resting == "", "the signal was the agent's own"
    decide(3)
    until(lambda: task.running == 4 and task.draining == 1 and len(copies()) == 3)
    assert run(second, "rm /busy") == 0
    until(lambda: task.running == 3 and second not in copies())
    assert task.resting == ""
