"""The agent's own calls for each container, so that their events are not taken for those of others."""

from __future__ import annotations

from dataclasses import dataclass, field

LATE_S = 5.0
"""An event may come so long after the call that caused it."""
CAUSES = {
    "create": ("create",),
    "start": ("start",),
    "stop": ("kill", "die", "stop"),
    "signal": ("kill",),
    "remove": ("kill", "die", "destroy"),
    "freeze": ("pause",),
    "thaw": ("unpause",),
}
"""By call, the events that it causes."""
QUICK = ("freeze", "thaw")
"""Calls after which another one may follow before their events."""


@dataclass(slots=True)
class Calls:
    """Times are monotonic seconds."""

    under_way: dict[tuple[str, str], float] = field(default_factory=dict)
    """By id and call, the time of its end; infinite before."""

    def begins(self, id: str, call: str) -> None:
        """Takes the beginning of a call."""
        # An event that is late by now would be that of the call before. But a thaw comes right before a stop,
        # and Podman tells of both up to 0.3 s later.
        self.under_way = {of: end for of, end in self.under_way.items() if of[0] != id or of[1] in QUICK}
        self.under_way[id, call] = float("inf")

    def ends(self, id: str, call: str, now: float) -> None:
        """Takes its end."""
        if (id, call) in self.under_way:
            self.under_way[id, call] = now

    def caused(self, id: str, kind: str, now: float) -> bool:
        """True if an event comes from a call of ours."""
        self.under_way = {call: end for call, end in self.under_way.items() if now - end < LATE_S}
        return any(of == id and kind in CAUSES[call] for of, call in self.under_way)
