"""Events of the tasks, for notifications.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`; times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from microscaling.demand.history import Decision
from microscaling.demand.task import NOT_YET, Task
from microscaling.demand.tasks import Tasks
from microscaling.watch.warnings import News

KINDS = {
    "started": "the agent has started",
    "stopping": "the agent ends",
    "hold": "no decision may be made, as a second agent may be at work",
    "held": "a task has no reading",
    "fallback": "a task has had none for long, and its fallback is in force",
    "backoff": "the containers of a task keep failing",
    "override": "a person has paused or pinned a task, or ended it",
    "warning": "a warning of the agent",
    "scaled": "the demand of a task has changed",
}
"""Kind of event -> when it comes."""
USUAL = ("hold", "held", "fallback", "backoff", "warning")
"""Those that are sent without a setting."""
LASTS_S = 10.0
"""A state that comes and goes is no event: it has to last so long, and to be over for so long."""
AT_ONCE = ("backoff", "override")


@dataclass(frozen=True)
class Event:
    """One event. `active`: the state that it is about has begun, or is over; None: it is about none."""

    kind: str
    text: str
    task: str = ""
    """Empty: it is about the agent."""
    active: bool | None = None


@dataclass(slots=True)
class _State:
    """One state of one task, as of the last event."""

    told: bool = False
    since: float | None = None
    """Since when it differs from that."""


@dataclass(slots=True)
class _Seen:
    states: dict[str, _State] = field(default_factory=dict)
    last: Decision | None = None


OVER = {
    "hold": "decisions are made again",
    "held": "it is measured again",
    "fallback": "its fallback is over",
    "backoff": "its containers run again",
    "override": "it follows its rule again",
}


class Events:
    """Compares the tasks with those of the last look."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self._agent = _Seen()
        self._seen: dict[Task, _Seen] = {
            task: _Seen(last=task.history[-1] if task.history else None) for task in tasks.tasks
        }

    def look(self, now: float, news: Iterable[News]) -> list[Event]:
        """Returns the events since the last look, about a second ago; `news`: the warnings that have come,
        and those that are over."""
        found = [Event("warning", each.text, each.task, not each.over) for each in news]
        found += self._states("", self._agent, {"hold": self.tasks.hold}, now)
        self._seen = {task: self._seen.get(task) or _Seen() for task in self.tasks.tasks}
        for task, seen in self._seen.items():
            found += self._states(task.name, seen, dict(_reasons(task)), now)
            found += self._changes(task, seen)
        return found

    def _states(self, name: str, seen: _Seen, reasons: dict[str, str], now: float) -> Iterator[Event]:
        for kind, reason in reasons.items():
            state = seen.states.setdefault(kind, _State())
            if bool(reason) is state.told:
                state.since = None  # it was over, or back, too soon to be worth a message
                continue
            state.since = now if state.since is None else state.since
            if now - state.since >= (0.0 if kind in AT_ONCE else LASTS_S):
                state.told, state.since = bool(reason), None
                yield Event(kind, reason or OVER[kind], name, bool(reason))

    def _changes(self, task: Task, seen: _Seen) -> Iterator[Event]:
        history = task.history
        if not history or history[-1] is seen.last:  # mostly
            return
        # Only the last ones are kept, and there may have been more since the last look.
        known = next((i for i, each in enumerate(history) if each is seen.last), -1)
        for each in history[known + 1 :]:
            why = f" ({each.reason})" if each.reason is not None else ""
            yield Event("scaled", f"{each.before} -> {each.after}{why}", task.name)
        seen.last = history[-1]


def _reasons(task: Task) -> Iterator[tuple[str, str]]:
    """Yields the states of a task, each with its reason; empty if it is not in it."""
    failure = task.failure.why if task.failure else "they end too soon"
    yield "held", "" if task.held == NOT_YET else task.held
    yield "fallback", task.falling_back
    # A task that rests counts as backing off, by the will of its user.
    yield "backoff", failure if task.backing_off and not task.resting else ""
    yield "override", task.override
