"""Adds a metric, a rule and a scheduler, one file each, and shows that they need nothing else.

`python -m scripts.newcomer`: first in a package of their own, then as files in a copy of microscaling; the
agent that runs is the real one. Exit code 1 if a check fails.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from scripts.newcomer.checks import OF_COPY, OF_PACKAGE
from scripts.newcomer.stage import Stage


def main() -> int:
    """Runs all checks and prints a line for each. Returns the exit code."""
    failed = 0
    for title, make, checks in (
        ("A package of its own, with entry points:", Stage.of_package, OF_PACKAGE),
        ("Three files in a copy of microscaling:", Stage.of_copy, OF_COPY),
    ):
        print(title)
        with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
            stage = make(Path(folder))
            for check in checks:
                try:
                    check(stage)
                except AssertionError as error:
                    failed += 1
                    print(f"  FAILED  {check.__doc__}: {error}")
                else:
                    print(f"  ok      {check.__doc__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
