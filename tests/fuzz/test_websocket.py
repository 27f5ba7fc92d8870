"""What comes over a websocket: the answer to the handshake, and frames."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given

from microscaling.clients.websocket.session import MAX_BYTES, Link, Lost
from microscaling.clients.websocket.socket import Waker
from microscaling.errors import Stopped
from tests.fuzz.checks import SECRET, check_error, fuzz
from tests.fuzz.inputs import Dice, dice
from tests.fuzz.wire import Answering

OPCODES = [0x1, 0x1, 0x2, 0x0, 0x8, 0x9, 0xA, 0x3, 0xB, 0xF]
BODIES = [
    b'{"demand": {}}',
    b"",
    b"\xff\xfe",
    b"\x03\xe8bye\nnow",
    b"\x00",
    b"x" * 126,
    b"y" * 70_000,
    b"\x03\xe8\xff",
    b"\xff\xff",
    SECRET.encode()[:0],
]
LENGTHS = [None, None, None, None, 0, 1, 125, 2**16, MAX_BYTES + 1, 2**40, 2**63, 2**64 - 1]


def frame(dice: Dice) -> bytes:
    """RFC 6455, section 5.2: flags and opcode, mask and length, body."""
    body = dice.pick(BODIES)
    first = dice.pick([0x80, 0x80, 0x00, 0xC0, 0x10]) | dice.pick(OPCODES)
    told = dice.pick(LENGTHS)
    size = len(body) if told is None else told
    mask = dice.pick([0, 0, 0, 0x80])
    if size < 126 and told is None:
        head = struct.pack("!BB", first, mask | size)
    elif size < 2**16:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    return head + (b"abcd" if mask else b"") + body


@fuzz
@given(dice)
def test_frames(dice: Dice) -> None:
    """Messages come out, or the connection is lost, and why is said on one line."""
    ours, theirs = socket.socketpair()
    waker = Waker()
    link = Link(waker)
    link.websocket.connected, link.websocket.sock = True, link.wire
    link.wire._sock = ours
    ours.setblocking(False)
    link._ping_due = float("inf")
    said = b"".join(dice.damaged(frame(dice), seldom=4) for _ in range(1 + dice.number(3)))
    try:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        for _ in range(1000):
            message = link.step()
            assert message is None or len(message) <= MAX_BYTES
        raise AssertionError("it never ends")
    except Lost as error:
        check_error(error)
    finally:
        link.close()
        waker.close()
        theirs.close()


ACCEPTS = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: KEY\r\nmicroscaling-detail: 1\r\n\r\n"
)
REFUSES = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nLocation: ws://127.0.0.1:1/\r\n\r\nno"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handshaking(Answering):
    """Accepts with the right key, if the key is still in what it says."""

    def said(self, asked: bytes) -> bytes:
        key = next(
            (
                line[19:].strip()
                for line in asked.split(b"\r\n")
                if line.lower().startswith(b"sec-websocket-key:")
            ),
            b"",
        )
        return self.answers.replace(b"KEY", base64.b64encode(hashlib.sha1(key + GUID).digest()))


@pytest.fixture(scope="module")
def handshaking() -> Iterator[Handshaking]:
    with Handshaking() as server:
        yield server


@fuzz
@given(dice)
def test_handshake(handshaking: Handshaking, dice: Dice) -> None:
    waker = Waker()
    link = Link(waker)
    handshaking.answers = dice.damaged(dice.pick([ACCEPTS, ACCEPTS, REFUSES])) + dice.pick(
        [b"", b"\x81\x02hi", b"\x88\x00"]
    )
    try:
        link.connect(
            f"ws://{handshaking.endpoint}/", {"Authorization": f"Bearer {SECRET}"}, "http://localhost/", None
        )
        assert all(name == name.lower() for name in link.said)
        for _ in range(20):
            link.step()
    except Lost as error:
        check_error(error)
    except Stopped:
        raise AssertionError("nobody has said stop") from None
    finally:
        link.close()
        waker.close()
