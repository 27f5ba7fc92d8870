"""Copies of a Compose service that are frozen in place of being removed, on a real engine."""

from __future__ import annotations

from microscaling.control.client import ask
from microscaling.control.place import found_sockets
from tests.integration.agents import AgentProcess, wait_for
from tests.integration.composes import Project, engine, project

__all__ = ["engine", "project"]


def states(project: Project) -> list[str]:
    """The state of each container, by number."""
    return [one["State"] for _, one in sorted(project.containers().items())]


def order(agent: AgentProcess, what: str, **query: str) -> None:
    """An order of a person to this agent alone: the command's is for all that have a task of that name."""
    (path,) = (one for one in found_sockets(agent.environ) if one.endswith(f"-{agent.process.pid}.sock"))
    ask(path, f"POST /{what}", task="web", **query)


def test_copies_are_frozen_and_go_on_and_what_compose_made_is_not(project: Project) -> None:
    project.web(labels={"microscaling.min": "0", "microscaling.yield": "pause"})
    project.run("up", "-d")
    with project.agent(MSS_ON_EXIT="stop") as agent:
        wait_for(lambda: states(project) == ["running"] * 4, "for three copies")
        before = {one["Id"] for one in project.containers().values()}
        order(agent, "pin", containers="1")
        wait_for(
            lambda: states(project) == ["running", "paused", "paused", "paused"], "for them to be frozen"
        )
        order(agent, "pin", containers="0")
        wait_for(
            lambda: states(project) == ["exited", "paused", "paused", "paused"], "for the stop of its own"
        )
        order(agent, "resume")
        wait_for(lambda: states(project) == ["running"] * 4, "for all to go on")
        assert {one["Id"] for one in project.containers().values()} == before
        order(agent, "pin", containers="2")
        wait_for(lambda: states(project) == ["running", "running", "paused", "paused"], "for two again")
        assert agent.stop() == 0
        assert "somebody else changes" not in agent.log()
    assert set(project.containers()) == {"web_1"}
