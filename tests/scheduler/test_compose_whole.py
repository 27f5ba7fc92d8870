"""Whether all of a project was stopped, by a listing alone."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.clients.docker.compose import COPY_OF, ONEOFF, PROJECT, SERVICE, Scope
from microscaling.scheduler.compose.whole import was_stopped

SCOPE = Scope(frozenset({"shop"}))
TASKS = {"web": False, "batch": True}
"""Whether it may have no container at all."""
BY_TERM, BY_KILL, WELL, BADLY = (f"Exited ({code}) 5 minutes ago" for code in (143, 137, 0, 1))
AGENT = ("agent", "running", "Up 4 seconds")
BATCH = ("batch", "exited", BY_TERM)
WEB = ("web", "exited", WELL)


def listed(service: str, state: str, status: str, **labels: str) -> dict[str, Any]:
    return {
        "Id": f"{service}-id", "State": state, "Status": status,
        "Labels": {PROJECT: "shop", SERVICE: service, **labels},
    }  # fmt: skip


def stopped(*containers: tuple[str, str, str], more: tuple[dict[str, Any], ...] = ()) -> bool:
    listing = [*(listed(*one) for one in containers), *more]
    return was_stopped(listing, SCOPE, "agent-id", TASKS, lambda id: id == "always-id")


@pytest.mark.parametrize("end", [WELL, BY_TERM, BY_KILL])
def test_a_service_that_has_to_have_one_was_stopped_by_others(end: str) -> None:
    assert stopped(AGENT, BATCH, ("web", "exited", end))


def test_one_that_failed_was_not_stopped() -> None:
    assert not stopped(AGENT, BATCH, ("web", "exited", BADLY))


def test_one_that_may_have_none_tells_nothing() -> None:
    assert not stopped(AGENT, BATCH)


@pytest.mark.parametrize("state", ["running", "paused", "restarting"])
@pytest.mark.parametrize("service", ["web", "batch", "redis"])
def test_what_runs_was_not_stopped(service: str, state: str) -> None:
    assert not stopped(AGENT, BATCH, WEB, ("redis", "exited", WELL), (service, state, "Up 4 seconds"))


@pytest.mark.parametrize(("end", "expected"), [(BY_TERM, True), (BY_KILL, True), (WELL, False)])
def test_of_a_service_without_a_task_only_a_signal_tells(end: str, expected: bool) -> None:
    """One that ends well may have had nothing more to do, as one that sets up a database."""
    assert stopped(AGENT, BATCH, ("redis", "exited", end)) is expected


def test_what_its_engine_always_starts_again_was_stopped() -> None:
    assert stopped(AGENT, BATCH, ("always", "exited", WELL))
    assert not stopped(AGENT, BATCH, ("always", "created", "Created"))


def test_what_was_only_created_copies_and_one_offs_tell_nothing() -> None:
    of = {COPY_OF: "web-id"}
    assert not stopped(AGENT, BATCH, ("web", "created", "Created"))
    assert not stopped(AGENT, BATCH, more=(listed("web", "exited", BY_TERM, **of),))
    assert not stopped(AGENT, BATCH, WEB, more=(listed("web", "running", "Up", **of),))
    assert stopped(AGENT, BATCH, WEB, more=(listed("web", "running", "Up", **{ONEOFF: "True"}),))
