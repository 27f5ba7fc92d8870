"""Questions to a Docker engine, each with a total deadline for its answer.

The library's own time-outs are per read, so an engine, or a proxy in front of it, that sends single bytes
would defeat them. To be imported only where an engine was chosen, as the library is.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import docker
import requests
from docker.errors import APIError
from docker.transport import UnixHTTPAdapter
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection

from microscaling.clients.docker.client import connect
from microscaling.clients.http.deadline import DeadlineResponse, deadline_pools, limit_call, time_left

FIRST_VERSION = "1.41"
"""Named while the engine has not told its own: a client without one asks for it before it has a deadline."""
MAX_BYTES = 64 * 2**20
"""A swarm with thousands of tasks has such listings."""
MAX_CONNECTIONS = 64


class EngineReader:
    """One engine, of which several threads may ask."""

    def __init__(self, host: str, tls_verify: bool = False, cert_path: str = "", chosen: str = "") -> None:
        self.host = host
        self._options = (tls_verify, cert_path)
        self._chosen = chosen
        self._client: docker.APIClient | None = None

    def client(self, until: float) -> docker.APIClient:
        """Returns a client that speaks the engine's version; its next calls in this thread end by `until`
        (monotonic seconds). Raises the library's errors."""
        if self._client is None:
            # An engine refuses versions that are too old or too new for it, so its own is used.
            first = self._made(FIRST_VERSION)
            try:
                version = json.loads(_body(first, f"{first.base_url}/version", until, {}))["ApiVersion"]
            finally:
                first.close()
            self._client = self._made(str(version))
        limit_call(_left(until))
        return self._client

    def json(self, path: str, until: float, **query: str) -> Any:
        """Returns the answer to a GET; None if there is no such thing. Raises APIError for another status,
        TimeoutError, ValueError for an answer that is none, and the errors of connections."""
        client = self.client(until)
        try:
            return json.loads(_body(client, f"{client.base_url}/v{client.api_version}{path}", until, query))
        except APIError as error:
            # A proxy may answer 404 to everything. Engines, unlike it, name their version.
            by_engine = error.response is not None and "Api-Version" in error.response.headers
            if by_engine and error.status_code == requests.codes.not_found:
                return None
            raise

    def listed(self, path: str, until: float, **query: str) -> list[Any]:
        """Returns the answer to a GET of a list. Raises the errors of `json`, and ValueError for none."""
        found = self.json(path, until, **query)
        if not isinstance(found, list):
            raise ValueError(f"no list at {path}")
        return found

    def post(self, path: str, body: Any, until: float, **query: str) -> None:
        """Sends an object as JSON. Raises APIError for another status, TimeoutError, and the errors
        of connections: then the engine may have taken it all the same."""
        client = self.client(until)
        _body(client, f"{client.base_url}/v{client.api_version}{path}", until, query, body)

    def close(self) -> None:
        """Closes all connections; the next question opens new ones, and asks for the version again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _made(self, version: str) -> docker.APIClient:
        client = connect(self.host, *self._options, 1, version, self._chosen)
        if self.host.startswith("unix:"):
            client.get_adapter("http+docker://").close()
            client.mount("http+docker://", _UnixAdapter(self.host.replace("unix:", "http+unix:")))
        elif not self.host.startswith("ssh:"):
            for scheme in ("http://", "https://"):
                client.mount(scheme, _Adapter(pool_maxsize=MAX_CONNECTIONS))
        return client


def _body(client: docker.APIClient, url: str, until: float, query: dict[str, str], sent: Any = None) -> bytes:
    limit_call(left := _left(until))
    method = "GET" if sent is None else "POST"
    with client.request(method, url, params=query, json=sent, timeout=left, stream=True) as answer:
        body: bytes = answer.raw.read(MAX_BYTES + 1, decode_content=True)
        time_left()  # raises: if the process was frozen meanwhile, the answer is out of date
        if len(body) > MAX_BYTES:
            raise ValueError(f"the answer is longer than {MAX_BYTES} bytes")
        if answer.status_code not in (requests.codes.ok, requests.codes.created):
            raise APIError(f"HTTP {answer.status_code}", answer, _message(body))
        return body


def _message(body: bytes) -> str:
    """Returns the engine's words in the body of an error; those of a proxy as they are."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return body[:1000].decode("utf-8", "replace")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _UnixConnection(HTTPConnection):
    response_class = DeadlineResponse

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connects to the socket within the deadline of the call."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(time_left())
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class _UnixPool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", maxsize=MAX_CONNECTIONS)
        self._path = path

    def _new_conn(self) -> HTTPConnection:
        return _UnixConnection(self._path)


class _UnixAdapter(UnixHTTPAdapter):
    """An adapter with one pool of connections for all paths."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
        with self.pools.lock:
            pool = self.pools.get(self.socket_path)
            if pool is None:
                pool = _UnixPool(self.socket_path)
                self.pools[self.socket_path] = pool
            return pool


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Makes the pools, of connections that keep to the deadline of a call."""
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = deadline_pools()
