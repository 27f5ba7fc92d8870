"""How each kind of fault is brought about, and ended."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.history import Fault
from tests.chaos.plan import Planned
from tests.chaos.scene import BY_NAME, MAX_WAITING, MEASURED
from tests.chaos.stage import Stage
from tests.chaos.witness import AWAY

ALL = tuple(BY_NAME)
FILLS_S = 4.0
"""For a task to get what its queue asks for."""
Doing = Iterator[None]
"""A fault: begins, yields for as long as it is to last, and ends."""


def bring_about(stage: Stage, planned: Planned, stopped: threading.Event, rng: random.Random) -> Fault:
    """Carries out one fault. `rng`: for what cannot be planned, such as which containers there are."""
    doing, hits = {
        "agent": (_agent, ALL),
        "clock": (_clock, ()),
        "engine": (_engine, ALL),
        "link": (_link, ALL),
        "containers": (_containers, ALL),
        "foreign": (_foreign, ()),
        "crash": (_crash, ("flaky",)),
        "sources": (_sources, ()),
        "demand": (_demand, ()),
    }[planned.group]
    fault = stage.history.fault(planned.kind, planned.group, hits, str(planned))
    try:
        with contextlib.contextmanager(doing)(stage, planned, rng):
            stopped.wait(planned.lasts)
    finally:
        fault.end = time.time()
    return fault


def _agent(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    agent = stage.agent
    if planned.kind == "agent frozen":
        agent.freeze(True)
        yield
        agent.freeze(False)
        return
    if planned.kind == "agent told to leave":
        agent.end("leave")
    else:
        agent.kill()
    yield
    agent.start()


def _clock(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    stage.set_clock(planned.how["offset"])
    yield
    stage.set_clock("+0")


def _engine(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    with stage.engine_trouble():
        if planned.kind == "engine frozen":
            process = stage.engine.process
            assert process is not None
            process.send_signal(signal.SIGSTOP)
            yield
            process.send_signal(signal.SIGCONT)
        else:
            stage.engine.kill() if planned.kind == "engine killed" else stage.engine.stop()
            yield
            stage.restart_engine()


def _link(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    assert stage.link is not None
    stage.link.set(planned.kind.partition(": ")[2])
    yield
    stage.link.set("good")


def _containers(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    action = {"containers killed": "kill", "containers stopped": "stop", "containers removed": "remove"}
    ids: list[str] = []
    with contextlib.suppress(*AWAY), stage.client() as client:
        ids = stage.ours(client, planned.how["task"])
    chosen = rng.sample(ids, min(len(ids), planned.how["count"]))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda id: stage.by_hand(id, action[planned.kind]), chosen))
    yield


def _foreign(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    ids: list[str] = []
    with contextlib.suppress(*AWAY), stage.client() as client:
        ids = [stage.start_foreign(client) for _ in range(3)]
    yield
    for id in ids:
        stage.by_hand(id, "remove")


def _crash(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    stage.crash(True)
    with contextlib.suppress(*AWAY), stage.client() as client:
        for id in stage.ours(client, "flaky"):
            stage.by_hand(id, "kill")
    yield
    stage.crash(False)


def _sources(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    modes: dict[str, str] = planned.how["modes"]
    if planned.how["full"]:
        stage.queues.pin(modes, MAX_WAITING)
        time.sleep(FILLS_S)
    for name, mode in modes.items():
        stage.sources[name].set(mode)
    yield
    for name in modes:
        stage.sources[name].set("good")
    stage.queues.unpin(modes)


def _demand(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    stage.queues.hold(dict.fromkeys(MEASURED, planned.how["waiting"]))
    yield
    stage.queues.let_go()
