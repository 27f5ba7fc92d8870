"""`microscaling status` and `explain`, of real agents."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.server import wait_for
from tests.pages import DOCS, blocks_of
from tests.test_main import run, start

yaml = pytest.importorskip("yaml")

APPS = """\
maxContainers: 10
apps:
  - name: mailer
    priority: 1
    minContainers: 1
    maxContainers: 8
    ruleType: SimpleQueue
    metricType: SQL
    config:
      {targetQueueLength: 20, databaseURL: "sqlite:///FOLDER/jobs.db", query: "SELECT count(*) FROM jobs"}
  - name: resizer
    priority: 2
    maxContainers: 8
    ruleType: SimpleQueue
    metricType: SQL
    config:
      {targetQueueLength: 20, databaseURL: "sqlite:///FOLDER/none.db", query: "SELECT count(*) FROM jobs"}
  - name: batch
    priority: 3
    maxContainers: 4
    ruleType: Remainder
"""
WINDOW = """\
    schedule:
      - {dates: [2020-01-01..2090-12-31], timezone: Europe/Berlin, minContainers: 2}
"""


class Agent:
    """A real agent at work on the file, with names of its own, as `status` tells of all agents here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex[:8]

    def __enter__(self) -> Agent:
        with closing(sqlite3.connect(self.folder / "jobs.db")) as db, db:
            db.execute("CREATE TABLE jobs (id)")
            db.executemany("INSERT INTO jobs VALUES (?)", [(i,) for i in range(200)])
        apps = APPS.replace("FOLDER", str(self.folder))
        (self.folder / "apps.yml").write_text(re.sub("name: (.*)", rf"name: \g<1>{self.mark}", apps))
        self.run()
        return self

    def run(self) -> None:
        state = {"MSS_STATE_DIR": str(self.folder / "state"), "MSS_MONITOR": "none", "MSS_SCHEDULER": "TOY"}
        self.process = start("-f", str(self.folder / "apps.yml"), **state)
        wait_for(lambda: self.status() or self.process.poll() is not None)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=60)
        assert self.process.returncode in (0, -signal.SIGKILL), said

    def status(self, *arguments: str) -> str:
        """Its part of what `status` prints; empty if it is in none."""
        code, out, err = run("status", *arguments)
        if code:
            assert err.startswith("microscaling: no agent of this user runs here"), err
            return ""
        assert err == ""
        parts = out.splitlines() if arguments else re.split("^(?=microscaling )", out, flags=re.MULTILINE)
        return next((part for part in parts if re.search(rf"\b{self.process.pid}\b", part)), "")

    def explain(self, task: str, *arguments: str) -> str:
        code, out, err = run("explain", task + self.mark, *arguments)
        assert (code, err) == (0, "")
        return out

    def alike(self, text: str) -> str:
        """The text without all that differs from run to run."""
        text = text.replace(self.mark, "").replace(str(self.folder), "/srv")
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN", text)
        return re.sub(r" +", " ", re.sub(r"process \d+|[\d.]+ s ago", "", text)).strip()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with Agent(tmp_path) as agent:
        yield agent


def test_status_and_explain(agent: Agent) -> None:
    wait_for(lambda: "8 of 8" in agent.explain("mailer"))
    shown, explained = blocks_of(DOCS / "commands.md", "text")
    wait_for(lambda: agent.alike(agent.status()) == agent.alike(shown.text))

    lines = agent.alike(agent.explain("mailer")).splitlines()
    wanted = agent.alike(explained.text).splitlines()
    assert lines[: len(wanted) - 1] == wanted[:-1]
    assert lines[-1].startswith(" WHEN 0 -> 1 ("), "its first decision"
    problem = " problem sqlite:////srv/none.db: there is no such file"
    assert problem in agent.alike(agent.explain("resizer")).splitlines()


def test_a_person_goes_before_the_rule(agent: Agent) -> None:
    name = f"mailer{agent.mark}"
    wait_for(lambda: "8 of 8" in agent.explain("mailer"))
    assert run("pin", name, "3", "--for", "1h")[:2][0] == 0
    wait_for(lambda: "3 of 3" in agent.explain("mailer"))
    assert f"{name}: pinned: " in agent.explain("mailer")
    assert re.search(r"problem  pinned to 3 by hand until \d{4}-", agent.explain("mailer"))

    agent.process.send_signal(signal.SIGTERM)
    agent.process.communicate(timeout=60)
    agent.run()
    wait_for(lambda: "3 of 3" in agent.explain("mailer"))

    code, out, err = run("resume", name)
    assert (code, out, err) == (0, f"{name}: follows its rule again\n", "")
    wait_for(lambda: "8 of 8" in agent.explain("mailer"))
    code, out, err = run("pin", name, "99")
    assert (code, out) == (1, "")
    assert err.endswith(f"{name}: its maxContainers is 8: pin it to so many at most\n")


def test_json_is_for_programs(agent: Agent) -> None:
    told = json.loads(agent.status("--json"))
    assert {*told} == {"version", "pid", "scheduler", "noun", "cap", "free", "hold", "tasks"}
    assert [task["name"].removesuffix(agent.mark) for task in told["tasks"]] == ["mailer", "resizer", "batch"]
    told = json.loads(agent.explain("mailer", "--json"))
    assert {*told} == TASK | EXPLAINED
    assert {*told["reading"]} == READING
    assert told["reading"]["waiting"] == 200


def test_a_task_that_is_not_there(agent: Agent) -> None:
    code, out, err = run("explain", f"mialer{agent.mark}")
    assert (code, out) == (1, "")
    assert (
        err == f'microscaling: no agent has a task "mialer{agent.mark}"; did you mean mailer{agent.mark}?\n'
    )


def test_of_an_agent_that_was_killed_nothing_is_shown(agent: Agent) -> None:
    agent.process.kill()
    agent.process.wait()
    assert agent.status() == ""


TASK = {
    *("name", "priority", "state", "running", "requested", "wanted", "min", "max", "reading", "target"),
    *("since", "reason", "waits", "problem", "schedule", "rolling"),
}
READING = {"waiting", "running", "stuck", "future", "paused", "ageSeconds"}
EXPLAINED = {"rule", "metric", "sources", "lacks", "obstacle", "cap", "has", "decisions", "band"}


def test_a_task_that_waits_for_places_in_a_drain(tmp_path: Path) -> None:
    """Each process of the less important task is at a job that does not end."""
    mark = uuid.uuid4().hex[:8]
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db, db:
        db.execute("CREATE TABLE jobs (id)")
    query = {"databaseURL": f"sqlite:///{tmp_path}/jobs.db", "query": "SELECT count(*) FROM jobs"}
    at_work = {"exec": ["sh", "-c", "exit 1"]}
    config = {
        "maxContainers": 3,
        "apps": [
            {"name": f"mailer{mark}", "priority": 1, "maxContainers": 3, "ruleType": "SimpleQueue",
             "metricType": "SQL", "config": {"command": "sleep 600", "targetQueueLength": 2, **query}},
            {"name": f"batch{mark}", "priority": 2, "minContainers": 0, "maxContainers": 3,
             "config": {"command": "sleep 600", "busyProbe": at_work, "drain": {"seconds": 2460}}},
        ],
    }  # fmt: skip
    environ = {"MSS_SCHEDULER": "PROCESS", "MSS_STATE_DIR": str(tmp_path / "state"), "MSS_CONFIG": "ENVVAR",
               "MSS_CONFIG_DATA": json.dumps(config), "MSS_MONITOR": "none",
               "MSS_EXIT_TIMEOUT_S": "2"}  # fmt: skip

    def told() -> tuple[str, str, str]:
        return tuple(run(*words)[1] for words in (("status",), *(("explain", f"{n}{mark}") for n in names)))

    names = ("mailer", "batch")
    process = start(**environ)
    try:
        wait_for(lambda: re.search(rf"batch{mark} +2 +3 ", told()[0]))
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as db, db:
            db.executemany("INSERT INTO jobs VALUES (?)", [(i,) for i in range(200)])
        waits = r"waits for \d that drain, at most 4[01] min"
        wait_for(lambda: re.search(rf"^mailer{mark} {waits}$", told()[0], re.MULTILINE))
        status, mailer, batch = told()
        assert re.search(rf"batch{mark} .* draining ", status)
        assert re.search(
            r"  waits    (it )?waits for \d that drain, at most 4[01] min$", mailer, re.MULTILINE
        )
        assert f"batch{mark}: draining: containers are to go" in batch
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert re.search(rf"batch{mark}: process [0-9a-f]+ drains: it is busy; at most 4[01] min", said)


def test_the_window_that_is_open_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "APPS", APPS + WINDOW)
    with Agent(tmp_path) as agent:
        name = f"batch{agent.mark}"
        text = "on 2020-01-01..2090-12-31 Europe/Berlin: minContainers 2"
        wait_for(lambda: f"  window   {text}; " in agent.explain("batch"))
        assert f"{name}: {text}; " in agent.status()
        told = json.loads(agent.explain("batch", "--json"))
        assert (told["min"], told["schedule"]["open"]) == (2, text)
