"""Real workers that end with code 0 when their job is done, under the agent as users run it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.one_job import Jobs
from tests.integration.agents import AgentProcess, app, wait_for


@pytest.fixture(params=["PROCESS", pytest.param("DOCKER", marks=pytest.mark.integration)])
def where(request: pytest.FixtureRequest) -> str:
    """What runs the workers; without an engine only the one."""
    scheduler: str = request.param
    if scheduler == "DOCKER":
        request.getfixturevalue("engine")
    return scheduler


@contextmanager
def agent(folder: Path, jobs: Jobs, where: str, count: int, prefix: str) -> Iterator[AgentProcess]:
    """An agent that is to run `count` such workers all the time."""
    config: dict[str, Any] = {"command": jobs.command, "targetQueueLength": 20, **jobs.metric}
    if where == "DOCKER":
        config |= {"volumes": [f"{jobs.folder}:{jobs.folder}"], "networkMode": "none"}
    tasks = [
        app(
            f"{prefix}web",
            1,
            ruleType="Queue",
            metricType="HTTP",
            minContainers=count,
            maxContainers=count,
            config=config,
        )
    ]
    environ = {
        "MSS_SCHEDULER": where,
        "MSS_STATE_DIR": str(folder / "state"),
        "MSS_LOG_DEBUG": "mssscheduler",
    }
    with AgentProcess(folder, tasks, cap=count, **environ) as run:
        yield run
        assert run.stop() == 0


@pytest.mark.parametrize(("job_s", "jobs_there"), [(0.1, 60), (0.7, 60), (1.5, 20)])
def test_they_work_the_queue_off(
    tmp_path: Path, where: str, prefix: str, job_s: float, jobs_there: int
) -> None:
    with Jobs(tmp_path, job_s) as jobs:
        jobs.put(jobs_there)
        with agent(tmp_path, jobs, where, 3, prefix) as run:
            wait_for(lambda: jobs.count("done") == jobs_there, "for all jobs to be done")
            log = run.log()
        # Of very short jobs a busy machine may show none that ran while its queue was seen to fall.
        assert "have done their work" in log or job_s < 0.5
        assert "backs off" not in log
        assert "backing off" not in log
        # A busy machine may skip beats and wait for answers, of which it warns; never of workers that end.
        warnings = [line for line in log.splitlines() if "WARNING" in line]
        assert [line for line in warnings if re.search("container|process|exit", line)] == []


def test_without_work_they_are_started_once_a_second_and_work_comes_at_once(
    tmp_path: Path, where: str, prefix: str
) -> None:
    with Jobs(tmp_path, 0.1) as jobs, agent(tmp_path, jobs, where, 2, prefix) as run:
        run.says("without a sign of work: nothing waits")
        begun, before = time.monotonic(), run.log().count(" exited with code 0")
        time.sleep(6)
        starts = run.log().count(" exited with code 0") - before
        assert starts <= time.monotonic() - begun + 3
        run.says("backing off, next try in 2 s")
        jobs.put(10)
        wait_for(lambda: jobs.count("done") == 10, "for the jobs to be done")
        run.says("there is work: no longer backing off")
