"""Access control: tokens of programs, cookies of people, and allowed origins of requests."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from microscaling.server.limits import MAX_REMEMBERED, Bucket, Clock, Refusals

COOKIE = "microscaling_session"
SESSION_S = 30 * 86400
TRIES_RATE, TRIES_BURST = 1.0, 10.0
"""Wrong tokens from one address: a second in the long run, and at once. Sessions have no such limit."""
SHORT_TOKEN = 16
"""Characters of the shortest token that cannot be guessed."""
MAX_KNOWN = 100
"""Wrong tokens of one address that are remembered."""
SAFE = ("GET", "HEAD", "OPTIONS")
AGENTS_ORIGIN = "http://localhost/"
"""The Go agent's origin, which is none of a browser's: those have no slash at the end."""
OPEN = ("/healthz", "/readyz", "/login")
HERE = ("", "same-origin", "none")


class Tries:
    """Wrong tokens from one address."""

    def __init__(self, now: float) -> None:
        self.guesses = Bucket(TRIES_RATE, TRIES_BURST, now)
        self._all = Bucket(TRIES_RATE, TRIES_BURST, now)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def add(self, digest: bytes, now: float) -> bool:
        """Counts one more wrong token. Returns whether it is within the allowed rate."""
        # A token that is known already is no new guess: agents send an old one again and again.
        if digest not in self._known and self.guesses.allows(now):
            self._known[digest] = None
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return self._all.allows(now)


class Guard:
    """Decides on every request, before it is handled."""

    def __init__(self, token: str, secret: str, refusals: Refusals, clock: Clock = time.monotonic) -> None:
        self.token = token
        self.refusals = refusals
        self._key = hashlib.sha256(f"{secret}:{token}".encode()).digest()
        self._clock = clock
        self._guessable = len(token) < SHORT_TOKEN
        self._tries: OrderedDict[str, Tries] = OrderedDict()

    # Tokens

    def is_token(self, given: str, who: str) -> bool | None:
        """Whether `given` is the token; None: too many wrong ones came from the address `who`.

        The right token is accepted also after too many wrong ones, except for one shorter than SHORT_TOKEN.
        """
        now, digest = self._clock(), _digest(given)
        tries = self._tries.get(who) or Tries(now)
        # Others behind the same address must not lock out the owner of the right token. A short one could
        # be found by guessing, so it is not compared during the time of a lock.
        if hmac.compare_digest(digest, _digest(self.token)):
            return None if self._guessable and tries.guesses.peek(now) > 0 else True
        self._tries[who] = tries
        self._tries.move_to_end(who)
        while len(self._tries) > MAX_REMEMBERED:
            self._tries.popitem(last=False)
        looked_at = tries.add(digest, now)
        self.refusals.refuse(who, "wrong token")
        return False if looked_at else None

    def session(self, now_s: float) -> str:
        """Returns a new session cookie; `now_s` in Unix seconds."""
        until = str(int(now_s + SESSION_S))
        return f"{until}.{self._sign(until)}"

    def is_session(self, cookie: str, now_s: float) -> bool:
        """Whether the cookie is a valid one of `session`. A change of the token ends all of them."""
        until, _, signature = cookie.partition(".")
        good = hmac.compare_digest(_digest(self._sign(until)), _digest(signature))
        return good and until.isascii() and until.isdecimal() and int(until[:15]) > now_s

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "replace"), "sha256").hexdigest()

    # Requests

    def refuses(self, request: HTTPConnection) -> tuple[int, str]:
        """Returns status and text of the refusal; (0, "") if the request is allowed."""
        who = address_of(request)
        if not self._host_is_good(request):
            return self._no(
                who,
                421,
                "the server does not know this host name: use its address, or set a token",
            )
        if not self._comes_from_here(request):
            return self._no(who, 403, "the request comes from another site")
        path = request.scope["path"]
        if not self.token or path in OPEN or path.startswith("/static/"):
            return 0, ""
        return self._identified(request, who)

    def refuses_agent(self, websocket: HTTPConnection) -> int:
        """Returns the status of the refusal of an agent's websocket; 0 if it is allowed."""
        who = address_of(websocket)
        origin = websocket.headers.get("origin", "")
        if not self._host_is_good(websocket):
            return self._no(who, 421, "the server does not know this host name")[0]
        if origin not in ("", AGENTS_ORIGIN) and not _same(origin, websocket):
            return self._no(who, 403, "a websocket that was opened by another site")[0]
        return self._identified(websocket, who)[0] if self.token else 0

    def _identified(self, request: HTTPConnection, who: str) -> tuple[int, str]:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            good = self.is_token(given.strip(), who)
            if good is None:
                return self._no(who, 429, "too many wrong tokens")
            return (0, "") if good else (401, "wrong token")
        if self.is_session(request.cookies.get(COOKIE, ""), time.time()):
            return 0, ""
        return self._no(who, 401, "no token given")

    def _host_is_good(self, request: HTTPConnection) -> bool:
        """Whether the Host header is acceptable: with a token any, else an address or a name without dots."""
        # Without a token, a page of another site must not reach the server by a domain of its own that
        # resolves to this address (DNS rebinding). Such names have dots.
        return bool(self.token) or _is_plain_host(request.headers.get("host", ""))

    def _comes_from_here(self, request: HTTPConnection) -> bool:
        """Whether a request comes from a page of this server, a link to it, or a program."""
        # Pages of other sites must neither change anything here nor occupy connections.
        method, headers = request.scope["method"], request.headers
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "")
        if origin is not None and not (origin == AGENTS_ORIGIN and method in SAFE):
            return _same(origin, request)
        followed = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        return site in HERE or followed

    def _no(self, who: str, status: int, why: str) -> tuple[int, str]:
        self.refusals.refuse(who, why)
        return status, why


def address_of(request: HTTPConnection) -> str:
    """Returns the address of the client, without the port."""
    return request.client.host if request.client else "unknown"


def _digest(text: str) -> bytes:
    """Returns a hash for a comparison in constant time."""
    # Hashes have one length, so the time does not depend on the length of the text.
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _same(origin: str, request: HTTPConnection) -> bool:
    """Whether an origin is that of this server, by the Host header of the request."""
    # Behind a proxy with TLS the scheme differs from ours, so both are accepted.
    host = request.headers.get("host", "")
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def _is_plain_host(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name and "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
