"""The configuration that a server keeps."""

from __future__ import annotations

import json
import ssl
import threading

import pytest

from microscaling.clients.http.client import Answer
from microscaling.config.server import Busy, ServerConfig
from microscaling.errors import ConfigError, ServerError
from microscaling.settings import Settings
from tests.fakes.server import APPS, FakeServer, wait_for
from tests.metric.faulty import Server


@pytest.fixture
def server():
    with FakeServer() as server:
        yield server


def config(server, **settings):
    return ServerConfig(Settings(api_address=server.endpoint, **settings))


def test_asks_as_the_go_agent_did(server):
    tasks, cap = config(server).get_apps("hello")
    assert ([task.name for task in tasks], cap) == (["p1"], 10)
    (head,) = server.heads
    assert head.startswith("GET /apps/hello HTTP/1.1\r\n")
    assert "\r\nContent-Type: application/json\r\n" in head
    assert "Authorization" not in head


def test_the_token_goes_along_and_netrc_does_not_overrule_it(server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    config(server, api_token="t0ken").get_apps("hello")
    assert "\r\nAuthorization: Bearer t0ken\r\n" in server.heads[0]


def test_loopback_is_not_proxied(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert config(server).get_apps("hello")[1] == 10


ANSWERS = [
    ("404 Not Found", b"", "answers with HTTP 404"),
    ("404 Not Found", b"no such\n user", 'answers with HTTP 404: "no such user"'),
    ("401 Unauthorized", b"", "answers with HTTP 401"),
    ("204 No Content", b"", "answers with HTTP 204"),
    ("302 Found\r\nLocation: https://elsewhere/", b"", 'HTTP 302, which redirects to "https://elsewhere/"'),
    ("200 OK", b"<h1>Hi</h1>", 'not JSON: line 1, column 1: Expecting value; it answers "<h1>Hi</h1>"'),
    ("200 OK", b"", 'not JSON: it is empty; it answers ""'),
    ("200 OK", b"\xff\x1b", "not JSON: byte 1 is not UTF-8"),
    ("200 OK", b"[]", "expected an object with maxContainers and apps, got a list"),
    ("200 OK", b'{"apps": [{}]}', "apps[0].name: is missing: every task needs a name of its own"),
]


@pytest.mark.parametrize(("status", "body", "said"), ANSWERS)
def test_a_useless_answer_is_an_error_that_says_where_and_what(server, status, body, said):
    server.answer = lambda user: (status, body)
    with pytest.raises(ServerError) as caught:
        config(server, api_token="hunter2").get_apps("hello")
    (problem,) = caught.value.problems
    assert problem.startswith(f"http://{server.endpoint}/apps/hello: ")
    assert said in problem
    assert problem.isprintable()
    assert "hunter2" not in problem


def test_every_problem_of_a_configuration_is_told_at_once(server):
    server.answer = lambda user: ("200 OK", b'{"maxContainers": -1, "apps": [{"name": 7}]}')
    with pytest.raises(ConfigError) as caught:
        config(server).get_apps("hello")
    assert len(caught.value.problems) >= 2
    assert all(server.endpoint in problem for problem in caught.value.problems)


class Getting(threading.Thread):
    """get_apps in a thread."""

    def __init__(self, made):
        super().__init__()
        self.config = made
        self.got = self.error = None
        self.start()

    def run(self):
        try:
            self.got = self.config.get_apps("hello")
        except Exception as error:
            self.error = error


def test_a_server_that_is_away_is_waited_for_and_said_once(caplog):
    server = FakeServer()
    getting = Getting(config(server))
    wait_for(lambda: caplog.messages)
    server.answer = lambda user: ("503 Service Unavailable", b"starting")
    with server:
        wait_for(lambda: len(server.heads) >= 2)
        server.answer = lambda user: ("200 OK", json.dumps(APPS).encode())
        getting.join(30)
    assert getting.got[1] == 10
    url = f"http://{server.endpoint}/apps/hello"
    assert caplog.messages == [
        f"waiting: {url}: Connection refused",
        f'waiting: {url}: answers with HTTP 503: "starting"',
    ]


def test_something_else_on_that_port_is_not_waited_for():
    with (
        Server(lambda server, sock: sock.sendall(b"220 smtp ready\r\n")) as other,
        pytest.raises(ServerError),
    ):
        config(other).get_apps("hello")


def test_a_certificate_that_nobody_knows_is_not_waited_for(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with FakeServer(tls=context) as server, pytest.raises(ServerError, match="CERTIFICATE_VERIFY_FAILED"):
        ServerConfig(Settings(api_address=f"https://{server.endpoint}")).get_apps("hello")


def test_over_tls(certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with FakeServer(tls=context) as server:
        made = ServerConfig(Settings(api_address=f"https://localhost:{server.port}"))
        assert made.get_apps("hello")[1] == 10


@pytest.mark.parametrize(
    "status", ["429 Too Many Requests\r\nRetry-After: 1", "408 Request Timeout", "425 Too Early"]
)
def test_a_server_that_is_busy_is_asked_again(server, caplog, status):
    server.answer = lambda user: (status, b"")
    getting = Getting(config(server))
    wait_for(lambda: server.heads)
    server.answer = lambda user: ("200 OK", json.dumps(APPS).encode())
    getting.join(30)
    assert getting.got[1] == 10
    assert status[:3] in caplog.messages[0]


def test_a_server_that_is_busy_is_left_alone_for_as_long_as_it_asks():
    date = "Wed, 15 Nov 2023 12:00:00 GMT"
    for asked, expected in (("7", 7.0), ("86400", 3600.0), ("Wed, 15 Nov 2023 12:01:30 GMT", 90.0)):
        busy = Busy("busy", Answer(429, {"Retry-After": asked, "Date": date}, b""))
        assert busy.delay_s == expected
        # Else nothing in the log would say why the agent does not start.
        assert str(busy) == f"busy; it asks for a pause of {expected:.0f} s"
    for asked in ("soon", "", "-5", date):
        busy = Busy("busy", Answer(503, {"Retry-After": asked, "Date": date}, b""))
        assert busy.delay_s == 0.0
        assert str(busy) == "busy"
