"""One rule for what counts as a number, whichever source answers: SQL, HTTP or Redis."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import LARGEST, whole_number
from microscaling.utils.text import one_line

NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]*)?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
"""Bounded, because the digits of 1e999999999 would fill the memory."""
LONGEST = 1000
"""Characters of a text that may be a number; more (a whole document, say) is not looked at."""
NOT_A_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def items(value: object, what: str, at_least: int | None = None) -> int:
    """A measured value as a whole number from 0 to 2^53. Raises MetricError, which names `what`.

    Text counts as the number that it holds, with an exponent or without. Fractions are rounded up: 0.4
    of an item is not nothing. `at_least` replaces what is smaller, such as the -1 by which some
    exporters mean "not known". NaN, infinity, null, true and false are never numbers.
    """
    number = _rounded_up(value)
    if isinstance(number, int) and not isinstance(number, bool):
        count = number if at_least is None else max(number, at_least)
        if not 0 <= count <= LARGEST:
            # Below 0 as well: with many exporters -1 means that they do not know.
            hint = "; atLeast: 0 counts it as 0" if count < 0 else ""
            raise MetricError(f"{one_line(f'{what}: {str(value)[:24]}')} is out of range (0 to 2^53){hint}")
        return count
    return whole_number(number, what)


def _rounded_up(value: object) -> Any:
    """Away from 0, so that -0.5 is still below it. What is no number stays as it is."""
    number = _parsed(value)
    if not isinstance(number, (float, Decimal)) or not _is_finite(number):
        return number
    if not -LARGEST <= number <= LARGEST:  # as good as any other number out of range, and not as long
        return LARGEST + 1 if number > 0 else -LARGEST
    return math.ceil(number) if number >= 0 else math.floor(number)


def _is_finite(number: float | Decimal) -> bool:
    # math.isfinite would make a float of a Decimal, and infinity of 1e999.
    return number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)


def _parsed(value: object) -> object:
    if isinstance(value, (bytes, str)) and len(value) > LONGEST:
        return value[:LONGEST]  # as the error quotes it
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        text = value.strip()
        if NUMBER.fullmatch(text):
            return Decimal(text)  # exact, where a float would round 9007199254740993 down into range
        if NOT_A_NUMBER.fullmatch(text):
            return float(text)
    return value
