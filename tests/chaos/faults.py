"""How each kind of fault is brought about, and ended."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.history import Fault
from tests.chaos.plan import Planned
from tests.chaos.scene import MAX_WAITING, PARTS
from tests.chaos.stage import Stage
from tests.chaos.witness import AWAY

FILLS_S = 4.0
"""For a task to get what its queue asks for."""
Doing = Iterator[None]
"""A fault: begins, yields for as long as it is to last, and ends."""
Doings = tuple[Callable[[Stage, Planned, random.Random], Doing], tuple[str, ...]]
"""How faults of a group are brought about, and the tasks that they hit."""


def bring_about(
    stage: Stage, planned: Planned, stopped: threading.Event, rng: random.Random, doings: Mapping[str, Doings]
) -> Fault:
    """Carries out one fault. `rng`: for what cannot be planned, such as which containers there are."""
    doing, hits = doings[planned.group]
    fault = stage.history.fault(planned.kind, planned.group, hits, str(planned))
    try:
        with contextlib.contextmanager(doing)(stage, planned, rng):
            stopped.wait(planned.lasts)
    finally:
        fault.end = time.time()
    return fault


def agent(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    life = stage.agent
    if planned.kind == "agent frozen":
        life.freeze(True)
        yield
        life.freeze(False)
        return
    if planned.kind == "agent told to leave":
        life.end("leave")
    else:
        life.kill()
    yield
    life.start()


def clock(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    stage.set_clock(planned.how["offset"])
    yield
    stage.set_clock("+0")


def engine(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
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


def link(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    assert stage.link is not None
    stage.link.set(planned.kind.partition(": ")[2])
    yield
    stage.link.set("good")


def containers(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    action = {"containers killed": "kill", "containers stopped": "stop", "containers removed": "remove"}
    ids: list[str] = []
    with contextlib.suppress(*AWAY), stage.client() as client:
        ids = stage.ours(client, planned.how["task"])
    chosen = rng.sample(ids, min(len(ids), planned.how["count"]))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda id: stage.by_hand(id, action[planned.kind]), chosen))
    yield


def foreign(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    ids: list[str] = []
    with contextlib.suppress(*AWAY), stage.client() as client:
        ids = [stage.start_foreign(client) for _ in range(3)]
    yield
    for id in ids:
        stage.by_hand(id, "remove")


def crash(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    stage.crash(True)
    with contextlib.suppress(*AWAY), stage.client() as client:
        for id in stage.ours(client, "flaky"):
            stage.by_hand(id, "kill")
    yield
    stage.crash(False)


def sources(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
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


def demand(stage: Stage, planned: Planned, rng: random.Random) -> Doing:
    stage.queues.hold(dict.fromkeys(stage.history.scene.measured, planned.how["waiting"]))
    yield
    stage.queues.let_go()


ALL = tuple(part.name for part in PARTS)
DOINGS: Mapping[str, Doings] = {
    "agent": (agent, ALL),
    "clock": (clock, ()),
    "engine": (engine, ALL),
    "link": (link, ALL),
    "containers": (containers, ALL),
    "foreign": (foreign, ()),
    "crash": (crash, ("flaky",)),
    "sources": (sources, ()),
    "demand": (demand, ()),
}
