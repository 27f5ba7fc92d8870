"""The calm of a rule: containers are given back only after a while, and not again and again."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

CYCLE_S = 120.0
"""Seconds between two times that a task gives back a container that it has always needed again, at first."""
MOST_S = 300.0
"""The same, at most: each time in vain doubles it."""
PROVEN_S = 60.0
"""Seconds after which a container that was given back is one that the task can do without."""
TURNS = 4
"""Moves within the last two CYCLE_S, all between two neighbouring numbers, that are a cycle."""
REVERSALS = 3
"""Changes of direction within CYCLE_S that are a cycle, if all numbers are within the noise."""
SPAN = 4.0
"""Width of the noise, in standard deviations of the need of a random queue."""
PART_S = 30.0
LEAST_DRIFT, DRIFT = 0.8, 0.8
"""Containers, and standard deviations as above, by which the means of the parts of CYCLE_S differ at most
while the load is steady."""
BURST = 2
"""Containers beyond that width by which a cycling task may move without an end of the cycle."""
EMPTY_S = 20.0
"""Seconds with an empty queue after which a cycling task gives back, too: the load has become less."""
STEP_S = 5.0
"""Seconds between two containers that it gives back then."""


class Calm:
    """The needs of the last seconds, and the moves of the last minutes, of one task.

    A task *cycles* if it moves to and fro though its load is steady: what it needs is between two numbers, or
    all of the moves are noise. Then it keeps each number for a while before it tries with one fewer.
    """

    __slots__ = ("_begun", "_empty_s", "_lowered", "_moves", "_needs", "_raised", "cycling", "hold_s")

    def __init__(self) -> None:
        self._needs: deque[tuple[float, float]] = deque()
        """Time and need (containers), only those that no later one exceeds: so the first is the highest."""
        self._moves: deque[tuple[float, int]] = deque()
        """Time and number of containers after each move; the first one is that of the first look."""
        self._empty_s = 0.0
        self._raised = self._lowered = float("-inf")
        self._begun = 0.0
        """The time of the first look."""
        self.cycling = False
        self.hold_s = CYCLE_S
        """Seconds for which a cycling task keeps a number."""

    def peak(self, now: float, need: float, seconds: float) -> float:
        """Notes a need; returns the highest of the last seconds."""
        needs = self._needs
        while needs and needs[0][0] <= now - seconds:
            needs.popleft()
        while needs and needs[-1][1] <= need:
            needs.pop()
        needs.append((now, need))
        return needs[0][1]

    def look(self, now: float, has: int, noise: float, empty_s: float) -> None:
        """Notes the containers that the task has. `noise`: standard deviation of the need of a random queue
        (containers); `empty_s`: for how long the queue has been empty (seconds)."""
        self._empty_s = empty_s
        if not self._moves:
            self._moves.append((now, has))
            self._begun = now
        # Moves by others, as a lower cap, count as well: the task has come back from them.
        elif has != self._moves[-1][1]:
            self._move(now, has)
            self._judge(now, noise)

    def _move(self, now: float, has: int) -> None:
        if has > self._moves[-1][1]:
            if self.cycling and now - self._lowered < PROVEN_S:
                self.hold_s = min(2 * self.hold_s, MOST_S)
            self._raised = now
        else:
            self._lowered = now
        self._moves.append((now, has))
        # The last one before the window is kept: it is the number at its beginning.
        while len(self._moves) > 1 and self._moves[1][0] < now - 2 * CYCLE_S:
            self._moves.popleft()

    def _judge(self, now: float, noise: float) -> None:
        """Finds out whether the task cycles, after a move."""
        recent = self._since(now - CYCLE_S)
        counts = [count for _, count in recent]
        span, width = max(counts) - min(counts), max(2.0, SPAN * noise)
        if self.cycling:
            self.cycling = span <= width + BURST
            return
        means = [
            _mean(recent, now - (i + 1) * PART_S, now - i * PART_S) for i in range(round(CYCLE_S / PART_S))
        ]
        steady = span <= width and max(means) - min(means) <= max(LEAST_DRIFT, DRIFT * noise)
        if self._between_two(now) or (
            steady and now - self._begun >= CYCLE_S and _reversals(counts) >= REVERSALS
        ):
            self.cycling, self.hold_s = True, CYCLE_S

    def _since(self, begin: float) -> list[tuple[float, int]]:
        """Returns the moves since a time, and before them the last one until that time."""
        before = [move for move in self._moves if move[0] <= begin]
        return [*before[-1:], *(move for move in self._moves if move[0] > begin)]

    def _between_two(self, now: float) -> bool:
        counts = [count for at, count in self._moves if at >= now - 2 * CYCLE_S and at > self._begun]
        return len(counts) >= TURNS and max(counts) - min(counts) <= 1

    def holds(self, now: float) -> bool:
        """True if the task is to keep its number for now."""
        if not self.cycling:
            return False
        # A queue that stays empty is no noise. For the last container other rules hold, and a job that is
        # shorter than the time between two readings is never seen to wait.
        fell = self._empty_s >= EMPTY_S and self._moves[-1][1] > 1
        return now - max(self._raised, self._lowered) < (STEP_S if fell else self.hold_s)


def _mean(moves: list[tuple[float, int]], begin: float, end: float) -> float:
    """Returns the mean number of containers between two times."""
    whole = 0.0
    for (at, count), (until, _) in pairwise([*moves, (end, 0)]):
        whole += count * max(0.0, min(end, until) - max(begin, at))
    return whole / (end - begin)


def _reversals(counts: list[int]) -> int:
    """Returns how often the numbers begin to rise after a fall, or to fall after a rise."""
    rises = [after > before for before, after in pairwise(counts)]
    return sum(before != after for before, after in pairwise(rises))
