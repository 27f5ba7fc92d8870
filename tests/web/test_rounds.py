"""Copies of a web service come and go behind a real proxy, under load: the short form of `make web`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.composes import Project, engine, project
from tests.integration.conftest import host
from tests.web.load import Load
from tests.web.stage import Stage, Wish, need_images

__all__ = ["engine", "host", "project"]
pytestmark = pytest.mark.integration


@pytest.mark.parametrize("mode", ["dies"])
def test_no_request_is_lost_while_copies_come_and_go(project: Project, mode: str, tmp_path: Path) -> None:
    """Even with a server that drops everything at SIGTERM."""
    need_images(project.engine, "nginx")
    with Wish(1) as wish:
        stage = Stage(project, "nginx", mode, True, wish, most=4)
        with stage.running() as agent:
            stage.reaches(1)
            with Load(stage.address, 80, 10.0) as load:
                for _ in range(2):
                    wish.count = 4
                    stage.reaches(4)
                    wish.count = 1
                    stage.reaches(1)
            assert agent.stop() == 0
            assert "without being unlisted" not in agent.log()
        assert len(load.outcome.by) > 3, "copies have answered"
        assert load.outcome.failures == 0, load.outcome.words()
