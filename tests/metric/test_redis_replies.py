"""The parser of Redis' replies: the same in whatever pieces they come."""

from __future__ import annotations

import io
from typing import Any

import pytest

from microscaling.metric.redis_replies import MAX_DEPTH, Replies


class Refused(Exception):
    """An error reply."""


REPLIES: list[tuple[bytes, Any]] = [
    (b"+OK\r\n", b"OK"),
    (b"+QUEUED\r\n", b"QUEUED"),
    (b":-12\r\n", -12),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"$0\r\n\r\n", b""),
    (b"$4\r\n\r\n\r\n\r\n", b"\r\n\r\n"),
    (b"$300000\r\n" + b"x" * 300000 + b"\r\n", b"x" * 300000),
    (b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n$-1\r\n+b\r\n", [1, [b"a", None], b"b"]),
]


def replies_in(data: bytes, piece: int = 2**30) -> Replies:
    stream = io.BytesIO(data)
    return Replies(lambda size: stream.read(min(size, piece)), Refused)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000, 2**30])
def test_replies_in_any_pieces(piece: int) -> None:
    replies = replies_in(b"".join(data for data, _ in REPLIES) * 2, piece)
    assert [replies.read() for _ in range(2 * len(REPLIES))] == [reply for _, reply in REPLIES] * 2
    with pytest.raises(EOFError):
        replies.read()


def test_an_error_is_in_the_place_of_its_reply() -> None:
    replies = replies_in(b"*2\r\n-ERR no such key\r\n:3\r\n-OOM full\r\n")
    first, second = replies.read(), replies.read()
    assert [type(one) for one in first] == [Refused, int]
    assert (str(first[0]), str(second)) == ("ERR no such key", "OOM full")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b":1.5\r\n",
        b":\r\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"*-7\r\n",
        b"$3\r\nabcd\r\n",
        b"*1\r\n" * (MAX_DEPTH + 1) + b":1\r\n",
    ],
)
def test_anything_else_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        replies_in(data).read()


@pytest.mark.parametrize("data", [b"", b"+OK", b"$4\r\nab", b"*2\r\n:1\r\n", b"+OK\r"])
def test_the_end_of_the_connection_within_a_reply(data: bytes) -> None:
    with pytest.raises(EOFError):
        replies_in(data).read()
