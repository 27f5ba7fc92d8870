"""The wishes of people: kept for the next agent, ended in time, refused with a reason."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from microscaling.control import overrides_file, views
from microscaling.control.wishes import Wishes, file_of
from microscaling.demand.override import Override
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.overrides import Overrides

NOW = 1_796_000_000.0


@pytest.fixture
def wishes(tmp_path: Path) -> Wishes:
    return made(tmp_path)


def made(folder: Path) -> Wishes:
    tasks = Tasks([Task("a", max_containers=8), Task("b", max_containers=4)], 10)
    return Wishes(tasks, str(folder / "state" / "overrides.json"), clock=lambda: NOW)


def ask(wishes: Wishes, command: str, **query: str) -> str:
    status, answer = wishes.handlers()[f"POST /{command}"](query)
    assert status == (200 if "said" in answer else 400)
    return str(answer.get("said") or answer["error"])


def test_they_are_kept_for_the_next_agent(wishes: Wishes, tmp_path: Path) -> None:
    assert ask(wishes, "pause", task="a", seconds="3600") == "a: paused by hand until 2026-11-30 01:53:20 UTC"
    assert ask(wishes, "pin", task="b", containers="3") == "b: pinned to 3 by hand"
    after = made(tmp_path)
    after.load()
    assert after.tasks.overrides == {"a": Override(None, NOW + 3600), "b": Override(3)}
    assert ask(after, "resume") == "a, b: follow their rules again"
    last = made(tmp_path)
    last.load()
    assert last.tasks.overrides == {}
    assert not [*tmp_path.rglob("*.json")]


def test_their_end_comes(wishes: Wishes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ask(wishes, "pause", seconds="60")
    wishes.expire()
    assert {*wishes.tasks.overrides} == {"a", "b"}
    wishes.clock = lambda: NOW + 61
    wishes.expire()
    assert wishes.tasks.overrides == {}
    assert "a: is no longer paused by hand until" in caplog.text


def test_the_status_right_after_an_order_shows_it(wishes: Wishes) -> None:
    """There is no beat between."""

    def seen() -> list[tuple[str, int]]:
        return [(task["state"], task["wanted"]) for task in views.status(wishes.tasks, "TOY")["tasks"]]

    ask(wishes, "pause", task="a", seconds="60")
    ask(wishes, "pin", task="b", containers="3")
    assert seen() == [("paused", 0), ("pinned", 3)]
    ask(wishes, "resume", task="b")
    assert seen() == [("paused", 0), ("ok", 0)]
    wishes.clock = lambda: NOW + 61
    wishes.expire()
    assert seen() == [("ok", 0)] * 2
    ask(wishes, "pause", down="true")
    assert seen() == [("paused", 0)] * 2
    ask(wishes, "resume")
    assert [(task.min_containers, task.max_containers) for task in wishes.tasks.tasks] == [(0, 8), (0, 4)]


REFUSED = [
    ("pause", {"task": "c"}, 'there is no task "c"'),
    ("pause", {"seconds": "-1"}, 'expected a number of seconds above 0, at most 10 years, got "-1"'),
    ("pause", {"seconds": "nan"}, 'expected a number of seconds above 0, at most 10 years, got "nan"'),
    ("pause", {"seconds": "1e300"}, 'expected a number of seconds above 0, at most 10 years, got "1e300"'),
    ("pin", {"task": "a", "containers": "many"}, 'expected a number of containers, got "many"'),
    ("pin", {"task": "a", "containers": "-1"}, 'expected a number of containers, got "-1"'),
    ("pin", {"task": "a", "containers": "9"}, "a: its maxContainers is 8: pin it to so many at most"),
    ("pin", {"containers": "3"}, "pin: which task? one at a time"),
    ("resume", {"task": "a"}, "a: is neither paused nor pinned"),
    ("pause", {"task": "c", "down": "true"}, 'there is no task "c"'),
    ("resume", {}, "no task is paused or pinned"),
]


@pytest.mark.parametrize(("command", "query", "says"), REFUSED, ids=str)
def test_a_refusal_has_its_reason(wishes: Wishes, command: str, query: dict[str, str], says: str) -> None:
    assert ask(wishes, command, **query) == says
    assert wishes.tasks.overrides == {}


def test_down_is_kept_too(wishes: Wishes, tmp_path: Path) -> None:
    assert ask(wishes, "pause", task="a", down="true") == "a: paused without containers by hand"
    after = made(tmp_path)
    after.load()
    assert after.tasks.overrides == {"a": Override(0, None, down=True)}


def test_a_pinned_task_has_the_maximum_of_its_configuration(wishes: Wishes) -> None:
    ask(wishes, "pin", task="a", containers="3")
    Overrides(wishes.tasks).apply()
    assert (
        ask(wishes, "pin", task="a", containers="9") == "a: its maxContainers is 8: pin it to so many at most"
    )
    assert ask(wishes, "pin", task="a", containers="8") == "a: pinned to 8 by hand"


def test_where_a_server_decides_they_would_have_no_effect(wishes: Wishes) -> None:
    wishes.decides = False
    assert ask(wishes, "pause").startswith("MSS_DEMAND_ENGINE=SERVER: the server decides")


BAD = [
    "",
    "[]",
    '{"a": 3}',
    '{"a": {"other": 3}}',
    "\x00",
    "[" * 100_000,
    '{"a": {"containers": "3"}}',
    '{"a": {"containers": true}}',
    '{"a": {"containers": -1}}',
    '{"a": {"containers": 1e9}}',
    '{"a": {"until": "tomorrow"}}',
    '{"a": {"until": 1e300}}',
    '{"a": {"until": NaN}}',
    '{"a": {"down": true}}',
    '{"a": {"containers": 0, "down": 3}}',
]


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_a_file_that_is_none_of_ours(wishes: Wishes, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = Path(wishes.file.path)
    path.parent.mkdir()
    path.write_text(text)
    wishes.load()
    assert wishes.tasks.overrides == {}
    assert "no task is paused or pinned" in caplog.text


def test_without_a_writable_folder_it_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("a file in the place of the folder")
    wishes = made(tmp_path)
    ask(wishes, "pause")
    ask(wishes, "pause")
    assert {*wishes.tasks.overrides} == {"a", "b"}
    assert caplog.text.count("the next agent will forget the paused tasks") == 1


def test_another_agent_that_is_frozen_with_the_file_delays_an_order_only(
    wishes: Wishes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overrides_file, "LOCK_WAIT_S", 0.05)
    ask(wishes, "pause", task="a")
    fd = os.open(Path(wishes.file.path).parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        ask(wishes, "pause", task="b")
        assert {*wishes.tasks.overrides} == {"a", "b"}
        assert "is locked by another process: the next agent will forget the paused tasks" in caplog.text
    finally:
        os.close(fd)
    ask(wishes, "pin", task="a", containers="2")
    assert json.loads(Path(wishes.file.path).read_text()).keys() == {"a", "b"}


def test_agents_of_other_tasks_have_other_files() -> None:
    files = {
        file_of("/s", *of)
        for of in (
            ("unix:///a", "FILE /x"),
            ("unix:///a", "FILE /y"),
            ("tcp", "FILE /x"),
            ("unix:///a", "SERVICES"),
            ("unix:///a", "SERVICES", "shop"),
            ("unix:///a", "SERVICES", "blog"),
        )
    }
    assert len(files) == 6


def test_the_file_is_json(wishes: Wishes) -> None:
    ask(wishes, "pin", task="a", containers="2")
    assert json.loads(Path(wishes.file.path).read_text()) == {
        "a": {"containers": 2, "until": None, "down": False}
    }


def test_one_whose_time_ended_while_no_agent_ran(
    wishes: Wishes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ask(wishes, "pause", task="a", seconds="60")
    ask(wishes, "pin", task="b", containers="3")
    caplog.clear()
    after = made(tmp_path)
    after.clock = lambda: NOW + 61
    after.load()
    assert after.tasks.overrides == {"b": Override(3)}
    assert [line.partition(" by hand")[0] for line in caplog.messages] == [
        "a: is no longer paused",
        "b: is still pinned to 3",
    ]
    assert json.loads(Path(wishes.file.path).read_text()).keys() == {"b"}


def test_agents_that_share_the_file_keep_what_the_other_has_put(tmp_path: Path) -> None:
    """Both have their tasks from MSS_CONFIG_DATA, say, and run at the same time."""
    one, other = made(tmp_path), made(tmp_path)
    ask(one, "pin", task="a", containers="2")
    ask(other, "pause", task="b")
    ask(one, "pin", task="a", containers="3")
    after = made(tmp_path)
    after.load()
    assert after.tasks.overrides == {"a": Override(3), "b": Override()}
    ask(other, "resume", task="b")
    assert json.loads(Path(one.file.path).read_text()).keys() == {"a"}
    ask(one, "resume", task="a")
    assert not Path(one.file.path).exists()


def test_where_a_server_decides_nothing_is_taken_over(wishes: Wishes, tmp_path: Path) -> None:
    ask(wishes, "pause", task="a")
    after = made(tmp_path)
    after.decides = False
    after.load()
    assert after.tasks.overrides == {}
    assert Path(wishes.file.path).exists(), "they are for an agent that decides again"


def test_a_task_that_nothing_moves_cannot_be_pinned(wishes: Wishes) -> None:
    task = wishes.tasks.get_task("a")
    task.is_scalable = False
    assert ask(wishes, "pin", task="a", containers="3") == (
        "a: nothing moves it, as its image has the label is-scalable with false"
    )
    task.is_scalable = True
    ask(wishes, "pause", task="a")
    Overrides(wishes.tasks).apply()
    assert not task.is_scalable
    assert ask(wishes, "pin", task="a", containers="3") == "a: pinned to 3 by hand"
