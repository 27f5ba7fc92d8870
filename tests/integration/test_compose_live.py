"""Services of a real Compose project that come, change their labels and go while the agent runs."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.integration.agents import AgentProcess, wait_for
from tests.integration.composes import SLEEPER, Project, engine, project
from tests.metric.faulty import Server, answers

__all__ = ["engine", "project"]


def serve(project: Project, name: str, **labels: str) -> None:
    labels = {"priority": "1"} | labels
    given = {f"microscaling.{key.replace('_', '-')}": text for key, text in labels.items()}
    project.services[name] = {"image": SLEEPER, "labels": {"microscaling.enable": "true", **given}}


def running(project: Project) -> dict[str, int]:
    names = [name.partition("_")[0] for name in project.containers(running=True)]
    return {name: names.count(name) for name in sorted(set(names))}


def waits(project: Project, agent: AgentProcess, **wanted: int) -> None:
    wait_for(lambda: running(project) == wanted, f"for {wanted}, not {running(project)}:\n{agent.log()}")


def ids(project: Project, service: str) -> set[str]:
    return {c["Id"] for name, c in project.containers().items() if name.startswith(f"{service}_")}


def topic(name: str, depth: int) -> dict[str, Any]:
    """One topic in the answer of nsqd."""
    return {"topic_name": name, "depth": 0, "channels": [{"channel_name": "c", "depth": depth}]}


def test_services_come_change_and_go(project: Project) -> None:
    serve(project, "web", min="1", max="2")
    project.run("up", "-d")
    with project.agent(cap=8) as agent:
        waits(project, agent, web=2)
        before = ids(project, "web")
        serve(project, "mail", min="2", max="3", priority="2")
        project.run("up", "-d", "mail")
        agent.says("will have 2 to 3 containers")
        waits(project, agent, web=2, mail=3)
        assert ids(project, "web") == before, "the other one was left alone"
        # Another maximum and another priority: Compose makes the container anew, and takes the copies away.
        serve(project, "mail", max="5", priority="1")
        project.run("up", "-d", "mail")
        agent.says("service mail: has other labels now: Remainder, priority 1")
        waits(project, agent, web=2, mail=5)
        assert ids(project, "web") == before
        # Wrong labels: that one is left alone as it is, and taken in again once they are right.
        serve(project, "mail", max="many")
        serve(project, "web", min="1", max="3")
        project.run("up", "-d")
        agent.says('service mail: microscaling.max: expected a whole number, got "many"')
        agent.says("service mail is left alone until its labels are right")
        waits(project, agent, web=3, mail=1)
        serve(project, "mail", max="4")
        serve(project, "web", min="1", max="8", priority="2")
        project.run("up", "-d")
        waits(project, agent, web=4, mail=4)
        # It goes, and its share is free.
        project.run("rm", "-sf", "mail")
        agent.says("service mail has gone")
        waits(project, agent, web=8)
        assert agent.stop() == 0
        assert "Traceback" not in agent.log()


def test_from_no_service_at_all_and_back(project: Project) -> None:
    serve(project, "web", min="1", max="3")
    with project.agent(cap=8) as agent:
        agent.says("nothing is scaled until one has it")
        project.run("up", "-d")
        waits(project, agent, web=3)
        # Nothing that Compose has made is left: what the agent has made goes, and brings nothing back.
        project.engine.remove_container(project.inspected("web_1")["Id"], force=True)
        agent.says("service web has gone")
        wait_for(lambda: project.containers() == {}, "for the copies to go")
        project.run("up", "-d")
        waits(project, agent, web=3)
        project.run("down")
        agent.says("service web has gone", times=2)
        assert project.containers() == {}
        project.run("up", "-d")
        waits(project, agent, web=3)
        # Switched off: the copies go with Compose's own command, and its own container stays.
        project.services["web"]["labels"]["microscaling.enable"] = "false"
        project.run("up", "-d")
        agent.says("service web is switched off")
        waits(project, agent, web=1)
        assert agent.stop() == 0
        assert "Traceback" not in agent.log()


def test_what_is_wanted_survives_other_labels(project: Project) -> None:
    """Another metric, and another maximum. Compose takes the copies away with each change of labels; they
    come back, and none is given up."""
    nsq = {"rule": "PerContainer", "target": "10", "metric": "NSQ", "metric.channel_name": "c"}
    topics = [topic("t", 30), topic("u", 60)]
    with Server(answers(json.dumps({"topics": topics}).encode())) as server:
        serve(project, "web", min="1", max="8", **nsq, **{"metric.topic_name": "t"})
        project.run("up", "-d")
        with project.agent(cap=8, NSQ_STATS_ENDPOINT=server.endpoint) as agent:
            waits(project, agent, web=3)
            serve(project, "web", min="1", max="8", **nsq, **{"metric.topic_name": "u"})
            project.run("up", "-d")
            waits(project, agent, web=6)
            serve(project, "web", min="1", max="4", **nsq, **{"metric.topic_name": "u"})
            project.run("up", "-d")
            waits(project, agent, web=4)
            log = agent.log()
            changes = re.findall(r"web: (\d+) -> (\d+)", log)
            assert changes[-1][1] == "4"
            falls = [(old, new) for old, new in changes if int(old) > int(new)]
            # Where Compose takes its time between the old container and the new one, the service has none of
            # its own for a moment: it rests, and begins anew.
            begun_anew = "web: rests" in log[log.rindex("-> 6") :]
            assert falls == [("6", "4")] or (begun_anew and not falls), "as the new maximum says"
            assert agent.stop() == 0
