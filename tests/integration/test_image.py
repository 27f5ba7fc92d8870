"""The image of the agent, built and run as its users do: as it is, and with as little as it gets by with."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from docker import APIClient
from docker.types import Mount

import microscaling
from tests.integration import engines
from tests.integration.agents import wait_for
from tests.integration.engines import give_up

IMAGE = "mss-test/agent"
WITHOUT_SHELL = "mss-test/agent-without-shell"
ROOT = Path(__file__).parents[2]
BASE = next(
    line.removeprefix("ARG BASE=")
    for line in (ROOT / "Dockerfile").read_text().splitlines()
    if line.startswith("ARG BASE=")
)
SOCKET = "/var/run/docker.sock"
STATE = "/var/lib/microscaling"
PYTHON = "/opt/microscaling/bin/python"
NOT_WITH_OTHER_ENGINES = pytest.mark.skipif(
    "DOCKER_HOST" in os.environ, reason="the engine's socket is not where users mount it from"
)


def base_image(client: APIClient) -> str:
    """What the agent's image is based on here: as pulled, or as scripts/base-images made it."""
    for image in ("microscaling-base/python", BASE):
        if client.images(name=image, quiet=True):
            return image
    return give_up(f"no base image: run scripts/base-images, or docker pull {BASE}")


@pytest.fixture(scope="module")
def image(engine_with_images: None) -> str:
    client = engines.connect()
    base = base_image(client)
    client.close()
    command = ["make", "sbom", f"IMAGE={IMAGE}", f"PYTHON_IMAGE={base}", "BUILD_NETWORK=host"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return IMAGE


@pytest.fixture(scope="module")
def without_shell(image: str) -> Iterator[str]:
    """The image with nothing left to be run but Python."""
    remove = (
        "import os, pathlib; [os.unlink(f) for d in os.get_exec_path() for f in pathlib.Path(d).glob('*') "
        "if not f.name.startswith('python')]; assert not os.path.exists('/bin/sh')"
    )
    client = engines.connect()
    try:
        with engines.built(
            client, WITHOUT_SHELL, f"FROM {image}\nRUN {json.dumps([PYTHON, '-c', remove])}\n"
        ):
            yield WITHOUT_SHELL
    finally:
        client.close()


def test_it_starts_the_agent_itself_and_says_what_it_is(engine: APIClient, image: str):
    config = engine.inspect_image(image)["Config"]
    labels = config["Labels"]
    assert (config["Entrypoint"], config["Cmd"]) == (None, ["/microscaling"])  # neither has a shell
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == microscaling.__version__
    assert config["User"] in ("", "root", "0")


def test_the_version_in_the_dockerfile_is_that_of_the_package():
    assert f"\nARG VERSION={microscaling.__version__}\n" in (ROOT / "Dockerfile").read_text()


def test_the_base_is_pinned_and_the_same_everywhere():
    tag = BASE.removeprefix("python:")
    version, _, system = tag.partition("-slim-")
    assert version.count(".") == 2, "to the patch"
    assert system, "to the release of Debian"
    for file in ("docker-compose.yml", "scripts/queue-demo/Dockerfile"):
        assert (ROOT / file).read_text().count("python:") == (ROOT / file).read_text().count(BASE) > 0


def test_its_bill_of_materials_is_valid_and_names_exactly_what_is_in_it(engine: APIClient, image: str):
    bill = (ROOT / "build/sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    listing = (
        "import json, importlib.metadata as all; "
        "print(json.dumps([[found.name, found.version] for found in all.distributions()]))"
    )
    run = ["docker", "run", "--rm", "--network=none", image, PYTHON, "-c", listing]
    done = subprocess.run(run, capture_output=True, text=True)
    named = [[component["name"], component["version"]] for component in json.loads(bill)["components"]]
    assert sorted(named) == sorted(json.loads(done.stdout)), done.stderr
    assert ["microscaling", microscaling.__version__] in named


def socket_group() -> int:
    return os.stat(SOCKET).st_gid


def ways() -> dict[str, dict[str, Any]]:
    """How the image is run, the options of `docker run` in words of the engine's API."""
    group = str(socket_group()) if Path(SOCKET).exists() else "0"
    sealed = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    return {
        "as it is": {},
        "sealed, and may change its user": {**sealed, "cap_add": ["SETUID", "SETGID"]},
        "sealed, with a user and the socket's group": {**sealed, "user": f"65532:{group}"},
        "sealed, with a user and group_add": {**sealed, "user": "4321:4321", "group_add": [group]},
    }


@contextmanager
def running_agent(engine: APIClient, image: str, way: dict[str, Any], **environ: str) -> Iterator[str]:
    options = {name: value for name, value in way.items() if name != "user"}
    host = engine.create_host_config(network_mode="host", binds=[f"{SOCKET}:{SOCKET}"], **options)
    environ = {"MSS_CONFIG": "ENVVAR", "MSS_MONITOR": "none", "MSS_PULL_IMAGES": "false", **environ}
    made = engine.create_container(
        image, environment=environ, host_config=host, user=way.get("user"), use_config_proxy=False
    )
    try:
        engine.start(made["Id"])
        yield str(made["Id"])
    finally:
        engine.remove_container(made["Id"], force=True, v=True)


def config_of(task: str, containers: int) -> str:
    app = {
        "name": task,
        "priority": 1,
        "minContainers": containers,
        "maxContainers": containers,
        "ruleType": "Remainder",
        "config": {"image": "mss-test/sleeper"},
    }
    return json.dumps({"name": "test", "maxContainers": containers, "apps": [app]})


@NOT_WITH_OTHER_ENGINES
@pytest.mark.parametrize("way", ways().values(), ids=ways().keys())
def test_it_scales_without_root_and_leaves_nothing(
    engine: APIClient, prefix: str, image: str, without_shell: str, way: dict[str, Any]
):
    task = f"{prefix}image"
    run = without_shell if way else image
    with running_agent(engine, run, way, MSS_CONFIG_DATA=config_of(task, 3), MINE="passed on") as agent:
        wait_for(lambda: running(engine, task) == 3 or ended(engine, agent), "three containers")
        status = status_of_its_process(engine, agent)
        uid, _, gid = way.get("user", "65532").partition(":")
        assert status["Uid"].split() == [uid] * 4
        assert status["Gid"].split() == [gid or "65532"] * 4
        assert set(status["Groups"].split()) <= {str(socket_group()), gid}
        assert status["CapPrm"] == status["CapEff"] == status["CapAmb"] == "0" * 16
        assert ("dropped to uid" in said(engine, agent)) == ("user" not in way)
        passed_on = engine.inspect_container(engines.ours(engine, task)[0]["Id"])["Config"]["Env"]
        assert "MINE=passed on" in passed_on
        of_the_image = ("MSS_DROP_TO", "MSS_IMAGE_ENV", "HOME", "LANG", "GPG")
        assert not [e for e in passed_on if e.startswith(of_the_image)]
        assert len(engine.top(agent)["Processes"]) == 1
        engine.stop(agent, timeout=30)
        assert engine.wait(agent, timeout=30)["StatusCode"] == 0, said(engine, agent)
        assert engines.ours(engine, task) == []
        written = [change["Path"] for change in engine.diff(agent) or []]
        # The place where the socket is mounted is made by the engine.
        others = [path for path in written if not SOCKET.startswith(path) and not path.startswith("/run")]
        # Its id is kept for its next life, where there is a place for it: see MSS_STATE_DIR.
        folder = Path(STATE if uid == "65532" else f"/tmp/microscaling-{uid}", "agents")
        kept = {str(folder), *map(str, folder.parents)}
        assert [path for path in others if path not in kept and os.path.dirname(path) != str(folder)] == []
        assert said(engine, agent).count("/agents cannot be used: ") == bool(way.get("read_only"))


@NOT_WITH_OTHER_ENGINES
@pytest.mark.parametrize(
    ("volume", "read_only", "why"),
    [
        (True, True, ""),
        (False, False, f"{STATE} goes with this container: mount a volume there"),
        (False, True, f"{STATE} cannot be written"),
    ],
)
def test_what_it_forgets_without_a_volume_is_said(
    engine: APIClient, prefix: str, image: str, volume: bool, read_only: bool, why: str
) -> None:
    name = f"{prefix}state"
    way = {"read_only": read_only, "mounts": [Mount(STATE, name, type="volume")] * volume}
    compose = {"MSS_SCHEDULER": "COMPOSE", "MSS_CONFIG": "SERVICES", "MSS_COMPOSE_PROJECT": f"{prefix}none"}
    try:
        with running_agent(engine, image, way, **compose, MSS_MAX_CONTAINERS="1") as agent:
            wait_for(lambda: "nothing is scaled until" in said(engine, agent) or ended(engine, agent))
            lines = [line for line in said(engine, agent).splitlines() if "MSS_STATE_DIR" in line]
            assert len(lines) == bool(why)
            assert all(why in line and "the next agent cannot tell" in line for line in lines)
    finally:
        if volume:
            engine.remove_volume(name)


@NOT_WITH_OTHER_ENGINES
def test_root_that_may_not_become_another_user_is_refused_with_the_way_out(engine: APIClient, image: str):
    with running_agent(engine, image, {"cap_drop": ["ALL"]}, MSS_CONFIG_DATA=config_of("none", 1)) as agent:
        assert engine.wait(agent, timeout=30)["StatusCode"] == 2
        assert "allow SETUID and SETGID (--cap-add), start the container as another user" in said(
            engine, agent
        )


def test_the_server_runs_sealed_and_keeps_its_store_in_a_volume(engine: APIClient, without_shell: str):
    sealed = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    host = engine.create_host_config(network_mode="none", **sealed)
    made = engine.create_container(
        without_shell,
        ["/microscaling", "server"],
        environment={"MSS_SERVER_STORE": "/var/lib/microscaling/server.db"},
        user="65532:65532",
        volumes=["/var/lib/microscaling"],
        host_config=host,
    )
    try:
        engine.start(made["Id"])
        ask = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8000/readyz').status)"
        wait_for(lambda: within(engine, made["Id"], PYTHON, "-c", ask) == (0, "200\n"), "the server")
        listing = "import os; print(os.listdir('/var/lib/microscaling'))"
        assert "server.db" in engines.output_of(engine, made["Id"], PYTHON, "-c", listing)
        engine.stop(made["Id"], timeout=30)
        assert engine.wait(made["Id"], timeout=30)["StatusCode"] == 0, said(engine, made["Id"])
    finally:
        engine.remove_container(made["Id"], force=True, v=True)


def within(engine: APIClient, container: str, *command: str) -> tuple[int, str]:
    """Runs a command in a container. Returns its exit code, and what it printed."""
    made = engine.exec_create(container, list(command))
    output = engine.exec_start(made["Id"]).decode(errors="replace")
    return engines.exit_code_of(engine, made["Id"]), output


def status_of_its_process(engine: APIClient, container: str) -> dict[str, str]:
    """Who the agent is and what it may do, as the kernel says."""
    status = engines.output_of(engine, container, PYTHON, "-c", "print(open('/proc/1/status').read())")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in status.splitlines())}


def running(engine: APIClient, task: str) -> int:
    return sum(c["State"] == "running" for c in engines.ours(engine, task))


def ended(engine: APIClient, container: str) -> bool:
    assert engine.inspect_container(container)["State"]["Running"], said(engine, container)
    return False


def said(engine: APIClient, container: str) -> str:
    return str(engine.logs(container).decode(errors="replace"))
