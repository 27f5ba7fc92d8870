"""Builds the engines and versions of Compose that are missing, and runs their tests on each.

make test-engines                    build what is missing, run all, print the record for docs/reliability.md
make test-engines ARGS=--build       build only
make test-engines ARGS="--engine moby --compose 5.6.0"
make test-engines ARGS="--engine moby --only frozen"
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from scripts.test_engines.binaries import COMPOSE_2, COMPOSE_5, MOBY, PROGRAMS, NotBuilt, build
from tests.integration import engines, kinds
from tests.integration.composes import compose_of

ROOT = Path(__file__).parents[2]
ENGINES = (kinds.DOCKER, kinds.MOBY_2, kinds.PODMAN)
COMPOSES = ("5.6.0", "2.40.3", "1.29")
PROGRAM_OF = {kinds.MOBY_2: MOBY, "5.6.0": COMPOSE_5, "2.40.3": COMPOSE_2}
TESTS = ("schedulers", "frozen", "compose")
OF_COMPOSE = ["tests/integration/test_compose_copies.py", "tests/integration/test_compose_versions.py"]
OF_ENGINE = ["tests/contract/test_schedulers.py", "-k", "DOCKER or COMPOSE"]
FROZEN = [
    *(
        f"tests/integration/test_{name}.py"
        for name in ("warm", "yield", "docker_handshake", "paused", "compose_warm", "compose_yield")
    ),
    # An engine in a network of its own does not reach the Redis of the test.
    "--deselect=tests/integration/test_warm.py::test_a_job_is_never_given_to_a_frozen_worker",
]
# It takes over those that hold there, too.
FROZEN_ON_PODMAN = ["tests/integration/test_podman_frozen.py"]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make test-engines", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", action="store_true", help="build only")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="only this one")
    parser.add_argument("--compose", choices=COMPOSES, action="append", help="only this version")
    parser.add_argument("--only", choices=TESTS, action="append", help="only these tests")
    asked = parser.parse_args()
    kinds_asked, tests = asked.engine or ENGINES, asked.only or TESTS
    versions = (asked.compose or COMPOSES) if "compose" in tests else ()
    needed = {PROGRAM_OF.get(each) for each in (*kinds_asked, *versions)}
    try:
        for program in PROGRAMS if asked.build else [each for each in PROGRAMS if each in needed]:
            build(program, lambda line: print(f"test-engines: {line}", flush=True))
    except NotBuilt as error:
        print(f"test-engines: {error}", file=sys.stderr)
        return 1
    if asked.build:
        return 0
    rows, failed = (
        ["| date | engine | tests | passed | failed | skipped | took |", "|---|---|---|---|---|---|---|"],
        0,
    )
    for kind in kinds_asked:
        for row, failures in record(kind, tests, versions):
            rows, failed = [*rows, row], failed + failures
    print("\n".join(rows))
    return 1 if failed else 0


def record(kind: str, tests: Collection[str], versions: Collection[str]) -> Iterator[tuple[str, int]]:
    """Runs the tests on one kind of engine; yields the lines of the record, with the number of failures."""
    with kinds.running(kind) as host:
        with closing(engines.connect(host)) as client:
            told = client.version()
        name = f"{(told.get('Components') or [{}])[0].get('Name', 'Engine').split()[0]} {told['Version']}"
        runs = [(f"Compose {_version_of(each)}", OF_COMPOSE, each) for each in versions]
        frozen = FROZEN_ON_PODMAN if kind == kinds.PODMAN else FROZEN
        of_all = {"schedulers": OF_ENGINE, "frozen": frozen}
        others = [(name, files, "") for name, files in of_all.items() if name in tests]
        for what, chosen, version in [*others, *runs]:
            began = time.monotonic()
            passed, failures, skipped = _run(chosen, host, version)
            took = (time.monotonic() - began) / 60
            yield (
                f"| {date.today()} | {name} | {what} | {passed} | {failures} | {skipped} | {took:.0f} min |",
                failures,
            )


def _run(chosen: list[str], host: str, version: str) -> tuple[int, int, int]:
    """Runs tests on an engine; returns how many passed, failed and were skipped."""
    environ = {**os.environ, "DOCKER_HOST": host, "MSS_TEST_ENGINE": "required"}
    environ |= {"MSS_TEST_COMPOSE": version} if version else {}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", f"--junitxml={report}", *chosen]
        subprocess.run(command, cwd=ROOT, env=environ, check=False)
        if not report.exists():
            return 0, 1, 0
        (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    total, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failures = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    return total - failures - skipped, failures, skipped


def _version_of(version: str) -> str:
    command = [compose_of(version).command, "version", "--short"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
