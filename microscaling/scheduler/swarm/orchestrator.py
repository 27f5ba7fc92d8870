"""Docker Swarm: a task is the service of its name, and its demand is the number of its replicas."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from docker.errors import APIError

from microscaling.clients.docker.errors import said
from microscaling.clients.docker.reader import EngineReader
from microscaling.clients.docker.swarm import (
    OUT_OF_SEQUENCE,
    REPLICATED,
    SwarmNode,
    SwarmTask,
    node_of,
    service_of,
    task_of,
    version_of,
)
from microscaling.errors import UNEXPECTED, PermanentError, TemporaryError
from microscaling.scheduler.docker.calls import asking, errors
from microscaling.scheduler.replicas.orchestrator import Conflict, Found, Orchestrator
from microscaling.scheduler.swarm.view import View
from microscaling.scheduler.swarm.watch import Watcher
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssscheduler")

CALL_S = 4.0
"""For each of the two requests of a scale, and for each listing."""
TASKS_EVERY_S = 1.0
"""There are no events for tasks."""
SERVICES_EVERY_S = 10.0
"""Interval of listings of the services while events come; without them they are listed as often as tasks."""
TRIES = 5
MAX_IN_QUERY = 100
"""Most ids in one query: proxies limit the length of a URL."""
JOIN_S = 0.5


class SwarmOrchestrator(Orchestrator):
    """The services of one swarm, through one of its managers.

    `Spec.Mode.Replicated.Replicas` is the requested number; the running ones are tasks. Events report changes
    of services and nodes; tasks are listed once a second.
    """

    what = "service"

    def __init__(
        self,
        host: str,
        tls_verify: bool = False,
        cert_path: str = "",
        chosen: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"the swarm at {host}"
        self.clock = clock
        self.reader = EngineReader(host, tls_verify, cert_path, chosen)
        self.watcher = Watcher((host, tls_verify, cert_path, chosen), self._on_open, self._on_event)
        self.on_services: Callable[[], object] = lambda: None
        """Called at each sign that services have come, gone, or changed their labels."""
        self.outside = 0
        """Tasks that are to run, of services that are not scaled and take places under the cap."""
        self._heard: Callable[[Mapping[str, Found]], None] = lambda found: None
        self._view = View()
        # Held while a change is passed on, so that a newer one cannot overtake it.
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._services_at = self._tasks_at = float("-inf")
        """When they are due to be listed."""
        self._names: tuple[str, ...] = ()

    def read(self, names: Sequence[str]) -> Mapping[str, Found]:
        with self._listing:
            now = self.clock()
            new = not set(names) <= set(self._names)
            # A new name may be that of a service which no event has reported yet.
            if new or now >= self._services_at or (not self.watcher.is_open and now >= self._tasks_at):
                self._list_services()
            if new or now >= self._tasks_at:
                self._names = tuple({*self._names, *names}) if new else self._names
                self._list_tasks()
        with self._lock:
            return self._view.found(names)

    def scale(self, name: str, instances: int) -> None:
        for _ in range(TRIES):
            if self._scale(name, instances):
                return
        raise Conflict("others change it all the time (update out of sequence)")

    def watch(self, heard: Callable[[Mapping[str, Found]], None]) -> None:
        self._heard = heard
        self.watcher.start()

    @property
    def threads(self) -> list[StoppableThread]:
        return [self.watcher] if self.watcher.ident is not None else []

    def close(self) -> None:
        if stop_all(self.threads, JOIN_S):
            log.warning("the event stream of the swarm does not end")
        self.reader.close()

    def _scale(self, name: str, instances: int) -> bool:
        """Changes the number at the version that it has just read. Returns False if somebody else has changed
        the service in between."""
        with self._lock:
            known = self._view.service(name)
        if known is None:
            raise PermanentError("the swarm has no such service any more")
        with asking():
            found = self.reader.json(f"/services/{known.id}", self._until())
            if found is None:
                raise PermanentError("the swarm has no such service any more")
            service, spec, version = service_of(found), found["Spec"], version_of(found)
        with self._lock:
            self._view.learn(found)
        if service.replicas is None:
            raise PermanentError("is no replicated service any more")
        # An update may have begun since the last look. The version closes the rest of that gap.
        if service.update:
            raise Conflict(service.update)
        if service.replicas != instances:
            # All else goes back as it came, with whatever fields a newer engine has.
            spec["Mode"][REPLICATED]["Replicas"] = instances
            if not self._send(known.id, spec, version):
                return False
        with self._lock:
            self._view.scaled(known.id, instances)
        return True

    def _send(self, id: str, spec: Any, version: int) -> bool:
        """Sends an update. Returns False if the version is not the present one any more."""
        until = self.answered_by(CALL_S)  # after the service was read, and right before the request
        try:
            with errors():
                try:
                    self.reader.post(f"/services/{id}/update", spec, until, version=str(version))
                except APIError as error:
                    if OUT_OF_SEQUENCE in str(error.explanation):
                        return False
                    if (error.status_code or 0) >= 500:  # such as a swarm without a leader
                        raise TemporaryError(said(error)) from error
                    raise
        except TemporaryError:
            self._services_at = float("-inf")  # only a listing shows whether it was carried out
            raise
        return True

    def _list_services(self) -> None:
        with self._lock:
            mark = self._view.mark()
        with asking():
            items = self.reader.listed("/services", self._until())
        with self._lock:
            self._view.listed(items, mark)
        self._services_at = self.clock() + SERVICES_EVERY_S

    def _list_tasks(self) -> None:
        with self._lock:
            counted = [service.id for service in self._view.counted()]
            ids = self._view.ids(self._names) + counted
        self.outside = 0 if not counted else self.outside
        if not ids:
            return
        query = {} if len(ids) > MAX_IN_QUERY else {"filters": _filters(service=ids)}
        with asking():
            tasks = self.reader.json("/tasks", self._until(), **query)
            nodes = self.reader.listed("/nodes", self._until())
        self._tasks_at = self.clock() + TASKS_EVERY_S
        if tasks is None:  # a service of the query has gone in between
            self._services_at = float("-inf")
            return
        with asking():
            read = _tasks_of(tasks), _nodes_of(nodes)
        with self._lock:
            self._view.census.look(*read, self.clock())
            self.outside = sum(self._view.census.of(id).wanted for id in counted)

    def list_anew(self) -> None:
        """Has everything listed at the next look."""
        self._services_at = self._tasks_at = float("-inf")

    def _on_open(self) -> None:
        self.list_anew()  # the stream reports nothing from before its beginning
        self.on_services()

    def _on_event(self, kind: str, action: str, id: str, attributes: Mapping[str, Any]) -> None:
        """Takes an event; called in the watcher's thread."""
        if kind == "node":
            self._tasks_at = float("-inf")
            self.on_services()
            return
        # Events have the numbers and the progress of updates in them; a label may be a part of all else.
        if not {word.partition(".")[0] for word in attributes} & {"replicas", "updatestate"}:
            self.on_services()
        if action == "remove":
            with self._lock:
                name = self._view.removed(id)
                if name:
                    self._heard({name: None})
            return
        with asking():
            found = self.reader.json(f"/services/{id}", self._until())
        if found is None:
            return
        with self._lock:
            name = self._view.learn(found)
            if name:
                self._heard(self._view.found([name]))

    def _until(self) -> float:
        return time.monotonic() + CALL_S


def _filters(**of: list[str]) -> str:
    return json.dumps(of)


def _tasks_of(items: Any) -> list[SwarmTask]:
    return [task for item in items if (task := _read(task_of, item)) is not None]


def _nodes_of(items: Any) -> list[SwarmNode]:
    return [node for item in items if (node := _read(node_of, item)) is not None]


def _read(read: Callable[[Any], Any], item: Any) -> Any:
    """Returns an item of a listing; None if it is malformed, which concerns only itself."""
    try:
        return read(item)
    except UNEXPECTED as error:
        log.debug("skipped in a listing of the swarm: %r", error)
        return None
