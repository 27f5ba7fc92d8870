"""What warm containers are worth: an NSQ consumer that takes 3 s to start, and a jump of its queue.

    python -m scripts.real.warm [--jobs 150] [--rounds 5] [--picture FILE]

150 messages come at once; eight consumers at most take 0.2 s for each. Measures how long each message waits,
without warm containers and with eight, in turn. Prints a table in Markdown. Needs what `scripts.real` needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from scripts.real.__main__ import p99
from scripts.real.stage import Stage

JOBS = 150
JOB_S = 0.2
START_S = 3.0
CAP = 8
AT_S = 2.0
"""When the messages come."""
READY = "/tmp/ready"  # nosec: in a container of its own
WARM = {"warm": CAP, "warmAfter": {"file": READY}, "go": {"signal": "CONT"}}
RULE: dict[str, Any] = {"ruleType": "PerContainer", "config": {"targetPerContainer": 10}}


def waits(stage: Stage, number: int, jobs: int, warm: bool) -> list[float]:
    """Returns the seconds that each message waited."""
    seconds = AT_S + 3 * START_S + 2 * jobs * JOB_S / CAP
    rule = {**RULE, "config": {**RULE["config"], **(WARM if warm else {})}}
    name = f"{'warm' if warm else 'cold'}-{number}"
    start = [str(START_S), *([READY] if warm else [])]
    happened = stage.run(name, rule, [AT_S] * jobs, seconds, JOB_S, CAP, start, CAP if warm else 0)
    return [min(taken, seconds) - came for came, taken, _ in happened.jobs]


def draw(found: dict[str, list[list[float]]], path: str) -> None:
    """Draws which part of the messages had waited no longer than so many seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (name, rounds), colour in zip(found.items(), ("#d29922", "#2f81f7"), strict=True):
        for number, one in enumerate(rounds):
            shares = [(i + 1) / len(one) for i in range(len(one))]
            axes.step(sorted(one), shares, where="post", lw=1, color=colour, label="" if number else name)
    axes.set_xlabel("seconds from the jump until a consumer has the message")
    axes.set_ylabel("part of the messages")
    axes.legend(loc="lower right")
    figure.savefig(path)


def main() -> int:
    """Runs all, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--picture", help="file for the picture")
    asked = parser.parse_args()
    nsqd = os.environ.get("MSS_TEST_NSQD") or str(Path(__file__).parents[2] / "build" / "nsqd")
    stage = Stage(nsqd, os.environ.get("PYTHON_IMAGE", "python:3-slim"))
    found: dict[str, list[list[float]]] = {"without": [], f"warm: {CAP}": []}
    try:
        for number in range(asked.rounds):
            for name, warm in zip(found, (False, True), strict=True):
                found[name].append(waits(stage, number, asked.jobs, warm))
    finally:
        stage.close()
    print("| | first message | median | p99, each round |\n|---|---|---|---|")
    for name, rounds in found.items():
        all_of_them = sorted(wait for one in rounds for wait in one)
        first = sorted(min(one) for one in rounds)[len(rounds) // 2]
        each = ", ".join(f"{p99(one):.2f}" for one in rounds)
        print(f"| {name} | {first:.2f} s | {all_of_them[len(all_of_them) // 2]:.2f} s | {each} s |")
    if asked.picture:
        draw(found, asked.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
