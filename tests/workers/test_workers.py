"""Local workers of real job frameworks lose no job when they are scaled down."""

from __future__ import annotations

from tests.workers import stage


def test_local_processes_lose_no_job():
    stage.check(stage.run(stage.SHORT), stage.SHORT)
