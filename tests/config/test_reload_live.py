"""Reloads of a real agent with local processes: by command, by signal and by the file's change."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.config.watch import FileWatch, watched_file
from microscaling.control.client import AgentError, ask
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from tests.fakes.server import wait_for
from tests.test_main import run, socket_of, start


def fixed(name: str, count: int, command: str = "sleep 3600", **more: Any) -> dict[str, Any]:
    counts = {"minContainers": count, "maxContainers": count}
    return {
        "name": name,
        "priority": 1,
        **counts,
        "ruleType": "Remainder",
        "config": {"command": command},
    } | more


class Stage:
    """An agent with local processes, its file, and what runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "apps.json"
        self.mark = uuid.uuid4().hex
        self.environ = {
            "MSS_SCHEDULER": "PROCESS",
            "MSS_MONITOR": "none",
            "MSS_STATE_DIR": str(folder / "state"),
            "RELOADED_BY_TEST": self.mark,
        }
        self.said = ""

    def write(self, *apps: dict[str, Any], cap: int = 6) -> None:
        new = self.folder / "new"
        new.write_text(json.dumps({"maxContainers": cap, "apps": apps}))
        os.replace(new, self.file)

    def run(self, **environ: str) -> None:
        self.process = start("-f", str(self.file), **self.environ, **environ)
        self.socket = wait_for(self._socket)

    def _socket(self) -> str:
        assert self.process.poll() is None, self.process.communicate()
        return socket_of(self.process.pid, os.environ)

    def reload(self, yes: bool = False) -> Any:
        return ask(self.socket, "POST /reload", yes="1" if yes else "0")

    def pids(self, name: str = "") -> set[int]:
        path = self.folder / "state" / "state.json"
        state = json.loads(path.read_text()) if path.exists() else {"processes": []}
        entries = [one for one in state["processes"] if not name or one["task"] == name]
        return {one["pid"] for one in entries if one["pid"] and Path(f"/proc/{one['pid']}").exists()}

    def count(self, name: str) -> int:
        return len(self.pids(name))

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, self.said = self.process.communicate(timeout=60)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.end()
    for pid in stage.pids():  # those of a task that has gone
        os.kill(pid, signal.SIGKILL)


def test_containers_of_a_task_that_goes_stay_and_keep_their_places(stage: Stage) -> None:
    rest = fixed("rest", 1, priority=2, minContainers=0, maxContainers=6)
    stage.write(fixed("a", 4), rest)
    stage.run()
    wait_for(lambda: (stage.count("a"), stage.count("rest")) == (4, 2))
    before = stage.pids("a")
    stage.write(rest)
    assert stage.reload()["said"] == "gone, but what runs stays: a"
    wait_for(lambda: [task["name"] for task in ask(stage.socket, "GET /status")["tasks"]] == ["rest"])
    stage.write(rest, cap=7)
    assert stage.reload()["said"] == "maxContainers: 7"
    wait_for(lambda: stage.count("rest") == 3)
    assert stage.pids("a") == before, "they take four of the seven"
    stage.write(fixed("a", 4), rest, cap=7)
    assert stage.reload()["said"] == "new: a"
    wait_for(lambda: ask(stage.socket, "GET /explain", task="a")["running"] == 4)
    assert stage.pids("a") == before, "and are taken over"
    assert stage.count("rest") == 3


def test_they_go_if_the_user_says_so(stage: Stage) -> None:
    stage.write(fixed("a", 2), fixed("b", 2))
    stage.run(MSS_ORPHANS="stop")
    wait_for(lambda: (stage.count("a"), stage.count("b")) == (2, 2))
    stage.write(fixed("b", 2))
    assert stage.reload()["said"] == "gone, with what runs: a"
    before = stage.pids("b")
    wait_for(lambda: not stage.count("a"))
    assert stage.pids("b") == before


def test_a_bad_file_and_a_signal(stage: Stage) -> None:
    stage.write(fixed("a", 2))
    stage.run()
    wait_for(lambda: stage.count("a") == 2)
    before = stage.pids("a")
    stage.write(fixed("a", 3, "sleep 4000"), fixed("a", 1))
    told = stage.reload()
    assert told["said"] == ""
    assert told["problems"] == [f'{stage.file}: apps[1].name: "a" is the name of apps[0] too: change one']
    assert stage.pids("a") == before
    stage.write(fixed("a", 3))
    stage.process.send_signal(signal.SIGHUP)
    wait_for(lambda: stage.count("a") == 3)
    assert before < stage.pids("a")


def test_restart_replaces_all(stage: Stage) -> None:
    stage.write(fixed("a", 1), cap=2)
    stage.run()
    wait_for(lambda: stage.count("a") == 1)
    before = stage.pids("a")
    assert ask(stage.socket, "POST /restart", task="a")["said"] == "a: 1 process is replaced, a few at a time"
    wait_for(lambda: stage.count("a") == 1 and not stage.pids("a") & before)
    with pytest.raises(AgentError, match='there is no task "b"'):
        ask(stage.socket, "POST /restart", task="b")


def test_the_file_is_watched_and_a_task_goes_only_after_a_yes(stage: Stage) -> None:
    pytest.importorskip("watchdog")
    stage.write(fixed("a", 1), fixed("b", 1))
    stage.run(MSS_RELOAD="watch", MSS_ORPHANS="stop")
    wait_for(lambda: (stage.count("a"), stage.count("b")) == (1, 1))
    stage.write(fixed("a", 3), fixed("b", 1))
    wait_for(lambda: stage.count("a") == 3)
    stage.write(fixed("a", 2))
    told = stage.reload()
    assert told["problems"][0].startswith("waits for `microscaling reload --yes`, as a task goes: ")
    assert (stage.count("a"), stage.count("b")) == (3, 1)
    assert stage.reload(yes=True)["said"] == "changed: a; gone, with what runs: b"
    wait_for(lambda: (stage.count("a"), stage.count("b")) == (2, 0))


def test_a_dry_run_takes_changes_and_touches_nothing(stage: Stage) -> None:
    stage.write(fixed("a", 1))
    stage.run(MSS_DRY_RUN="true")
    stage.write(fixed("a", 3), fixed("b", 1))
    assert stage.reload()["said"] == "new: b; changed: a"
    with pytest.raises(AgentError, match="this scheduler creates no containers"):
        ask(stage.socket, "POST /restart", task="a")


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[[Path], FileWatch]]:
    pytest.importorskip("watchdog")
    made: list[FileWatch] = []

    def watch(path: Path) -> FileWatch:
        from threading import Event

        made.append(FileWatch(str(path), Event()))
        made[-1].start()
        wait_for(lambda: made[-1]._observer)
        return made[-1]

    yield watch
    for each in made:
        each.stop()
        each.join(10)
        assert each.error is None


def test_each_way_in_which_a_file_changes(tmp_path: Path, watching: Callable[[Path], FileWatch]) -> None:
    path = tmp_path / "apps.yml"
    path.write_text("1")
    watch = watching(path)
    steps: list[Callable[[], object]] = [
        lambda: path.write_text("22"),
        lambda: ((tmp_path / "x").write_text("333"), (tmp_path / "x").replace(path)),
        lambda: (path.unlink(), path.write_text("4444")),
    ]
    for step in steps:
        step()
        assert watch.changed.wait(20)
        watch.changed.clear()
    (tmp_path / "other").write_text("1")
    path.read_text()
    assert not watch.changed.wait(1.5), "another file, and our own reading, are no change"
    path.unlink()
    assert not watch.changed.wait(1.5), "without a file there is nothing to read"


def test_a_config_map_swaps_a_link(tmp_path: Path, watching: Callable[[Path], FileWatch]) -> None:
    """As the kubelet does: the file is a link to ..data/apps.yml, and ..data one to a folder with a date."""
    for version in ("1", "22"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "apps.yml").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "apps.yml"
    path.symlink_to("..data/apps.yml")
    watch = watching(path)
    (tmp_path / "..data_tmp").symlink_to("..22")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert watch.changed.wait(20)


@pytest.mark.parametrize("ends", ["removed", "renamed"])
def test_a_folder_that_is_replaced(
    tmp_path: Path,
    watching: Callable[[Path], FileWatch],
    monkeypatch: pytest.MonkeyPatch,
    ends: str,
) -> None:
    """As a deployment does that makes a new folder for each version."""
    monkeypatch.setattr("microscaling.config.watch.AGAIN_S", 0.3)
    folder = tmp_path / "now"
    folder.mkdir()
    path = folder / "apps.yml"
    path.write_text("1")
    watch = watching(path)
    for text in ("22", "333"):
        if ends == "removed":
            path.unlink()
            folder.rmdir()
        else:
            folder.rename(tmp_path / text)
        folder.mkdir()
        path.write_text(text)
        assert watch.changed.wait(20)
        watch.changed.clear()
    path.write_text("4444")
    assert watch.changed.wait(20)


def test_only_a_file_can_be_watched() -> None:
    with pytest.raises(
        ConfigError, match="MSS_RELOAD: watch is for MSS_CONFIG=FILE: with ENVVAR leave it out"
    ):
        watched_file(Settings(reload="watch", config="ENVVAR"))
    assert watched_file(Settings(config="FILE", config_file="x")) == ""


def test_a_restart_without_an_agent_says_so(tmp_path: Path) -> None:
    # Agents of other tests may run: they would restart a task of theirs.
    code, out, err = run("restart", f"none{uuid.uuid4().hex}", XDG_RUNTIME_DIR=str(tmp_path))
    assert (code, out) == (1, "")
    # Or one of theirs is frozen just then, and the only one.
    assert err.startswith(("microscaling: no agent ", "microscaling: the agent at "))
