"""python -m tests.reloads --seed 1 --reloads 100 --minutes 10"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.integration import engines
from tests.reloads.storm import storm


def main() -> int:
    """0: nothing was touched that must not be; 1: something was; 2: the run could not be made."""
    parser = argparse.ArgumentParser(prog="python -m tests.reloads", description="A storm of reloads.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix=f"mss-reloads-seed{given.seed}-"))
    print(f"logs in {folder}", file=sys.stderr)
    engine = engines.OwnEngine()
    try:
        engine.start()
        with closing(engines.connect(engine.host)) as client:
            engines.make_images(client)
        figures = storm(folder, engine.host, given.reloads, given.minutes * 60, given.seed)
    except engines.Missing as missing:
        print(f"no storm: {missing}", file=sys.stderr)
        return 2
    finally:
        engine.remove()
    print(json.dumps(figures, indent=1))
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
