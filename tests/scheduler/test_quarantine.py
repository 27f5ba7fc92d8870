"""A crash loop: who sees it, and what becomes of the task's share of the cap, in virtual time."""

from __future__ import annotations

import logging
import random
import re

import pytest

from microscaling.api.agent_report import agent_detail
from tests.scheduler.simulated_engine import Faults, small_world
from tests.scheduler.test_whole_loop import CAP, Loop, settle

HOLDS_BEATS = 80


def test_its_share_is_used_and_everybody_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mssscheduler")
    loop = Loop(1, Faults())
    settle(loop)
    assert loop.running() == {"web": 2, "mail": 1, "batch": 7}
    loop.engine.faults.broken["web"] = "crash"
    for real in [real for real in loop.engine.real.values() if real.task == "web"]:
        loop.engine.kill(real)
    loop.push("web", 5000)
    settle(loop, HOLDS_BEATS)
    web = loop.tasks.get_task("web")
    others = []
    for _ in range(HOLDS_BEATS):
        loop.beat()
        if web.backing_off and not web.demand:
            others.append(loop.running()["batch"])
    assert len(others) > HOLDS_BEATS / 2, "the tries are ever further apart"
    assert max(others) == CAP - 1, "all but mail's one"
    [told] = [task for task in agent_detail(loop.tasks, "", "LOCAL")["tasks"] if task["app"] == "web"]
    assert told.items() >= {"backingOff": True, "reason": "backing off after failed starts"}.items()
    waits = [int(s) for s in re.findall(r"web: .*; backing off, next try in (\d+) s", caplog.text)]
    assert len(waits) >= 4
    assert waits == [min(60, 2**n) for n in range(len(waits))]


def test_when_it_is_over_it_gets_its_share_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mssscheduler")
    loop = Loop(1, Faults(broken={"web": "crash"}))
    loop.push("web", 5000)
    settle(loop, HOLDS_BEATS)
    assert loop.tasks.get_task("web").backing_off
    loop.engine.faults.broken.clear()
    settle(loop, 240)
    assert loop.running() == {"web": 8, "mail": 1, "batch": 1}
    assert "web: a container stays up: no longer backing off" in caplog.messages


@pytest.mark.parametrize(("away_after_s", "forgiven"), [(-2.0, True), (1.0, True), (20.0, False)])
def test_what_the_end_of_the_engine_has_broken_is_forgiven(away_after_s: float, forgiven: bool) -> None:
    loop = Loop(1, Faults())
    settle(loop)
    web = loop.tasks.get_task("web")
    loop.engine.faults.broken["web"] = "start"
    loop.engine.kill(next(real for real in loop.engine.real.values() if real.task == "web"))
    while not web.backing_off:
        loop.beat()
    loop.engine.reconciler.crash_backoffs.excuse(loop.engine.now + away_after_s)
    assert web.backing_off != forgiven
    loop.engine.faults.broken.clear()
    settle(loop, 6 if forgiven else HOLDS_BEATS)
    assert loop.running()["web"] == 2


def test_what_the_engine_has_shaken_may_fail_once() -> None:
    world = small_world(random.Random(1), Faults(effect_s=0.05))
    a = world.tasks.get_task("a")
    world.decide({"a": 4})
    world.run(2)
    world.listing.reopened(world.now)
    for again in (False, True):
        for real in list(world.real.values()):
            world.kill(real)
        world.run(2)
        assert a.backing_off == again
    assert world.running("a") == 0


def test_nor_is_a_create_blamed_that_was_under_way() -> None:
    world = small_world(random.Random(1), Faults(effect_s=0.05, broken={"a": "create"}))
    world.decide({"a": 4})
    world.listing.reopened(world.now)
    world.faults.broken.clear()
    world.run(2)
    assert not world.tasks.get_task("a").backing_off
    assert world.running("a") == 4


@pytest.mark.parametrize(
    ("above", "held", "tried"),
    [("a", "", True), ("a", "no answer", False), ("c", "", True), ("c", "no answer", True)],
)
def test_no_try_costs_one_that_is_held_its_place(above: str, held: str, tried: bool) -> None:
    world = small_world(random.Random(1), Faults(effect_s=0.05))
    world.list()
    world.run(1)
    world.decide({"a": 1, "b": 1, "c": 1})
    world.run(7)
    world.faults.broken["b"] = "start"
    world.kill(next(real for real in world.real.values() if real.task == "b"))
    b, giver = world.tasks.get_task("b"), world.tasks.get_task(above)
    while not b.backing_off:
        world.run(0.1)
        world.tick()
    world.decide({above: 7})
    giver.held = held
    world.run(0.5)
    before = b.demand
    while b.backing_off and b.demand == before:
        world.run(0.1)
        world.tick()
    assert (b.demand, b.backing_off) == ((1, True) if tried else (0, False))
