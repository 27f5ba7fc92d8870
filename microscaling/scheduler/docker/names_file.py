"""The containers whose names the agent has taken, in a file for the next agent."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger("mssscheduler")

Endpoint = Mapping[str, Any]
"""A connection of a container to a network, in the words of a request (EndpointSettings, Docker Engine
API)."""


@dataclass(slots=True)
class Taken:
    """One container; all by network."""

    names: dict[str, Endpoint]
    """Its connections with its names."""
    pending: dict[str, Endpoint] = field(default_factory=dict)
    """Connections that may be missing now, as the exchange is not known to be complete."""


class NamesFile:
    """By id, the containers that lack names, or even a network. Thread-safe. Without a path they are kept in
    memory alone."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._taken = self._read()
        self._said = False

    def get(self, id: str) -> Taken | None:
        """Returns the state of a container; None if it has all its names."""
        with self._lock:
            return self._taken.get(id)

    def pending(self) -> dict[str, dict[str, Endpoint]]:
        """Returns the connections that may be missing, by id."""
        with self._lock:
            return {id: dict(taken.pending) for id, taken in self._taken.items() if taken.pending}

    def begin(self, id: str, names: Mapping[str, Endpoint], network: str, endpoint: Endpoint) -> None:
        """Notes that a container is about to leave a network, to come back with that endpoint. `names`: all
        its connections with its names."""
        with self._lock:
            taken = self._taken.setdefault(id, Taken(dict(names)))
            taken.pending[network] = endpoint
            self._write()

    def end(self, id: str, network: str) -> None:
        """Notes that it is back."""
        with self._lock:
            if id in self._taken and self._taken[id].pending.pop(network, None) is not None:
                self._write()

    def drop(self, id: str) -> None:
        """Forgets a container, which has all its names, or is no more."""
        with self._lock:
            if self._taken.pop(id, None) is not None:
                self._write()

    def _read(self) -> dict[str, Taken]:
        if not self.path:
            return {}
        try:
            with open(self.path, encoding="utf-8") as file:
                found = json.load(file)
            return {
                str(id): Taken(_endpoints(entry["names"]), _endpoints(entry["pending"]))
                for id, entry in found.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            log.warning(
                "%s: the names that the last agent has taken cannot be read (%.80s)", self.path, error
            )
            return {}

    def _write(self) -> None:
        if not self.path:
            return
        entries = {
            id: {"names": taken.names, "pending": taken.pending} for id, taken in sorted(self._taken.items())
        }
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            # A file that was written by half would be of no use to the next agent.
            new = f"{self.path}.new"
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(entries, file)
            os.replace(new, self.path)
        except OSError as error:
            if not self._said:
                self._said = True
                log.warning(
                    "MSS_STATE_DIR: %s cannot be written (%s): an agent that is killed while it takes a name "
                    "leaves that to no other", self.path, error.strerror or error,
                )  # fmt: skip


def _endpoints(found: Mapping[str, Any]) -> dict[str, Endpoint]:
    return {str(network): dict(endpoint) for network, endpoint in found.items()}
