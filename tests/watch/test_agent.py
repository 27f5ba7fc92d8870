"""The warnings of a real agent, and the looks at its containers behind one of them."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from microscaling.api.apps import apps_from_data
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.process.plugin import make
from microscaling.settings import Settings
from tests.services.service import wait_for
from tests.test_main import run, start


def test_a_warning_comes_shows_and_goes(tmp_path: Path) -> None:
    name = f"mailer-{uuid.uuid4().hex[:8]}"
    database = tmp_path / "jobs.db"
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("CREATE TABLE jobs (id)")
        db.executemany("INSERT INTO jobs VALUES (?)", [(i,) for i in range(90)])
    config = {
        "targetQueueLength": 10,
        "databaseURL": f"sqlite:///{database}",
        "query": "SELECT count(*) FROM jobs",
    }
    app = {"name": name, "maxContainers": 3, "ruleType": "SimpleQueue", "metricType": "SQL", "config": config}
    agent = start(
        MSS_SCHEDULER="TOY", MSS_MONITOR="none", MSS_WARN_AFTER_S="1", MSS_STATE_DIR=str(tmp_path / "state"),
        MSS_CONFIG_DATA=json.dumps({"maxContainers": 9, "apps": [app]}),
    )  # fmt: skip
    assert agent.stderr
    try:
        line = next(line for line in agent.stderr if "has been at its maximum" in line)
        assert line.startswith("WARNING ")
        assert f"{name}: has been at its maximum, 3, for 1 s, and its reading calls for " in line
        code, out, _ = run("status")
        assert code == 0
        assert f"\n{name}: has been at its maximum, 3, " in out
        assert "  warning  has been at its maximum, 3, " in run("explain", name)[1]
        with closing(sqlite3.connect(database)) as db, db:
            db.execute("DELETE FROM jobs")
        line = next(line for line in agent.stderr if "no longer so: has been at" in line)
        assert line.startswith("INFO ")
        assert f"\n{name}: has been" not in run("status")[1]
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=60)


@pytest.mark.parametrize(("sign", "at_work"), [("file", 1), ("no file", 0), ("processor", 0), ("spins", 1)])
def test_whether_its_processes_are_at_work(tmp_path: Path, sign: str, at_work: int) -> None:
    """By the task's own sign, or else by the processor."""
    command = "sh -c 'while :; do :; done'" if sign == "spins" else "sleep 600"
    config = {"command": command}
    if "file" in sign:
        config["busyFile"] = f"{tmp_path}/busy-{{number}}"
    app = {"name": "a", "minContainers": 1, "maxContainers": 1, "ruleType": "Remainder", "config": config}
    tasks = Tasks(*apps_from_data(json.dumps({"maxContainers": 1, "apps": [app]}).encode()))
    scheduler = make(Settings(state_dir=str(tmp_path / "state")), {})
    assert isinstance(scheduler, ContainerScheduler)
    try:
        scheduler.count_all_tasks(tasks)
        assert scheduler.at_work("a") is None, "there is none yet"
        tasks.tasks[0].demand = 1
        scheduler.stop_start_tasks(tasks)
        wait_for(lambda: scheduler.count_all_tasks(tasks) or tasks.tasks[0].running == 1)
        if sign == "file":
            (tmp_path / "busy-1").write_text("")

        def look() -> bool:
            time.sleep(0.1)  # a busy machine may leave one that spins without the processor for so long
            return scheduler.at_work("a") == at_work

        wait_for(look)
    finally:
        scheduler.drain(tasks)
        wait_for(lambda: scheduler.idle(tasks))
        scheduler.cleanup()
