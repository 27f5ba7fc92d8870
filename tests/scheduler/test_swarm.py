"""What the listings, events and answers of a Swarm mean."""

from __future__ import annotations

from typing import Any

import pytest
from docker.errors import APIError
from requests import Response

from microscaling.clients.docker.swarm import (
    SwarmNode,
    SwarmTask,
    is_counted,
    node_of,
    service_of,
    task_of,
    update_of,
)
from microscaling.errors import ConfigError, PermanentError
from microscaling.scheduler.lease import lease_of
from microscaling.scheduler.replicas.examine import examine_lease
from microscaling.scheduler.replicas.reconciler import Replicas
from microscaling.scheduler.swarm.counts import Census
from microscaling.scheduler.swarm.lease_config import ConfigLease
from microscaling.scheduler.swarm.view import View

NODES = [SwarmNode("n1", True, True), SwarmNode("n2", True, True)]
AT = 1_000_000.0


def listed(name: str, replicas: int | None = 3, version: int = 1, **spec: Any) -> dict[str, Any]:
    mode = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    return {
        "ID": f"id-{name}",
        "Version": {"Index": version},
        "Spec": {"Name": name, "Labels": {}, "Mode": mode, "TaskTemplate": {}, **spec},
    }


def one(
    id: str, state: str = "running", desired: str = "running", node: str = "n1", **more: Any
) -> SwarmTask:
    of = {"at": AT, "error": "", "service": "id-web", **more}
    return SwarmTask(id=id, node=node, desired=desired, state=state, **of)


def web(view: View) -> Replicas:
    found = view.found(["web"])["web"]
    assert isinstance(found, Replicas)
    return found


def test_a_service_as_an_engine_describes_it() -> None:
    found = service_of(
        {
            "ID": "x", "Version": {"Index": 7}, "UpdateStatus": {"State": "completed"},
            "Spec": {
                "Name": "web", "Labels": {"a": "b"}, "Mode": {"Replicated": {}},
                "TaskTemplate": {
                    "ContainerSpec": {"Image": "a:1@sha256:0", "StopGracePeriod": 2_500_000_000}
                },
            },
        }
    )  # fmt: skip
    assert (found.replicas, found.update, found.stop_grace_s, found.image) == (1, "", 2.5, "a:1")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("updating", "it is being updated"),
        ("paused", "its update is paused (update paused due to failure)"),
        ("rollback_started", "its update is being rolled back"),
        ("rollback_paused", "the roll-back of its update is paused (update paused due to failure)"),
        ("completed", ""),
        ("rollback_completed", ""),
    ],
)
def test_an_update_that_a_scale_would_disturb(state: str, words: str) -> None:
    status = {"State": state, "Message": "update paused due to failure"}
    rest = ", and is not scaled until that has ended" if words else ""
    assert update_of(status, {}) == words + rest
    assert update_of(status, {"microscaling.duringUpdate": "Scale"}) == ""


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("Global", "global service"),
        ("ReplicatedJob", "a job"),
        ("GlobalJob", "a job"),
        ("New", "the mode New"),
    ],
)
def test_what_has_no_number_of_replicas(mode: str, why: str) -> None:
    view = View()
    view.listed([listed("web", None, Mode={mode: {}})], view.mark())
    found = view.found(["web"])["web"]
    assert isinstance(found, PermanentError)
    assert why in str(found)


def test_the_newest_version_wins_in_any_order() -> None:
    view = View()
    early = view.mark()
    view.learn(listed("web", 5, version=9))
    view.learn(listed("web", 2, version=4))
    assert web(view).requested == 5
    view.listed([], early)
    assert web(view).requested == 5, "it is younger than the listing"
    view.listed([], view.mark())
    assert view.found(["web"]) == {"web": None}


def test_an_accepted_number_counts_until_a_newer_version_is_seen() -> None:
    view = View()
    view.learn(listed("web", 2, version=4))
    view.scaled("id-web", 7)
    view.learn(listed("web", 2, version=4))
    assert web(view).requested == 7
    view.learn(listed("web", 1, version=6))
    assert web(view).requested == 1


def test_a_service_that_was_made_anew_has_another_id() -> None:
    view = View()
    view.learn(listed("web", 2, version=4))
    view.learn({**listed("web", 3, version=8), "ID": "other"})
    assert view.removed("id-web") == "web"
    assert web(view).requested == 3


def test_one_malformed_service_concerns_only_itself() -> None:
    view = View()
    bad = listed("web")
    bad["Version"] = {"Index": "seven"}
    view.listed([bad, listed("mail"), None, {"Spec": 3}], view.mark())
    found = view.found(["web", "mail"])
    assert isinstance(found["web"], PermanentError)
    assert isinstance(found["mail"], Replicas)
    view.learn(listed("web", version=3))
    assert web(view).requested == 3


def test_what_runs_is_what_runs_on_nodes_that_are_ready() -> None:
    census = Census()
    nodes = [SwarmNode("n1", True, False), SwarmNode("n2", False, True)]
    tasks = [
        one("a"), one("b", node="n2"), one("c", desired="remove"), one("d", "preparing"),
        one("e", "pending", node="", error="no suitable node (1 node not available)"),
        one("f", "complete", "shutdown"),
    ]  # fmt: skip
    census.look(tasks, nodes, 0.0)
    counts = census.of("id-web")
    assert (counts.running, counts.staying, counts.pending, counts.wanted) == (2, 1, 1, 4)
    assert counts.unplaced == (
        "1 on a node that is down, 1 pending: no suitable node (1 node not available), 1 preparing"
    )


def test_what_ends_soon_after_its_start_has_failed_once() -> None:
    census = Census()
    census.look([one("old", "failed", "shutdown"), one("a"), one("b")], NODES, 0.0)
    assert census.of("id-web").failures == [], "it had failed before this agent came"
    after = [
        one("old", "failed", "shutdown"),
        one("a", "failed", "shutdown", at=AT + 60, error="task: non-zero exit (1)"),
        one("b", "failed", "shutdown", at=AT + 3, error="task: non-zero exit (2)"),
        one("c", "rejected", "shutdown", error="No such image: a:1"),
        one("d", "failed", "shutdown", error=""),
    ]
    census.look(after, NODES, 1.0)
    assert sorted(census.of("id-web").failures) == [
        "task failed: no reason given", "task failed: task: non-zero exit (2)",
        "task rejected: No such image: a:1",
    ]  # fmt: skip
    census.look(after, NODES, 2.0)
    assert census.of("id-web").failures == []


def test_one_that_has_run_for_5_s_is_steady() -> None:
    census = Census()
    census.look([one("a")], NODES, 0.0)
    assert census.of("id-web").steady == 1, "it ran before the agent"
    for now, steady in ((1.0, 1), (5.9, 1), (6.0, 2)):
        census.look([one("a"), one("b")], NODES, now)
        assert census.of("id-web").steady == steady


@pytest.mark.parametrize(
    ("state", "ready", "confirmed"),
    [("ready", True, True), ("unknown", True, False), ("down", False, False), ("disconnected", False, False)],
)
def test_the_state_of_a_node(state: str, ready: bool, confirmed: bool) -> None:
    """After the election of a leader all are unknown: none of them has gone."""
    node = node_of({"ID": "n", "Spec": {"Availability": "active"}, "Status": {"State": state}})
    assert (node.ready, node.confirmed) == (ready, confirmed)
    census = Census()
    census.look([one("a", node="n")], [node], 0.0)
    counts = census.of("id-web")
    assert (counts.running, counts.steady) == ((1, 1) if ready else (0, 0))


def test_what_a_node_refuses_that_has_just_joined_is_no_failed_start() -> None:
    """So says an engine of 20.10 of which the swarm has tasks run again before it is a part of it itself."""
    census = Census()
    refused = {"error": "cannot create a swarm scoped network when swarm is not active"}
    tasks = [one("a")]
    down, back = SwarmNode("n2", False, True), SwarmNode("n2", True, True)
    asked = SwarmNode("n2", True, True, confirmed=False)
    steps: list[tuple[float, str, SwarmNode, int]] = [
        (0.0, "n1", down, 1),
        (1.0, "n2", asked, 0),
        *((2.0 + second, "n2", back, int(second >= 15)) for second in range(20)),
        (22.0, "n2", asked, 0),
        (23.0, "n2", back, 0),
        (24.0, "n1", back, 1),
        (25.0, "gone", back, 0),
        (26.0, "", back, 1),
        # The agent was cut off: it could not see which nodes have been away.
        (36.0, "n1", back, 0),
    ]
    census.look(tasks, [NODES[0], back], -1.0)
    for now, on, other, failures in steps:
        tasks.append(one(f"at {now}", "rejected", "shutdown", on, **refused))
        census.look(tasks, [NODES[0], other], now)
        assert len(census.of("id-web").failures) == failures, now


def test_room_may_have_come_with_a_node_or_the_end_of_a_task() -> None:
    census = Census()
    small = SwarmNode("n1", True, True, memory=1)
    steps: list[tuple[list[SwarmTask], list[SwarmNode], int]] = [
        ([one("a"), one("b")], [small], 0),
        ([one("a"), one("b"), one("c")], [small], 0),
        ([one("a"), one("b"), one("c")], [SwarmNode("n1", True, False, memory=1)], 0),
        ([one("a"), one("b"), one("c")], [small], 1),
        ([one("a"), one("b")], [small], 2),
        ([one("a"), one("b")], [small, SwarmNode("n2", True, True)], 3),
        ([one("a"), one("b")], [small], 3),
    ]
    for tasks, nodes, room in steps:
        census.look(tasks, nodes, 0.0)
        assert census.room == room


def test_services_that_only_count() -> None:
    view = View()
    label = {"microscaling.count": "true"}
    both = label | {"microscaling.enable": "true"}
    view.listed(
        [
            listed("web", Labels=both),
            listed("agent", None, Labels=both),
            listed("db", Labels=label),
            listed("x"),
        ],
        view.mark(),
    )
    assert sorted(service.name for service in view.counted()) == ["agent", "db"]
    assert not is_counted({"microscaling.count": "false"})


def test_tasks_and_nodes_as_an_engine_describes_them() -> None:
    task = {
        "ID": "t", "ServiceID": "s", "NodeID": "n", "DesiredState": "running",
        "Status": {"State": "failed", "Timestamp": "1970-01-01T00:00:02.5Z", "Err": " a\n b "},
    }  # fmt: skip
    assert task_of(task) == SwarmTask("t", "s", "n", "running", "failed", 2.5, "a b")
    node = {
        "ID": "n", "Spec": {"Availability": "drain"}, "Status": {"State": "ready"},
        "Description": {"Resources": {"NanoCPUs": 2_000_000_000, "MemoryBytes": 5}},
    }  # fmt: skip
    assert node_of(node) == SwarmNode("n", True, False, 2_000_000_000, 5)


@pytest.mark.parametrize(
    ("given", "expected"), [("", "microscaling"), ("none", ""), ("None", ""), ("shop-1", "shop-1")]
)
def test_the_name_of_the_lease(given: str, expected: str) -> None:
    assert lease_of({"MSS_LEASE": given}, "microscaling") == expected


@pytest.mark.parametrize("given", ["a b", "-", "x" * 41, "a/b"])
def test_a_lease_of_another_form_is_named(given: str) -> None:
    with pytest.raises(ConfigError, match="MSS_LEASE: expected"):
        lease_of({"MSS_LEASE": given})


def test_what_ended_with_its_node_is_no_failed_start() -> None:
    census = Census()
    down = [SwarmNode("n1", False, True)]
    census.look([one("a")], NODES, 0.0)
    census.look([one("a", desired="shutdown")], down, 20.0)
    ended = one("a", "failed", "shutdown", at=AT + 30, error="task: non-zero exit (255)")
    census.look([ended], NODES, 40.0)
    assert census.of("id-web").failures == []


class Filtered:
    """A manager behind a filter, without a lease or with one; what is sent to it gets this answer."""

    def __init__(self, status: int, message: str, there: bool) -> None:
        answer = Response()
        answer.status_code = status
        answer.headers["Api-Version"] = "1.41"
        self.answer = APIError(f"HTTP {status}", answer, message)
        self.there = there
        self.sent: list[tuple[str, str, str]] = []

    def listed(self, path: str, until: float, **query: str) -> list[Any]:
        labels = {"com.microscaling.lease.holder": ""}
        spec = {"Name": "microscaling-lease-shop", "Labels": labels}
        return [{"ID": "x", "Version": {"Index": 7}, "Spec": spec}] if self.there else []

    def post(self, path: str, body: Any, until: float, **query: str) -> None:
        self.sent.append((path, body["Name"], query.get("version", "")))
        raise self.answer


@pytest.mark.parametrize(
    ("there", "status", "message", "well"),
    [
        (False, 400, "rpc error: meta: name must be provided", True),
        (True, 500, "rpc error: code = Unknown desc = update out of sequence", True),
        (False, 403, "no rule of the socket proxy allows this", False),
        (True, 403, "no rule of the socket proxy allows this", False),
        (True, 503, "The swarm does not have a leader", False),
    ],
)
def test_a_lease_is_tried_by_requests_that_change_nothing(
    there: bool, status: int, message: str, well: bool
) -> None:
    """No version is 0, and nothing is without a name."""
    manager = Filtered(status, message, there)
    (finding,) = examine_lease(ConfigLease(manager, "shop"), "shop")  # type: ignore[arg-type]
    sent = ("/configs/x/update", "microscaling-lease-shop", "0") if there else ("/configs/create", "", "")
    assert manager.sent == [sent]
    about = "MSS_LEASE=shop (the config microscaling-lease-shop of the swarm): "
    assert (finding.level == "ok") == well
    assert finding.text.startswith(about + ("no agent has it" if well else "cannot be written: "))
    assert well or (message in finding.text and finding.text.endswith("does without it: MSS_LEASE=none"))
