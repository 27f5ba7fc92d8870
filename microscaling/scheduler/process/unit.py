"""One container's worth of local processes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.process.family import Family
from microscaling.scheduler.process.handle import Handle
from microscaling.scheduler.process.state import Entry


class Unit:
    """One run of a task's command: reserved, then started, then ended. Its lock guards these steps."""

    def __init__(self, id: str, task: str, nonce: str, created: float) -> None:
        self.id = id
        self.task = task
        self.nonce = nonce
        self.created = created
        self.argv: list[str] = []
        self.env: Mapping[str, str] = {}
        self.lock = threading.Lock()
        self.intended = False
        self.family: Family | None = None
        self.ended = threading.Event()
        """All of it has ended, and the event was sent; or it was removed: is never started again."""

    @property
    def handle(self) -> Handle | None:
        return self.family.leader if self.family else None

    @property
    def over(self) -> bool:
        return self.ended.is_set()

    def state(self) -> State:
        if self.over:
            return State.EXITED
        return State.RUNNING if self.family else State.CREATED

    def seen(self) -> ListedContainer:
        """What a listing shows of it."""
        code = self.handle.exit_code if self.over and self.handle else None
        return ListedContainer(self.id, self.task, self.state(), self.created, self.nonce, exit_code=code)

    def entry(self) -> Entry | None:
        """For the state file; what was only reserved would not outlive the agent."""
        entry = Entry(self.id, self.task, self.nonce, self.created)
        if self.family is None:
            return entry if self.intended else None
        leader = self.family.leader
        return replace(entry, pid=leader.pid or None, started=leader.started, asked=tuple(self.family.asked))

    def event(self, kind: str, exit_code: int | None = None) -> Event:
        return Event(kind, self.id, self.task, self.nonce, exit_code)
