"""What happened in a run, as the invariants look at it. Times are Unix seconds of this machine's clock."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.scene import DOCKER, Scene


@dataclass(frozen=True)
class Happening:
    """One thing that happened. What `kind` can be, and what else is set then:

    - create, start, die, kill, destroy and others (task, id, detail: the signal of a kill): what the
      engine's event stream says. The task is empty for containers that are not ours.
    - listed (detail: id -> task of what runs): the witness has connected anew, and asked.
    - there (detail: ids): all that was there then, in any state.
    - about (task, id, detail): what else the scene's labels say of a container that is new to the witness.
    - lost: the witness's stream has ended; until it has listed it knows nothing.
    - by hand (id; detail: pause, unpause or nothing): the driver is about to stop, kill or remove this
      container, to pause or to unpause it.
    - pause, unpause (task, id): by the agent or by hand, also what the engine says.
    - served (task, detail: the length): its queue's source has answered well.
    - decided (task, detail: [before, after, reason]), backs off (task, detail: seconds until the next try),
      stays up (task: it does not back off any more): what the agent's log says.
    - typed (detail: words, exit code, seconds): a command of Compose has ended.
    - rests (detail: whole, if with its whole project), wakes (task): Compose has stopped or removed all of
      it; is about to start it again.
    - state lost: what the agent keeps for its next life is gone.
    - said (id: the first 12 digits, detail: up, busy, idle): a container's own words.
    - drains (detail: ids): the agent's file of drains has changed.
    - down (detail: {"code": exit code, "left": what is left}): the whole project has been taken down.
    - agent up, agent down (detail: how), agent ended, agent died by itself (detail: exit code).
    - traceback (detail: where): there is one in the agent's log.
    - disturbed, calm: a round of faults begins; the last of its faults is over.
    - load (detail): of the machine, per processor.
    - steady, moving (detail of steady: task -> expected count): queues stay as they are.
    - end (detail: {"code": exit code, "left": what is left}).
    """

    t: float
    kind: str
    task: str = ""
    id: str = ""
    detail: Any = None


@dataclass
class Fault:
    """One fault of the plan as it came about. `hits`: the tasks that it may keep below their minimum."""

    kind: str
    group: str
    begin: float
    end: float | None = None
    hits: tuple[str, ...] = ()
    note: str = ""

    def over(self, now: float) -> float:
        """When it ended; a fault that goes on has not ended by `now`."""
        return now if self.end is None else self.end


@dataclass(eq=False)
class History:
    """All of it; written by several threads. What looks at it takes a copy, `so_far()`, that stays."""

    happenings: list[Happening] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    scene: Scene = DOCKER
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self, kind: str, task: str = "", id: str = "", detail: Any = None, t: float | None = None
    ) -> None:
        happening = Happening(time.time() if t is None else t, kind, task, id, detail)
        with self.lock:
            self.happenings.append(happening)

    def fault(self, kind: str, group: str, hits: Iterable[str] = (), note: str = "") -> Fault:
        """It begins now."""
        fault = Fault(kind, group, time.time(), hits=tuple(hits), note=note)
        with self.lock:
            self.faults.append(fault)
        return fault

    def so_far(self) -> History:
        """A copy in order of time."""
        with self.lock:
            return History(sorted(self.happenings, key=lambda h: h.t), list(self.faults), self.scene)

    @property
    def last(self) -> float:
        return self.happenings[-1].t if self.happenings else 0.0

    def of(self, *kinds: str) -> Iterator[Happening]:
        return (h for h in self.happenings if h.kind in kinds)

    def write(self, path: Path) -> None:
        with path.open("w") as file:
            for entry in (*self.faults, *self.happenings):
                file.write(json.dumps(asdict(entry)) + "\n")


@dataclass(frozen=True)
class State:
    """What of ours ran from `t` to `until`, by id. If not `known`, the witness was not connected."""

    t: float
    until: float
    running: dict[str, str]
    known: bool

    def count(self, task: str) -> int:
        return sum(1 for name in self.running.values() if name == task)


UNSURE_S = 1.0
"""A listing may be a little older than the events that come after it: only what lasts longer counts."""


@functools.lru_cache(maxsize=2)
def states(history: History) -> list[State]:
    """What ran when, by the engine's events."""
    running: dict[str, str] = {}
    held: set[str] = set()
    changes: list[tuple[float, dict[str, str], bool]] = []
    known = False
    for happening in history.happenings:
        if happening.kind == "lost":
            known = False
        elif happening.kind == "listed":
            running, known = dict(happening.detail), True
        elif happening.kind == "start" and happening.task:
            running = {**running, happening.id: happening.task}
        elif happening.kind in ("die", "destroy") and happening.id in running:
            running = {id: task for id, task in running.items() if id != happening.id}
        elif happening.kind == "by hand" and happening.detail == "pause":
            held.add(happening.id)
            continue
        elif happening.kind == "pause" and history.scene.freezes and happening.id not in held:
            running = {id: task for id, task in running.items() if id != happening.id}
        elif happening.kind == "unpause" and happening.task:
            held.discard(happening.id)
            running = {**running, happening.id: happening.task}
        else:
            continue
        changes.append((happening.t, running, known))
    ends = [t for t, _, _ in changes[1:]] + [history.last]
    return [State(t, until, *rest) for (t, *rest), until in zip(changes, ends, strict=True)]
