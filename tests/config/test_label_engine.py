"""The labels of an image as an engine tells them: what goes well is in tests/integration."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from microscaling import factory
from microscaling.config.base import CONFIGS
from microscaling.config.images import docker as label_engine
from microscaling.config.images.docker import EngineImages
from microscaling.config.images.registry import RegistryImages
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.settings import Settings
from tests.metric.faulty import Server, answers, breaks_off, hangs

VERSION = answers(b'{"ApiVersion": "1.41"}')
LABELS = {"com.microscaling.priority": "3"}


def engine(inspected):
    """An engine that knows its version, and then does as `inspected`."""

    def behave(server: Server, sock: socket.socket) -> bool:
        return (VERSION if server.paths()[-1] == "/version" else inspected)(server, sock)

    return behave


def labels(server: Server, **settings: object) -> object:
    images = EngineImages(
        Settings(docker_host=f"tcp://{server.endpoint}", **{"pull_images": False, **settings})
    )
    try:
        return images.labels("team/app")
    finally:
        images.close()


@pytest.mark.parametrize(
    ("config", "found"),
    [({"Labels": LABELS}, LABELS), ({"Labels": None}, {}), ({}, {}), (None, {})],
    ids=str,
)
def test_labels(config: object, found: object) -> None:
    with Server(engine(answers(json.dumps({"Id": "x", "Config": config}).encode()))) as server:
        assert labels(server) == found
    assert server.paths()[-1] == "/v1.41/images/team/app/json"


@pytest.mark.parametrize(
    ("inspected", "error"),
    [
        (answers(b'{"message": "No such image: team/app"}', "404 Not Found"), PermanentError),
        (answers(b'{"message": "oops"}', "500 Internal Server Error"), PermanentError),
        (answers(b'{"message": "busy"}', "503 Service Unavailable"), TemporaryError),
        (answers(b"<html>"), TemporaryError),
        (breaks_off(b""), TemporaryError),
        (hangs, TemporaryError),
    ],
    ids=range(6),
)
def test_what_goes_wrong(inspected, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    if inspected is hangs:
        monkeypatch.setattr(label_engine, "TIMEOUT_S", 0.5)
    with Server(engine(inspected)) as server, pytest.raises(error) as caught:
        labels(server)
    assert str(caught.value).isprintable()


def test_an_engine_that_is_away(tmp_path: Path) -> None:
    images = EngineImages(Settings(docker_host=f"unix://{tmp_path}/none.sock"))
    with pytest.raises(TemporaryError):
        images.labels("team/app")
    images.close()


@pytest.mark.parametrize(("dry_run", "pulls"), [(False, True), (True, False)])
def test_a_dry_run_pulls_nothing(dry_run: bool, pulls: bool, caplog: pytest.LogCaptureFixture) -> None:
    with Server(engine(answers(b'{"Id": "x", "Config": {}}'))) as server:
        labels(server, pull_images=True, dry_run=dry_run)
    assert any(path.endswith("/images/create") for path in server.paths()) == pulls


def test_labels_are_read_where_the_containers_are_else_in_the_registry() -> None:
    registry = ((name, RegistryImages) for name in ("TOY", "MARATHON", "BASE", "LABELS", "a.b"))
    for scheduler, kind in (("DOCKER", EngineImages), *registry):
        settings = Settings(config="LABEL", scheduler=scheduler, api_address="127.0.0.1:1")
        source = CONFIGS.chosen("MSS_CONFIG", "LABEL").make(settings)
        assert type(source.images) is kind  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="is gone"):
        factory.make_tasks(Settings(config="LABEL"), {})
