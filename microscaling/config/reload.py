"""Reads the configuration again while the agent runs: whole, checked whole, and taken whole or refused."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

from microscaling.demand.change import Change
from microscaling.demand.task import CONFIGURED, Task
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.utils.deadline_call import DeadlineCaller
from microscaling.utils.text import few
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssconfig")

READ_S = 10.0
"""Longest wait (seconds) for the source of the configuration: a start would wait for ever."""
RETRY_S = 1.0
ASKED_S = 4.0
"""Longest wait (seconds) of a person for the result, below the patience of the command."""
SAME = frozenset(CONFIGURED) | {"target", "version"}
KEPT = "the configuration stays as it was"

Load = Callable[[], tuple[list[Task], int]]


@dataclass(frozen=True)
class Outcome:
    """The end of one reload, for the person that asked for it."""

    said: str = ""
    problems: tuple[str, ...] = ()
    """Why it was refused; empty if it was taken."""


class Reloads(StoppableThread):
    """Carries out one reload after the other, whenever it is asked to.

    `load` returns the tasks and the cap, checked as at the start; `take` carries a change out, and may raise
    TemporaryError. `tasks` and `cap` are those of the start. `leaves`: the containers of a task that goes
    stay; `confirms`: a change by which a task goes waits for a `yes`; `scales_only`: why tasks cannot come or
    go, nor have other containers, if so.
    """

    def __init__(
        self,
        load: Load,
        take: Callable[[Change], None],
        tasks: Iterable[Task],
        cap: int,
        asked: threading.Event | None = None,
        leaves: bool = False,
        confirms: bool = False,
        scales_only: str = "",
    ) -> None:
        super().__init__("mss-reload")
        self.asked = asked or threading.Event()
        """Set by anything that wants a reload."""
        self._load = load
        self._take = take
        # Copies, as the tasks of the agent do not stay as they are.
        self._taken = {task.name: replace(task) for task in tasks}
        self._cap = cap
        self._leaves = leaves
        self._confirms = confirms
        self._scales_only = scales_only
        self._reading = DeadlineCaller("mss-reload-read")
        self._state = threading.Condition()
        self._yes = False
        self._number = 0
        """Of the reloads that were asked for by a person."""
        self._outcomes: dict[int, Outcome] = {}
        self._retries = False
        self._waits = ""
        """The change that waits for a yes, in words."""

    def stop(self) -> None:
        super().stop()
        self.asked.set()

    def ask(self, yes: bool = False, patience_s: float = ASKED_S) -> Outcome | None:
        """Asks for a reload, and waits for its result; None if it takes longer. `yes`: tasks may go."""
        with self._state:
            self._yes = self._yes or yes
            self._number += 1
            mine = self._number
            self.asked.set()
            self._state.wait_for(lambda: mine in self._outcomes or self.stopped.is_set(), patience_s)
            return self._outcomes.pop(mine, None)

    def cycle(self) -> None:
        self.asked.wait()
        self.asked.clear()  # before the look, so that a sign in its midst leads to another one
        if self.stopped.is_set():
            return
        with self._state:
            yes, self._yes, number = self._yes, False, self._number
        outcome = self._reload(yes)
        with self._state:
            # One look answers all that were asked for before it, and those of people who have gone away go.
            self._outcomes = dict.fromkeys(range(max(1, number - 15), number + 1), outcome)
            self._state.notify_all()
        if self._retries:
            self._retries = False
            self.stopped.wait(RETRY_S)
            with self._state:
                self._yes = self._yes or yes
            self.asked.set()

    def _reload(self, yes: bool) -> Outcome:
        try:
            tasks, cap = self._reading.call(self._load, READ_S)
        except ConfigError as error:
            return self._refused(error.problems)
        except (PermanentError, TemporaryError, TimeoutError) as error:
            return self._refused((f"the configuration cannot be read: {error}",))
        except Exception as error:  # of a plugin: it must not end an agent that runs well
            log.exception("reload: the configuration cannot be read")
            return self._refused((f"the configuration cannot be read: {error!r}",))
        change = self._change({task.name: task for task in tasks}, cap)
        if not change:
            log.info("reload: nothing has changed")
            return Outcome("nothing has changed")
        problems = self._impossible(change)
        if problems:
            return self._refused(problems)
        goes = change.gone | change.left
        words = in_words(change, self._taken)
        if goes and self._confirms and not yes:
            return self._waiting(words)
        try:
            self._take(change)
        except TemporaryError as error:
            self._retries = True
            log.warning("reload: not taken yet: %s; trying again", error)
            return Outcome(problems=(f"not taken yet: {error}; the agent goes on to try",))
        self._waits = ""
        self._taken, self._cap = {task.name: task for task in tasks}, cap
        log.info("reload: %s", words)
        return Outcome(words)

    def _refused(self, problems: Iterable[str]) -> Outcome:
        problems = tuple(problems)
        for problem in problems:
            log.error("reload: %s", problem)
        log.error("reload: refused: %s", KEPT)
        return Outcome(problems=problems)

    def _waiting(self, words: str) -> Outcome:
        said = f"waits for `microscaling reload --yes`, as a task goes: {words}"
        if self._waits != words:
            log.warning("reload: %s; until then %s", said, KEPT)
        self._waits = words
        return Outcome(problems=(said,))

    def _change(self, tasks: dict[str, Task], cap: int) -> Change:
        """Returns the difference to what the agent has. What a task measures and how it decides stay the same
        objects, with all that they know, if their part of the configuration is the same."""
        for name, task in tasks.items():
            old = self._taken.get(name)
            if old is not None:
                task.metric = old.metric if task.measures == old.measures else task.metric
                task.target = old.target if task.decides == old.decides else task.target
        changed = tuple(
            # Copies, as those of the agent do not stay as they are.
            replace(task)
            for name, task in tasks.items()
            if name not in self._taken or differences(self._taken[name], task)
        )
        goes = frozenset(self._taken.keys() - tasks.keys())
        gone, left = (frozenset(), goes) if self._leaves else (goes, frozenset())
        moved = [*tasks] != [name for name in self._taken if name in tasks]
        order = tuple(tasks) if moved else ()
        return Change(changed, gone, left, None if cap == self._cap else cap, order)

    def _impossible(self, change: Change) -> list[str]:
        """Returns what only a restart of the agent can do."""
        if not self._scales_only:
            return []
        found = [f"{task.name}: is new" for task in change.tasks if task.name not in self._taken]
        found += [f"{name}: is gone" for name in sorted(change.gone | change.left)]
        found += [
            f"{task.name}: what is in its containers has changed"
            for task in change.tasks
            if task.name in self._taken and task.version != self._taken[task.name].version
        ]
        return [f"{each}: {self._scales_only}" for each in found]


def differences(old: Task, new: Task) -> list[str]:
    """Returns the fields in which two configurations of a task differ."""
    return [f.name for f in fields(Task) if f.name in SAME and getattr(old, f.name) != getattr(new, f.name)]


def in_words(change: Change, had: dict[str, Task]) -> str:
    """Describes a change in one line: "new: a; changed: b; rolled: c; gone: d"."""
    new = [task.name for task in change.tasks if task.name not in had]
    known = [task for task in change.tasks if task.name in had]
    rolled = [task.name for task in known if task.version != had[task.name].version]
    parts = {
        "new": new,
        "changed": [task.name for task in known if task.name not in rolled],
        "rolled": rolled,
        "gone, with what runs": sorted(change.gone),
        "gone, but what runs stays": sorted(change.left),
    }
    words = [f"{what}: {few(names)}" for what, names in parts.items() if names]
    if change.cap is not None:
        words.append(f"maxContainers: {change.cap}")
    return "; ".join(words) or "the order of the tasks has changed"
