"""What the Go agent answered about one task, replayed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vectors.load import cases, task

CASES = cases("task")
ANSWERS = ("scale_up_count", "scale_down_count", "can_scale_down", "is_remainder")


def test_no_case_is_left_out() -> None:
    assert len(CASES) == 400


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_same_answers(case: dict[str, Any]) -> None:
    made = task(case, {})
    assert {name: getattr(made, name)() for name in ANSWERS} == {name: case[name] for name in ANSWERS}
