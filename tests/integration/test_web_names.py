"""Names of containers in the DNS of a real engine: what is exchanged, and what goes wrong in between."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker.errors import NotFound

from microscaling.demand.task import Task
from microscaling.errors import NotReady, TemporaryError
from microscaling.scheduler.compose.backend import ComposeBackend
from microscaling.scheduler.containers.backend import Unsafe
from tests.integration.agents import wait_for
from tests.integration.composes import Project, engine, project
from tests.integration.web_stage import FOREVER, FRONT, WEB, Stage
from tests.web.stage import subnet

__all__ = ["engine", "project"]
pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def stage(project: Project, tmp_path: Path) -> Iterator[Stage]:
    with contextlib.closing(Stage(project, tmp_path)) as made:
        yield made


@pytest.fixture
def automatic(project: Project, tmp_path: Path) -> Iterator[Stage]:
    """The engine chooses the subnet."""
    with contextlib.closing(Stage(project, tmp_path, {"front": {}})) as made:
        yield made


def test_listed_late_and_unlisted_early_with_the_same_address(project: Project, tmp_path: Path) -> None:
    with contextlib.closing(Stage(project, tmp_path, asks=True)) as stage:
        listed_and_unlisted(stage)


def listed_and_unlisted(stage: Stage) -> None:
    copy = stage.copy(listed=False)
    assert not stage.is_listed(copy)
    stage.backend.give_name(WEB, copy, FOREVER, False)
    assert stage.is_listed(copy)
    before = stage.address(copy)
    wait_for(lambda: before in stage.answers(), "for its address in DNS")
    ours = stage.endpoints(copy)["front"]
    of_compose = stage.endpoints(stage.original)["front"]
    assert {*ours["Aliases"]} - {copy[:12]} == {*of_compose["Aliases"]} - {stage.original[:12]}
    stage.backend.take_name(WEB, copy)
    assert not stage.is_listed(copy)
    assert stage.address(copy) == before
    wait_for(lambda: before not in stage.answers(), "for its address to leave DNS")
    stage.backend.give_name(WEB, copy, FOREVER, True)
    assert (stage.is_listed(copy), stage.address(copy)) == (True, before)


def test_only_on_the_networks_that_are_named(stage: Stage) -> None:
    task = FRONT
    copy = stage.backend.create(task, "n1")
    stage.backend.start(copy)
    assert (stage.is_listed(copy, "front"), stage.is_listed(copy, "back")) == (False, True)
    stage.backend.give_name(task, copy, FOREVER, False)
    stage.gate.asked.clear()
    stage.backend.take_name(task, copy)
    assert (stage.is_listed(copy, "front"), stage.is_listed(copy, "back")) == (False, True)
    assert [path.split("/")[2].endswith("_front") for path in stage.gate.exchanges()] == [True, True]


def test_a_copy_that_is_not_ready_is_asked_again(project: Project, tmp_path: Path) -> None:
    check = {"test": ["CMD", "test", "-e", "/ready"], "interval": "1s"}
    project.services["web"] = {}
    with contextlib.closing(Stage(project, tmp_path)) as stage:
        project.web(networks=["front", "back"], healthcheck=check)
        project.run("up", "-d")
        stage.backend.list()
        copy = stage.copy(listed=False)
        with pytest.raises(NotReady):
            stage.backend.give_name(WEB, copy, 5.0, False)
        engine = project.engine
        engine.exec_start(engine.exec_create(copy, ["touch", "/ready"])["Id"])

        def is_given() -> bool:
            with contextlib.suppress(NotReady):
                stage.backend.give_name(WEB, copy, 5.0, False)
                return True
            return False

        wait_for(is_given, "for its health")
        assert stage.is_listed(copy)


def test_an_address_that_would_change_is_left_alone(automatic: Stage) -> None:
    stage = automatic
    copies = [stage.copy() for _ in range(3)]
    stage.backend.remove(copies[0])
    before = stage.address(copies[2])
    with pytest.raises(Unsafe, match="is free below its own: give the network a subnet"):
        stage.backend.take_name(WEB, copies[2])
    assert (stage.is_listed(copies[2]), stage.address(copies[2])) == (True, before)
    stage.copy()  # gets the address that was free
    stage.backend.take_name(WEB, copies[2])
    assert (stage.is_listed(copies[2]), stage.address(copies[2])) == (False, before)


def test_with_a_subnet_in_the_file_it_keeps_its_address_beside_a_free_one(stage: Stage) -> None:
    copies = [stage.copy() for _ in range(3)]
    stage.backend.remove(copies[0])
    before = stage.address(copies[2])
    with pytest.raises(Unsafe):  # the other network has none
        stage.backend.take_name(WEB, copies[2])
    assert stage.is_listed(copies[2]), "all networks are looked at before the first is left"
    stage.backend.take_name(FRONT, copies[2])
    assert (stage.is_listed(copies[2]), stage.address(copies[2])) == (False, before)


def test_with_ipv6_it_keeps_both_addresses(project: Project, tmp_path: Path) -> None:
    ranges = [{"subnet": subnet()}, {"subnet": f"fd00:{os.getpid() % 65536:x}:{uuid.uuid4().hex[:4]}::/64"}]
    front = {"enable_ipv6": True, "ipam": {"config": ranges}}
    with contextlib.closing(Stage(project, tmp_path, {"front": front})) as stage:
        copies = [stage.copy() for _ in range(2)]
        stage.backend.remove(copies[0])

        def addresses() -> tuple[str, str]:
            endpoint = stage.endpoints(copies[1])["front"]
            return endpoint["IPAddress"], endpoint["GlobalIPv6Address"]

        before = addresses()
        assert all(before)
        stage.backend.take_name(WEB, copies[1])
        assert (stage.is_listed(copies[1]), addresses()) == (False, before)
        stage.backend.give_name(WEB, copies[1], FOREVER, True)
        assert (stage.is_listed(copies[1]), addresses()) == (True, before)


def test_an_original_has_its_names_again_once_it_has_stopped(stage: Stage) -> None:
    stage.backend.take_name(WEB, stage.original)
    assert not stage.is_listed(stage.original)
    stage.backend.stop(stage.original, 1.0)
    assert stage.is_listed(stage.original)
    fixed = [one.get("IPAMConfig") for one in stage.endpoints(stage.original).values()]
    assert not any((one or {}).get("IPv4Address") for one in fixed), "else its service could have only one"
    stage.project.run("up", "-d")
    assert stage.is_listed(stage.project.inspected("web_1")["Id"])


def test_compose_minds_no_copy_without_its_name(stage: Stage) -> None:
    copy = stage.copy()
    stage.backend.take_name(WEB, copy)
    assert stage.project.count() == 2
    stage.project.run("up", "-d", "--scale", "web=2")
    assert copy in stage.project.ids()
    stage.project.run("down")
    assert stage.project.containers() == {}
    assert stage.project.networks_there() == []


def refused(times: int) -> Callable[[str], bool]:
    """Refuses so many connects."""
    left = [times]

    def look(path: str) -> bool:
        if not path.endswith("/connect") or not left[0]:
            return False
        left[0] -= 1
        return True

    return look


def test_a_connect_that_is_refused_is_tried_again(stage: Stage) -> None:
    copy = stage.copy()
    before = stage.address(copy)
    stage.gate.refuse = refused(3)
    stage.backend.take_name(WEB, copy)
    assert set(stage.endpoints(copy)) == {"front", "back"}
    assert (stage.is_listed(copy), stage.address(copy)) == (False, before)
    assert stage.witness.longest, "the witness has seen it off its network"


def test_an_agent_that_is_killed_in_between_leaves_it_to_the_next(stage: Stage) -> None:
    copy = stage.copy()
    for id in (copy, stage.original):
        with stage.witness.excused():  # there is no agent, until the next one has listed
            stage.gate.cut = lambda path: path.endswith("/connect")  # as if it were gone: no answer, ever
            killed = threading.Thread(target=lambda: _quietly(stage.backend, id), daemon=True)  # noqa: B023
            killed.start()
            wait_for(lambda: len(stage.endpoints(id)) < 2, "for the gap")  # noqa: B023
            kept = json.loads(next(stage.folder.glob("names-*.json")).read_text())
            assert [len(entry["pending"]) for entry in kept.values() if entry["pending"]] == [1]
            stage.gate.cut = lambda path: False
            other = stage.new_backend()  # its first listing
        assert set(stage.endpoints(id)) == {"front", "back"}
        other.give_name(WEB, id, FOREVER, False)
        assert stage.is_listed(id)
        other.close()
        killed.join()


def test_an_engine_that_is_away_in_between_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is while it is started anew, and its containers run on: the next listing puts it back."""
    monkeypatch.setattr("microscaling.scheduler.docker.names.BACK_S", 0.5)
    copy = stage.copy()
    before = stage.address(copy)

    def go_away(path: str) -> None:
        if path.endswith("/disconnect"):
            stage.gate.cut = lambda path: True

    stage.gate.between = go_away
    with stage.witness.excused():  # it alone can still ask the engine
        with pytest.raises(TemporaryError):
            stage.backend.take_name(FRONT, copy)
        assert set(stage.endpoints(copy)) == {"back"}
        assert stage.backend.owes_networks, "so that a listing is asked for at each beat"
        with pytest.raises(TemporaryError):
            stage.backend.list()
    stage.gate.cut, stage.gate.between = lambda path: False, lambda path: None
    stage.backend.list()
    assert set(stage.endpoints(copy)) == {"front", "back"}
    assert not stage.is_listed(copy)
    stage.backend.give_name(FRONT, copy, FOREVER, True)
    assert (stage.is_listed(copy), stage.address(copy)) == (True, before)


def test_a_service_that_wants_to_know_is_told_of_changes(project: Project, tmp_path: Path) -> None:
    with contextlib.closing(Stage(project, tmp_path)) as stage:
        labels = {"microscaling.on-change.signal": "HUP", "microscaling.on-change.exec": '["touch", "/told"]'}
        tells = "trap 'touch /heard' HUP; touch /begun; while :; do sleep 0.2; done"
        project.services["proxy"] = {"image": "mss-test/busybox", "networks": ["front"], "labels": labels,
                                     "command": ["sh", "-c", tells.replace("$", "$$")]}  # fmt: skip
        project.run("up", "-d")
        proxy = project.inspected("proxy_1")["Id"]

        def there(path: str) -> bool:
            with contextlib.suppress(NotFound):
                list(project.engine.get_archive(proxy, path)[0])
                return True
            return False

        wait_for(lambda: there("/begun"), "for its trap: before it has one it does not hear the signal")
        stage.copy()
        wait_for(lambda: there("/heard"), "for the signal")
        wait_for(lambda: there("/told"), "for the command")


def _quietly(backend: ComposeBackend, id: str) -> None:
    with contextlib.suppress(TemporaryError):
        backend.take_name(FRONT, id)


def test_a_container_of_others_that_starts_in_the_gap_takes_the_address(
    automatic: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage, client = automatic, automatic.project.engine
    copy, network = stage.copy(), f"{automatic.project.name}_front"
    before = stage.address(copy)
    other = client.create_container(
        "mss-test/sleeper", labels={"com.docker.compose.project": stage.project.name},
        host_config=client.create_host_config(network_mode=network),
    )["Id"]  # fmt: skip

    def start(path: str) -> None:
        if path.endswith("/disconnect"):
            with stage.witness.excused():  # a start takes its time on a busy machine
                client.start(other)

    stage.gate.between = start
    try:
        stage.backend.take_name(WEB, copy)
        assert stage.endpoints(other)["front"]["IPAddress"] == before
        assert stage.address(copy) not in ("", before)
        assert f"and was {before}: its open requests are lost" in caplog.text
    finally:
        client.remove_container(other, force=True)


def test_a_network_that_is_removed_in_the_gap_is_said(
    project: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.closing(Stage(project, tmp_path)) as stage:
        client, network = project.engine, f"{project.name}_front"
        stage.backend.list()

        def remove(path: str) -> None:
            if path.endswith("/disconnect") and network in path:
                client.remove_network(network)

        stage.gate.between = remove
        with pytest.raises(Exception, match="not found"):
            stage.backend.take_name(FRONT, stage.original)
        assert "cannot be put back on its network" in caplog.text
        assert not stage.backend.owes_networks
        with stage.witness.excused():  # what it was to be on is another one, to Compose and to us
            project.run("up", "-d")
            assert len(project.networks_there()) == 2


def test_two_services_at_once_keep_their_addresses(stage: Stage) -> None:
    copies = [stage.copy() for _ in range(4)]
    before = {id: stage.address(id) for id in copies}
    threads = [threading.Thread(target=stage.backend.take_name, args=(WEB, id)) for id in copies]
    starts = [threading.Thread(target=stage.copy, args=(False,)) for _ in range(2)]
    for thread in (*threads, *starts):
        thread.start()
    for thread in (*threads, *starts):
        thread.join()
    assert {id: stage.address(id) for id in copies} == before
    assert not any(stage.is_listed(id) for id in copies)
    assert stage.gate.overlaps == 0


def test_without_web_no_disconnect_is_ever_asked_for(stage: Stage) -> None:
    plain = Task("web", max_containers=8)
    backend = ComposeBackend(stage.gate.host, projects=stage.project.name)
    backend.begin(["web"])
    backend.prepare(plain)
    stage.gate.asked.clear()
    backend.list()
    copy = backend.create(plain, "n1")
    backend.start(copy)
    assert stage.is_listed(copy)
    backend.stop(copy, 1.0)
    backend.remove(copy)
    backend.list()
    backend.close()
    assert [path for path in stage.gate.asked if "/disconnect" in path] == []
