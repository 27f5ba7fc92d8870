"""A Kubernetes API server that holds to its documentation, and refuses what the real one would refuse.

From "Kubernetes API Concepts" (verbs, watches, bookmarks, chunked lists, resource versions, patch types),
"Using RBAC Authorization" (rules, and that what no rule allows is forbidden), "Authenticating" (bearer
tokens, anonymous requests), "Managing Service Accounts" (tokens that expire), "Deployment v1 apps" and
"Scale v1 autoscaling". Wording and status codes are those of a real API server of Kubernetes 1.33, which
tests/scheduler/test_kubernetes_real.py asks the same questions if there is one.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.kubernetes_cluster import Cluster, Item
from tests.fakes.kubernetes_http import Handler, Refused, Server
from tests.fakes.kubernetes_leases import GROUP as LEASES
from tests.fakes.kubernetes_leases import Leases

__all__ = ["ACCOUNT", "MANIFEST", "FakeKubernetes", "Refused"]

MANIFEST = Path(__file__).parents[2] / "deploy" / "kubernetes.yaml"
ACCOUNT = "system:serviceaccount:default:microscaling"
PATH = re.compile(r"/apis/(?P<group>apps|coordination\.k8s\.io)/v1/namespaces/(?P<namespace>[^/]+)"
                  r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?")  # fmt: skip
PATCHES = (
    "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
)  # fmt: skip
SUBS = {"", "scale", "status"}
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def invalid(name: str, field: str, value: object, must: str) -> Refused:
    message = f"Invalid value: {value}: {must}"
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": field}]
    told = f'Scale.autoscaling "{name}" is invalid: {field}: {message}'
    return Refused(422, "Invalid", told, name=name, group="autoscaling", kind="Scale", causes=causes)


def not_found(name: str) -> Refused:
    told = f'deployments.apps "{name}" not found'
    return Refused(404, "NotFound", told, name=name, group="apps", kind="deployments")


def rules_of(manifest: Path) -> list[Item]:
    """The rules of the Role in a manifest."""
    yaml = __import__("yaml")
    return [r for o in yaml.safe_load_all(manifest.read_text()) if o["kind"] == "Role" for r in o["rules"]]


class FakeKubernetes:
    """Lets in who has a token of `tokens` (token: user, or user and time.monotonic() of its end), and
    allows what `rules` do, which are those of the manifest in this repository.

    `asked` is every request, as (verb, path, status). `refuse` answers the next requests that a test
    put into it, as (verb, Refused).
    """

    bookmark_every_s = 0.2
    """A real one: about a minute."""

    def __init__(self, start_s: float = 0.05, certificate: tuple[Path, Path] | None = None) -> None:
        self.cluster = Cluster(start_s)
        self.leases = Leases(self.cluster)
        self.rules = rules_of(MANIFEST)
        self.tokens: dict[str, tuple[str, float]] = {"good": (ACCOUNT, float("inf"))}
        self.asked: list[tuple[str, str, int]] = []
        self.refuse: list[tuple[str, Refused]] = []
        self.deaf = False
        """Watches stay open, and tell nothing."""
        self.watches = 0
        """How many are open."""
        self.server = Server(self)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.threads = [
            threading.Thread(target=self.server.serve_forever, args=(0.01,), name="fake Kubernetes"),
            threading.Thread(target=self._control, name="fake controller"),
        ]

    def __enter__(self) -> FakeKubernetes:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.cluster.close()
        for thread in self.threads:
            thread.join()
        self.server.hang_up()
        self.server.server_close()

    def _control(self) -> None:
        while not self.cluster.closing:
            self.cluster.step()
            time.sleep(0.01)

    def kubeconfig(self, path: Path, port: int = 0, token: str = "good") -> str:
        """Writes one that a client can use, with the port of a proxy if there is one between."""
        server = f"http://127.0.0.1:{port or self.port}"
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }  # fmt: skip
        path.write_text(json.dumps(config))
        return str(path)

    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.asked]

    # What a request goes through: authentication, authorization, what was asked for

    def answer(self, handler: Handler) -> Item | None:
        """The body of the answer; None: it has been given."""
        split = urlsplit(handler.path)
        if not split.path.startswith(("/apis/apps/v1/", f"/apis/{LEASES}/v1/")):
            handler.code = 404
            return handler.reply(404, b"404 page not found\n", "text/plain; charset=utf-8")
        options = {key: values[-1] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
        part = PATH.fullmatch(split.path)
        handler.verb = verb = _verb(handler.command, part, options)
        user = self._user(handler.headers.get("Authorization"))
        group, space, resource, name, sub = _parts(part)
        self._authorize(user, verb, group, space, resource, name, sub)
        for expected, refusal in self.refuse:
            if expected == verb:
                self.refuse.remove((expected, refusal))
                raise refusal
        if (group, resource, sub) == (LEASES, "leases", ""):
            handler.code = 201 if verb == "create" else 200
            return self.leases.answer(verb, space, name, handler.body, options)
        if part is None or (group, resource) != ("apps", "deployments") or sub not in SUBS:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        if verb == "patch" and sub == "scale":
            return self._patch(space, name, handler)
        if verb == "get":
            item = self.cluster.get(space, name)
            if item is None:
                raise not_found(name)
            return _scale_of(item) if sub == "scale" else _typed(item)
        if verb in ("list", "watch"):
            return _Reader(self, handler, space, options).answer(verb)
        raise Refused(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
        )

    def _user(self, header: str | None) -> str:
        if not header:
            return "system:anonymous"
        kind, _, token = header.partition(" ")
        user, until = self.tokens.get(token.strip(), ("", 0.0))
        if kind.lower() != "bearer" or not user or time.monotonic() >= until:
            raise Refused(401, "Unauthorized", "Unauthorized")
        return user

    def _authorize(
        self, user: str, verb: str, group: str, space: str, resource: str, name: str, sub: str
    ) -> None:
        full = f"{resource}/{sub}" if sub else resource
        for rule in self.rules if user == ACCOUNT else []:
            named = rule.get("resourceNames")
            if (
                space == "default" and group in rule["apiGroups"] and full in rule["resources"]
                and verb in rule["verbs"] and (not named or name in named)
            ):  # fmt: skip
                return
        told = f'cannot {verb} resource "{full}" in API group "{group}" in the namespace "{space}"'
        which = f'{resource}.{group} "{name}"' if name else f"{resource}.{group}"
        details = {"name": name} if name else {}
        message = f'{which} is forbidden: User "{user}" {told}'
        raise Refused(403, "Forbidden", message, group=group, kind=resource, **details)

    def _patch(self, space: str, name: str, handler: Handler) -> Item:
        patch, kind = handler.body, handler.headers.get("Content-Type", "").partition(";")[0]
        if kind not in PATCHES:
            raise Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type")
        try:
            patch = json.loads(patch)
        except ValueError:
            raise Refused(400, "BadRequest", "error decoding patch: unexpected end of JSON input") from None
        if isinstance(patch, list) != (kind == PATCHES[0]):
            raise Refused(400, "BadRequest", "error decoding patch: json: cannot unmarshal")
        with self.cluster.lock:
            item = self.cluster.get(space, name)
            if item is None:
                raise not_found(name)
            wanted = _patched(_scale_of(item), patch)
            replicas = wanted["spec"].get("replicas", 0)
            if not isinstance(replicas, int) or isinstance(replicas, bool):
                raise Refused(422, "Invalid", f' "" is invalid: patch: Invalid value: {json.dumps(wanted)}')
            if wanted["metadata"].get("resourceVersion") != item["metadata"]["resourceVersion"]:
                told = f'Operation cannot be fulfilled on deployments.apps "{name}": {MODIFIED}'
                raise Refused(409, "Conflict", told, name=name, group="apps", kind="deployments")
            if replicas < 0:
                raise invalid(name, "spec.replicas", replicas, "must be greater than or equal to 0")
            return _scale_of(self.cluster.scale(name, replicas, space).item)


def _parts(part: re.Match[str] | None) -> tuple[str, str, str, str, str]:
    found = part.groupdict("") if part else {}
    names = ("group", "namespace", "resource", "name", "sub")
    group, space, resource, name, sub = (unquote(found.get(key, "")) for key in names)
    return group, space, resource, name, sub


def _verb(method: str, part: re.Match[str] | None, options: dict[str, str]) -> str:
    """The verbs of "Authorization Overview", Determine the Request Verb."""
    if method == "GET":
        if part and part["name"]:
            return "get"
        return "watch" if _yes(options, "watch") else "list"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, method)


def _yes(options: dict[str, str], option: str) -> bool:
    """As the real one reads it: whatever is not false or 0."""
    return option in options and options[option].lower() not in ("false", "0")


def _typed(item: Item) -> Item:
    return {"kind": "Deployment", "apiVersion": "apps/v1", **item}


def _scale_of(item: Item) -> Item:
    about = {k: v for k, v in item["metadata"].items() if k not in ("annotations", "generation")}
    return {
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": about,
        "spec": {"replicas": item["spec"]["replicas"]} if item["spec"]["replicas"] else {},
        "status": {"replicas": item["status"].get("replicas", 0), "selector": f"app={about['name']}"},
    }  # fmt: skip


def _patched(scale: Item, patch: Any) -> Item:
    """JSON Patch (RFC 6902) of spec/replicas, or JSON Merge Patch (RFC 7386); for what is no list the
    strategic one is the same."""
    if isinstance(patch, list):
        for step in patch:
            if step.get("op") not in ("add", "replace") or step.get("path") != "/spec/replicas":
                raise Refused(
                    422, "Invalid", "the server rejected our request due to an error in our request"
                )
            scale["spec"]["replicas"] = step["value"]
        return scale
    for key, value in patch.items():
        if value is None:
            scale.pop(key, None)
        elif isinstance(value, dict) and isinstance(scale.get(key), dict):
            _patched(scale[key], value)
        else:
            scale[key] = value
    return scale


class _Reader:
    """Lists and watches."""

    def __init__(self, fake: FakeKubernetes, handler: Handler, space: str, options: dict[str, str]) -> None:
        self.fake, self.handler, self.space, self.options = fake, handler, space, options
        self.cluster = fake.cluster

    def answer(self, verb: str) -> Item | None:
        return self._list() if verb == "list" else self._watch()

    def _number(self, option: str, default: int) -> int:
        try:
            return int(self.options.get(option) or default)
        except ValueError:
            value = self.options[option]
            told = f'strconv.ParseInt: parsing "{value}": invalid syntax'
            raise Refused(400, "BadRequest", told) from None

    def _list(self) -> Item:
        """A list in chunks is of one version, that of its first chunk ("Retrieving large results sets in
        chunks"); this one knows no older version than now, so a change in between is 410."""
        limit = self._number("limit", 0)
        if (asked := self._number("resourceVersion", 0)) > self.cluster.version:
            cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            told = f"Timeout: Too large resource version: {asked}, current: {self.cluster.version}"
            raise Refused(504, "Timeout", told, causes=[cause], retryAfterSeconds=1)
        items, version = self.cluster.listed(self.space)
        begin = 0
        if token := self.options.get("continue"):
            at, _, place = token.partition(".")
            if not place.isdigit():
                raise Refused(400, "BadRequest", "invalid continue token: continue key is not valid")
            if int(at) <= self.cluster.floor and int(at) < version:
                raise Refused(410, "Expired", "The provided continue parameter is too old to display a "
                              "consistent list result.")  # fmt: skip
            begin = int(place)
        if selector := self.options.get("fieldSelector"):
            field, _, value = selector.partition("=")
            if field not in ("metadata.name", "metadata.namespace"):
                known = 'only "metadata.name", "metadata.namespace"'
                raise Refused(400, "BadRequest", f'"{field}" is not a known field selector: {known}')
            items = [item for item in items if item["metadata"][field.removeprefix("metadata.")] == value]
        about: Item = {"resourceVersion": str(version)}
        if limit and begin + limit < len(items):
            about |= {"continue": f"{version}.{begin + limit}"}
            about["remainingItemCount"] = len(items) - begin - limit
        some = items[begin : begin + limit] if limit else items
        return {"kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": about, "items": some}

    def _watch(self) -> None:
        until = time.monotonic() + (self._number("timeoutSeconds", 0) or 1800)
        given = self.options.get("resourceVersion", "")
        if given and not given.isdigit():
            raise Refused(500, "", f'resourceVersion: Invalid value: "{given}": strconv.ParseUint')
        bookmarks = _yes(self.options, "allowWatchBookmarks")
        self.handler.begin_stream()
        self.fake.asked.append(("watch", urlsplit(self.handler.path).path, 200))
        self.fake.watches += 1
        try:
            with contextlib.suppress(OSError):
                self._tell(int(given or 0), until, bookmarks)
                self.handler.end_stream()
        finally:
            self.fake.watches -= 1

    def _tell(self, version: int, until: float, bookmarks: bool) -> None:
        """Without a version, or with 0, it begins with what there is ("Semantics for watch")."""
        if version == 0:
            items, version = self.cluster.listed(self.space)
            for item in items:
                self._event("ADDED", _typed(item))
        elif version < self.cluster.floor:
            told = f"too old resource version: {version} ({self.cluster.floor})"
            return self._event("ERROR", Refused(410, "Expired", told).body)
        marked = time.monotonic()
        while time.monotonic() < until and not self.cluster.closing:
            due = marked + self.fake.bookmark_every_s
            wake = lambda due=due: time.monotonic() >= due or self.handler.gone  # noqa: E731
            came_to, news = self.cluster.after(version, self.space, until, wake)
            if self.handler.gone:
                return None
            if self.fake.deaf:
                time.sleep(0.01)
                continue
            version = came_to
            for kind, item in news:
                self._event(kind, _typed(item))
            if bookmarks and time.monotonic() >= due:
                marked = time.monotonic()
                about = {"resourceVersion": str(version), "creationTimestamp": None}
                self._event("BOOKMARK", {**_typed({"metadata": about}), "spec": {}, "status": {}})
        return None

    def _event(self, kind: str, item: Item) -> None:
        self.handler.chunk(json.dumps({"type": kind, "object": item}).encode() + b"\n")
