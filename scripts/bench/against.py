"""An earlier build in turn with this one: what the keys for busy containers cost while none is busy."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.containers import MANY, Build, HandOver, UpAndDown
from scripts.bench.engine import Witness
from scripts.bench.ours import ROOT

OLD_ENOUGH_S = 4.0
"""A container with these keys gets no signal in its first seconds, so all are older before they go."""
HANDS = "nobody busy, 8 change hands"
UP = f"nobody busy, 1 to {MANY}"
DOWN = f"nobody busy, {MANY} to 1"


@contextmanager
def sources(revision: str) -> Iterator[Path]:
    """The package as it was in a commit, in a folder of its own. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory(prefix="mss-bench-tree-") as folder:
        packed = subprocess.run(
            ["git", "archive", revision, "microscaling"], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
        yield Path(folder)


@contextmanager
def tree(revision: str) -> Iterator[Path | None]:
    """The same; None without a revision."""
    if not revision:
        yield None
        return
    with sources(revision) as found:
        yield found


def compare(witness: Witness, shares: list[float], before: Path) -> dict[str, dict[str, list[float]]]:
    """Seconds by case and build: the earlier one, this one without the keys, and this one with a busy file
    that no container has."""
    builds = {
        "before": Build(before, quiet_s=OLD_ENOUGH_S),
        "without keys": Build(quiet_s=OLD_ENOUGH_S),
        "ours": Build(config={"busyFile": "/busy"}, quiet_s=OLD_ENOUGH_S),
    }
    times: dict[str, dict[str, list[float]]] = {
        case: {who: [] for who in builds} for case in (HANDS, UP, DOWN)
    }
    turns = list(builds)
    for share in shares:
        for who in turns:
            times[HANDS][who].append(HandOver(builds[who]).ours(witness, share))
            up, down = UpAndDown(builds[who]).ours(witness, share)
            times[UP][who].append(up)
            times[DOWN][who].append(down)
        # The first of a round may find the engine at the removals of the one before.
        turns = [*turns[1:], turns[0]]
    return times


def by_round(results: dict[str, dict[str, list[float]]]) -> list[str]:
    """How this build compares with the earlier one round by round, a line for each case that has both.

    All of a round fall into the same part of the beat, which moves a time by more than the builds differ.
    """
    lines = []
    for case, by in results.items():
        before = by.get("before", [])
        for who, values in by.items():
            if who == "before" or len(values) != len(before) or len(values) < 2:
                continue
            ratios = sorted(now / then for now, then in zip(values, before, strict=True))
            lines.append(
                f"{case}: {who} took {statistics.median(ratios):.2f} of before in the median of "
                f"{len(ratios)} rounds, {ratios[0]:.2f} to {ratios[-1]:.2f}"
            )
    return lines
