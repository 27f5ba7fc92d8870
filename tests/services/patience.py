"""All the time that sources of metrics may need on a busy machine."""

from __future__ import annotations

import functools
import inspect
import sys
from types import ModuleType
from typing import Any

import pytest

from microscaling.metric.base import METRICS

PATIENCE_S = 60.0
"""Long enough for a busy machine: only a test that fails waits for all of it."""


@pytest.fixture(autouse=True)
def time_for_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer for an answer than the second or two that a source gives it by itself.
    Whoever wants a deadline in a test says which one."""
    modules, makers = _found()
    for module in modules:
        monkeypatch.setattr(module, "DEADLINE_S", PATIENCE_S)
    for maker, defaults in makers:
        monkeypatch.setattr(maker, "__defaults__", defaults)


@functools.cache
def _found() -> tuple[list[ModuleType], list[tuple[Any, tuple[Any, ...]]]]:
    """The modules with a deadline, and what takes one, with its defaults and that in place of its own."""
    METRICS.all()  # loads them
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("microscaling.metric.") and hasattr(module, "DEADLINE_S")
    ]
    makers = {
        kind.__init__: _patient(kind.__init__)
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind) and "deadline_s" in inspect.signature(kind.__init__).parameters
    }
    return modules, list(makers.items())


def _patient(maker: Any) -> tuple[Any, ...]:
    parameters = inspect.signature(maker).parameters.values()
    return tuple(
        PATIENCE_S if each.name == "deadline_s" else each.default
        for each in parameters
        if each.default is not each.empty and each.kind is not each.KEYWORD_ONLY
    )
