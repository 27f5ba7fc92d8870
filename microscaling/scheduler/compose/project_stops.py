"""What others have done to whole projects, of which the containers of tasks are only a part."""

from __future__ import annotations

from collections.abc import Mapping

ONE_COMMAND_S = 15.0
"""Longest time between two stops of one command."""
COMES_UP_S = 30.0
"""An engine that is only just starting brings its containers up one after the other, for at most so long."""


class ProjectStops:
    """By project. Not thread-safe. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._bystanders: dict[str, float] = {}
        """The time of the last stop of a container that belongs to no task."""
        self._unseen: dict[str, tuple[float, Mapping[str, bool]]] = {}
        """The time at which it was found stopped, and its containers: whether the agent had stopped each."""

    def bystander_starts(self, project: str) -> None:
        """Takes the start of a container that belongs to no task."""
        self._bystanders.pop(project, None)

    def bystander_stops(self, project: str, now: float) -> None:
        """Takes the stop of a container that belongs to no task."""
        self._bystanders[project] = now

    def stops(self, project: str, now: float) -> bool:
        """True if something that belongs to no task was stopped just now."""
        return now - self._bystanders.get(project, float("-inf")) < ONE_COMMAND_S

    def found_stopped(self, project: str, ids: Mapping[str, bool], now: float) -> None:
        """Takes the containers that count as stopped by others from now on."""
        self._unseen[project] = now, ids

    def comes_up(self, project: str, now: float) -> Mapping[str, bool]:
        """Returns the containers that do not count as stopped any more, as an engine may have started another
        one: then it was the engine that had stopped all of them."""
        # Only at first: later it is a person who starts a part of what was stopped.
        at, ids = self._unseen.pop(project, (0.0, {}))
        return ids if now - at < COMES_UP_S else {}
