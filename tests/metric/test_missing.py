"""Names that may be meant by another."""

from __future__ import annotations

import pytest

from microscaling.metric import missing
from microscaling.metric.missing import Hint, alike


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("jbos", "jobs"), ("orders", "order"), ("Orders", "orders"), ("workrs", "workers"), ("mail", "mails"),
        ("default", "rq:queue:default"), ("default", "queue:default"), ("high-prio", "high_prio"),
        ("jobs", "jobs#ephemeral"[:5]), ("emial", "email"), ("task_queue", "task-queue"),
    ],
)  # fmt: skip
def test_alike(name: str, other: str) -> None:
    assert alike(name, {"zebra", other, name, "x", ""}) == [other]


@pytest.mark.parametrize("other", ["q2", "mails:low", "production", "default:1:meta:events", "jobs"])
def test_not_alike(other: str) -> None:
    assert alike("jobs" if other == "jobs" else "q1", [other]) == []


def test_the_most_similar_first() -> None:
    assert alike("orders", ["border", "order", "orders2", "app:orders"]) == [
        "app:orders", "orders2", "order", "border",
    ]  # fmt: skip


def test_it_is_due_once_and_only_for_what_has_never_been_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(missing.time, "monotonic", lambda: now[0])
    never, seen = Hint("the key", "jbos"), Hint("the key", "jobs")
    assert [never.is_due(False), seen.is_due(False)] == [False, False]
    now[0] += 59
    assert [never.is_due(False), seen.is_due(True)] == [False, False]
    now[0] += 1
    assert [never.is_due(False), seen.is_due(False)] == [True, False]
    now[0] += 1000
    assert [never.is_due(False), seen.is_due(False)] == [False, False]
