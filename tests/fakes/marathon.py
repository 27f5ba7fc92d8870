"""A Marathon that holds to its documentation, and refuses what the real one would refuse.

From Marathon's REST API reference (apps.raml, traits.raml): paths, bodies, status codes 401, 403, 404,
409 and 422, the parameters `force` and `embed`. From "Deployments": one deployment an app, which locks
it until as many run as were asked for; what is asked for is seen at once, what runs lags behind. From
the source where these leave it open (MarathonExceptionMapper, AppsResource, PathId): bodies of 400 and
404, what a PUT to an unknown id does, which ids there can be.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import threading
import time
import uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PART = r"(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])"
APP_ID = re.compile(rf"(?:/(?:{PART}\.)*{PART})+")
FIELDS = {"id", "cmd", "args", "container", "instances", "cpus", "mem", "disk", "env", "labels", "version"}
"""Of an app definition: those that matter here."""
EMBEDS = {"tasks", "counts", "deployments", "lastTaskFailure", "failures", "taskStats", "readiness"}
NEEDS_COMMAND = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
LOCKED = (
    "App is locked by one or more deployments. Override with the option '?force=true'. "
    "View details at '/v2/deployments/<DEPLOYMENT_ID>'."
)
FOREVER = float("inf")


class Refused(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **more}


def invalid_json(path: str, error: str) -> Refused:
    return Refused(400, "Invalid JSON", details=[{"path": path, "errors": [error]}])


def invalid(path: str, error: str) -> Refused:
    return Refused(422, "Object is not valid", details=[{"path": path, "errors": [error]}])


class App:
    """Instances start and stop in `start_s` and `stop_s` seconds, all at a time."""

    def __init__(self, instances: int, start_s: float, stop_s: float) -> None:
        self.instances = instances
        self.start_s, self.stop_s = start_s, stop_s
        self.up = [0.0] * instances
        """When each instance that is to stay runs, or will."""
        self.gone: list[float] = []
        """When each of those that are being killed will have gone."""
        self.deployment = ""
        self.version = version()

    def scale(self, instances: int, now: float) -> str:
        """Begins a deployment. The newest go first; those not yet running go at once."""
        self.instances, self.deployment, self.version = instances, str(uuid.uuid4()), version()
        kept, killed = sorted(self.up)[:instances], sorted(self.up)[instances:]
        self.gone += [now + self.stop_s for up in killed if up <= now]
        self.up = kept + [now + self.start_s] * (instances - len(kept))
        self.look(now)
        return self.deployment

    def lose(self, count: int, now: float) -> None:
        """Instances die; Marathon starts others in their place, and needs no deployment for that."""
        self.up = sorted(self.up)[count:] + [now + self.start_s] * count

    def look(self, now: float) -> None:
        self.gone = [gone for gone in self.gone if gone > now]
        if not self.gone and all(up <= now for up in self.up):
            self.deployment = ""

    def running(self, now: float) -> int:
        self.look(now)
        return sum(up <= now for up in self.up) + len(self.gone)

    def shown(self, id: str, now: float) -> dict[str, Any]:
        running = self.running(now)
        return {
            "id": id, "cmd": "sleep 3600", "instances": self.instances, "cpus": 0.1, "mem": 32, "env": {},
            "version": self.version, "tasksStaged": sum(up > now for up in self.up), "tasksRunning": running,
            "tasksHealthy": running, "tasksUnhealthy": 0,
            "deployments": [{"id": self.deployment}] if self.deployment else [],
        }  # fmt: skip


def version() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class FakeMarathon:
    """`user` and `token`: who is let in, if set ("user:password"). `asked` is every request, as
    (method, path, status); `most_asked` the most instances that all apps together have ever had."""

    def __init__(self, start_s: float = 0.05, stop_s: float = 0.05, user: str = "", token: str = "") -> None:
        self.start_s, self.stop_s = start_s, stop_s
        self.user, self.token = user, token
        self.forbidden: set[str] = set()
        self.deployments_allowed = 100
        self.apps: dict[str, App] = {}
        self.asked: list[tuple[str, str, int]] = []
        self.most_asked = 0
        self.lock = threading.Lock()
        self.server = _Server(self)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, args=(0.01,), name="fake Marathon", daemon=True
        )

    def __enter__(self) -> FakeMarathon:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.hang_up()
        self.server.server_close()

    # What a test does to it

    def add(self, id: str, instances: int = 0) -> App:
        with self.lock:
            self.apps[id] = App(instances, self.start_s, self.stop_s)
            self._note()
            return self.apps[id]

    def lose(self, id: str, count: int = 1) -> None:
        with self.lock:
            self.apps[id].lose(count, time.monotonic())

    def lock_app(self, id: str) -> None:
        """Somebody else's deployment, which does not end by itself."""
        with self.lock:
            self.apps[id].deployment = str(uuid.uuid4())
            self.apps[id].gone.append(FOREVER)

    def unlock_app(self, id: str) -> None:
        with self.lock:
            self.apps[id].gone.remove(FOREVER)

    def running(self, id: str) -> int:
        with self.lock:
            return self.apps[id].running(time.monotonic())

    def puts(self, id: str = "") -> list[int]:
        """The statuses of all PUTs, or of those for one app."""
        return [s for m, p, s in list(self.asked) if m == "PUT" and p.removeprefix("/v2/apps").startswith(id)]

    # What it answers

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> dict[str, Any]:
        self._let_in(headers.get("Authorization", ""))
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        path = unquote(parts.path)
        if path.rstrip("/") == "/v2/apps" and method == "GET":
            self._check_embeds(query)
            with self.lock:
                now = time.monotonic()
                return {"apps": [app.shown(id, now) for id, app in self.apps.items()]}
        if not path.startswith("/v2/apps/"):
            raise Refused(404, "URI not found")
        id = path.removeprefix("/v2/apps")
        if method == "PUT":
            if headers.get("Content-Type", "").partition(";")[0] != "application/json":
                raise Refused(415, "Unsupported Media Type")
            return self._put(id, body, query.get("force", ["false"]) == ["true"])
        if method != "GET":
            raise Refused(405, "Method Not Allowed")
        with self.lock:
            if id not in self.apps:
                raise Refused(404, f"App '{id}' does not exist")
            return {"app": self.apps[id].shown(id, time.monotonic())}

    def _let_in(self, authorization: str) -> None:
        """traits.raml, "secured"; "Authorization: token=" is that of DC/OS ("Authentication HTTP API")."""
        allowed = []
        if self.user:
            allowed.append("Basic " + base64.b64encode(self.user.encode()).decode())
        if self.token:
            allowed.append(f"token={self.token}")
        if allowed and authorization not in allowed:
            raise Refused(401, "Invalid username or password.")

    def _check_embeds(self, query: dict[str, list[str]]) -> None:
        for embed in query.get("embed", []):
            if embed.removeprefix("apps.") not in EMBEDS:
                raise Refused(400, f"unknown app embed argument: {embed}")

    def _put(self, id: str, body: bytes, force: bool) -> dict[str, Any]:
        update = _update(id, body)
        with self.lock:
            now = time.monotonic()
            if id in self.forbidden:
                raise Refused(403, "Not Authorized to perform this action!")
            if id not in self.apps:
                raise invalid("/", NEEDS_COMMAND)  # it would create the app, if it were a whole one
            app = self.apps[id]
            app.look(now)
            if app.deployment and not force:
                raise Refused(409, LOCKED, deployments=[{"id": app.deployment}])
            for other in self.apps.values():
                other.look(now)
            if sum(bool(other.deployment) for other in self.apps.values()) >= self.deployments_allowed:
                raise Refused(403, f"Max number ({self.deployments_allowed}) of running deployments reached.")
            deployment = app.scale(update.get("instances", app.instances), now)
            self._note()
            return {"version": app.version, "deploymentId": deployment}

    def _note(self) -> None:
        self.most_asked = max(self.most_asked, sum(app.instances for app in self.apps.values()))


def _update(id: str, body: bytes) -> dict[str, Any]:
    """The definition in the body of a PUT, if it is one."""
    try:
        update = json.loads(body)
    except ValueError as error:
        raise Refused(400, "Invalid JSON", details=str(error)) from None
    if not isinstance(update, dict):
        raise invalid_json("/", "error.expected.jsobject")
    for key in update:
        if key not in FIELDS:
            raise invalid_json(f"/{key}", "error.unknown.field")
    instances = update.get("instances", 0)
    if isinstance(instances, bool) or not isinstance(instances, int):
        raise invalid_json("/instances", "error.expected.jsnumber")
    if instances < 0:
        raise invalid("/instances", f"got {instances}, expected 0 or more")
    if not APP_ID.fullmatch(id):
        raise invalid("/id", f"must fully match regular expression '{APP_ID.pattern}'")
    return update


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def __init__(self, marathon: FakeMarathon) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.marathon = marathon
        self.open: set[socket.socket] = set()

    def hang_up(self) -> None:
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None: ...  # a client that went away


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        marathon, status = self.server.marathon, 200
        try:
            answer = marathon.answer(self.command, self.path, self.headers, body)
        except Refused as refused:
            status, answer = refused.status, refused.body
        marathon.asked.append((self.command, self.path, status))
        self._reply(status, json.dumps(answer).encode(), answer.get("deploymentId", ""))

    do_PUT = do_POST = do_DELETE = do_PATCH = do_GET

    def _reply(self, status: int, body: bytes, deployment: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="Mesosphere"')
        if deployment:
            self.send_header("Marathon-Deployment-Id", deployment)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...
