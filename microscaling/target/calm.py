"""The calm of a rule: containers are given back only after a while, and not again and again."""

from __future__ import annotations

from collections import deque

CYCLE_S = 120.0
"""Seconds between two times that a task gives back a container that it has always needed again."""
TURNS = 4
"""Moves within the last two CYCLE_S, all between two neighbouring numbers, that are a cycle."""


class Calm:
    """The needs of the last seconds, and the moves of the last minutes, of one task."""

    __slots__ = ("_has", "_moves", "_needs", "_raised", "cycling")

    def __init__(self) -> None:
        self._needs: deque[tuple[float, float]] = deque()
        """Time and need (containers), only those that no later one exceeds: so the first is the highest."""
        self._moves: deque[tuple[float, int]] = deque()
        """Time and number of containers after each move."""
        self._has = 0
        self._raised = float("-inf")
        self.cycling = False
        """True if the task has gone to and fro between two neighbouring numbers."""

    def peak(self, now: float, need: float, seconds: float) -> float:
        """Notes a need; returns the highest of the last seconds."""
        needs = self._needs
        while needs and needs[0][0] <= now - seconds:
            needs.popleft()
        while needs and needs[-1][1] <= need:
            needs.pop()
        needs.append((now, need))
        return needs[0][1]

    def look(self, now: float, has: int) -> None:
        """Notes the containers that the task has."""
        moves = self._moves
        # Moves by others, as a lower cap, count as well: the task has come back from them.
        if has != self._has:
            if has > self._has:
                self._raised = now
            moves.append((now, has))
            self._has = has
        while moves and moves[0][0] < now - 2 * CYCLE_S:
            moves.popleft()
        if len(moves) < TURNS:
            self.cycling = False
        else:
            counts = [count for _, count in moves]
            self.cycling = max(counts) - min(counts) <= 1

    def holds(self, now: float) -> bool:
        """True if the task is to keep the higher of its two numbers for now."""
        return self.cycling and now - self._raised < CYCLE_S
