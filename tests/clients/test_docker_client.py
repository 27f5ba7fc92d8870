"""How calls reach a Docker engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from microscaling.clients.docker.client import connect


class Engine(ThreadingMixIn, UnixStreamServer):
    """Answers every call alike, and counts connections."""

    daemon_threads = True
    connections = 0

    def get_request(self) -> tuple[object, tuple[str, int]]:
        request, _ = super().get_request()
        self.connections += 1
        return request, ("engine", 0)


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"ApiVersion": "1.41", "Id": "c1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "engine.sock"), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_calls_for_many_containers_share_a_connection(engine: Engine) -> None:
    client = connect(f"unix://{engine.server_address}", tls_verify=False, cert_path="", timeout_s=10)
    at_first = engine.connections
    for number in range(100):
        client.inspect_container(f"c{number}")
    client.close()
    assert engine.connections - at_first <= 1
