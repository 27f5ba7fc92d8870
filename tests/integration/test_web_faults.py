"""An engine that is killed while a container of a web service is off its network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling.errors import TemporaryError
from tests.integration import composes, engines
from tests.integration.composes import Project, project_on
from tests.integration.engines import OwnEngine, give_up
from tests.integration.web_stage import FOREVER, FRONT, Stage


@pytest.fixture
def bridged() -> Iterator[OwnEngine]:
    """An engine for this test alone, with networks, not started."""
    try:
        own = OwnEngine(networks=True)
    except engines.Missing as missing:
        give_up(missing)
    try:
        yield own
    except engines.Missing as missing:
        give_up(missing)
    finally:
        own.remove()


@contextlib.contextmanager
def project_of(own: OwnEngine, folder: Path) -> Iterator[Project]:
    own.start()
    with project_on(own.host, composes.USUAL, folder) as project:
        yield project


@pytest.mark.parametrize("lives_on", [True, False], ids=["its containers live on", "they end with it"])
def test_an_engine_that_is_killed_in_between(
    bridged: OwnEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lives_on: bool
) -> None:
    """What lives on is put back by the next listing, what its policy starts again by the next agent."""
    monkeypatch.setattr("microscaling.scheduler.docker.names.BACK_S", 0.5)
    bridged.config = {"live-restore": lives_on}
    with (
        project_of(bridged, tmp_path) as project,
        contextlib.closing(Stage(project, tmp_path, restart="always")) as stage,
    ):
        copy = stage.copy()
        before, pid = stage.address(copy), project.engine.inspect_container(copy)["State"]["Pid"]
        stage.gate.between = lambda path: bridged.kill() if path.endswith("/disconnect") else None
        with pytest.raises(TemporaryError):
            stage.backend.take_name(FRONT, copy)
        assert stage.backend.owes_networks
        stage.gate.between = lambda path: None
        with stage.witness.excused():  # until there is a listing
            bridged.start()
            assert "front" not in stage.endpoints(copy), "the engine itself has forgotten its network"
            backend = stage.backend if lives_on else stage.new_backend()
            backend.list()
        assert set(stage.endpoints(copy)) == {"front", "back"}
        assert not stage.is_listed(copy)
        backend.give_name(FRONT, copy, FOREVER, True)
        assert stage.is_listed(copy)
        state = project.engine.inspect_container(copy)["State"]
        assert state["Running"]
        assert (state["Pid"] == pid) is lives_on
        assert not lives_on or stage.address(copy) == before
        if backend is not stage.backend:
            backend.close()
