"""The image of the agent, built and run as a user of the Go agent would."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from docker import APIClient

import microscaling
from tests.integration import engines
from tests.integration.engines import give_up

IMAGE = "mss-test/agent"
ROOT = Path(__file__).parents[2]
SOCKET = "/var/run/docker.sock"


def base_image(client: APIClient) -> str:
    """What the agent's image is based on here: as pulled, or as scripts/base-images made it."""
    for image in ("microscaling-base/python", "python:3.12-slim"):
        if client.images(name=image, quiet=True):
            return image
    return give_up("no base image: run scripts/base-images, or docker pull python:3.12-slim")


@pytest.fixture(scope="module")
def image(engine_with_images: None) -> str:
    client = engines.connect()
    base = base_image(client)
    client.close()
    command = ["make", "image", f"IMAGE={IMAGE}", f"PYTHON_IMAGE={base}", "BUILD_NETWORK=host"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return IMAGE


def test_it_starts_the_agent_itself_and_says_what_it_is(engine: APIClient, image: str):
    config = engine.inspect_image(image)["Config"]
    labels = config["Labels"]
    assert (config["Entrypoint"], config["Cmd"]) == (None, ["/microscaling"])  # neither has a shell
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"] == microscaling.__version__
    assert config["User"] in ("", "root", "0")


def test_the_version_in_the_dockerfile_is_that_of_the_package():
    assert f"\nARG VERSION={microscaling.__version__}\n" in (ROOT / "Dockerfile").read_text()


def run_agent(engine: APIClient, image: str, **environ: str) -> str:
    host = engine.create_host_config(network_mode="host", binds=[f"{SOCKET}:{SOCKET}"])
    made = engine.create_container(image, environment=environ, host_config=host, use_config_proxy=False)
    engine.start(made["Id"])
    return str(made["Id"])


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


@pytest.mark.skipif(
    "DOCKER_HOST" in os.environ, reason="the engine's socket is not where users mount it from"
)
def test_it_drops_root_scales_and_leaves_nothing(engine: APIClient, prefix: str, image: str):
    task = f"{prefix}image"
    agent = run_agent(
        engine,
        image,
        MSS_CONFIG="ENVVAR",
        MSS_CONFIG_DATA=config_of(task, 3),
        MSS_MONITOR="none",
        MSS_PULL_IMAGES="false",
        MINE="passed on",
    )
    try:
        deadline = time.monotonic() + 60
        while running(engine, task) != 3:
            assert time.monotonic() < deadline, said(engine, agent)
            time.sleep(0.1)
        processes = engine.top(agent, ps_args="-eo pid,uid,args")["Processes"]
        assert [(uid, "/microscaling" in args) for _, uid, args in processes] == [("65532", True)]
        assert "started as root, dropped to uid 65532 and group" in said(engine, agent)
        passed_on = engine.inspect_container(engines.ours(engine, task)[0]["Id"])["Config"]["Env"]
        assert "MINE=passed on" in passed_on
        assert not [
            e for e in passed_on if e.startswith(("MSS_DROP_TO", "MSS_IMAGE_ENV", "HOME", "LANG", "GPG"))
        ]
        engine.stop(agent, timeout=30)
        assert engine.wait(agent, timeout=30)["StatusCode"] == 0, said(engine, agent)
        assert engines.ours(engine, task) == []
    finally:
        engine.remove_container(agent, force=True, v=True)


def running(engine: APIClient, task: str) -> int:
    return sum(c["State"] == "running" for c in engines.ours(engine, task))


def said(engine: APIClient, container: str) -> str:
    return str(engine.logs(container).decode(errors="replace"))
