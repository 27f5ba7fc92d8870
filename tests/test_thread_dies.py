"""Whatever thread dies: the agent ends with code 1, its last line says which and why, what runs stays."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling import factory
from microscaling.agent import Agent
from microscaling.engine.base import Slot
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.settings import Settings
from microscaling.utils.threads import StoppableThread
from tests.fakes.server import FakeServer, wait_for
from tests.integration.agents import Queues
from tests.test_agent import PATIENCE_S, Running


def apps(folder: Path) -> dict[str, Any]:
    """One that looks after a queue that is as long as it should be, and one that takes the rest."""
    queue = Queues(folder)
    config = {**queue.metric("a"), "targetQueueLength": 50, "command": "sleep 300"}
    queue.put("a", 50)
    one = {"name": "a", "priority": 1, "minContainers": 1, "maxContainers": 3}
    return {
        "maxContainers": 3,
        "apps": [
            {**one, "ruleType": "Queue", "metricType": "SQL", "config": config},
            {"name": "b", "priority": 2, "maxContainers": 3, "config": {"command": "sleep 300"}},
        ],
    }


class Bug(BaseException):
    """Nobody expects it."""


def boom(*_: object, **__: object) -> None:
    raise Bug("of a test")


def fleet(agent: Agent) -> ContainerScheduler:
    assert isinstance(agent.scheduler, ContainerScheduler)
    return agent.scheduler


def cycle_of(name: str) -> Callable[[Agent], None]:
    """The next cycle of the thread of this name is its last."""

    def inject(agent: Agent) -> None:
        thread = next(t for t in threading.enumerate() if t.name.startswith(name))
        thread.cycle = boom  # type: ignore[attr-defined]

    return inject


def work_of(pool: str) -> Callable[[Agent], None]:
    def inject(agent: Agent) -> None:
        getattr(fleet(agent), pool).work = boom

    return inject


def on_event(agent: Agent) -> None:
    fleet(agent).reconciler.on_event = boom  # type: ignore[method-assign]


def websocket(agent: Agent) -> None:
    thread = next(t for t in threading.enumerate() if t.name == "mss-websocket")
    thread._take = boom  # type: ignore[attr-defined]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def make(tmp_path: Path, server: FakeServer) -> Iterator[Callable[[str], Agent]]:
    """An agent with all of its parts; what it has left is ended afterwards."""

    def made(demand_engine: str) -> Agent:
        environ = {
            "MSS_CONFIG": "ENVVAR",
            "MSS_CONFIG_DATA": json.dumps(apps(tmp_path)),
            "MSS_DEMAND_ENGINE": demand_engine,
            "MSS_API_ADDRESS": server.endpoint,
            "MSS_SCHEDULER": "PROCESS",
            "MSS_STATE_DIR": str(tmp_path / "state"),
            "PATH": "/usr/bin:/bin",
        }
        settings = Settings.from_env(environ)
        connection = factory.make_connection(settings)
        engine = factory.make_engine(settings, connection)
        scheduler = factory.make_scheduler(settings, environ)
        tasks = factory.make_tasks(settings, environ)
        return Agent(tasks, engine, scheduler, factory.make_monitors(settings, connection))

    yield made
    last = ProcessBackend(str(tmp_path / "state"))
    for seen in last.list():
        last.remove(seen.id)
    last.close()


DEATHS = [
    ("LOCAL", "mss-counter", cycle_of("mss-counter")),
    ("LOCAL", "mss-scheduler", cycle_of("mss-scheduler")),
    ("LOCAL", "mss-monitor-ServerMonitor", cycle_of("mss-monitor-ServerMonitor")),
    ("LOCAL", "mss-websocket", websocket),
    ("LOCAL", "local engine", cycle_of("local engine")),
    ("LOCAL", "source", cycle_of("source")),
    ("LOCAL", "mss-events", on_event),
    ("LOCAL", "mss-start", work_of("_starters")),
    ("LOCAL", "mss-stop", work_of("_stoppers")),
    ("SERVER", "server engine", cycle_of("server engine")),
    ("SERVER", "meter", cycle_of("meter")),
    ("SERVER", "mss-websocket", websocket),
]


@pytest.mark.parametrize(("demand_engine", "name", "inject"), DEATHS, ids=[f"{e}-{n}" for e, n, _ in DEATHS])
def test_it_ends_with_code_1_and_a_last_line(
    make: Callable[[str], Agent],
    server: FakeServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    demand_engine: str,
    name: str,
    inject: Callable[[Agent], None],
) -> None:
    caplog.set_level(logging.INFO)
    agent = make(demand_engine)
    with Running(agent) as run:
        if demand_engine == "SERVER":
            assert server.link
            server.demand(a=1, b=2)
        wait_for(lambda: sum(task.running for task in agent.tasks.tasks) == 3)
        assert server.messages()
        assert_watched(agent)
        before = {seen.id for seen in fleet(agent).backend.list()}
        inject(agent)
        if name.startswith(("mss-events", "mss-start", "mss-stop")):
            disturb(agent)
        run.thread.join(PATIENCE_S)
    assert run.code == 1
    last = caplog.messages[-1]
    assert last.startswith("stopped with exit code 1: ")
    assert name in last or "the connection to ws://" in last
    assert "Bug('of a test')" in last
    assert caplog.records[-1].exc_info is None, "one line"
    next_one = ProcessBackend(str(tmp_path / "state"))
    after = {seen.id for seen in next_one.list() if seen.state is State.RUNNING}
    next_one.close()
    assert len(after & before) >= 2, "what ran runs on, but for the one that was stopped"
    assert "drain" not in caplog.text


def assert_watched(agent: Agent) -> None:
    """The agent looks after each thread that it has started; that of the monitors, by the monitor."""
    there = {t for t in threading.enumerate() if isinstance(t, StoppableThread)}
    unwatched = {t.name for t in there - set(agent._threads())}
    assert unwatched <= {"mss-websocket"}


def disturb(agent: Agent) -> None:
    """Something has to be stopped, told of, and started."""
    backend = fleet(agent).backend
    backend.stop(backend.list()[0].id, 1.0)


def test_a_bug_in_the_shutdown_too_is_said_and_the_rest_is_done(
    make: Callable[[str], Agent], caplog: pytest.LogCaptureFixture
) -> None:
    agent = make("LOCAL")
    stop_demand = agent.engine.stop_demand

    def fails(slot: Slot) -> None:
        stop_demand(slot)
        raise ZeroDivisionError("a bug")

    agent.engine.stop_demand = fails  # type: ignore[method-assign]
    with Running(agent) as run:
        wait_for(lambda: sum(task.running for task in agent.tasks.tasks) == 3)
    assert run.code == 1
    assert agent.tasks.exited()
    assert caplog.messages[-1] == (
        "stopped with exit code 1: a step of the shutdown has failed: ZeroDivisionError('a bug')"
    )
