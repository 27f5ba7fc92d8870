"""Asking an HTTP server for something small, within a deadline that it cannot defeat."""

from __future__ import annotations

import errno
import http.client
import io
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from microscaling.errors import TemporaryError
from microscaling.utils.retry_after import Pause, pause_s
from microscaling.utils.text import one_line

if TYPE_CHECKING:  # requests takes 0.1 to 0.2 s to import, so it is left until the first request
    import requests

DEADLINE_S = 5.0
MAX_BYTES = 16 * 2**20
CHUNK = 2**16
MOST_OF_ERROR = 2**16
MOST_OF_REASON = 200
"""Characters: what is not HTTP may be quoted in it."""
REDIRECTS = (301, 302, 303, 307, 308)
WAITS = "answers with HTTP {}, and is not asked again before the time that its Retry-After says"
NO_PROXY: Any = {"http": None, "https": None, "all": None}
"""None overrules what requests finds in the environment; an empty mapping would not."""


class FetchError(TemporaryError):
    """There was no answer worth having; `status` is the HTTP status if there was one at all.

    `hopeless`: not even later. What is asked is no HTTP server, or not one to be trusted.
    """

    def __init__(self, message: str, status: int | None = None, hopeless: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.hopeless = hopeless


@dataclass(frozen=True)
class Answer:
    """What a server has said, whatever its status; `headers` are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Question:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Client:
    """Asks one server over connections that are kept alive. For one thread at a time.

    Redirects are not followed and cookies not kept. Loopback is never reached through a proxy;
    other hosts follow the environment (HTTP_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE). Credentials are
    those of the headers or the URL, never what ~/.netrc holds. What is answered with 429 or 503 and
    Retry-After is not asked again before that time: until then it fails with the same status.
    """

    def __init__(self, deadline_s: float = DEADLINE_S, max_bytes: int = MAX_BYTES) -> None:
        self.deadline_s = deadline_s
        self.max_bytes = max_bytes
        self._session: requests.Session | None = None
        self._pause: Pause | None = None

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of the answer to a GET. Raises FetchError for any status but 200, and as `ask`."""
        answer = self._ask(_Question("GET", url, headers or {}), most_of_error=0)
        if answer.status != 200:
            raise FetchError(f"{public_url(url)}: {_status(answer)}", answer.status)
        return answer.body

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The answer, whatever its status. Raises FetchError for a body longer than `max_bytes`, and
        once `deadline_s` seconds have passed, however far it has come (only the look-up of a name,
        which Python cannot break off, may take longer). What tells of an error is cut at 64 KiB."""
        return self._ask(_Question(method, url, headers or {}, body), MOST_OF_ERROR)

    def close(self) -> None:
        """Closes the connections; the next `fetch` opens a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _ask(self, question: _Question, most_of_error: int) -> Answer:
        import requests
        import urllib3

        if self._pause is not None and self._pause.covers(question.method, question.url):
            raise FetchError(
                f"{public_url(question.url)}: {WAITS.format(self._pause.status)}", self._pause.status
            )
        limit_call(self.deadline_s)
        errors = (
            requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException,
            OSError, ValueError,
        )  # fmt: skip
        try:
            answer = self._answer(question, most_of_error)
            _left()  # a process that was frozen meanwhile finds an answer that is long out of date
            if seconds := pause_s(answer.status, answer.headers):
                until = time.monotonic() + seconds
                self._pause = Pause(question.method, question.url, until, answer.status)
            return answer
        except errors as error:
            told = f"{public_url(question.url)}: {reason_of(error, self.deadline_s)}"
            failure = FetchError(told, hopeless=_hopeless(error))
        # Raised out here it has no context, which may name secrets, and would keep the socket open for as
        # long as somebody (a log record, say) keeps the error.
        raise failure

    def _answer(self, question: _Question, most_of_error: int) -> Answer:
        if self._session is None:
            self._session = _new_session()
        url = question.url
        with self._session.request(
            question.method,
            url,
            # Not compressed: a small body that unpacks to a huge one would get round the cap.
            headers={"Accept-Encoding": "identity", **question.headers},
            data=question.body,
            auth=_auth(url),
            proxies=NO_PROXY if is_loopback(urlsplit(url).hostname or "") else None,
            timeout=self.deadline_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            if not answer.ok or answer.status_code in REDIRECTS:
                told = answer.raw.read(most_of_error, decode_content=False) if most_of_error else b""
                return Answer(answer.status_code, answer.headers, told)
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                told = f"{public_url(url)}: the answer is compressed, which was not asked for"
                raise FetchError(told, hopeless=True)
            return Answer(answer.status_code, answer.headers, self._body(answer, url))

    def _body(self, answer: requests.Response, url: str) -> bytes:
        body = bytearray()
        while chunk := answer.raw.read(CHUNK, decode_content=False):
            body += chunk
            if len(body) > self.max_bytes:
                told = f"{public_url(url)}: the answer is longer than {self.max_bytes} bytes"
                raise FetchError(told, hopeless=True)
        return bytes(body)


def fetch(
    url: str,
    deadline_s: float = DEADLINE_S,
    max_bytes: int = MAX_BYTES,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The body of the answer to one GET, on a connection of its own; see `Client.fetch`."""
    client = Client(deadline_s, max_bytes)
    try:
        return client.fetch(url, headers)
    finally:
        client.close()


def public_url(url: str) -> str:
    """The URL without user, password, query and fragment: fit for a log."""
    try:
        parts = urlsplit(url)
        return one_line(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))
    except ValueError:
        return "(not a URL)"


def is_loopback(host: str) -> bool:
    """Whether the name or address is this very machine."""
    host = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def reason_of(error: BaseException, deadline_s: float) -> str:
    """What went wrong, without what requests and urllib3 put around it (they quote the URL)."""
    from urllib3.exceptions import TimeoutError as Urllib3Timeout

    root = _root(error)
    if isinstance(root, (TimeoutError, Urllib3Timeout)):
        return f"no complete answer within {deadline_s:g} s"
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    if isinstance(error, ValueError):  # InvalidURL and its kin
        return "not a URL that can be asked"
    return one_line(str(root)[:MOST_OF_REASON].strip()) or type(root).__name__


# The time-outs of requests and urllib3 are per read, so a server that sends a byte now and then
# keeps a request alive for ever. Here the connection and every single read get what is left until
# the deadline of the call. A call stays in its thread, so that is where its deadline is kept.

_call = threading.local()


def limit_call(seconds: float) -> None:
    """What this thread asks from now on, over connections of `deadline_pools`, is over by then."""
    _call.deadline = time.monotonic() + seconds


def _left() -> float:
    """Seconds until this thread's call has to be over. Raises TimeoutError when it is."""
    left: float = _call.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket, each read limited to what is left of the call."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self.sock = sock
        self.raw = raw
        self.count = 0
        self.in_head = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self.sock.settimeout(_left())
        count = self.raw.readinto(buffer)
        self.count += count or 0
        if count == 0 and self.count and self.in_head:
            # Python takes that for the end of the head, and half a header for a whole one.
            raise ConnectionError("the answer ends within its head")
        return count

    def close(self) -> None:
        if not self.closed:
            self.raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose head and body come through a `_DeadlineReader`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: Any = self.fp.detach()
        self._reader = _DeadlineReader(sock, raw)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        self._reader.in_head = True
        super().begin()
        self._reader.in_head = False


class _Connecting:
    """What both kinds of connection do otherwise than urllib3's own."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Tries every address of the host, all within the deadline: urllib3 gives each its own.

        A TLS handshake comes next, and takes the time-out that is set here as a total.
        """
        host, port = self._dns_host, self.port  # type: ignore[attr-defined]
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for number, (family, kind, proto, _, address) in enumerate(found, 1):
            sock = socket.socket(family, kind, proto)
            try:
                sock.settimeout(_left() / (len(found) - number + 1))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(_left())
                return sock
            except OSError as error:
                sock.close()
                if isinstance(error, (ConnectionResetError, BrokenPipeError)):
                    # urllib3 takes these for an answer that came early, and goes on without a connection.
                    error = ConnectionAbortedError(errno.ECONNABORTED, error.strerror)
                if number == len(found):
                    raise error
        raise OSError("the host has no address")


def deadline_pools() -> dict[str, Any]:
    """By scheme, what a PoolManager of urllib3 is to make its pools of, so that their connections keep
    to the deadline of `limit_call`."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnectionPool):
        ConnectionCls = type("Plain", (_Connecting, HTTPConnection), {})

    class Secure(HTTPSConnectionPool):
        ConnectionCls = type("Secure", (_Connecting, HTTPSConnection), {})

    return {"http": Plain, "https": Secure}


def _new_session() -> requests.Session:
    """A session whose connections keep to the deadline, also through a proxy."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import PoolManager

    pools = deadline_pools()
    # It warns of answers that are cut short with a traceback, and what is wrong is in our error too.
    logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
            manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
            manager.pool_classes_by_scheme = pools
            return manager

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> str | None:
            """None: else it reads all of the answer that redirects, however long, to prepare for going on."""
            return None

    session = Session()
    session.mount("http://", Adapter())
    session.mount("https://", Adapter())
    # A server that sets a new cookie with every answer must not make us grow.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _root(error: BaseException) -> BaseException:
    """The innermost error of those that requests and urllib3 have put into one another."""
    while True:
        parts = (getattr(error, "reason", None), *error.args)
        inner = next((e for e in parts if isinstance(e, BaseException)), None)
        if inner is None:
            return error
        error = inner


def _hopeless(error: BaseException) -> bool:
    """Whether the other side has shown that it is not what is asked for, rather than being away."""
    root = _root(error)
    if isinstance(root, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return False
    if isinstance(root, ssl.SSLError):
        return True
    garbage = isinstance(root, http.client.HTTPException) and not isinstance(root, http.client.IncompleteRead)
    return not isinstance(root, OSError) and (garbage or isinstance(error, ValueError))


def _status(answer: Answer) -> str:
    if answer.status in REDIRECTS and "Location" in answer.headers:
        return f"answers with a redirect (HTTP {answer.status}), which is not followed"
    if pause_s(answer.status, answer.headers):
        return WAITS.format(answer.status)
    return f"answers with HTTP {answer.status}"


def _auth(url: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """What puts the URL's own user and password into a request. Without it requests looks into
    ~/.netrc, and lets that overrule an Authorization header."""
    from requests.auth import HTTPBasicAuth
    from requests.utils import get_auth_from_url

    user, password = get_auth_from_url(url)
    return HTTPBasicAuth(user, password) if user or password else lambda request: request
