"""An HTTP client for small answers, with a total deadline that no server can exceed."""

from __future__ import annotations

import http.client
import logging
import re
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from microscaling.clients.http import library
from microscaling.clients.http.body import MAX_OF_TOLD, quotation, unpacked
from microscaling.clients.http.deadline import deadline_pools, limit_call, time_left
from microscaling.clients.http.kept import KeptConnection, Prepared, Response, Whole
from microscaling.clients.http.proxies import by_proxy, is_loopback, proxy_variable
from microscaling.clients.http.retry_after import STATUSES, Pause, pause_s
from microscaling.errors import TemporaryError
from microscaling.secrets.masking import secrets_of_headers, secrets_of_url
from microscaling.utils.text import cause_of, one_line
from microscaling.utils.urls import basic, credentials, cut

if TYPE_CHECKING:  # requests takes 0.1 to 0.2 s to import, so it is left until the first request
    import requests

DEADLINE_S = 5.0
MAX_BYTES = 16 * 2**20
CHUNK = 2**16
MAX_OF_ERROR = 2**16
"""Characters of a reason, which may quote an answer that is not HTTP."""
REDIRECTS = (301, 302, 303, 307, 308)
WAITS = "answers with HTTP {}, and is not asked again for {:.1f} s, as its Retry-After says"
NO_PROXY: Any = {"http": None, "https": None, "all": None}
"""None overrules what requests finds in the environment; an empty mapping would not."""


class FetchError(TemporaryError):
    """There is no usable answer; `status` is its HTTP status, None without an answer.

    `hopeless`: a retry cannot help, because the other side is no HTTP server, or not a trusted one.
    """

    def __init__(self, message: str, status: int | None = None, hopeless: bool = False) -> None:
        super().__init__(message, hopeless=hopeless)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """An answer of any status; `headers` match in upper or lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Question(NamedTuple):  # made and compared many times a second, which a dataclass is slow at
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    quotes: bool = False
    """Whether of an error only the quotation is needed, the beginning of the body of a 4xx."""

    def most_of_error(self, status: int) -> int:
        """Bytes to read of the body at an unsuccessful status."""
        if not self.quotes:
            return MAX_OF_ERROR
        return MAX_OF_TOLD if 400 <= status < 500 else 0


class Client:
    """Asks one server over connections that are kept alive. For one thread at a time.

    Redirects are not followed and cookies not kept. Loopback is never reached through a proxy;
    other hosts follow the environment (HTTP_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE). Credentials come from
    the headers or the URL, never from ~/.netrc. After a 429 or 503 with Retry-After, the same request
    fails with that status until the time is over, without asking the server.
    """

    def __init__(
        self, deadline_s: float = DEADLINE_S, max_bytes: int = MAX_BYTES, secrets: Collection[str] = ()
    ) -> None:
        self.deadline_s = deadline_s
        self.max_bytes = max_bytes
        # The request may come back in the error that refuses it.
        self.secrets = secrets
        self._session: requests.Session | None = None
        self._kept = KeptConnection()
        self._prepared: tuple[_Question, Prepared] | None = None
        """The last question over the kept connection."""
        self._known: tuple[Response, Answer] | None = None
        """The last answer over it, if that may come again."""
        self._pause: Pause | None = None

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> bytes:
        """Returns the body of the answer to a GET; raises FetchError as `good_answer` does."""
        return self.good_answer(url, headers).body

    def good_answer(
        self, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Returns the answer to a GET, or with a body to a POST. Raises FetchError for any other status than
        200, with a quotation of a 4xx, and as `ask` does."""
        answer = self._ask(
            _Question("GET" if body is None else "POST", url, headers or {}, body, quotes=True)
        )
        if answer.status != 200:
            secrets = [*self.secrets, *secrets_of_url(url), *secrets_of_headers(headers or {})]
            # In a pause the error is the same each time, though the server is not asked again.
            told = "" if pause_s(answer.status, answer.headers) else quotation(answer.body, secrets)
            said = f"{_status(answer)}{by_proxy(url)}{told and ': '}{told}"
            raise FetchError(f"{public_url(url)}: {said}", answer.status)
        return answer

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Returns the answer, of any status.

        Raises FetchError for a body longer than `max_bytes`, and `deadline_s` seconds after the call, also
        in the middle of an answer (only the look-up of a name, which Python cannot interrupt, may take
        longer). The body of an error is cut at 64 KiB.
        """
        return self._ask(_Question(method, url, headers or {}, body))

    def same(self, seconds: float) -> bool:
        """Asks the last question again, for the processor time of a few system calls: True if the answer is
        the same, byte for byte. False: it is another, which the next `fetch` of the same question returns, or
        it cannot be compared. Raises OSError, after so many seconds without an answer, too."""
        return self._known is not None and self._kept.again(seconds)

    def close(self) -> None:
        """Closes the connections; the next `fetch` opens a new one."""
        self._kept.close()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _ask(self, question: _Question) -> Answer:
        if self._pause is not None and self._pause.covers(question.method, question.url):
            waits = WAITS.format(self._pause.status, self._pause.asked_s)
            raise FetchError(f"{public_url(question.url)}: {waits}", self._pause.status)
        limit_call(self.deadline_s)
        try:
            answer = self._answer(question)
            time_left()  # raises: if the process was frozen meanwhile, the answer is out of date
            if answer.status in STATUSES and (seconds := pause_s(answer.status, answer.headers)):
                until = time.monotonic() + seconds
                self._pause = Pause(question.method, question.url, until, answer.status, seconds)
            return answer
        except _errors() as error:
            reason = reason_of(error, self.deadline_s) + by_proxy(question.url)
            told = f"{public_url(question.url)}: {reason}"
            failure = FetchError(told, hopeless=_hopeless(error))
        # Raised out here it has no context. That might name secrets, and would keep the socket open as
        # long as the error is kept, in a log record, for example.
        raise failure

    def _answer(self, question: _Question) -> Answer:
        if self._prepared is not None and self._prepared[0] == question:
            return self._by_kept(self._prepared[1], question)
        if self._session is None:
            self._session = _new_session()
        url = question.url
        asked: dict[str, Any] = {
            "method": question.method,
            "url": url,
            # Not compressed: answers this small are not worth it.
            "headers": _encoded({"Accept-Encoding": "identity", **question.headers}),
            "data": question.body,
            "auth": _auth(url),
        }
        if prepared := self._plain(self._session, question, asked):
            return self._by_kept(prepared, question)
        with self._session.request(
            **asked,
            proxies=NO_PROXY if is_loopback(urlsplit(url).hostname or "") else None,
            timeout=self.deadline_s,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return self._read(_ByRequests(answer), question)

    def _plain(
        self, session: requests.Session, question: _Question, asked: dict[str, Any]
    ) -> Prepared | None:
        """Returns the request for the kept connection; None if it needs TLS, or a proxy."""
        import requests

        made = session.prepare_request(requests.Request(**asked))
        if not str(made.url).startswith("http://") or proxy_variable(question.url):
            return None
        self._prepared = question, Prepared.of(made)
        return self._prepared[1]

    def _by_kept(self, prepared: Prepared, question: _Question) -> Answer:
        response = self._kept.ask(prepared)
        if self._known is not None and self._known[0] is response:
            return self._known[1]
        try:
            answer = self._read(response, question)
        finally:
            self._kept.done(response)
        self._known = (response, answer) if isinstance(response, Whole) else None
        return answer

    def _read(self, answer: Response, question: _Question) -> Answer:
        good = answer.status < 400 and answer.status not in REDIRECTS
        body = self._body(answer, question.url) if good else _told(answer, question, self.max_bytes)
        return Answer(answer.status, answer.headers, body)

    def _body(self, answer: Response, url: str) -> bytes:
        body = bytearray()
        too_long = f"{public_url(url)}: the answer is longer than {self.max_bytes} bytes"
        while chunk := answer.read(CHUNK):
            body += chunk
            if len(body) > self.max_bytes:
                raise FetchError(too_long, hopeless=True)
        try:
            # Not asked for, but there are servers and proxies that compress all their answers.
            return unpacked(bytes(body), answer.headers.get("Content-Encoding", ""), self.max_bytes)
        except OverflowError:
            raise FetchError(too_long, hopeless=True) from None
        except ValueError as error:
            raise FetchError(f"{public_url(url)}: the answer {error}", hopeless=True) from None


class _ByRequests(Response):
    """An answer of requests, with its body in parts."""

    def __init__(self, answer: requests.Response) -> None:
        self.status, self.headers = answer.status_code, answer.headers
        self._raw = answer.raw

    def read(self, most: int) -> bytes:
        """Returns the next bytes of the body; none at its end."""
        part: bytes = self._raw.read(most, decode_content=False)
        return part


def _told(answer: Response, question: _Question, most_bytes: int) -> bytes:
    """Returns the beginning of the body of an error; empty if it cannot be read and the status is enough."""
    import urllib3

    most = question.most_of_error(answer.status)
    try:
        told = answer.read(most) if most else b""
        return unpacked(told, answer.headers.get("Content-Encoding", ""), most_bytes)
    except (ValueError, OverflowError):
        return b""
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        if question.quotes:
            return b""
        raise


def _errors() -> tuple[type[Exception], ...]:
    """Returns the errors for which there is no answer."""
    import requests
    import urllib3

    others = requests.RequestException, urllib3.exceptions.HTTPError
    return (*others, http.client.HTTPException, OSError, ValueError)


def _encoded(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Returns the headers in UTF-8. Python itself would encode them in Latin-1, and fail at the rest."""
    return {name: value.encode(errors="surrogateescape") for name, value in headers.items()}


def fetch(
    url: str,
    deadline_s: float = DEADLINE_S,
    max_bytes: int = MAX_BYTES,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Returns the body of the answer to one GET, on a connection of its own; see `Client.fetch`."""
    client = Client(deadline_s, max_bytes)
    try:
        return client.fetch(url, headers)
    finally:
        client.close()


def public_url(url: str) -> str:
    """Returns the URL for a log: without user, password, query and fragment."""
    try:
        urlsplit(url)
    except ValueError:
        return "(not a URL)"
    scheme, authority, rest = cut(url)
    return one_line(scheme + authority.rpartition("@")[2] + re.split("[?#]", rest)[0])


def reason_of(error: BaseException, deadline_s: float) -> str:
    """Returns the reason of a failure in a few words."""
    # Without the text that requests and urllib3 put around it: they quote the URL, which may be secret.
    from urllib3.exceptions import TimeoutError as Urllib3Timeout

    root = _root(error)
    if isinstance(root, (TimeoutError, Urllib3Timeout)):
        return f"no complete answer within {deadline_s:g} s"
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    if isinstance(error, ValueError):  # InvalidURL and its kin
        return "not a URL that can be asked"
    return cause_of(root)


def _new_session() -> requests.Session:
    """Returns a session whose connections keep to the deadline, also through a proxy."""
    library.load()
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import PoolManager

    pools = deadline_pools()
    # It warns of truncated answers with a traceback, and our own error has the reason too.
    logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            """Makes the pools for direct connections."""
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_headers(self, proxy: str) -> dict[str, str]:
            """Returns the credentials for a proxy, in UTF-8, as those for a server."""
            user, password = credentials(proxy)
            return {"Proxy-Authorization": basic(user, password)} if user else {}

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
            """Makes the pools for connections through a proxy."""
            manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
            manager.pool_classes_by_scheme = pools
            return manager

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> str | None:
            """None: else it would read the whole answer, of any length, to prepare for the redirect."""
            return None

    session = Session()
    session.mount("http://", Adapter())
    session.mount("https://", Adapter())
    # A server that sets a new cookie with every answer must not use up our memory.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _root(error: BaseException) -> BaseException:
    """Returns the innermost of the errors that requests and urllib3 have wrapped into one another."""
    while True:
        parts = (getattr(error, "reason", None), *error.args)
        inner = next((e for e in parts if isinstance(e, BaseException)), None)
        if inner is None:
            return error
        error = inner


def _hopeless(error: BaseException) -> bool:
    """Whether the other side is a wrong one, rather than a server that is away."""
    root = _root(error)
    if isinstance(root, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return False  # cut off, which is no sign of a wrong server
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
    """Returns a function for `requests` that adds the user and password of the URL to a request."""
    # Always one: without it requests looks into ~/.netrc, and that overrules an Authorization header.
    user, password = credentials(url)

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if user or password:
            request.headers["Authorization"] = basic(user, password)
        return request

    return sign
