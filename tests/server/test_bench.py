"""The benchmark in its short form: nothing is lost. (How fast it is, only a quiet machine can say.)"""

from __future__ import annotations

import re
import subprocess
import sys

from tests.server.running import BUSY, ROOT


def test_nothing_is_lost() -> None:
    options = ["--seconds", "4", "--agents", "60", "--pages", "3", "--users", "3"]
    done = subprocess.run(
        [sys.executable, "scripts/bench_server.py", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r"sent (\d+), counted by the server (\d+), not seen by their pages (\d+)", done.stdout)
    assert found, done.stdout + done.stderr
    sent, counted, unseen = map(int, found.groups())
    assert counted == sent > 300
    assert unseen == 0
    said = re.search(r"the server has said: (.*)", done.stdout)
    # How busy it is depends on the machine.
    assert not said or all(BUSY in line for line in said[1].split(" | ")), done.stdout
