"""Asking an HTTP server for something small, within a deadline that it cannot defeat."""

from __future__ import annotations

import http.client
import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from microscaling.clients.http.body import MAX_OF_TOLD, quotation, unpacked
from microscaling.clients.http.deadline import deadline_pools, limit_call, time_left
from microscaling.clients.http.proxies import by_proxy, is_loopback
from microscaling.clients.http.retry_after import Pause, pause_s
from microscaling.errors import TemporaryError
from microscaling.secrets.masking import secrets_of_headers, secrets_of_url
from microscaling.utils.text import one_line
from microscaling.utils.urls import basic, credentials, cut

if TYPE_CHECKING:  # requests takes 0.1 to 0.2 s to import, so it is left until the first request
    import requests

DEADLINE_S = 5.0
MAX_BYTES = 16 * 2**20
CHUNK = 2**16
MAX_OF_ERROR = 2**16
MAX_OF_REASON = 200
"""Characters: what is not HTTP may be quoted in it."""
REDIRECTS = (301, 302, 303, 307, 308)
WAITS = "answers with HTTP {}, and is not asked again for {:.1f} s, as its Retry-After says"
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
    quotes: bool = False
    """Of an error only what an error of ours quotes is wanted: the beginning of a 4xx."""

    def most_of_error(self, status: int) -> int:
        """Bytes of the body that are read at a status that is none of success."""
        if not self.quotes:
            return MAX_OF_ERROR
        return MAX_OF_TOLD if 400 <= status < 500 else 0


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
        """The body of the answer to a GET. Raises FetchError for any status but 200, with what a server
        says to a 4xx, and as `ask`."""
        answer = self._ask(_Question("GET", url, headers or {}, quotes=True))
        if answer.status != 200:
            secrets = [*secrets_of_url(url), *secrets_of_headers(headers or {})]
            # In a pause the error is the same each time, though the server is not asked again.
            told = "" if pause_s(answer.status, answer.headers) else quotation(answer.body, secrets)
            said = f"{_status(answer)}{by_proxy(url)}{told and ': '}{told}"
            raise FetchError(f"{public_url(url)}: {said}", answer.status)
        return answer.body

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The answer, whatever its status. Raises FetchError for a body longer than `max_bytes`, and
        once `deadline_s` seconds have passed, however far it has come (only the look-up of a name,
        which Python cannot break off, may take longer). What tells of an error is cut at 64 KiB."""
        return self._ask(_Question(method, url, headers or {}, body))

    def close(self) -> None:
        """Closes the connections; the next `fetch` opens a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _ask(self, question: _Question) -> Answer:
        import requests
        import urllib3

        if self._pause is not None and self._pause.covers(question.method, question.url):
            waits = WAITS.format(self._pause.status, self._pause.asked_s)
            raise FetchError(f"{public_url(question.url)}: {waits}", self._pause.status)
        limit_call(self.deadline_s)
        errors = (
            requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException,
            OSError, ValueError,
        )  # fmt: skip
        try:
            answer = self._answer(question)
            time_left()  # a process that was frozen meanwhile finds an answer that is long out of date
            if seconds := pause_s(answer.status, answer.headers):
                until = time.monotonic() + seconds
                self._pause = Pause(question.method, question.url, until, answer.status, seconds)
            return answer
        except errors as error:
            reason = reason_of(error, self.deadline_s) + by_proxy(question.url)
            told = f"{public_url(question.url)}: {reason}"
            failure = FetchError(told, hopeless=_hopeless(error))
        # Raised out here it has no context, which may name secrets, and would keep the socket open for as
        # long as somebody (a log record, say) keeps the error.
        raise failure

    def _answer(self, question: _Question) -> Answer:
        if self._session is None:
            self._session = _new_session()
        url = question.url
        with self._session.request(
            question.method,
            url,
            # Not compressed: what is this small is not worth it.
            headers=_encoded({"Accept-Encoding": "identity", **question.headers}),
            data=question.body,
            auth=_auth(url),
            proxies=NO_PROXY if is_loopback(urlsplit(url).hostname or "") else None,
            timeout=self.deadline_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            good = answer.ok and answer.status_code not in REDIRECTS
            body = self._body(answer, url) if good else _told(answer, question, self.max_bytes)
            return Answer(answer.status_code, answer.headers, body)

    def _body(self, answer: requests.Response, url: str) -> bytes:
        body = bytearray()
        too_long = f"{public_url(url)}: the answer is longer than {self.max_bytes} bytes"
        while chunk := answer.raw.read(CHUNK, decode_content=False):
            body += chunk
            if len(body) > self.max_bytes:
                raise FetchError(too_long, hopeless=True)
        try:
            # Not asked for, but there are servers and proxies that pack whatever they send.
            return unpacked(bytes(body), answer.headers.get("Content-Encoding", ""), self.max_bytes)
        except OverflowError:
            raise FetchError(too_long, hopeless=True) from None
        except ValueError as error:
            raise FetchError(f"{public_url(url)}: the answer {error}", hopeless=True) from None


def _told(answer: requests.Response, question: _Question, most_bytes: int) -> bytes:
    """What the server says to an error; nothing if that cannot be had and the status says enough."""
    import urllib3

    most = question.most_of_error(answer.status_code)
    try:
        told: bytes = answer.raw.read(most, decode_content=False) if most else b""
        return unpacked(told, answer.headers.get("Content-Encoding", ""), most_bytes)
    except (ValueError, OverflowError):
        return b""
    except (urllib3.exceptions.HTTPError, OSError):
        if question.quotes:
            return b""
        raise


def _encoded(headers: Mapping[str, str]) -> dict[str, bytes]:
    """As they are sent. Python itself would send Latin-1, and fail at the rest."""
    return {name: value.encode(errors="surrogateescape") for name, value in headers.items()}


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
        urlsplit(url)
    except ValueError:
        return "(not a URL)"
    scheme, authority, rest = cut(url)
    return one_line(scheme + authority.rpartition("@")[2] + re.split("[?#]", rest)[0])


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
    return one_line(str(root)[:MAX_OF_REASON].strip()) or type(root).__name__


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

        def proxy_headers(self, proxy: str) -> dict[str, str]:
            user, password = credentials(proxy)
            return {"Proxy-Authorization": basic(user, password)} if user else {}

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
    if seconds := pause_s(answer.status, answer.headers):
        return WAITS.format(answer.status, seconds)
    return f"answers with HTTP {answer.status}"


def _auth(url: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """What puts the URL's own user and password into a request. Without it requests looks into
    ~/.netrc, and lets that overrule an Authorization header."""
    user, password = credentials(url)

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if user or password:
            request.headers["Authorization"] = basic(user, password)
        return request

    return sign
