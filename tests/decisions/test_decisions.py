"""What `Wait`, `PerContainer`, weights and reserves have decided, replayed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.decisions.record import BEATS, CASES, FILE, made, reasons

RECORDED: list[dict[str, Any]] = json.loads(FILE.read_text())


def test_no_case_is_left_out() -> None:
    assert [len(case["steps"]) for case in RECORDED] == [BEATS] * CASES
    moved = [{tuple(demand) for _, demand in case["steps"]} for case in RECORDED]
    assert sum(len(each) > 5 for each in moved) > CASES / 2, "most of them decide something"


@pytest.mark.parametrize("case", RECORDED, ids=[str(number) for number in range(len(RECORDED))])
def test_same_decisions(case: dict[str, Any]) -> None:
    run = made(case)
    assert [[answers, run.beat(**answers)] for answers, _ in case["steps"]] == case["steps"]
    assert reasons(run) == case["reasons"]
