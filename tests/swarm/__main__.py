"""Runs the scenes one after the other, and prints a table in Markdown for docs/reliability.md.

python -m tests.swarm [--scene NAME ...]
python -m tests.swarm --chaos [--seed N] [--minutes N]
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.integration.engines import Missing
from tests.integration.swarms import World
from tests.services.numbers import Numbers
from tests.swarm.chaos.run import run
from tests.swarm.cluster import Cluster
from tests.swarm.scenes import SCENES

LOG = Path("build", "swarm.log")


def chaos(seed: int, minutes: float) -> int:
    """0: all invariants held; 1: one did not, or the run could not be made."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left behind then either
    folder = Path(tempfile.mkdtemp(prefix=f"mss-swarm-chaos-seed{seed}-"))
    try:
        outcome = run(seed, minutes, folder)
    except Missing as missing:
        print(f"make swarm: {missing}", file=sys.stderr)
        return 1
    print("\n| | |\n|---|---|")
    for name, figure in outcome.figures.items():
        print(f"| {name} | {figure} |")
    for violation in outcome.violations:
        print(f"BROKEN {violation.invariant} at {violation.t:.1f}: {violation.what}")
    print(f"logs and history are in {folder}")
    return 1 if outcome.violations else 0


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make swarm", description=__doc__)
    parser.add_argument("--scene", action="append", choices=list(SCENES), help="only this one")
    parser.add_argument("--chaos", action="store_true", help="faults at random in place of the scenes")
    parser.add_argument("--seed", type=int, default=1, help="with --chaos: the same seed makes the same plan")
    parser.add_argument("--minutes", type=float, default=15, help="with --chaos")
    asked = parser.parse_args(words)
    if asked.chaos:
        return chaos(asked.seed, asked.minutes)
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    rows: list[tuple[str, str]] = []
    failed = 0
    try:
        with Cluster() as cluster:
            for name in asked.scene or SCENES:
                began = time.monotonic()
                with tempfile.TemporaryDirectory() as folder, Numbers() as numbers:
                    world = World(cluster.hosts, Path(folder), numbers)
                    try:
                        # The logs of the agents, which they print.
                        with contextlib.closing(world), LOG.open("a") as log, contextlib.redirect_stdout(log):
                            said = SCENES[name](cluster, world)
                    except Exception:
                        traceback.print_exc()
                        said, failed = "**failed**", failed + 1
                rows.append((name, said))
                print(f"{name}: {said} ({time.monotonic() - began:.0f} s in all)", flush=True)
    except Missing as missing:
        print(f"make swarm: {missing}", file=sys.stderr)
        return 1
    print("\n| what | result |\n|---|---|")
    for name, said in rows:
        print(f"| {name} | {said} |")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
