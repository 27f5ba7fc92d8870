"""Restarted with MSS_ON_EXIT=leave at the busiest moment, again and again: what runs is not shaken."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from docker import APIClient

from tests.integration import engines
from tests.integration.agents import AgentProcess, Queues, queue_app, wait_for

RESTARTS = 50
QUIET, QUIET_S = (25, 49), 10.0
"""After these restarts the readings are equal to the targets for so long."""
TARGET, LONG = 50, 5000
CAP = 8
STOPPED_AFTER_S = (0.0, 0.05, 0.1, 0.2, 0.35)
"""Between the jump of the readings and SIGTERM, in turn: the agent has not seen it yet, decides, is at it."""
CHANGES = ("create", "start", "kill", "stop", "die", "destroy")


class Changes(threading.Thread):
    """Notes all that happens to containers, as the engine tells it; it forgets what is longer ago."""

    def __init__(self, host: str) -> None:
        super().__init__(name="changes")
        self.client: APIClient = engines.connect(host, timeout_s=600)
        filters = {"type": "container", "event": list(CHANGES), "label": engines.LABEL}
        self.stream = self.client.events(filters=filters, decode=True)
        self.seen: list[tuple[float, str, str]] = []
        self.start()

    def run(self) -> None:
        for event in self.stream:
            attributes = event["Actor"]["Attributes"]
            self.seen.append((event["timeNano"] / 1e9, event["Action"], attributes[engines.LABEL]))

    def between(self, since: float, until: float) -> list[tuple[float, str, str]]:
        return [change for change in self.seen if since < change[0] < until]

    def most_at_once(self) -> int:
        running = most = 0
        for _, kind, _ in self.seen:
            running += {"start": 1, "die": -1}.get(kind, 0)
            most = max(most, running)
        return most

    def close(self) -> None:
        self.stream.close()
        self.join(10)
        self.client.close()


@pytest.fixture
def changes(own_engine: engines.OwnEngine) -> Iterator[Changes]:
    changes = Changes(own_engine.host)
    yield changes
    changes.close()


def first_decision(agent: AgentProcess) -> float:
    """When it was made, once it is; what the engine's thread says first comes right after it."""

    def said() -> float:
        for line in agent.log().splitlines():
            if '"mssengine"' in line and line.endswith("}"):
                return datetime.strptime(json.loads(line)["time"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
        return 0.0

    return float(wait_for(said, "for the first decision"))


def test_fifty_restarts_change_nothing_before_the_first_decision(
    tmp_path: Path, own_engine: engines.OwnEngine, changes: Changes
) -> None:
    queues = Queues(tmp_path)
    apps = [queue_app("leave-a", 1, queues, TARGET), queue_app("leave-b", 2, queues, TARGET)]
    environ = {
        "DOCKER_HOST": own_engine.host,
        "MSS_ON_EXIT": "leave",
        "MSS_LOG_FORMAT": "json",
        "MSS_LOG_DEBUG": "mssengine",
    }
    busy, gaps, stops = 0, [], []
    ended = time.time()
    for i in range(RESTARTS + 1):
        with AgentProcess(tmp_path, apps, CAP, **environ) as agent:
            decided = first_decision(agent)
            assert changes.between(ended, decided) == [], f"restart {i}"
            gaps.append(decided - ended)
            if i in QUIET:
                time.sleep(QUIET_S)
                shaken = changes.between(ended, time.time())
                assert shaken == [], f"restart {i}, with readings equal to the targets"
            told_of, jumped = agent.log().count('"leave-a: '), time.time()
            for name, length in (("leave-a", LONG if i % 2 else 0), ("leave-b", 0 if i % 2 else LONG)):
                queues.put(name, length)
            if i + 1 in QUIET:  # half way from one to the other: both could have more, and fewer
                wait_for(lambda agent=agent, so_far=told_of: agent.log().count('"leave-a: ') > so_far)
            else:
                time.sleep(STOPPED_AFTER_S[i % len(STOPPED_AFTER_S)])
            told = time.time()
            assert agent.stop() == 0
            ended = time.time()
            stops.append(ended - told)
        busy += bool(changes.between(jumped, ended))
        if i + 1 in QUIET:
            for name in ("leave-a", "leave-b"):
                queues.put(name, TARGET)
    assert busy >= RESTARTS / 2, "stopped in the midst of it"
    assert changes.most_at_once() <= CAP
    print(f"{RESTARTS} restarts, {busy} of them while containers changed, {len(changes.seen)} changes in all")
    print(f"end to first decision: most {max(gaps[1:]):.2f} s; SIGTERM to end: most {max(stops):.2f} s")
