"""Requests to a Kubernetes API server for deployments (apps/v1), their scale, and leases, each with a total
deadline.

The library builds and signs the requests; the answers are parsed here, because its models refuse unknown
values, and its watch has no deadline and cannot be ended. The form of the answers is described in
Kubernetes' documentation: "Kubernetes API Concepts", "Deployment v1 apps".
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import urllib3

from microscaling.clients.http.client import public_url, reason_of
from microscaling.clients.http.deadline import limit_call, time_left
from microscaling.clients.http.proxies import by_proxy
from microscaling.clients.kubernetes.login import ApiException, client, hang_up, log_in, token_place
from microscaling.errors import UNEXPECTED, ConfigError, PermanentError, TemporaryError
from microscaling.utils.deadline_call import DeadlineCaller
from microscaling.utils.text import one_line, quoted

log = logging.getLogger("mssutils")

CALL_S = 9.0
PAGE = 500
"""Deployments in one answer of a listing."""
WATCH_S = 240
"""Duration of a watch, at the end of which the server closes it."""
SLACK_S = 15.0
"""Time for which a watch may last longer than WATCH_S, before it counts as broken."""
MAX_BYTES = 64 * 2**20
MAX_OF_LINE = 8 * 2**20
MAX_SHOWN = 400
RENEW_EVERY_S = 5.0
NOT_FOUND = 404
GONE = 410

Item = dict[str, Any]
"""An object in the form that the server sent."""


class Refused(PermanentError):
    """The API server has refused a request: `status` is the HTTP status; `delay_s` is the pause that it asks
    for, in seconds, if any."""

    def __init__(self, message: str, status: int, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.delay_s = delay_s


class Watch:
    """An open watch: iterating yields each event as soon as it comes, until the server ends the watch.

    Raises Refused with status 410 if the server has dropped the next events of its history.
    """

    def __init__(self, answer: Any, kube: Kube) -> None:
        self._answer = answer
        self._kube = kube

    def __iter__(self) -> Iterator[tuple[str, Item]]:
        """Yields the type and the object of each event."""
        with self._kube.errors(WATCH_S + SLACK_S):
            for line in _lines(self._answer):
                event = json.loads(line)
                kind, item = str(event["type"]), _object(event["object"])
                if kind == "ERROR":
                    raise self._kube.refused(int(item.get("code") or 500), item)
                yield kind, item

    def end(self) -> None:
        """Ends the iteration at once; may be called from any thread."""
        with contextlib.suppress(Exception):  # it has ended at the same moment
            self._answer.shutdown()

    def close(self) -> None:
        """Closes the connection; only for the iterating thread."""
        self._answer.close()


class Kube:
    """One namespace of one cluster, for several threads at once.

    Its calls raise Refused for a refusal by the server, and TemporaryError for any other failure: then it is
    unknown whether the request was carried out. Refused credentials are read anew, once.
    """

    def __init__(self, config_path: str, namespace: str) -> None:
        """Raises ConfigError if there are no credentials."""
        self.config_path = config_path
        self.namespace = namespace
        self._clients = [log_in(config_path)]
        self._lock = threading.Lock()
        self._renewed = float("-inf")
        self._login = DeadlineCaller("mss-kube-login")

    @property
    def address(self) -> str:
        """The URL of the API server, for logs."""
        return public_url(self._clients[-1].configuration.host)

    def deployments(self) -> tuple[list[Item], str]:
        """Returns all deployments of the namespace, and the resourceVersion of the list."""
        limit_call(CALL_S)
        found: list[Item] = []
        more: str | None = None
        while True:
            options = {"limit": PAGE, **({"_continue": more} if more else {}), **_call_options()}
            page = self._ask(partial(_list, self.namespace, options))
            with self.errors():
                found += _entries(page["items"] or [])
                about = _object(page["metadata"])
                more = about.get("continue")  # the server splits a long list into pages
                if not more:
                    return found, str(about["resourceVersion"])

    def deployment(self, name: str) -> Item:
        """Returns one deployment. Raises Refused with status 404 if there is none."""
        limit_call(CALL_S)
        # A list with one entry, so that the agent's Role need not allow `get`.
        options = {"field_selector": f"metadata.name={name}", **_call_options()}
        page = self._ask(partial(_list, self.namespace, options))
        with self.errors():
            for item in page["items"] or []:
                return _object(item)
        raise Refused(f"namespace {self.namespace} of {self.address} has no deployment {quoted(name)}", 404)

    def scale(self, name: str, replicas: int, until: float | None = None) -> Item:
        """Sets the number of replicas by the `scale` subresource, until then (monotonic seconds; None: within
        CALL_S). Returns its Scale (autoscaling/v1)."""
        limit_call(CALL_S if until is None else until - time.monotonic())
        body = {"spec": {"replicas": replicas}}

        def patch(logged_in: client.ApiClient) -> Any:
            time_left()  # raises: a new login, or a freeze of this process, may have taken all of it
            api = client.AppsV1Api(logged_in)
            return api.patch_namespaced_deployment_scale(name, self.namespace, body, **_call_options())

        return self._ask(patch)

    def lease(self, name: str, until: float) -> Item | None:
        """Returns a lease (coordination.k8s.io/v1), asked for until then; None if there is none."""
        limit_call(until - time.monotonic())
        try:
            return self._ask(
                lambda logged_in: client.CoordinationV1Api(logged_in).read_namespaced_lease(
                    name, self.namespace, **_call_options()
                )
            )
        except Refused as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def write_lease(self, item: Item, until: float, tries: bool = False) -> Item:
        """Replaces a lease at its `metadata.resourceVersion`, or creates it without one; returns the new one.
        `tries`: all is checked, and nothing written. Raises Refused with the status 409 if it has changed, or
        is there already."""
        limit_call(until - time.monotonic())
        name, options = item["metadata"]["name"], _call_options()
        if tries:
            options["dry_run"] = "All"

        def write(logged_in: client.ApiClient) -> Any:
            api = client.CoordinationV1Api(logged_in)
            if "resourceVersion" in item["metadata"]:
                return api.replace_namespaced_lease(name, self.namespace, item, **options)
            return api.create_namespaced_lease(self.namespace, item, **options)

        return self._ask(write)

    def watch(self, version: str) -> Watch:
        """Opens a watch of all changes of deployments after the resourceVersion `version`."""
        limit_call(CALL_S)
        options = {
            "watch": True,
            "resource_version": version,
            "allow_watch_bookmarks": True,
            "timeout_seconds": WATCH_S,
            **_call_options(),
        }
        answer = self._open(partial(_list, self.namespace, options))
        limit_call(WATCH_S + SLACK_S)  # the deadline of the call was for opening it
        return Watch(answer, self)

    def close(self) -> None:
        """Closes the connections that are not in use at the moment."""
        with self._lock:
            for each in self._clients:
                hang_up(each)

    @contextmanager
    def errors(self, deadline_s: float = CALL_S) -> Iterator[None]:
        """Turns errors inside into Refused and TemporaryError: those of the library and of its HTTP client,
        and those of reading an unexpected answer."""
        try:
            yield
        except ApiException as error:
            raise self._problem(error) from None
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            reason = reason_of(error, deadline_s) + by_proxy(self.address)
            raise TemporaryError(f"{self.address}: {reason}") from None
        except UNEXPECTED as error:
            log.debug("%s: unexpected answer: %r", self.address, error)
            raise TemporaryError(f"{self.address}: does not answer as a Kubernetes API server does") from None

    def refused(self, status: int, told: Item, delay_s: float | None = None) -> Refused:
        """Returns the error for a Status object, with the remedy."""
        message = one_line(str(told.get("message") or f"HTTP {status}"))[:MAX_SHOWN]
        if status == 401:
            message = (
                f"{self.address} does not accept the credentials (HTTP 401), as when a token has expired: "
                f"{token_place(self.config_path)}"
            )
        elif status == 403:
            message = f"{message}: the Role of deploy/kubernetes.yaml has the necessary rights"
        return Refused(message, status, delay_s)

    def _ask(self, call: Callable[[client.ApiClient], Any]) -> Item:
        answer = self._open(call)
        try:
            with self.errors():
                return _object(json.loads(_body(answer)))
        finally:
            answer.release_conn()

    def _open(self, call: Callable[[client.ApiClient], Any]) -> Any:
        """Returns the answer to a call, with the body not read yet. Logs in anew after a 401."""
        used = self._clients[-1]
        try:
            with self.errors():
                return call(used)
        except Refused as error:
            if error.status != 401 or not self._renew(used):
                raise
        with self.errors():
            return call(self._clients[-1])

    def _renew(self, used: client.ApiClient) -> bool:
        """Reads the credentials anew, as tokens expire and are replaced. Returns whether to try again."""
        with self._lock:
            if self._clients[-1] is not used:
                return True  # another thread has renewed them meanwhile
            if time.monotonic() - self._renewed < RENEW_EVERY_S:
                return False  # the new ones are refused too
            self._renewed = time.monotonic()
            try:  # with a deadline, as a kubeconfig may name a program to run
                self._clients.append(self._login.call(lambda: log_in(self.config_path), CALL_S))
            except (ConfigError, TimeoutError) as error:
                log.debug("no new credentials: %s", error)
                return False
            hang_up(used)
            del self._clients[:-2]
            return True

    def _problem(self, error: ApiException) -> PermanentError | TemporaryError:
        status = int(error.status or 0)
        told = _status_of(error)
        delay_s = _delay(error, told)
        if 400 <= status < 500 and status != 408:  # a time-out may leave the request carried out
            return self.refused(status, told, delay_s)
        reason = told.get("message") or error.reason or "no answer"
        http_status = f"HTTP {status}: " if status else ""
        return TemporaryError(f"{self.address}: {http_status}{one_line(str(reason))[:MAX_SHOWN]}", delay_s)


def _list(namespace: str, options: dict[str, Any], logged_in: client.ApiClient) -> Any:
    return client.AppsV1Api(logged_in).list_namespaced_deployment(namespace, **options)


def _call_options() -> dict[str, Any]:
    return {"_preload_content": False, "_request_timeout": CALL_S}


def _body(answer: Any) -> bytes:
    body = bytearray()
    while chunk := answer.read(2**16):
        body += chunk
        if len(body) > MAX_BYTES:
            raise ValueError(f"the answer is longer than {MAX_BYTES} bytes")
    return bytes(body)


def _lines(answer: Any) -> Iterator[bytes]:
    """Yields the lines of an endless answer, each as soon as it is complete."""
    begun = bytearray()
    for chunk in answer.stream(None):
        begun += chunk
        # Split only at the end of a line: a long one in many chunks would be searched again and again.
        *lines, rest = begun.split(b"\n") if b"\n" in chunk else [begun]
        begun = bytearray(rest)
        yield from (bytes(line) for line in lines if line.strip())
        if len(begun) > MAX_OF_LINE:
            raise ValueError(f"an event is longer than {MAX_OF_LINE} bytes")


def _object(value: Any) -> Item:
    if isinstance(value, dict):
        return value
    raise TypeError(f"expected an object, got {type(value).__name__}")


def _entries(items: Any) -> list[Item]:
    """Returns the entries of a list. An entry that is no object becomes an empty one, so that the others
    still count; raises TypeError if all are so."""
    objects = [item if isinstance(item, dict) else {} for item in items]
    if objects and not any(objects):
        raise TypeError("expected a list of objects")
    return objects


def _status_of(error: ApiException) -> Item:
    """Returns the Status object in the body of an error; empty if there is none."""
    try:
        return _object(json.loads(error.body or ""))
    except UNEXPECTED:
        return {}


def _delay(error: ApiException, told: Item) -> float | None:
    """Returns the pause that the server asks for, in seconds, at most 60: by the header Retry-After, or by
    the Status object; None if there is none."""
    details = told.get("details")
    named = (error.headers or {}).get("Retry-After")
    if not named and isinstance(details, dict):
        named = details.get("retryAfterSeconds")
    try:
        return min(60.0, max(0.0, float(str(named)))) or None
    except ValueError:
        return None
