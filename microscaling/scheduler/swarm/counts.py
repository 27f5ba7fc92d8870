"""The tasks of a Swarm's services, counted: what runs, what waits for a node, and what has failed.

No I/O, no threads. Local times are monotonic seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from microscaling.clients.docker.swarm import SwarmNode, SwarmTask
from microscaling.utils.text import one_line

HOLDS_S = 5.0
"""A task that has run for this long has not failed at its start."""
JOINS_S = 15.0
"""A node that has come, or has come back, for a shorter time may refuse tasks for reasons of its own."""
BLIND_S = 5.0
"""After a longer time between two looks any node may have gone and come back."""
RUNNING, PENDING = "running", "pending"
ENDED = ("failed", "rejected")
BEGINNING = ("new", "allocated", "assigned", "accepted", "preparing", "ready", "starting")
MAX_SHOWN = 150


@dataclass
class TaskCounts:
    """The tasks of one service at one look."""

    running: int = 0
    """Those that run on nodes that are ready, those on their way out included."""
    staying: int = 0
    """Those among them that are to stay."""
    steady: int = 0
    """Those among these that have run for 5 s."""
    wanted: int = 0
    """Those that are to run, whether they do or not."""
    pending: int = 0
    """Those that no node has a place for."""
    failures: list[str] = field(default_factory=list)
    """Why tasks have failed soon after their start, since the last look."""
    words: Counter[str] = field(default_factory=Counter)
    """Those that are to run and do not, by their state in words."""

    @property
    def unplaced(self) -> str:
        """Describes those that are to run and do not: "3 pending: no suitable node"."""
        return ", ".join(f"{count} {what}" for what, count in sorted(self.words.items()))


# RunningTasks of a service would save the listing, but it counts tasks by their last report: those of a node
# that is down count for as long as it is away.
class Census:
    """Counts the tasks at each look; between looks it remembers when those that run began to."""

    def __init__(self) -> None:
        self.by_service: dict[str, TaskCounts] = {}
        self.room = 0
        """Changes whenever the cluster may have room for more tasks than before."""
        self._began: dict[str, tuple[float | None, float]] = {}
        """By id of a running task, the time of its start by the swarm's clock, and the local time of the look
        that saw it first."""
        self._known: set[str] | None = None
        """Ids of the tasks that had ended at the last look; None before the first."""
        self._nodes: dict[str, SwarmNode] = {}
        self._joined: dict[str, float] = {}
        """By id of a node that is ready for certain, the local time of the first such look in a row."""
        self._placed = 0
        self._looked = float("-inf")
        """Local time of the last look."""

    def look(self, tasks: Iterable[SwarmTask], nodes: Iterable[SwarmNode], now: float) -> None:
        """Takes over a listing of all tasks and nodes."""
        nodes_now = {node.id: node for node in nodes}
        # Those that are there when the agent comes have been there for long.
        first = now if self._known is not None else now - JOINS_S
        before = self._joined if now - self._looked <= BLIND_S else {}
        self._looked = now
        self._joined = {
            id: before.get(id, first) for id, node in nodes_now.items() if node.ready and node.confirmed
        }
        found: dict[str, TaskCounts] = {}
        began: dict[str, tuple[float | None, float]] = {}
        known: set[str] = set()
        placed = 0
        for task in tasks:
            counts = found.setdefault(task.service, TaskCounts())
            node = nodes_now.get(task.node)
            counts.wanted += task.desired == RUNNING
            placed += bool(task.node) and task.state not in (*ENDED, "complete", "shutdown", "orphaned")
            if task.state == RUNNING:
                self._runs(task, counts, node, began, now)
            elif task.state in ENDED:
                known.add(task.id)
                is_new = self._known is not None and task.id not in self._known
                if is_new and self._is_early(task) and self._has_settled(task.node, now):
                    counts.failures.append(_why(task))
            elif task.desired == RUNNING:
                _waits(task, counts)
        if self._known is not None and (placed < self._placed or _have_grown(self._nodes, nodes_now)):
            self.room += 1
        self.by_service, self._began, self._known = found, began, known
        self._nodes, self._placed = nodes_now, placed

    def of(self, service: str) -> TaskCounts:
        """Returns the counts of the service with this id."""
        return self.by_service.get(service) or TaskCounts()

    def _runs(
        self,
        task: SwarmTask,
        counts: TaskCounts,
        node: SwarmNode | None,
        began: dict[str, tuple[float | None, float]],
        now: float,
    ) -> None:
        # What ran before the agent has proven itself.
        first = self._began.get(task.id, (task.at, now if self._known is not None else now - HOLDS_S))
        # Kept for those of a node that is down, too: when it is back, their end is no failed start.
        began[task.id] = first
        # Of a node that is down only its last report is known.
        if node is None or not node.ready:
            if task.desired == RUNNING:
                counts.words["on a node that is down"] += 1
            return
        counts.running += 1
        if task.desired == RUNNING:
            counts.staying += 1
            counts.steady += now - first[1] >= HOLDS_S

    def _is_early(self, task: SwarmTask) -> bool:
        """True for a task that has ended within 5 s of its start, by the swarm's own clock."""
        began = self._began.get(task.id, (None, 0.0))[0]
        return began is None or task.at is None or task.at - began < HOLDS_S

    def _has_settled(self, node: str, now: float) -> bool:
        """True unless the node has just joined the swarm. No node at all is no excuse."""
        # A dead manager's engine takes tasks again before it can run any ("swarm is not active").
        return not node or now - self._joined.get(node, now) >= JOINS_S


def _waits(task: SwarmTask, counts: TaskCounts) -> None:
    """Counts a task that is to run and does not."""
    if task.state == PENDING:
        counts.pending += 1
        why = one_line(task.error)[:MAX_SHOWN]
        counts.words[f"pending: {why}" if why else "pending"] += 1
    else:
        counts.words["preparing" if task.state in BEGINNING else one_line(task.state)[:MAX_SHOWN]] += 1


def _why(task: SwarmTask) -> str:
    return f"task {task.state}: {one_line(task.error)[:MAX_SHOWN] or 'no reason given'}"


def _have_grown(before: Mapping[str, SwarmNode], now: Mapping[str, SwarmNode]) -> bool:
    """True if a node has come, is ready again, takes tasks again, or has changed otherwise."""
    for id, node in now.items():
        old = before.get(id)
        if node.ready and node.takes_tasks and node != old:
            return True
    return False
