"""The conversion of answers to numbers, the same for SQL, HTTP and Redis."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import LARGEST, whole_number
from microscaling.utils.text import one_line

NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]*)?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
"""Bounded, because the digits of 1e999999999 would fill the memory."""
MAX_LENGTH = 1000
"""Maximum length of a text that may be a number; a longer one, such as a whole document, is not parsed."""
NOT_A_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def items(value: object, what: str, at_least: int | None = None) -> int:
    """Returns a measured value as a whole number from 0 to 2^53. Raises MetricError, which names `what`.

    Text counts as the number in it, with or without an exponent. Fractions are rounded up: 0.4 of an item is
    not nothing. `at_least` replaces smaller values, such as the -1 of some exporters for "not known". NaN,
    infinity, null, true and false are never numbers.
    """
    number = _rounded_up(value)
    if isinstance(number, int) and not isinstance(number, bool):
        count = number if at_least is None else max(number, at_least)
        if not 0 <= count <= LARGEST:
            # A negative value is an error too: many exporters use -1 for "not known".
            hint = "; atLeast: 0 counts it as 0" if count < 0 else ""
            raise MetricError(f"{one_line(f'{what}: {str(value)[:24]}')} is out of range (0 to 2^53){hint}")
        return count
    return whole_number(number, what)


def total(values: Iterable[object], what: str, at_least: int | None = None) -> int:
    """Returns the sum of measured values as `items` does, rounded up once. Each has to be a number of 0 or
    more; with `at_least` smaller ones count as 0."""
    added = Decimal(0)
    for i, value in enumerate(values):
        number = _parsed(value)
        if (
            isinstance(number, bool)
            or not isinstance(number, (int, float, Decimal))
            or not _is_finite(number)
        ):
            whole_number(number, f"{what}, entry {i}")  # raises the error that any such value leads to
        elif number < 0:
            items(number, f"{what}, entry {i}", at_least)
        else:
            # Above the limit each sum is the same error, and 1e999999 would be slow.
            added += min(Decimal(str(number)), Decimal(LARGEST + 1))
    return items(added, what, at_least)


def _rounded_up(value: object) -> Any:
    """Rounds away from 0. Any other value is returned unchanged."""
    number = _parsed(value)
    if not isinstance(number, (float, Decimal)) or not _is_finite(number):
        return number
    if not -LARGEST <= number <= LARGEST:  # any value out of range has the same result, and this one is short
        return LARGEST + 1 if number > 0 else -LARGEST
    # Down for negative numbers, so that -0.5 stays below 0 and is an error.
    return math.ceil(number) if number >= 0 else math.floor(number)


def _is_finite(number: float | Decimal) -> bool:
    # math.isfinite would make a float of a Decimal, and infinity of 1e999.
    return number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)


def _parsed(value: object) -> object:
    if isinstance(value, (bytes, str)) and len(value) > MAX_LENGTH:
        return value[:MAX_LENGTH]  # enough for the quotation in the error
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        text = value.strip()
        if NUMBER.fullmatch(text):
            return Decimal(text)  # exact, where a float would round 9007199254740993 down into range
        if NOT_A_NUMBER.fullmatch(text):
            return float(text)
    return value
