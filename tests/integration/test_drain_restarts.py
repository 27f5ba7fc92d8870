"""Drains that survive the death of the agent, and of the engine: with real workers and jobs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from docker import APIClient

from microscaling.demand.container import ContainerOptions
from microscaling.demand.drain import Busy, Drain, Way
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import TemporaryError
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.docker.backend import DockerBackend
from scripts.bench_drain import WORKER, Jobs, pass_time
from tests.integration import engines
from tests.integration.agents import AgentProcess, Queues, app, queue_app, wait_for

CAP = 4
PATIENCE_S = 90.0


def test_an_agent_that_is_killed_in_drains_loses_no_job(tmp_path: Path) -> None:
    """The whole agent, with a hand-over each second or two, and `kill -9` in the middle of some."""
    rng = random.Random(5)
    (tmp_path / "jobs").mkdir()
    jobs, queues, script = Jobs(tmp_path / "jobs", rng), Queues(tmp_path), tmp_path / "worker.sh"
    script.write_text(WORKER)
    worker = {
        "command": ["sh", str(script), str(tmp_path / "jobs")],
        "busyFile": f"{tmp_path}/busy-{{number}}",
        "drain": {"signal": "USR1", "seconds": 120},
    }
    apps = [
        queue_app("urgent", 1, queues, minContainers=0, maxContainers=3, config={"command": "sleep 36000"}),
        app("worker", 2, minContainers=1, maxContainers=CAP, config=worker),
    ]
    environ = {
        "MSS_SCHEDULER": "PROCESS",
        "MSS_STATE_DIR": str(tmp_path / "state"),
        "MSS_EXIT_TIMEOUT_S": "120",
    }
    agents = []
    jobs.fill()
    with ExitStack() as stack:
        agents.append(stack.enter_context(AgentProcess(tmp_path, apps, CAP, **environ)))
        for number in range(8):
            queues.put("urgent", rng.choice([0, 1000]))
            time.sleep(rng.uniform(0.5, 2.0))
            jobs.fill()
            if number % 3 == 2:
                # On a busy machine it may not have begun yet, and the last one is to find what runs.
                wait_for(lambda: jobs.counts()[0], "for the first job")
                agents[-1].kill()
                agents.append(stack.enter_context(AgentProcess(tmp_path, apps, CAP, **environ)))
        queues.put("urgent", 0)
        # One that is asked to stop before its start is over leaves what it has not taken over yet.
        agents[-1].says("adopted running processes")
        agents[-1].process.terminate()
        assert agents[-1].process.wait(150) == 0, agents[-1].log()
    taken, lost, repeated = jobs.counts()
    assert (lost, repeated) == (0, 0)
    assert taken > 0
    log = "".join(agent.log() for agent in agents)
    assert "Traceback" not in log


def test_a_drain_survives_the_crash_of_the_engine(own_engine: engines.OwnEngine) -> None:
    """With --live-restore its containers run on, and their jobs."""
    own_engine.stop()
    own_engine.start("--live-restore")
    task = Task("a", image=engines.BUSYBOX, max_containers=2, max_delta=2, network_mode="none")
    line = "trap 'exit 0' TERM; touch /busy; while :; do sleep 0.1; done"
    task.container = ContainerOptions(command=("sh", "-c", line))
    task.busy, task.drain = Busy(Way.FILE, "/busy"), Drain(seconds=600)
    tasks = Tasks([task], 2)
    scheduler = ContainerScheduler(DockerBackend(own_engine.host, pull_images=False), exit_timeout_s=10)

    def until(what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < deadline, f"{task}"
            pass_on(scheduler, tasks, 0.2)

    def decide(count: int) -> None:
        with tasks:
            task.demand = count
        scheduler.stop_start_tasks(tasks)

    try:
        scheduler.count_all_tasks(tasks)
        decide(2)
        until(lambda: task.running == 2)
        client = engines.connect(own_engine.host)
        until(lambda: all(has_file(client, one["Id"]) for one in client.containers()))
        decide(1)
        until(lambda: task.draining == 1)
        before = {one["Id"] for one in client.containers()}
        own_engine.kill()
        own_engine.start("--live-restore")
        until(lambda: {one["Id"] for one in client.containers()} == before)
        pass_on(scheduler, tasks, 5.0)
        assert (task.running, task.draining) == (2, 1), "it drains on"
        for id in before:
            client.exec_start(client.exec_create(id, ["rm", "/busy"])["Id"])
        until(lambda: task.running == 1 and task.draining == 0)
        client.close()
    finally:
        scheduler.drain(tasks)
        pass_on(scheduler, tasks, 15.0)
        scheduler.cleanup()


def has_file(client: APIClient, id: str) -> bool:
    made = client.exec_create(id, ["test", "-e", "/busy"])["Id"]
    client.exec_start(made)
    return engines.exit_code_of(client, made) == 0


def pass_on(scheduler: ContainerScheduler, tasks: Tasks, seconds: float) -> None:
    """Does what an agent does, also while the engine is away."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (scheduler.reconciler.draining and scheduler.idle(tasks)):
        try:
            pass_time(scheduler, tasks, min(0.1, seconds))
        except TemporaryError:
            time.sleep(0.1)
