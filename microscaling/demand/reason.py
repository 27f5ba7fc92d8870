"""Why a task's demand is what it is."""

from __future__ import annotations

from microscaling.target.base import Target

UP = "{judged}: wants {wants} more, {free} free, takes {by}"
BACK = "{judged}: can do with {wants} fewer, gives back {by}"
ABOVE_MAXIMUM = "above its maximum: gives back {by}"
BELOW_MINIMUM = "below its minimum: wants {wants}, {free} free, takes {by}"
GAVE_WAY = "gives {by} to {other}, which comes first and is short of {wants}"
TOOK = "{judged}: wants {wants} more, takes {by}, of them {given} from {other}"
MINIMUM_TOOK = "below its minimum by {wants}: takes {by}, of them {given} from {other}"
MINIMUM_GAVE = "gives {by} to {other}, which is below its minimum"
IDLE = "{judged}: empty for {wants} s, gives back {by}"
LAST = "{judged}: something waits and it has none, {free} free, takes {by}"
LAST_TOOK = "{judged}: something waits and it has none, takes {by} from {other}"
LAST_GAVE = "gives {by} to {other}, which comes first and has none"
OVER_CAP = "{wants} too many for the cap of {free}: gives back {by}"


class Reason:
    """One change of demand, kept as numbers: there can be thousands a beat. `str()` puts it into a
    sentence when somebody looks.

    `rule` is one of the sentences above, or any text that says it all. Counts are containers: demand
    `before` and `after`, what the rule was about to move (`wants`), what was `free` just then, and
    what others gave of it (`given`). `other` is who gave, or who was given to.
    """

    __slots__ = ("after", "before", "current", "free", "given", "other", "rule", "target", "wants")

    def __init__(
        self,
        rule: str,
        before: int,
        after: int,
        wants: int = 0,
        free: int = 0,
        other: str = "",
        target: Target | None = None,
        current: int = 0,
        given: int = 0,
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

    def __repr__(self) -> str:
        return f"Reason({self.before} -> {self.after}: {self})"

    def __str__(self) -> str:
        if self.rule not in _RULES:
            return self.rule
        return self.rule.format(
            judged=self.target.words(self.current) if self.target else "",
            by=abs(self.after - self.before),
            wants=self.wants,
            free=max(0, self.free),
            other=self.other,
            given=self.given,
        )


_RULES = {
    UP, BACK, ABOVE_MAXIMUM, BELOW_MINIMUM, GAVE_WAY, TOOK, MINIMUM_TOOK, MINIMUM_GAVE,
    IDLE, LAST, LAST_TOOK, LAST_GAVE, OVER_CAP,
}  # fmt: skip
