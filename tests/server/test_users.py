"""Who is connected, what is wanted of them, and that there is never too much of anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from microscaling.server.domain import journal, modes, users
from microscaling.server.domain.modes import Demand
from microscaling.server.domain.reports import AgentInfo, Report, TaskReport
from microscaling.server.domain.user_config import read_plan
from microscaling.server.domain.users import Agent, Users, UserSettings
from microscaling.server.limits import Full, Refused
from microscaling.settings import Settings
from tests.server.running import PLAN


class Recorded:
    """An agent that notes what it is told."""

    def __init__(self, everyone: Users) -> None:
        self.offers: list[Demand] = []
        self.evicted = 0
        self.silent = 60.0
        self.agent: Agent = everyone.connect(self.offers.append, self)

    def silent_s(self, now: float) -> float:
        return self.silent

    def evict(self) -> None:
        self.evicted += 1


def connected(everyone: Users, user: str, engine: str = "", **tasks: TaskReport) -> Recorded:
    recorded = Recorded(everyone)
    hear(everyone, recorded, user, engine, **tasks)
    return recorded


def hear(everyone: Users, recorded: Recorded, user: str, engine: str = "", **tasks: TaskReport) -> None:
    about = AgentInfo(engine=engine) if engine else None
    everyone.hear(recorded.agent, Report(user, tasks, about), 0.0)


def configured(everyone: Users, name: str, mode: str) -> UserSettings:
    wishes = UserSettings(1, read_plan(PLAN, Settings()), mode)
    everyone.keep(everyone.get(name)).set(wishes)
    return wishes


def test_users_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "MAX_USERS", 2)
    everyone = Users()
    first = connected(everyone, "a")
    connected(everyone, "b")
    with pytest.raises(Refused, match="more than 2 sites"):
        connected(everyone, "c")
    everyone.disconnect(first.agent)
    connected(everyone, "c")
    assert everyone.users.keys() == {"b", "c"}


def test_agents_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "MAX_AGENTS", 2)
    everyone = Users()
    Recorded(everyone), Recorded(everyone)
    with pytest.raises(Refused, match="more than 2 agents"):
        Recorded(everyone)


def test_tasks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "MAX_TOLD", 3)
    everyone = Users()
    first = connected(everyone, "a", x=TaskReport(1, 1), y=TaskReport(1, 1))
    second = connected(everyone, "b", x=TaskReport(1, 1))
    with pytest.raises(Refused, match="more than 3 tasks"):
        hear(everyone, second, "b", x=TaskReport(1, 1), y=TaskReport(1, 1))
    everyone.disconnect(first.agent)
    hear(everyone, second, "b", x=TaskReport(1, 1), y=TaskReport(1, 1))


def test_the_longest_silent_goes_and_each_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "MAX_SILENT", 2)
    everyone = Users()
    speaking = connected(everyone, "a")
    silent = [Recorded(everyone) for _ in range(4)]
    assert [recorded.evicted for recorded in (speaking, *silent)] == [0, 1, 1, 0, 0]


def test_where_none_is_silent_the_newcomer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "MAX_SILENT", 2)
    everyone = Users()
    unread, fresh = Recorded(everyone), Recorded(everyone)
    unread.silent, fresh.silent = 0.0, 1.9
    with pytest.raises(Full, match="more than 2 agents without a first report"):
        Recorded(everyone)
    assert unread.evicted + fresh.evicted == 0
    hear(everyone, unread, "a")
    Recorded(everyone)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ([None, None], [None, None]),
        ([None, 5, None], [None, 5, 0]),
        ([0, None], [0, 0]),
    ],
)
def test_a_metric_that_is_left_out_is_0_only_of_an_agent_that_measures(
    metrics: list[int | None],
    expected: list[int | None],
) -> None:
    everyone = Users()
    recorded = Recorded(everyone)
    found = []
    for metric in metrics:
        hear(everyone, recorded, "a", p1=TaskReport(1, 1, metric))
        found.append(recorded.agent.tasks["p1"].metric)
    assert found == expected


def test_a_connection_is_one_users() -> None:
    everyone = Users()
    recorded = connected(everyone, "a")
    with pytest.raises(Refused, match="differs from that of earlier"):
        hear(everyone, recorded, "b")
    assert everyone.users.keys() == {"a"}


def test_who_decides_itself_is_listened_to() -> None:
    everyone = Users()
    configured(everyone, "a", modes.QUEUE)
    local = connected(everyone, "a", "LOCAL", p1=TaskReport(1, 1, 900), p2=TaskReport(9, 9))
    hear(everyone, local, "a", "LOCAL", p1=TaskReport(1, 8, 900), p2=TaskReport(9, 2))
    assert local.offers == []
    found = [(d.app, d.before, d.after) for d in everyone.users["a"].decisions]
    assert found == [("p1", 1, 8), ("p2", 9, 2)]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (modes.OFF, []),
        (modes.MANUAL, [{"p1": 1, "p2": 1}]),
        (modes.QUEUE, [{"p1": 3, "p2": 7}]),
    ],
)
def test_what_a_new_agent_is_told(mode: str, expected: list[Demand]) -> None:
    everyone = Users()
    configured(everyone, "a", mode)
    assert connected(everyone, "a", p1=TaskReport(3, 3, 50), p2=TaskReport(4, 4)).offers[:1] == expected


def test_paused_nothing_is_said() -> None:
    everyone = Users()
    wishes = replace(configured(everyone, "a", modes.MANUAL), paused=True)
    everyone.users["a"].set(wishes)
    recorded = connected(everyone, "a", p1=TaskReport(3, 3), p2=TaskReport(4, 4))
    assert recorded.offers == []
    everyone.users["a"].set(replace(wishes, paused=False))
    assert recorded.offers == [{"p1": 1, "p2": 1}]


def test_two_agents_are_decided_on_each_by_itself() -> None:
    everyone = Users()
    configured(everyone, "a", modes.QUEUE)
    calm = connected(everyone, "a", p1=TaskReport(1, 1, 0), p2=TaskReport(9, 9))
    busy = connected(everyone, "a", p1=TaskReport(1, 1, 900), p2=TaskReport(9, 9))
    assert calm.offers[-1] == {"p1": 1, "p2": 9}
    assert busy.offers[-1] == {"p1": 1, "p2": 1}


def test_decisions_of_a_user_outlast_its_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_USERS", 2)
    everyone = Users()
    for name in ("a", "b", "c"):
        recorded = connected(everyone, name, "LOCAL", p1=TaskReport(1, 1))
        hear(everyone, recorded, name, "LOCAL", p1=TaskReport(1, 4))
        everyone.disconnect(recorded.agent)
        assert name not in everyone.users
    assert [len(everyone.get(name).decisions) for name in ("a", "b", "c")] == [0, 1, 1]
    assert [user for user, _ in everyone.journal.take_unsaved()] == ["a", "b", "c"]
    assert everyone.journal.take_unsaved() == []


def test_a_plan_is_read_without_variables_and_files_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to the agent, and those of the server may be secrets."""
    monkeypatch.setenv("TAG", "secret")
    config = {
        "image": "worker:${TAG}",
        "user": "${NOT_SET}",
        "env_file": "/not/there",
        "security_opt": ["seccomp=/not/there"],
        "secrets": ["token"],
    }
    app = {"name": "a", "maxContainers": 1, "config": config}
    secrets = {"token": {"file": "${DIR}/token"}}
    plan = read_plan({"maxContainers": 1, "apps": [app], "secrets": secrets}, Settings())
    assert plan.warnings == ()
    assert plan.data["apps"] == [app]
    assert "secret" not in repr(plan.models[0].image)
