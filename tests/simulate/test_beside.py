"""The figures of a real run that stand beside those of the simulator: `make decisions`."""

from __future__ import annotations

import pytest

from scripts.real.__main__ import JOB_S, LOAD, RULES_HERE, given_load, latencies, predicted
from scripts.real.stage import Happened


def happened() -> Happened:
    run = Happened(seconds=20.0)
    run.jobs = [(0.0, 1.0, 2.0), (2.0, 9.0, 9.5), (12.0, float("inf"), float("inf"))]
    run.moves = [(1.0, 1), (5.0, 1), (15.0, -1)]
    return run


def test_a_run_by_hand() -> None:
    run = happened()
    # The second job is late from 7 to 9, the third from 17 on.
    assert run.over(5.0) == pytest.approx((3 + 5) / 40, abs=0.04)
    assert run.over(30.0) == 0.0
    assert run.running() == ([0.0, 1.0, 5.0, 15.0, 20.0], [0, 1, 2, 1, 1])
    assert run.mean() == pytest.approx((4 * 1 + 10 * 2 + 5 * 1) / 20)


def test_latencies_are_those_of_the_run() -> None:
    run = happened()
    assert latencies(run, 0.4) == (0.4, 0.5)
    run.starts, run.stops = [1.0, 2.0, 3.0], [0.2, 0.3, 0.9, 1.5]
    start_s, stop_s = latencies(run, 0.4)
    assert start_s == 2.0
    assert 0.2 <= stop_s <= 0.3


def test_a_prediction_has_the_arrivals_of_the_run() -> None:
    load = given_load(LOAD, 30.0, 1)
    said = predicted(RULES_HERE["Wait"], load, 30.0, 1.0, 0.5)
    jobs = list(load.times)
    simulated = [came for came, _ in said.run.queues["a"].all_waits()]
    assert sorted(simulated) == jobs[: len(simulated)]
    assert len(jobs) == pytest.approx(30 * 9, rel=0.4)
    assert said.within == 1.0
    assert said.mean * 30 >= 0.8 * len(simulated) * JOB_S
