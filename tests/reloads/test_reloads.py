"""Twenty seconds of a storm of reloads, and rolling replacements as a witness sees them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.integration import engines
from tests.integration.agents import AgentProcess, wait_for
from tests.integration.engines import Missing, give_up
from tests.reloads.storm import LAST_S, storm

pytestmark = pytest.mark.integration
RELOADS, SECONDS = 10, 20.0
EIGHT = 8
UP_S = 4.9
"""A new one counts as ready after 5 s; an engine and an agent look at a clock at different moments."""
HEALTHY = {"test": ["CMD", "true"], "interval": "1s", "timeout": "5s"}


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    try:
        engine = engines.OwnEngine()
    except Missing as missing:
        give_up(missing)
    try:
        engine.start()
        with closing(engines.connect(engine.host)) as client:
            engines.make_images(client)
        yield engine.host
    except Missing as missing:
        give_up(missing)
    finally:
        engine.remove()


def test_a_short_storm_touches_nothing_that_has_not_changed(host: str, tmp_path: Path) -> None:
    figures = storm(tmp_path, host, RELOADS, SECONDS, seed=4)
    replay = f"python -m tests.reloads --seed 4 --reloads {RELOADS} --minutes {SECONDS / 60:.2f}"
    assert not figures["violations"], f"{replay}: {figures}"
    assert figures["kinds"]["bad"], "nothing has been shown"
    assert figures["events"]["start"] > EIGHT


class Ready:
    """Follows the engine's events, and notes the fewest ready containers that there were."""

    def __init__(self, host: str) -> None:
        self.client = engines.connect(host, timeout_s=600)
        listed = engines.ours(self.client)
        self.old = {one["Id"] for one in listed if one["State"] == "running"}
        self.new: dict[str, float | None] = {}
        """Of those that run, the time of the start, or None until they are healthy."""
        self.fewest, self.most = len(self.old), len(self.old)
        kinds = ["start", "kill", "die", "health_status: healthy"]
        self.stream = self.client.events(filters={"type": "container", "event": kinds}, decode=True)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        for event in self.stream:
            id, kind, at = event["Actor"]["ID"], event["Action"], event["timeNano"] / 1e9
            if kind == "start":
                self.new[id] = at
            elif kind in ("kill", "die"):  # from its SIGTERM on it does no work any more
                self.old.discard(id)
                self.new.pop(id, None)
            self.most = max(self.most, len(self.old) + len(self.new))
            up = [since for since in self.new.values() if since is not None and at - since >= UP_S]
            self.fewest = min(self.fewest, len(self.old) + len(up))

    def __enter__(self) -> Ready:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.thread.join(15)
        self.client.close()


class Eight:
    """An agent with one task of eight containers."""

    def __init__(self, folder: Path, host: str, cap: int) -> None:
        self.folder, self.host, self.cap = folder, host, cap
        self.environ = {"DOCKER_HOST": host, "MSS_STATE_DIR": str(folder / "state"), "MSS_ON_EXIT": "leave"}

    def app(self, **config: Any) -> dict[str, Any]:
        own = {"image": "mss-test/sleeper", **config}
        counts = {"minContainers": EIGHT, "maxContainers": EIGHT}
        return {"name": "eight", "priority": 1, **counts, "ruleType": "Remainder", "config": own}

    def agent(self, **config: Any) -> AgentProcess:
        return AgentProcess(self.folder, [self.app(**config)], self.cap, **self.environ)

    def write(self, agent: AgentProcess, **config: Any) -> None:
        data = {"maxContainers": self.cap, "apps": [self.app(**config)]}
        agent.config.write_text(json.dumps(data))

    def labels(self, client: Any) -> list[str]:
        return sorted(one["Labels"].get("v", "") for one in engines.ours(client) if one["State"] == "running")


@pytest.fixture
def eight(host: str, tmp_path: Path) -> Iterator[tuple[Eight, Any]]:
    with closing(engines.connect(host)) as client:
        yield Eight(tmp_path, host, EIGHT), client
        engines.remove(client, engines.ours(client))


@pytest.mark.parametrize("cap", [EIGHT, EIGHT + 2])
def test_never_fewer_than_seven_of_eight_are_ready(eight: tuple[Eight, Any], cap: int) -> None:
    stage, client = eight
    stage.cap = cap
    with stage.agent(labels={"v": "1"}) as agent:
        wait_for(lambda: stage.labels(client) == ["1"] * EIGHT, "for eight")
        time.sleep(6)  # until they count as ready themselves
        with Ready(stage.host) as ready:
            stage.write(agent, labels={"v": "2"})
            agent.process.send_signal(1)
            # One after the other, each for more than 5 s.
            wait_for(lambda: "all are of the present configuration" in agent.log(), "for the last", LAST_S)
            wait_for(lambda: stage.labels(client) == ["2"] * EIGHT, "for the new ones")
        assert ready.fewest >= EIGHT - 1
        assert ready.most <= cap
        assert agent.stop() == 0


def test_new_ones_that_fail_leave_the_old_ones(eight: tuple[Eight, Any]) -> None:
    stage, client = eight
    stage.cap = EIGHT + 1
    with stage.agent(labels={"v": "1"}) as agent:
        wait_for(lambda: stage.labels(client) == ["1"] * EIGHT, "for eight")
        with Ready(stage.host) as ready:
            stage.write(agent, image="mss-test/exits", labels={"v": "2"})
            agent.process.send_signal(1)
            agent.says("eight: the replacement is stopped, as its new containers fail")
            time.sleep(3)
        assert stage.labels(client).count("1") == EIGHT
        assert ready.fewest >= EIGHT - 1
        stage.write(agent, labels={"v": "1"})
        agent.process.send_signal(1)
        agent.says("reload: rolled: eight", 2)
        time.sleep(2)
        assert stage.labels(client) == ["1"] * EIGHT, "and the old file is as if nothing had been"
        assert agent.stop() == 0


def test_what_was_left_is_rolled_at_the_next_start_and_by_hand(eight: tuple[Eight, Any]) -> None:
    stage, client = eight
    health = {"healthcheck": HEALTHY}
    with stage.agent(labels={"v": "1"}, **health) as agent:
        wait_for(lambda: stage.labels(client) == ["1"] * EIGHT, "for eight")
        assert agent.stop() == 0
    before = {one["Id"] for one in engines.ours(client)}
    with stage.agent(labels={"v": "1"}, **health) as agent:
        agent.says("adopted running containers: 8 of eight")
        time.sleep(3)
        assert {one["Id"] for one in engines.ours(client)} == before, "nothing differs"
        assert agent.stop() == 0
    with Ready(stage.host), stage.agent(labels={"v": "2"}, update={"parallel": 4}, **health) as agent:
        agent.says("eight: 8 of an earlier configuration are replaced, 4 at a time")
        agent.says("all are of the present configuration")
        wait_for(lambda: stage.labels(client) == ["2"] * EIGHT, "for the new ones")
        assert agent.stop() == 0
