"""Splitting and checking of URLs from configurations.

They may hold a password, so no error quotes any part of a URL.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes, urlsplit

from microscaling.errors import ConfigError

AUTHORITY_END = re.compile(r"[/?#]")
HOST = re.compile(r"""\[[0-9A-Fa-f:.]+(%[\w.~-]+)?\]|[^\s\[\]@:/?#\\<>"^`{|}$%]+""")
ESCAPES = "in a password @ is %40, / is %2F, ? is %3F, # is %23 and [ is %5B"
FIELD = re.compile(r"[^@]*=")
HOST_AND_PORT = re.compile(r"[^/:]*:[0-9]")


def cut(url: str) -> tuple[str, str, str]:
    """Splits a URL into its scheme with ://, its authority (user, password, host, port), and the rest. An
    @ separates user and host in the authority only."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    end = AUTHORITY_END.search(rest)
    at = end.start() if end else len(rest)
    return scheme + mark, rest[:at], rest[at:]


def credentials(url: str) -> tuple[bytes, bytes]:
    """Returns the bytes of user and password that go into a request: UTF-8 for other characters than
    ASCII (RFC 7617), and the decoded bytes of percent-encoded ones."""
    userinfo = cut(url)[1].rpartition("@")[0]  # the last one: a raw @ may be part of the password
    user, _, password = userinfo.partition(":")
    return unquote_to_bytes(user), unquote_to_bytes(password)


def basic(user: bytes, password: bytes) -> str:
    """The value of an Authorization header with these credentials (RFC 7617)."""
    return "Basic " + base64.b64encode(user + b":" + password).decode()


def check_url(url: str, schemes: Collection[str], form: str) -> None:
    """Raises ConfigError with the expected `form` if the URL is wrong, or if different programs could
    read it differently."""
    wrong = _wrong(url, schemes)
    if wrong is not None:
        raise ConfigError(f"expected {form}{wrong and '; '}{wrong}")


def _wrong(url: str, schemes: Collection[str]) -> str | None:
    """Describes the first mistake; "" if there are no better words than the form; None if it is valid."""
    if not url.isprintable() or " " in url:
        return "there is a space in it (write %20), or a character that cannot be printed"
    if "\\" in url:
        return "there is a backslash in it: write %5C"
    if "#" in url:  # a fragment is never sent, so it is always a mistake
        return f"there is a # in it, which would cut it off: write %23; {ESCAPES}"
    if _has_cut_password(url):
        return f"there is an @ after the host: write %40; {ESCAPES}"
    try:
        parts = urlsplit(url)
        known = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, brackets that do not match
        return ESCAPES
    if not known:
        return ""
    host = parts.netloc.rpartition("@")[2]
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name in ("http", "https") and (host.endswith(":") or parts.path.startswith("//")):
        return f"its scheme is misspelt: write {name}://"  # else it would be the host's name
    return None if HOST.fullmatch(name) and fits_dns(name) else "its host is no name or address"


def fits_dns(name: str) -> bool:
    """Whether DNS could resolve a name: its labels have 1 to 63 characters (RFC 1035), and a dot may
    follow the last one."""
    return name.startswith("[") or all(0 < len(label) < 64 for label in name.removesuffix(".").split("."))


def _has_cut_password(url: str) -> bool:
    """Whether an @ comes so late that a raw / or ? in the password before it may have ended the authority:
    every parser reads http://user:1/2@host as port 1 of the host "user".

    An @ in a field of the query is accepted, and one after a certain host unless a host and port follow.
    """
    _, authority, rest = cut(url)
    if "@" not in rest or ":" not in authority or authority.startswith("["):
        return False
    _, at, host = authority.rpartition("@")
    certain = "." in host or host.startswith(("localhost:", "[")) or bool(at and ":" in host)
    path, _, query = rest.partition("?")
    if "@" in path:
        return not certain or bool(HOST_AND_PORT.match(path.rpartition("@")[2]))
    if certain:
        return not FIELD.match(query)
    return not (path and FIELD.match(query)) or bool(HOST_AND_PORT.match(query.rpartition("@")[2]))
