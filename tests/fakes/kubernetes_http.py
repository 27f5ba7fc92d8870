"""How a fake API server talks HTTP: answers, errors as Status objects, and streams."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.fakes.kubernetes_cluster import Item

if TYPE_CHECKING:
    from tests.fakes.kubernetes import FakeKubernetes

GENERIC = (404, 405, 415, 422)
"""With these the details are there, even if there are none."""


class Refused(Exception):
    """An answer that is not 200: a Status object."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.headers: dict[str, str] = {}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self.body = {**status, "message": message, "reason": reason, "details": details, "code": code}
        if not details and code not in GENERIC:
            del self.body["details"]
        if not reason:
            del self.body["reason"]


class Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    request_queue_size = 64

    def __init__(self, fake: FakeKubernetes) -> None:
        self.fake = fake
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for request in list(self.open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is none of our business."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    verb = ""
    code = 200
    body = b""

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):
            return super().handle_one_request()
        self.close_connection = True

    def serve(self) -> None:
        fake = self.server.fake
        self.verb, self.code = self.command, 200
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer: Item | None = None
        headers: dict[str, str] = {}
        try:
            answer = fake.answer(self)
        except Refused as refusal:
            self.code, answer, headers = refusal.code, refusal.body, refusal.headers
        if answer is not None or self.code != 200:  # a watch has been noted when it began
            fake.asked.append((self.verb, urlsplit(self.path).path, self.code))
        if answer is not None:
            self.reply(self.code, json.dumps(answer).encode(), headers=headers)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = serve

    def reply(
        self, code: int, body: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(code)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @property
    def gone(self) -> bool:
        """Whether the client has hung up."""
        if isinstance(self.connection, ssl.SSLSocket):  # it cannot be peeked into: writing will tell
            return False
        with contextlib.suppress(BlockingIOError):
            try:
                return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except ConnectionError:
                return True
        return False

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.chunk(b"")

    def log_message(self, *_: object) -> None:
        """Nothing: a test looks at `asked`."""
