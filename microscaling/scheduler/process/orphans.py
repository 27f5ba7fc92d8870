"""Orphans: processes from tasks that have lost their parent, and are children of this process now."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from signal import SIGKILL

from microscaling.scheduler.process.family import Family
from microscaling.scheduler.process.handle import Handle
from microscaling.utils.process import Row, children, row


class Orphans:
    """The children of this process that are not leaders of a task. Those that it has when this is made come
    from none: whoever replaced itself by the agent (`exec`) had started them. They are left alone."""

    def __init__(self) -> None:
        self._before: set[tuple[int, str]] = set()
        self._inherited = {(row.pid, row.started) for row in _children()}

    def look(self, families: Iterable[Family]) -> None:
        """Reaps the ended ones, and assigns the others to a family."""
        families = list(families)
        leaders = {family.leader.pid for family in families}
        mine = os.getsid(0)
        rows = [row for row in _children() if row.pid not in leaders and row.session != mine]
        strays = [
            row
            for row in rows
            if (row.pid, row.started) not in self._inherited and not any(f.knows(row) for f in families)
        ]
        # A leader that is just being started is a child already, but in no family yet: so only a process that
        # was there the last time counts.
        for stray in strays:
            if (stray.pid, stray.started) in self._before:
                _settle(stray, families)
        self._before = {(row.pid, row.started) for row in strays}


def _children() -> list[Row]:
    return [found for pid in children() if (found := row(pid)) is not None]


def _settle(stray: Row, families: list[Family]) -> None:
    if stray.zombie:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(stray.pid, os.WNOHANG)
        return
    mother = next((family for family in families if family.has_marked(stray)), None)
    if mother is None:  # its environment was emptied: the last leader started before it is the best guess
        older = [f for f in families if f.leader.started.zfill(20) <= stray.started.zfill(20)]
        mother = max(older, key=lambda f: f.leader.started.zfill(20), default=None)
    if mother is not None:
        mother.claim(stray)
        return
    handle = Handle.adopt(stray.pid, stray.started)
    if handle is not None:  # no family is older: its task has ended
        handle.signal(SIGKILL)
        handle.close()
