"""The known state of a Swarm's services, from listings, single looks and our own calls: the newest version
wins, in any order of arrival. No I/O, no threads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from microscaling.clients.docker.swarm import MODES, SwarmService, is_counted, is_enabled, service_of
from microscaling.errors import UNEXPECTED, PermanentError
from microscaling.scheduler.replicas.orchestrator import Found, Replicas
from microscaling.scheduler.swarm.counts import Census

log = logging.getLogger("mssscheduler")


class View:
    """The newest known state of each service, by name.

    A version is an index of the swarm's log, which grows with every change in the cluster (Docker Engine API,
    ObjectVersion).
    """

    def __init__(self) -> None:
        self.census = Census()
        self._by_id: dict[str, SwarmService] = {}
        self._ids: dict[str, str] = {}
        """By name, the id of the service."""
        self._unread: dict[str, PermanentError] = {}
        """By name, the services with a malformed last state."""
        self._touches = 0
        self._touched: dict[str, int] = {}
        """By id, when its state was learnt other than by a listing."""

    def mark(self) -> int:
        """Returns a mark for `listed`, to be taken before its request."""
        return self._touches

    def listed(self, items: Iterable[Any], mark: int) -> None:
        """Takes over a listing of all services."""
        there: set[str] = set()
        self._unread = {}
        for item in items:
            try:
                service = service_of(item)
            except UNEXPECTED as error:
                there |= self._unreadable(item, error)
                continue
            there.add(service.id)
            self._learn(service)
        for id in self._by_id.keys() - there:
            # What came after the listing was asked for is not in it.
            if self._touched.get(id, 0) <= mark:
                self.removed(id)

    def learn(self, item: Any) -> str:
        """Takes over a look at one service; returns its name, "" if it cannot be read."""
        try:
            service = service_of(item)
        except UNEXPECTED as error:
            self._unreadable(item, error)
            return ""
        self._touch(service.id)
        self._unread.pop(service.name, None)
        self._learn(service)
        return service.name

    def scaled(self, id: str, instances: int) -> None:
        """Takes over a number of replicas that a manager has accepted."""
        known = self._by_id.get(id)
        self._touch(id)
        # The answer to an update does not have the new version, so the old one stays until the next look.
        if known is not None:
            self._by_id[id] = replace(known, replicas=instances)

    def removed(self, id: str) -> str:
        """Forgets a service; returns its name, "" if it was not known."""
        known = self._by_id.pop(id, None)
        self._touched.pop(id, None)
        if known is None:
            return ""
        if self._ids.get(known.name) == id:
            del self._ids[known.name]
        return known.name

    def service(self, name: str) -> SwarmService | None:
        """Returns the service with this name."""
        return self._by_id.get(self._ids.get(name, ""))

    def ids(self, names: Iterable[str]) -> list[str]:
        """Returns the ids of these services, as far as they are there."""
        return [self._ids[name] for name in names if name in self._ids]

    def counted(self) -> list[SwarmService]:
        """Returns the services that are not scaled, and whose tasks take places under the cap."""
        return [
            service
            for service in self._by_id.values()
            if is_counted(service.labels)
            and not (service.replicas is not None and is_enabled(service.labels))
        ]

    def found(self, names: Iterable[str]) -> dict[str, Found]:
        """Returns the state of these services."""
        return {name: self._unread.get(name) or self._found(name) for name in names}

    def _found(self, name: str) -> Found:
        service = self.service(name)
        if service is None:
            return None
        if service.replicas is None:
            what = MODES.get(service.mode, f"of the mode {service.mode}")
            return PermanentError(f"is {what}; only replicated services are scaled")
        counts = self.census.of(service.id)
        failures, counts.failures = tuple(counts.failures), []  # each counts once
        return Replicas(
            requested=service.replicas,
            running=counts.running,
            stopping=counts.running - counts.staying,
            update=service.update,
            pending=counts.pending,
            unplaced=counts.unplaced,
            room_key=self.census.room,
            steady=counts.steady,
            failures=failures,
        )

    def _learn(self, service: SwarmService) -> None:
        known = self._by_id.get(service.id)
        # Of the same version there is nothing new, and our own number may stand in it already.
        if known is not None and service.version <= known.version:
            return
        if known is not None and known.name != service.name and self._ids.get(known.name) == service.id:
            del self._ids[known.name]
        self._by_id[service.id] = service
        self._ids[service.name] = service.id

    def _unreadable(self, item: Any, error: Exception) -> set[str]:
        """Notes a service that cannot be read, under its name; returns its id, if it has one."""
        why = f"{type(error).__name__}: {error}"
        spec = item.get("Spec") if isinstance(item, Mapping) else None
        name = spec.get("Name") if isinstance(spec, Mapping) else None
        if isinstance(name, str):
            self._unread[name] = PermanentError(f"its service in the answer is invalid: {why:.120}")
        id = item.get("ID") if isinstance(item, Mapping) else None
        return {id} if isinstance(id, str) else set()

    def _touch(self, id: str) -> None:
        self._touches += 1
        self._touched[id] = self._touches
