"""Services of Compose whose source shows which container has a job: nobody has to ask for it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from microscaling.config.services.task import task_of
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.base import SCHEDULERS
from microscaling.settings import Settings
from scripts.bench_drain import pass_time
from tests.integration import engines
from tests.integration.test_busy_sources import answers, ask
from tests.services.service import give_up, wait_for
from tests.workers import stage

OF = "com.docker.compose."
JOB_S = 55.0
"""Until a test ends it, however busy the machine is; after 60 s nsqd would give it to another one."""


@dataclass
class Scene:
    """A service with one container of Compose's, an nsqd, and the scheduler."""

    engine: APIClient
    project: str
    http: str
    log: Path
    task: Task
    tasks: Tasks
    scheduler: Any

    def decide(self, count: int) -> None:
        with self.tasks:
            self.task.demand = count
        self.scheduler.stop_start_tasks(self.tasks)

    def until(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not what():
            assert time.monotonic() < deadline, f"{self.task}"
            pass_time(self.scheduler, self.tasks, 0.1)

    def push(self, name: str, seconds: float) -> None:
        ask(f"http://{self.http}/pub?topic=jobs", f"{name}-{seconds}".encode())

    @property
    def done(self) -> Path:
        """While it is there, no job lasts."""
        return self.log.with_name("log.done")

    def running(self) -> set[str]:
        listed = self.engine.containers(filters={"label": f"{OF}project={self.project}"})
        return {one["Id"] for one in listed if one["Labels"][f"{OF}service"] == "web"}


@pytest.fixture(params=["bridge", "host"])
def scene(request: pytest.FixtureRequest, engine: APIClient, prefix: str, tmp_path: Path) -> Iterator[Scene]:
    if not engine.images("microscaling-base/nsq"):
        give_up("there is no image of nsqd here: scripts/base-images makes one")
    project = f"{prefix}{time.monotonic_ns() % 10**9}"
    with contextlib.ExitStack() as stack:
        stack.callback(remove, engine, project)
        network = engine.create_network(f"{project}_back", labels={f"{OF}project": project})["Id"]
        stack.callback(engine.remove_network, network)
        stack.callback(remove, engine, project)
        host = engine.create_host_config(network_mode=f"{project}_back")
        nsqd = engine.create_container(
            "microscaling-base/nsq", ["/nsqd", "-data-path=/data"], host_config=host,
            labels={f"{OF}project": project, f"{OF}service": "nsqd"},
        )["Id"]  # fmt: skip
        engine.start(nsqd)
        [address] = engine.inspect_container(nsqd)["NetworkSettings"]["Networks"].values()
        tcp, http = (f"{address['IPAddress']}:{port}" for port in (4150, 4151))
        wait_for(lambda: answers(http), "nsqd does not answer", 30)
        log = tmp_path / "log"
        log.touch()
        labels = {
            "enable": "true", "max": "3", "rule": "Queue", "target": "1", "metric": "NSQ",
            "metric.nsqd": http, "metric.topic-name": "jobs", "metric.channel-name": "work",
        }  # fmt: skip
        own = {f"microscaling.{name}": text for name, text in labels.items()}
        mode = "host" if request.param == "host" else f"{project}_back"
        original(engine, project, mode, tcp, tmp_path, own)
        task = replace(task_of("web", own, 3, Settings(), pytest.fail), max_containers=3)
        tasks = Tasks([task], 3)
        settings = Settings(docker_host=engines.host_of_the_machine(), state_dir=str(tmp_path / "state"))
        scheduler: Any = SCHEDULERS.chosen("MSS_SCHEDULER", "COMPOSE").make(
            settings, {"MSS_COMPOSE_PROJECT": project}
        )
        stack.callback(scheduler.cleanup)
        scheduler.init_scheduler(task)
        scheduler.count_all_tasks(tasks)
        yield Scene(engine, project, http, log, task, tasks, scheduler)


def original(
    engine: APIClient, project: str, mode: str, tcp: str, folder: Path, labels: dict[str, str]
) -> None:
    """A container as Compose makes it."""
    of_compose = {"project": project, "service": "web", "container-number": "1", "oneoff": "False",
                  "config-hash": "h"}  # fmt: skip
    binds = [f"{Path(stage.__file__).parent}:/workers:ro", f"{folder}:/log"]
    id = engine.create_container(
        stage.find_image(engine),
        ["python3", "/workers/nsq_worker.py", tcp, "jobs", "work", "/log/log"],
        name=f"{project}-web-1",
        labels={**{f"{OF}{name}": text for name, text in of_compose.items()}, **labels},
        host_config=engine.create_host_config(network_mode=mode, binds=binds),
    )["Id"]
    engine.start(id)


def remove(engine: APIClient, project: str) -> None:
    for one in engine.containers(all=True, filters={"label": f"{OF}project={project}"}):
        engine.remove_container(one["Id"], force=True, v=True)


def test_the_idle_go_first_and_the_busy_one_after_its_job_or_all_is_as_ever(
    scene: Scene, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """On the host's network no container of Compose's has a host name of its own, so nsqd cannot tell."""
    shown = "[bridge]" in request.node.name
    scene.decide(3)
    scene.until(lambda: scene.task.running == 3)
    # All three wait for jobs, as far as nsqd knows; then each has one.
    scene.until(lambda: clients(scene.http) == 3)
    for name in ("a", "b", "c"):
        scene.push(name, JOB_S)
    scene.until(lambda: scene.log.read_text().count("start") == 3)
    scene.decide(1)
    if not shown:
        scene.until(lambda: (scene.task.stopping, scene.task.draining) == (2, 0))
        assert "end" not in scene.log.read_text(), "the stops have waited for no job"
        scene.done.touch()
        return
    scene.until(lambda: scene.task.draining == 2)
    assert (scene.task.requested, scene.task.running) == (1, 3)
    scene.done.touch()
    scene.until(lambda: len(scene.running()) == 1)
    lines = scene.log.read_text()
    assert (lines.count("start"), lines.count("end")) == (3, 3), "all three jobs have ended"
    scene.done.unlink()
    scene.push("d", JOB_S)
    scene.until(lambda: "start d" in scene.log.read_text())
    [busy] = scene.running()
    scene.decide(3)
    scene.until(lambda: clients(scene.http) == 3 and len(scene.running()) == 3)
    scene.decide(1)
    scene.until(lambda: len(scene.running()) == 1)
    assert scene.running() == {busy}
    assert "cannot tell" not in caplog.text


def clients(http: str) -> int:
    found = json.loads(ask(f"http://{http}/stats?format=json&topic=jobs"))["topics"]
    return sum(len(channel["clients"] or ()) for topic in found for channel in topic["channels"])
