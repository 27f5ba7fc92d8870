"""Labels of real images, through a real engine and from a real registry."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from microscaling.clients.http.client import Client
from microscaling.config.images.registry import RegistryImages
from tests.fakes.registry import DOCKER_MANIFEST, Registry
from tests.fakes.server import FakeServer
from tests.integration import engines
from tests.integration.agents import AgentProcess, Witness, app
from tests.integration.engines import give_up
from tests.integration.registries import RealRegistry

LABELS = {
    "com.microscaling.max-containers": "3",
    "COM.microscaling.Min-Containers": "3",
    "com.microscaling.priority": "first",
}
DOCKERFILE = "FROM mss-test/sleeper\nLABEL " + " ".join(f'{k}="{v}"' for k, v in LABELS.items()) + "\n"


@pytest.fixture
def image(engine: APIClient) -> Iterator[str]:
    """An image with labels, of which one is bad."""
    try:
        with engines.built(engine, f"mss-test/labelled-{uuid.uuid4().hex[:8]}", DOCKERFILE) as image:
            yield image
    except engines.Missing as missing:
        give_up(missing)


class LabelledAgent(AgentProcess):
    """An agent whose server says that one container of the image is enough."""

    def __init__(self, folder: Path, task: str, image: str, **environ: str) -> None:
        apps = [app(task, 5, image, maxContainers=1)]
        self.server = FakeServer({"maxContainers": 10, "apps": apps})
        super().__init__(folder, [], MSS_CONFIG="LABEL", MSS_API_ADDRESS=self.server.endpoint, **environ)

    def __enter__(self) -> LabelledAgent:
        self.server.start()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.server.stop()


def test_labels_of_an_image_that_the_engine_has(
    engine: APIClient, tmp_path: Path, prefix: str, image: str
) -> None:
    witness = Witness(engine, prefix)
    with LabelledAgent(tmp_path, f"{prefix}a", image) as agent:
        witness.wait(a=3)
        bad = f'image {image}: label com.microscaling.priority: expected a whole number, got "first"'
        assert agent.log().count(bad) == 1
        assert agent.stop() == 0


def test_an_engine_that_is_away_is_waited_for(
    engine: APIClient, tmp_path: Path, prefix: str, image: str
) -> None:
    where = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not where.startswith("unix://"):
        pytest.skip("the engine has no socket here that could appear late")
    witness = Witness(engine, prefix)
    late = tmp_path / "late.sock"
    with LabelledAgent(tmp_path, f"{prefix}a", image, DOCKER_HOST=f"unix://{late}") as agent:
        agent.says("waiting: ")
        late.symlink_to(where.removeprefix("unix://"))
        witness.wait(a=3)
        assert agent.log().count("waiting: ") == 1
        assert agent.stop() == 0


def test_a_stop_ends_the_wait_for_the_engine(tmp_path: Path, prefix: str) -> None:
    with LabelledAgent(tmp_path, f"{prefix}a", "x", DOCKER_HOST=f"unix://{tmp_path}/none.sock") as agent:
        agent.says("waiting: ")
        assert agent.stop() == 0


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RealRegistry]:
    try:
        with RealRegistry(tmp_path) as real:
            yield real
    except engines.Missing as missing:
        give_up(missing)


def test_an_image_that_is_not_here_is_pulled_for_its_labels(
    engine: APIClient, tmp_path: Path, prefix: str, image: str, registry: RealRegistry
) -> None:
    there = registry.has(engine, image, "labelled:v1")
    witness = Witness(engine, prefix)
    try:
        with LabelledAgent(tmp_path, f"{prefix}a", there, MSS_PULL_IMAGES="true") as agent:
            witness.wait(a=3)
            assert agent.stop() == 0
    finally:
        engine.remove_image(there, force=True)


def test_a_real_registry_tells_the_labels_without_the_engine(
    engine: APIClient, tmp_path: Path, image: str, registry: RealRegistry
) -> None:
    there = registry.has(engine, image, "team/labelled:v1")
    labels = RegistryImages(environ={"HOME": str(tmp_path)}).labels(there)
    assert json.loads(json.dumps(labels)) == LABELS


def test_the_real_registry_and_the_fake_refuse_alike(
    engine: APIClient, tmp_path: Path, image: str, registry: RealRegistry
) -> None:
    """The fake answers as the real one does: status, kind of answer, and code of the error."""
    registry.has(engine, image, "team/labelled:v1")
    with Registry() as fake:
        fake.tag("team/labelled", "v1", fake.image("team/labelled", LABELS))
        real_answers, fake_answers = (
            [what_says(host, *q) for q in QUESTIONS] for host in (registry.host, fake.host)
        )
    assert real_answers == fake_answers


QUESTIONS = [
    ("GET", "/v2/", "*/*"),
    ("GET", "/v2/team/labelled/manifests/v1", DOCKER_MANIFEST),
    ("GET", "/v2/team/labelled/manifests/v9", DOCKER_MANIFEST),
    ("GET", "/v2/team/labelled/manifests/a$", DOCKER_MANIFEST),
    ("GET", f"/v2/team/labelled/manifests/sha256:{'0' * 64}", DOCKER_MANIFEST),
    ("GET", "/v2/team/other/manifests/v1", DOCKER_MANIFEST),
    ("GET", f"/v2/team/labelled/blobs/sha256:{'0' * 64}", "*/*"),
    ("GET", "/v2/team/labelled/blobs/sha256:0", "*/*"),
    ("GET", "/v2/Team/manifests/v1", "*/*"),
    ("POST", "/v2/team/labelled/manifests/v1", "*/*"),
]


def what_says(host: str, method: str, path: str, accept: str) -> tuple[int, str, list[str]]:
    client = Client()
    answer = client.ask(method, f"http://{host}{path}", {"Accept": accept})
    client.close()
    kind = answer.headers.get("Content-Type", "").split(";")[0]
    codes = (
        [error["code"] for error in json.loads(answer.body)["errors"]] if b'"errors"' in answer.body else []
    )
    return answer.status, kind, codes
