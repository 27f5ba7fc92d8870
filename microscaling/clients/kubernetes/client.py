"""Asking a Kubernetes API server for deployments (apps/v1) and for their scale, each call within a
deadline that the server cannot defeat.

The library builds and signs the requests; what comes back is read here, as it came. Its models refuse
whatever they do not know, and its watch neither ends when told to nor has a deadline. What the server
may answer is described in Kubernetes' documentation: "Kubernetes API Concepts", "Deployment v1 apps".
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
from microscaling.clients.http.deadline import limit_call
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
"""After so long the server ends a watch."""
SLACK_S = 15.0
"""What a watch may take longer than the server was told that it takes."""
MAX_BYTES = 64 * 2**20
MAX_OF_LINE = 8 * 2**20
MAX_SHOWN = 400
RENEW_EVERY_S = 5.0
GONE = 410

Item = dict[str, Any]
"""An object as the server wrote it."""


class Refused(PermanentError):
    """The API server has understood, and says no: `status` is the HTTP status; `delay_s` says how many
    seconds it wants to be left alone, if it does."""

    def __init__(self, message: str, status: int, delay_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.delay_s = delay_s


class Watch:
    """An open watch: iterating yields an event as soon as it comes, until the server ends the watch.

    Raises Refused with status 410 when what was to come next is not kept any more.
    """

    def __init__(self, answer: Any, kube: Kube) -> None:
        self._answer = answer
        self._kube = kube

    def __iter__(self) -> Iterator[tuple[str, Item]]:
        """The type of the event, and its object."""
        with self._kube.errors(WATCH_S + SLACK_S):
            for line in _lines(self._answer):
                event = json.loads(line)
                kind, item = str(event["type"]), _object(event["object"])
                if kind == "ERROR":
                    raise self._kube.refused(int(item.get("code") or 500), item)
                yield kind, item

    def end(self) -> None:
        """From any thread: whoever iterates comes to an end at once."""
        with contextlib.suppress(Exception):  # it has ended at the same moment
            self._answer.shutdown()

    def close(self) -> None:
        """By the thread that iterates."""
        self._answer.close()


class Kube:
    """One namespace of one cluster. May be asked from several threads at once.

    Raises Refused for what the server refuses, TemporaryError for all else that goes wrong: then it is
    not known whether anything was done. Credentials that are refused are read anew, once.
    """

    def __init__(self, config_path: str, namespace: str) -> None:
        """Raises ConfigError if there are no credentials to be had."""
        self.config_path = config_path
        self.namespace = namespace
        self._clients = [log_in(config_path)]
        self._lock = threading.Lock()
        self._renewed = float("-inf")
        self._login = DeadlineCaller("mss-kube-login")

    @property
    def address(self) -> str:
        return public_url(self._clients[-1].configuration.host)

    def deployments(self) -> tuple[list[Item], str]:
        """All deployments of the namespace, and the version of that answer."""
        limit_call(CALL_S)
        found: list[Item] = []
        more: str | None = None
        while True:
            options = {"limit": PAGE, **({"_continue": more} if more else {}), **_call_options()}
            page = self._ask(partial(_list, self.namespace, options))
            with self.errors():
                found += _entries(page["items"] or [])
                about = _object(page["metadata"])
                more = about.get("continue")
                if not more:
                    return found, str(about["resourceVersion"])

    def deployment(self, name: str) -> Item:
        """One deployment. Asks for a list, so that no right to `get` is needed."""
        limit_call(CALL_S)
        options = {"field_selector": f"metadata.name={name}", **_call_options()}
        page = self._ask(partial(_list, self.namespace, options))
        with self.errors():
            for item in page["items"] or []:
                return _object(item)
        raise Refused(f"namespace {self.namespace} of {self.address} has no deployment {quoted(name)}", 404)

    def scale(self, name: str, replicas: int) -> Item:
        """Sets the number of replicas by the `scale` subresource, which answers with a Scale of
        autoscaling/v1."""
        limit_call(CALL_S)
        body = {"spec": {"replicas": replicas}}
        return self._ask(
            lambda api: api.patch_namespaced_deployment_scale(name, self.namespace, body, **_call_options())
        )

    def watch(self, version: str) -> Watch:
        """Opens a watch of all that happens to deployments after `version`."""
        limit_call(CALL_S)
        options = {
            "watch": True,
            "resource_version": version,
            "allow_watch_bookmarks": True,
            "timeout_seconds": WATCH_S,
            **_call_options(),
        }
        answer = self._open(partial(_list, self.namespace, options))
        limit_call(WATCH_S + SLACK_S)
        return Watch(answer, self)

    def close(self) -> None:
        """Closes the connections that nobody is using just now."""
        with self._lock:
            for each in self._clients:
                hang_up(each)

    @contextmanager
    def errors(self, deadline_s: float = CALL_S) -> Iterator[None]:
        """Makes ours of what the library, and what it stands on, raise, and of what looking into an
        answer raises that is not as it should be."""
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
        """What a Status object says, and what to do about it."""
        message = one_line(str(told.get("message") or f"HTTP {status}"))[:MAX_SHOWN]
        if status == 401:
            message = (
                f"{self.address} does not accept the credentials (HTTP 401), as when a token has expired: "
                f"{token_place(self.config_path)}"
            )
        elif status == 403:
            message = f"{message}: what is to be allowed is in the Role of deploy/kubernetes.yaml"
        return Refused(message, status, delay_s)

    def _ask(self, call: Callable[[Any], Any]) -> Item:
        answer = self._open(call)
        try:
            with self.errors():
                return _object(json.loads(_body(answer)))
        finally:
            answer.release_conn()

    def _open(self, call: Callable[[Any], Any]) -> Any:
        """The answer to a call, its body not read yet."""
        used = self._clients[-1]
        try:
            with self.errors():
                return call(client.AppsV1Api(used))
        except Refused as error:
            if error.status != 401 or not self._renew(used):
                raise
        with self.errors():
            return call(client.AppsV1Api(self._clients[-1]))

    def _renew(self, used: client.ApiClient) -> bool:
        """Reads the credentials anew: tokens are replaced long before, and often after, they expire.
        Returns whether there is anything to try."""
        with self._lock:
            if self._clients[-1] is not used:
                return True
            if time.monotonic() - self._renewed < RENEW_EVERY_S:
                return False
            self._renewed = time.monotonic()
            try:  # a kubeconfig may name a program to ask
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
        if 400 <= status < 500 and status != 408:
            return self.refused(status, told, delay_s)
        reason = told.get("message") or error.reason or "no answer"
        http_status = f"HTTP {status}: " if status else ""
        return TemporaryError(f"{self.address}: {http_status}{one_line(str(reason))[:MAX_SHOWN]}", delay_s)


def _list(namespace: str, options: dict[str, Any], api: Any) -> Any:
    return api.list_namespaced_deployment(namespace, **options)


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
    """The lines of an answer without end, each as soon as it is complete."""
    begun = bytearray()
    for chunk in answer.stream(None):
        begun += chunk
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
    """One that is no object is an entry that says nothing: the others count all the same."""
    objects = [item if isinstance(item, dict) else {} for item in items]
    if objects and not any(objects):
        raise TypeError("expected a list of objects")
    return objects


def _status_of(error: ApiException) -> Item:
    """The Status object that should come with an error."""
    try:
        return _object(json.loads(error.body or ""))
    except UNEXPECTED:
        return {}


def _delay(error: ApiException, told: Item) -> float | None:
    """How long the server wants to be left alone: header Retry-After, or what its Status says."""
    details = told.get("details")
    named = (error.headers or {}).get("Retry-After")
    if not named and isinstance(details, dict):
        named = details.get("retryAfterSeconds")
    try:
        return min(60.0, max(0.0, float(str(named)))) or None
    except ValueError:
        return None
