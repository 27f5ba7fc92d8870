"""Local processes are called processes, in every line that a person reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time


def test_no_line_speaks_of_containers(tmp_path):
    """From the first line to the last, with tasks that crash, end by themselves, and run."""
    commands = {
        "crashes": "sh -c 'echo no; exit 3'",
        "ends": "true",
        "runs": "sleep 300",
        "missing": "/no/such",
    }
    apps = [
        {"name": name, "priority": 1, "minContainers": 1, "maxContainers": 2, "config": {"command": command}}
        for name, command in commands.items()
    ]
    apps[2] |= {"ruleType": "Queue", "metricType": "SQL"}
    apps[2]["config"] |= {"databaseURL": "sqlite:////no/such.db", "query": "SELECT 1", "targetQueueLength": 1}
    health = tmp_path / "health"
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith("MSS_")},
        "MSS_SCHEDULER": "PROCESS",
        "MSS_CONFIG": "ENVVAR",
        "MSS_CONFIG_DATA": json.dumps({"maxContainers": 8, "apps": apps}),
        "MSS_MONITOR": "none",
        "MSS_LOG_DEBUG": "all",
        "MSS_STATE_DIR": str(tmp_path / "state"),
        "MSS_HEALTH_FILE": str(health),
        "MAIL_PASSWORD": "hunter2",
    }
    with (tmp_path / "log").open("w") as log:
        agent = subprocess.Popen([sys.executable, "-m", "microscaling"], env=environ, stderr=log, stdout=log)
    try:
        deadline = time.monotonic() + 60
        while (said := (tmp_path / "log").read_text()).count(
            "backing off"
        ) < 2 or "processes run" not in said:
            if "processes run" not in said and health.exists():
                said += health.read_text()
                if "processes run" in said and said.count("backing off") >= 2:
                    break
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(60) == 0
    finally:
        agent.kill()
        agent.wait()
    said += (tmp_path / "log").read_text()
    assert [line for line in said.splitlines() if "container" in line.lower()] == []
    for words in (
        "1 is too small for Queue",
        "tasks share 8 processes",
        "stopping all processes",
        "every process gets these",
        "last lines: no",
    ):
        assert words in said
