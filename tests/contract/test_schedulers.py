"""One scenario for everything that can run tasks, faults included."""

from __future__ import annotations

import time

import pytest

from tests.contract.proxy import FAULTS
from tests.contract.schedulers import CAP, Case, Run, wait_for

FAULT_S = 2.0


@pytest.fixture
def outside(case: Case) -> Case:
    if not case.has_outside:
        pytest.skip("pretends: nothing of it runs outside of the agent")
    return case


@pytest.fixture
def wired(case: Case) -> Case:
    if case.proxy is None:
        pytest.skip("talks to nobody, so nobody can fail to answer")
    return case


def test_runs_as_many_as_are_demanded(case: Case) -> None:
    with Run(case) as run:
        for a, b in ((3, 1), (5, 5), (0, 2), (1, 0)):
            run.demand(a=a, b=b)
            run.settles(a=a, b=b)
        assert run.stop() == 0
    wait_for(lambda: case.look() == case.left_over, "for all to go")


def test_adopts_what_is_there_and_touches_nothing_before_the_first_decision(outside: Case) -> None:
    outside.there("a", 3)
    outside.there("b", 1)
    with Run(outside) as run:
        run.begun()
        before = outside.touched()
        run.settles(a=3, b=1)
        assert [task.demand for task in run.tasks.tasks] == [3, 1]
        time.sleep(1.5)
        assert outside.touched() == before
        run.demand(a=3, b=1)
        time.sleep(1.0)
        assert outside.touched() == before
        run.demand(a=2, b=2)
        run.settles(a=2, b=2)


def test_a_hand_over_keeps_to_the_cap(case: Case) -> None:
    with Run(case) as run:
        for a, b in ((2, 8), (8, 2), (1, 9)):
            run.demand(a=a, b=b)
            run.settles(a=a, b=b)
    assert case.most() == CAP


def test_what_is_lost_is_replaced(outside: Case) -> None:
    with Run(outside) as run:
        run.demand(a=3, b=0)
        run.settles(a=3, b=0)
        before = outside.touched()
        outside.lose("a")
        outside.lose("a")
        time.sleep(0.2)
        run.settles(a=3, b=0)
        assert before, "there was something to lose"


def test_leave_leaves_all_for_the_next_one_to_adopt(outside: Case) -> None:
    with Run(outside, leave=True) as run:
        run.demand(a=2, b=1)
        run.settles(a=2, b=1)
        assert run.stop() == 0
    assert outside.look() == {"a": 2, "b": 1}
    with Run(outside) as run:
        run.settles(a=2, b=1)
        assert run.stop() == 0
    wait_for(lambda: outside.look() == outside.left_over, "for all to go")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_nothing(wired: Case, fault: str) -> None:
    """Whatever is demanded meanwhile is made up for, and the cap holds."""
    if fault not in wired.faults:
        pytest.skip("takes its time, and another fault goes the same way")
    proxy = wired.proxy
    assert proxy is not None
    with Run(wired) as run:
        run.demand(a=2, b=6)
        run.settles(a=2, b=6)
        proxy.set(fault)
        run.demand(a=7, b=1)
        wait_for(lambda: proxy.spoilt >= 2, "for the fault to be met")
        time.sleep(FAULT_S)
        proxy.set("works")
        run.demand(a=6, b=3)
        run.settles(a=6, b=3)
        assert run.stop() == 0
    wait_for(lambda: wired.look() == wired.left_over, "for all to go")
    assert wired.most() <= CAP


@pytest.mark.parametrize("fault", ["is away", "hangs", "answers 503"])
def test_at_the_start_it_is_waited_for(wired: Case, fault: str) -> None:
    proxy = wired.proxy
    assert proxy is not None
    wired.there("a", 2)
    proxy.set(fault)
    with Run(wired) as run:
        wait_for(lambda: proxy.spoilt >= 1, "for the fault to be met")
        time.sleep(0.5)
        proxy.set("works")
        run.settles(a=2, b=0)


@pytest.mark.parametrize("fault", ["is away", "hangs"])
def test_the_end_does_not_wait_for_ever(wired: Case, fault: str) -> None:
    """It says by its exit code that something may be left, and leaks nothing of its own."""
    proxy = wired.proxy
    assert proxy is not None
    with Run(wired, exit_timeout_s=1.0) as run:
        run.demand(a=2, b=0)
        run.settles(a=2, b=0)
        proxy.set(fault)
        assert run.stop() == 1
    assert wired.look() == {"a": 2, "b": 0}
    proxy.set("works")
