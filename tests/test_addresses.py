"""Addresses of servers that can never answer: exit code 2 and one line each, on the running product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_main import TOY, run

NSQ = {
    "name": "a",
    "maxContainers": 1,
    "ruleType": "SimpleQueue",
    "metricType": "NSQ",
    "config": {"topicName": "t", "channelName": "c", "targetQueueLength": 5},
}
MEASURED = {**TOY, "MSS_CONFIG_DATA": json.dumps({"maxContainers": 1, "apps": [NSQ]})}
SETTINGS = {
    "MSS_API_ADDRESS": {**TOY, "MSS_CONFIG": "SERVER"},
    "MSS_MARATHON_API": {**TOY, "MSS_SCHEDULER": "MARATHON"},
    "NSQ_STATS_ENDPOINT": MEASURED,
}
NEVER = ["/path", "unix:///run/x.sock", "http://", "h:70000", "http://h..x", "http:/h:80"]


@pytest.mark.parametrize("variable", SETTINGS)
@pytest.mark.parametrize("address", NEVER)
def test_what_can_never_answer(tmp_path: Path, variable: str, address: str) -> None:
    health = {"MSS_HEALTH_FILE": str(tmp_path / "health")}
    code, out, err = run(**SETTINGS[variable], **health, **{variable: address})
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"microscaling: {variable}: ")
    assert sum(line.startswith("microscaling: ") for line in err.splitlines()) == 1
