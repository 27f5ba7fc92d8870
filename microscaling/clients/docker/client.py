"""Connections to a Docker engine. To be imported only where an engine was chosen: the library takes
0.13 to 0.3 s."""

from __future__ import annotations

import os
from typing import Any

import docker
import requests
from docker.errors import DockerException
from docker.transport import UnixHTTPAdapter
from requests.adapters import HTTPAdapter

from microscaling.clients.docker.engine import TLS_FILES
from microscaling.clients.docker.unreachable import explained
from microscaling.errors import ConfigError

MAX_CONNECTIONS = 96
"""One for each thread that calls the engine: 64 stop, 16 look, 8 start, a few more."""


def connect(
    host: str, tls_verify: bool, cert_path: str, timeout_s: int, version: str = "", chosen: str = ""
) -> docker.APIClient:
    """Returns a client of the engine at `host`, with `timeout_s` for each call; `chosen` is how the engine
    was chosen, for errors.

    Without the `version` of its API it asks the engine, and raises DockerException (Unreachable, with the
    cause in words) if that is away. Raises ConfigError if the certificates cannot be used.
    """
    tls = _tls(tls_verify, cert_path)
    try:
        client = _Client(
            base_url=host,
            version=version or "auto",
            timeout=timeout_s,
            tls=tls,
            max_pool_size=MAX_CONNECTIONS,
        )
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise explained(error, host, chosen) from error.__cause__
    if host.startswith("unix:"):
        # It still has the connection of the request for the version.
        client.get_adapter("http+docker://").close()
        client.mount("http+docker://", _KeptAlive(host.replace("unix:", "http+unix:"), timeout_s))
    elif not host.startswith(("npipe:", "ssh:")):
        # max_pool_size goes only to the library's own adapters
        for scheme in ("http://", "https://"):
            client.mount(scheme, HTTPAdapter(pool_maxsize=MAX_CONNECTIONS))
    return client


class _Client(docker.APIClient):
    """A client that ignores the proxies and certificates of the environment, and follows no redirect."""

    # A redirect would take logins for registries along. Properties, because values that are set after the
    # constructor would come too late for its request for the version.
    trust_env = property(lambda self: False, lambda self, value: None)
    max_redirects = property(lambda self: 0, lambda self, value: None)


class _KeptAlive(UnixHTTPAdapter):
    """An adapter with one pool of connections for all calls."""

    def __init__(self, url: str, timeout_s: int) -> None:
        super().__init__(url, timeout_s, max_pool_size=MAX_CONNECTIONS)

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
        # The library's own adapter has a pool per URL, and the URL of a call has the id of its container in
        # it, so each call would make a new connection.
        return super().get_connection(self.socket_path, proxies)


def _tls(verify: bool, cert_path: str) -> Any:
    if not verify and not cert_path:
        return False
    cert, key, ca = (_there(cert_path, name) for name in TLS_FILES)
    pair = (cert, key) if cert and key else None
    try:
        return docker.tls.TLSConfig(client_cert=pair, ca_cert=ca if verify else None, verify=verify)
    except DockerException as error:
        raise ConfigError(f"DOCKER_CERT_PATH: {error}") from error


def _there(folder: str, name: str) -> str | None:
    """Returns the path of a file if it exists; like Docker's own client, we do without missing ones."""
    path = os.path.join(folder, name)
    return path if folder and os.path.exists(path) else None
