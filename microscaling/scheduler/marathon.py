"""Marathon: scales the instances of its apps through its REST API.

`GET /v2/apps/` lists all apps, `PUT /v2/apps/ID` with `{"instances": n}` scales one. Scaling starts a
deployment, which locks the app until its end: another PUT is answered with 409 meanwhile. (Marathon's
documentation: "REST API", apps and their parameter `force`, which is not used here.)
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from microscaling.clients.http.client import Answer, Client, FetchError, public_url
from microscaling.demand.task import Task
from microscaling.errors import ConfigError, PermanentError, TemporaryError
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.scheduler.replicas.orchestrator import (
    Conflict,
    Found,
    Orchestrator,
    OrchestratorScheduler,
    Replicas,
)
from microscaling.settings import Settings
from microscaling.utils.text import quoted
from microscaling.utils.urls import check_url

log = logging.getLogger("mssscheduler")

DEADLINE_S = 5.0
MAX_BYTES = 64 * 2**20
"""The list contains the whole definition of every app."""
FORM = "the address of Marathon, such as http://host:8080"
MAX_INSTANCES = 2**31 - 1
PASSES = (408, 425, 429)
"""Statuses of 4xx that are temporary."""
CREDENTIALS = (
    "set MSS_MARATHON_API to http://user:password@host:port, or MSS_MARATHON_TOKEN to a token of DC/OS"
)


class Marathon(Orchestrator):
    """One Marathon. A task is the app of its name; "team/app" and "/team/app" are the same.

    `address` is the URL in front of `/v2/apps`, with user and password if Marathon requires them; `token`, if
    set, is sent in their place. Raises ConfigError for an invalid URL.
    """

    what = "app"

    def __init__(  # nosec B107  # without a token there is none
        self, address: str, token: str = "", deadline_s: float = DEADLINE_S
    ) -> None:
        base = _base(address)
        # A token replaces the user and password of the URL.
        self.url = f"{public_url(base) if token else base}/v2/apps/"
        self.name = f"Marathon at {public_url(base)}"
        self.headers = {"Accept": "application/json"}
        if token:
            self.headers["Authorization"] = f"token={token}"
        self.deadline_s = deadline_s
        self._tasks: dict[str, str] = {}
        self._clients: list[Client] = []
        """Idle clients: each may be used by one thread at a time."""
        self._closed = False
        self._odd = False
        """True if the last list had entries without an id."""

    def prepare(self, task: Task) -> None:
        other = self._tasks.setdefault(_app_id(task.name), task.name)
        if other != task.name:
            raise PermanentError(f"is the same app as the task {other}, so it is left alone")

    def read(self, names: Sequence[str]) -> Mapping[str, Found]:
        answer = self._ask("GET", self.url)
        if answer.status != 200:
            raise self._error(self.url, answer)
        try:
            return self._found(json.loads(answer.body)["apps"], names)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"
            raise TemporaryError(f"{public_url(self.url)}: not Marathon's list of apps ({why:.80})") from None

    def scale(self, name: str, instances: int) -> None:
        url = self.url + quote(_app_id(name)[1:])
        body = json.dumps({"instances": instances}).encode()
        answer = self._ask("PUT", url, {"Content-Type": "application/json"}, body)
        if answer.status != 200:
            raise self._error(url, answer)
        # Another service at this address may answer with 200 as well.
        if answer.body and not isinstance(_parsed(answer.body), dict):
            said = quoted(answer.body.decode("utf-8", "replace"))
            raise TemporaryError(f"{public_url(url)}: that is not Marathon's answer: {said}")

    def close(self) -> None:
        self._closed = True
        while self._clients:
            self._clients.pop().close()

    def _found(self, listed: Iterable[Any], names: Sequence[str]) -> dict[str, Found]:
        """Returns the state of these tasks' apps. Raises ValueError, LookupError or TypeError if nothing in
        the list can be read."""
        # An invalid entry affects only its own task: the others can still be scaled.
        apps = {app["id"]: app for app in listed if _has_id(app)}
        without_id = sum(1 for app in listed if not _has_id(app))
        if without_id and not apps:
            raise ValueError("no entry has an id")
        if without_id and not self._odd:
            log.warning("%s: %d entries of its list have no id: they are skipped", self.name, without_id)
        self._odd = bool(without_id)
        found: dict[str, Found] = {}
        errors: list[Exception] = []
        for name in names:
            app = apps.get(_app_id(name))
            if app is None and without_id:
                found[name] = PermanentError("it is not in the list of apps, or only in an entry without id")
            elif app is not None:
                try:
                    found[name] = _count(app)
                except (ValueError, LookupError, TypeError) as error:
                    errors.append(error)
                    why = f"{type(error).__name__}: {error}"
                    found[name] = PermanentError(
                        f"{self.name}: cannot be read in the list of apps ({why:.80})"
                    )
        if errors and not any(isinstance(one, Replicas) for one in found.values()):
            raise errors[0]
        return found

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        try:
            client = self._clients.pop()
        except IndexError:
            client = Client(self.deadline_s, MAX_BYTES)
        try:
            return client.ask(method, url, {**self.headers, **(headers or {})}, body)
        finally:
            if self._closed:  # while this call was under way
                client.close()
            else:
                self._clients.append(client)

    def _error(self, url: str, answer: Answer) -> TemporaryError | PermanentError:
        """Converts an answer other than 200 to an exception."""
        status = answer.status
        said = _message(answer.body)
        text = f"{public_url(url)}: HTTP {status}" + (f", {said}" if said else "")
        # 403 with this text: Marathon has its maximum of deployments at the moment.
        if status == 409 or (status == 403 and "running deployments" in said):
            return Conflict(text)
        if status == 401:
            return PermanentError(f"{text}; {CREDENTIALS}")
        if status == 403:
            return PermanentError(f"{text}; the user or token of the agent may not do this")
        if 300 <= status < 500 and status not in PASSES:
            hint = "" if said else "; is this the address of Marathon?"
            return PermanentError(text + hint)
        return FetchError(text, status)


def _base(address: str) -> str:
    base = (address if "://" in address else f"http://{address}").rstrip("/")
    try:
        check_url(base, ("http", "https"), FORM)
        if "?" in base:
            raise ConfigError(f"expected {FORM}")
    except ConfigError as error:
        raise ConfigError(f"MSS_MARATHON_API: {error}") from None
    return base


def _app_id(name: str) -> str:
    return "/" + name.strip("/")


def _has_id(app: Any) -> bool:
    return isinstance(app, dict) and isinstance(app.get("id"), str)


def _count(app: Mapping[str, Any]) -> Replicas:
    return Replicas(_whole(app, "instances"), _whole(app, "tasksRunning"), bool(app.get("deployments")))


def _whole(app: Mapping[str, Any], key: str) -> int:
    value = app[key]
    if type(value) is not int or not 0 <= value <= MAX_INSTANCES:
        raise ValueError(f"{key} of {app['id']} is {value!r:.40}")
    return value


def _message(body: bytes) -> str:
    """Returns Marathon's error text with its details, in one line."""
    answer = _parsed(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("message"), str):
        return ""
    details = answer.get("details")
    more = "" if details is None else f" ({json.dumps(details)})"
    return quoted(answer["message"] + more)[1:-1]


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns a scheduler for the apps of one Marathon. Raises ConfigError."""
    return OrchestratorScheduler(Marathon(settings.marathon_api, settings.marathon_token))


TYPE = SchedulerPlugin("MARATHON", "apps", make)
