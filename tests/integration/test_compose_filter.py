"""Services of Compose behind the filter of deploy/socket-proxy, and files that Compose writes itself."""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import NotFound

from microscaling.clients.docker.compose import COPY_OF
from microscaling.demand.task import Task
from microscaling.errors import PermanentError
from microscaling.scheduler.compose.backend import ComposeBackend
from tests.integration import composes
from tests.integration.agents import wait_for
from tests.integration.composes import Project
from tests.integration.engines import give_up
from tests.integration.test_socket_proxy import CONFIG, OPTIONAL, REQUESTS, RULES, Proxy, allows, without
from tests.integration.web_stage import Witness
from tests.services.numbers import Numbers
from tests.web.stage import subnet

engine, project = composes.engine, composes.project


def uncommented(*names: str) -> str:
    """The rules with these of the optional ones."""
    return re.sub(
        rf"^    #(?=http-request allow.* # (?:{'|'.join(names)})$)", "    ", CONFIG, flags=re.MULTILINE
    )


EVERYTHING = re.sub(r"^    #(?=http-request allow)", "    ", CONFIG, flags=re.MULTILINE)
WITHOUT_WRITE = without("write", EVERYTHING)
WAITS = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $$!; done"
SWARM = {name for name, (_, path) in OPTIONAL.items() if re.search("/(?:services|tasks|nodes|configs)", path)}
"""Rules that only that scheduler needs."""
FILES = ("run/secrets/token", "etc/app/app.conf", "forgotten.conf")


@pytest.fixture
def numbers() -> Iterator[Numbers]:
    with Numbers() as numbers:
        yield numbers


@pytest.fixture
def engine_socket() -> Path:
    path = Path("/var/run/docker.sock")
    if not path.is_socket():
        give_up(f"there is no {path}")
    return path


def packed(*names: str) -> bytes:
    """An archive as Compose makes it: with the time of now, without a fraction."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(name), int(time.time())
            tar.addfile(entry, io.BytesIO(name.encode()))
    return made.getvalue()


def up(project: Project, copy_files: str = '["/etc/app/app.conf"]') -> None:
    """Starts a service as Compose 2 and later do one with secrets and configs that are in no file: it writes
    them between create and start."""
    labels = {"microscaling.max": "2", "microscaling.copy-files": copy_files}
    project.web(labels=labels, networks=["back", "front"],
                command=["sh", "-c", f"echo 1 > /own; {WAITS}"])  # fmt: skip
    project.run("up", "--no-start")
    project.engine.put_archive(project.inspected("web_1")["Id"], "/", packed(*FILES))
    project.run("start")  # which also connects it to its second network


def files_of(engine: APIClient, id: str) -> set[str]:
    return {change["Path"].lstrip("/") for change in engine.diff(id) or () if change["Kind"] == 1} & set(
        FILES
    )


def test_exactly_the_rules_are_needed(project: Project, tmp_path: Path, engine_socket: Path) -> None:
    up(project)
    with (
        Proxy(tmp_path, engine_socket, EVERYTHING) as proxy,
        project.agent(DOCKER_HOST=proxy.host, MSS_ON_EXIT="stop") as agent,
    ):
        agent.says("its copies do not get /forgotten.conf, which Compose has written into its container")
        agent.says("""microscaling.copy-files: '["/etc/app/app.conf", "/forgotten.conf"]'""")
        wait_for(lambda: len(project.containers(running=True)) == 2, "for a copy")
        copy = project.inspected("web_2")
        assert COPY_OF in copy["Config"]["Labels"]
        assert len(copy["NetworkSettings"]["Networks"]) == 2
        assert files_of(project.engine, copy["Id"]) == set(FILES) - {"forgotten.conf"}
        project.engine.kill(copy["Id"])
        agent.says("exit code 137")
        wait_for(lambda: len(project.containers(running=True)) == 2, "for another copy")
        assert agent.stop() == 0
        assert "refused" not in agent.log()
    asked = proxy.asked()
    assert {status for status, _, _ in asked} <= {200, 201, 204, 304, 404}
    rules = RULES | OPTIONAL
    used = {name for name, rule in rules.items() if any(allows(rule, *request) for _, *request in asked)}
    # Those that are missing here are of metricType Docker and web services, below, and of `warmAfter`.
    assert used == set(rules) - {"pull", "stats", "network", "disconnect", "top"} - SWARM
    assert set(project.containers()) == {"web_1"}


def test_a_service_that_is_measured_by_its_own_containers(
    project: Project, tmp_path: Path, engine_socket: Path
) -> None:
    """Each has 4 MiB in files of its memory, and is to have 2."""
    measured = {"rule": "PerContainer", "target": "2", "metric": "Docker", "metric.measure": "memory",
                "metric.young-seconds": "0", "max": "2"}  # fmt: skip
    labels = {f"microscaling.{key}": value for key, value in measured.items()}
    fill = "dd if=/dev/zero of=/dev/shm/all bs=1M count=4"
    project.web(labels=labels, command=["sh", "-c", f"{fill}; {WAITS}"])
    project.run("up", "-d")
    with (
        Proxy(tmp_path, engine_socket, EVERYTHING) as proxy,
        project.agent(DOCKER_HOST=proxy.host, MSS_ON_EXIT="stop") as agent,
    ):
        wait_for(lambda: len(project.containers(running=True)) == 2, "for a copy")
        agent.says("web: 1 -> 2")
        assert agent.stop() == 0
        assert "refused" not in agent.log()
    assert any(allows(OPTIONAL["stats"], *request) for _, *request in proxy.asked())


def up_web(project: Project, numbers: Numbers, *networks: str) -> None:
    """A web service, of which two are wanted, in these networks, the first with a subnet."""
    own = {"front": {"ipam": {"config": [{"subnet": subnet()}]}}, "back": {}}
    project.networks = {name: own[name] for name in networks}
    labels = numbers.labels("web", 2, min="1", web="true", **{"web-networks": "front", "unlist-seconds": "1"})
    project.web(labels=labels, networks=list(networks))
    project.run("up", "-d")


def aliases(project: Project, name: str) -> list[str]:
    """The names of a container in the network `front`; none while it is off that network, or gone."""
    with contextlib.suppress(KeyError, NotFound):
        networks = project.inspected(name)["NetworkSettings"]["Networks"]
        return list(networks[f"{project.name}_front"]["Aliases"] or ())
    return []


def test_a_web_service_needs_two_rules_more(
    project: Project, numbers: Numbers, tmp_path: Path, engine_socket: Path
) -> None:
    up_web(project, numbers, "front", "back")
    allowed = RULES | {name: OPTIONAL[name] for name in ("network", "disconnect")}
    config = uncommented("network", "disconnect")
    with Proxy(tmp_path, engine_socket, config) as proxy, project.agent(DOCKER_HOST=proxy.host) as agent:
        wait_for(lambda: "web" in aliases(project, "web_2"), "for a copy with its name")
        numbers.counts["web"] = 1
        wait_for(lambda: project.count() == 1, "for the copy to go")
        assert agent.stop() == 0
        assert "without being unlisted" not in agent.log()
    # To read the configurations of proxies, and to notice files, are other features.
    refused = {(method, path) for status, method, path in proxy.asked() if status == 403}
    assert all(path.endswith("/changes") for _, path in refused), refused
    passed = {(method, path) for status, method, path in proxy.asked() if status < 400}
    used = {name for name, rule in allowed.items() if any(allows(rule, *request) for request in passed)}
    assert {"network", "disconnect", "networks", "inspect"} <= used


@pytest.mark.parametrize(
    ("missing", "listed", "told"),
    [("network", True, "is stopped without being unlisted"), ("disconnect", False, "cannot be listed"),
     ("networks", False, "cannot be listed")],
)  # fmt: skip
def test_a_web_service_without_one_of_its_rules_scales_all_the_same(
    project: Project,
    numbers: Numbers,
    tmp_path: Path,
    engine_socket: Path,
    missing: str,
    listed: bool,
    told: str,
) -> None:
    """The log has the reason, and nothing is off its network at any time."""
    up_web(project, numbers, "front")
    config = without(missing, uncommented("network", "disconnect"))
    with (
        contextlib.closing(Witness(project)),
        Proxy(tmp_path, engine_socket, config) as proxy,
        project.agent(DOCKER_HOST=proxy.host) as agent,
    ):
        wait_for(lambda: ("web" in aliases(project, "web_2")) or told in agent.log(), "for a copy")
        assert ("web" in aliases(project, "web_2")) is listed
        numbers.counts["web"] = 1
        wait_for(lambda: project.count() == 1, "for the copy to go")
        assert agent.stop() == 0
        agent.says(told)
        agent.says(f"{REQUESTS[missing]} is refused")


def test_without_the_optional_rules_one_line_says_so(
    project: Project, tmp_path: Path, engine_socket: Path
) -> None:
    up(project, copy_files="[]")
    with (
        Proxy(tmp_path, engine_socket) as proxy,
        project.agent(DOCKER_HOST=proxy.host, MSS_ON_EXIT="stop") as agent,
    ):
        wait_for(lambda: len(project.containers(running=True)) == 2, "for a copy")
        assert files_of(project.engine, project.inspected("web_2")["Id"]) == set()
        assert agent.stop() == 0
        refused = [line for line in agent.log().splitlines() if "is refused" in line]
    assert len(refused) == 1, refused
    assert (
        f"{REQUESTS['changes']} is refused (HTTP 403: no rule of the socket proxy allows this)" in refused[0]
    )
    assert refused[0].endswith("allow it there; all requests of the agent are listed in docs/security.md")


def test_files_that_cannot_be_had_are_named(project: Project, tmp_path: Path, engine_socket: Path) -> None:
    """And no copy is left that would run without them."""
    up(project, copy_files='["/etc/app/app.conf", "/nothing"]')
    with Proxy(tmp_path, engine_socket, WITHOUT_WRITE) as proxy:
        backend = ComposeBackend(proxy.host, projects=project.name)
        backend.begin(["web"])
        backend.list()

        def refusal() -> str:
            with pytest.raises(PermanentError) as refused:
                backend.create(Task("web"), "n1")
            return str(refused.value)

        assert refusal().startswith(f"{REQUESTS['write']} is refused (HTTP 403")
        proxy.reload(EVERYTHING)
        wanted = "microscaling.copy-files: there is no /nothing in the container to copy"
        wait_for(lambda: refusal() == wanted, "for the new rules")
        backend.close()
    assert set(project.containers()) == {"web_1"}
