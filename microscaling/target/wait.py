"""The rule for the time that an item waits: it learns how many come, and how many one container does."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, sqrt
from typing import Any

from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.target.base import Observation, Target
from microscaling.target.belief import Belief
from microscaling.target.calm import Calm
from microscaling.target.kept import Kept
from microscaling.target.moment import Moment, between
from microscaling.target.oldest import Oldest
from microscaling.target.past import Past
from microscaling.target.start import Start
from microscaling.target.told import Learned, Told

LEAST_S = 0.5
MOST_S = 86400.0
KEPT = 0.5
"""Part of the promise for which items wait when all is well. Without any queue neither rate would show, and
capacity would be bought that nothing needs."""
BELIEVED = 0.65
"""Part of the belief for which the number of containers keeps the promise."""
ABSORBED = 1 / 3
"""Delays up to this part of the usual wait are left to the queue: to look ahead is to follow noise."""
SLACK = 0.5
"""Containers by which the need may differ from their number before it is changed, at least."""
NOISE_UP, NOISE_DOWN = 0.6, 1.0
"""The same, in standard deviations of the need of a random queue."""
HELD = 0.4
HELD_JOBS = 5.0
"""Containers are given back if none of the last seconds needed them: this part of the promise, or the time
of so many jobs, up to the promise."""
TRIAL = 0.1
"""Part of the promise between two steps up while little is known."""
UNSURE = 2.5
"""Ratio of the service rates of 80 and of 20 % of the belief above which little is known."""
MARGIN = 0.1
"""Containers by which the load may be overestimated."""
EVENTS = 2.0
"""Jobs that an interval has, if possible: with fewer it tells nothing."""
MIN_INTERVAL_S, MAX_INTERVAL_S = 0.05, 30.0
MOST_CONTAINERS = 1e9
"""A larger need is no number of containers any more."""


class WaitTarget(Target):
    """Keeps the promise that no item waits longer than `seconds`.

    The queue is kept at about half of the length that the promise allows: containers = length / (service rate
    * seconds / 2). So the queue itself follows the arrivals, and only the service rate has to be learned
    (`Belief`). `age_s`: age of the readings; `start_s`: seconds until a new container takes its first job
    (None: learned from the running containers). Both are looked ahead, as far as the queue cannot absorb
    them.
    """

    __slots__ = ("_age_s", "_calm", "_emptied", "_exact", "_fresh", "_from", "_had", "_kept", "_moved",
                 "_oldest", "_past", "_seen", "_start", "_told", "belief", "seconds")  # fmt: skip

    type_name, summary = "Wait", "what keeps the wait of its items below a time"
    absolute = True
    fields = (
        Field(
            "maxWaitSeconds",
            "Longest wait",
            kind="number",
            required=True,
            least=LEAST_S,
            most=MOST_S,
            hint="seconds that an item may wait",
        ),
        Field(
            "startSeconds",
            "Start",
            kind="number",
            least=0,
            most=3600,
            hint="until a new container takes its first job; 0: learned",
        ),
        Field(
            "readingAgeSeconds",
            "Age of readings",
            kind="number",
            least=0,
            most=600,
            hint="age of the numbers that its source answers with",
        ),
    )

    def __init__(self, seconds: float, age_s: float = 0.0, start_s: float | None = None) -> None:
        self.seconds = seconds
        self.belief = Belief()
        self._age_s = age_s
        self._start = Start(start_s)
        self._past, self._calm = Past(), Calm()
        self._told: Told | None = None
        self._kept, self._oldest, self._exact = Kept(), Oldest(), False
        self._had, self._moved = 0, float("-inf")
        """Containers at the last decision, and the time of their last change."""
        self._seen: int | None = None
        """The last reading (items waiting); None: there was none yet, or a gap after it."""
        self._emptied = float("-inf")
        """The last time that something waited."""
        self._fresh = 0.0
        """The time that it is of."""
        self._from = Moment(0.0, 0)
        """The beginning of the interval that is still to be learned from."""

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> WaitTarget:
        return cls(values["maxWaitSeconds"], values["readingAgeSeconds"], values["startSeconds"] or None)

    def __repr__(self) -> str:
        return f"WaitTarget({self.seconds:g})"

    def decide(self, seen: Observation) -> int:
        now, has = seen.now, seen.requested
        self._past.note(now, seen.running)
        self._start.look(now, has, seen.running)
        self._learn(seen, now)
        self._measure(seen, now)
        if has != self._had:
            self._had, self._moved = has, now
        if self._seen:
            self._emptied = now
        if self.belief.blank:
            return has
        self._calm.look(now, has, self._noise(has), now - self._emptied)
        need, sure = self._need(now, has)
        wish = self._wish(need, now, has)
        if wish > has and not sure:
            # Each step shows more of the service rate.
            wish = min(wish, has + max(1, has // 2)) if now - self._moved >= self._trial_s() else has
        middle = self.belief.middle()
        self._told = Told(middle.arrivals, middle.rate, round(middle.arrivals * self.seconds * KEPT), wish)
        return wish

    def _measure(self, seen: Observation, now: float) -> None:
        """Notes how long the oldest item has waited: by the source, or by what has been taken since."""
        oldest = None if seen.measured is None else seen.measured.oldest_age_s
        self._exact = oldest is not None
        if oldest is not None:
            self._kept.note(now, oldest, self.seconds)
        elif self._seen is not None:
            rate = 0.0 if self.belief.blank else self.belief.middle().rate
            age_s = self._oldest.look(
                self._fresh, self._seen, lambda since: rate * self._past.served(since, self._fresh)
            )
            self._kept.note(now, age_s, self.seconds)

    def learned(self) -> Learned:
        """Returns what it has learned, and whether it keeps its promise."""
        kept, known = self._kept, not self.belief.blank
        middle = self.belief.middle() if known else None
        return Learned(
            self.seconds,
            middle.arrivals if middle else None,
            middle.rate if middle else None,
            round(middle.arrivals * self.seconds * KEPT) if middle else None,
            kept.wait_s,
            self._exact,
            kept.longest_s(),
            kept.share(),
        )

    def _learn(self, seen: Observation, now: float) -> None:
        """Updates the belief, if the reading is a new one."""
        jobs = seen.measured
        waiting = seen.current if jobs is None else jobs.waiting
        at = (now if seen.measured_at is None else seen.measured_at) - self._age_s
        if jobs is not None:
            at -= jobs.age_s
        # A source with a pace of its own repeats its last number; a queue may really stand still, too.
        pace = seen.seconds if seen.seconds < 1 else 1.3 * seen.seconds
        # After a gap it is not known what happened in it.
        if self._seen is None:
            self._from = Moment.of(at, waiting, jobs)
        elif at < self._fresh + MIN_INTERVAL_S or (waiting == self._seen and at - self._fresh < 0.9 * pace):
            return
        else:
            self._take_in(Moment.of(at, waiting, jobs))
        self._seen, self._fresh = waiting, at

    def _take_in(self, end: Moment) -> None:
        """Learns from the interval since `_from`, or lets it grow while it has few jobs."""
        begin, belief = self._from, self.belief
        seconds = end.at - begin.at
        if belief.blank:
            rate = (end.waiting - begin.waiting) / seconds
            belief.begin(max(0.0, rate), 1 + abs(rate))
        served = self._past.served(begin.at, end.at)
        middle = belief.middle()
        # A few jobs more or fewer are noise of their own kind, for which a normal distribution is wrong.
        if (
            begin.waiting
            and end.waiting
            and middle.rate * served + middle.arrivals * seconds < EVENTS
            and abs(end.waiting - begin.waiting) <= EVENTS
            and seconds < MAX_INTERVAL_S
        ):
            return
        started = self._past.started(begin.at, end.at)
        belief.learn(between(begin, end, served, started, self._past.changed(begin.at, end.at)))
        self._from = end

    def _need(self, now: float, has: int) -> tuple[float, bool]:
        """Returns the containers that keep the promise for most of the belief, and whether it is narrow."""
        usual_s, start_s = KEPT * self.seconds, self._start.seconds
        ahead = max(0.0, now - self._fresh) + start_s
        part = max(0.0, 1 - ABSORBED * usual_s / ahead) if ahead > 0 else 0.0
        # The queue when a container that is asked for now begins, less what those before it do until then.
        used = part * (self._past.served(self._fresh, now) + has * start_s)
        points = self.belief.active()
        total = sum([point.weight for point in points])
        passed, need = 0.0, None
        low = high = 0.0
        for point in reversed(points):  # a lower rate needs more containers
            passed += point.weight
            if not high and passed >= 0.2 * total:
                high = point.rate
            if need is None and passed >= BELIEVED * total:
                length = self._seen + part * ahead * point.arrivals - point.rate * used if self._seen else 0.0
                need = max(0.0, length) / (point.rate * usual_s)
            if passed >= 0.8 * total:
                low = point.rate
                break
        return need or 0.0, high < UNSURE * low

    def _wish(self, need: float, now: float, has: int) -> int:
        """Returns the number of containers for a need. It is left as it is within the noise of the queue."""
        middle = self.belief.middle()
        noise = self._noise(has)
        peak = self._calm.peak(now, need, self._held_s())
        # Each move costs a start or a stop, and noise alone would bring one at every other beat.
        up, down = max(SLACK, NOISE_UP * noise), max(SLACK, NOISE_DOWN * noise)
        if need > has + up:
            return ceil(min(need, MOST_CONTAINERS) - up)
        if peak >= has - 1 - down:
            return has
        # An empty queue needs nothing, but would fill at once with fewer than the load.
        fewer = max(0, floor(peak + 1 + down), floor(middle.arrivals / middle.rate - MARGIN))
        if not self._calm.cycling:
            return min(has, fewer)
        # One fewer at a time, as there is noise in what it seems to do without.
        return has if fewer >= has or self._calm.holds(now) else has - 1

    def _noise(self, has: int) -> float:
        """Returns the standard deviation of the need of a random queue (containers)."""
        return sqrt(2 * max(1, has) / (self.belief.middle().rate * KEPT * self.seconds))

    def _held_s(self) -> float:
        """Returns for how long (seconds) no reading may need a container before it is given back."""
        return max(HELD * self.seconds, min(self.seconds, HELD_JOBS / self.belief.middle().rate))

    def _trial_s(self) -> float:
        return max(1.0, TRIAL * self.seconds)

    def patience_s(self) -> float:
        if self.belief.blank:
            return 0.0
        return max(self._held_s(), self._calm.hold_s if self._calm.cycling else 0.0)

    def reset(self) -> None:
        """Makes nothing of the gap; the belief stays."""
        self._seen = None

    def at_this_moment(self) -> Told | WaitTarget:
        return self._told or self

    def words(self, current: int) -> str:
        return f"queue {current}" if self._told is None else self._told.words(current)


TYPE = WaitTarget
