"""Plain HTTP over one connection that is kept open, with the deadline of the call.

A question is prepared once, by requests, and sent as the same bytes from then on: a fourth of the processor
time of a call of requests, which counts where a server is asked many times a second.
"""

from __future__ import annotations

import http.client
import re
import select
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from microscaling.clients.http.deadline import DeadlineResponse, time_left
from microscaling.clients.tcp.connect import connect

if TYPE_CHECKING:
    import requests

PORT = 80
READ_AT_ONCE = 2**16
"""Most bytes of an answer that can come in one piece."""
USUAL = b"HTTP/1.1 200 "
NAME = re.compile(r"(?!(?i:connection|transfer-encoding|upgrade)$)[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Names of headers, but those for the end of the answer, or of the connection."""


class _Bytes(http.client.HTTPConnection):
    """Collects what it would send."""

    sent = b""

    def send(self, data: Any) -> None:
        self.sent += data


@dataclass(frozen=True)
class Prepared:
    """A request in bytes, and the server that gets it."""

    place: tuple[str, int]
    method: str
    sent: bytes

    @classmethod
    def of(cls, request: requests.PreparedRequest) -> Prepared:
        """Returns a request of `requests` in bytes. Raises ValueError or HTTPException for one that cannot be
        sent."""
        parts = urlsplit(str(request.url))
        method = str(request.method)
        head = _Bytes(parts.hostname or "", parts.port or PORT)
        head.putrequest(
            method, request.path_url, skip_host="Host" in request.headers, skip_accept_encoding=True
        )
        for name, value in request.headers.items():
            head.putheader(name, value)
        body: Any = request.body
        head.endheaders(body)
        return cls((parts.hostname or "", parts.port or PORT), method, head.sent)


class Response(Protocol):
    """An answer, of which the body is still to be read; its headers match in upper or lower case."""

    status: int
    headers: Mapping[str, str]

    def read(self, most: int) -> bytes:
        """Returns the next bytes of the body; none at its end. Raises HTTPException if it ends too early."""


class Whole(Response):
    """An answer that has come in one piece."""

    def __init__(self, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers = http.client.OK, _joined(headers)
        self._body = self._rest = body

    def rewind(self) -> None:
        """Makes the body readable once more."""
        self._rest = self._body

    def read(self, most: int) -> bytes:
        part, self._rest = self._rest[:most], self._rest[most:]
        return part


class _InParts(Response):
    """An answer that comes as it will."""

    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self.raw = raw
        self.status, self.headers = raw.status, _joined(raw.headers.items())

    def read(self, most: int) -> bytes:
        part = self.raw.read(most)
        if not part and most and self.raw.length:
            raise http.client.IncompleteRead(b"", self.raw.length)
        return part


class KeptConnection:
    """The connection to the server that was asked last. For one thread at a time."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None
        self._place = ("", 0)
        self._was_kept = False
        """Whether the last question went over a connection from before."""
        self._early: select.poll | None = None
        """What can be read from the socket. Only with one, as a task that was never asked may be copied."""
        self._last: tuple[bytes, Whole] | None = None
        """The last answer that came in one piece, and its bytes."""
        self._asked: Prepared | None = None
        """The last question."""
        self._begun = b""
        """What `again` has read of an answer that is another one."""

    def __del__(self) -> None:
        # A client that is only forgotten leaves no socket open, as with requests.
        self.close()

    def ask(self, prepared: Prepared) -> Response:
        """Returns the answer, of which the body is still to be read. One with the same bytes as the last is
        the same object. Raises OSError or HTTPException."""
        if self._begun and prepared is not self._asked:
            self.close()  # the rest of that answer may still come
        begun, self._begun = self._begun, b""
        try:
            begun = begun or self._sent(prepared)
            return self._whole(begun) or self._in_parts(prepared.method, begun)
        except BaseException as error:
            self.close()
            # A server may close a connection that is at rest just as the question comes.
            if self._was_kept and isinstance(error, ConnectionResetError) and prepared.method == "GET":
                return self.ask(prepared)
            raise

    def again(self, seconds: float) -> bool:
        """Asks the last question again, with so many seconds for the answer. True if that is the last one
        again, byte for byte. If it is another, the next `ask` of that question returns it. False, too, if the
        last answer did not come in one piece. Raises OSError."""
        if self._sock is None or self._asked is None or self._last is None or self._has_ended():
            return False
        try:
            self._sock.settimeout(seconds)
            self._sock.sendall(self._asked.sent)
            begun = self._sock.recv(READ_AT_ONCE)
        except BaseException:
            self.close()
            raise
        if begun == self._last[0]:
            return True
        self._begun = begun
        return False

    def _sent(self, prepared: Prepared) -> bytes:
        """Sends a question, and returns the beginning of the answer."""
        sock, self._asked = self._connected(prepared.place), prepared
        sock.settimeout(time_left())
        try:
            sock.sendall(prepared.sent)
        except BrokenPipeError:
            pass  # a server may answer, and close, before it has read all
        if self._last is None and hasattr(socket, "TCP_QUICKACK"):
            # A server that writes head and body apart may wait up to 40 ms for this.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        sock.settimeout(time_left())
        return sock.recv(READ_AT_ONCE)

    def done(self, response: Response) -> None:
        """Keeps the connection if the answer was read to its end, and the server keeps it too."""
        if isinstance(response, _InParts) and (response.raw.will_close or not response.raw.isclosed()):
            response.raw.close()
            self.close()

    def _whole(self, begun: bytes) -> Response | None:
        """Returns an answer of the usual kind that is here as a whole; None for any other."""
        # At rest most answers are the last one again, and to read it anew would be most of the work.
        if self._last is not None and begun == self._last[0]:
            self._last[1].rewind()
            return self._last[1]
        self._last = None
        if not begun.startswith(USUAL):
            return None
        head, end, body = begun.partition(b"\r\n\r\n")
        headers = [line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:]]
        lengths = [value.strip() for name, _, value in headers if name.lower() == "content-length"]
        if not end or lengths != [str(len(body))] or any(not NAME.fullmatch(name) for name, _, _ in headers):
            return None
        self._last = begun, Whole(((name, value.strip()) for name, _, value in headers), body)
        return self._last[1]

    def _in_parts(self, method: str, begun: bytes) -> Response:
        assert self._sock is not None
        raw = DeadlineResponse(self._sock, method=method, begun=begun)
        try:
            raw.begin()
        except BaseException:
            raw.close()
            raise
        return _InParts(raw)

    def close(self) -> None:
        """Closes the connection; the next `ask` opens a new one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = self._last = self._early = None
            self._begun = b""

    def _connected(self, place: tuple[str, int]) -> socket.socket:
        if self._sock is not None and (place != self._place or self._has_ended()):
            self.close()
        self._was_kept = self._sock is not None
        if self._sock is None:
            self._sock, self._place = connect(*place, time_left), place
            self._early = select.poll()
            self._early.register(self._sock, select.POLLIN)
        return self._sock

    def _has_ended(self) -> bool:
        # What can be read before anything was asked is the end of the connection.
        return self._early is not None and bool(self._early.poll(0))


def _joined(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    from requests.structures import CaseInsensitiveDict

    found: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
