"""The least that has to hold with each version of Compose, and on each kind of engine: a copy is as Compose
would have made it, and a service has a whole life with all commands."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

from microscaling.clients.docker.compose import COPY_OF, NUMBER
from microscaling.demand.task import Task
from microscaling.scheduler.compose.copy import ANONYMOUS
from microscaling.scheduler.compose.scheduler import STILL_S
from tests.integration import composes, kinds
from tests.integration.agents import wait_for
from tests.integration.composes import SLEEPER, Project
from tests.services.redis import RedisServer

WHERE = [
    (kinds.MACHINE, composes.USUAL),
    *((kinds.MACHINE, version) for version in composes.OTHERS),
    *(((kinds.MOBY_2, "5.6.0"), (kinds.PODMAN, "1.29")) if composes.OTHERS else ()),
]
everywhere = pytest.mark.parametrize(
    ("host", "compose"), WHERE, indirect=True, ids=[f"{version} on {kind}" for kind, version in WHERE]
)


@pytest.fixture(scope="module")
def compose(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(host: str, compose: str, tmp_path: Path) -> Iterator[Project]:
    with composes.project_on(host, compose, tmp_path) as made:
        yield made


def everything() -> dict[str, Any]:
    """A service that uses much of what Compose has."""
    return {
        "networks": {"back": {"aliases": ["w"]}, "front": {}},
        "volumes": ["data:/data", "/cache", {"type": "tmpfs", "target": "/scratch"}, "/tmp:/host:ro"],
        "secrets": ["key"], "configs": [{"source": "key", "target": "/etc/key"}], "environment": {"A": "b"},
        "env_file": ["settings.env"], "init": True, "user": "0:0",
        "ulimits": {"nofile": 2000, "nproc": 4000}, "sysctls": {"net.core.somaxconn": "200"},
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
    env = sorted(entry.replace(id, "ID") for entry in config["Env"])
    found["Config"] = config | {
        "Labels": labels,
        "Hostname": config["Hostname"].replace(id, "ID"),
        "Env": env,
    }
    binds = sorted(ANONYMOUS.sub("ANONYMOUS", bind) for bind in found["HostConfig"]["Binds"] or ())
    # Versions 2 and 5 have no order in these.
    unordered = {key: sorted(map(str, found["HostConfig"].get(key) or ())) for key in ("Mounts", "Ulimits")}
    found["HostConfig"] = found["HostConfig"] | unordered | {"Binds": binds}
    found["Mounts"] = sorted(
        (m["Type"], m["Destination"], m["Mode"], m["RW"], len(m.get("Name", ""))) for m in found["Mounts"]
    )
    networks: dict[str, Any] = {}
    for network, endpoint in inspected["NetworkSettings"]["Networks"].items():
        names = {key: endpoint[key] for key in ("Aliases", "DNSNames") if endpoint.get(key)}
        networks[network] = {k: v or None for k, v in endpoint.items() if k not in OF_ENDPOINT}
        for key, those in names.items():
            networks[network][key] = sorted({a.replace(id, "ID").replace(name, "NAME") for a in those})
    ports = {port: len(bound or ()) for port, bound in inspected["NetworkSettings"]["Ports"].items()}
    return found | {"NetworkSettings": networks, "Ports": ports}


@everywhere
def test_a_copy_equals_a_replica_of_composes_own(project: Project) -> None:
    service = everything()
    if "podman" in project.host:
        del service["ports"]  # one that Podman has chosen looks like one that a person has
    project.web(**service)
    project.run("up", "-d", "--scale", "web=2")
    backend = project.backend()
    id = backend.create(Task("web"), "n1")
    backend.start(id)
    backend.close()
    copy, first, second = map(project.inspected, ("web_3", "web_1", "web_2"))
    assert copy["Id"] == id
    assert copy["Name"].lstrip("/") == project.name_of("web_3")
    assert copy["Config"]["Labels"][COPY_OF] == first["Id"]
    ours, theirs = comparable(copy), comparable(second)
    assert ours == theirs
    volumes = {m["Name"] for i in (copy, first, second) for m in i["Mounts"] if m["Destination"] == "/cache"}
    assert len(volumes) == 3, "each has an anonymous volume of its own"
    assert project.name_of("web_3") in project.run("ps")
    project.run("down", "-v")
    assert project.containers() == {}
    assert project.networks_there() == []


TALKS = "echo begun; trap 'exit 0' TERM; while :; do sleep 3600 & wait $$!; done"
"""As the image does, and with a word of each container (Compose wants two dollars for one)."""


class Life:
    """One project, whose service `web` has one container for each 10 jobs in the queue."""

    def __init__(self, project: Project, url: str, client: Any) -> None:
        self.project = project
        self.url = url
        self.client = client
        project.services["other"] = {"image": SLEEPER, "networks": ["back"]}
        self.version("1")

    def version(self, version: str) -> None:
        """Changes the configuration of the service."""
        labels = {
            "microscaling.min": "1", "microscaling.rule": "PerContainer", "microscaling.target": "10",
            "microscaling.metric": "Redis", "microscaling.metric.url": "$${QUEUE_URL}",
            "microscaling.metric.key": "jobs",
        }  # fmt: skip
        self.project.web(
            labels=labels, command=["sh", "-c", TALKS], environment={"VERSION": version}, networks=["back"]
        )

    def jobs(self, count: int) -> None:
        with self.client.pipeline() as pipeline:
            pipeline.delete("jobs")
            if count:
                pipeline.rpush("jobs", *range(count))
            pipeline.execute()

    def settles(self, count: int, why: str, copies: int | None = None, version: str = "1") -> None:
        """Until so many run, all of one configuration, and so many of them are copies."""

        def seen() -> tuple[int, int | None, set[str]]:
            found = [one for name, one in self.project.containers(running=True).items() if name[:3] == "web"]
            marked = sum(COPY_OF in one["Labels"] for one in found)
            entries = [self.project.engine.inspect_container(one["Id"])["Config"]["Env"] for one in found]
            versions = {text for env in entries for text in env if text.startswith("VERSION=")}
            return len(found), None if copies is None else marked, versions

        def settled() -> bool:
            with contextlib.suppress(NotFound):  # of one that was just removed
                return seen() == (count, copies, {f"VERSION={version}"})
            return False

        try:
            wait_for(settled, why)
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen()}") from None

    def shows_all(self, count: int) -> None:
        """Each command shows the copies as Compose's own."""
        project = self.project
        names = [project.name_of(f"web_{number}") for number in range(1, count + 1)]
        shown = {command: project.run(*command.split()) for command in ("ps", "top web")}

        def logs() -> str:
            text = project.run("logs", "web")
            return text if text.count("begun") == count else ""

        shown["logs web"] = wait_for(logs, "for the word of each")
        for number, name in enumerate(names, 1):
            assert name in shown["ps"]
            # Version 5 has a table, with columns for service and number.
            assert name in shown["top web"] or re.search(rf"^web +{number} ", shown["top web"], re.MULTILINE)
            assert name.removeprefix(f"{project.name}{project.compose.separator}") in shown["logs web"]
        for number in range(1, count + 1):
            # Again if the engine has lost what it printed: see engines.output_of.
            host = ("exec", "-T", "--index", str(number), "web", "hostname")
            inside = wait_for(lambda host=host: project.run(*host).strip(), "for the name of its host")
            assert inside == project.inspected(f"web_{number}")["Id"][:12]


@pytest.fixture
def life(project: Project, tmp_path: Path) -> Iterator[Life]:
    (tmp_path / "redis").mkdir()
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        yield Life(project, server.url, client)


@everywhere
def test_a_service_lives_with_all_commands_of_compose(life: Life) -> None:
    project = life.project
    project.run("up", "-d")
    other = project.inspected("other_1")["State"]["StartedAt"]
    with project.agent(QUEUE_URL=life.url, MSS_LABEL_VARIABLES="QUEUE_URL") as agent:
        life.jobs(30)
        life.settles(3, "for two copies", copies=2)
        life.shows_all(3)
        project.run("up", "-d")
        life.settles(3, "for the copies to come back after an `up` without a change", copies=2)
        life.version("2")
        project.run("up", "-d")
        life.settles(3, "for copies of the new configuration", copies=2, version="2")
        life.version("3")
        project.run("up", "-d", "--scale", "web=2")
        made = project.originals()
        life.settles(3, "for copies beside those that are Compose's now", version="3")
        life.jobs(0)
        life.settles(1, "for the least number, of Compose's own", copies=0, version="3")
        wait_for(lambda: project.ids() == made, "for the copies to go, and nothing of Compose's")
        life.jobs(40)
        life.settles(4, "for all that the queue needs", version="3")
        project.run("restart", "web")
        life.settles(4, "for all to be back after a restart", version="3")
        project.run("stop", "web")
        wait_for(lambda: not project.count(), "for all of the service to stop")
        project.run("start", "web")
        life.settles(4, "for the service to go on", version="3")
        assert project.inspected("other_1")["State"]["StartedAt"] == other, "nothing was done to another one"
        project.run("down", "-v")
        for _ in range(2):  # at once, and after the time for which the agent had to be still
            assert project.containers() == {}
            assert project.networks_there() == []
            time.sleep(STILL_S + 1.0)
        assert agent.stop() == 0
    assert project.containers() == {}
