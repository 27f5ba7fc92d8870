"""What an engine says: over a real socket, through the real library, and made into events and listings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from microscaling.config.images.docker import EngineImages
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.containers.backend import Event, ListedContainer
from microscaling.scheduler.docker.backend import DockerBackend
from microscaling.scheduler.docker.body import LABEL, NONCE_LABEL
from microscaling.settings import Settings
from tests.fuzz.checks import check_error, fuzz
from tests.fuzz.inputs import Dice, dice
from tests.fuzz.wire import Answering, answer, stream

ID = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c0000"
OURS = {LABEL: "a", NONCE_LABEL: "abc-1"}
CREATED = {"Id": ID, "Warnings": []}
LISTED = {
    "Id": ID,
    "Names": ["/x"],
    "Image": "i",
    "Created": 1500000000,
    "Labels": OURS,
    "State": "running",
    "Status": "Up",
}
ACTOR = {"ID": ID, "Attributes": {**OURS, "exitCode": "137", "image": "i", "name": "x"}}
EVENT = {
    "status": "die",
    "id": ID,
    "from": "i",
    "Type": "container",
    "Action": "die",
    "Actor": ACTOR,
    "time": 1500000000,
}
IMAGE = {"Id": "sha256:x", "Config": {"Labels": {"com.microscaling.priority": "1"}, "Env": None}}
PROGRESS = [
    {"status": "Downloading", "progressDetail": {"current": 5, "total": 7}, "id": "abc"},
    {"errorDetail": {"message": "no"}, "error": "no"},
    {"status": "Pull complete", "id": "abc", "progressDetail": {}},
]
ERROR = {"message": "No such container: x"}
STATUSES = [
    "200 OK",
    "200 OK",
    "201 Created",
    "204 No Content",
    "304 Not Modified",
    "404 Not Found",
    "409 Conflict",
    "500 Error",
    "503 x",
]
SAYS_IT_IS = [["Api-Version: 1.41"], ["Api-Version: 1.41"], []]
"""Or it is a proxy in front of one."""
VERSION = json.dumps({"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"}).encode()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Answering, DockerBackend]]:
    with Answering(tmp_path_factory.mktemp("engine") / "s") as server:
        server.first[b"/version"] = answer(VERSION)
        backend = DockerBackend(f"unix://{server.endpoint}")
        yield server, backend
        backend.close()


def is_event(event: Any) -> bool:
    texts = all(type(text) is str for text in (event.kind, event.id, event.task, event.nonce))
    return type(event) is Event and texts and type(event.exit_code) in (int, type(None))


def is_seen(seen: Any) -> bool:
    texts = all(type(text) is str for text in (seen.id, seen.task, seen.nonce))
    return type(seen) is ListedContainer and texts and type(seen.created) is float


@fuzz
@given(dice)
def test_calls(engine: tuple[Answering, DockerBackend], dice: Dice) -> None:
    """Whatever is answered, a call comes back with what it promises, or with an error of ours."""
    server, backend = engine
    server.answers = answer(
        dice.json(CREATED, ERROR, [LISTED], [LISTED, LISTED], "text"),
        dice.pick(STATUSES),
        *dice.pick(SAYS_IT_IS),
    )
    task = Task("a", image="i")
    calls = {
        "create": lambda: type(backend.create(task, "n")) is str and server.answers,
        "list": lambda: all(is_seen(seen) for seen in backend.list()),
        "start": lambda: backend.start(ID) is None,
        "stop": lambda: backend.stop(ID, 1.0) is None,
        "remove": lambda: backend.remove(ID) is None,
        "last words": lambda: type(backend.last_log_lines(ID)) is str,
    }
    try:
        assert calls[dice.pick([*calls])]()
    except (TemporaryError, PermanentError) as error:
        check_error(error)


@fuzz
@given(dice)
def test_events(engine: tuple[Answering, DockerBackend], dice: Dice) -> None:
    """A stream brings events, and ends with an error of ours or without one."""
    server, backend = engine
    lines = [dice.json(EVENT) + dice.pick([b"\n", b"\n", b""]) for _ in range(1 + dice.number(3))]
    server.first[b"/events"] = (
        stream(*lines) if dice.number(4) else answer(b"".join(lines), dice.pick(STATUSES))
    )
    heard: list[Event] = []
    try:
        backend.watch(lambda: None, heard.append)
    except TemporaryError as error:
        check_error(error)
    assert all(is_event(event) for event in heard)


@fuzz
@given(dice)
def test_images(engine: tuple[Answering, DockerBackend], dice: Dice) -> None:
    """Pulling only warns; labels come out, or an error of ours."""
    server, _ = engine
    said = [dice.json(*PROGRESS) + b"\n" for _ in range(1 + dice.number(3))]
    server.first[b"/images/create"] = (
        stream(*said) if dice.number(3) else answer(said[0], dice.pick(STATUSES))
    )
    server.first[b"/images/a"] = answer(dice.json(IMAGE, ERROR), dice.pick(STATUSES), *dice.pick(SAYS_IT_IS))
    images = EngineImages(Settings(docker_host=f"unix://{server.endpoint}"))
    try:
        labels = images.labels("a")
    except (TemporaryError, PermanentError) as error:
        check_error(error)
    else:
        assert all(type(name) is str for name in labels)
    finally:
        images.close()
