"""`microscaling status` and `explain`, of real agents."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from microscaling.control import client, command
from microscaling.control.place import own_socket
from scripts import transcripts
from tests.fakes.server import wait_for
from tests.pages import DOCS
from tests.test_main import run, start

yaml = pytest.importorskip("yaml")

NONE_RUNS = f"microscaling: {command.NONE_RUNS}\n"
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
        apps = transcripts.APPS.replace("FOLDER", str(self.folder))
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
        said = self.said(err)
        if code:
            assert said in ("", NONE_RUNS), err
            return ""
        assert said == ""
        parts = out.splitlines() if arguments else re.split("^(?=microscaling )", out, flags=re.MULTILINE)
        ours = rf'(process |"pid": ){self.process.pid}\b'
        return next((part for part in parts if re.search(ours, part)), "")

    def said(self, err: str) -> str:
        """What a command complains of, but for agents that do not answer just then: tests beside this one
        freeze and kill theirs."""
        lines = err.splitlines(keepends=True)
        silent = [line for line in lines if line.startswith("microscaling: the agent at ")]
        assert not any(f"-{self.process.pid}.sock" in line for line in silent), err
        return "".join(line for line in lines if line not in silent)

    def explain(self, task: str, *arguments: str) -> str:
        code, out, err = run("explain", task + self.mark, *arguments)
        assert (code, self.said(err)) == (0, "")
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


def test_the_page_shows_what_the_commands_print() -> None:
    """All of them, in its order, on an agent of their own."""
    assert transcripts.main(["--check"]) == 0


def test_a_source_that_fails_is_explained(agent: Agent) -> None:
    problem = " problem sqlite:////srv/none.db: there is no such file"
    wait_for(lambda: problem in agent.alike(agent.explain("resizer")).splitlines())


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
    assert (code, out, agent.said(err)) == (0, f"{name}: follows its rule again\n", "")
    wait_for(lambda: "8 of 8" in agent.explain("mailer"))
    code, out, err = run("pin", name, "99")
    assert (code, out) == (1, "")
    said = f"microscaling: {name}: its maxContainers is 8: pin it to so many at most\n"
    assert agent.said(err) == said


def strict(schema: Any) -> Any:
    """The schema as one in which nothing else may be: the page promises that keys are only added to it."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = (
        {"unevaluatedProperties": False}
        if "properties" in schema and "name" not in schema["properties"]
        else {}
    )
    return {key: strict(value) for key, value in schema.items()} | closed


def test_json_is_as_the_schema_has_it(agent: Agent) -> None:
    validate = jsonschema.Draft202012Validator(
        strict(json.loads((DOCS / "commands.schema.json").read_text()))
    ).validate
    told = json.loads(agent.status("--json"))
    validate(told)
    assert [task["name"].removesuffix(agent.mark) for task in told["tasks"]] == ["mailer", "resizer", "batch"]
    for name in ("mailer", "resizer", "batch"):
        told = json.loads(agent.explain(name, "--json"))
        validate(told)
        assert told["name"] == f"{name}{agent.mark}"
        with pytest.raises(jsonschema.ValidationError):
            validate(told | {"other": 1})
        with pytest.raises(jsonschema.ValidationError):
            validate({key: value for key, value in told.items() if key != "decisions"})


def test_a_task_that_is_not_there(agent: Agent) -> None:
    code, out, err = run("explain", f"mialer{agent.mark}")
    assert (code, out) == (1, "")
    # In the same line as an agent of another test that does not answer just then.
    said = err.rstrip("\n").partition("; the agent at ")[0]
    assert said == f'microscaling: no agent has a task "mialer{agent.mark}"; did you mean mailer{agent.mark}?'


def test_an_agent_that_does_not_answer_hides_no_other(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_socket(os.environ)

    class Connection(client._Connection):
        """Waits long for an agent that a busy machine makes slow, and not for the deaf one."""

        def __init__(self, of: str) -> None:
            super().__init__(of)
            self.timeout = 0.5 if of == path else 60.0

    monkeypatch.setattr(client, "_Connection", Connection)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(path)
        deaf.listen()
        try:
            for as_json in (False, True):
                lines: list[str] = []
                problems: list[str] = []
                assert command.status(os.environ, lines.append, as_json, write_error=problems.append) == 0
                assert any(agent.mark in line for line in lines)
                assert f"microscaling: the agent at {path} does not answer: timed out\n" in problems
        finally:
            os.unlink(path)


def test_of_an_agent_that_was_killed_nothing_is_shown(agent: Agent) -> None:
    agent.process.kill()
    agent.process.wait()
    assert agent.status() == ""


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
        waits = r"waits for \d that drains?, at most 4[01] min"
        wait_for(lambda: re.search(rf"^mailer{mark} {waits}$", told()[0], re.MULTILINE))
        status, mailer, batch = told()
        assert re.search(rf"batch{mark} .* draining ", status)
        assert re.search(
            r"  waits    (it )?waits for \d that drains?, at most 4[01] min$", mailer, re.MULTILINE
        )
        assert f"batch{mark}: draining: processes are to go" in batch
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert re.search(rf"batch{mark}: process [0-9a-f]+ drains: it is busy; at most 4[01] min", said)


def test_the_window_that_is_open_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "APPS", transcripts.APPS + WINDOW)
    with Agent(tmp_path) as agent:
        name = f"batch{agent.mark}"
        text = "on 2020-01-01..2090-12-31 Europe/Berlin: minContainers 2"
        wait_for(lambda: f"  window   {text}; " in agent.explain("batch"))
        assert f"{name}: {text}; " in agent.status()
        told = json.loads(agent.explain("batch", "--json"))
        assert (told["min"], told["schedule"]["open"]) == (2, text)


def completed(line: str) -> list[str]:
    """What bash offers at the end of a line, with the completion of the page."""
    script = """
        eval "$(register-python-argcomplete microscaling)"
        COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
        _python_argcomplete microscaling 2>/dev/null
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "-c", script, "-", line], env=environ, capture_output=True, text=True, timeout=60
    )
    return sorted(word.strip() for word in ended.stdout.split("\n") if word.strip())


def test_the_shell_completes(agent: Agent) -> None:
    assert completed("microscaling pa") == ["pause"]
    assert {"check", "explain", "pin", "resume", "run", "status"} <= {*completed("microscaling ")}
    assert completed("microscaling run --dr") == ["--dry-run"]
    assert completed(f"microscaling explain mailer{agent.mark[:6]}") == [f"mailer{agent.mark}"]
    assert completed(f"microscaling restart mailer{agent.mark[:6]}") == [f"mailer{agent.mark}"]
    assert not any(agent.mark in word for word in completed(f"microscaling pin mailer{agent.mark} "))
    for options in ("pause --down", "pause --for 2h", "explain --json"):
        assert completed(f"microscaling {options} mailer{agent.mark[:6]}") == [f"mailer{agent.mark}"]
    assert completed("microscaling pin --") == ["--for", "--help"]
    assert completed("microscaling simulate --lo") == ["--load"]
    assert "--json" not in completed("microscaling simulate --")


def test_rows_have_a_colour_only_on_a_terminal(agent: Agent) -> None:
    def begins() -> list[str]:
        lines: list[str] = []
        assert command.status(os.environ, lines.append, coloured=True) == 0
        return [line[:5] for line in lines if agent.mark in line]

    # Once it has readings, and containers; they come one after the other.
    wait_for(lambda: begins() == ["\x1b[33m", "\x1b[31m", "batch"])
    assert "\x1b" not in agent.status()
