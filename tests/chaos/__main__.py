"""python -m tests.chaos --seed 1 --minutes 30"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos import report
from tests.chaos.kinds import DOCKER, DRAINS, FROZEN, with_compose
from tests.chaos.run import run
from tests.integration.engines import Missing


def main() -> int:
    """0: all invariants held; 1: one did not; 2: the run could not be made."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Faults at random.")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same plan")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--scheduler", choices=("DOCKER", "COMPOSE"), default="DOCKER")
    parser.add_argument("--drains", action="store_true", help="with containers that are at work when they go")
    parser.add_argument("--frozen", action="store_true", help="with containers that are frozen, not stopped")
    parser.add_argument("--compose", default="docker-compose", help="with COMPOSE: the command of Compose")
    parser.add_argument(
        "--own-service", action="store_true", help="with COMPOSE: the agent is a service, too"
    )
    parser.add_argument("--out", type=Path, help="file for the figures, as JSON")
    parser.add_argument("--folder", type=Path, help="for the logs and the history (default: a new one)")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix=f"mss-chaos-seed{given.seed}-"))
    folder.mkdir(parents=True, exist_ok=True)
    replay = f"python -m tests.chaos --seed {given.seed} --minutes {given.minutes:g}"
    chaos = DOCKER
    if given.scheduler == "COMPOSE":
        replay += f" --scheduler COMPOSE --compose '{given.compose}'"
        replay += " --own-service" if given.own_service else ""
        chaos = with_compose(given.compose, given.own_service)
    elif given.drains:
        replay += " --drains"
        chaos = DRAINS
    elif given.frozen:
        replay += " --frozen"
        chaos = FROZEN
    print(f"{replay}: logs in {folder}", file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left behind then either
    try:
        outcome = run(given.seed, given.minutes, folder, chaos)
    except Missing as missing:
        print(f"no chaos: {missing}", file=sys.stderr)
        return 2
    except BaseException:
        print(f"the run itself has failed, or was cut off; logs in {folder}; to replay: {replay}")
        raise
    if given.out:
        report.write(given.out, outcome.figures)
    print(report.told(outcome.figures))
    if outcome.violations:
        print(f"{len(outcome.violations)} times an invariant did not hold; to replay: {replay}")
        print(f"logs and history are in {folder}")
        return 1
    print("all invariants held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
