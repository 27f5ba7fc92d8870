"""The labels of the images that deployments run: the cluster says which, their registry says what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kubernetes", reason="needs the extra `kubernetes`")

from microscaling.clients.kubernetes.client import Kube
from microscaling.config.images.kubernetes import DeploymentImages
from microscaling.config.label import LabelConfig
from microscaling.demand.task import Task
from tests.config.test_label import Given
from tests.fakes.kubernetes import FakeKubernetes, Refused
from tests.fakes.registry import Registry


@pytest.fixture
def cluster() -> Iterator[FakeKubernetes]:
    with FakeKubernetes() as fake:
        yield fake


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Images a and b, whose labels ask for priorities 11 and 12."""
    with Registry() as fake:
        for name, priority in (("a", "11"), ("b", "12")):
            fake.tag(name, "latest", fake.image(name, {"com.microscaling.priority": priority}))
        yield fake


def runs(cluster: FakeKubernetes, name: str, *images: str) -> None:
    cluster.cluster.add(name)
    containers: list[Any] = [{"name": f"c{i}", "image": image} for i, image in enumerate(images)]
    made = cluster.cluster.deployments["default", name]
    made.item["spec"]["template"]["spec"]["containers"] = containers


def priorities(cluster: FakeKubernetes, folder: Path, *tasks: Task) -> list[int]:
    kube = Kube(cluster.kubeconfig(folder / "kubeconfig"), "default")
    read, _ = LabelConfig(Given(*tasks), DeploymentImages(kube, environ={})).get_apps("me")
    return [task.priority for task in read]


def test_the_first_container_of_the_deployment_says_the_image(
    cluster: FakeKubernetes, registry: Registry, tmp_path: Path
) -> None:
    runs(cluster, "x", f"{registry.host}/a", f"{registry.host}/b")
    runs(cluster, "y", f"{registry.host}/b")
    assert priorities(cluster, tmp_path, Task("x", image="other"), Task("y")) == [11, 12]
    assert cluster.verbs() == ["list"], "more than the manifest's rights are not needed"


@pytest.mark.parametrize("image", ["a", ""])
def test_without_a_deployment_the_image_of_the_app_counts(
    cluster: FakeKubernetes, registry: Registry, tmp_path: Path, image: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = Task("x", image=f"{registry.host}/a" if image else "", priority=5)
    assert priorities(cluster, tmp_path, task) == [11 if image else 5]
    assert 'there is no deployment "x"' in caplog.text


def test_what_is_forbidden_is_said_and_a_busy_server_waited_for(
    cluster: FakeKubernetes, registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs(cluster, "x", f"{registry.host}/a")
    busy = Refused(429, "TooManyRequests", "too many requests", retryAfterSeconds=1)
    cluster.refuse.append(("list", busy))
    assert priorities(cluster, tmp_path, Task("x")) == [11]
    assert caplog.messages == ["waiting: too many requests"]
    cluster.rules = []
    assert priorities(cluster, tmp_path, Task("x", priority=5)) == [5]
    assert "its image is unknown" in caplog.messages[-1]
    assert "forbidden" in caplog.messages[-1]


def test_a_deployment_without_containers(
    cluster: FakeKubernetes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs(cluster, "x")
    assert priorities(cluster, tmp_path, Task("x", priority=5)) == [5]
    assert "no container with an image" in caplog.text
