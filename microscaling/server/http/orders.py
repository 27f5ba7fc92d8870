"""Orders of people for tasks of agents that decide by themselves: pause, pin, resume."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from microscaling.api.orders import COMMANDS, order
from microscaling.server.domain.reports import is_user
from microscaling.server.domain.users import Users
from microscaling.server.http.api import Problem, answered, body_of
from microscaling.server.limits import MAX_COUNT

MAX_SECONDS = 10 * 365 * 86_400


class Orders:
    """Passes an order on to all agents of a site that have the task, and take orders."""

    def __init__(self, users: Users) -> None:
        self.users = users

    def routes(self) -> list[Route]:
        """Returns the path of the request."""
        path = "/api/users/{user}/tasks/{task:path}/order"
        return [Route(path, answered(self.give), methods=["PUT"])]

    async def give(self, request: Request) -> Response:
        """Sends the order; the next reports of the agents show its effect."""
        name, app = request.path_params["user"], request.path_params["task"]
        if not is_user(name):
            raise Problem(404, "no site can have this name")
        body = await body_of(request)
        command = body.get("command")
        if command not in COMMANDS:
            raise Problem(400, f"command: expected one of {', '.join(COMMANDS)}")
        more = _more(command, body)
        agents = [
            agent
            for agent in self.users.get(name).agents.values()
            if app in agent.tasks and agent.about is not None and agent.about.orders
        ]
        # Better than a silent success: the person waits for an effect.
        if not agents:
            raise Problem(409, "no connected agent that decides by itself has this task, and takes orders")
        for agent in agents:
            agent.line.ask(order(app, command, **more))
        return JSONResponse({"agents": len(agents)})


def _more(command: str, body: dict[str, Any]) -> dict[str, Any]:
    """Returns the parameters of a command. Raises Problem."""
    more: dict[str, Any] = {}
    # Only ranges are checked here; the agent knows its tasks, and refuses the rest.
    if command == "pin":
        more["containers"] = _whole("containers", body.get("containers"), 0, MAX_COUNT)
    if command != "resume" and body.get("seconds") is not None:
        more["seconds"] = _whole("seconds", body["seconds"], 1, MAX_SECONDS)
    if command == "pause" and body.get("down") is True:
        more["down"] = True
    return more


def _whole(key: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Problem(400, f"{key}: expected a whole number from {least} to {most}")
    return value
