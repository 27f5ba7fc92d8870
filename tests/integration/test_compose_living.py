"""An agent beside a person who uses all commands of Compose, on a real engine."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.scheduler.compose.copy import copy_of
from tests.integration import composes, engines
from tests.integration.agents import AgentProcess, wait_for
from tests.integration.composes import SLEEPER, Project, project
from tests.services.numbers import Numbers

__all__ = ["project"]


@pytest.fixture
def numbers() -> Iterator[Numbers]:
    with Numbers() as numbers:
        yield numbers


def running(project: Project) -> set[str]:
    return set(project.containers(running=True))


def ids(project: Project) -> set[str]:
    return {one["Id"] for one in project.containers().values()}


def until(project: Project, *names: str) -> None:
    wait_for(lambda: running(project) == set(names), f"for {names} to run")


def until_all(project: Project, count: int = 4) -> None:
    wait_for(lambda: len(running(project)) == count, f"for {count} to run")


def until_counts(project: Project, web: int = 0, batch: int = 0) -> None:
    """With any numbers, as on a busy machine the agent may begin before a command of Compose has ended."""
    wanted = web, batch
    wait_for(lambda: (project.count("web"), project.count("batch")) == wanted, f"for {wanted} to run")


def batch(**labels: str) -> dict[str, Any]:
    """A second service, which comes after `web`."""
    own = {"microscaling.enable": "true", "microscaling.priority": "2", "microscaling.max": "4", **labels}
    return {"image": SLEEPER, "labels": own}


def test_each_command_of_compose_means_what_it_says(project: Project) -> None:
    project.web()
    project.run("up", "-d")
    clash = project.engine.create_container(SLEEPER, name=project.name_of("web_3"))["Id"]
    with project.agent() as agent:
        try:
            until(project, "web_1", "web_2", "web_4", "web_5")
        finally:
            project.engine.remove_container(clash)
        project.run("up", "-d")
        agent.says("Compose has set web to 1; 4 wanted")
        until_all(project)
        project.run("up", "-d", "--scale", "web=2")
        agent.says("Compose has set web to 2; 4 wanted")
        until_all(project)
        project.web(environment={"A": "b"})
        project.run("up", "-d", "--no-recreate")
        agent.says("Compose has set web to 1; 4 wanted", times=2)
        until_all(project)

        before = ids(project)
        project.run("pause")
        agent.says("web: rests: its containers were paused, until you unpause them")
        project.run("unpause")
        agent.says("web: is scaled again")
        assert ids(project) == before, "nothing is made in their place"

        for times, stop in enumerate(("kill", "stop"), 1):
            project.run(stop)
            agent.says("web: rests: its containers were stopped, or removed", times)
            assert running(project) == set()
            assert ids(project) == before, "all are left as they are"
            project.run("start")
            agent.says("web: is scaled again", times + 1)
            until_all(project)
            before = ids(project)
        project.run("stop")
        project.run("rm", "-f")
        wait_for(lambda: not project.containers(), "for the copies to go")
        project.run("up", "-d", "--scale", "web=2")
        until_all(project)
        project.engine.remove_container(project.inspected("web_1")["Id"], force=True)
        until_all(project)
        project.run("down")
        assert not project.containers()
        assert not project.networks_there()
        agent.says(
            "web: rests: its containers were stopped, or removed, until `docker compose start`", times=4
        )
        assert "exited with code" not in agent.log(), "what a person does is no news for each container"


def test_copies_of_an_earlier_configuration_are_replaced_one_after_the_other(project: Project) -> None:
    """As a race leaves them behind: Compose itself would remove them with an `up`."""
    client = project.engine
    project.web(environment={"VERSION": "1"}, labels={"microscaling.update.parallel": "2"})
    project.run("up", "-d")
    old = project.inspected("web_1")
    project.web(environment={"VERSION": "2"}, labels={"microscaling.update.parallel": "2"})
    project.run("up", "-d")
    for number in (2, 3, 4):
        made = copy_of(old, number, SLEEPER, client.api_version)
        client.start(client.create_container_from_config(made.body, made.name)["Id"])

    with project.agent(cap=5) as agent:
        wait_for(lambda: project.environments("VERSION") == ["VERSION=2"] * 4, "for copies of the new one")
        agent.says("web: 3 of an earlier configuration are replaced, 2 at a time")


def test_a_crash_loop_under_a_restart_policy(project: Project, numbers: Numbers) -> None:
    """The engine goes on with one, and the others have its share."""
    flags = project.file.parent / "flags"
    flags.mkdir()
    script = "while test ! -e /flags/crash; do sleep 0.1; done; exit 0"
    project.web(
        labels=numbers.labels("web", 3), restart="always", command=["sh", "-c", script],
        volumes=[f"{flags}:/flags"],
    )  # fmt: skip
    project.services["batch"] = batch()
    project.run("up", "-d")
    with project.agent(cap=4) as agent:
        until(project, "web_1", "web_2", "web_3", "batch_1")
        (flags / "crash").touch()
        agent.says("a crash loop; the engine goes on starting one")
        wait_for(
            lambda: set(project.containers()) == {"web_1", "batch_1", "batch_2", "batch_3"},
            "for batch to have the share of web",
        )
        (flags / "crash").unlink()
        until(project, "web_1", "web_2", "web_3", "batch_1")
        assert agent.log().count("a crash loop") == 1, "said once"


def test_its_own_stops_and_those_of_a_person(project: Project, numbers: Numbers) -> None:
    """web takes all of the cap, so batch has none; while web rests, batch has all."""
    project.web(labels=numbers.labels("web", 2))
    project.services["batch"] = batch()
    project.run("up", "-d")
    with project.agent(cap=2) as agent:
        until(project, "web_1", "web_2")
        assert project.containers()["batch_1"]["State"] == "exited"
        assert agent.stop() == 0
    with project.agent(cap=2) as agent:
        agent.says("adopted running")
        project.run("stop", "web")
        until_counts(project, batch=2)
        project.run("start", "web")
        until_counts(project, web=2)
        assert agent.stop() == 0
        agent.says("leaving all containers as they are")
    project.run("start", "batch")
    project.run("stop", "batch")
    with project.agent(cap=2) as agent:
        agent.says("batch: rests")
        project.run("stop", "web")
        agent.says("web: rests")
        wait_for(lambda: not running(project), "for all to rest")
        project.run("start")
        until_counts(project, web=2)
        assert agent.stop() == 0
    with project.agent(cap=2, MSS_ON_EXIT="stop") as agent:
        agent.says("adopted running")
        assert agent.stop() == 0
    assert set(project.containers()) == running(project) == {"web_1", "batch_1"}, "as Compose made them"


def test_a_stop_of_all_is_seen_by_an_agent_without_any_memory(project: Project, numbers: Numbers) -> None:
    """Also of batch, which may have none, and may have none by an earlier agent's doing."""
    project.web(labels=numbers.labels("web", 1, min="1"))
    project.services["batch"] = batch()
    project.run("up", "-d")
    project.run("stop")
    with project.agent(cap=4) as agent:
        agent.says("web: rests")
        agent.says("batch: rests")
        project.run("start", "web")
        agent.says("web: is scaled again")
        assert running(project) == {"web_1"}
        assert agent.stop() == 0


class Down(threading.Thread):
    """What an engine does to an agent whose container is stopped: the process gets SIGTERM."""

    def __init__(self, project: Project, agent: AgentProcess) -> None:
        super().__init__(name="down")
        self.agent, self.client = agent, engines.connect(project.host, timeout_s=600)
        self.id = project.inspected("agent_1")["Id"]
        filters = {"container": self.id, "event": ["kill"]}
        self.stream = self.client.events(filters=filters, decode=True)
        self.start()

    def run(self) -> None:
        for _ in self.stream:
            self.agent.process.send_signal(signal.SIGTERM)
            self.agent.process.wait()
            self.client.kill(self.id)
            break
        self.stream.close()
        self.client.close()


DELAYS_S = (0.0, 0.7)
"""From the first copy on; an agent makes the last ones about a second later."""


@pytest.mark.parametrize("on_exit", ["leave", "stop"])
def test_with_a_down_of_its_own_project_nothing_appears_any_more(project: Project, on_exit: str) -> None:
    """The agent ends as if its container was one of the project, in the midst of scaling up."""
    project.web(labels={"microscaling.max": "8"}, networks=["back"], stop_grace_period="1s")
    project.services["agent"] = {"image": "mss-test/stubborn", "stop_grace_period": "60s"}
    for delay_s in DELAYS_S:
        project.run("up", "-d")
        with project.agent(MSS_ON_EXIT=on_exit) as agent:
            wait_for(lambda: len(project.containers()) > 2, "for the first copy")
            down = Down(project, agent)
            time.sleep(delay_s)
            project.run("down")
            down.join(60)
            assert agent.process.returncode == 0
        assert not project.containers(), f"after {delay_s} s"
        assert not project.networks_there()


def test_what_an_agent_makes_in_the_instant_of_a_down_goes_again(project: Project) -> None:
    project.web(labels={"microscaling.max": "8"}, networks=["back"], stop_grace_period="1s")
    with project.agent() as agent:
        for delay_s in DELAYS_S:
            project.run("up", "-d")
            wait_for(lambda: len(project.containers()) > 1, "for the first copy")
            time.sleep(delay_s)
            with contextlib.suppress(AssertionError):  # if a copy is still in its network
                project.run("down")
            wait_for(lambda: not project.containers(), "for the last copies to go")
            project.run("down")
            assert not project.networks_there()
        assert "Traceback" not in agent.log()


@pytest.fixture
def own_project(own_engine: engines.OwnEngine, tmp_path: Path) -> Iterator[Project]:
    client = engines.connect(own_engine.host)
    made = Project(client, own_engine.host, tmp_path, composes.compose_of(composes.USUAL))
    yield made
    shutil.rmtree(made.runtime, ignore_errors=True)
    client.close()


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
def test_after_a_restart_of_the_engine_what_came_up_by_policy_is_adopted(
    own_project: Project, own_engine: engines.OwnEngine, numbers: Numbers, crash: bool
) -> None:
    """Also what the agent had stopped, which it stops again."""
    project, none = own_project, {"network_mode": "none", "restart": "always"}
    project.web(labels=numbers.labels("web", 3), **none)
    project.services["batch"] = batch() | none
    project.run("up", "-d", "--scale", "batch=2")
    with project.agent(cap=4) as agent:
        until(project, "web_1", "web_2", "web_3", "batch_1")
        before = ids(project)
        own_engine.kill() if crash else own_engine.stop()
        agent.says("cannot count the running containers")
        own_engine.start()
        wait_for(lambda: "can be counted again" in agent.log())
        until(project, "web_1", "web_2", "web_3", "batch_1")
        assert ids(project) == before, "nothing was made"
        assert project.inspected("batch_2")["State"]["Status"] == "exited"
        assert agent.stop() == 0


def test_what_it_stopped_and_an_engine_started_again_while_no_agent_ran_is_stopped_again(
    own_project: Project, own_engine: engines.OwnEngine, numbers: Numbers
) -> None:
    """As Docker does under `on-failure` with each that was stopped and has not ended with 0."""
    project = own_project
    none = {"network_mode": "none", "restart": "on-failure", "stop_grace_period": "1s"}
    none["image"] = "mss-test/stubborn"
    project.web(labels=numbers.labels("web", 3), **none)
    project.services["batch"] = batch() | none
    project.run("up", "-d", "--scale", "batch=2")
    with project.agent(cap=4) as agent:
        until(project, "web_1", "web_2", "web_3", "batch_1")
        wait_for(lambda: project.inspected("batch_2")["State"]["ExitCode"] == 137, "for its end")
        assert agent.stop() == 0
    own_engine.kill()
    own_engine.start()
    until(project, "web_1", "web_2", "web_3", "batch_1", "batch_2")
    with project.agent(cap=4) as agent:
        agent.says("adopted running containers: 2 of batch, 3 of web")
        until(project, "web_1", "web_2", "web_3", "batch_1")
        assert agent.stop() == 0
