"""The web page, the login form, and their files."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from microscaling.server.http.api import Problem, read_body
from microscaling.server.http.auth import COOKIE, SESSION_S, Guard, address_of
from microscaling.server.storage.persistence import Persistence

STATIC = Path(__file__).parent.parent / "static"
FORM = "application/x-www-form-urlencoded"


class Pages:
    """The handlers of pages, login and health."""

    def __init__(self, guard: Guard, keeper: Persistence, static: Path = STATIC) -> None:
        self.guard = guard
        self.keeper = keeper
        self.static = static

    def routes(self) -> list[BaseRoute]:
        """Returns the paths and their handlers."""
        return [
            Route("/", self.page),
            Route("/login", self.form),
            Route("/login", self.login, methods=["POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/healthz", self.health),
            Route("/readyz", self.ready),
            Mount("/static", StaticFiles(directory=self.static, check_dir=False)),
        ]

    async def page(self, request: Request) -> Response:
        """The page."""
        return FileResponse(self.static / "index.html")

    async def form(self, request: Request) -> Response:
        """The login form."""
        return FileResponse(self.static / "login.html")

    async def login(self, request: Request) -> Response:
        """Checks the token of the form, and sets a session cookie."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return PlainTextResponse("expected the form\n", 415)
        try:
            fields = parse_qs((await read_body(request)).decode("utf-8", "replace"), max_num_fields=10)
        except (Problem, ValueError):
            return RedirectResponse("/login?failed=1", 303)
        given = fields.get("token", [""])[0]
        good = self.guard.is_token(given, address_of(request)) if self.guard.token else False
        if not good:
            return RedirectResponse("/login?failed=busy" if good is None else "/login?failed=1", 303)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            self.guard.session(time.time()),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            # Behind a proxy with TLS browsers must not send it without; directly there is no TLS.
            secure=request.headers.get("x-forwarded-proto") == "https",
        )
        return response

    async def logout(self, request: Request) -> Response:
        """Deletes the session cookie."""
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def health(self, request: Request) -> Response:
        """200 as long as the process answers at all."""
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        """200 once the store is loaded, until the server ends."""
        return PlainTextResponse("ok\n") if self.keeper.ready else PlainTextResponse("not ready\n", 503)
