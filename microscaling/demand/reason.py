"""Reasons for changes of demand, as sentences for logs and reports."""

from __future__ import annotations

from microscaling.metric.measurement import Measurement
from microscaling.target.base import Worded

UP = "{judged}: wants {wants} more, {free} free, takes {by}"
BACK = "{judged}: can spare {wants}, gives back {by}"
UP_LATE = "{judged}: wants {wants} more than the {given} it has asked for: {by} fewer than decided before"
BACK_LATE = "{judged}: has {given} still, can spare {wants}: {by} more than decided before"
GAVE_LATE = "has {given} still, gives {wants} to {other}, which comes first: {by} more than decided before"
"""The three *_LATE rules start from the requested count. Demand had run ahead of it, so the net change goes
the other way."""
ABOVE_MAXIMUM = "above its maximum: gives back {by}"
BELOW_MINIMUM = "below its minimum: wants {wants}, {free} free, takes {by}"
GAVE_WAY = "gives {by} to {other}, which comes first and is short of {wants}"
TOOK = "{judged}: wants {wants} more, takes {by}, of them {given} from {other}"
MINIMUM_TOOK = "below its minimum by {wants}: takes {by}, of them {given} from {other}"
MINIMUM_GAVE = "gives {by} to {other}, which is below its minimum"
IDLE = "{judged}: empty for {wants} s, gives back {by}"
LAST = "{judged}: something waits and it has none, {free} free, takes {by}"
LAST_TOOK = "{judged}: something waits and it has none, takes {by} from {other}"
TAKEN = "{judged}: jobs are taken and it has none, {free} free, takes {by}"
TAKEN_TOOK = "{judged}: jobs are taken and it has none, takes {by} from {other}"
LAST_GAVE = "gives {by} to {other}, which comes first and has none"
BELOW_RESERVE = "below its reserve: wants {wants}, {free} free, takes {by}"
RESERVE_TOOK = "below its reserve by {wants}: takes {by}, of them {given} from {other}"
OF_RESERVE = {BELOW_MINIMUM: BELOW_RESERVE, MINIMUM_TOOK: RESERVE_TOOK}
SHARE_TOOK = "{judged}: wants {wants}, its share by weight is {given} of {free}: takes {by}"
SHARE_GAVE = "{judged}: wants {wants}, its share by weight is {given} of {free}: gives back {by}"
OVER_CAP = "{wants} too many for the cap of {free}: gives back {by}"
OVER_PLACES = "{wants} too many for the cap of {free} (less {other}): gives back {by}"
TRY = "tries again, in a free place"
TRY_TOOK = "tries again, in the place of one of {other}"
TRY_GAVE = "gives {by} to {other}, which tries again"


class Reason:
    """One change of demand, kept as numbers. `str()` makes the sentence.

    `rule` is one of the templates above, or a complete sentence. Counts are containers: demand `before` and
    `after`, the change that the rule intended (`wants`), the places that were `free` at that moment, and
    `given`, the part that came from other tasks. `other` is the giving or the receiving task, `current` and
    `measured` are the reading. `earlier` is the preceding reason within the same decision; the attribute
    exists only after `on_top_of`.
    """

    # There can be thousands in a beat, most are never read, and most have no `earlier`: so numbers in slots,
    # the sentence on demand, and no assignment of `earlier` in __init__.
    __slots__ = ("after", "before", "current", "earlier", "free", "given", "measured", "other", "rule",
                 "target", "wants")  # fmt: skip

    def __init__(
        self,
        rule: str,
        before: int,
        after: int,
        wants: int = 0,
        free: int = 0,
        other: str = "",
        target: Worded | None = None,
        current: int = 0,
        given: int = 0,
        measured: Measurement | None = None,
    ) -> None:
        self.rule = rule
        self.before = before
        self.after = after
        self.wants = wants
        self.free = free
        self.other = other
        self.target = target
        self.current = current
        self.given = given
        self.measured = measured

    def on_top_of(self, earlier: Reason | None) -> Reason:
        """Links this reason to an earlier one of the same decision, and returns it."""
        self.earlier = earlier
        return self

    def __repr__(self) -> str:
        return f"Reason({self.before} -> {self.after}: {self})"

    def __str__(self) -> str:
        if self.rule not in _RULES:
            return self.rule
        return self.rule.format(
            judged=judged(self.target, self.current, self.measured) if self.target else "",
            by=abs(self.after - self.before),
            wants=self.wants,
            free=max(0, self.free),
            other=self.other,
            given=self.given,
        )


def judged(target: Worded, current: int, measured: Measurement | None) -> str:
    """Describes a reading: "queue 12 of target 10 (4 running, 30 future)"."""
    more = measured.words(current) if measured is not None else ""
    return f"{target.words(current)} ({more})" if more else target.words(current)


def explained(last: Reason | None, before: int) -> Reason | None:
    """Returns the reason for the change from `before` to the outcome of `last`, all steps of the decision
    combined. Steps in the direction of the net change come first in the sentence."""
    if last is not None and last.before == before:  # one step, as nearly all are
        last.earlier = None  # otherwise the chain would keep the reasons of all time
        return last
    steps: list[Reason] = []
    step = last
    while step is not None:
        steps.insert(0, step)
        step = None if step.before == before else getattr(step, "earlier", None)
    if last is None or steps[0].before != before:
        alone = last
    else:
        up = last.after > before
        if (steps[0].after > before) == up:
            said = "; then ".join(dict.fromkeys(map(str, steps)))  # both steps may be by one override
        else:
            # A number does not rise because a part of it was given away, so that part comes last.
            along = [str(step) for step in steps if (step.after > step.before) == up]
            against = [str(step) for step in steps if (step.after > step.before) != up]
            said = "; ".join(along) + "; before that " + "; ".join(against)
        alone = Reason(said, before, last.after)
    if alone is not None:
        alone.earlier = None
    return alone


_RULES = {
    UP, BACK, ABOVE_MAXIMUM, BELOW_MINIMUM, GAVE_WAY, TOOK, MINIMUM_TOOK, MINIMUM_GAVE,
    IDLE, LAST, LAST_TOOK, LAST_GAVE, TAKEN, TAKEN_TOOK, OVER_CAP,
    BELOW_RESERVE, RESERVE_TOOK, SHARE_TOOK, SHARE_GAVE,
    OVER_PLACES, TRY_TOOK, TRY_GAVE, UP_LATE, BACK_LATE, GAVE_LATE,
}  # fmt: skip
