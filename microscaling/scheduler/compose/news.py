"""Services that come, or change their labels, while the agent runs with those that it found at its start."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from microscaling.clients.docker.compose import Scope, is_copy
from microscaling.utils.text import one_line

log = logging.getLogger("mssscheduler")

PREFIX = "microscaling."


class News:
    """Logs each such change once."""

    def __init__(self) -> None:
        self._labels: dict[str, tuple[Any, ...]] | None = None
        """By service, our labels on the youngest of its containers; None before the first listing."""

    def look(self, answer: Iterable[Mapping[str, Any]], scope: Scope) -> None:
        """Takes a listing of all containers with the label that enables a service."""
        found: dict[str, tuple[float, tuple[Any, ...]]] = {}
        for one in answer:
            labels = one.get("Labels") or {}
            name = scope.task_of(labels)
            if name and not is_copy(labels):
                ours = tuple(sorted(item for item in labels.items() if item[0].casefold().startswith(PREFIX)))
                found[name] = max(found.get(name, (-1.0, ())), (float(one.get("Created") or 0), ours))
        labels_now = {name: ours for name, (_, ours) in found.items()}
        if self._labels is None:
            self._labels = labels_now
        for name, ours in labels_now.items():
            if self._labels.get(name) != ours:
                change = "has other labels now" if name in self._labels else "is new"
                log.warning("service %s: %s: restart the agent, which goes by what was there at its start",
                            one_line(name), change)  # fmt: skip
        # A service that is gone is remembered: after `down` and `up` it is the same.
        self._labels |= labels_now
