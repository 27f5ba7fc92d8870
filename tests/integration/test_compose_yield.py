"""Copies of a Compose service that are frozen in place of being removed, on a real engine."""

from __future__ import annotations

import subprocess
import sys
import tempfile

from tests.integration.agents import AgentProcess, wait_for
from tests.integration.composes import Project, engine, project

__all__ = ["engine", "project"]


def states(project: Project) -> list[str]:
    """The state of each container, by number."""
    return [one["State"] for _, one in sorted(project.containers().items())]


def command(agent: AgentProcess, *words: str) -> None:
    """One of a person's commands to the agent."""
    subprocess.run([sys.executable, "-m", "microscaling", *words], env=agent.environ, check=True, timeout=60)


def test_copies_are_frozen_and_go_on_and_what_compose_made_is_not(project: Project) -> None:
    project.web(labels={"microscaling.min": "0", "microscaling.yield": "pause"})
    project.run("up", "-d")
    # Its control socket is in a folder of its own, as the commands are for all agents of a user.
    with (
        tempfile.TemporaryDirectory() as own,
        project.agent(MSS_ON_EXIT="stop", XDG_RUNTIME_DIR=own) as agent,
    ):
        wait_for(lambda: states(project) == ["running"] * 4, "for three copies")
        before = {one["Id"] for one in project.containers().values()}
        command(agent, "pin", "web", "1")
        wait_for(
            lambda: states(project) == ["running", "paused", "paused", "paused"], "for them to be frozen"
        )
        command(agent, "pin", "web", "0")
        wait_for(
            lambda: states(project) == ["exited", "paused", "paused", "paused"], "for the stop of its own"
        )
        command(agent, "resume", "web")
        wait_for(lambda: states(project) == ["running"] * 4, "for all to go on")
        assert {one["Id"] for one in project.containers().values()} == before
        command(agent, "pin", "web", "2")
        wait_for(lambda: states(project) == ["running", "running", "paused", "paused"], "for two again")
        assert agent.stop() == 0
        assert "somebody else changes" not in agent.log()
    assert set(project.containers()) == {"web_1"}
