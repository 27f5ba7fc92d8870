"""Addresses of Docker engines, in the forms of DOCKER_HOST and Docker contexts."""

from __future__ import annotations

import importlib.util
import os
import re
import stat
from urllib.parse import unquote, urlsplit

from microscaling.errors import ConfigError
from microscaling.utils.text import quoted
from microscaling.utils.urls import fits_dns

DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_HOST = f"unix://{DEFAULT_SOCKET}"
PORTS = {"tcp": 2375, "http": 80, "https": 443}
"""Ports of addresses without one; for tcp that of Docker's own client."""
TLS_PORT = 2376
MAX_PATH = 107
"""Most bytes of a socket's path: see unix(7)."""
EXPECTED = "expected unix:///path/of/a/socket or tcp://host:port"
NOT_HERE = {
    "npipe": "npipe:// is for Windows, where the agent does not run",
    "fd": "fd:// is an address at which an engine listens, and cannot be called",
}
TUNNEL = (
    "ssh:// needs the package paramiko (pip install paramiko), or a tunnel: "
    "ssh -N -L $HOME/remote.sock:/var/run/docker.sock user@host, and then unix://$HOME/remote.sock"
)


def checked(address: str, place: str, tls: bool = False) -> str:
    """Returns the address in the one form that the rest of the agent uses.

    Raises ConfigError, with `place` at its start, for an address that can never answer.
    """
    scheme, mark, rest = address.strip().partition("://")
    scheme = scheme.lower()
    if not mark:  # as Docker's own client takes it: host:port
        if not re.fullmatch(r"(?!unix:)[^/@]*:[0-9]+", address.strip()):
            raise _wrong(place, address, _hint(address.strip()))
        scheme, rest = "tcp", address.strip()
    if scheme in ("unix", "http+unix"):
        return f"unix://{_socket(rest if scheme == 'unix' else unquote(rest), place, address)}"
    if scheme in ("tcp", "http", "https"):
        return _tcp(scheme, rest, place, address, tls)
    if scheme == "ssh" and importlib.util.find_spec("paramiko"):
        return address.strip()
    if scheme == "ssh":
        raise ConfigError(f"{place}: {TUNNEL}")
    raise _wrong(place, address, NOT_HERE.get(scheme, ""))


def _socket(path: str, place: str, address: str) -> str:
    # The Docker library takes unix://var/run/docker.sock for the absolute path, too.
    path = f"/{path.lstrip('/')}" if path else DEFAULT_SOCKET
    if not path.isprintable() or set(path) & set("?#;"):
        raise _wrong(place, address, "the library cannot use such a path")
    if len(os.fsencode(path)) > MAX_PATH:
        raise _wrong(place, address, f"the path of a socket has at most {MAX_PATH} bytes")
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return path  # a missing socket is no error: a person can mend it while the agent waits
    if stat.S_ISDIR(mode):
        raise ConfigError(
            f"{place}: {path} is a directory, not a socket: the engine makes one where a container mounts a "
            "socket that does not exist; start the engine, remove the directory, create the container again"
        )
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{place}: {path} is not a socket; {EXPECTED}")
    return path


def _tcp(scheme: str, rest: str, place: str, address: str, tls: bool) -> str:
    if "@" in rest:  # not to be shown: a password may stand in it
        raise ConfigError(f"{place}: has no room for a user or password; use certificates (DOCKER_CERT_PATH)")
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _wrong(place, address, "the port is a number from 1 to 65535") from None
    if not host and (scheme != "tcp" or port is None):
        raise _wrong(place, address, "the host is missing")
    if port == 0:
        raise _wrong(place, address, "the port is a number from 1 to 65535")
    if not re.fullmatch(r"[\w.:%-]*", host) or parts.query or parts.fragment or not rest.isprintable():
        raise _wrong(place, address, "")
    if host and ":" not in host and not fits_dns(host):
        raise _wrong(place, address, "no name can have such a part between its dots")
    port = port or (TLS_PORT if tls and scheme == "tcp" else PORTS[scheme])
    name = f"[{host}]" if ":" in host else host or "localhost"
    return f"{scheme}://{name}:{port}{parts.path.rstrip('/')}"


def _hint(address: str) -> str:
    path = address.removeprefix("unix:")
    return f"write unix://{path}" if re.match("/[^/]", path) else ""


def _wrong(place: str, address: str, why: str) -> ConfigError:
    return ConfigError(f"{place}: {EXPECTED}, got {quoted(address)}{f'; {why}' if why else ''}")
