"""The containers behind the consumers of a source: by the host name that a consumer reports, else by its
address."""

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
from microscaling.scheduler.containers.backend import Unmatched
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
        named: dict[str, list[Consumer]] = {}
        for consumer in consumers:
            # An address may have colons.
            parts = SEPARATORS.split(consumer.host) if consumer.host else [consumer.address]
            for part in {consumer.host, *parts}:
                named.setdefault(part, []).append(consumer)
        known = self._addresses(ids) if source.by_address else self._look_up(ids)
        what = "an address" if source.by_address else "a host name"
        found: dict[str, Activity] = {}
        strange = []
        for id, (names, started) in known.items():
            mine = [consumer for name in names for consumer in named.get(name, ())]
            if mine:
                busy = any(consumer.busy for consumer in mine)
                found[id] = Activity.BUSY if busy else Activity.IDLE
            # It takes a program some seconds to connect to its queue.
            elif time.time() - started > NEW_S:
                strange.append(f"{id[:12]} ({', '.join(names) or f'without {what} of its own'})")
        source.matched = source.matched or bool(found)
        # As long as one is missing, the names may be others than they seem to be.
        if strange:
            theirs = sorted({short(consumer.host or consumer.address) for consumer in consumers})
            raise Unmatched(
                f"{source.name} has no consumer with the {what.split(maxsplit=1)[1]} of container "
                f"{few(strange)}; it has {few(theirs) or 'none'}"
            )
        return found

    def close(self) -> None:
        """Closes the connections to the sources."""
        for source in self._asked:
            source.close()

    def _addresses(self, ids: Sequence[str]) -> dict[str, tuple[tuple[str, ...], float]]:
        # Asked anew each time: an address changes with a restart, and goes to the next container at once.
        found = {}
        for id in ids:
            inspected = self._inspect(id)
            networks = (inspected["NetworkSettings"].get("Networks") or {}).values()
            addresses = [one.get(key) for one in networks for key in ("IPAddress", "GlobalIPv6Address")]
            found[id] = tuple(filter(None, addresses)), _start_of(inspected)
        return found

    def _look_up(self, ids: Sequence[str]) -> dict[str, tuple[tuple[str, ...], float]]:
        # A host name never changes, so each container is inspected once.
        if len(self._known) > MOST:
            self._known.clear()
        for id in ids:
            if id not in self._known:
                self._known[id] = self._of(self._inspect(id))
        # Replicas with one `hostname` cannot be distinguished.
        times = Counter(host for host, _ in self._known.values())
        these = {id: self._known[id] for id in ids}
        return {id: ((host,) if host and times[host] == 1 else (), at) for id, (host, at) in these.items()}

    def _of(self, inspected: Mapping[str, Any]) -> tuple[str, float]:
        host = str(inspected["Config"].get("Hostname") or "")
        options = inspected["HostConfig"]
        mode = str(options.get("NetworkMode") or "")
        shared = options.get("UTSMode") == "host" or mode.startswith("container:")
        # On the host's network it is the machine's name, unless the container was given one.
        if shared or (mode == "host" and host == self._machine()):
            host = ""
        return host, _start_of(inspected)


def _start_of(inspected: Mapping[str, Any]) -> float:
    """Returns the time of a container's start, Unix seconds."""
    return seconds_of(inspected["State"].get("StartedAt")) or 0.0
