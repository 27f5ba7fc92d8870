"""Loads: the rate of arriving jobs over time, and the moments at which jobs arrive."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from microscaling.errors import ConfigError
from microscaling.utils.text import alternatives, nearest, quoted

SLICE_S = 0.25
"""Seconds for which the rate counts as constant."""
MAX_RATE = 100_000.0
"""Jobs per second; more would take for ever."""

Rate = Callable[[float], float]
"""Jobs per second at a time (seconds)."""


@dataclass(frozen=True)
class Load:
    """One load: jobs per second over time."""

    name: str
    rate: Rate
    counts: tuple[tuple[float, float, int], ...] = ()
    """Recorded jobs, as (from, until, number); they take the place of `rate`."""
    outage: tuple[float, float] | None = None
    """The source cannot be read between these times (seconds)."""
    slow: tuple[float, float] | None = None
    """From the first number (seconds) on, jobs take so many times longer (the second number)."""

    def arrivals(self, until: float, rng: random.Random) -> Iterator[float]:
        """Yields the times (seconds) of all jobs up to `until`, in order: a Poisson process with the rate,
        or the recorded numbers of jobs, spread at random over their intervals."""
        if self.counts:
            # A record has no moments within its intervals; at random is how single jobs come.
            for begin, end, count in self.counts:
                yield from (t for t in sorted(rng.uniform(begin, end) for _ in range(count)) if t < until)
            return
        expovariate = rng.expovariate
        for i in range(math.ceil(until / SLICE_S)):
            begin = i * SLICE_S
            end = min(until, begin + SLICE_S)
            rate = self.rate(begin + SLICE_S / 2)
            # A Poisson process has no memory, so each slice may begin anew.
            t = begin
            while rate > 0:
                t += expovariate(rate)
                if t >= end:
                    break
                yield t


def _steady(p: Mapping[str, float]) -> Load:
    return Load("steady", lambda t: p["rate"])


def _step(p: Mapping[str, float]) -> Load:
    return Load("step", lambda t: p["low"] if (t // p["every"]) % 2 == 0 else p["high"])


def _sine(p: Mapping[str, float]) -> Load:
    middle, swing = (p["low"] + p["high"]) / 2, (p["high"] - p["low"]) / 2
    return Load("sine", lambda t: middle + swing * math.sin(2 * math.pi * t / p["every"]))


def _spikes(p: Mapping[str, float]) -> Load:
    quiet = p["every"] - p["length"]
    return Load("spikes", lambda t: p["high"] if t % p["every"] >= quiet else p["low"])


def _walk(p: Mapping[str, float]) -> Load:
    rng = random.Random(p["seed"])  # nosec B311  # simulated loads are no secret
    values = [(p["low"] + p["high"]) / 2]

    def rate(t: float) -> float:
        while len(values) <= t / p["every"]:
            values.append(min(p["high"], max(p["low"], values[-1] + rng.gauss(0, p["step"]))))
        return values[int(t / p["every"])]

    return Load("walk", rate)


def _outage(p: Mapping[str, float]) -> Load:
    return replace(_sine(p), name="outage", outage=(p["begin"], p["begin"] + p["length"]))


def _slow(p: Mapping[str, float]) -> Load:
    return Load("slow", lambda t: p["rate"], slow=(p["begin"], p["times"]))


SHAPES: Mapping[str, tuple[Callable[[Mapping[str, float]], Load], Mapping[str, float], str]] = {
    "steady": (_steady, {"rate": 20}, "as many all the time"),
    "step": (_step, {"low": 5, "high": 40, "every": 100}, "changes between two rates"),
    "sine": (_sine, {"low": 5, "high": 45, "every": 120}, "rises and falls"),
    "spikes": (_spikes, {"low": 6, "high": 45, "every": 60, "length": 12}, "much for a short time"),
    "walk": (_walk, {"low": 3, "high": 45, "step": 2.5, "every": 2, "seed": 1}, "goes up and down at random"),
    "outage": (
        _outage,
        {"low": 5, "high": 45, "every": 120, "begin": 200, "length": 60},
        "a sine, with a source that cannot be read for a while",
    ),
    "slow": (_slow, {"rate": 20, "begin": 300, "times": 2}, "jobs that take longer from a moment on"),
}
"""By name: the function, its parameters with their defaults (jobs per second; seconds), and a description."""


def shape(text: str) -> Load:
    """Returns the load that a text such as `step:low=5,high=40` describes. Raises ConfigError."""
    name, _, rest = text.partition(":")
    if name not in SHAPES:
        other = nearest(name, list(SHAPES))
        hint = f"; did you mean {other}?" if other else ""
        raise ConfigError(f"--load: {quoted(name)} is no file and no shape: {alternatives(SHAPES)}{hint}")
    make, defaults, _ = SHAPES[name]
    values = dict(defaults)
    for pair in filter(None, rest.split(",")):
        key, _, value = pair.partition("=")
        if key not in defaults:
            raise ConfigError(f"--load: {name} has no {quoted(key)}: it has {', '.join(defaults)}")
        values[key] = number(value, f"--load: {name}: {key}")
    if values.get("every", 1) <= 0 or values.get("length", 1) <= 0 or values.get("times", 1) <= 0:
        raise ConfigError(f"--load: {name}: every, length and times are above 0")
    if values.get("low", 0) > values.get("high", MAX_RATE):
        raise ConfigError(f"--load: {name}: low is {values['low']:g}, above high, {values['high']:g}")
    return replace(make(values), name=text)


def number(text: str, place: str, most: float = MAX_RATE) -> float:
    """Returns a number from 0 to `most`. Raises ConfigError, with the place."""
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{place}: expected a number, got {quoted(text)}") from None
    if not 0 <= value <= most:  # false for nan, too
        raise ConfigError(f"{place}: expected a number from 0 to {most:g}, got {text}")
    return value
