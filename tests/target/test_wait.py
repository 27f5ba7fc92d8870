"""The rule Wait: its decisions on simulated queues, its belief, its words, and input that makes no sense."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine import scaling
from microscaling.errors import ConfigError
from microscaling.metric.measurement import Measurement
from microscaling.metric.toy import ToyMetric
from microscaling.simulate.simulation import World
from microscaling.simulate.source import COUNTERS, NUMBER, STATES
from microscaling.target.base import Observation
from microscaling.target.wait import WaitTarget
from tests.simulate.loads import alone, moves, p99, sine, spikes, step, times_fewest, walk

ROWS = {
    "step": (lambda seed: step(), 5.0, World(), 1.10, 250),
    "sine": (lambda seed: sine(), 5.0, World(), 1.10, 250),
    "walk": (walk, 5.0, World(), 1.10, 250),
    "spikes": (lambda seed: spikes(), 5.0, World(), 1.25, 250),
    "jobs of 5 s": (lambda seed: lambda t: 0.6, 30.0, World(rate=0.2), 1.25, 120),
    "jobs of 60 s": (lambda seed: lambda t: 0.05, 300.0, World(3600, 1 / 60, start_s=5), 1.7, 30),
    "jobs of 20 ms": (lambda seed: sine(250, 200), 5.0, World(200, 50), 1.10, 250),
}
"""Load, promise (seconds), what is around it, and the most containers (times the fewest) and moves."""


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


@pytest.mark.parametrize("row", ROWS)
def test_the_promise_is_kept_with_few_containers_and_moves(row: str) -> None:
    """`make simulate-bench` has more seeds; a single one may begin with a burst."""
    rate, promise, world, most, most_moves = ROWS[row]
    runs = [alone(WaitTarget(promise), rate(seed), replace(world, seed=seed)) for seed in range(1, 6)]
    assert median([p99(run) for run in runs]) <= promise
    assert median([times_fewest(run) for run in runs]) <= most
    assert median([moves(run) for run in runs]) <= most_moves


@pytest.mark.parametrize(
    ("rate", "most"),
    [(step(), 1.3), (sine(), 1.3), (walk(1), 1.3), (spikes(), 1.8)],
    ids=["step", "sine", "walk", "spikes"],
)
def test_readings_of_10_s_ago_and_starts_of_5_s(rate, most) -> None:
    target = WaitTarget(40, age_s=10, start_s=5)
    run = alone(target, rate, World(start_s=5, reading_age_s=10))
    assert p99(run) <= 40
    assert times_fewest(run) <= most


def test_a_source_with_a_pace_of_15_s() -> None:
    run = alone(WaitTarget(60), sine(), World(reading_interval_s=15))
    assert p99(run, since=120) <= 60


@pytest.mark.parametrize(("promise", "rate", "arrivals"), [(5.0, 5.0, 20.0), (30.0, 0.2, 0.8)])
def test_jobs_that_take_twice_as_long_from_the_middle_on(promise, rate, arrivals) -> None:
    world = World(600, rate)
    run = alone(WaitTarget(promise), lambda t: arrivals, world, slow=(300.0, 2.0))
    assert p99(run, since=300 + 3 * promise) <= promise


@pytest.mark.parametrize("counts", [NUMBER, STATES, COUNTERS])
@pytest.mark.parametrize(("rate", "arrivals"), [(5.0, 20.0), (0.2, 0.8)])
def test_it_learns_both_rates(counts: str, rate: float, arrivals: float) -> None:
    target = WaitTarget(10 / rate**0.5)
    alone(target, lambda t: arrivals, World(900, rate, counts=counts))
    middle = target.belief.middle()
    near = 1.25 if counts == COUNTERS else 2.0
    assert rate / near <= middle.rate <= rate * near
    assert middle.arrivals / middle.rate == pytest.approx(4, rel=0.35 if counts == COUNTERS else 0.6)


def test_counters_know_sooner() -> None:
    """In the first half minute, when the number of containers has hardly changed yet."""
    off = {}
    for counts in (NUMBER, COUNTERS):
        target = WaitTarget(5)
        alone(target, lambda t: 20.0, World(20, counts=counts))
        middle = target.belief.middle()
        off[counts] = max(middle.rate / 5, 5 / middle.rate)
    assert off[COUNTERS] <= 1.25
    assert off[COUNTERS] <= off[NUMBER]


# A queue that does not move


def constant(target: WaitTarget, reading: int, beats: int, has: int) -> list[int]:
    counts = []
    for beat in range(beats):
        now = 1000 + beat / 2
        has = max(
            int(reading > 0), min(100, target.decide(Observation(reading, has, has, 0.5, None, now, now)))
        )
        counts.append(has)
    return counts


@pytest.mark.parametrize("reading", [0, 1, 7, 50, 1000])
@pytest.mark.parametrize("promise", [5.0, 60.0])
@pytest.mark.parametrize("has", [0, 3, 20])
def test_a_steady_reading_leads_to_a_number_that_stays(reading: int, promise: float, has: int) -> None:
    counts = constant(WaitTarget(promise), reading, 2400, has)
    half = counts[1200:]
    assert sum(a != b for a, b in itertools.pairwise(half)) <= 10  # minutes


@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize("load", [0.1, 0.3, 1.0, 2.5, 3.9, 4.0, 7.5, 11.3])
@pytest.mark.parametrize("promise", [5.0, 30.0])
def test_a_steady_load_leads_to_a_number_that_stays(load: float, promise: float, spread: float) -> None:
    """A part of a container is a start and a stop now and then: at most one move a minute, once it is known
    that the load is steady. Without that a task with a promise of 5 s moves up to 20 times a minute."""
    run = alone(WaitTarget(promise), lambda t: 5 * load, World(1200, spread=spread))
    assert p99(run, since=120) <= promise
    moves = [at for at, *_ in run.decisions if at >= 300]
    assert len(moves) <= 15  # minutes
    # What it costs: in part of a container, and never more than one beside the load.
    since = run.times.index(300.0)
    running = [sample.running for sample in run.samples["a"][since:]]
    assert sum(running) / len(running) <= max(1.0, load * 1.2 + 1)


def test_a_load_that_falls_is_no_noise() -> None:
    """A task that keeps its number through the noise follows a load that becomes less, and one that rises."""
    load = {0: 7.5, 1: 1.5, 2: 7.5}
    run = alone(WaitTarget(5), lambda t: 5 * load[min(2, int(t // 600))], World(1800))
    running = [sample.running for sample in run.samples["a"]]
    beats = run.times.index(600.0), run.times.index(700.0), run.times.index(1200.0)
    assert running[beats[0] - 1] >= 7
    assert max(running[beats[1] : beats[2]]) <= 4, "within 100 s"
    assert p99(run, since=120) <= 5


# Words


def test_the_reason_has_the_belief_of_its_moment() -> None:
    target = WaitTarget(5)
    run = alone(target, sine(), World(60))
    reasons = [reason for _, _, _, _, reason in run.decisions if "come, one does" in reason]
    assert len(reasons) > 5
    assert "/s come, one does " in reasons[-1]
    assert " may wait: " in reasons[-1]
    last = str(run.tasks.tasks[0].reason)
    target.decide(Observation(90_000, 1, 1, 0.5, None, 61.0, 61.0))
    assert str(run.tasks.tasks[0].reason) == last, "what was believed then"


def test_a_task_moves_again_while_containers_start() -> None:
    target = WaitTarget(5)
    one = Task("a", 2, 2, 1, max_containers=9, max_delta=9, target=target, metric=ToyMetric(50))
    one.ideal_containers = 6
    scaling.allocate(Tasks([one], 9))
    assert one.demand == 6


# Input that makes no sense


@settings(max_examples=200, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**53),
            st.integers(0, 10_000),
            st.integers(0, 10_000),
            st.floats(0, 100),
            st.none() | st.tuples(st.integers(0, 2**53), st.integers(0, 2**53), st.integers(0, 2**53)),
        ),
        min_size=1,
        max_size=30,
    ),
    st.floats(0.5, 86_400),
)
def test_any_input_gives_a_finite_number(readings, promise) -> None:
    target = WaitTarget(promise)
    now = 0.0
    for waiting, running, requested, seconds, jobs in readings:
        now += seconds
        measured = jobs and Measurement(waiting, jobs[0], arrived=jobs[1], finished=jobs[2])
        wish = target.decide(Observation(waiting, running, requested, seconds, measured, now, now))
        assert isinstance(wish, int)
        assert 0 <= wish <= 1e9 + 1
        assert target.words(waiting)
        assert target.patience_s() >= 0


def config(**keys: object) -> dict[str, object]:
    app = {"name": "a", "maxContainers": 3, "ruleType": "Wait", "metricType": "Redis"}
    url = {"url": "redis://localhost", "key": "jobs", "image": "x"}
    return {"maxContainers": 3, "apps": [{**app, "config": {**url, **keys}}]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (0, "apps[0].config.maxWaitSeconds: expected a number from 0.5 to 86400, got 0"),
        (-1, "apps[0].config.maxWaitSeconds: expected a number from 0.5 to 86400, got -1"),
        ("soon", "apps[0].config.maxWaitSeconds: expected a number from 0.5 to 86400, got 'soon'"),
        (None, "apps[0].config.maxWaitSeconds: is missing: ruleType Wait needs it"),
    ],
)
def test_a_promise_that_is_none(value: object, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        apps_from_parsed(config(maxWaitSeconds=value))
    assert [line.replace('"', "'") for line in refused.value.problems] == [problem]


def test_the_configuration() -> None:
    tasks, _ = apps_from_parsed(config(maxWaitSeconds=5, startSeconds=3, readingAgeSeconds=10))
    target = tasks[0].target
    assert isinstance(target, WaitTarget)
    assert (target.seconds, target._start.seconds, target._age_s) == (5, 3, 10)
