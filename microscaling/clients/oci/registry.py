"""The labels of an image, read from its registry, without pulling it.

After the OCI distribution specification and "Docker Registry HTTP API V2": the manifest, of one
platform if there are several, and the image's configuration, which is a blob.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from microscaling.clients.http.client import REDIRECTS, Answer, Client, FetchError, public_url
from microscaling.clients.http.proxies import is_loopback
from microscaling.clients.oci.auth import authorization, who
from microscaling.clients.oci.login import find_login
from microscaling.clients.oci.name import DIGEST, ImageName, parse_name
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.utils.strict_json import parse
from microscaling.utils.text import short

log = logging.getLogger("mssconfig")

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
PLATFORM = ("linux", "amd64")
MAX_BYTES = 4 * 2**20
"""The size of a manifest that every registry has to accept; configurations of images are far smaller."""
CALL_S = 5.0
IMAGE_S = 20.0
"""Limit for all requests of one image together."""
MAX_REDIRECTS = 5
MAX_INDEXES = 3
"""Depth of indexes within indexes."""
MAX_DELAY_S = 60.0


def labels_of(
    image: str, environ: Mapping[str, str] | None = None, within_s: float = IMAGE_S
) -> Mapping[str, Any]:
    """Returns the labels of an image, from its registry, within `within_s` seconds.

    `environ` locates the docker config file with the logins; None: this process's own environment. Raises
    TemporaryError if a retry may help, else PermanentError.
    """
    try:
        name = parse_name(image)
    except ConfigError as error:
        raise PermanentError(str(error)) from None
    repository = _Repository(name, os.environ if environ is None else environ, within_s)
    try:
        return _labels(repository)
    finally:
        repository.close()


def _labels(repository: _Repository) -> Mapping[str, Any]:
    reference = repository.name.reference
    # An index lists the manifests of several platforms, or further indexes.
    for _ in range(MAX_INDEXES):
        manifest = repository.manifest(reference)
        if not isinstance(manifest.get("manifests"), list):
            break
        reference = _of_platform(manifest["manifests"])
    config = manifest.get("config")
    if not isinstance(config, dict):
        raise PermanentError("its manifest is of a kind that has no labels")
    found = repository.config(_digest(config)).get("config")
    labels = found.get("Labels") if isinstance(found, dict) else None
    return labels if isinstance(labels, dict) else {}


def _of_platform(entries: list[Any]) -> str:
    """Returns the digest of the manifest for linux/amd64, else of the first one of an image. (Signatures and
    attestations have an unknown platform.)"""
    found = [entry for entry in entries if isinstance(entry, dict)]
    platforms = [_platform(entry) for entry in found]
    if PLATFORM in platforms:
        return _digest(found[platforms.index(PLATFORM)])
    images = (e for e, platform in zip(found, platforms, strict=True) if platform[0] != "unknown")
    return _digest(next(images, {}))


def _platform(entry: dict[str, Any]) -> tuple[object, object]:
    platform = entry.get("platform")
    return (platform.get("os"), platform.get("architecture")) if isinstance(platform, dict) else (None, None)


def _digest(descriptor: dict[str, Any]) -> str:
    digest = descriptor.get("digest")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise PermanentError("its manifest names no digest that can be asked for")
    return digest


class _Repository:
    """One repository of a registry, and the permission to read it."""

    def __init__(self, name: ImageName, environ: Mapping[str, str], within_s: float) -> None:
        self.name = name
        self._environ = environ
        self._within_s = within_s
        self._deadline = time.monotonic() + within_s
        self._client = Client(max_bytes=MAX_BYTES)
        self._base = f"https://{name.endpoint}"
        self._found_way = False
        self._authorization = ""
        self._who = ""

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def manifest(self, reference: str) -> dict[str, Any]:
        """Returns a manifest, or an index of several, by tag or digest."""
        body = self._get(f"manifests/{reference}", ", ".join(INDEXES + MANIFESTS))
        return self._read(body, reference)

    def config(self, digest: str) -> dict[str, Any]:
        """Returns the configuration of an image."""
        return self._read(self._get(f"blobs/{digest}", "*/*"), digest)

    def _read(self, body: bytes, reference: str) -> dict[str, Any]:
        """Parses a body. Raises TemporaryError if it does not have the digest by which it was requested."""
        if DIGEST.fullmatch(reference):
            kind, _, wanted = reference.partition(":")
            if hashlib.new(kind, body).hexdigest() != wanted:
                raise TemporaryError(f"{self.name.registry} sends something else than {reference}")
        try:
            told = parse(body)
        except ConfigError as error:
            raise PermanentError(f"{self.name.registry}: the answer is {error}") from None
        if not isinstance(told, dict):
            raise PermanentError(f"{self.name.registry} sends JSON that is no object")
        return told

    def _get(self, path: str, accept: str) -> bytes:
        answer = self._first(f"/v2/{self.name.repository}/{path}", accept)
        url = f"{self._base}/v2/{self.name.repository}/{path}"
        for _ in range(MAX_REDIRECTS):
            if answer.status not in REDIRECTS or "Location" not in answer.headers:
                break
            url = self._next(url, answer.headers["Location"])
            # Registries redirect to storage at other hosts, which must not get the authorization.
            answer = self._ask("GET", url, {"Accept": accept, **self._permission(url)})
        if answer.status != 200:
            raise self._refusal(url, answer)
        return answer.body

    def _first(self, path: str, accept: str) -> Answer:
        """Asks the registry itself, and once more with authorization if it asks for that."""
        if not self._found_way:
            self._find_way()
        answer = self._ask("GET", self._base + path, {"Accept": accept, **self._permission(self._base)})
        if answer.status == 401:
            login = find_login(self.name.registry, self._environ)
            self._who = who(login)
            self._authorization = ""
            header = answer.headers.get("WWW-Authenticate", "")
            self._authorization = authorization(self.name, header, login, self._ask_for_token)
            answer = self._ask("GET", self._base + path, {"Accept": accept, **self._permission(self._base)})
        return answer

    def _find_way(self) -> None:
        """Finds out whether a registry on this machine uses plain HTTP, which the engine allows too."""
        self._found_way = True
        # A server with TLS answers 400 to plain HTTP.
        plain = f"http://{self.name.endpoint}"
        try:
            if self.name.local and self._ask("GET", f"{plain}/v2/", {}).status != 400:
                self._base = plain
        except (PermanentError, FetchError) as error:
            log.debug("trying TLS: %s", error)

    def _permission(self, url: str) -> dict[str, str]:
        """Returns the Authorization header if the URL is the registry's, nothing for other hosts."""
        mine = self._authorization and urlsplit(url)[:2] == urlsplit(self._base)[:2]
        return {"Authorization": self._authorization} if mine else {}

    def _next(self, url: str, location: str) -> str:
        try:
            to = urljoin(url, location)
            parts = urlsplit(to)
            host = parts.hostname or ""
        except ValueError:
            raise PermanentError(f"{short(public_url(url))} redirects to an invalid URL") from None
        local = parts.scheme == "http" and self.name.local and is_loopback(host)
        if not host or not (local or parts.scheme == "https"):
            unsafe = short(public_url(to))
            raise PermanentError(f"{short(public_url(url))} redirects to an unsafe address: {unsafe}")
        return to

    def _ask_for_token(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        answer = self._ask(method, url, headers, body)
        if answer.status == 429 or answer.status >= 500:
            raise self._refusal(url, answer)
        return answer

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TemporaryError(f"{self.name.registry} has not answered all within {self._within_s:g} s")
        # The last request gets the rest of the time only, so that all of them keep to the limit.
        self._client.deadline_s = min(CALL_S, left)
        try:
            return self._client.ask(method, url, headers, body)
        except FetchError as error:
            raise (PermanentError(str(error)) if error.hopeless else error) from None

    def _refusal(self, url: str, answer: Answer) -> PermanentError | TemporaryError:
        status, where = answer.status, short(public_url(url))
        if status == 429 or status >= 500:
            return TemporaryError(f"{where}: answers with HTTP {status}", _delay(answer))
        if status in (401, 403):
            shown = f" to {self._who}" if self._who else ""
            return PermanentError(f"{where}: access is denied{shown} (HTTP {status})")
        if status == 404:
            return PermanentError(f"{where}: is not there (HTTP 404)")
        return PermanentError(f"{where}: answers with HTTP {status}")


def _delay(answer: Answer) -> float | None:
    """Returns the seconds of a Retry-After header, at most MAX_DELAY_S; None without a valid one."""
    seconds = answer.headers.get("Retry-After", "")
    known = seconds.isascii() and seconds.isdigit() and len(seconds) < 10
    return min(float(seconds), MAX_DELAY_S) if known else None
