"""The services of Compose on a Docker engine, as the backend of containers.

To scale up, it starts a container of Compose's that was stopped, or makes a copy of one. To scale down, it
stops and removes copies; Compose's own containers are stopped, and never removed.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import docker
from docker.errors import APIError, NotFound

from microscaling.clients.docker.compose import (
    COPY_OF,
    ENABLED,
    SERVICE,
    Scope,
    is_copy,
    own_id,
    project_of,
    scope_of,
    templates,
)
from microscaling.demand.drain import Call
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.compose.copy import Copy, copy_of, is_usual
from microscaling.scheduler.compose.entries import ComposeEntries
from microscaling.scheduler.compose.files import Files
from microscaling.scheduler.compose.known import Found, Policy
from microscaling.scheduler.compose.names import names_of
from microscaling.scheduler.compose.on_change import OnChange
from microscaling.scheduler.compose.originals import Originals
from microscaling.scheduler.compose.own_stops import OwnStops
from microscaling.scheduler.compose.proxies import static_names
from microscaling.scheduler.compose.whole import stopped_projects
from microscaling.scheduler.containers.backend import ListedContainer
from microscaling.scheduler.docker.backend import MAX_TRIES, DockerBackend
from microscaling.scheduler.docker.calls import asking, errors, is_taken
from microscaling.scheduler.docker.entries import text_of
from microscaling.scheduler.docker.names import Names

log = logging.getLogger("mssscheduler")


class ComposeBackend(DockerBackend):
    """One engine. `projects` are the names of Compose projects, with commas between: see `scope_of`."""

    name = "Docker engine"
    others_create = True
    limits_tasks = True  # a service may have only so many ports
    kinds = (*DockerBackend.kinds, "stop")

    def __init__(
        self,
        host: str,
        tls_verify: bool = False,
        cert_path: str = "",
        chosen: str = "",
        projects: str = "",
        own_stops: OwnStops | None = None,
    ) -> None:
        super().__init__(host, tls_verify, cert_path, pull_images=False, chosen=chosen)
        self.projects = projects
        self.ending = False
        """The agent ends: Compose's own containers stay as they are."""
        kept = own_stops.read() if own_stops else None
        self._stops = kept or {}
        """By id of a container of Compose's that the agent has stopped, the time of its end."""
        self._remembered = kept
        self._unwatched = True
        """Nobody has followed the events since the last listing."""
        self._unchecked = dict(self._stops)
        """Those of an earlier life, until the first listing."""
        self.originals = Originals(self._stops, remembers=kept is not None)
        self._own_stops = own_stops
        self._templates: dict[str, str] | None = None
        """The containers whose labels describe the services; None before the first listing."""
        self._consent: set[str] = set()
        self._files = Files()
        self.left_over: list[str] = []
        """Ids of copies without a service, which the last listing showed."""
        self._scoping = threading.Lock()
        self._remembering = threading.Lock()
        self._scope: Scope | None = None
        self._entries: ComposeEntries = ComposeEntries(self.originals)
        self._on_change = OnChange(self._with_label, self._scope_now, self.signal, self._run_in)
        self._entries.changed = self._on_change.changed
        self._looked_at: set[str] = set()
        """Tasks with a copy, for which the proxies of the project were looked at."""

    def begin(self, tasks: Sequence[str]) -> None:
        self._entries.tasks = frozenset(tasks)

    def on_services(self, change: Callable[[], None]) -> None:
        """Has the function called at each sign that services have come, gone, or changed their labels."""
        self._entries.services_change = change

    def is_others(self, id: str) -> bool:
        return self.originals.is_original(id)

    def prepare(self, task: Task) -> None:
        if task.min_containers:
            self._consent.discard(task.name)
        else:
            self._consent.add(task.name)
        self.originals.consent = frozenset(self._consent)
        self._names.used = self._names.used or task.web is not None

    def supply(self, task: Task) -> None:
        """Does nothing: no image is ever pulled."""

    def create(self, task: Task, nonce: str) -> str:
        # First what Compose has made: it would be started by the next `up` anyway.
        lent = self.originals.lend(task.name, nonce)
        if lent:
            return lent
        for id in self.originals.models(task.name, time.monotonic()):
            with errors():
                original = self._well(id)
                if original is not None:
                    return self._copy(task, nonce, original)
        raise TemporaryError(
            "there is no container of Compose's to copy: all were stopped, or are replaced now"
        )

    def start(self, id: str) -> None:
        with self._call(id, "start"):
            super().start(id)
        self.originals.started(id)
        if self.originals.is_original(id):  # a copy is none of those that the file has
            self.remember()

    def stop(self, id: str, grace_s: float) -> None:
        original = self.originals.is_original(id)
        if original and self.ending:
            return
        with self._call(id, "stop"):
            if original:
                self.remember()  # before: the agent may be killed in between
            super().stop(id, self.originals.grace_s(id, grace_s))
        if original:
            with contextlib.suppress(PermanentError, TemporaryError), errors():
                self._stops[id] = _end_of(self._client_now(), id)
            self.remember()
            if self._names.used:  # Compose may start it again at any time, and expects it to be found
                with contextlib.suppress(PermanentError, TemporaryError):
                    self._names.restore(id)

    def give_name(self, task: Task, id: str, up_s: float, keep: bool) -> str:
        address = super().give_name(task, id, up_s, keep)
        self._on_change.changed(self._project_of(task))
        return address

    def take_name(self, task: Task, id: str) -> None:
        super().take_name(task, id)
        self._on_change.changed(self._project_of(task))

    def close(self) -> None:
        self._on_change.close()
        super().close()

    def drain_file(self) -> str:
        return self._own_stops.path.replace("stopped-", "drains-") if self._own_stops else ""

    def signal(self, id: str, name: str) -> None:
        with self._call(id, "signal"):
            super().signal(id, name)

    def remove(self, id: str) -> None:
        if self.originals.is_original(id):
            self.originals.give_back(id)
            return
        with self._call(id, "remove"):
            super().remove(id)

    def list(self) -> list[ListedContainer]:
        try:
            return self._list()
        except TemporaryError:
            self._unwatched = True
            self.originals.outage()
            raise

    def _list(self) -> builtins.list[ListedContainer]:
        asked, known = self._numbers.ask(), self.originals.ask(time.monotonic())
        self._names.repair()
        with asking():
            client = self._client_now()
            self._entries.scope = self._scoped(client)
            answer = client.containers(all=True, filters={"label": ENABLED})
            found = self._entries.found(answer)
            found_templates = templates(answer, self._entries.scope, own_id())
            if self._templates not in (None, found_templates):
                self._entries.services_change()
            self._templates = found_templates
            self.left_over = self._entries.left_over(answer, time.time())
            self._check_stops(client)
            for id in self.originals.listed(found, known, self._entries.tasks):
                self._learn(client, id)
            if self._unwatched:  # a stop of all leaves no other sign
                all_found, scope = found.values(), self._entries.scope
                for project in stopped_projects(client, all_found, scope, own_id(), self._consent):
                    self.originals.stopped_unseen(project, time.monotonic())
                self._unwatched = False
        if not self.originals.remembers:
            self.originals.remembers = True
            self.remember()  # so that the next life knows that there were none
        self._look_at_proxies(client, found.values())
        self._numbers.listed(asked, self._entries.numbered(answer))
        return self._entries.listed(answer)

    def clear_up(self) -> None:
        """Removes copies whose service had gone before their create was carried out."""
        # Not by the reconciler, which knows nothing of services without a task.
        ids, self.left_over = self.left_over, []
        for id in ids:
            try:
                self.remove(id)
            except (PermanentError, TemporaryError) as error:  # the next listing shows it again
                log.debug("a copy without a service cannot be removed: %s (%s)", id[:12], error)

    def start_again(self) -> builtins.list[str]:
        """Starts the containers of Compose's that the agent has stopped; returns those that it could not."""
        failed = []
        for id in self.originals.ours:
            try:
                self.start(id)
            except (PermanentError, TemporaryError) as error:
                failed.append(f"{id[:12]} ({error})")
        return failed

    def _look_at_proxies(self, client: docker.APIClient, found: Collection[Found]) -> None:
        """Says once for a service with a copy if a proxy of its project will not use that."""
        new = {(project_of(one.labels), str(one.labels.get(SERVICE))) for one in found
               if is_copy(one.labels) and one.task not in self._looked_at}  # fmt: skip
        # Also if the look fails: it is a hint, and no reason for one request more at each listing.
        self._looked_at |= {one.task for one in found if is_copy(one.labels)}
        for project in {project for project, _ in new}:
            with contextlib.suppress(PermanentError, TemporaryError), errors():
                for what in static_names(client, project, [name for of, name in new if of == project]):
                    log.warning("%s", what)

    def _with_label(self, label: str) -> builtins.list[Mapping[str, Any]]:
        with asking():
            found: builtins.list[Mapping[str, Any]] = self._client_now().containers(filters={"label": label})
            return found

    def _scope_now(self) -> Scope:
        return self._scoped(self._client_now())

    def _project_of(self, task: Task) -> str:
        """Returns the project of a task, whose name has it where there may be several."""
        project, _, _ = task.name.rpartition("/")
        return project or next(iter(self._scope_now().projects or ()), "")

    def _run_in(self, id: str, words: tuple[str, ...]) -> None:
        self._looks.call(Task(""), id, Call(words))

    def _scoped(self, client: docker.APIClient) -> Scope:
        with self._scoping:
            # Not in __init__, as the engine may be away then.
            if self._scope is None:  # once, as the names of all tasks follow from it
                self._scope = scope_of(client, self.projects)
            return self._scope

    def _check_stops(self, client: docker.APIClient) -> None:
        """Drops the containers that were started and stopped since the agent's earlier life."""
        for id, end in self._unchecked.items():
            with contextlib.suppress(NotFound):
                if end and _end_of(client, id) != end:
                    self.originals.disown(id)
        self._unchecked = {}

    def _learn(self, client: docker.APIClient, id: str) -> None:
        """Reads the policies of a service from a container that Compose has made."""
        with contextlib.suppress(NotFound):
            original = client.inspect_container(id)
            self._files.learn(client, original)
            self.originals.learn(id, Policy.of(original))

    def _well(self, id: str) -> Mapping[str, Any] | None:
        """Returns the engine's description of a container; None if it is no model for a copy."""
        try:
            original: Mapping[str, Any] = self._client_now().inspect_container(id)
        except NotFound:
            return None
        return original if is_usual(original) else None

    def _copy(self, task: Task, nonce: str, original: Mapping[str, Any]) -> str:
        client = self._client_now()
        id, made = self._create_copy(client, task, nonce, original)
        self.originals.created(id, task.name, made.body["Labels"], time.monotonic())
        try:
            for network, endpoint in made.others.items():
                client.connect_container_to_network(
                    id,
                    network,
                    aliases=endpoint["Aliases"],
                    links=[tuple(link.split(":", 1)) for link in endpoint.get("Links") or ()],
                    link_local_ips=(endpoint.get("IPAMConfig") or {}).get("LinkLocalIPs"),
                    driver_opt=endpoint.get("DriverOpts"),
                )
            self._files.carry(client, original, id)
        except Exception:  # incomplete, and its id would be lost with the error
            with contextlib.suppress(PermanentError, TemporaryError):
                self.remove(id)
            raise
        return id

    def _names_of(self, task: Task, inspected: Mapping[str, Any]) -> Names:
        taken = self._names.file.get(str(inspected["Id"]))
        if taken is not None:
            return taken.names
        labels, name = inspected["Config"]["Labels"], str(inspected["Name"]).lstrip("/")
        model = inspected
        if is_copy(labels):
            model = self._client_now().inspect_container(self._model_of(task, labels[COPY_OF]))
        names = names_of(model, name, task.web)
        # An original that has lost its names in a life that nothing is left of.
        if not is_copy(labels):
            service = str(labels.get(SERVICE))
            for endpoint in names.values():
                if service not in endpoint["Aliases"]:
                    endpoint["Aliases"].insert(0, service)
        return names

    def _model_of(self, task: Task, id: str) -> str:
        """Returns the id of an original that has the names of a copy."""
        # Its own may be no more, or without its names now.
        others = self.originals.models(task.name, time.monotonic())
        there = [one for one in (id, *others) if self.originals.is_original(one)]
        listed = [one for one in there if self._names.file.get(one) is None]
        return next(iter((*listed, *there)), id)

    def _create_copy(
        self, client: docker.APIClient, task: Task, nonce: str, original: Mapping[str, Any]
    ) -> tuple[str, Copy]:
        """Creates a copy with the lowest number above Compose's own that is free, and whose name is."""
        image = _image_of(client, original)
        unlisted = names_of(original, "", task.web) if task.web is not None else ()
        # An `up` keeps the lowest numbers, and removes the others. In version 2 its own may have any number.
        number, tries = self.originals.lowest(task.name), 0
        while True:
            number, tries, id = self._numbers.take(task.name, above=number), tries + 1, ""
            made = copy_of(original, number, image, client.api_version, unlisted)
            self._entries.nonces.creating(made.name, nonce)
            try:
                answer = client.create_container_from_config(made.body, made.name)  # type: ignore[no-untyped-call]
                id = text_of(answer["Id"])
                self._entries.nonces.created(made.name, id)
                return id, made
            except APIError as error:
                self._entries.nonces.not_created(made.name)
                if not is_taken(error) or tries >= MAX_TRIES:
                    raise
            finally:
                self._numbers.created(task.name, number, id)

    @contextmanager
    def _call(self, id: str, call: str) -> Iterator[None]:
        self.originals.begins(id, call, time.monotonic())
        try:
            yield
        finally:
            self.originals.ends(id, call, time.monotonic())

    def remember(self) -> None:
        """Keeps the containers that the agent has stopped for its next life, if they are others now."""
        if self._own_stops is not None:
            with self._remembering:
                ends = {id: self._stops.get(id, "") for id in self.originals.ours}
                if ends != self._remembered:
                    self._own_stops.write(ends)
                    self._remembered = ends


def _end_of(client: docker.APIClient, id: str) -> str:
    """Returns the time of a container's last end, in the engine's words."""
    return str(client.inspect_container(id)["State"].get("FinishedAt") or "")


def _image_of(client: docker.APIClient, original: Mapping[str, Any]) -> str:
    """Returns the name of the original's image if that still means the same image, else the id."""
    name = str(original["Config"].get("Image") or "")
    with contextlib.suppress(NotFound):
        # After a build, pull or tag, a copy by name would run other code under the labels of the old.
        if client.inspect_image(name)["Id"] == original["Image"]:  # type: ignore[no-untyped-call]
            return name
    return str(original["Image"])
