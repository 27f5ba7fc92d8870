"""The nonces of copies, which carry no label with it, as they equal Compose's own: kept by name.

A name alone is not enough: it is free again after a copy, and then Compose may give it to one of its own.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(slots=True)
class Made:
    """The last copy with a name."""

    nonce: str
    id: str = ""
    """Empty until its create has been answered, or an event has shown it."""


class Nonces:
    """Thread-safe. All ids and names are those of containers with the label of copies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Made] = {}

    def creating(self, name: str, nonce: str) -> None:
        """Takes the name of a copy that is about to be created."""
        with self._lock:
            self._made[name] = Made(nonce)

    def created(self, name: str, id: str) -> None:
        """Takes the success of that create."""
        self.of_event("create", name, id)

    def not_created(self, name: str) -> None:
        """Takes the refusal of that create."""
        with self._lock:
            self._made.pop(name, None)

    def of_event(self, kind: str, name: str, id: str) -> str:
        """Returns the nonce of the copy that an event is about; "" if it is of an earlier one."""
        with self._lock:
            made = self._made.get(name)
            # Its create comes before all other events; those of an earlier copy with the name may come late.
            if made is not None and kind == "create" and not made.id:
                made.id = id
            return made.nonce if made is not None and made.id == id else ""

    def of_listed(self, name: str, id: str) -> str:
        """Returns the nonce of a copy in a listing, which may show it before anything else does."""
        with self._lock:
            made = self._made.get(name)
            return made.nonce if made is not None and made.id in ("", id) else ""
