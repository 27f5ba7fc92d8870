"""Consumer groups of a stream, as Redis describes them (RESP 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.errors import MetricError


def group_named(name: str, answer: Any) -> Mapping[bytes, Any] | None:
    """Returns a group in an answer to XINFO GROUPS; None if there is none. Raises MetricError."""
    named = [group for group in groups_in(answer) if group.get(b"name") == name.encode()]
    if named and not isinstance(named[0].get(b"last-delivered-id"), bytes):
        raise MetricError("not the answer of Redis")
    return named[0] if named else None


def groups_in(answer: Any) -> list[Mapping[bytes, Any]]:
    """Returns all groups in an answer to XINFO GROUPS; None is that for a stream that does not exist. Raises
    MetricError."""
    if not isinstance(answer, (list, type(None))):
        raise MetricError("not the answer of Redis")
    return [words_in(group) for group in answer or ()]


def words_in(answer: Any) -> Mapping[bytes, Any]:
    """Returns an answer of names and values, one after the other. Raises MetricError."""
    if not isinstance(answer, list) or len(answer) % 2:
        raise MetricError("not the answer of Redis")
    try:
        return dict(zip(answer[::2], answer[1::2], strict=True))
    except TypeError:
        raise MetricError("not the answer of Redis") from None
