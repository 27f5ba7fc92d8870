"""The ASGI application: the guard checks each request, then a route handles it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import WebSocketRoute

from microscaling.server.http.agents import Agents
from microscaling.server.http.api import Api
from microscaling.server.http.auth import Guard
from microscaling.server.http.events import EventHub
from microscaling.server.http.orders import Orders
from microscaling.server.http.pages import Pages
from microscaling.server.storage.persistence import Persistence

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with "no-referrer" browsers send no origin with a form
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def make_app(
    guard: Guard, agents: Agents, api: Api, pages: Pages, keeper: Persistence, live: EventHub
) -> Starlette:
    """Returns the ASGI application."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        keeper.start()
        live.start()
        try:
            yield
        finally:
            live.close()  # first: an open page would keep the server from ending
            await keeper.close()

    return Starlette(
        routes=[
            WebSocketRoute("/", agents.serve),
            *Orders(api.users).routes(),
            *api.routes(),
            *pages.routes(),
        ],
        middleware=[Middleware(Gate, guard=guard)],
        lifespan=lifespan,
    )


class Gate:
    """Lets the guard check every HTTP request, and adds the security headers to the answers.

    Websockets of agents pass: `Agents.serve` has them checked.
    """

    def __init__(self, app: Any, guard: Guard) -> None:
        self.app = app
        self.guard = guard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Any) -> Response | None:
        request = HTTPConnection(scope)
        status, why = self.guard.refuses(request)
        if not status:
            return None
        if status == 401 and scope["path"] == "/":
            return RedirectResponse("/login", 303)
        headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "5"}}.get(status, {})
        return JSONResponse({"error": why}, status, headers)
