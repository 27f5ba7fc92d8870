"""Simulated runs: the queue, the containers, the fewest, and the real decision in between."""

from __future__ import annotations

import statistics
import time

import pytest

from microscaling.demand.task import Task
from microscaling.metric.multiple import Member, MultipleMetric
from microscaling.metric.toy import ToyMetric
from microscaling.simulate.fewest import plan, work_within
from microscaling.simulate.figures import figures
from microscaling.simulate.queue import SimulatedQueue
from microscaling.simulate.shapes import Load
from microscaling.simulate.simulation import World, simulate
from microscaling.target.base import Observation, Target
from microscaling.target.greatest import GreatestTarget
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.wait import WaitTarget
from tests.simulate.loads import alone, sine, spikes, step, task, walk


class Fixed(Target):
    """Wants a number that a function of the time gives."""

    def __init__(self, wants) -> None:
        self.wants = wants

    def decide(self, seen: Observation) -> int:
        return self.wants(seen.now)


def test_a_queue_by_hand() -> None:
    queue = SimulatedQueue(iter([0.0, 1.0, 1.5, 9.0]), lambda at: 2.0)
    queue.advance(0.5)
    assert (queue.waiting, queue.busy) == (1, 0)
    queue.add(1)
    queue.advance(2.0)
    assert (queue.waiting, queue.busy, queue.oldest_s()) == (2, 1, 1.0)
    queue.add(2)
    queue.advance(5.0)
    assert (queue.waiting, queue.arrived) == (0, 3)
    assert queue.jobs == [(0.0, 0.5, 2.0), (1.0, 1.0, 2.0), (1.5, 1.0, 2.0)]
    assert queue.remove(1) == 5.0, "it is free"
    queue.advance(10.0)
    assert queue.remove(2) == 11.0, "it ends its job"
    assert queue.all_waits()[-1] == (9.0, 0.0)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_one_container_waits_as_the_theory_says(load: float) -> None:
    """M/M/1: the mean wait is load / (rate - arrivals)."""
    run = alone(Fixed(lambda now: 1), lambda t: 5 * load, World(20_000, stop_s=0, start_s=0))
    mean = statistics.fmean(wait for _, wait in run.queues["a"].all_waits())
    assert mean == pytest.approx(load / (5 - 5 * load), rel=0.15)


def test_the_cap_holds_and_the_first_comes_first() -> None:
    first, rest = task("first", WaitTarget(5)), Task("rest", priority=2, target=RemainderTarget(9))
    rest.max_containers = rest.max_delta = 9
    run = simulate([first, rest], 9, {"first": Load("x", step())}, World(300))
    for samples in zip(*run.samples.values(), strict=True):
        assert sum(sample.running for sample in samples) <= 9
    assert sum(sample.demand for sample in run.samples["first"]) > 0
    by_task = {each.task: each for each in figures(run, "", 300)}
    assert by_task["first"].mean + by_task["rest"].mean <= 9
    assert by_task["first"].over == 0
    assert by_task["rest"].mean > 2


def test_a_seed_says_it_all() -> None:
    runs = [alone(WaitTarget(5), sine(), World(100, seed=seed)) for seed in (1, 1, 2)]
    assert runs[0].decisions == runs[1].decisions
    assert runs[0].decisions != runs[2].decisions


def test_an_outage_holds_the_task() -> None:
    run = alone(WaitTarget(5), sine(), World(200), outage=(100.0, 150.0))
    assert not [at for at, *_ in run.decisions if 102 < at < 150]
    assert [at for at, *_ in run.decisions if at > 150]


@pytest.mark.parametrize("rate", [step(), sine(), spikes(), walk(1)], ids=["step", "sine", "spikes", "walk"])
def test_the_fewest_are_a_bound_that_is_reached(rate) -> None:
    """No plan does with less than the work, and one that knows the future does with little more."""
    run = alone(WaitTarget(5), rate, World(600))
    jobs = run.queues["a"].jobs
    work_s = work_within(jobs, 600)
    spent_s, longest = plan(jobs, 600, 5.0)
    assert longest <= 5.0
    assert work_s <= spent_s <= 1.06 * work_s


def test_the_fewest_by_hand() -> None:
    jobs = [(0.0, 0.0, 3.0), (1.0, 0.0, 3.0), (8.0, 0.0, 4.0)]
    assert work_within(jobs, 10) == 8.0
    # Both of the first begin at 2 and 2 + 3 is too late for the second; the third is not over at the end.
    assert plan(jobs, 10, 2.0) == (3 + 3 + 0, 2.0)


@pytest.mark.parametrize(
    "rule", [lambda: WaitTarget(5), lambda: PerContainerTarget(10)], ids=["Wait", "PerContainer"]
)
def test_an_hour_of_ten_tasks_takes_seconds(rule) -> None:
    tasks = [task(f"t{n}", rule(), 10) for n in range(10)]
    begin = time.process_time()
    run = simulate(tasks, 40, {each.name: Load("x", lambda t: 5.0) for each in tasks}, World(3600))
    took = time.process_time() - begin
    assert sum(queue.arrived for queue in run.queues.values()) > 170_000
    assert took < 60, "5 s on a quiet machine; a busy one may take longer"


def test_several_metrics_of_one_queue() -> None:
    """The greatest wish of both is what the task gets: the promise of one, the number of the other."""
    metric = MultipleMetric([Member("metrics[0]", ToyMetric()), Member("metrics[1]", ToyMetric())])
    rules = WaitTarget(5), PerContainerTarget(4)
    both = task("a", GreatestTarget(rules, metric), metric=metric)
    run = simulate([both], 40, {"a": Load("x", sine())}, World(200))
    alone_run = alone(PerContainerTarget(4), sine(), World(200))
    (found,) = figures(run, "", 200)
    assert found.p99 <= 5
    assert {reason.rsplit("(", 1)[1][:10] for *_, reason in run.decisions if "most of 2" in reason} == {
        "metrics[0]", "metrics[1]"
    }  # fmt: skip
    assert found.mean >= figures(alone_run, "", 200)[0].mean * 0.9
