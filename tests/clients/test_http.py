"""One request within a deadline, against real servers that do their worst."""

from __future__ import annotations

import contextlib
import gzip
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from base64 import b64encode

import pytest

from microscaling.clients.http.client import Client, FetchError, fetch, is_loopback, public_url
from tests.metric.faulty import Server, answers, breaks_off, drips, faults
from tests.services.service import free_port

GOOD = b'{"good": "answer"}'
FAULTS = faults(GOOD)
# Looks like an empty body of an HTTP/1.0 server; whoever expects something in it will notice.
del FAULTS["ends after half its head"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_error_within_the_deadline(fault):
    with Server(FAULTS[fault]) as server, pytest.raises(FetchError) as caught:
        fetch(server.url("/stats"), deadline_s=0.4, max_bytes=100_000)
    assert server.url("/stats") in str(caught.value)
    assert len(server) <= 1, "asked once, if the machine was not too busy even for that"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("hangs", "no complete answer within 0.4 s"),
        ("drips its head", "no complete answer within 0.4 s"),
        ("drips its body", "no complete answer within 0.4 s"),
        ("status 500", "answers with HTTP 500"),
        ("redirect", "answers with a redirect (HTTP 302), which is not followed"),
        ("reset half way", "Connection reset by peer"),
        ("says nothing", "Remote end closed connection without response"),
        ("endless body", "the answer is longer than 100000 bytes"),
        ("compressed", "the answer claims to be packed (gzip), but does not unpack"),
    ],
)
def test_the_error_says_what_happened(fault, says):
    # Of the others even a busy machine has the answer by its deadline.
    deadline_s = 0.4 if "within" in says else 30.0
    with Server(FAULTS[fault]) as server, pytest.raises(FetchError) as caught:
        fetch(server.url(), deadline_s=deadline_s, max_bytes=100_000)
    assert str(caught.value) == f"{server.url()}: {says}"


def test_a_redirect_is_not_read_to_its_end():
    head = b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 1000000\r\n\r\n"
    with Server(drips(head, b"x", b"")) as server, pytest.raises(FetchError, match="redirect"):
        fetch(server.url())


def test_ask_gives_any_answer_whatever_its_status():
    with Server(answers(b"because", "409 Conflict", "X-Why: yes")) as server:
        client = Client()
        answer = client.ask("PUT", server.url(), {"X-Mine": "yes"}, b"body")
        client.close()
    assert (answer.status, answer.headers["x-why"], answer.body) == (409, "yes", b"because")
    assert server.heads[0].startswith(b"PUT / ")


def test_nothing_is_taken_from_netrc(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Server(answers(GOOD)) as server:
        fetch(server.url(), headers={"Authorization": "Bearer mine"})
        fetch(server.url())
    assert b"Authorization: Bearer mine" in server.heads[0]
    assert b"Authorization" not in server.heads[1]


def test_status_is_there_to_be_looked_at():
    with Server(answers(b"", "409 Conflict")) as server, pytest.raises(FetchError) as caught:
        fetch(server.url())
    assert caught.value.status == 409


def test_a_body_of_exactly_the_cap_is_taken():
    with Server(answers(b"x" * 1000)) as server:
        assert fetch(server.url(), max_bytes=1000) == b"x" * 1000
        with pytest.raises(FetchError, match="longer than 999 bytes"):
            fetch(server.url(), max_bytes=999)


def test_nobody_there():
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(FetchError, match="Connection refused"):
        fetch(url)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:4151", "ftp://127.0.0.1/", "http://", "http://[::1", "http://127.0.0.1:99999/",
     "http://127.0.0.1:x/", f"http://{'a' * 70}.localhost/", "http://no\nhost/", "http://*/"],
)  # fmt: skip
def test_a_bad_url_is_a_fetch_error(url):
    with pytest.raises(FetchError):
        fetch(url, deadline_s=5)


def test_connections_are_kept_alive():
    with Server(answers(GOOD)) as server:
        client = Client()
        assert [client.fetch(server.url()) for _ in range(5)] == [GOOD] * 5
        client.close()
    assert (len(server), server.connections) == (5, 1)


def test_a_client_comes_back_after_any_fault():
    client = Client(max_bytes=100_000)
    with Server(answers(GOOD)) as server:
        for fault in ("drips its body", "drips its head", "reset half way", "endless body", "not HTTP"):
            server.behave, client.deadline_s = FAULTS[fault], 0.3
            with pytest.raises(FetchError):
                client.fetch(server.url())
            server.behave, client.deadline_s = answers(GOOD), 30.0  # which a busy machine may take
            assert client.fetch(server.url()) == GOOD
        client.close()


def test_what_a_frozen_process_finds_when_it_goes_on_is_out_of_date():
    asked, answer = threading.Event(), threading.Event()

    def behave(server, sock):
        asked.set()
        answer.wait(60)
        return answers(GOOD)(server, sock)

    code = "import sys; from microscaling.clients.http.client import fetch; fetch(sys.argv[1], deadline_s=1)"
    with Server(behave) as server:
        frozen = subprocess.Popen([sys.executable, "-c", code, server.url()], stderr=subprocess.PIPE)
        assert asked.wait(60)
        frozen.send_signal(signal.SIGSTOP)
        answer.set()
        time.sleep(1.1)
        frozen.send_signal(signal.SIGCONT)
        assert b"no complete answer within 1 s" in frozen.communicate(timeout=60)[1]


def test_a_client_comes_back_after_the_server_restarted():
    with Server(answers(GOOD)) as server:
        client = Client()
        client.fetch(server.url())
        server.behave = breaks_off(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        client.fetch(server.url())
        server.behave = answers(GOOD)
        assert client.fetch(server.url()) == GOOD
        client.close()


def test_credentials_are_sent_but_never_named():
    with Server(answers(GOOD)) as server:
        fetch(server.url("/?token=s3cret", user="me:s3cret@"))
        assert b"Authorization: Basic" in server.heads[0]
        server.behave = breaks_off(b"")
        with pytest.raises(FetchError) as caught:
            fetch(server.url("/?token=s3cret", user="me:s3cret@"))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_headers_are_sent_and_cookies_are_not_kept():
    with Server(answers(GOOD, "200 OK", "Set-Cookie: a=b")) as server:
        client = Client()
        client.fetch(server.url(), {"X-Mine": "yes"})
        client.fetch(server.url())
        client.close()
    assert b"X-Mine: yes" in server.heads[0]
    assert b"Cookie" not in server.heads[1]


@pytest.fixture
def proxy(monkeypatch):
    """A server that the environment names as the proxy for everything."""
    with Server(answers(b"from the proxy")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, server.url())
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield server


def test_loopback_is_never_proxied(proxy):
    with Server(answers(GOOD)) as server:
        assert fetch(server.url()) == GOOD
        assert fetch(server.url().replace("127.0.0.1", "localhost")) == GOOD
    assert len(proxy) == 0


def test_other_hosts_follow_the_environment(proxy, monkeypatch):
    assert fetch("http://stats.example/x") == b"from the proxy"
    assert proxy.heads[0].startswith(b"GET http://stats.example/x ")
    monkeypatch.setenv("no_proxy", "stats.example")
    with pytest.raises(FetchError):
        fetch("http://stats.example/x", deadline_s=10)
    assert len(proxy) == 1


def test_a_proxy_that_drips_does_not_defeat_the_deadline(proxy):
    proxy.behave = drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", b"Content-Length: 0\r\n\r\n")
    with pytest.raises(FetchError, match=r"no complete answer within 0\.4 s"):
        fetch("http://stats.example/x", deadline_s=0.4)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_proxy_that_an_error_came_through_is_named(name, monkeypatch):
    for other in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(other, raising=False)
    with Server(answers(b"blocked", "403 Forbidden")) as proxy:
        monkeypatch.setenv(name, proxy.url(user="me:hunter22@"))
        with pytest.raises(FetchError) as refused:
            fetch("http://stats.example/x")
        proxy.behave = breaks_off(b"")
        with pytest.raises(FetchError) as broken:
            fetch("http://stats.example/x")
        with pytest.raises(FetchError) as near:
            fetch("http://127.0.0.1:1/")
    said = f"http://stats.example/x: answers with HTTP 403, through the proxy of {name}: blocked"
    assert str(refused.value) == said
    assert str(broken.value).endswith(f"without response, through the proxy of {name}")
    assert str(near.value) == "http://127.0.0.1:1/: Connection refused"


def test_credentials_beyond_ascii_are_sent_in_utf_8(proxy, monkeypatch):
    """RFC 7617, also to a proxy."""
    with Server(answers(GOOD)) as server:
        fetch(server.url(user="mé:p€%C3%A9ñ@"), headers={"X-Mine": "é"})
    assert header(server, b"Authorization") == b"Basic " + b64encode("mé:p€éñ".encode())
    assert header(server, b"X-Mine") == "é".encode()
    monkeypatch.setenv("http_proxy", proxy.url(user="mé:p€@"))
    fetch("http://stats.example/x")
    assert header(proxy, b"Proxy-Authorization") == b"Basic " + b64encode("mé:p€".encode())


def header(server, name):
    lines = server.heads[-1].split(b"\r\n")
    return next(line.partition(b": ")[2] for line in lines if line.startswith(name + b": "))


def packed(body):
    return gzip.compress(body, mtime=0)  # xdist wants the same names of tests each time


PACKED = {
    "gzip": packed(GOOD),
    "X-GZIP": packed(GOOD[:3]) + packed(GOOD[3:]),
    "deflate": zlib.compress(GOOD),
    "Deflate": zlib.compress(GOOD)[2:-4],  # without the header and the sum
    "gzip, identity": packed(GOOD),
    "deflate,gzip": packed(zlib.compress(GOOD)),
    "br": GOOD,
    "utf-8": GOOD,
    "identity": GOOD,
    "none": GOOD,
    "": GOOD,
}


@pytest.mark.parametrize("encoding", PACKED)
def test_a_body_that_is_packed_or_said_to_be(encoding):
    with Server(answers(PACKED[encoding], "200 OK", f"Content-Encoding: {encoding}")) as server:
        assert fetch(server.url()) == GOOD


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (packed(b" " * 10_000_000), "the answer is longer than 100000 bytes"),
        (packed(b"") * 200 + packed(b" " * 100_001), "the answer is longer than 100000 bytes"),
        (packed(GOOD)[:-1], "the answer claims to be packed (gzip), but does not unpack"),
        (GOOD, "the answer claims to be packed (gzip), but does not unpack"),
    ],
)
def test_a_packed_body_that_is_too_much_or_broken(body, says):
    behave = answers(body, "200 OK", "Content-Encoding: gzip")
    with Server(behave) as server, pytest.raises(FetchError) as caught:
        fetch(server.url(), max_bytes=100_000)
    assert str(caught.value) == f"{server.url()}: {says}"


def test_a_packing_that_python_does_not_know_is_named():
    brotli = b'\x8b\x03\x80{"n":5}\x03'
    behave = answers(brotli, "200 OK", "Content-Encoding: br")
    with Server(behave) as server, pytest.raises(FetchError) as caught:
        fetch(server.url())
    assert str(caught.value) == f"{server.url()}: the answer is packed (br), which was not asked for"


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (b'{"status":"error",\n "error": "parse error"}', "", ': {"status":"error", "error": "parse error"}'),
        (b"no \x1b[31m such \xff", "", ": no \\x1b[31m such \N{REPLACEMENT CHARACTER}"),
        (b"<html><style>p {}</style><h1>400</h1> Bad <b>request</b></html>", "", ": 400 Bad request"),
        (b"token hunter22 and bWU6aHVudGVyMjI= and k3y-of-mine", "", ": token *** and *** and ***"),
        (packed(b"packed"), "gzip", ": packed"),
        (b"packed", "gzip", ""),
        (b"x" * 100_000, "", ": " + "x" * 200),
        (b"token" + b" " * 4085 + b"hunter22", "", ": token"),  # only half of it is read
        (b"", "", ""),
    ],
)
def test_what_a_4xx_says_is_in_the_error(body, encoding, said):
    refused = answers(body, "400 Bad Request", f"Content-Encoding: {encoding}")
    with Server(refused) as server, pytest.raises(FetchError) as caught:
        fetch(server.url("/x?y=z", user="me:hunter22@"), headers={"X-Api-Key": "k3y-of-mine"})
    assert str(caught.value) == f"{server.url('/x')}: answers with HTTP 400{said}"


def test_what_a_4xx_does_not_say_after_all():
    head = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
    with (
        Server(breaks_off(head + b"zz\r\n")) as server,
        pytest.raises(FetchError, match=r"HTTP 404$") as caught,
    ):
        fetch(server.url())
    assert caught.value.status == 404


HERE = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "LocalHost", "localhost.", "my.localhost"]


@pytest.mark.parametrize("host", HERE)
def test_this_machine_is_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "10.0.0.1", "localhost.example", "::2", "0.0.0.0", "notlocalhost"])
def test_everything_else_is_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://u:p@host:1/path?q=1#f", "http://host:1/path"),
        ("http://a@b@host/", "http://host/"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://[bad", "(not a URL)"),
    ],
)
def test_public_url(url, public):
    assert public_url(url) == public


@pytest.fixture
def tls(certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    return context


def test_https(tls):
    with Server(answers(GOOD), tls) as server:
        assert fetch(server.url(scheme="https")) == GOOD


@pytest.mark.parametrize("fault", ["hangs", "drips its head", "drips its body", "reset half way"])
def test_https_that_fails(fault, tls):
    with Server(FAULTS[fault], tls) as server, pytest.raises(FetchError):
        fetch(server.url(scheme="https"), deadline_s=0.6)
    assert len(server) <= 1, "asked once, if the machine was not too busy even for that"


def test_https_with_a_certificate_that_nobody_knows(tls, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with Server(answers(GOOD), tls) as server, pytest.raises(FetchError, match="certificate verify failed"):
        fetch(server.url(scheme="https"))


def test_a_handshake_that_hangs():
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(FetchError, match=r"within 0\.4 s"):
        fetch(f"https://127.0.0.1:{deaf.getsockname()[1]}/", deadline_s=0.4)


def test_an_address_that_does_not_answer():
    """A server whose backlog is full drops what comes, as a firewall does."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        with pytest.raises(FetchError, match=r"within 0\.4 s"):
            fetch(f"http://127.0.0.1:{full.getsockname()[1]}/", deadline_s=0.4)


def test_every_address_of_a_host_is_tried_within_the_deadline(monkeypatch):
    with Server(answers(GOOD)) as server:
        here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(server.endpoint[10:])))
        nobody = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [nobody, here])
        assert fetch(server.url()) == GOOD
