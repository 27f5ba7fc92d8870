"""Only the decision writes `demand`, and what a scheduler has it do between two decisions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import microscaling
from microscaling.demand import limits
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks

PACKAGE = Path(microscaling.__file__).parent
DECIDES = ("engine", "server", "demand/limits.py")
"""The engines, the server's modes, and the rules for what a scheduler reports."""


def written(tree: ast.AST) -> Iterator[int]:
    """The lines that write an attribute `demand`, by assignment or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "demand" and not isinstance(node.ctx, ast.Load):
            yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
            name = node.args[1]
            if isinstance(name, ast.Constant) and name.value == "demand":
                yield node.lineno


def test_only_the_decision_writes_demand() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).as_posix()
        if not module.startswith(DECIDES):
            found += [f"{module}:{line}" for line in written(ast.parse(path.read_text()))]
    assert found == []


@pytest.mark.parametrize(
    "line",
    ["task.demand = 1", "task.demand -= 1", "a, task.demand = 1, 2", "task.demand: int = 1",
     "for task.demand in (1, 2): pass", "setattr(task, 'demand', 1)"],
)  # fmt: skip
def test_each_way_to_write_is_found(line: str) -> None:
    assert list(written(ast.parse(line))) == [1]


def test_reading_is_no_writing() -> None:
    assert not list(written(ast.parse("a = task.demand; setattr(task, 'held', a)")))


def test_a_limit_has_its_reason_and_the_same_one_again_changes_nothing() -> None:
    task = Task("a", demand=5)
    assert limits.hold_at(task, 2, "refused")
    reason = task.reason
    assert (task.demand, str(reason)) == (2, "refused")
    assert not limits.hold_at(task, 2, "another")
    assert task.reason is reason


def test_a_probe_in_a_free_place() -> None:
    task = Task("a", demand=1)
    limits.try_again(task, 2, None)
    assert (task.demand, str(task.reason)) == (2, "tries again, in a free place")


def test_a_probe_in_the_place_of_another_task_keeps_the_sum() -> None:
    task, donor = Task("a", demand=1), Task("rest", demand=4)
    limits.try_again(task, 2, donor)
    assert (task.demand, donor.demand) == (2, 3)
    assert str(task.reason) == "tries again, in the place of one of rest"
    assert str(donor.reason) == "gives 1 to a, which tries again"


def test_adoption_and_end() -> None:
    task = Task("a", demand=1)
    limits.adopt(task, 3)
    assert task.demand == 3
    limits.end(Tasks([task], 5))
    assert task.demand == 0
