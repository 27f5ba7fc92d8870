"""A Docker engine as the backend of containers."""

from __future__ import annotations

import builtins
import contextlib
import logging
import math
import os
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import (
    APIError,
    ImageNotFound,
    NotFound,
)

from microscaling.clients.docker.client import connect
from microscaling.clients.docker.images import fetch, has, is_id, pull
from microscaling.demand.drain import Activity, Busy, Call
from microscaling.demand.task import Task
from microscaling.errors import NotReady, PermanentError, TemporaryError
from microscaling.scheduler.containers.agent_id import Agent, AgentId
from microscaling.scheduler.containers.backend import (
    Backend,
    Event,
    ListedContainer,
    Missing,
    Origin,
)
from microscaling.scheduler.docker.body import LABEL, create_body
from microscaling.scheduler.docker.calls import (
    CALL_TIMEOUT_S,
    NOT_PAUSED,
    asking,
    errors,
    is_taken,
    look_at_status,
    messages,
)
from microscaling.scheduler.docker.entries import PODMAN_KINDS, Entries, text_of
from microscaling.scheduler.docker.looks import DockerLooks
from microscaling.scheduler.docker.names import DockerNames, Names, has_all
from microscaling.scheduler.docker.numbers import Numbers, name_of
from microscaling.scheduler.docker.readiness import is_ready

if TYPE_CHECKING:
    from docker.types.daemon import CancellableStream

log = logging.getLogger("mssscheduler")

PULL_TIMEOUT_S = 60
"""Longest pause between two messages of progress."""
LAST_LINES, LAST_CHARACTERS = 5, 1000
KINDS = ("create", "start", "kill", "die", "destroy", "pause", "unpause")
MAX_TRIES = 500
"""Most names that are tried for one container; a refusal takes the engine 1 or 2 ms."""
DEFAULT_HOST = "unix:///var/run/docker.sock"
ORIGINS = {
    Agent.ME: Origin.EARLIER,
    Agent.LIVES: Origin.LIVES,
    Agent.ENDED: Origin.ENDED,
    Agent.UNKNOWN: Origin.OTHER,
}


class DockerBackend(Backend):
    """One engine, through the library's low-level client."""

    name = "Docker engine"
    kinds: tuple[str, ...] = KINDS
    """The kinds of events to ask for."""

    def __init__(
        self,
        host: str,
        tls_verify: bool = False,
        cert_path: str = "",
        pull_images: bool = True,
        agent: AgentId | None = None,
        chosen: str = "",
    ) -> None:
        self.host = host
        self.tls_verify = tls_verify
        self.cert_path = cert_path
        self.pull_images = pull_images
        self.agent = agent
        """Identifies this agent on its containers; None: they get no agent's id."""
        self.chosen = chosen
        """How the engine was chosen, for errors."""
        self._looks = DockerLooks(self._client_now)
        self._names = DockerNames(self._client_now, self._names_file)
        self._entries = Entries()
        self._numbers = Numbers()
        self._version = ""
        """The version of the engine's API; empty if unknown."""
        self._client: docker.APIClient | None = None
        self._stream: CancellableStream[Any] | None = None
        self._lock = threading.Lock()
        self._connecting = threading.Lock()

    def begin(self, tasks: Sequence[str]) -> None:
        if self.agent is not None:
            self.agent.take(tasks)
            if self.agent.problem:
                log.info(
                    "MSS_STATE_DIR: %s; so the next agent cannot tell the containers of this one from those "
                    "of others", self.agent.problem,
                )  # fmt: skip

    def origins(self, seen: Sequence[ListedContainer]) -> builtins.list[Origin]:
        """Determines the agents that made these containers, by label and nonce."""
        # Before there was a label for it, an agent's id was the first part of the nonce.
        ids = [one.agent or one.nonce.rpartition("-")[0] or one.nonce for one in seen]
        if self.agent is None:
            return [Origin.OTHER if id else Origin.UNSIGNED for id in ids]
        known, theirs = self.agent.look(filter(None, ids))
        origins = {**ORIGINS, Agent.ME: Origin.UNSURE} if theirs is None else ORIGINS
        return [
            Origin.UNSIGNED if not id else Origin.LIVES if one.task in (theirs or ()) else origins[known[id]]
            for one, id in zip(seen, ids, strict=True)
        ]

    def end_command(self, task: str, seen: Sequence[ListedContainer]) -> str:
        docker = "docker" if self.host == DEFAULT_HOST else f"docker -H {shlex.quote(self.host)}"
        chosen = shlex.quote(f"label={LABEL}={task}")
        return f"{docker} rm -f $({docker} ps -aq --filter {chosen})"

    def prepare(self, task: Task) -> None:
        self._names.used = self._names.used or task.web is not None
        if not task.image:
            raise PermanentError("it has no image: set config.image of this app")
        if not self._has(task.image):
            raise self._missing(task.image, "is not on this engine")

    def refreshes(self, task: Task) -> bool:
        return self.pull_images and not is_id(task.image)

    def refresh(self, task: Task) -> None:
        with self._pulling() as client:
            pull(client, task.image)

    def supply(self, task: Task) -> None:
        try:
            if self._has(task.image):
                return
        except PermanentError:  # a proxy may forbid the question: the next create shows it
            if not self.pull_images:
                return
        # An id is not pulled: a registry would take it for a name, which may be another image.
        if not self.pull_images or is_id(task.image):
            raise TemporaryError("")
        with self._pulling() as client:
            fetch(client, task.image)

    def create(self, task: Task, nonce: str) -> str:
        try:
            return self._create(task, nonce)
        except PermanentError as error:
            if not self._is_missing(task.image, error.__cause__):
                raise
            raise self._missing(task.image, "is no longer on this engine") from error

    def _create(self, task: Task, nonce: str) -> str:
        with errors():
            client = self._client_now()
            id = self._create_named(client, task, nonce)
            try:
                for network in task.container.networks[1:]:
                    client.connect_container_to_network(id, network)
            except Exception:  # incomplete, and its id would be lost with the error
                with contextlib.suppress(PermanentError, TemporaryError):
                    self.remove(id)
                raise
            return id

    def _create_named(self, client: docker.APIClient, task: Task, nonce: str) -> str:
        """Creates a container with the lowest number that is free, and whose name is; returns its id."""
        number, tries, id = 0, 0, ""
        while not id:
            number, tries = self._numbers.take(task.name, above=number), tries + 1
            body = create_body(task, nonce, self.agent.id if self.agent else "", number)
            try:
                answer = client.create_container_from_config(  # type: ignore[no-untyped-call]
                    body, name_of(task.name, number)
                )
                id = text_of(answer["Id"])
            except APIError as error:
                if not is_taken(error) or tries >= MAX_TRIES:
                    raise
            finally:
                self._numbers.created(task.name, number, id)
        return id

    def start(self, id: str) -> None:
        # An exchange of names under way has left an address that this one would get.
        with self._names.starting(), errors():
            self._client_now().start(id)

    def stop(self, id: str, grace_s: float) -> None:
        with errors(done=(304, 404, 409)):
            self._client_now().stop(id, timeout=math.ceil(grace_s))

    def remove(self, id: str) -> None:
        with errors(done=(404, 409)):
            self._client_now().remove_container(id, v=True, force=True)
        self._numbers.removed(id)
        if self._names.used:
            self._names.file.drop(id)

    def drain_file(self) -> str:
        if self.agent is None or self.agent.problem or not self.agent.id:
            return ""
        return os.path.join(self.agent.folder, f"drains-{self.agent.id}")

    def give_name(self, task: Task, id: str, up_s: float, keep: bool) -> str:
        with errors():
            inspected = self._client_now().inspect_container(id)
            names = self._names_of(task, inspected)
            # One that has lost its names was ready before, and may be in the midst of requests.
            keep = keep or self._names.file.get(id) is not None
            after_s = task.web.list_after_s if task.web is not None else None
            if not (keep or has_all(inspected, names) or is_ready(inspected, up_s, after_s)):
                raise NotReady("it takes no requests yet")
            return self._names.give(inspected, names, keep)

    def take_name(self, task: Task, id: str) -> None:
        with errors():
            inspected = self._client_now().inspect_container(id)
            self._names.take(inspected, self._names_of(task, inspected), wishes=not self.is_others(id))

    @property
    def owes_networks(self) -> bool:
        return self._names.owes

    def _names_of(self, task: Task, inspected: Mapping[str, Any]) -> Names:
        """Returns the connections of a container with all its names."""
        mine = task.web.networks if task.web is not None and task.web.networks else task.container.networks
        return {network: {"Aliases": [task.name]} for network in mine}

    def _names_file(self) -> str:
        path = self.drain_file()
        return os.path.join(os.path.dirname(path), f"names-{os.path.basename(path)[7:]}") if path else ""

    def look(self, task: Task, busy: Busy, ids: Sequence[str]) -> Mapping[str, Activity]:
        return self._looks.look(task, busy, ids)

    def signal(self, id: str, name: str) -> None:
        with errors(done=(404, 409)):
            self._client_now().kill(id, f"SIG{name}")

    def freeze(self, id: str) -> None:
        with self._call(id, "freeze"), errors(done=(404, 409)):
            self._client_now().pause(id)

    def thaw(self, id: str) -> None:
        with self._call(id, "thaw"), errors(done=(404, 409), said_done=NOT_PAUSED):
            self._client_now().unpause(id)

    def check_ready(self, task: Task, id: str) -> None:
        if task.warm is not None:
            self._looks.check_ready(task.warm, id)

    def say_go(self, task: Task, id: str) -> None:
        if task.warm is not None and task.warm.file:
            self._looks.put_file(task.warm.file, id)
        elif task.warm is not None and task.warm.signal:
            self.signal(id, task.warm.signal)

    def memory(self, id: str) -> int:
        return self._looks.memory(id)

    def _call(self, id: str, call: str) -> AbstractContextManager[None]:
        """Hook around a call whose events are the agent's own."""
        return contextlib.nullcontext()

    def call(self, task: Task, id: str, call: Call) -> None:
        self._looks.call(task, id, call)

    def last_log_lines(self, id: str) -> str:
        try:
            with errors():
                output = self._client_now().logs(id, tail=LAST_LINES)
        except (PermanentError, TemporaryError) as error:
            log.debug("no log lines of %s: %s", id[:12], error)
            return ""
        return str(output.decode("utf-8", "replace"))[-LAST_CHARACTERS:]

    def list(self) -> list[ListedContainer]:
        asked = self._numbers.ask()
        self._names.repair()
        with asking():
            found = self._entries.listed(self._client_now().containers(all=True, filters={"label": LABEL}))
        self._numbers.listed(asked, found)
        return found

    def watch(self, ready: Callable[[], None], on_event: Callable[[Event], None]) -> None:
        # Not by label: the filter of Podman 4 takes no label without its value, and then matches nothing.
        filters = {"type": "container", "event": [*self.kinds, *PODMAN_KINDS]}
        with asking():
            # Asked for again after an outage: it may be another engine then.
            version, self._version = self._version, ""
            client = self._connect(CALL_TIMEOUT_S, version)
        client.hooks["response"].append(look_at_status)
        try:
            with asking():
                stream = client.events(decode=True, filters=filters)
            self._version = client.api_version
            with self._lock:
                self._stream = stream
            ready()
            for event in messages(stream):
                read = self._entries.event(event)
                if read is not None:
                    if read.kind == "destroy":
                        self._numbers.removed(read.id)
                    on_event(read)
        finally:
            with self._lock:
                self._stream = None
            client.close()

    def unwatch(self) -> None:
        with self._lock:
            if self._stream is not None:
                try:
                    self._stream.close()
                except (OSError, AttributeError) as error:  # it has ended at the same moment
                    log.debug("closing the event stream: %s", error)

    def close(self) -> None:
        self._looks.close()
        if self._client is not None:
            self._client.close()
        if self.agent is not None:
            self.agent.close()

    def _has(self, image: str) -> bool:
        with errors():
            return has(self._client_now(), image)

    def _is_missing(self, image: str, error: BaseException | None) -> bool:
        """True if the engine refused to create a container because of its image."""
        # Engines word this error differently, and answer 404 for a missing network as well.
        if isinstance(error, ImageNotFound):
            return True
        try:
            # A proxy may answer 404 to everything. Engines, unlike it, name their version.
            by_engine = isinstance(error, NotFound) and "Api-Version" in getattr(
                error.response, "headers", {}
            )
            return by_engine and not self._has(image)
        except (PermanentError, TemporaryError):
            return False

    def _missing(self, image: str, how: str) -> Missing:
        if is_id(image):
            what = "no registry has images by their id: load it, or give its name"
        elif self.pull_images:
            what = "it is pulled in the background"
        else:
            what = f"MSS_PULL_IMAGES is off, so it is not pulled: `docker pull {image}` or `docker load` it"
        return Missing(f"image {image} {how}: backing off until it is; {what}; other tasks go on")

    @contextmanager
    def _pulling(self) -> Iterator[docker.APIClient]:
        """Opens a client with a longer timeout for answers."""
        with errors():
            client = self._connect(PULL_TIMEOUT_S)
        try:
            yield client
        finally:
            client.close()

    def _client_now(self) -> docker.APIClient:
        with self._connecting:
            if self._client is None:
                # Not in __init__, as the client's constructor asks the engine for its version.
                self._client = self._connect(CALL_TIMEOUT_S)
                self._version = self._client.api_version  # kept, as Podman takes up to 6 s to answer it
            return self._client

    def _connect(self, timeout_s: int, version: str = "") -> docker.APIClient:
        return connect(self.host, self.tls_verify, self.cert_path, timeout_s, version, self.chosen)
