"""The labels of a service that is to be told when containers of others come and go, such as a proxy."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from typing import Any

SIGNAL = "microscaling.on-change.signal"
EXEC = "microscaling.on-change.exec"
FORM = 'expected the words of a command as a list in JSON, such as ["nginx", "-s", "reload"]'
ENDS = ("KILL", "STOP", "TERM", "INT", "QUIT")
"""Signals by which a proxy ends, or stops its work."""


def is_on_change(label: str) -> bool:
    """True for one of the labels in any of its spellings."""
    return _folded(label) in (_folded(SIGNAL), _folded(EXEC))


def labels_of(labels: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Returns the signal, without SIG, and the words of the command; "" and () without. Raises ValueError
    for what is neither."""
    found = {_folded(label): str(labels[label]).strip() for label in sorted(labels) if is_on_change(label)}
    # By these a proxy would end with each copy that comes.
    name = found.get(_folded(SIGNAL), "").upper().removeprefix("SIG")
    if name and (f"SIG{name}" not in signal.Signals.__members__ or name in ENDS):
        raise ValueError(f"{SIGNAL}: expected a signal such as HUP or USR2, got {name[:20]!r}")
    text, words = found.get(_folded(EXEC), ""), None
    if not text:
        return name, ()
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{EXEC}: {FORM}") from None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{EXEC}: {FORM}")
    return name, tuple(words)


def _folded(label: str) -> str:
    return label.replace("-", "").casefold()
