"""A process of a job framework: it does what it is asked to, a line of JSON each.

python side.py MODULE    in an environment with the framework; MODULE has the functions
"""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    for line in sys.stdin:
        name, args, kwargs = json.loads(line)
        print(json.dumps(getattr(module, name)(*args, **kwargs)), flush=True)


if __name__ == "__main__":
    main()
