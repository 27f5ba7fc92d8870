"""One connection of a websocket, from the handshake to its loss."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from microscaling.clients.websocket.socket import NothingYet, TooLong, Waker, Wire
from microscaling.errors import Stopped
from microscaling.utils.text import quoted

log = logging.getLogger("mssapi")

CONNECT_S = 4.0
SEND_WITHIN_S = 4.0
PING_EVERY_S, PONG_WITHIN_S = 5.0, 4.0
CLOSE_WITHIN_S = 0.2
MAX_BYTES = 4 * 2**20
"""Longest message; a longer one ends the connection."""
MAX_PONG_BYTES = 125
SWITCHING_PROTOCOLS = 101
CONTINUATION, CLOSE, PING, PONG = 0x0, 0x8, 0x9, 0xA
"""Opcodes of frames (RFC 6455, section 5.2); the others are text and binary."""


class Lost(Exception):
    """The connection failed or was lost; the text has the reason."""


class Link:
    """A WebSocket of websocket-client over a `Wire`, for one thread.

    With its own socket the library would use a proxy, and have no total deadline.
    """

    def __init__(self, waker: Waker) -> None:
        import websocket

        self.ping_every_s, self.pong_within_s = PING_EVERY_S, PONG_WITHIN_S
        self.wire = Wire(waker, MAX_BYTES)
        self.websocket: Any = websocket.WebSocket()
        self.said: Mapping[str, str] = {}
        """Headers of the server's answer, by their names in lower case."""
        self.errors = (websocket.WebSocketException, OSError, ValueError, TooLong)
        self._part: bytearray | None = None
        """The frames so far of a message in several frames."""
        self._ping_due = 0.0
        self._pong_due: float | None = None

    def connect(
        self, url: str, headers: Mapping[str, str], origin: str | None, tls: ssl.SSLContext | None
    ) -> None:
        """Connects within 4 s, never through a proxy, and without following a redirect. Raises Lost, and
        Stopped after the waker's stop."""
        parts = urlsplit(url)
        try:
            with self.wire.within(CONNECT_S):
                self.wire.dial(parts.hostname or "", parts.port or (443 if tls else 80), tls)
                self.websocket.connect(
                    url,
                    socket=self.wire,
                    header=[f"{name}: {value}" for name, value in headers.items()],
                    origin=origin,
                    redirect_limit=0,
                )
        except Stopped:
            raise
        except Exception as error:  # for invalid answers the library raises errors of many types
            raise Lost(_reason(error)) from None
        if self.websocket.getstatus() != SWITCHING_PROTOCOLS:
            raise Lost(f"the answer is HTTP {self.websocket.getstatus()}, not a websocket")
        self.said = {name.lower(): value for name, value in (self.websocket.getheaders() or {}).items()}
        self.wire.rewind()
        self._ping_due = time.monotonic() + self.ping_every_s

    def send(self, text: str) -> None:
        """Sends a message. Raises Lost, and Stopped after the waker's stop."""
        try:
            with self.wire.within(SEND_WITHIN_S):
                self.websocket.send(text)
        except self.errors as error:
            raise Lost(_reason(error)) from None

    def step(self) -> bytes | None:
        """Reads one frame, or waits until there is something to do. Returns a message if one is complete.
        Raises Lost, and Stopped after the waker's stop."""
        try:
            frame = self._read()
            if frame is not None:
                return self._on_frame(frame)
            self._feel_pulse()
            due = self._ping_due if self._pong_due is None else min(self._ping_due, self._pong_due)
            self.wire.wait(due - time.monotonic())
        except self.errors as error:
            raise Lost(_reason(error)) from None
        return None

    def say_goodbye(self) -> None:
        """Closes by the protocol, and waits CLOSE_WITHIN_S for the answer."""
        self.wire.heeds_stop = False  # the stop is the usual reason to be here
        try:
            with self.wire.within(CLOSE_WITHIN_S):
                self.websocket.send_close()
                while self.websocket.recv_frame().opcode != CLOSE:
                    self.wire.rewind()
        except self.errors as error:
            log.debug("the websocket is closed: %s", _reason(error))

    def close(self) -> None:
        """Closes the socket, in any state of the connection."""
        self.wire.close()

    def _read(self) -> Any:
        """Returns the next frame; None until it is complete."""
        try:
            return self.websocket.recv_frame()
        except NothingYet:
            return None

    def _on_frame(self, frame: Any) -> bytes | None:
        self._pong_due = None  # any frame shows that the other side is alive
        self.wire.rewind()
        if frame.opcode == PING:
            with self.wire.within(SEND_WITHIN_S):
                # A control frame has at most 125 bytes (RFC 6455, 5.5), and the server may send more.
                self.websocket.pong(frame.data[:MAX_PONG_BYTES])
        elif frame.opcode == CLOSE:
            self.say_goodbye()
            raise Lost(f"the server has closed it{_close_reason(frame.data)}")
        elif frame.opcode != PONG:
            return self._on_part(frame)
        return None

    def _on_part(self, frame: Any) -> bytes | None:
        if (frame.opcode == CONTINUATION) != (self._part is not None):
            raise Lost("the server sends a frame out of order")
        self._part = bytearray() if self._part is None else self._part
        self._part += frame.data
        if len(self._part) > MAX_BYTES:
            raise TooLong
        if not frame.fin:
            return None
        message, self._part = bytes(self._part), None
        return message

    def _feel_pulse(self) -> None:
        """Sends a ping when one is due. Raises Lost if the last one has no answer in time."""
        now = time.monotonic()
        if self._pong_due is not None and now >= self._pong_due:
            raise Lost(f"no answer to a ping within {self.pong_within_s:g} s")
        if now >= self._ping_due:
            with self.wire.within(SEND_WITHIN_S):
                self.websocket.ping()
            self._ping_due = now + self.ping_every_s
            self._pong_due = now + self.pong_within_s


def trusting() -> ssl.SSLContext:
    """Returns a TLS context with the authorities that requests trusts. Slow: call it once. Raises Lost."""
    # The same authorities as for HTTP, so that both ways to one server agree.
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if not bundle:
        import certifi

        bundle = certifi.where()
    try:
        if os.path.isdir(bundle):
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise Lost(f"{bundle}: {error.strerror or error}") from None


def _close_reason(data: bytes) -> str:
    """Returns the reason in a close frame: a status of two bytes, then text (RFC 6455, 5.5.1)."""
    if len(data) < 2:
        return ""
    text = data[2:].decode("utf-8", "replace")
    return f": status {int.from_bytes(data[:2], 'big')}{' ' + quoted(text) if text else ''}"


def _reason(error: Exception) -> str:
    """Returns the reason of a failure, on one line."""
    # The library's text about a refused handshake has the whole answer in it, so only the status is used.
    if status := getattr(error, "status_code", None):
        return f"the answer is HTTP {status}, not a websocket"
    if isinstance(error, TooLong):
        return "it sends more than fits into a message"
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "it does not answer in time"
    if isinstance(error, (socket.gaierror, OSError)) and error.strerror:
        return error.strerror
    return quoted(str(error) or type(error).__name__)
