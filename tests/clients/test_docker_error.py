"""What is said of an engine, or of a proxy in front of it, that does not do what it was asked."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from microscaling.clients.docker import errors as docker_error
from microscaling.demand.task import Task
from microscaling.errors import MicroscalingError, PermanentError
from microscaling.scheduler.containers.backend import BackendUnavailable, Missing
from microscaling.scheduler.docker.backend import DockerBackend
from tests.metric.faulty import Server, answers

VERSION = answers(b'{"ApiVersion": "1.41"}')
PAGE = b"<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"
ID = 64 * "a"
Asked = Callable[[DockerBackend], object]
CALLS: dict[str, Asked] = {
    "GET /containers/json": lambda backend: backend.list(),
    "POST /containers/create": lambda backend: backend.create(Task("a", image="i"), "n"),
    "POST /containers/ID/start": lambda backend: backend.start(ID),
    "POST /containers/ID/stop": lambda backend: backend.stop(ID, 1),
    "DELETE /containers/ID": lambda backend: backend.remove(ID),
}


@pytest.fixture(autouse=True)
def nothing_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_error, "_told", set())


def raised(behaviour: Callable[[Server, socket.socket], bool], call: Asked) -> MicroscalingError:
    """What the call raises, of an engine that tells its version, and then does as it is told."""

    def behave(server: Server, sock: socket.socket) -> bool:
        return (VERSION if server.paths()[-1] == "/version" else behaviour)(server, sock)

    with Server(behave) as server:
        backend = DockerBackend(f"tcp://{server.endpoint}")
        try:
            with pytest.raises(MicroscalingError) as caught:
                call(backend)
        finally:
            backend.close()
    return caught.value


@pytest.mark.parametrize("request_", CALLS)
def test_what_is_refused_is_named_once(request_: str, caplog: pytest.LogCaptureFixture) -> None:
    refuses = answers(PAGE, "403 Forbidden", "Content-Type: text/html")
    for _ in range(2):
        error = raised(refuses, CALLS[request_])
        assert str(error) == f"{request_} is refused (HTTP 403)"
        assert isinstance(error, BackendUnavailable if request_.startswith("GET") else PermanentError)
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    way_out = "allow it there; all requests of the agent are listed in docs/security.md"
    assert said == [
        f"{request_} is refused (HTTP 403) by the engine, or by a proxy in front of it: {way_out}"
    ]


def message(text: str) -> bytes:
    return json.dumps({"message": text}).encode()


ENGINE = "Api-Version: 1.41"
OTHERS = [
    # status, body, more headers, error of a create, what it says
    ("405 Method Not Allowed", b"Method Not Allowed\n", "", PermanentError,
     "POST /containers/create is refused (HTTP 405: Method Not Allowed)"),
    ("403 Forbidden", message("authorization denied by plugin x: no"), "", PermanentError,
     "POST /containers/create is refused (HTTP 403: authorization denied by plugin x: no)"),
    ("403 Forbidden", message("the engine's\nown reason"), ENGINE, PermanentError, "the engine's own reason"),
    ("404 Not Found", message("No such image: i"), ENGINE, Missing,
     "image i is no longer on this engine: backing off until it is; it is pulled in the background; "
     "other tasks go on"),
    ("404 Not Found", PAGE, "", PermanentError, "HTTP 404 for POST /containers/create"),
    ("500 Internal Server Error", message("oops"), ENGINE, PermanentError, "oops"),
    ("502 Bad Gateway", PAGE, "", BackendUnavailable, "HTTP 502 for POST /containers/create"),
    ("503 Service Unavailable", message("busy"), ENGINE, BackendUnavailable, "busy"),
    ("504 Gateway Timeout", b"", "", BackendUnavailable, "HTTP 504 for POST /containers/create"),
    ("400 Bad Request", 300 * b"x", "", PermanentError, "HTTP 400 for POST /containers/create: " + 200 * "x"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "header", "kind", "says"), OTHERS)
def test_what_is_said(status: str, body: bytes, header: str, kind: type[Exception], says: str) -> None:
    """A proxy whose engine is gone is no reason to blame the container."""
    error = raised(answers(body, status, *([header] if header else [])), CALLS["POST /containers/create"])
    assert (type(error), str(error)) == (kind, says)


def test_a_refusal_to_tell_the_version() -> None:
    with Server(answers(message("no rule"), "403 Forbidden")) as server:
        backend = DockerBackend(f"tcp://{server.endpoint}")
        with pytest.raises(BackendUnavailable, match=r"^GET /version is refused \(HTTP 403: no rule\)$"):
            backend.list()


PATHS = [
    ("/v1.41/images/team/app:v1/json", "/images/NAME/json"),
    ("/v1.41/images/app/json", "/images/NAME/json"),
    ("/v1.41/images/json", "/images/json"),
    ("/v1.41/images/create", "/images/create"),
    ("/v1.41/networks/backend/connect", "/networks/NAME/connect"),
    ("/v1.41/networks/backend/disconnect", "/networks/NAME/disconnect"),
    ("/v1.41/networks/backend", "/networks/NAME"),
    (f"/v1.41/containers/{ID}/logs", "/containers/ID/logs"),
    (f"/containers/{ID}", "/containers/ID"),
]


@pytest.mark.parametrize(("path", "named"), PATHS)
def test_names_of_requests(path: str, named: str) -> None:
    assert docker_error.request_named("GET", f"http+docker://localhost{path}?all=1") == f"GET {named}"
