"""Plain HTTP over the connection that is kept open: the same answer, however it comes."""

from __future__ import annotations

import contextlib
import copy
import socket
import time
from typing import Any

import pytest

from microscaling.clients.http.client import Client, FetchError
from tests.metric.faulty import Server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"
FORMS = {
    "as a whole": [HEAD + b"X-A: 1\r\nX-a: 2\r\n\r\ngood"],
    "head and body apart": [HEAD + b"X-A: 1\r\nX-a: 2\r\n\r\n", b"good"],
    "in the middle of a header": [HEAD + b"X-A", b": 1\r\nX-a: 2\r\n\r\ngo", b"od"],
    "in chunks": [b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
                  b"2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n"],
    "after a word that it comes": [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"X-A: 1\r\nX-a: 2\r\n\r\ngood"],
}  # fmt: skip


def parts(pieces: list[bytes], stays: bool = True, pause_s: float = 0.02) -> Any:
    def behave(server: Any, sock: socket.socket) -> bool:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, piece in enumerate(pieces, 1):
            sock.sendall(piece)
            server.closing.wait(pause_s if number < len(pieces) else 0.02)
        return stays

    return behave


@pytest.fixture
def client() -> Any:
    made = Client(deadline_s=10.0)
    yield made
    made.close()


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_is_the_same_however_it_comes(form: str, client: Client) -> None:
    with Server(parts(FORMS[form])) as server:
        for _ in range(3):
            answer = client.ask("GET", server.url("/a?b"), {"X-Mine": "yes"})
            assert (answer.status, answer.body, answer.headers["x-A"]) == (200, b"good", "1, 2")
        assert server.connections == 1
    assert len(set(server.heads)) == 1, "the same bytes each time"
    assert b"X-Mine: yes" in server.heads[0]


@pytest.mark.parametrize("closes", [b"Connection: close\r\n", b""], ids=["as it says", "without a word"])
def test_a_connection_that_the_server_closes_is_opened_anew(closes: bytes, client: Client) -> None:
    with Server(parts([HEAD + closes + b"\r\ngood"], stays=False)) as server:
        for number in range(1, 4):
            assert client.fetch(server.url()) == b"good"
            assert server.connections == number


def test_a_connection_that_the_server_closes_as_the_question_comes(client: Client) -> None:
    """A GET is asked again, once, over a new connection; what may have an effect is not."""
    answered: set[socket.socket] = set()

    def behave(server: Any, sock: socket.socket) -> bool:
        if first := sock not in answered:
            answered.add(sock)
            sock.sendall(HEAD + b"\r\ngood")
        return first

    with Server(behave) as server:
        for number in range(1, 4):
            assert client.fetch(server.url()) == b"good"
            assert server.connections == number
        with pytest.raises(FetchError):
            client.ask("POST", server.url(), body=b"x")
        assert [head.split()[0] for head in server.heads] == [b"GET"] * 5 + [b"POST"]
        server.behave = lambda server, sock: False
        with pytest.raises(FetchError):
            client.fetch(server.url())
        assert len(server.heads) == 7


def test_an_answer_that_ends_too_early_is_none(client: Client) -> None:
    with Server(parts([HEAD + b"\r\ngo"], stays=False)) as server, pytest.raises(FetchError, match="2 more"):
        client.fetch(server.url())


def test_a_client_that_has_asked_nothing_can_be_copied(client: Client) -> None:
    """As the server does with a task, and what that has of its metric."""
    with Server(parts(FORMS["as a whole"])) as server, contextlib.closing(copy.deepcopy(client)) as other:
        assert other.fetch(server.url()) == client.fetch(server.url()) == b"good"
        assert server.connections == 2


def test_another_question_and_another_server_get_their_own(client: Client) -> None:
    with Server(parts(FORMS["as a whole"])) as one, Server(parts(FORMS["as a whole"])) as other:
        client.fetch(one.url("/1"))
        client.fetch(one.url("/2"))
        client.ask("POST", one.url("/2"), body=b"x")
        client.fetch(other.url("/3"))
        client.fetch(one.url("/1"))
    assert one.paths() == ["/1", "/2", "/2", "/1"]
    assert other.paths() == ["/3"]
    assert (one.connections, other.connections) == (2, 1)
    assert one.heads[2].startswith(b"POST /2 ")


def test_an_answer_that_comes_again_is_not_read_anew(client: Client) -> None:
    with Server(parts(FORMS["as a whole"])) as server:
        first = client.ask("GET", server.url())
        assert client.ask("GET", server.url()) is first
        assert client.ask("GET", server.url("/b")) is first, "it is the bytes that count"
    assert len(server) == 3


def test_any_other_answer_is_read(client: Client) -> None:
    dated = HEAD + b"X-A: 1\r\nX-a: 3\r\n\r\ngood"
    answers = [FORMS[form] for form in FORMS] + [[dated], FORMS["as a whole"], FORMS["as a whole"]]
    with Server(None) as server:
        for pieces in [*answers, *reversed(answers)]:
            server.behave = parts(pieces)
            answer = client.ask("GET", server.url())
            assert (answer.status, answer.body) == (200, b"good")
            assert answer.headers["x-A"] == ("1, 3" if pieces == [dated] else "1, 2")
        assert server.connections == 1


def test_an_answer_that_is_refused_is_refused_again() -> None:
    client = Client(deadline_s=10.0, max_bytes=3)
    with Server(parts(FORMS["as a whole"])) as server:
        for _ in range(3):
            with pytest.raises(FetchError, match="longer than 3 bytes"):
                client.fetch(server.url())
    client.close()


def test_what_comes_after_the_end_of_the_process_of_a_server_is_read(client: Client) -> None:
    """The last answer is not taken for that of a server that has gone."""
    with Server(parts(FORMS["as a whole"])) as server:
        url = server.url()
        assert client.fetch(url) == b"good"
    with pytest.raises(FetchError):
        client.fetch(url)


def test_a_question_is_asked_again_for_little(client: Client) -> None:
    with Server(parts(FORMS["as a whole"])) as server:
        assert not client.same(10.0), "nothing was asked yet"
        client.fetch(server.url("/a"))
        assert client.same(10.0)
        assert client.same(10.0)
        assert client.fetch(server.url("/b")) == b"good"
        assert server.paths() == ["/a", "/a", "/a", "/b"]
        assert server.connections == 1


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_is_another_one_is_the_next(form: str, client: Client) -> None:
    other = HEAD + b"\r\nlast"
    with Server(parts([other])) as server:
        assert client.fetch(server.url()) == b"last"
        # After a shorter pause a busy machine may read two parts as one.
        server.behave = parts(FORMS[form], pause_s=0.3)
        assert not client.same(10.0)
        answer = client.good_answer(server.url())
        assert (answer.status, answer.body, answer.headers["x-A"]) == (200, b"good", "1, 2")
        assert len(server) == 2, "it is not asked for twice"
        assert client.same(10.0) == (form == "as a whole")
        assert server.connections == 1


def test_an_answer_that_is_another_one_is_none_to_another_question(client: Client) -> None:
    with Server(parts([HEAD + b"\r\nlast"])) as server:
        client.fetch(server.url("/a"))
        server.behave = parts(FORMS["in the middle of a header"])
        assert not client.same(10.0)
        server.behave = parts([HEAD + b"\r\nmine"])
        assert client.fetch(server.url("/b")) == b"mine"
        assert server.paths() == ["/a", "/a", "/b"]


def test_a_server_that_has_closed_the_connection_is_asked_anew(client: Client) -> None:
    with Server(parts(FORMS["as a whole"], stays=False)) as server:
        assert client.fetch(server.url()) == b"good"
        deadline = time.monotonic() + 30
        while server.open:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not client.same(10.0)
        assert client.fetch(server.url()) == b"good"
        assert (len(server), server.connections) == (2, 2)


def test_a_server_that_falls_silent_is_given_up_and_asked_anew(client: Client) -> None:
    with Server(parts(FORMS["as a whole"])) as server:
        client.fetch(server.url())
        server.behave = lambda server, sock: not server.closing.wait(0.5)
        with pytest.raises(TimeoutError):
            client.same(0.1)
        server.behave = parts(FORMS["as a whole"])
        assert not client.same(10.0), "a late answer is that to an earlier question"
        assert client.fetch(server.url()) == b"good"
        assert server.connections == 2


def test_what_was_no_good_answer_is_never_the_same() -> None:
    client = Client(deadline_s=10.0, max_bytes=3)
    with Server(parts(FORMS["as a whole"])) as server:
        with pytest.raises(FetchError):
            client.fetch(server.url())
        assert not client.same(10.0)
        server.behave = parts([b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"])
        with pytest.raises(FetchError):
            client.fetch(server.url())
        assert not client.same(10.0)
    client.close()
