"""Copies of the containers of a real Compose project, on a real engine."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker import APIClient

from microscaling.clients.docker.compose import COPY_OF, NUMBER, PROJECT
from microscaling.demand.task import Task
from microscaling.scheduler.compose.backend import ComposeBackend
from microscaling.scheduler.containers.backend import State
from tests.integration import engines
from tests.integration.agents import AgentProcess, wait_for
from tests.integration.engines import give_up

HOST = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
SLEEPER = "mss-test/sleeper"


class Project:
    """A Compose project of its own name, with the labels of a task on its service `web`."""

    def __init__(self, engine: APIClient, folder: Path) -> None:
        self.engine = engine
        self.name = f"t{uuid.uuid4().hex[:6]}"
        self.file = folder / "docker-compose.yml"
        self.state = folder / "state"
        self.services: dict[str, Any] = {}
        self.networks: dict[str, Any] = {"back": {}, "front": {}}

    def web(self, **more: Any) -> None:
        labels = {"microscaling.enable": True, "microscaling.max": "4", **more.pop("labels", {})}
        self.services["web"] = {"image": SLEEPER, "labels": labels, **more}

    def run(self, *command: str) -> str:
        volumes = {"data": {}}
        text = {"version": "3.8", "services": self.services, "networks": self.networks,
                "volumes": volumes, "secrets": {"key": {"file": str(self.file)}}}  # fmt: skip
        self.file.write_text(yaml.safe_dump(text))
        done = subprocess.run(
            ["docker-compose", "-p", self.name, "-f", str(self.file), *command],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def containers(self, running: bool = False) -> dict[str, dict[str, Any]]:
        found = self.engine.containers(all=not running, filters={"label": f"{PROJECT}={self.name}"})
        return {one["Names"][0].lstrip("/").removeprefix(f"{self.name}_"): one for one in found}

    def inspected(self, name: str) -> dict[str, Any]:
        return self.engine.inspect_container(f"{self.name}_{name}")

    def backend(self) -> ComposeBackend:
        made = ComposeBackend(HOST, projects=self.name)
        made.begin(["web"])
        made.list()
        return made

    def agent(self, cap: int = 10, **environ: str) -> AgentProcess:
        return AgentProcess(
            self.file.parent, [], MSS_SCHEDULER="COMPOSE", MSS_CONFIG="", MSS_CONFIG_FILE="",
            MSS_MAX_CONTAINERS=str(cap),
            MSS_COMPOSE_PROJECT=self.name, MSS_STATE_DIR=str(self.state), **environ,
        )  # fmt: skip

    def close(self) -> None:
        for one in self.engine.containers(all=True, filters={"label": f"{PROJECT}={self.name}"}):
            self.engine.remove_container(one["Id"], force=True, v=True)
        self.run("down", "-v")


@pytest.fixture
def engine() -> Iterator[APIClient]:
    """Without the lock of the others: nothing here has the label by which their agents find containers."""
    try:
        client = engines.connect()
        engines.make_images(client)
    except engines.Missing as missing:
        give_up(missing)
    yield client
    client.close()


@pytest.fixture
def project(engine: APIClient, tmp_path: Path) -> Iterator[Project]:
    if shutil.which("docker-compose") is None:
        give_up("docker-compose is not here")
    made = Project(engine, tmp_path)
    yield made
    made.close()


def everything() -> dict[str, Any]:
    """A service that uses much of what Compose has."""
    return {
        "networks": {"back": {"aliases": ["w"]}, "front": {}},
        "volumes": ["data:/data", "/cache", {"type": "tmpfs", "target": "/scratch"}, "/tmp:/host:ro"],
        "secrets": ["key"], "environment": {"A": "b"}, "init": True, "user": "0:0",
        "ulimits": {"nofile": {"soft": 1000, "hard": 2000}}, "sysctls": {"net.core.somaxconn": "200"},
        "cap_drop": ["NET_RAW"], "security_opt": ["no-new-privileges"], "extra_hosts": ["h:10.0.0.1"],
        "ports": ["80"], "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
        "healthcheck": {"test": ["CMD", "true"], "interval": "5s"}, "stop_grace_period": "3s",
        "stop_signal": "SIGTERM", "deploy": {"resources": {"limits": {"memory": "64M"}}},
        "restart": "on-failure:3", "read_only": False, "hostname": "fixed", "shm_size": "32m",
    }  # fmt: skip


OWN = ("Id", "Name", "Created", "State", "Path", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath",
       "GraphDriver", "RestartCount")  # fmt: skip
OF_ENDPOINT = ("EndpointID", "IPAddress", "MacAddress", "NetworkID", "Gateway", "IPPrefixLen")


def comparable(inspected: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between two replicas of Compose's own too."""
    found = {key: value for key, value in inspected.items() if key not in OWN}
    id, name = inspected["Id"][:12], inspected["Name"].lstrip("/")
    config = dict(found["Config"])
    labels = {key: text for key, text in config["Labels"].items() if key not in (NUMBER, COPY_OF)}
    found["Config"] = config | {"Labels": labels, "Hostname": config["Hostname"].replace(id, "ID")}
    found["HostConfig"] = found["HostConfig"] | {"Binds": sorted(found["HostConfig"]["Binds"] or ())}
    found["Mounts"] = sorted(
        (m["Type"], m["Destination"], m["Mode"], m["RW"], len(m.get("Name", ""))) for m in found["Mounts"]
    )
    networks = {}
    for network, endpoint in inspected["NetworkSettings"]["Networks"].items():
        aliases = sorted(a.replace(id, "ID").replace(name, "NAME") for a in endpoint["Aliases"])
        networks[network] = {k: v for k, v in endpoint.items() if k not in OF_ENDPOINT} | {"Aliases": aliases}
    ports = {port: len(bound or ()) for port, bound in inspected["NetworkSettings"]["Ports"].items()}
    return found | {"NetworkSettings": networks, "Ports": ports}


def test_a_copy_equals_a_replica_of_composes_own(project: Project) -> None:
    project.web(**everything())
    project.run("up", "-d", "--scale", "web=2")
    backend = project.backend()
    id = backend.create(Task("web"), "n1")
    backend.start(id)
    copy = project.engine.inspect_container(id)
    backend.close()
    assert copy["Name"] == f"/{project.name}_web_3"
    assert copy["Config"]["Labels"][COPY_OF] == project.inspected("web_1")["Id"]
    ours, theirs = comparable(copy), comparable(project.inspected("web_2"))
    assert ours == theirs
    volumes = [{m["Name"] for m in i["Mounts"] if m["Destination"] == "/cache"} for i in
               (copy, project.inspected("web_1"), project.inspected("web_2"))]  # fmt: skip
    assert len(set.union(*volumes)) == 3, "each has an anonymous volume of its own"
    assert "web_3" in project.run("ps")
    project.run("down")
    assert project.containers() == {}


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
        wait_for(lambda: set(project.containers()) == {"web_1"}, "for the copies to go")
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

    def versions() -> set[str]:
        found = [project.engine.inspect_container(one["Id"]) for one in project.containers(True).values()]
        return {
            f"{len(found)} {entry}" for one in found for entry in one["Config"]["Env"] if "VERSION" in entry
        }

    with project.agent():
        wait_for(lambda: versions() == {"4 VERSION=1"}, "for three copies")
        project.web(environment={"VERSION": "2"})
        project.run("up", "-d")
        wait_for(lambda: versions() == {"4 VERSION=2"}, "for copies of the new one")
        project.web(environment={"VERSION": "3"})
        project.run("up", "-d", "--scale", "web=3")  # two of the copies become Compose's own
        wait_for(lambda: versions() == {"4 VERSION=3"}, "for copies of the newest one")


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
        project.run("down")
        assert project.containers() == {}


def test_a_restart_by_policy_is_the_engines(project: Project) -> None:
    script = "test -e /once && exec sleep 3600; touch /once; sleep 2; exit 3"
    project.web(labels={"microscaling.max": "2"}, restart="always", command=["sh", "-c", script])
    project.run("up", "-d")
    with project.agent() as agent:
        wait_for(lambda: len(project.containers(running=True)) == 2, "for a copy")
        ids = {one["Id"] for one in project.containers().values()}
        wait_for(
            lambda: all(project.inspected(name)["RestartCount"] == 1 for name in ("web_1", "web_2")),
            "for the engine to restart both",
        )
        wait_for(lambda: len(project.containers(running=True)) == 2, "for both to run")
        assert {one["Id"] for one in project.containers().values()} == ids, "none was made in their place"
        assert "exited" not in agent.log()


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
