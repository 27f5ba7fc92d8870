"""Authorization at a registry: a password, or a token from its token server.

After "Token Authentication Specification" and "OAuth2 Token Authentication" of the CNCF's
distribution, and RFC 7235 for the challenge.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

from microscaling.clients.http.client import Answer, public_url
from microscaling.clients.http.proxies import is_loopback
from microscaling.clients.oci.login import Login
from microscaling.clients.oci.name import ImageName
from microscaling.errors import ConfigError, PermanentError
from microscaling.utils.strict_json import parse
from microscaling.utils.text import quoted, short

CLIENT_ID = "microscaling"
CHALLENGE = re.compile(
    r'(?P<key>[\w-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))|(?P<scheme>[\w-]+)'
)

Ask = Callable[[str, str, Mapping[str, str], "bytes | None"], Answer]
"""Sends (method, URL, headers, body), and returns an answer of any status."""


def challenges(header: str) -> dict[str, dict[str, str]]:
    """Maps the schemes of a WWW-Authenticate header to their parameters, names in lower case."""
    found: dict[str, dict[str, str]] = {}
    for match in CHALLENGE.finditer(header):
        if match["scheme"]:
            parameters = found.setdefault(match["scheme"].lower(), {})
        elif found:  # a parameter before the first scheme belongs to none
            quoted = match["quoted"]
            value = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(match["key"].lower(), value)
    return found


def authorization(name: ImageName, header: str, login: Login | None, ask: Ask) -> str:
    """Returns the Authorization header for a challenge. Raises PermanentError if there is none.

    The login goes only to the registry and to the realm that the registry itself has named.
    """
    found = challenges(header)
    if "bearer" in found:
        return "Bearer " + _token(name, found["bearer"], login, ask)
    if "basic" in found:
        if login is None or not login.user:
            raise PermanentError(f"{name.registry} wants a login, and the docker config file has none for it")
        return _basic(login)
    raise PermanentError(f"{name.registry} wants a kind of login that is not known here")


def _token(name: ImageName, challenge: Mapping[str, str], login: Login | None, ask: Ask) -> str:
    realm = challenge.get("realm", "")
    if not _may_have_login(realm, name):
        unsafe = short(public_url(realm))
        raise PermanentError(f"{name.registry} names a token server that is not safe: {unsafe}")
    fields = {"service": challenge.get("service", ""), "client_id": CLIENT_ID}
    fields["scope"] = challenge.get("scope") or f"repository:{name.repository}:pull"
    if login is not None and login.identity_token:
        answer = _exchange(realm, fields, login.identity_token, ask)
    else:
        answer = _ask_for_token(realm, fields, login, ask)
    if answer.status in (400, 401, 403):
        where = short(public_url(realm))
        raise PermanentError(f"{where}: gives {who(login)} no token (HTTP {answer.status})")
    return _read_token(answer, realm)


def _may_have_login(realm: str, name: ImageName) -> bool:
    """Whether a realm may get the login: over TLS, or without on this machine, for a registry there."""
    try:
        parts = urlsplit(realm)
        host = parts.hostname or ""
    except ValueError:
        return False
    # Without TLS, others on the way could read the password.
    safe = parts.scheme == "https" or (parts.scheme == "http" and name.local and is_loopback(host))
    return bool(host) and safe and "@" not in parts.netloc


def _ask_for_token(realm: str, fields: dict[str, str], login: Login | None, ask: Ask) -> Answer:
    headers = {}
    if login is not None:
        fields = {**fields, "account": login.user}
        headers["Authorization"] = _basic(login)
    # A realm may have a query of its own.
    joint = "&" if urlsplit(realm).query else "?"
    return ask("GET", realm + joint + urlencode(fields), headers, None)


def _exchange(realm: str, fields: dict[str, str], identity_token: str, ask: Ask) -> Answer:
    """Gets an access token for an identity token, by OAuth2."""
    fields = {**fields, "grant_type": "refresh_token", "refresh_token": identity_token}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return ask("POST", realm, headers, urlencode(fields).encode())


def _read_token(answer: Answer, realm: str) -> str:
    where = short(public_url(realm))
    if answer.status != 200:
        raise PermanentError(f"{where} gives no token (HTTP {answer.status})")
    try:
        told = parse(answer.body)
    except ConfigError:
        told = None
    # The specification allows both names.
    token = (told.get("token") or told.get("access_token")) if isinstance(told, dict) else None
    # It goes into a header, so it must not have a line feed in it.
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise PermanentError(f"{where} gives an answer without a token in it")
    return token


def _basic(login: Login) -> str:
    return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode()


def who(login: Login | None) -> str:
    """Describes a login, without its secret."""
    if login is None:
        return "those without a login"
    return "this identity token" if login.identity_token else f"user {quoted(login.user)}"
