"""What is not used does not tax the start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = {"apprise", "argcomplete", "azure", "boto3", "botocore", "confluent_kafka", "docker", "google",
         "grpc", "kubernetes", "orjson", "prometheus_client", "psycopg", "pymysql", "redis", "requests",
         "sqlite3", "starlette", "urllib3", "uvicorn", "websocket", "yaml"}  # fmt: skip
TRIES = 10
APPS = {"maxContainers": 4, "apps": [{"name": "a", "priority": 1, "minContainers": 1, "maxContainers": 4}]}
START = {"MSS_SCHEDULER": "TOY", "MSS_CONFIG": "ENVVAR", "MSS_CONFIG_DATA": json.dumps(APPS)}

UNTIL_THE_FIRST_DECISION = """
import os, sys, threading
from microscaling.__main__ import build
agent = build(os.environ)
threading.Thread(target=lambda: agent.engine.decided.wait(60) and agent.stop()).start()
assert agent.run() == 0
print(*sys.modules)
"""


def environ() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("MSS_")} | START


def modules_after(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ(), check=True, capture_output=True, timeout=90
    )
    return {name.partition(".")[0] for name in done.stdout.decode().split()}


def test_the_import_loads_nothing_else() -> None:
    loaded = modules_after("import sys; before = set(sys.modules); import microscaling; "
                           "print(*set(sys.modules) - before)")  # fmt: skip
    assert loaded == {"microscaling"}


def test_a_start_with_toy_loads_nothing_that_it_does_not_use() -> None:
    assert not modules_after(UNTIL_THE_FIRST_DECISION) & HEAVY


def seconds_to_the_first_decision() -> float:
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "microscaling"], cwd=ROOT, env=environ(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    try:
        for line in process.stderr:
            if " -> " in line:
                return time.monotonic() - began
    finally:
        process.kill()
        process.communicate()
    raise AssertionError("no decision")


def test_the_first_decision_is_made_within_a_second() -> None:
    """Once out of ten tries, and later in proportion if other work keeps the processors busy."""
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert any(seconds_to_the_first_decision() < busy for _ in range(TRIES))
