"""Several rules for one task, each for a metric of its own: the greatest wish wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from microscaling.metric.multiple import Member, MultipleMetric
from microscaling.target.base import Observation, Target, Worded


@dataclass(frozen=True, slots=True)
class Won:
    """The rule that decides, and its metric, at the moment of a decision."""

    place: str
    count: int
    rule: Worded
    lacking: str

    def words(self, current: int) -> str:
        """Describes the reading as the rule that decides does, and says which of several it is."""
        fails = f"; {self.lacking}" if self.lacking else ""
        return f"{self.rule.words(current)} ({self.place}, the most of {self.count}{fails})"


class GreatestTarget(Target):
    """Wants as many containers as the rule that wants most. While one of its metrics has no reading, the task
    wants no fewer than it has: nothing is known of what that metric would ask for.

    A task with several metrics (`metrics` in the configuration) has it; `ruleType` cannot name it.
    """

    __slots__ = ("_paced", "absolute", "metric", "rules", "wishes", "with_running")

    def __init__(self, rules: Sequence[Target], metric: MultipleMetric) -> None:
        self.rules = tuple(rules)
        """Each for the member of `metric` at the same place."""
        self.metric = metric
        # A wish that depends on the running containers makes no sense while some of them start.
        self.absolute = all(rule.absolute for rule in rules)
        self.with_running = False
        self.wishes: list[int | None] = [None] * len(rules)
        """Of each rule at the last decision; None: its metric has no reading."""
        self._paced = [1.0] * len(rules)

    def __repr__(self) -> str:
        return f"GreatestTarget({', '.join(map(repr, self.rules))})"

    def decide(self, seen: Observation) -> int:
        members = self.metric.members
        self.wishes = [self._wish(i, member, seen) for i, member in enumerate(members)]
        known = [(wish, i) for i, wish in enumerate(self.wishes) if wish is not None]
        if not known:
            return seen.requested
        # Of equal wishes that of a queue in which something waits, and then the first in the configuration.
        greatest, index = max(known, key=lambda each: (each[0], members[each[1]].waits, -each[1]))
        self.metric.show(index)
        return max(greatest, seen.requested) if any(member.problem for member in members) else greatest

    def _wish(self, i: int, member: Member, seen: Observation) -> int | None:
        rule, metric = self.rules[i], member.metric
        if member.problem:
            return member.fallback
        if member.anew:
            rule.reset()
            member.anew = False
        if member.beats != self._paced[i]:
            self._paced[i] = member.beats
            rule.paced(member.beats)
        own = Observation(metric.current, seen.running, seen.requested, member.seconds, metric.measured,
                          seen.now, member.measured_at)  # fmt: skip
        wish = rule.decide(own)
        # What the allocation asks a rule alone, as it knows nothing of the others.
        if wish > seen.requested and rule.meeting(metric.current):
            return seen.requested
        if wish < seen.requested and not rule.exceeding(metric.current):
            return seen.requested
        return wish

    def reset(self) -> None:
        for rule in self.rules:
            rule.reset()

    def patience_s(self) -> float:
        return max((rule.patience_s() for rule in self.rules), default=0.0)

    def at_this_moment(self) -> Worded:
        shown = self.metric.shown
        member, rule = self.metric.members[shown], self.rules[shown]
        return Won(member.place, len(self.rules), rule.at_this_moment(), self.metric.lacking)

    def words(self, current: int) -> str:
        return self.at_this_moment().words(current)
