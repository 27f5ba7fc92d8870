"""The HTTP API for pages and programs, as docs/server.md describes it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from microscaling.api.schema.declared import declared
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.counts import measurement
from microscaling.server.domain import modes
from microscaling.server.domain.journal import now_ms
from microscaling.server.domain.reports import is_user
from microscaling.server.domain.state import decisions_of, present_demand, state_of, users_of
from microscaling.server.domain.user_config import Plan, read_plan
from microscaling.server.domain.users import Origin, User, Users, UserSettings
from microscaling.server.http.auth import AGENTS_ORIGIN, address_of
from microscaling.server.http.containers import containers_of
from microscaling.server.http.events import EventHub, Watcher
from microscaling.server.http.load import Load
from microscaling.server.http.yaml_file import as_yaml
from microscaling.server.limits import MAX_BYTES, MAX_NAME, Refused
from microscaling.server.storage.persistence import Conflict, Persistence
from microscaling.server.storage.store import StoreError
from microscaling.utils.strict_json import parse

BODY_S = 10.0
"""Longest time in which the body of a request arrives."""
READ_S = 30.0
"""Time after which a page that reads nothing counts as dead."""
Handler = Callable[[Request], Awaitable[Response]]
Change = Callable[[UserSettings], UserSettings]


class Problem(Exception):
    """A failed request, with the status and text of the answer."""

    def __init__(self, status: int, error: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.problems = problems

    def response(self) -> Response:
        """Returns the answer as JSON."""
        said: dict[str, Any] = {"error": self.error}
        if self.problems:
            said["problems"] = list(self.problems)
        headers = {"Retry-After": "5"} if self.status in (429, 503) else {}
        if self.status in (408, 413, 415):
            headers["Connection"] = "close"  # so that the rest of the body need not be read
        return JSONResponse(said, self.status, headers)


class Api:
    """The handlers of the API. A Problem that one raises becomes the answer."""

    def __init__(self, users: Users, keeper: Persistence, live: EventHub, load: Load) -> None:
        self.users = users
        self.load = load
        self.keeper = keeper
        self.live = live

    def routes(self) -> list[Route]:
        """Returns the paths of the API and their handlers."""
        one = "/api/users/{user}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/apps/{user}", self.apps),
            ("GET", "/live", self.watch),
            ("GET", "/api/status", self.status),
            ("GET", "/api/schema", self.schema),
            ("GET", "/api/users", self.list),
            ("GET", one, self.state),
            ("GET", one + "/decisions", self.decisions),
            ("GET", one + "/history", self.history),
            ("GET", one + "/containers", self.containers),
            ("GET", one + "/config", self.config),
            ("GET", one + "/config.json", self.download_json),
            ("GET", one + "/config.yaml", self.download_yaml),
            ("PUT", one + "/config", self.set_config),
            ("DELETE", one + "/config", self.delete_config),
            ("PUT", one + "/mode", self.set_mode),
            ("PUT", one + "/paused", self.set_paused),
            ("PUT", one + "/demand", self.set_demand),
            ("GET", one + "/measurements", self.measurements),
            ("PUT", one + "/tasks/{task:path}/measurement", self.measure),
        ]
        return [Route(path, answered(handler), methods=[method]) for method, path, handler in table]

    # Reading

    async def apps(self, request: Request) -> Response:
        """The configuration for an agent."""
        user = self._user(request)
        if user.wishes.plan is None:
            raise Problem(404, "there is no configuration for this site")
        data = user.wishes.plan.data
        named = {key: value for key, value in data.items() if key.casefold() != "name"}
        return JSONResponse({"name": user.name, **named}, headers={"Cache-Control": "no-store"})

    async def watch(self, request: Request) -> Response:
        """The channel of live events for a page."""
        name = request.query_params.get("user", "")
        if not is_user(name):
            raise Problem(404, "no site can have this name")
        try:
            watcher = self.live.admit(name, request.query_params.get("agent", "")[:MAX_NAME])
        except Refused as why:
            raise Problem(503, str(why)) from None
        return Stream(self.live, watcher)

    async def status(self, request: Request) -> Response:
        """The counts of agents, users, pages and reports, and the load."""
        return JSONResponse(
            {
                "agents": len(self.users.agents),
                "users": len(self.users.users),
                "pages": self.live.count,
                "reports": self.users.reports,
                "lateSeconds": self.load.late_s,
                "closes": dict(self.load.closes),
            },
        )

    async def schema(self, request: Request) -> Response:
        """All that a configuration may hold, for the form of the page."""
        # Not on the loop: every plugin is imported the first time, which reads files.
        data = await asyncio.to_thread(declared_once)
        return JSONResponse(data, headers={"Cache-Control": "no-cache"})

    async def list(self, request: Request) -> Response:
        """All users, in short."""
        return JSONResponse(users_of(self.users))

    async def state(self, request: Request) -> Response:
        """The state of one user."""
        return self._state(request)

    async def decisions(self, request: Request) -> Response:
        """The last decisions for one user."""
        return JSONResponse(decisions_of(self._user(request).decisions))

    async def history(self, request: Request) -> Response:
        """The history of one user, from `since` (Unix milliseconds) on."""
        since = request.query_params.get("since", "0")
        if not (since.isascii() and since.isdecimal() and len(since) < 16):
            raise Problem(400, "since: expected Unix milliseconds")
        text = await self.keeper.past(self._user(request).name, int(since))
        return Response(text, media_type="application/json")

    async def containers(self, request: Request) -> Response:
        """The single containers of the task `app`, for which the agents are asked now."""
        app = request.query_params.get("app", "")
        data = await containers_of(self._user(request), app)
        return JSONResponse(data, headers={"Cache-Control": "no-store"})

    async def config(self, request: Request) -> Response:
        """The configuration of one user, and its version."""
        wishes = self._user(request).wishes
        plan = wishes.plan
        return JSONResponse(
            {"version": wishes.version if plan else 0, "config": plan.data if plan else None},
            headers={"Cache-Control": "no-store"},
        )

    async def download_json(self, request: Request) -> Response:
        """The configuration as a JSON file."""
        text = json.dumps(self._plan(request).data, indent=2, ensure_ascii=False) + "\n"
        return _file(text, "application/json", "microscaling.json")

    async def download_yaml(self, request: Request) -> Response:
        """The configuration as a YAML file; comments at its top name what MSS_CONFIG=FILE would refuse."""
        plan = self._plan(request)
        refused = [f"# refused as YAML, but not as JSON: {problem}\n" for problem in plan.not_as_yaml]
        return _file("".join([*refused, as_yaml(plan.for_yaml)]), "application/yaml", "microscaling.yaml")

    async def measurements(self, request: Request) -> Response:
        """The last pushed measurement of each task, for agents."""
        return JSONResponse({"tasks": self.users.pushes.of(self._user(request).name)})

    # Changing

    async def measure(self, request: Request) -> Response:
        """Takes the measurement of one task from an application."""
        user, task = self._user(request), request.path_params["task"]
        if not user.may_have(task):
            raise Problem(404, "there is no such task")
        try:
            found = measurement(await body_of(request), "the measurement")
            self.users.pushes.put(user.name, task, found)
        except MetricError as error:
            raise Problem(400, str(error)) from None
        except Refused as error:
            raise Problem(503, str(error)) from None
        return JSONResponse({})

    async def set_config(self, request: Request) -> Response:
        """Replaces the configuration, if its version is still the one in the request (else 412)."""
        body = await body_of(request)
        read, data = body.get("version"), body.get("config")
        if isinstance(read, bool) or not isinstance(read, int):
            raise Problem(400, "version: expected the version that was read, 0 if there was none")
        try:
            plan = read_plan(data, self.keeper.settings)
        except ConfigError as error:
            raise Problem(400, "the configuration is not valid", error.problems) from None

        def change(old: UserSettings) -> UserSettings:
            if read != (old.version if old.plan else 0):
                raise Conflict
            return dataclasses.replace(old, plan=plan, version=old.version + 1)

        wishes = await self._save(request, "config", change)
        return JSONResponse({"version": wishes.version, "warnings": plan.warnings})

    async def delete_config(self, request: Request) -> Response:
        """Deletes the configuration and all other settings of the user."""
        user = self._user(request)
        self._plan(request)
        try:
            await self.keeper.delete(user)
        except StoreError as error:
            raise Problem(503, str(error)) from None
        return JSONResponse({})

    async def set_mode(self, request: Request) -> Response:
        """Sets the mode."""
        mode = (await body_of(request)).get("mode")
        if mode not in modes.MODES:
            raise Problem(400, f"mode: expected one of {', '.join(modes.MODES)}")
        user = self._user(request)

        def change(old: UserSettings) -> UserSettings:
            if mode == modes.MANUAL and old.mode != mode and old.plan:
                # A click on Manual must not stop a container: the sliders begin with what is wanted now.
                sliders = modes.sliders(old.plan, {**old.sliders, **present_demand(user)})
                old = dataclasses.replace(old, sliders=sliders)
            return dataclasses.replace(old, mode=mode)

        return await self._replace(request, "mode", change)

    async def set_paused(self, request: Request) -> Response:
        """Pauses the decisions for the user, or resumes them."""
        paused = (await body_of(request)).get("paused")
        if not isinstance(paused, bool):
            raise Problem(400, "paused: expected true or false")
        return await self._replace(request, "paused", lambda old: dataclasses.replace(old, paused=paused))

    async def set_demand(self, request: Request) -> Response:
        """Moves the sliders of some tasks, the demand of the mode `manual`."""
        demand = (await body_of(request)).get("demand")
        plan = self._plan(request)
        limits = {task.name: (task.min_containers, task.max_containers) for task in plan.models}
        if not isinstance(demand, dict):
            raise Problem(400, "demand: expected an object of containers by task")
        for app, count in demand.items():
            if app not in limits:
                raise Problem(404, "demand: there is no such task")
            least, most = limits[app]
            if isinstance(count, bool) or not isinstance(count, int) or not least <= count <= most:
                raise Problem(400, f"demand: expected a whole number from {least} to {most}")
        return await self._replace(
            request,
            "demand",
            lambda old: dataclasses.replace(old, sliders={**modes.sliders(plan, old.sliders), **demand}),
        )

    async def _replace(self, request: Request, setting: str, change: Change) -> Response:
        def checked(old: UserSettings) -> UserSettings:
            if old.plan is None:
                raise Problem(409, "there is no configuration for this site yet")
            return change(old)

        await self._save(request, setting, checked)
        return self._state(request)

    async def _save(self, request: Request, setting: str, change: Change) -> UserSettings:
        origin = _origin_of(request)

        def noted(old: UserSettings) -> UserSettings:
            return dataclasses.replace(change(old), origins={**old.origins, setting: origin})

        try:
            return await self.keeper.save(self._user(request).name, noted, str(origin))
        except Conflict:
            raise Problem(412, "the configuration has been changed elsewhere meanwhile") from None
        except (StoreError, Refused) as error:
            raise Problem(503, str(error)) from None

    def _state(self, request: Request) -> Response:
        agent = request.query_params.get("agent", "")
        return JSONResponse(state_of(self._user(request), self.load.late_s, agent))

    def _user(self, request: Request) -> User:
        name = request.path_params["user"]
        if not is_user(name):
            raise Problem(404, "no site can have this name")
        return self.users.get(name)

    def _plan(self, request: Request) -> Plan:
        plan = self._user(request).wishes.plan
        if plan is None:
            raise Problem(404, "there is no configuration for this site")
        return plan


class Stream(StreamingResponse):
    """The live channel of one page, which frees the page's place at its end."""

    def __init__(self, live: EventHub, watcher: Watcher) -> None:
        self._live = live
        self._watcher = watcher
        # Without the second header nginx would hold events back.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(live.events(watcher), headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_in_time(message: Any) -> None:
            await asyncio.wait_for(send(message), READ_S)

        try:
            await super().__call__(scope, receive, send_in_time)
        except asyncio.TimeoutError:
            return  # uvicorn closes the connection
        finally:
            self._live.dismiss(self._watcher)


@functools.cache
def declared_once() -> dict[str, Any]:
    """All that a configuration may hold. Plugins stay as they are while the server runs."""
    return declared()


def answered(handler: Handler) -> Handler:
    """Wraps a handler: a Problem becomes the answer."""

    async def told(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            return problem.response()

    return told


def _origin_of(request: Request) -> Origin:
    """Returns the origin of a change: a page of a browser, or a program."""
    headers = request.headers
    # A browser sends an Origin with every change; `Guard` lets that of our own page pass only.
    if headers.get("origin", AGENTS_ORIGIN) != AGENTS_ORIGIN:
        by = "page"
    else:
        by = "token" if "authorization" in headers else "program"
    return Origin(by, address_of(request), now_ms())


async def body_of(request: Request) -> dict[str, Any]:
    """Returns the JSON object in a request. Raises Problem."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "expected Content-Type: application/json")
    try:
        value = parse(await read_body(request))
    except ConfigError as error:
        raise Problem(400, str(error)) from None
    if not isinstance(value, dict):
        raise Problem(400, "expected a JSON object")
    return value


async def read_body(request: Request) -> bytes:
    """Returns the body of a request. Raises Problem if it is too long, or takes longer than BODY_S."""
    data = bytearray()

    async def read() -> None:
        async for part in request.stream():
            data.extend(part)
            if len(data) > MAX_BYTES:
                raise Problem(413, f"more than {MAX_BYTES} bytes")

    try:
        await asyncio.wait_for(read(), BODY_S)
    except asyncio.TimeoutError:
        raise Problem(408, "the request took too long") from None
    except ClientDisconnect:
        raise Problem(400, "the request was cut off") from None
    return bytes(data)


def _file(text: str, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(text, media_type=f"{kind}; charset=utf-8", headers=headers)
