"""Tells the services that want to know it that containers of their project have come or gone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from microscaling.clients.docker.compose import Scope, project_of
from microscaling.clients.docker.on_change_labels import EXEC, SIGNAL, labels_of
from microscaling.errors import PermanentError, TemporaryError
from microscaling.utils.pool import Pool
from microscaling.utils.text import one_line

log = logging.getLogger("mssscheduler")

COALESCE_S = 0.3
"""Seconds from a change to the call: copies come and go several at a time."""
JOIN_S = 0.5


class OnChange:
    """Sends the signal, or runs the command, in each container with the label, in a thread of its own.

    `listed` returns the engine's listing of the containers with a label, `scope` the projects, and `signal`
    and `run` make the calls.
    """

    def __init__(
        self,
        listed: Callable[[str], list[Mapping[str, Any]]],
        scope: Callable[[], Scope],
        signal: Callable[[str, str], None],
        run: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        self._listed = listed
        self._scope = scope
        self._signal = signal
        self._run = run
        self._pool: Pool[str] = Pool("mss-change", 1, self._tell)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._projects: set[str] = set()
        self._said: set[str] = set()

    def changed(self, project: str) -> None:
        """Takes a change of the containers of a project; returns without waiting for anything."""
        with self._lock:
            first = not self._projects
            self._projects.add(project)
        if first:
            self._pool.submit(project)

    def close(self) -> None:
        """Stops the thread."""
        self._ended.set()
        self._pool.stop(JOIN_S)

    def _tell(self, _: str) -> None:
        if self._ended.wait(COALESCE_S):
            return
        # Before the calls: a change that comes meanwhile leads to another one.
        with self._lock:
            projects, self._projects = self._projects, set()
        try:
            for id, labels in self._found(projects):
                self._tell_one(id, labels)
        except (PermanentError, TemporaryError) as error:  # the next change finds them again
            self._say("", f"who is to be told of a change cannot be found: {error}")

    def _found(self, projects: set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        seen = set()
        for label in (SIGNAL, EXEC):
            for one in self._listed(label):
                labels = one.get("Labels") or {}
                of_project = project_of(labels) in projects and self._scope().has(labels)
                if of_project and one.get("State") == "running" and one["Id"] not in seen:
                    seen.add(one["Id"])
                    yield str(one["Id"]), labels

    def _tell_one(self, id: str, labels: Mapping[str, Any]) -> None:
        try:
            signal, words = labels_of(labels)
            if signal:
                self._signal(id, signal)
            if words:
                self._run(id, words)
        except (PermanentError, TemporaryError, ValueError) as error:
            self._say(id, f"container {id[:12]} is not told of changes: {error}")
        else:
            log.debug("container %s was told of a change", id[:12])

    def _say(self, key: str, what: str) -> None:
        # The same with each change, which may be every second.
        if what not in self._said and len(self._said) < 100:
            self._said.add(what)
            log.warning("%s", one_line(what))
