"""The counters behind the metrics."""

from __future__ import annotations

import ast
import inspect

import pytest

from microscaling.demand import reason
from microscaling.demand.reason import BACK, GAVE_WAY, UP, Reason
from microscaling.demand.tally import OTHER, REACTION_S, RULES, Histogram, Tally
from microscaling.demand.task import Task
from microscaling.engine.server import WANTS


def test_decisions_by_rule_and_direction() -> None:
    tally = Tally()
    tally.decided([("a", 1, 3, Reason(UP, 1, 3)), ("b", 2, 0, Reason(GAVE_WAY, 2, 0)), ("a", 3, 4, None)])
    tally.decided([("a", 4, 5, Reason(UP, 4, 5)), ("a", 5, 4, Reason("first; then second", 5, 4))])
    assert tally.decisions == {
        ("a", "reading", "up"): 2,
        ("b", "priority", "down"): 1,
        ("a", OTHER, "up"): 1,
        ("a", OTHER, "down"): 1,
    }


def test_every_rule_of_a_decision_has_a_name() -> None:
    """Those of a back-off are made by no decision, and counted as such in other metrics."""
    found = {
        target.id: node.value.value
        for node in ast.parse(inspect.getsource(reason)).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert BACK in found.values()
    nameless = {name for name, rule in found.items() if rule not in RULES}
    assert nameless == {"TRY", "TRY_TOOK", "TRY_GAVE"}
    assert WANTS not in RULES


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.25, 0), (0.26, 1), (60.0, 10), (61.0, 11)])
def test_a_bucket_has_its_upper_bound(seconds: float, bucket: int) -> None:
    histogram = Histogram(REACTION_S)
    histogram.observe(seconds)
    assert histogram.counts.index(1) == bucket
    assert (sum(histogram.counts), histogram.sum) == (1, seconds)


def decide(tally: Tally, task: Task, demand: int, at: float) -> None:
    before, task.demand, task.measured_at = task.demand, demand, at
    tally.follow([task], [before], at + 0.1)


def test_the_reaction_ends_when_the_containers_run() -> None:
    tally, task = Tally(), Task("a", max_containers=9)
    decide(tally, task, 2, 100.0)
    decide(tally, task, 4, 100.5)
    task.running = 2
    tally.follow([task], [4], 101.0)
    assert (sum(tally.reaction.counts), tally.reaction.sum) == (1, 1.0)
    task.running = 4
    task.stopping = 1
    tally.follow([task], [4], 102.0)
    assert sum(tally.reaction.counts) == 1, "one of them is on its way out"
    task.stopping = 0
    tally.follow([task], [4], 103.0)
    assert (sum(tally.reaction.counts), tally.reaction.sum) == (2, 3.5)
    assert tally._awaited == {}


def test_what_is_not_wanted_any_more_is_no_reaction() -> None:
    tally, task = Tally(), Task("a", max_containers=9)
    decide(tally, task, 4, 100.0)
    decide(tally, task, 1, 100.5)
    task.running = 1
    tally.follow([task], [1], 200.0)
    assert sum(tally.reaction.counts) == 0
    assert tally._awaited == {}


def test_a_failure_has_no_duration() -> None:
    tally = Tally()
    tally.worked("a", "start", 0.2, failed=False)
    tally.worked("a", "start", 10.0, failed=True)
    assert tally.operations == {("a", "start", True): 1, ("a", "start", False): 1}
    assert tally.durations["start"].sum == 0.2
