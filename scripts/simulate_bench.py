"""The rules side by side on simulated queues: `make simulate-bench`, or python -m scripts.simulate_bench.

Prints the medians over all seeds as tables in Markdown, beside the limits of each row: the rules against a
promise, and PerContainer against HPA by the target that both have.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from microscaling.demand.task import Task
from microscaling.settings import Settings
from microscaling.simulate.figures import Figures, figures
from microscaling.simulate.picture import draw
from microscaling.simulate.shapes import shape
from microscaling.simulate.simulation import Run, World, simulate
from microscaling.target.base import Target
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from microscaling.target.wait import WaitTarget

CAP = 40
HPA_EVERY_S, HPA_WINDOW_S = 15.0, 300.0
"""How often Kubernetes' autoscaler looks, and its default window."""
PICTURES = ("step", "sine", "spikes")


@dataclass(frozen=True)
class Row:
    """One load, the promise (seconds), and the limits: of the wait, of containers (times the fewest), and of
    starts and stops; 0: none."""

    load: str
    promise: float
    world: World
    times: float
    moves: int = 0
    age_s: float = 0.0
    since: float = 0.0
    """Seconds; earlier waits do not count."""


FAST = World()
LAGS = World(start_s=5, reading_age_s=10)
ROWS = {
    "step 5 to 40/s": Row("step", 5, FAST, 1.10, 250),
    "sine 5 to 45/s": Row("sine", 5, FAST, 1.10, 250),
    "random walk": Row("walk", 5, FAST, 1.10, 250),
    "spikes 6 to 45/s of 12 s": Row("spikes", 5, FAST, 1.25, 250),
    "jobs of 5 s, 0.6/s": Row("steady:rate=0.6", 30, World(rate=0.2), 1.25, 120),
    "jobs of 60 s, 3/min, starts of 5 s, an hour": Row(
        "steady:rate=0.05", 300, World(3600, 1 / 60, start_s=5), 1.7, 20
    ),
    "readings 10 s old, starts of 5 s: step": Row("step", 40, LAGS, 1.3, age_s=10),
    "readings 10 s old, starts of 5 s: sine": Row("sine", 40, LAGS, 1.3, age_s=10),
    "readings 10 s old, starts of 5 s: walk": Row("walk", 40, LAGS, 1.3, age_s=10),
    "readings 10 s old, starts of 5 s: spikes": Row("spikes", 40, LAGS, 1.8, age_s=10),
    "twice as slow from 300 s on, 20/s; since 315 s": Row("slow:rate=20", 5, FAST, 1.35, 250, since=315),
    "steady 12.5/s": Row("steady:rate=12.5", 5, FAST, 1.35, 60),
    "a source that measures every 15 s: sine": Row("sine", 60, World(reading_interval_s=15), 1.3),
}


AT_TARGET: dict[str, tuple[float, float]] = {
    "PerContainer": (1.0, 0.0),
    "PerContainer, window 60 s": (1.0, 60.0),
    "PerContainer, window 300 s": (1.0, 300.0),
    "PerContainer at half of it, window 60 s": (0.5, 60.0),
    "HPA": (1.0, HPA_WINDOW_S),
}
"""The part of the target that a rule is given, and its scale-down window (seconds)."""


def rules(row: Row) -> dict[str, Callable[[], Target]]:
    """The rules to compare, each with the target that fits the promise, with the service rate known."""
    length = max(13, round(row.promise * row.world.rate * 5))
    return {
        "Wait": lambda: WaitTarget(row.promise, row.age_s, row.world.start_s if row.age_s else None),
        "PerContainer": lambda: PerContainerTarget(per_container(row)),
        "Queue": lambda: QueueLengthTarget(min(50, length), Settings()),
        "SimpleQueue": lambda: SimpleQueueLengthTarget(min(50, length)),
        "HPA": lambda: PerContainerTarget(per_container(row)),
    }


def per_container(row: Row) -> int:
    """The items for each container that one does in half of the promise."""
    return max(1, max(1, round(row.promise * row.world.rate)) // 2)


def one(asked: tuple[str, str, int]) -> Figures:
    """Runs one rule on one row with one seed."""
    name, rule, seed = asked
    row = ROWS[name]
    run = run_of(row, rule, seed)
    found = figures(run, rule, row.world.seconds, row.promise)[0]
    waits = sorted(wait for came, wait in run.queues["a"].all_waits() if came >= row.since)
    return replace(found, p99=waits[int(0.99 * len(waits))])


def run_of(row: Row, rule: str, seed: int) -> Run:
    """One run. HPA: the rule of Kubernetes' autoscaler, every 15 s, with its window of 300 s."""
    window_s = HPA_WINDOW_S if rule == "HPA" else None
    return _run(row, rules(row)[rule](), window_s, seed, HPA_EVERY_S if rule == "HPA" else 0.0)


def _run(row: Row, target: Target, window_s: float | None, seed: int, every_s: float) -> Run:
    world = replace(row.world, seed=seed)
    load = shape(f"walk:seed={seed}") if row.load == "walk" else shape(row.load)
    task = Task("a", max_containers=CAP, max_delta=CAP, target=target)
    task.scale_down_window_s = window_s
    if every_s:
        world = replace(world, reading_interval_s=every_s)
    task.metric.with_running = task.target.with_running
    return simulate([task], CAP, {"a": load}, world)


def at_target(asked: tuple[str, str, int]) -> Figures:
    """Runs PerContainer, or HPA, on one row with one seed; `over` is the time over HPA's target."""
    name, rule, seed = asked
    row, (part, window_s) = ROWS[name], AT_TARGET[rule]
    length = per_container(row)
    target = PerContainerTarget(round(part * length))
    run = _run(row, target, window_s, seed, HPA_EVERY_S if rule == "HPA" else 0.0)
    target.length = length  # `figures` judges it by that of both
    return figures(run, rule, row.world.seconds)[0]


def middle(found: list[Figures]) -> dict[str, float]:
    """The medians of all seeds."""
    names = ("over", "p50", "p99", "longest", "mean", "times_fewest", "moves")
    return {name: statistics.median(getattr(each, name) for each in found) for name in names}


def table(seeds: int, names: list[str]) -> None:
    """Prints all rows."""
    asked = [
        (name, rule, seed) for name in names for rule in rules(ROWS[name]) for seed in range(1, seeds + 1)
    ]
    with ProcessPoolExecutor() as pool:
        found = dict(zip(asked, pool.map(one, asked, chunksize=4), strict=True))
    print("| load | rule | over the promise | p50 | p99 | containers | x fewest | starts and stops | |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        row = ROWS[name]
        middles = {
            rule: middle([found[name, rule, seed] for seed in range(1, seeds + 1)]) for rule in rules(row)
        }
        for rule, got in middles.items():
            shown = verdict(row, rule, got, middles["HPA"])
            print(
                f"| {name} | {rule} | {got['over']:.1%} | {got['p50']:.1f} s | {got['p99']:.1f} s | "
                f"{got['mean']:.2f} | {got['times_fewest']:.2f} | {got['moves']:.0f} | {shown} |"
            )


def table_at_target(seeds: int, names: list[str]) -> None:
    """Prints PerContainer against HPA by the time over their target, with windows that a user can set."""
    # As in `verdict`: where PerContainer is told the rate that holds.
    names = [name for name in names if ROWS[name].promise == 5 and not ROWS[name].since]
    asked = [(name, rule, seed) for name in names for rule in AT_TARGET for seed in range(1, seeds + 1)]
    with ProcessPoolExecutor() as pool:
        found = dict(zip(asked, pool.map(at_target, asked, chunksize=4), strict=True))
    print("| load | rule | over the target | x HPA's | containers | x HPA's | starts and stops | |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        middles = {
            rule: middle([found[name, rule, seed] for seed in range(1, seeds + 1)]) for rule in AT_TARGET
        }
        hpa = middles["HPA"]
        for rule, got in middles.items():
            over, mean = got["over"] / hpa["over"], got["mean"] / hpa["mean"]
            kept = "kept" if over <= 0.1 and mean <= 0.8 else "MISSED"
            shown = "" if rule == "HPA" else f"<= 0.1 x, 0.8 x: {kept}"
            print(
                f"| {name} | {rule} | {got['over']:.1%} | {over:.2f} | {got['mean']:.2f} | {mean:.2f} | "
                f"{got['moves']:.0f} | {shown} |"
            )


def verdict(row: Row, rule: str, got: dict[str, float], of_hpa: dict[str, float]) -> str:
    """The limits of a rule in a row, and whether it keeps them."""
    if rule == "Wait":
        limits = f"<= {row.promise:g} s, {row.times:g} x" + (f", {row.moves}" if row.moves else "")
        kept = got["p99"] <= row.promise and got["times_fewest"] <= row.times
        kept = kept and got["moves"] <= (row.moves or math.inf)
    elif rule == "PerContainer" and row.promise == 5 and not row.since:  # it is told the rate of before
        limits = "a tenth of HPA's time over it, 0.8 x its containers"
        kept = got["over"] <= of_hpa["over"] / 10 and got["mean"] <= 0.8 * of_hpa["mean"]
    else:
        return ""
    return f"{limits}: {'kept' if kept else 'MISSED'}"


def pictures(folder: Path) -> None:
    """Draws some rows: Wait beside the rules of the Go agent."""
    folder.mkdir(parents=True, exist_ok=True)
    by_load = {row.load: row for row in ROWS.values() if row.promise == 5}
    for load in PICTURES:
        shown = ("Wait", "Queue", "SimpleQueue")
        draw([(rule, run_of(by_load[load], rule, 1)) for rule in shown], str(folder / f"{load}.png"))


def main() -> None:
    """Prints the table, and draws pictures if a folder is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--pictures", type=Path, help="folder for pictures")
    parser.add_argument("rows", nargs="*", help="words of the rows (all)")
    asked = parser.parse_args()
    names = [name for name in ROWS if not asked.rows or any(word in name for word in asked.rows)]
    table(asked.seeds, names)
    print()
    table_at_target(asked.seeds, names)
    if asked.pictures:
        pictures(asked.pictures)


if __name__ == "__main__":
    main()
