"""How much is tried, and what holds for everything that is said of an input.

MSS_TEST_FUZZ says how many inputs each test gets: a number, or the name of a profile.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings

PROFILES = {"quick": 100, "ci": 1_000, "deep": 10_000, "long": 100_000, "soak": 1_000_000}
SECRET = "hunter2-of-the-owner"
"""Stands wherever an input has room for a credential, and nowhere in what is said of it."""
LONGEST = 1000
"""Characters of one problem."""
INPUT_S = 30.0
"""No input takes so long, not even on a busy machine."""

for _name, _inputs in PROFILES.items():
    settings.register_profile(
        f"fuzz-{_name}",
        max_examples=_inputs,
        deadline=timedelta(seconds=INPUT_S),
        # The same inputs at every change, so that a change is what a failure comes from; the longer
        # profiles try others each time.
        derandomize=_inputs <= 1_000,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),  # to explain takes a trace, and for ever
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def _settings(wanted: str) -> settings:
    if wanted in PROFILES:
        return settings.get_profile(f"fuzz-{wanted}")
    inputs = int(wanted)
    near = min(PROFILES, key=lambda name: abs(PROFILES[name] - inputs))
    return settings(settings.get_profile(f"fuzz-{near}"), max_examples=inputs)


fuzz = _settings(os.environ.get("MSS_TEST_FUZZ") or "ci")
"""The settings of every test here."""


def check_line(text: str) -> None:
    """It is one line that a person can read, and gives nothing away."""
    assert text.isprintable(), f"more than one line, or not printable: {text!r:.300}"
    assert 0 < len(text) <= LONGEST, f"of {len(text)} characters: {text!r:.300}"
    assert SECRET not in text, f"tells a secret: {text!r:.300}"


def check_error(error: BaseException) -> None:
    """The same for every problem that it tells of; what it was made of may not be shown either."""
    for line in getattr(error, "problems", (str(error),)):
        check_line(line)
    if error.__cause__ is not None or not error.__suppress_context__:
        told = error.__cause__ or error.__context__
        assert SECRET not in str(told), f"tells a secret: {told!r:.300}"


@contextmanager
def heard() -> Iterator[list[str]]:
    """What is logged meanwhile by any part of this package, from WARNING up."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root = logging.getLogger()
    before = root.handlers
    root.handlers = [Listener(logging.WARNING)]  # alone: others would keep it all
    try:
        yield said
    finally:
        root.handlers = before


def is_whole(value: Any, least: int, most: int) -> bool:
    """Whether it is a number in that range, and no boolean, which Python takes for one."""
    return type(value) is int and least <= value <= most
