"""A family: a leader and all processes that come from it."""

from __future__ import annotations

import contextlib
import os
from signal import SIGKILL, SIGTERM

from microscaling.scheduler.process.handle import Handle
from microscaling.utils.process import Row, has_proc, has_variable, snapshot

RESCAN_S = 1.0
"""Interval of the search for new members once the leader has ended; the end of one triggers a search at
once."""
RESCAN_WITHOUT_PIDFD_S = 0.2


class Family:
    """A leader with its descendants, in any group or session.

    A descendant is recognised by its ancestry, by the session of another one, and, after the end of its
    parent, by the mark in its environment. Only `fds` may be called without the owner's lock.
    """

    def __init__(self, leader: Handle, mark: tuple[str, str], reparented: bool) -> None:
        self.leader = leader
        self.asked: set[tuple[int, str]] = set()
        """Pid and start time of the processes that got their SIGTERM, from this agent or the one before."""
        self.kill_at = float("inf")
        """Time at which the remaining ones are killed, monotonic seconds."""
        self._mark = mark
        self._reparented = reparented
        """Orphans of this family become children of this process."""
        self._known: dict[int, str] = {}
        # The pid of a leader that ended before this first look may be a new session's by now.
        self._sessions = set() if leader.has_ended() and not leader.child else {leader.pid}
        self._rest: dict[tuple[int, str], Handle] = {}
        self._looked = float("-inf")

    def ask(self, number: int = SIGTERM) -> None:
        """Sends SIGTERM, or its task's own signal in its place, to the leader alone."""
        # The leader knows the order in which its children should end; a child of Celery's or RQ's would die
        # of the signal in the middle of a job.
        if not self.leader.has_ended():
            self.members(snapshot())  # before parents end, and ancestry is lost
            self._ask(self.leader, number)

    def send(self, number: int) -> None:
        """Sends a signal to the leader alone; SIGTERM only once."""
        if number == SIGTERM:
            self.ask()
        else:
            self.leader.signal(number)

    def _ask(self, handle: Handle, number: int = SIGTERM) -> None:
        # Never a second SIGTERM: RQ's workers kill their job on it.
        if (handle.pid, handle.started) not in self.asked:
            self.asked.add((handle.pid, handle.started))
            handle.signal(number)

    def kill(self, now: float) -> None:
        """Kills the leader with its group; `outlived` kills the rest."""
        self.kill_at = min(self.kill_at, now)
        self.leader.signal_group(SIGKILL)

    def outlived(self, now: float) -> bool:
        """True if any process is left after the end of the leader. Sends SIGTERM to the topmost of the rest;
        after `kill_at` kills all of them."""
        if self._rest and not self._news(now):
            return True
        self._looked = now
        # Two looks, if the first finds none: a parent that ends during a look does not show its mark, and its
        # child's ancestry is lost.
        left = self.members(snapshot()) or self.members(snapshot())
        self._hold(left)
        for (pid, _), handle in self._rest.items():
            if now >= self.kill_at:
                handle.signal(SIGKILL)
            elif left[pid].parent not in left:
                self._ask(handle)
        return bool(self._rest)

    def members(self, rows: dict[int, Row]) -> dict[int, Row]:
        """Finds the descendants among all processes, without the leader, and remembers them."""
        found = {pid: rows[pid] for pid, started in self._known.items() if _is(rows.get(pid), started)}
        sessions = {s for s in self._sessions if s in found or self._is_session_of_ours(s, rows)}
        for row in rows.values():
            if row.session in sessions or row.group in sessions:
                found[row.pid] = row
        found |= {row.pid: row for row in self._marked(rows) if row.pid not in found}
        self._add_descendants(found, rows)
        found.pop(self.leader.pid, None)
        _reap(found)
        living = {pid: row for pid, row in found.items() if not row.zombie}
        self._known = {pid: row.started for pid, row in living.items()}
        alive = {self.leader.pid} if _is(rows.get(self.leader.pid), self.leader.started) else set()
        self._sessions = {row.session for row in living.values()} | alive
        return living

    def knows(self, row: Row) -> bool:
        """True if the process is the leader, or was found as a member."""
        same = row.pid == self.leader.pid and row.started == self.leader.started
        return same or self._known.get(row.pid) == row.started

    def has_marked(self, row: Row) -> bool:
        """True if the process was started in the environment of this family."""
        return has_variable(row.pid, *self._mark)

    def claim(self, row: Row) -> None:
        """Adds a process without any recognisable relation."""
        self._known[row.pid] = row.started

    def fds(self) -> list[int] | None:
        """Returns the descriptors that become readable at the end of a member; None if there must be
        polling."""
        handles = list(self._rest.values()) or [self.leader]
        found = [handle.pidfd for handle in handles]
        return None if None in found else [fd for fd in found if fd is not None]

    def close(self) -> None:
        """Releases all handles without a signal."""
        for handle in (self.leader, *self._rest.values()):
            handle.close()

    def _news(self, now: float) -> bool:
        if self._looked < self.kill_at <= now:
            return True
        patience = RESCAN_S if self.fds() is not None else RESCAN_WITHOUT_PIDFD_S
        return now - self._looked >= patience or any(h.has_ended() for h in self._rest.values())

    def _hold(self, left: dict[int, Row]) -> None:
        wanted = {(row.pid, row.started) for row in left.values()}
        for key in self._rest.keys() - wanted:
            self._rest.pop(key).close()
        for key in wanted - self._rest.keys():
            handle = Handle.adopt(*key)
            if handle is not None:
                self._rest[key] = handle

    def _is_session_of_ours(self, session: int, rows: dict[int, Row]) -> bool:
        """True if a known session still consists of members only."""
        # The number of a session is not reused while there are processes in it. A process with that pid that
        # is not of this family shows that it was.
        leading = rows.get(session)
        if leading is None:
            return True
        if session == self.leader.pid:
            # After its end the leader's pid may be reused, except while it is a zombie.
            return leading.started == self.leader.started and (leading.zombie or not self.leader.has_ended())
        return leading.zombie

    def _marked(self, rows: dict[int, Row]) -> list[Row]:
        """Returns orphans of this family, by the mark in their environment."""
        if not has_proc():
            return []
        mine, me, since = os.getsid(0), os.getpid(), _ticks(self.leader.started)
        return [
            row
            for row in rows.values()
            if not row.zombie
            and row.session != mine
            and (row.parent == me if self._reparented else _ticks(row.started) >= since)
            and has_variable(row.pid, *self._mark)
        ]

    def _add_descendants(self, found: dict[int, Row], rows: dict[int, Row]) -> None:
        below: dict[int, list[Row]] = {}
        for row in rows.values():
            below.setdefault(row.parent, []).append(row)
        todo = list(found)
        if _is(rows.get(self.leader.pid), self.leader.started):
            todo.append(self.leader.pid)
        while todo:
            for row in below.get(todo.pop(), []):
                if row.pid not in found:
                    found[row.pid] = row
                    todo.append(row.pid)


def marked(variable: str, value: str) -> list[Row]:
    """Returns all processes with that mark, the oldest first; none without /proc."""
    if not has_proc():
        return []
    rows = [row for row in snapshot().values() if not row.zombie and has_variable(row.pid, variable, value)]
    return sorted(rows, key=lambda row: (_ticks(row.started), row.pid))


def _is(row: Row | None, started: str) -> bool:
    return row is not None and row.started == started


def _ticks(started: str) -> int:
    return int(started) if started.isdigit() else 0


def _reap(found: dict[int, Row]) -> None:
    """Reaps ended orphans that became our children."""
    for row in found.values():
        if row.zombie and row.parent == os.getpid():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(row.pid, os.WNOHANG)
