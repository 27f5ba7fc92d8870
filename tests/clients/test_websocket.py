"""One websocket for several users, on real connections to a server that is well, ill, or away."""

from __future__ import annotations

import logging
import resource
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest

from microscaling.clients.websocket import session as websocket_link
from microscaling.clients.websocket.connection import Connection
from tests.fakes.server import FakeServer, frame, wait_for
from tests.metric.faulty import Server, breaks_off, drips, hangs, pours, response


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    """Makes connections that this test has opened as user "me"; what they heard is in `.said`."""
    made = []

    def connect(endpoint: str, scheme: str = "ws", **options: object) -> Connection:
        connection = Connection(f"{scheme}://{endpoint}/", **options)
        connection.said = []
        made.append(connection)
        connection.open("me", connection.said.append)
        return connection

    yield connect
    for connection in made:
        connection.close("me")


def is_connected(connection: Connection) -> None:
    wait_for(lambda: connection.connected)


def test_says_and_hears(server, connect) -> None:
    connection = connect(server.endpoint)
    is_connected(connection)
    assert connection.send('{"a":"é"}')
    assert server.messages() == [{"a": "é"}]
    server.say({"b": 1})
    wait_for(lambda: connection.said == [b'{"b": 1}'])


def test_it_introduces_itself(server, connect) -> None:
    connect(server.endpoint, headers={"Authorization": "Bearer t"}, origin="http://localhost/")
    headers = server.link.headers
    assert (headers["origin"], headers["authorization"]) == ("http://localhost/", "Bearer t")
    assert server.link.request.host == server.endpoint


def test_the_newest_message_is_the_one_that_is_sent(server, connect) -> None:
    connection = connect(server.endpoint)
    is_connected(connection)
    for number in range(500):
        assert connection.send(str(number))
    wait_for(lambda: 499 in server.link.messages)
    assert server.link.messages == sorted(server.link.messages)


def test_a_long_message_goes_out_whole(server, connect) -> None:
    connection = connect(server.endpoint)
    is_connected(connection)
    server.reads = False
    connection.send(f'"{"x" * 10**6}"')
    time.sleep(0.1)
    server.reads = True
    assert len(server.messages()[0]) == 10**6


FRAMES = [
    pytest.param([frame(b"{}")], id="text"),
    pytest.param([frame(b"{}", kind=2)], id="binary"),
    pytest.param([frame(b"{", final=False), frame(b"}", kind=0)], id="two frames"),
    pytest.param([frame(b"{", final=False), frame(b"hi", kind=9), frame(b"}", kind=0)], id="ping between"),
    pytest.param([frame(b"{}")[:1], frame(b"{}")[1:]], id="half a head"),
    pytest.param([frame(b"{}")[:3], frame(b"{}")[3:]], id="half a payload"),
    pytest.param([bytes([b]) for b in b"\x81\x7e\x00\x02{}"], id="byte by byte"),
]


@pytest.mark.parametrize("frames", FRAMES)
def test_a_message_however_it_comes(server, connect, frames) -> None:
    connection = connect(server.endpoint)
    assert server.link
    for part in frames:
        server.raw(part)
        time.sleep(0.01)
    wait_for(lambda: connection.said == [b"{}"])
    assert len(server.links) == 1


BAD_FRAMES = [
    pytest.param(b"\xf1\x00", "rsv is not implemented", id="no such flags"),
    pytest.param(frame(b"{}", kind=3), "Invalid opcode", id="no such kind"),
    pytest.param(frame(b"}", kind=0), "sends a frame out of order", id="continues nothing"),
    pytest.param(
        frame(b"{", final=False) + frame(b"{}"), "sends a frame out of order", id="message in a message"
    ),
    pytest.param(b"\x81\x7f" + b"\x7f" * 9 + b" " * 2000, "more than fits", id="huge"),
    pytest.param(
        frame(b" " * 600, final=False) + frame(b" " * 600, kind=0), "more than fits", id="huge in parts"
    ),
    pytest.param(frame(b"\x03\xf3on strike", kind=8), 'status 1011 "on strike"', id="closed"),
    pytest.param(frame(b"", kind=8), "has closed it", id="closed without a word"),
]


@pytest.mark.parametrize(("bad", "said"), BAD_FRAMES)
def test_what_breaks_the_protocol_costs_the_connection(
    server, connect, bad, said, caplog, monkeypatch
) -> None:
    monkeypatch.setattr(websocket_link, "MAX_BYTES", 1000)
    connection = connect(server.endpoint)
    assert server.link
    server.raw(bad)
    wait_for(lambda: len(server.links) == 2)
    server.say({})
    wait_for(lambda: connection.said == [b"{}"])
    assert [said in m for m in caplog.messages if "no connection" in m] == [True]


def handshake(status: str, *headers: str) -> bytes:
    return response(b"secret", status, *headers)


BAD_HANDSHAKES = [
    (handshake("401 Unauthorized", "X: secret"), "the answer is HTTP 401, not a websocket"),
    (handshake("302 Found", "Location: ws://127.0.0.1:1/"), ""),
    (handshake("200 OK"), "the answer is HTTP 200, not a websocket"),
    (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", ""),
    (b"HTTP/1.1 101 X\r\nSet-Cookie: \x01=[\r\n\r\n", ""),
    (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", ""),
    (b"\xff\r\n", ""),
    (b"HTTP/1.1 500 X\r\nContent-Length: many\r\n\r\n", ""),
]


@pytest.mark.parametrize(("answer", "said"), BAD_HANDSHAKES)
def test_what_is_no_websocket_is_asked_again_and_said_once(server, connect, answer, said, caplog) -> None:
    server.handshake = answer
    connection = connect(server.endpoint)
    wait_for(lambda: len(server.heads) >= 3)
    server.handshake = b""
    is_connected(connection)
    (told,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert said in told.getMessage()
    assert "secret" not in caplog.text


ENDLESS = {
    "hangs": hangs,
    "drips": drips(b"HTTP/1.1 101 X\r\nX: ", b"y", b"\r\n\r\n"),
    "pours": pours(b"HTTP/1.1 101 X\r\nX: ", b"y" * 65536),
    "refuses at length": breaks_off(b"HTTP/1.1 500 X\r\nContent-Length: 99999999\r\n\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_handshake_has_an_end(connect, name, caplog, monkeypatch) -> None:
    monkeypatch.setattr(websocket_link, "CONNECT_S", 0.3)
    with Server(ENDLESS[name]) as server:
        connect(server.endpoint)
        wait_for(lambda: len(server) >= 2)
    assert caplog.text.count("WARNING") == 1


def test_the_thread_outlives_whatever_the_other_side_is(connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody_accepts:
        connection = connect(f"127.0.0.1:{nobody_accepts.getsockname()[1]}")
        wait_for(lambda: connection.threads[0].is_alive())
        connection.close("me")
        assert not connection.threads


def test_a_server_that_is_away_costs_one_line(connect, caplog) -> None:
    server = FakeServer()
    connection = connect(server.endpoint)
    wait_for(lambda: connection.threads[0].backoff.tries >= 4)
    assert not connection.send("{}")
    with server:
        is_connected(connection)
    (told,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert told.getMessage() == (
        f"no connection to the server at ws://{server.endpoint}/: Connection refused; retrying"
    )


def test_nothing_stale_is_sent_after_a_reconnect(server, connect) -> None:
    connection = connect(server.endpoint)
    is_connected(connection)
    server.reads = False
    connection.send(f'"{"old" * 10**6}"')  # more than the system takes: it is half sent, or waits
    connection.send('"old"')
    server.stop()
    wait_for(lambda: not connection.connected)
    assert not connection.send('"never"')
    server.reads = True
    server.start()
    is_connected(connection)
    connection.send('"new"')
    assert server.messages() == ["new"]


@pytest.mark.parametrize("how", ["says nothing", "does not even read"])
def test_a_dead_peer_is_noticed(server, connect, caplog, monkeypatch, how) -> None:
    monkeypatch.setattr(websocket_link, "PING_EVERY_S", 0.2)
    monkeypatch.setattr(websocket_link, "PONG_WITHIN_S", 0.2)
    connect(server.endpoint)
    server.pongs = False
    server.reads = how == "says nothing"
    wait_for(lambda: len(server.links) >= 2)
    assert "no answer to a ping within 0.2 s" in caplog.text
    server.reads = True


def test_a_peer_that_does_not_read_is_dead_too(server, connect, caplog, monkeypatch) -> None:
    monkeypatch.setattr(websocket_link, "SEND_WITHIN_S", 0.2)
    connection = connect(server.endpoint)
    is_connected(connection)
    server.reads = False
    connection.send("1" * 10**7)
    wait_for(lambda: len(server.links) >= 2)
    assert "does not answer in time" in caplog.text
    server.reads = True


def test_a_dead_peer_is_noticed_within_10_s() -> None:
    assert websocket_link.PING_EVERY_S + websocket_link.PONG_WITHIN_S < 10


def test_a_live_peer_is_left_alone(server, connect, monkeypatch) -> None:
    monkeypatch.setattr(websocket_link, "PING_EVERY_S", 0.05)
    connect(server.endpoint)
    wait_for(lambda: server.link.pings >= 10)
    assert len(server.links) == 1


def test_a_server_that_accepts_and_closes_is_not_asked_at_full_speed(server, connect) -> None:
    connection = connect(server.endpoint)
    for number in range(1, 6):
        wait_for(lambda n=number: len(server.links) >= n and server.open)
        server.raw(frame(b"", kind=8))
        wait_for(lambda: not server.open)
    assert connection.threads[0].backoff.tries >= 4, "the delays grow"


def test_while_the_server_is_away_it_takes_next_to_no_time_of_a_core(connect) -> None:
    connection = connect(FakeServer().endpoint)
    wait_for(lambda: connection.threads[0].backoff.tries >= 4)
    used, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    wait_for(lambda: connection.threads[0].backoff.tries >= 7)
    now, seconds = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    assert now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime < 0.05 * seconds


def test_it_is_shared_until_the_last_has_closed_it(server) -> None:
    connection = Connection(f"ws://{server.endpoint}/")
    first, second = [], []
    connection.open("first", first.append)
    connection.open("second", second.append)
    (thread,) = connection.threads
    server.link.sock.sendall(frame(b"1"))
    wait_for(lambda: first == second == [b"1"])
    connection.close("first")
    server.say(2)
    wait_for(lambda: second == [b"1", b"2"])
    connection.close("second")
    assert first == [b"1"]
    assert not thread.is_alive()
    assert len(server.links) == 1


def test_closing_is_a_matter_of_a_moment_and_of_manners(server) -> None:
    connection = Connection(f"ws://{server.endpoint}/")
    connection.open("me")
    is_connected(connection)
    link = server.link
    connection.close("me")
    wait_for(lambda: link.closed_as_it_should)


def test_closing_does_not_wait_for_a_peer_that_is_dead(server) -> None:
    connection = Connection(f"ws://{server.endpoint}/")
    connection.open("me")
    is_connected(connection)
    server.reads = False
    (thread,) = connection.threads
    connection.close("me")
    assert not thread.is_alive()
    server.reads = True


def test_it_can_be_opened_again(server, connect) -> None:
    connection = connect(server.endpoint)
    assert server.link
    connection.close("me")
    connection.open("me", connection.said.append)
    wait_for(lambda: len(server.links) == 2)


def test_the_websocket_is_never_proxied(server, connect, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    is_connected(connect(server.endpoint))


def test_a_bug_in_a_user_is_not_taken_for_a_bad_connection(server) -> None:
    connection = Connection(f"ws://{server.endpoint}/")
    connection.open("me", lambda message: 1 / 0)
    server.link.sock.sendall(frame(b"1"))
    (thread,) = connection.threads
    wait_for(lambda: not thread.is_alive())
    assert isinstance(thread.error, ZeroDivisionError)
    with pytest.raises(RuntimeError, match="has died"):
        connection.send("1")
    connection.close("me")


class Tls:
    def __init__(self, certificate) -> None:
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(*certificate)


def test_over_tls(certificate, connect, monkeypatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with FakeServer(tls=Tls(certificate).server) as server:
        connection = connect(f"localhost:{server.port}", "wss")
        is_connected(connection)
        connection.send(f'"{"x" * 10**6}"')
        assert len(server.messages()[0]) == 10**6
        server.say(["y" * 10**6])
        wait_for(lambda: connection.said and len(connection.said[0]) > 10**6)


@pytest.mark.parametrize("bundle", ["", "/no/such.pem"])
def test_a_bad_certificate_is_refused(certificate, connect, monkeypatch, caplog, bundle) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with FakeServer(tls=Tls(certificate).server) as server:
        connection = connect(f"localhost:{server.port}", "wss")
        wait_for(lambda: connection.threads[0].backoff.tries >= 2)
        assert not connection.connected
    assert ("/no/such.pem: No such file" if bundle else "CERTIFICATE_VERIFY_FAILED") in caplog.text
