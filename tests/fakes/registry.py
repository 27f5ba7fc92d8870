"""A registry of images that holds to its documentation, and refuses what a real one would refuse.

From "OCI Distribution Specification" (1.1) and "Docker Registry HTTP API V2": paths, status codes,
error bodies, Docker-Content-Digest. From "Token Authentication Specification", "Token Scope
Documentation" and "OAuth2 Token Authentication" (CNCF distribution): the handshake and the token
server. From "OCI Image Format Specification" and "Image Manifest V 2, Schema 2": what is stored. Where
these leave a choice it does as distribution 2.8 does, the registry in Debian.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
# Path components and tags, as the distribution specification spells them ("Pulling manifests").
NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PATH = re.compile(
    rf"/v2/(?P<name>{NAME})/(?:(?P<kind>manifests)/(?P<reference>{TAG}|[a-z0-9]+:[0-9a-f]+)"
    rf"|blobs/(?P<digest>[a-z0-9]+:[0-9a-f]+))"
)
SERVICE = "registry.test"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class _Server:
    """A loopback server in a thread of its own; `asked` is what it was asked, with the headers."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                outer.asked.append((self.command, self.path, dict(self.headers.items())))
                # A query may hold what the log of the test must not show, but nothing is logged here.
                length = int(self.headers.get("Content-Length", 0))
                outer.answer(self, self.rfile.read(length).decode())

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = False

            def handle_error(self, *_: object) -> None: ...  # a client that went away

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"{self.scheme}://{self.host}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), name="fake registry")

    def __enter__(self) -> Any:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: str) -> None:
        raise NotImplementedError


def reply(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    with contextlib.suppress(OSError):
        request.wfile.write(body)


def refuse(
    request: BaseHTTPRequestHandler, status: int, code: str, message: str = "", **headers: str
) -> None:
    """The JSON that errors come in ("Error Codes" of the distribution specification)."""
    body = json.dumps({"errors": [{"code": code, "message": message or code.lower(), "detail": None}]})
    reply(request, status, body.encode(), Content_Type="application/json; charset=utf-8", **headers)


class Cdn(_Server):
    """Where a registry keeps its blobs: shows them to whoever has the signed URL, and refuses a request
    that brings an Authorization header on top, as object stores do ("Only one auth mechanism allowed")."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.blobs: dict[str, bytes] = {}

    def answer(self, request: BaseHTTPRequestHandler, body: str) -> None:
        parts = urlsplit(request.path)
        if "Authorization" in request.headers or parse_qs(parts.query).get("signature") != ["good"]:
            return reply(request, 400, b"<Error><Code>InvalidArgument</Code></Error>")
        blob = self.blobs.get(parts.path.rpartition("/")[2])
        return reply(request, 403) if blob is None else reply(request, 200, blob)


class Registry(_Server):
    """`guard` is how it asks for a login: bearer, basic, or "" for not at all. Repositories in `public`
    are shown to everybody (a token is needed all the same), others to `user` with `password`, or to who
    has `identity_token`."""

    def __init__(self, guard: str = "", tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.guard = guard
        self.realm = f"{self.url}/token"
        self.challenge = ""
        self.user, self.password, self.identity_token = "reader", "s3cret-word", "s3cret-identity"
        self.public: set[str] = set()
        self.tokens: dict[str, str] = {}
        self.manifests: dict[str, dict[str, tuple[str, bytes]]] = {}
        self.blobs: dict[str, bytes] = {}
        self.cdn: Cdn | None = None
        self.redirect = ""
        self.too_many = 0
        self.retry_after = "0"
        self.broken = 0
        self.tampered = False

    # What it holds

    def image(self, name: str, labels: object, oci: bool = False, **config: Any) -> dict[str, Any]:
        """Stores an image without layers; returns its descriptor."""
        body = {"architecture": "amd64", "os": "linux", "config": {"Labels": labels}, **config}
        media = (OCI_CONFIG, OCI_MANIFEST) if oci else (DOCKER_CONFIG, DOCKER_MANIFEST)
        manifest = {
            "schemaVersion": 2,
            "mediaType": media[1],
            "config": self.blob(json.dumps(body).encode(), media[0]),
            "layers": [],
        }
        return self.manifest(name, media[1], json.dumps(manifest).encode())

    def index(self, name: str, *entries: tuple[dict[str, Any], str], oci: bool = False) -> dict[str, Any]:
        """Stores an index of descriptors, each for a platform as in "linux/arm64"."""
        media = OCI_INDEX if oci else DOCKER_LIST
        manifests = [
            {**descriptor, "platform": dict(zip(("os", "architecture"), platform.split("/"), strict=True))}
            for descriptor, platform in entries
        ]
        body = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": manifests})
        return self.manifest(name, media, body.encode())

    def manifest(self, name: str, media: str, body: bytes) -> dict[str, Any]:
        self.manifests.setdefault(name, {})[digest_of(body)] = (media, body)
        return {"mediaType": media, "digest": digest_of(body), "size": len(body)}

    def tag(self, name: str, tag: str, descriptor: dict[str, Any]) -> None:
        self.manifests[name][tag] = self.manifests[name][descriptor["digest"]]

    def blob(self, content: bytes, media: str) -> dict[str, Any]:
        self.blobs[digest_of(content)] = content
        return {"mediaType": media, "digest": digest_of(content), "size": len(content)}

    # What it says

    def answer(self, request: BaseHTTPRequestHandler, body: str) -> None:
        parts = urlsplit(request.path)
        if self.broken:
            self.broken -= 1
            return reply(request, 502, b"<html>bad gateway</html>")
        if self.too_many:  # "TOOMANYREQUESTS: too many requests"
            self.too_many -= 1
            return refuse(request, 429, "TOOMANYREQUESTS", Retry_After=self.retry_after)
        if parts.path == "/token":
            return self._token(request, parts.query, body)
        if parts.path == "/v2/":  # "API Version Check": 200, or 401 if a login is wanted
            if self._let_in(request, ""):
                reply(request, 200, b"{}", Content_Type="application/json; charset=utf-8")
            return None
        match = PATH.fullmatch(parts.path)
        if match is None:  # not a path of the API
            return reply(request, 404, b"404 page not found", Content_Type="text/plain; charset=utf-8")
        if request.command not in ("GET", "HEAD"):
            return reply(request, 405, Content_Type="text/plain; charset=utf-8")
        name, kind, reference = match.group("name", "kind", "reference")
        if not self._let_in(request, name):
            return None
        if kind is None:
            return self._blob(request, match["digest"])
        return self._manifest(request, name, reference)

    def _manifest(self, request: BaseHTTPRequestHandler, name: str, reference: str) -> None:
        if reference not in self.manifests.get(name, {}):
            return refuse(request, 404, "MANIFEST_UNKNOWN")
        media, body = self.manifests[name][reference]
        accepted = [part.split(";")[0].strip() for part in request.headers.get("Accept", "").split(",")]
        if media not in accepted and "*/*" not in accepted:
            # distribution 2.8 answers so rather than with 406
            message = f"{media} found, but accept header does not support it"
            return refuse(request, 404, "MANIFEST_UNKNOWN", message)
        if self.tampered and DIGEST.fullmatch(reference):
            body += b" "
        return reply(request, 200, body, Content_Type=media, Docker_Content_Digest=digest_of(body))

    def _blob(self, request: BaseHTTPRequestHandler, digest: str) -> None:
        if not DIGEST.fullmatch(digest):
            return refuse(request, 400, "DIGEST_INVALID")
        if digest not in self.blobs:
            return refuse(request, 404, "BLOB_UNKNOWN")
        content = self.blobs[digest]
        if self.redirect:
            return reply(request, 307, Location=self.redirect)
        if self.cdn is not None:  # "redirected to another location": 307
            self.cdn.blobs[digest] = content
            return reply(request, 307, Location=f"{self.cdn.url}/data/{digest}?signature=good")
        content = content.replace(b"}", b" ", 1) if self.tampered else content
        return reply(request, 200, content, Content_Type="application/octet-stream")

    # Who may see it

    def _let_in(self, request: BaseHTTPRequestHandler, name: str) -> bool:
        if not self.guard:
            return True
        kind, _, shown = request.headers.get("Authorization", "").partition(" ")
        if self.guard == "basic":
            if kind == "Basic" and shown == self._basic():
                return True
            challenge = f'Basic realm="{SERVICE}"'
        else:
            scope = f"repository:{name}:pull"
            if kind == "Bearer" and self.tokens.get(shown) == scope:
                return True
            error = ',error="insufficient_scope"' if shown in self.tokens else ""
            wanted = f',scope="{scope}"' if name else ""
            challenge = f'Bearer realm="{self.realm}",service="{SERVICE}"{wanted}{error}'
        refuse(request, 401, "UNAUTHORIZED", WWW_Authenticate=self.challenge or challenge)
        return False

    def _basic(self) -> str:
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def _token(self, request: BaseHTTPRequestHandler, query: str, body: str) -> None:
        """A GET with HTTP Basic or without a login, or OAuth2's POST of a form with a refresh token."""
        form = request.command == "POST"
        if form and request.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            return refuse(request, 400, "UNSUPPORTED", "a form is expected")
        asked = {key: values[0] for key, values in parse_qs(body if form else query).items()}
        if asked.get("service") != SERVICE:
            return refuse(request, 400, "DENIED", "no such service")
        match = re.fullmatch(rf"repository:({NAME}):([a-z,]+)", asked.get("scope", ""))
        if match is None:
            return refuse(request, 400, "DENIED", "no such scope")
        known = self._knows_form(asked) if form else self._knows_basic(request)
        if known is False:
            return refuse(request, 401, "UNAUTHORIZED", "bad login")
        name, actions = match.groups()
        # A token is given all the same: it just does not allow what the user may not do.
        granted = known or name in self.public
        token = f"token-{len(self.tokens)}-{time.monotonic_ns()}"
        self.tokens[token] = f"repository:{name}:{actions if granted else ''}"
        answer = {"access_token" if form else "token": token, "expires_in": 300}
        return reply(request, 200, json.dumps(answer).encode(), Content_Type="application/json")

    def _knows_basic(self, request: BaseHTTPRequestHandler) -> bool | None:
        """None: it did not say who it is."""
        header = request.headers.get("Authorization")
        return None if header is None else header == f"Basic {self._basic()}"

    def _knows_form(self, asked: dict[str, str]) -> bool:
        needed = {"grant_type", "service", "client_id", "scope", "refresh_token"}
        return (
            needed <= set(asked)
            and asked["grant_type"] == "refresh_token"
            and asked["refresh_token"] == self.identity_token
        )
