"""Copies of a web service come and go behind a real proxy, under load: the short form of `make web`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.agents import ROOT, wait_for
from tests.integration.composes import Project, engine, project
from tests.integration.conftest import host
from tests.web.load import Load
from tests.web.stage import EXAMPLES, Stage, Wish, need_images

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
            wait_for(stage.answers, "for the first answer")
            with Load(stage.address, 80, 10.0) as load:
                for _ in range(2):
                    wish.count = 4
                    stage.reaches(4)
                    wait_for(lambda: len(load.outcome.by) > 1, "for a copy to answer")
                    wish.count = 1
                    stage.reaches(1)
            assert agent.stop() == 0
            assert "without being unlisted" not in agent.log()
        assert len(load.outcome.by) > 1, "copies have answered"
        assert load.outcome.failures == 0, load.outcome.words()


def test_a_proxy_that_names_it_once_is_said_and_can_be_told_of_changes(
    project: Project, tmp_path: Path
) -> None:
    """It loads its configuration anew after each change, and no request is lost by that either."""
    need_images(project.engine, "nginx")
    said = "service proxy: nginx asks for web only once, as it begins (proxy_pass http://web:80;)"
    once = tmp_path / "nginx.conf"
    text = (EXAMPLES / "nginx.conf").read_text()
    once.write_text(text.replace("set $service web;", "").replace("http://$service:80", "http://web:80"))
    with Wish(1) as wish:
        stage = Stage(project, "nginx", "dies", True, wish, most=3)
        proxy = project.services["proxy"]
        proxy |= {"volumes": [f"{once}:/etc/nginx/nginx.conf:ro"], "depends_on": ["web"]}
        project.run("up", "-d")
        assert said in checked(project)
        proxy["labels"] = {"microscaling.on-change.signal": "HUP"}
        with stage.running() as agent:
            assert said not in checked(project)
            stage.reaches(1)
            wait_for(stage.answers, "for the first answer")
            with Load(stage.address, 80, 10.0) as load:
                wish.count = 3
                stage.reaches(3)
                wait_for(lambda: len(load.outcome.by) == 3, "for the copies to answer")
                wish.count = 1
                stage.reaches(1)
            assert agent.stop() == 0
            assert said not in agent.log()
        assert load.outcome.failures == 0, load.outcome.words()


def checked(project: Project) -> str:
    """What `microscaling check` says of a project."""
    done = subprocess.run(
        [sys.executable, "-m", "microscaling", "check"], env=project.agent(cap=20).environ, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return done.stdout + done.stderr
