"""What the Go agent's targets answered, replayed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vectors.load import cases, target

CASES = cases("target")


def test_no_case_is_left_out() -> None:
    assert (len(CASES), sum(len(case["steps"]) for case in CASES)) == (300, 3600)


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c['kind']}-{c['param']}" for i, c in enumerate(CASES)])
def test_same_answers(case: dict[str, Any]) -> None:
    rule = target(case, case["env"])
    for step in case["steps"]:
        now = step["current"]
        got = {"current": now, "meeting": rule.meeting(now), "exceeding": rule.exceeding(now)}
        assert {**got, "delta": rule.delta(now)} == step
