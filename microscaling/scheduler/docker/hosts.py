"""The containers behind the consumers of a source: by the host name that a consumer reports."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from microscaling.clients.docker.stat import seconds_of
from microscaling.demand.drain import Activity
from microscaling.errors import TemporaryError
from microscaling.metric.consumers.base import Consumer, Consumers, MetricError
from microscaling.utils.text import few, short

NEW_S = 10.0
"""A container that is younger need not have a consumer yet."""
SEPARATORS = re.compile(r"[@:/|, ]")
"""Around a host name in the name of a consumer that an application has chosen."""
MOST = 2000


class Hosts:
    """The host names of containers. `inspect` returns the engine's description of one, and `machine` the name
    of the engine's host."""

    def __init__(self, inspect: Callable[[str], Mapping[str, Any]], machine: Callable[[], str]) -> None:
        self._inspect = inspect
        self._machine = machine
        self._known: dict[str, tuple[str, float]] = {}
        """By id, the host name ("" if it cannot identify the container) and the time of the start (Unix
        seconds)."""
        self._asked: set[Consumers] = set()

    def activities(self, source: Consumers, ids: Sequence[str]) -> Mapping[str, Activity]:
        """Returns the activities of containers. Raises TemporaryError if one of them cannot be matched with
        any consumer."""
        self._asked.add(source)
        try:
            consumers = source.ask()
        except MetricError as error:
            raise TemporaryError(str(error)) from None
        by_host: dict[str, list[Consumer]] = {}
        for consumer in consumers:
            for part in {consumer.host, *SEPARATORS.split(consumer.host)}:
                by_host.setdefault(part, []).append(consumer)
        found: dict[str, Activity] = {}
        strange = []
        for id, (host, started) in self._look_up(ids).items():
            mine = by_host.get(host, []) if host else []
            if mine:
                busy = any(consumer.busy for consumer in mine)
                found[id] = Activity.BUSY if busy else Activity.IDLE
            # It takes a program some seconds to connect to its queue.
            elif time.time() - started > NEW_S:
                strange.append(f"{id[:12]} ({host or 'without a host name of its own'})")
        source.matched = source.matched or bool(found)
        # As long as one is missing, the names may be others than they seem to be.
        if strange:
            theirs = sorted({short(consumer.host) for consumer in consumers})
            raise TemporaryError(
                f"{source.name} has no consumer with the host name of container {few(strange)}; it has "
                f"{few(theirs) or 'none'}"
            )
        return found

    def close(self) -> None:
        """Closes the connections to the sources."""
        for source in self._asked:
            source.close()

    def _look_up(self, ids: Sequence[str]) -> dict[str, tuple[str, float]]:
        # A host name never changes, so each container is inspected once.
        if len(self._known) > MOST:
            self._known.clear()
        for id in ids:
            if id not in self._known:
                self._known[id] = self._of(self._inspect(id))
        # Replicas with one `hostname` cannot be distinguished.
        times = Counter(host for host, _ in self._known.values())
        these = {id: self._known[id] for id in ids}
        return {id: (host if times[host] == 1 else "", at) for id, (host, at) in these.items()}

    def _of(self, inspected: Mapping[str, Any]) -> tuple[str, float]:
        host = str(inspected["Config"].get("Hostname") or "")
        options = inspected["HostConfig"]
        mode = str(options.get("NetworkMode") or "")
        shared = options.get("UTSMode") == "host" or mode.startswith("container:")
        # On the host's network it is the machine's name, unless the container was given one.
        if shared or (mode == "host" and host == self._machine()):
            host = ""
        return host, seconds_of(inspected["State"].get("StartedAt")) or 0.0
