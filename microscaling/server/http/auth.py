"""Who may: tokens of programs, cookies of people, and where a request may come from."""

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
"""Wrong tokens from one address: a second in the long run, and at once. Sessions are not concerned."""
SHORT_TOKEN = 16
"""Characters; a shorter token can be guessed."""
MAX_KNOWN = 100
"""Wrong tokens of one address that are remembered."""
SAFE = ("GET", "HEAD", "OPTIONS")
AGENTS_ORIGIN = "http://localhost/"
"""What the Go agent says; no browser ever does, theirs have no slash at the end."""
OPEN = ("/healthz", "/readyz", "/login")
HERE = ("", "same-origin", "none")


class Tries:
    """Wrong tokens from one address."""

    def __init__(self, now: float) -> None:
        self.guesses = Bucket(TRIES_RATE, TRIES_BURST, now)
        self._all = Bucket(TRIES_RATE, TRIES_BURST, now)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def add(self, digest: bytes, now: float) -> bool:
        """One more. Returns whether it comes slowly enough. An old token that agents send again and again
        is one guess only."""
        if digest not in self._known and self.guesses.allows(now):
            self._known[digest] = None
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return self._all.allows(now)


class Guard:
    """Decides on every request, before anything else looks at it."""

    def __init__(self, token: str, secret: str, refusals: Refusals, clock: Clock = time.monotonic) -> None:
        self.token = token
        self.refusals = refusals
        self._key = hashlib.sha256(f"{secret}:{token}".encode()).digest()
        self._clock = clock
        self._guessable = len(token) < SHORT_TOKEN
        self._tries: OrderedDict[str, Tries] = OrderedDict()

    # Tokens

    def is_token(self, given: str, who: str) -> bool | None:
        """Whether it is the token; None: too many wrong ones came from there, try again later.

        The right one is not delayed by wrong ones of others behind the same address. Only a token so short
        that it can be guessed is not looked at after too many guesses.
        """
        now, digest = self._clock(), _digest(given)
        tries = self._tries.get(who) or Tries(now)
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
        """A fresh cookie."""
        until = str(int(now_s + SESSION_S))
        return f"{until}.{self._sign(until)}"

    def is_session(self, cookie: str, now_s: float) -> bool:
        """Whether the cookie is one that was given out, and not too old. It ends with the token."""
        until, _, signature = cookie.partition(".")
        good = hmac.compare_digest(_digest(self._sign(until)), _digest(signature))
        return good and until.isascii() and until.isdecimal() and int(until[:15]) > now_s

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "replace"), "sha256").hexdigest()

    # Requests

    def refuses(self, request: HTTPConnection) -> tuple[int, str]:
        """Status and sentence of the refusal; 0: it may."""
        who = address_of(request)
        if not self._host_is_good(request):
            return self._no(
                who,
                421,
                "this name of the server is not known to it: use its address, or set a token",
            )
        if not self._comes_from_here(request):
            return self._no(who, 403, "the request comes from another site")
        path = request.scope["path"]
        if not self.token or path in OPEN or path.startswith("/static/"):
            return 0, ""
        return self._identified(request, who)

    def refuses_agent(self, websocket: HTTPConnection) -> int:
        """The same for an agent's websocket: only the status."""
        who = address_of(websocket)
        origin = websocket.headers.get("origin", "")
        if not self._host_is_good(websocket):
            return self._no(who, 421, "this name of the server is not known to it")[0]
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
        """Without a token, a page of another site must not reach the server by a name of its own that
        leads here (DNS rebinding). Such names have dots; addresses and names without are safe.
        """
        return bool(self.token) or _is_plain_host(request.headers.get("host", ""))

    def _comes_from_here(self, request: HTTPConnection) -> bool:
        """No page of another site may change anything here, or hold what others need."""
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
    """Where it comes from, without the port."""
    return request.client.host if request.client else "unknown"


def _digest(text: str) -> bytes:
    """Of one length whatever is given, so that comparing takes the same time."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _same(origin: str, request: HTTPConnection) -> bool:
    """Whether it is the origin that this server was asked at; behind TLS the scheme differs."""
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
