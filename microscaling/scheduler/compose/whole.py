"""Projects that were stopped as a whole while nobody followed the events: a listing alone shows them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import docker
from docker.errors import NotFound

from microscaling.clients.docker.compose import PROJECT, Scope, is_copy, project_of
from microscaling.scheduler.compose.known import LIVES, STOPPED, Found, Policy, State
from microscaling.scheduler.docker.entries import exit_code_of

BY_SIGNAL = (137, 143)
"""Exit codes of a program that was asked to end, and did not end by itself."""


def stopped_projects(
    client: docker.APIClient, found: Collection[Found], scope: Scope, own: str, optional: Collection[str]
) -> Iterator[str]:
    """Yields those of which nothing runs but the agent, in the form that the names of tasks begin with.

    `found`: the containers of all tasks; `own`: the id of the agent's; `optional`: the tasks that may have no
    container at all. Raises the errors of the library.
    """

    def stays_up(id: str) -> bool:
        with contextlib.suppress(NotFound):  # removed since the listing
            return Policy.of(client.inspect_container(id)).restarts("0")
        return False

    # One more request, but only where nothing runs that may be scaled.
    named = {one.task.rpartition("/")[0]: project_of(one.labels) for one in found}
    for name in named.keys() - {one.task.rpartition("/")[0] for one in found if one.lives}:
        listed = client.containers(all=True, filters={"label": f"{PROJECT}={named[name]}"})
        tasks = {one.task: one.task in optional for one in found}
        if was_stopped(listed, scope, own, tasks, stays_up):
            yield name


def was_stopped(
    listed: Iterable[Mapping[str, Any]],
    scope: Scope,
    own: str,
    tasks: Mapping[str, bool],
    stays_up: Callable[[str], bool],
) -> bool:
    """True if nothing of a project runs but the agent, and something was stopped that only others stop.

    `listed`: all of its containers, in any state; `tasks`: for each, whether it may have none by the doing of
    an earlier agent; `stays_up`: whether the engine itself starts a container again whenever it ends.
    """
    named = [(scope.task_of(one.get("Labels")), one) for one in listed]
    # All of the agent's service: an earlier container of it may be there beside its own.
    mine = {name for name, one in named if one["Id"] == own}
    others = [(name, one) for name, one in named if name and name not in mine]
    if any(one.get("State") in [state.value for state in LIVES] for _, one in others):
        return False
    # What ends well may have had nothing more to do, so of others only a signal counts, or a policy by which
    # it cannot have ended by itself.
    ended = [(name, one) for name, one in others
             if one.get("State") != State.CREATED.value and not is_copy(one["Labels"])]  # fmt: skip
    codes = [(name, one["Id"], exit_code_of(str(one.get("Status")))) for name, one in ended]
    return any(code in STOPPED for name, _, code in codes if not tasks.get(name, True)) or any(
        code in BY_SIGNAL or stays_up(id) for name, id, code in codes if name not in tasks
    )
