"""What counts as a number, whichever source it comes from."""

from __future__ import annotations

from decimal import Decimal

import pytest

from microscaling.errors import MetricError
from microscaling.metric.number import items

NUMBERS = [
    (0, 0), (12, 12), (2**53, 2**53), (0.0, 0), (-0.0, 0), (0.4, 1), (12.000001, 13), (1e3, 1000),
    ("12", 12), (" 12\n", 12), ("+7", 7), ("12.", 12), (".5", 1), ("1.5e3", 1500), ("1e-3", 1), ("-0", 0),
    ("1E+03", 1000), ("9007199254740992", 2**53), (b"12", 12), (b"0.1", 1),
    (Decimal(5), 5), (Decimal("5.01"), 6), (Decimal("0E-10"), 0), (Decimal("1E3"), 1000),
]  # fmt: skip
NONE = [
    True, False, None, [], {}, [7], "", " ", "12 jobs", "1_000", "1,5", "0x10", "१२", "e3", ".", "1e", "--1",
    float("nan"), float("inf"), float("-inf"), "NaN", "+Inf", "-infinity", Decimal("NaN"), Decimal("Inf"),
    b"\xff", b"\0", "1e9999",
]  # fmt: skip
TOO_MUCH = [2**53 + 1, 1e300, "9007199254740993", "1e999", "9" * 30, Decimal("1E+999999")]
NEGATIVE = [-1, -0.5, "-1", "-0.0001", b"-3", Decimal("-1E+999999")]


@pytest.mark.parametrize(("value", "number"), NUMBERS)
def test_a_number_however_it_is_written(value: object, number: int) -> None:
    assert items(value, "it") == items(value, "it", at_least=0) == number


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_what_is_none_is_an_error_that_nothing_mends(value: object) -> None:
    for at_least in (None, 0):
        with pytest.raises(MetricError, match=r"^it: expected a whole number, got "):
            items(value, "it", at_least)


@pytest.mark.parametrize(("value", "shown"), [(None, "null"), (True, "true"), (False, "false")])
def test_what_json_has_is_shown_as_json_has_it(value: object, shown: str) -> None:
    with pytest.raises(MetricError, match=f"got {shown}$"):
        items(value, "it")


def test_of_a_very_long_text_only_the_beginning_is_looked_at() -> None:
    class Long(str):
        """Text so long that whatever reads all of it takes too long."""

        def __len__(self) -> int:
            return 10**9

        def strip(self, *args: object) -> str:
            raise AssertionError("it was read")

        __repr__ = strip  # type: ignore[assignment]

    with pytest.raises(MetricError, match=r"^it: expected a whole number, got '0{39}$"):
        items(Long("0" * 2000), "it")


@pytest.mark.parametrize("value", TOO_MUCH, ids=lambda value: str(value)[:20])
def test_too_much(value: object) -> None:
    with pytest.raises(MetricError, match=r"^it: .{1,24} is out of range \(0 to 2\^53\)$"):
        items(value, "it", at_least=0)


@pytest.mark.parametrize("value", NEGATIVE, ids=str)
def test_a_negative_number_is_an_error_unless_it_is_to_count_as_0(value: object) -> None:
    with pytest.raises(MetricError, match=r"out of range \(0 to 2\^53\); atLeast: 0 counts it as 0$"):
        items(value, "it")
    assert items(value, "it", at_least=0) == 0
    assert items(value, "it", at_least=3) == 3
