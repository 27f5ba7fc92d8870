"""`make decisions`: the rules on a real NSQ and a real engine, beside what the simulator says of that load.

    python -m scripts.real [--seconds 240] [--load SHAPE] [--seed 1] [--picture FILE] [RULE ...]

Needs a Docker engine, nsqd (build/nsqd, or MSS_TEST_NSQD), and an image with Python (PYTHON_IMAGE). Prints a
table in Markdown, and ends with 1 if the parts of the time within the promise differ by more than 10 points.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microscaling.demand.task import Task
from microscaling.settings import Settings
from microscaling.simulate.figures import Figures, figures
from microscaling.simulate.shapes import Load, shape
from microscaling.simulate.simulation import Run, World, simulate
from microscaling.simulate.source import COUNTERS
from microscaling.target.base import RULES
from scripts.real.stage import Happened, Stage

LOAD = "sine:low=4,high=14,every=100"
JOB_S = 0.4
PROMISE_S = 10.0
CAP = 8
SEEDS = 20
AT_ONCE = 4
"""Rules that run side by side: their workers only sleep."""
MOST_POINTS = 10.0
RULES_HERE: dict[str, dict[str, Any]] = {
    "Wait": {"ruleType": "Wait", "config": {"maxWaitSeconds": PROMISE_S}},
    "PerContainer": {"ruleType": "PerContainer", "config": {"targetPerContainer": 12}},
    "SimpleQueue": {"ruleType": "SimpleQueue", "config": {"targetQueueLength": 60}},
    "Queue": {"ruleType": "Queue", "config": {"targetQueueLength": 60}},
}


@dataclass(frozen=True)
class Given(Load):
    """A load of which each job's moment is known."""

    times: tuple[float, ...] = ()

    def arrivals(self, until: float, rng: random.Random) -> Iterator[float]:
        yield from (at for at in self.times if at < until)


def given_load(words: str, seconds: float, seed: int) -> Given:
    """The jobs of the real run, and of all simulated ones."""
    times = tuple(shape(words).arrivals(seconds, random.Random(seed)))
    return Given(words, lambda t: 0.0, times=times)


@dataclass(frozen=True)
class Predicted:
    """What the simulator says: the medians of all seeds, and the first run."""

    run: Run
    within: float
    p99: float
    mean: float
    starts: float


def predicted(rule: dict[str, Any], load: Given, seconds: float, start_s: float, stop_s: float) -> Predicted:
    """Simulates a rule with as many seeds, each with times of service of its own."""
    kind = RULES.find(rule["ruleType"])
    assert kind is not None
    values = {field.key: field.default or 0.0 for field in kind.fields} | rule["config"]
    found: list[tuple[Run, Figures]] = []
    for seed in range(1, SEEDS + 1):
        task = Task("a", max_containers=CAP, max_delta=CAP, target=kind.from_config(values, Settings()))
        task.metric.with_running = kind.with_running
        # NSQ counts the messages that workers have, and those that have come.
        world = World(seconds, 1 / JOB_S, start_s=start_s, stop_s=stop_s, counts=COUNTERS, seed=seed)
        run = simulate([task], CAP, {"a": load}, world)
        found.append((run, figures(run, rule["ruleType"], seconds, PROMISE_S)[0]))
    return Predicted(
        found[0][0],
        1 - statistics.median(each.over for _, each in found),
        statistics.median(each.p99 for _, each in found),
        statistics.median(each.mean for _, each in found),
        statistics.median(run.containers.groups[0].starts for run, _ in found),
    )


def draw(found: dict[str, tuple[Run, Happened]], path: str) -> None:
    """Draws queues and containers of each rule: what was said, and what happened."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(found) + 1, 6), layout="constrained")
    axes = figure.subplots(2, len(found), sharex=True, sharey="row", squeeze=False)
    for column, (name, (run, real)) in enumerate(found.items()):
        queue, containers = axes[0][column], axes[1][column]
        samples = run.samples["a"]
        queue.plot(run.times, [each.waiting for each in samples], lw=1, label="simulated")
        queue.plot(*zip(*real.waiting, strict=True), lw=1, label="nsqd")
        containers.step(run.times, [each.running for each in samples], where="post", lw=1, label="simulated")
        containers.step(*real.running(), where="post", lw=1, label="engine")
        queue.set_title(name, fontsize=10)
        containers.set_xlabel("seconds")
    axes[0][0].set_ylabel("jobs waiting")
    axes[1][0].set_ylabel("containers")
    axes[0][-1].legend(fontsize=8)
    axes[1][-1].legend(fontsize=8)
    figure.savefig(path)


def latencies(real: Happened, first_s: float) -> tuple[float, float]:
    """Returns the seconds until a container works, and until one without a job has gone. `first_s`: those
    until the first one works, on an engine with nothing else to do."""
    # An engine that starts many at a time is slower than with one; and of those that stop, few have no job.
    start_s = max(first_s, statistics.median(real.starts)) if real.starts else first_s
    return start_s, statistics.quantiles(real.stops, n=4)[0] if len(real.stops) > 1 else 0.5


def p99(waits: list[float]) -> float:
    """Of 100 waits, all but the longest are no longer."""
    return sorted(waits)[int(0.99 * len(waits))] if waits else 0.0


def main() -> int:
    """Runs all, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--load", default=LOAD, help=f"a shape ({LOAD})")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which jobs come")
    parser.add_argument("--picture", help="file for the picture")
    parser.add_argument("rules", nargs="*", help=f"of {', '.join(RULES_HERE)} (all)")
    asked = parser.parse_args()
    nsqd = os.environ.get("MSS_TEST_NSQD") or str(Path(__file__).parents[2] / "build" / "nsqd")
    load = given_load(asked.load, asked.seconds, asked.seed)
    found: dict[str, tuple[Run, Happened]] = {}
    stage = Stage(nsqd, os.environ.get("PYTHON_IMAGE", "python:3-slim"))
    bad = False
    try:
        first_s = stage.start_s()
        print(f"{asked.load}, seed {asked.seed}, jobs of {JOB_S:g} s, promise {PROMISE_S:g} s, cap {CAP}\n")
        print("| rule | | within the promise | p99 | containers | starts | |\n|---|---|---|---|---|---|---|")
        names = asked.rules or list(RULES_HERE)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = pool.map(
                lambda name: stage.run(name, RULES_HERE[name], load.times, asked.seconds, JOB_S, CAP), names
            )
            happened = dict(zip(names, runs, strict=True))
        for name, real in happened.items():
            start_s, stop_s = latencies(real, first_s)
            said = predicted(RULES_HERE[name], load, asked.seconds, start_s, stop_s)
            found[name] = (said.run, real)
            within = 1 - real.over(PROMISE_S)
            waits = [min(taken, asked.seconds) - came for came, taken, _ in real.jobs]
            starts = sum(change > 0 for _, change in real.moves)
            print(f"| {name} | simulated | {said.within:.1%} | {said.p99:.1f} s | {said.mean:.2f} "
                  f"| {said.starts:.0f} | starts of {start_s:.1f} s, stops of {stop_s:.1f} s |")  # fmt: skip
            print(f"| | NSQ and engine | {within:.1%} | {p99(waits):.1f} s | {real.mean():.2f} "
                  f"| {starts} | |", flush=True)  # fmt: skip
            bad = bad or abs(within - said.within) * 100 > MOST_POINTS
        if asked.picture:
            draw(found, asked.picture)
    finally:
        stage.close()
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
