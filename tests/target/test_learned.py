"""What a `Wait` task says of what it has learned, and of its promise against what was measured."""

from __future__ import annotations

import json

import pytest

from microscaling.api.learned import learned_of
from microscaling.control import views
from microscaling.control.command import _explained
from microscaling.demand.tasks import Tasks
from microscaling.metric.measurement import Measurement
from microscaling.server.domain.rule_reports import read_learned, read_members
from microscaling.server.limits import Refused
from microscaling.simulate.simulation import World
from microscaling.target.base import Observation
from microscaling.target.kept import Kept
from microscaling.target.wait import WaitTarget
from tests.engine.driven import Driven, queue_task
from tests.engine.test_each import several
from tests.simulate.loads import alone, sine, step, task


def test_waits_by_hand() -> None:
    kept = Kept()
    assert (kept.wait_s, kept.longest_s(), kept.share()) == (None, 0.0, 1.0)
    for n in range(100):
        kept.note(n, 9.0 if 20 <= n < 45 else 1.0, 5.0)
    assert (kept.wait_s, kept.longest_s()) == (1.0, 9.0)
    assert kept.share() == pytest.approx(1 - 25 / 99)
    kept.note(400, 1.0, 5.0)  # of the time in between nothing is known
    assert kept.share() == pytest.approx(1 - 25 / 99)
    kept.note(700, 2.0, 5.0)
    assert kept.longest_s() == 2.0, "of the last ten minutes"


@pytest.mark.parametrize(("promise", "kept"), [(5.0, 0.97), (20.0, 1.0)])
@pytest.mark.parametrize("rate", [step(), sine()], ids=["step", "sine"])
def test_what_was_measured_is_what_happened(rate, promise: float, kept: float) -> None:
    target = WaitTarget(promise)
    run = alone(target, rate, World(600))
    found = target.learned()
    waits = [sample.oldest_s for sample in run.samples["a"]]
    assert found.kept >= kept
    assert found.longest_s == pytest.approx(max(waits), rel=0.6, abs=1)
    assert found.rate == pytest.approx(5, rel=0.5)
    assert found.may_wait == round(found.arrivals * promise / 2)


def test_a_promise_that_cannot_be_kept() -> None:
    target = WaitTarget(5)
    run = alone(target, lambda t: 20.0, World(300), most=2)
    over = sum(sample.oldest_s > 5 for sample in run.samples["a"]) / len(run.samples["a"])
    found = target.learned()
    assert over > 0.8
    assert found.kept == pytest.approx(1 - over, abs=0.1)
    assert found.wait_s > 60


def test_the_age_of_the_oldest_job_goes_before() -> None:
    target = WaitTarget(5)
    for n in range(20):
        measured = Measurement(10, 2, oldest_age_s=7.5)
        target.decide(Observation(10, 2, 2, 0.5, measured, n / 2, n / 2))
    found = target.learned()
    assert (found.wait_s, found.longest_s, found.exact, found.kept) == (7.5, 7.5, True, 0.0)


def test_without_a_container_the_wait_grows() -> None:
    target = WaitTarget(5)
    for n in range(20):
        target.decide(Observation(5 + n % 2, 3, 3, 0.5, None, n / 2, n / 2))
    before = target.learned().wait_s
    for n in range(20, 60):
        target.decide(Observation(6, 0, 0, 0.5, None, n / 2, n / 2))
    assert target.learned().wait_s >= before + 15


def test_status_and_explain() -> None:
    one = task("a", WaitTarget(5))
    assert learned_of(one) == {
        "promiseSeconds": 5, "arrivals": None, "rate": None, "mayWait": None, "waitSeconds": None,
        "exact": False, "longestSeconds": 0.0, "kept": 1.0,
    }  # fmt: skip
    run = Driven(queue_task("a", 2, target=WaitTarget(5)))
    for n in range(60):
        run.beat(a=20 + n % 3)
    (told,) = views.status(run.tasks, "PROCESS")["tasks"]
    assert {*told["learned"]} == {*learned_of(one)}
    lines = list(_explained(json.loads(json.dumps(views.explain(run.tasks, "a"))), "container"))
    (learned,) = [line for line in lines if line.startswith("  learned  ")]
    (promise,) = [line for line in lines if line.startswith("  promise  ")]
    assert " come, one does " in learned
    assert promise.startswith("  promise  5 s; an item waits about ")
    run.for_s(10)
    assert "learned" not in views.status(run.tasks, "PROCESS")["tasks"][0], "it is held: what it knew is old"


def test_of_several_each_has_its_own() -> None:
    run = Driven(several(WaitTarget(5), WaitTarget(60)))
    for n in range(60):
        run.beat(x=20 + n % 3, y=n % 2)
    told = views.explain(Tasks(run.tasks.tasks, 9), "a")
    assert [each["learned"]["promiseSeconds"] for each in told["metrics"]] == [5, 60]
    assert sum(line.startswith("  promise") for line in _explained(told, "container")) == 2


LEARNED = learned_of(task("a", WaitTarget(5))) or {}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"rate": "much"}, "learned.rate: expected a number"),
        ({"rate": True}, "learned.rate: expected a number"),
        ({"arrivals": float("nan")}, "learned.arrivals: expected a number"),
        ({"waitSeconds": 1e300}, "learned.waitSeconds: is too large"),
        ({"kept": None}, "learned.kept: is missing"),
    ],
)
def test_a_server_refuses_what_is_no_report(more, problem: str) -> None:
    assert read_learned(LEARNED) == LEARNED
    with pytest.raises(Refused, match=problem):
        read_learned({**LEARNED, **more})
    with pytest.raises(Refused, match=problem):
        read_members([{"place": "metrics[0]", "learned": {**LEARNED, **more}}])


@pytest.mark.parametrize("data", [None, {}, [3], [{"wants": "all"}], [{"place": 7}], [{}] * 33])
def test_metrics_that_are_none(data) -> None:
    with pytest.raises(Refused):
        read_members(data)


def test_nothing_that_an_agent_tells_is_too_large_for_a_server() -> None:
    target = WaitTarget(86_400)
    for n in range(50):
        target.decide(Observation(2**53 - n % 3, 1, 1, 0.5, None, n / 2, n / 2))
    run = Driven(queue_task("a", 1, target=target))
    run.tasks.tasks[0].held = ""
    assert read_learned(learned_of(run.tasks.tasks[0]))
