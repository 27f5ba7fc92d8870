"""Copies of the containers of a real Compose project, on a real engine."""

from __future__ import annotations

import contextlib
import io
import tarfile

from microscaling.clients.docker.compose import COPY_OF
from microscaling.demand.task import Task
from microscaling.scheduler.containers.backend import State
from tests.integration.agents import wait_for
from tests.integration.composes import SLEEPER, Project, engine, project

__all__ = ["engine", "project"]


def test_a_copy_has_the_image_that_its_original_runs(project: Project) -> None:
    name = f"{project.name}-image:1"
    project.engine.tag(SLEEPER, *name.split(":"))
    try:
        project.web(image=name)
        project.run("up", "-d")
        backend = project.backend()
        before = project.inspected("web_1")["Image"]
        project.engine.tag("mss-test/stubborn", *name.split(":"))
        copy = project.engine.inspect_container(backend.create(Task("web"), "n1"))
        backend.close()
        assert copy["Image"] == before
    finally:
        project.engine.remove_image(name, force=True)


def test_secrets_that_compose_writes_into_a_container_are_carried_over(project: Project) -> None:
    """As version 2 does for those of the environment, between create and start."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("run/secrets/token")
        entry.size = 6
        tar.addfile(entry, io.BytesIO(b"s3cret"))
    project.web()
    project.run("up", "--no-start")
    id = project.inspected("web_1")["Id"]
    project.engine.put_archive(id, "/", packed.getvalue())
    project.engine.start(id)
    backend = project.backend()
    copy = backend.create(Task("web"), "n1")
    backend.close()
    chunks, _ = project.engine.get_archive(copy, "/run/secrets/token")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        file = tar.extractfile("token")
        assert file is not None
        assert file.read() == b"s3cret"


def test_copies_have_higher_numbers_than_what_compose_has_made(project: Project) -> None:
    """An `up` keeps the lowest, and version 2 of Compose may leave its own one with any number."""
    project.web()
    project.run("up", "-d", "--scale", "web=2")
    project.engine.remove_container(project.inspected("web_1")["Id"], force=True)
    backend = project.backend()
    backend.create(Task("web"), "n1")
    backend.close()
    assert set(project.containers()) == {"web_2", "web_3"}
    project.run("up", "-d")
    assert set(project.containers()) == set(project.containers(running=True)) == {"web_2"}
    assert COPY_OF not in project.inspected("web_2")["Config"]["Labels"]


def test_originals_are_stopped_and_started_again_and_copies_are_removed(project: Project) -> None:
    project.web()
    project.run("up", "-d")
    backend, task = project.backend(), Task("web")
    original = project.inspected("web_1")["Id"]
    copy = backend.create(task, "n1")
    backend.start(copy)
    for id in (copy, original):
        backend.stop(id, 1.0)
        backend.remove(id)
    assert set(project.containers()) == {"web_1"}
    assert [one.state for one in backend.list()] == [State.EXITED]
    assert backend.create(task, "n2") == original
    (lent,) = backend.list()
    assert (lent.state, lent.nonce) == (State.CREATED, "n2")
    backend.start(original)
    assert backend.list()[0].state is State.RUNNING
    backend.close()


def test_an_agent_scales_a_service_up_and_down(project: Project) -> None:
    project.web(labels={"microscaling.min": "1"})
    project.run("up", "-d")
    with project.agent() as agent:
        wait_for(lambda: len(project.containers(running=True)) == 4, "for three copies")
        assert set(project.containers()) == {"web_1", "web_2", "web_3", "web_4"}
        project.run("up", "-d")  # takes the copies away
        wait_for(lambda: len(project.containers(running=True)) == 4, "for the copies to come back")
        project.run("stop")
        assert len(project.containers()) == 4, "they are left as they are"
        assert project.containers(running=True) == {}
        project.run("start")
        wait_for(lambda: len(project.containers(running=True)) == 4, "for the service to go on")
        project.run("down")
        assert project.containers() == {}
        project.run("up", "-d")
        wait_for(lambda: len(project.containers(running=True)) == 4, "for all again")
        assert agent.stop() == 0
    assert len(project.containers(running=True)) == 4, "they are left as they are"


def test_an_agent_that_stops_them_leaves_what_compose_has_made(project: Project) -> None:
    project.web(labels={"microscaling.max": "3"})
    project.run("up", "-d", "--scale", "web=2")
    with project.agent(MSS_ON_EXIT="stop") as agent:
        wait_for(lambda: len(project.containers(running=True)) == 3, "for a copy")
        assert agent.stop() == 0
    assert set(project.containers(running=True)) == {"web_1", "web_2"}


def test_after_a_change_all_have_the_new_configuration(project: Project) -> None:
    project.web(environment={"VERSION": "1"})
    project.run("up", "-d")

    def versions() -> list[str]:
        return project.environments("VERSION")

    with project.agent():
        wait_for(lambda: versions() == ["VERSION=1"] * 4, "for three copies")
        project.web(environment={"VERSION": "2"})
        project.run("up", "-d")
        wait_for(lambda: versions() == ["VERSION=2"] * 4, "for copies of the new one")
        project.web(environment={"VERSION": "3"})
        project.run("up", "-d", "--scale", "web=3")  # two of the copies become Compose's own
        wait_for(lambda: versions() == ["VERSION=3"] * 4, "for copies of the newest one")


def test_a_restart_by_compose_changes_no_number(project: Project) -> None:
    project.web()
    project.run("up", "-d")
    with project.agent() as agent:
        wait_for(lambda: len(project.containers(running=True)) == 4, "for three copies")
        before = {one["Id"] for one in project.containers().values()}
        project.run("restart")
        agent.says("somebody else changes its containers")
        wait_for(lambda: len(project.containers(running=True)) == 4, "for all to be back")
        assert project.inspected("web_1")["Id"] in before
        with contextlib.suppress(AssertionError):  # if a copy has gone before Compose came to it
            project.run("down")
        project.run("down")
        assert project.containers() == {}


def test_a_restart_by_policy_is_the_engines(project: Project) -> None:
    script = "test -e /once && exec sleep 3600; touch /once; sleep 2; exit 3"
    project.web(labels={"microscaling.max": "2"}, restart="always", command=["sh", "-c", script])
    project.run("up", "-d")
    with project.agent():
        wait_for(lambda: len(project.containers(running=True)) == 2, "for a copy")
        ids = {one["Id"] for one in project.containers().values()}
        wait_for(
            lambda: all(project.inspected(name)["RestartCount"] == 1 for name in ("web_1", "web_2")),
            "for the engine to restart both",
        )
        wait_for(lambda: len(project.containers(running=True)) == 2, "for both to run")
        assert {one["Id"] for one in project.containers().values()} == ids, "none was made in their place"


def test_a_mistake_in_the_labels_of_one_service_costs_that_one_only(project: Project) -> None:
    project.web()
    labels = {"microscaling.enable": "True", "microscaling.max": "many"}
    project.services["bad"] = {"image": SLEEPER, "labels": labels}
    project.services["plain"] = {"image": SLEEPER}
    project.run("up", "-d")
    with project.agent() as agent:
        wait_for(lambda: len(project.containers(running=True)) == 6, "for the copies of web")
        assert {"bad_1", "plain_1", "web_4"} < set(project.containers())
        agent.says('service bad: microscaling.max: expected a whole number, got "many"')
        agent.says("service bad is left alone until its labels are right")


def test_a_service_that_was_stopped_leaves_its_share_to_the_others(project: Project) -> None:
    project.web(labels={"microscaling.max": "6", "microscaling.priority": "1"})
    labels = {"microscaling.enable": "true", "microscaling.max": "6", "microscaling.priority": "2"}
    project.services["batch"] = {"image": SLEEPER, "labels": labels}
    project.run("up", "-d")

    def running() -> dict[str, int]:
        names = [name.partition("_")[0] for name in project.containers(running=True)]
        return {name: names.count(name) for name in ("web", "batch")}

    with project.agent(cap=6):
        wait_for(lambda: running() in ({"web": 6, "batch": 0}, {"web": 5, "batch": 1}), "for web to have it")
        project.run("stop", "web")
        wait_for(lambda: running() == {"web": 0, "batch": 6}, "for batch to have all")
