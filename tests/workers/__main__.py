"""Scales real Celery and RQ workers down, many times, and shows what became of their jobs.

make workers                                          50 scale-downs each under PROCESS and DOCKER
make workers ARGS="--scheduler PROCESS --tree DIR"    of another build, with a .venv of its own
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import astuple
from pathlib import Path

from tests.integration import engines
from tests.workers import stage


def main() -> int:
    parser = argparse.ArgumentParser(prog="make workers", description=__doc__)
    parser.add_argument("--scheduler", choices=["PROCESS", "DOCKER"], action="append")
    parser.add_argument("--scale-downs", type=int, default=50)
    parser.add_argument("--tree", type=Path, default=stage.ROOT, help="the build whose agent scales")
    asked = parser.parse_args()
    lost = 0
    print("| scheduler | workers | scale-downs | jobs | starts | ends | held | lost | repeated | took |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for scheduler in asked.scheduler or ["PROCESS", "DOCKER"]:
        began = time.monotonic()
        engine = engines.connect() if scheduler == "DOCKER" else None
        if engine is not None:
            engines.make_images(engine)
        books = stage.run(asked.scale_downs, engine, asked.tree.absolute(), _progress)
        took = time.monotonic() - began
        for name, book in books.items():
            lost += book.lost
            counts = (asked.scale_downs, *astuple(book))
            row = " | ".join(map(str, counts))
            print(f"| {scheduler} | {name} | {row} | {took / 60:.0f} min |", flush=True)
    return 1 if lost else 0


def _progress(line: str) -> None:
    sys.stderr.write(f"\r{line}")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
