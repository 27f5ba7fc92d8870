"""The belief about a queue: how many jobs come, and how many one container does, learned from its length.

Pure. The length of a queue moves by the difference of both rates, so a single reading shows neither. The
belief is a grid over the logarithm of the service rate. Each point has its own arrival rate, by a Kalman
filter, and a weight: how well it has predicted the lengths. What moves the weights is a change of the number
of containers (the slope of the queue changes by as many times the service rate), and the source's counters,
where it has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, log, pi, sqrt

LEAST, MOST = 1 / 1800, 2000.0
"""Jobs per second of one container, least and most."""
MAX_RATE = 1e9
"""Jobs per second; more do not come."""
MIN_VARIANCE = 1e-12
STEP = 1.2
"""Ratio of two neighbours in the grid."""
DRIFT = 0.08
"""Relative standard deviation of the change of the arrival rate in one second."""
JUMP = 9.0
"""Squared surprise (in variances) above which the arrival rate has jumped."""
FORGET = 0.002
"""Part of the weights that moves to the neighbours in each update, as the service rate may change."""
FLOOR = 1e-7
"""Least weight of a point."""
ROUGH = 0.0
LATELY = 0.05
"""Weight of the last surprise in their mean."""
SMOOTH, RANDOM = 0.1, 0.4
"""Mean squared surprise (in variances of a random queue) up to which the noise of the queue tells nothing
about the rates, and from which on it does."""
FEWEST = 0.25
"""Least variance of the jobs in an interval."""
KEPT = 1e-4
"""Weight below which a point outside of the main part is not updated."""


@dataclass(slots=True)
class Interval:
    """What happened to a queue between two of its measurements. Items, seconds and container-seconds."""

    seconds: float
    before: int
    """The items that waited at its beginning."""
    after: int
    """The items that waited at its end."""
    served: float
    """Container-seconds of the containers that took jobs."""
    started: int = 0
    """The containers that began, and took one job at once."""
    vague: float = 0.0
    """Container-seconds by which `served` may be wrong, as the moment of a start is not known exactly."""
    arrived: int | None = None
    finished: int | None = None
    """Counters of the source: jobs in the interval; None if it has none."""
    at_work: float | None = None
    """Container-seconds at work, by the source's count of running jobs; None if it does not count them."""
    taken_up: int = 0
    """Change of the number of running jobs, if they are counted."""


@dataclass(slots=True)
class Point:
    """One possible service rate, and what follows from it."""

    rate: float
    """Jobs per second that one container does."""
    arrivals: float
    """Jobs per second that come, if that is so."""
    variance: float
    """Variance of `arrivals`."""
    weight: float


class Belief:
    """Both rates as probabilities. Nothing is known as long as there are no points."""

    __slots__ = ("_first", "_last", "_middle", "points", "rough")

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.rough = ROUGH
        """The mean squared surprise, in variances of a random queue."""
        self._first = self._last = 0
        self._middle: Point | None = None

    @property
    def blank(self) -> bool:
        """True if nothing has been learned."""
        return not self.points

    def begin(self, arrivals: float, deviation: float) -> None:
        """Begins with a guess of the arrival rate (jobs per second), and no idea of the service rate."""
        count = int(log(MOST / LEAST) / log(STEP)) + 1
        arrivals, variance = min(MAX_RATE, arrivals), _bounded(deviation**2)
        self.points = [Point(LEAST * STEP**i, arrivals, variance, 1 / count) for i in range(count)]
        self._first, self._last = 0, count - 1
        self._middle = None

    def active(self) -> list[Point]:
        """Returns the points that count, by rising service rate."""
        return self.points[self._first : self._last + 1]

    def middle(self) -> Point:
        """Returns the point in the middle of what is believed."""
        # A decision asks for it a dozen times, and only `learn` changes weights.
        if self._middle is None:
            self._middle = self._find_middle()
        return self._middle

    def _find_middle(self) -> Point:
        points = self.active()
        half = sum([point.weight for point in points]) / 2
        for point in points:
            half -= point.weight
            if half <= 0:
                return point
        return points[-1]

    def learn(self, seen: Interval) -> None:
        """Takes an interval into account."""
        points, middle = self.active(), self.middle()
        if seen.arrived is not None:
            likely = _count(points, middle, seen, seen.arrived)
        else:
            likely = self._infer(points, middle, seen)
        if not likely:
            return
        self._middle = None
        best = max(likely)
        for point, value in zip(points, likely, strict=True):
            point.weight *= exp(max(-30.0, value - best))
        whole = sum([point.weight for point in points])
        for point in points:
            weight = point.weight / whole
            point.weight = weight if weight > FLOOR else FLOOR
        self._spread(FORGET * min(1.0, seen.seconds))
        self._trim()

    def _infer(self, points: list[Point], middle: Point, seen: Interval) -> list[float]:
        """Learns from the length of the queue. Returns the logarithms of the likelihoods, if it tells
        anything about the service rate."""
        seconds, vague = seen.seconds, 0.0
        if seen.at_work is None:
            # A new container takes a job at once, which is none that is done.
            served, change, empty = seen.served, seen.after - seen.before + seen.started, not seen.before
            ended = not seen.after
            if seen.vague:
                vague = (middle.rate * seen.vague) ** 2 + seen.started**2
        else:
            # All jobs are counted, so they become fewer only by those that are done, empty queue or not.
            served, change = seen.at_work, seen.after - seen.before + seen.taken_up
            empty = ended = False
        common = middle.arrivals * seconds + middle.rate * served + FEWEST
        if not empty and not ended:
            off = change - middle.arrivals * seconds + middle.rate * served
            self.rough += LATELY * (min(JUMP, off * off / common) - self.rough)
        # The noise of a random queue shows its scale. That of a smooth one would tell that both rates are
        # small, so there all points share the noise of the middle.
        part = min(1.0, max(0.0, (self.rough - SMOOTH) / (RANDOM - SMOOTH)))
        given = _Given(
            seconds, served, change, seen.after, empty, ended, common, DRIFT * middle.arrivals, part, vague
        )
        likely = [_update(point, given) for point in points]
        return [] if empty else likely

    def _spread(self, part: float) -> None:
        """Moves a part of each weight to the neighbours."""
        points, first, last = self.points, self._first, self._last
        # Rates do change, and a weight of nothing would never rise again.
        before = points[first].weight
        for i in range(first, last + 1):
            own = points[i].weight
            after = points[i + 1].weight if i < last else own
            points[i].weight = own + part * ((before + after) / 2 - own)
            before = own

    def _trim(self) -> None:
        """Leaves out points at both ends that hardly count, and takes in the next one where the last counts,
        so that the belief can move."""
        points, first, last = self.points, self._first, self._last
        # Mostly a few points are left of some eighty, which makes an update cheap.
        while first < last and points[first + 1].weight < KEPT:
            first += 1
        while last > first and points[last - 1].weight < KEPT:
            last -= 1
        if first > 0 and points[first].weight > KEPT:
            first -= 1
            _take_in(points[first], points[first + 1])
        if last < len(points) - 1 and points[last].weight > KEPT:
            last += 1
            _take_in(points[last], points[last - 1])
        self._first, self._last = first, last

    def rate(self) -> float:
        """Returns the service rate of one container, in the middle of what is believed (jobs per second)."""
        return self.middle().rate

    def arrivals(self) -> float:
        """Returns the arrival rate that belongs to it (jobs per second)."""
        return self.middle().arrivals


def _take_in(point: Point, neighbour: Point) -> None:
    # Of a point that was left out the arrival rate is old, and its neighbour has seen the same queue.
    point.arrivals, point.variance, point.weight = neighbour.arrivals, neighbour.variance, FLOOR


def _count(points: list[Point], middle: Point, seen: Interval, arrived: int) -> list[float]:
    """Learns from a counter of the arrived jobs. Returns the logarithms of the likelihoods."""
    seconds = seen.seconds
    variance = middle.variance + ((DRIFT * middle.arrivals) ** 2 + 1e-9) * seconds
    noise = (arrived + middle.arrivals * seconds) / 2 + FEWEST
    surprise = arrived - middle.arrivals * seconds
    total = variance * seconds * seconds + noise
    if surprise * surprise > JUMP * total:
        variance += surprise * surprise / (JUMP * seconds * seconds)
        total = variance * seconds * seconds + noise
    gain = variance * seconds / total
    arrivals = min(MAX_RATE, max(0.0, middle.arrivals + gain * surprise))
    variance = _bounded(variance * (1 - gain * seconds))
    for point in points:
        point.arrivals, point.variance = arrivals, variance
    done, served = seen.finished, seen.at_work
    if done is None or served is None:
        if not (seen.before and seen.after):  # some of the containers may have had no work
            return []
        served = seen.served
        if done is None:
            done = max(0, seen.before + arrived - seen.after - seen.started)
    # The number of finished jobs has a Poisson distribution.
    return [done * log(point.rate) - point.rate * served for point in points]


@dataclass(slots=True)
class _Given:
    """What all points learn from."""

    seconds: float
    served: float
    change: int
    after: int
    empty: bool
    """Nothing waited at the beginning, and it is not known how many worked."""
    ended: bool
    """The same at the end."""
    common: float
    drift: float
    """Variance of the jobs, and deviation of the arrival rate in a second, in the middle of the belief."""
    part: float
    """From 0, if those are to count for all points, to 1, if each point has its own."""
    vague: float
    """Further variance, as the served container-seconds are not known exactly."""


def _update(point: Point, seen: _Given) -> float:
    """Learns the arrival rate if the service rate is that of the point. Returns the logarithm of the
    likelihood."""
    seconds, part, arrivals = seen.seconds, seen.part, point.arrivals
    taken = point.rate * seen.served
    noise = arrivals * seconds + taken + FEWEST
    spread = DRIFT * arrivals
    if part < 1:
        noise = noise**part * seen.common ** (1 - part)
        spread = spread**part * seen.drift ** (1 - part) if spread > 0 else seen.drift
    variance = point.variance + (spread * spread + 1e-9) * seconds
    if seen.empty:
        return _from_empty(point, seen, variance, taken, noise)
    noise += seen.vague
    total = variance * seconds * seconds + noise
    surprise = seen.change - arrivals * seconds + taken
    gain = variance * seconds / total
    if seen.ended:
        return _to_empty(point, surprise, total, gain, variance)
    square = surprise * surprise / total
    if square > JUMP:
        # Too far off for noise: the arrival rate has jumped, and is learned anew.
        variance += (square - JUMP) * total / (seconds * seconds)
        total = variance * seconds * seconds + noise
        gain = variance * seconds / total
        square = JUMP
    point.arrivals = min(MAX_RATE, max(0.0, arrivals + gain * surprise))
    point.variance = _bounded(variance * (1 - gain * seconds))
    return -(square + log(total)) / 2


def _from_empty(point: Point, seen: _Given, variance: float, taken: float, noise: float) -> float:
    """Learns from an interval at the beginning of which nothing waited: some containers had no work, and it
    is not known how many jobs they took. So there is only a bound for the arrival rate."""
    seconds, most = seen.seconds, taken / seen.seconds
    point.variance = _bounded(min(variance, max(point.variance, point.arrivals**2)))
    excess = seen.after / seconds - point.arrivals if seen.after else most - point.arrivals
    if (excess > 0) == bool(seen.after):
        gain = variance * seconds * seconds / (variance * seconds * seconds + noise)
        point.arrivals = min(MAX_RATE, point.arrivals + gain * excess)
    return 0.0


def _to_empty(point: Point, surprise: float, total: float, gain: float, variance: float) -> float:
    """Learns from an interval at the end of which nothing waited: the containers may have been able to take
    more, so the change is only a bound."""
    # The change could not be larger: the queue cannot be shorter than empty.
    deviation = sqrt(total)
    a = surprise / deviation
    below = max(1e-9, (1 + erf(a / sqrt(2))) / 2)
    # Mean and variance of a normal distribution that is cut off at `a`.
    ratio = min(exp(-a * a / 2) / sqrt(2 * pi) / below, abs(a) + 1.0)
    point.arrivals = max(0.0, point.arrivals - gain * deviation * ratio)
    point.variance = _bounded(variance - gain * gain * total * max(0.0, ratio * (ratio + a)))
    return log(below)


def _bounded(variance: float) -> float:
    # In floating point the difference of two large numbers may have the wrong sign.
    return min(MAX_RATE**2, max(MIN_VARIANCE, variance))
