"""Copies of a Compose service that are started ahead, on a real engine."""

from __future__ import annotations

import subprocess
import sys

import pytest
from docker import APIClient

from tests.integration.agents import ROOT, wait_for
from tests.integration.composes import Project, engine, project
from tests.integration.engines import BUSYBOX
from tests.integration.test_compose_yield import order, states
from tests.integration.test_warm import IN_SHELL, WAITS

__all__ = ["engine", "project"]
LABELS = {
    "microscaling.max": "3",
    "microscaling.warm": "2",
    "microscaling.warm-after.file": "/tmp/ready",
    "microscaling.go.file": "/tmp/go",
}


def at_work(client: APIClient, project: Project) -> int:
    """How many have gone on after they were told."""
    found = project.containers(running=True).values()
    return sum(any(one["Path"] == "/works" for one in client.diff(each["Id"]) or ()) for each in found)


BY_STOP = {
    "microscaling.max": "3",
    "microscaling.warm": "2",
    "microscaling.warm-after.signal": "STOP",
    "microscaling.go.signal": "CONT",
}


@pytest.mark.parametrize(
    ("labels", "waits", "init"),
    [(LABELS, IN_SHELL, False), (BY_STOP, "kill -STOP $$", True)],
    ids=["file", "stop"],
)
def test_copies_are_warm_and_what_compose_made_is_told_go(
    project: Project, engine: APIClient, labels: dict[str, str], waits: str, init: bool
) -> None:
    command = ["sh", "-c", WAITS.format(":", waits).replace("$", "$$")]
    project.web(labels=labels, image=BUSYBOX, command=command, init=init)
    project.run("up", "-d")
    with project.agent(MSS_ON_EXIT="stop", MSS_MAX_CONTAINERS="5") as agent:
        wait_for(lambda: states(project).count("paused") == 2, "for two warm copies beside three that work")
        wait_for(lambda: at_work(engine, project) == 3, "for go, to what Compose has made, too")
        warm = {one["Id"] for one in project.containers().values() if one["State"] == "paused"}
        order(agent, "pin", containers="1")
        wait_for(lambda: sorted(states(project)) == ["paused", "paused", "running"], "for one to work")
        order(agent, "resume")
        wait_for(lambda: at_work(engine, project) == 3, "for them to be told go")
        assert warm < {one["Id"] for one in project.containers(running=True).values()}
        assert agent.stop() == 0
        assert "somebody else changes" not in agent.log()
    assert set(project.containers()) == {"web_1"}


def test_a_service_that_stops_itself_needs_an_init(project: Project, engine: APIClient) -> None:
    project.web(labels=BY_STOP, image=BUSYBOX, command=["sleep", "1000"])
    project.run("up", "-d")
    with project.agent(MSS_ON_EXIT="stop") as agent:
        agent.says("PID 1 of a container cannot stop itself: its service needs init: true")
        command = [sys.executable, "-m", "microscaling", "check"]
        done = subprocess.run(
            command, env=agent.environ, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert agent.stop() == 0
    assert done.returncode == 1
    assert "error    web: warmAfter.signal: PID 1 of a container cannot stop itself" in done.stdout
