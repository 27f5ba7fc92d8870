"""Real workers of each framework do 500 jobs, measured by its own metric and by the list's length.

make frameworks                      all of them
make frameworks ARGS="Celery RQ"     these
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path

from tests.frameworks import proofs
from tests.frameworks.end_to_end import PATIENCE_S, Figures, Load, run

JOBS = 500
QUIET_S = 15.0
NAIVE_PATIENCE_S = 45.0
COLUMNS = {
    "jobs": "jobs", "once": "done once", "repeated": "begun again", "early": "too early",
    "late": "left lying", "undone": "never done", "for_future": "starts for the future", "starts": "starts",
    "worker_s": "worker seconds", "wait_s": "wait (s)", "longest_wait_s": "longest (s)",
    "seconds": "took (s)",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="make frameworks", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[[], *proofs.ALL], help="frameworks; none: all")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--quiet", type=float, default=QUIET_S, help="seconds to look for starts")
    asked = parser.parse_args()
    load = Load(asked.jobs, asked.quiet)
    good = True
    print(heading(), flush=True)
    for name in asked.name or proofs.ALL:
        framework = proofs.ALL[name]
        for naive in (False, True):
            with tempfile.TemporaryDirectory(prefix="mss-frameworks-") as folder, redirect_stdout(sys.stderr):
                figures = run(framework, load, Path(folder), naive, NAIVE_PATIENCE_S if naive else PATIENCE_S)
            good = good and (naive or all_well(figures))
            print(row(f"{name}, {framework.naive if naive else framework.metric}", figures), flush=True)
    return 0 if good else 1


def all_well(figures: Figures) -> bool:
    """Whether every job was done once and in time, and no worker was started for one of the future."""
    return figures.once == figures.jobs and not (figures.early or figures.late or figures.for_future)


def heading() -> str:
    words = ["framework, metricType", *COLUMNS.values()]
    return "| " + " | ".join(words) + " |\n" + "|---" * len(words) + "|"


def row(name: str, figures: Figures) -> str:
    counts = asdict(figures)
    return "| " + " | ".join([name, *(f"{counts[key]:.4g}" for key in COLUMNS)]) + " |"


if __name__ == "__main__":
    sys.exit(main())
