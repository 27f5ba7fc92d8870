"""Jobs that a worker has taken: they keep one container, as only a live worker brings back the jobs of one
that is gone."""

from __future__ import annotations

from microscaling.demand.task import Task


class Taken:
    """Whether a task needs a container for jobs that are not waiting. Pure."""

    __slots__ = ("given_up", "keeps", "paused", "since", "stuck", "task")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.keeps = self.paused = False
        """True if its running or stuck jobs need a container; if its source is paused."""
        self.stuck = 0
        """The stuck jobs at the last look."""
        self.since = 0.0
        """Time of their last change (seconds)."""
        self.given_up = False
        """True if they have been stuck for too long."""

    def look(self, now: float) -> str:
        """Updates all by the last measurement, at `now` (seconds). Returns a line for the log if stuck jobs
        are given up, else an empty one."""
        found = self.task.metric.states()
        if not found:  # one number only, as most sources give
            self.keeps = self.paused = False
            return ""
        self.paused = all(measured.paused for measured in found)
        line = self._count(sum(measured.stuck for measured in found), now)
        self.keeps = any(measured.running for measured in found) or (self.stuck > 0 and not self.given_up)
        return line

    def _count(self, stuck: int, now: float) -> str:
        task = self.task
        if stuck != self.stuck:
            self.stuck, self.since, self.given_up = stuck, now, False
        if not stuck or self.given_up or now - self.since < task.stuck_s:
            return ""
        self.given_up = True
        return (
            f"{task.name}: {stuck} jobs of workers that are gone have been stuck for {task.stuck_s:g} s "
            "(stuckSeconds): they keep no container any longer"
        )
