"""Workers of real job frameworks in containers lose no job when they are scaled down."""

from __future__ import annotations

from tests.workers import stage


def test_containers_lose_no_job(engine):
    stage.check(stage.run(stage.SHORT, engine), stage.SHORT)
