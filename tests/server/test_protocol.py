"""Messages are taken from the socket's bytes as the library takes them, however the bytes come."""

from __future__ import annotations

import asyncio
import random
import struct
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from microscaling.server.http.protocol import AgentProtocol
from microscaling.server.limits import MAX_BYTES

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, MORE, BINARY, CLOSE, PING, FINAL = 1, 0, 2, 8, 9, 0x80
PLAIN = b"abc \xc3\xa9"


def frame(
    data: bytes, kind: int = TEXT | FINAL, masked: bool = True, mask: bytes = b"\x01\x80\x00\x7f"
) -> bytes:
    if len(data) < 126:
        head = struct.pack("!BB", kind, masked << 7 | len(data))
    elif len(data) < 2**16:
        head = struct.pack("!BBH", kind, masked << 7 | 126, len(data))
    else:
        head = struct.pack("!BBQ", kind, masked << 7 | 127, len(data))
    if not masked:
        return head + data
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _talk(*pieces: bytes, library: bool = False) -> tuple[list[str | None], bytes, bool, int]:
    """What is handed out and written, whether it is closed, and how many pieces the library got."""
    config = Config(_app, ws_max_size=MAX_BYTES, ws_per_message_deflate=False, log_config=None)
    config.load()
    protocol, wire = AgentProtocol(config, ServerState(), {}), Wire()
    protocol.connection_made(wire)
    protocol.data_received(HANDSHAKE)
    while not wire.written:
        await asyncio.sleep(0)
    wire.written = b""
    taken: list[str | None] = []
    protocol.take = taken.append
    if library:
        protocol._between_frames = lambda: False  # type: ignore[method-assign]
    passed_on, feed = [], protocol.conn.receive_data

    def receive_data(data: bytes | bytearray) -> None:
        passed_on.append(data)
        feed(data)

    protocol.conn.receive_data = receive_data  # type: ignore[method-assign]
    for piece in pieces:
        protocol.data_received(piece)
    protocol.connection_lost(None)
    await asyncio.gather(*protocol.tasks)
    return taken, wire.written, wire.closed, len(passed_on)


STREAMS = {
    "reports": frame(b"{}") + frame(PLAIN * 30) + frame(PLAIN * 1000),
    "126 and 127 bytes": frame(b"x" * 126) + frame(b"y" * 127) + frame(b"z" * 125),
    "nothing in it": frame(b"") + frame(b"a"),
    "64 KiB": frame(b"x" * (2**16 - 1)) + frame(b"x" * 2**16) + frame(b"a"),
    "in parts": frame(b"ab", TEXT) + frame(b"", PING | FINAL) + frame(b"c", MORE | FINAL) + frame(b"d"),
    "a text within a text": frame(b"ab", TEXT) + frame(b"cd") + frame(b"e", MORE | FINAL),
    "binary": frame(b"a") + frame(b"b", BINARY | FINAL) + frame(b"c"),
    "ping": frame(b"a") + frame(b"p", PING | FINAL) + frame(b"c"),
    "a reserved bit": frame(b"a") + frame(b"b", TEXT | FINAL | 0x40) + frame(b"c"),
    "not masked": frame(b"a") + frame(b"b", masked=False) + frame(b"c"),
    "not UTF-8": frame(b"a") + frame(b"\xff") + frame(b"c"),
    "half a character": frame(b"a") + frame(b"\xc3", TEXT) + frame(b"\xa9", MORE | FINAL),
    "closed": frame(b"a") + frame(b"\x03\xe8", CLOSE | FINAL) + frame(b"c"),
    "too long": frame(b"a") + frame(bytes(MAX_BYTES + 1)) + frame(b"c"),
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_as_the_library(stream: bytes) -> None:
    """Byte by byte at the beginning, then in pieces of all sizes. Of what comes in one piece with a broken
    frame, the library does not hand out what was good."""
    bytewise = [stream[i : i + 1] for i in range(400)]
    expected = asyncio.run(_talk(*bytewise, stream[400:], library=True))
    dice = random.Random(7)
    for most in (1, 2, 3, 7, 20, 200, 5000):
        if len(stream) // most > 20_000:
            continue
        pieces, at = [], 0
        while at < len(stream):
            size = dice.randint(1, most)
            pieces.append(stream[at : at + size])
            at += size
        taken, written, closed, _ = asyncio.run(_talk(*pieces))
        assert (written, closed) == expected[1:3]
        assert taken == expected[0] or (closed and taken == expected[0][: len(taken)])


def test_a_whole_report_does_not_go_through_the_library() -> None:
    reports = [frame(PLAIN * n) for n in (1, 30, 2000)]
    taken, _, _, passed_on = asyncio.run(_talk(*reports, b"".join(reports)))
    assert taken == [(PLAIN * n).decode() for n in (1, 30, 2000)] * 2
    assert not passed_on
