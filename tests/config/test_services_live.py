"""Services that come, change their labels and go while the agent runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from microscaling.agent import Agent
from microscaling.config.services import follower
from microscaling.config.services.catalogue import Catalogue
from microscaling.config.services.discovery import Discovery, Service, service_of
from microscaling.config.services.follower import Follower
from microscaling.config.services.plugin import ServicesConfig
from microscaling.demand.change import Change
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.errors import PermanentError, TemporaryError
from microscaling.monitor.base import Monitor
from microscaling.scheduler.dry_run import DryRunScheduler
from microscaling.scheduler.toy import ToyScheduler
from microscaling.settings import Settings
from tests.config.test_services_discovery import inspected, labels, listed
from tests.metric.nsqd import wait_for

CAP = 10


def service(name: str, *, image: str = "web:1", most: int | None = None, **more: str) -> Service:
    more = {"max": "4", "priority": "1"} | more
    given = {f"microscaling.{key.replace('_', '-')}": text for key, text in more.items()}
    return Service(name, {"microscaling.enable": "true", **given}, 10.0, image, most, ())


class World:
    """A catalogue whose changes are always taken."""

    def __init__(self, **variables: Any) -> None:
        self.catalogue = Catalogue(CAP, Settings(), **variables)

    def see(self, *services: Service) -> Change:
        change = self.catalogue.read(services)
        self.catalogue.take()
        return change


NSQ = {"metric": "NSQ", "metric.topic_name": "t", "metric.channel_name": "c", "rule": "Queue"}


def named(change: Change) -> list[str]:
    return [task.name for task in change.tasks]


def test_what_stays_the_same_is_no_change(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    assert named(world.see(service("mail"), service("web"))) == ["mail", "web"]
    said = len(caplog.messages)
    assert not world.see(service("mail"), service("web"))
    assert len(caplog.messages) == said


def test_what_comes_changes_and_goes() -> None:
    world = World()
    world.see(service("web", max="4"))
    change = world.see(service("web", max="7"), service("mail"))
    assert named(change) == ["web", "mail"]
    assert change.tasks[0].max_containers == 7
    assert world.see(service("mail")) == Change(gone=frozenset({"web"}))
    assert named(world.see(service("mail"), service("web", max="7"))) == ["web"]


def test_a_new_image_costs_no_readings() -> None:
    world = World()
    (before,) = world.see(service("web", target="5", **NSQ)).tasks
    (after,) = world.see(service("web", image="web:2", target="5", **NSQ)).tasks
    assert (after.image, before.image) == ("web:2", "web:1")
    assert (after.metric, after.target) == (before.metric, before.target)
    (other,) = world.see(service("web", image="web:2", target="6", **NSQ)).tasks
    assert other.metric is not before.metric


def test_wrong_labels_are_said_once_and_cost_that_service_only(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.see(service("web"), service("mail"))
    wrong = service("web", max="many")
    assert world.see(wrong, service("mail")) == Change(left=frozenset({"web"}))
    assert not world.see(wrong, service("mail"))
    said = [message for message in caplog.messages if "many" in message]
    assert said == ['service web: microscaling.max: expected a whole number, got "many"']
    assert named(world.see(service("web"), service("mail"))) == ["web"]
    assert not world.see(replace(wrong, name="new"), service("web"), service("mail"))


def test_one_that_is_switched_off_is_gone() -> None:
    world = World()
    world.see(service("web"))
    off = replace(service("web"), labels={"microscaling.enable": "false"})
    assert world.see(off) == Change(gone=frozenset({"web"}))
    assert not world.see(replace(off, image="web:2"))
    assert not world.see()


def test_what_a_source_needs_is_missing_for_its_service_only(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    sqs = {
        "metric": "SQS",
        "metric.queue_url": "https://sqs.eu-west-1.amazonaws.com/1/jobs",
        "rule": "Queue",
        "target": "5",
    }
    change = World().see(service("web", **sqs), service("mail"))
    assert named(change) == ["mail"]
    assert any(m.startswith("service web: AWS_REGION") for m in caplog.messages), caplog.messages


def test_what_could_not_be_taken_is_passed_on_again() -> None:
    catalogue = Catalogue(CAP, Settings())
    for _ in range(2):
        assert named(catalogue.read([service("web")])) == ["web"]
    catalogue.take()
    assert not catalogue.read([service("web")])


# The services of an engine


class Engine:
    """The part of the library's client that discovery uses, over containers that a test changes."""

    def __init__(self) -> None:
        self.containers_: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.vanishing: set[str] = set()
        self.closed = 0

    def run(self, id: str, name: str = "web", created: int = 1, **more: str) -> None:
        of = labels("shop", name) | {"microscaling.enable": "true", **more}
        self.containers_[id] = {**listed(id, created, labels=of), "Names": [f"/shop-{name}-1"]}

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return list(self.containers_.values())

    def inspect_container(self, id: str) -> dict[str, Any]:
        from docker.errors import NotFound

        self.asked.append(id)
        if id in self.vanishing:
            self.vanishing.remove(id)
            del self.containers_[id]
            raise NotFound("no such container")
        one = self.containers_[id]
        found = inspected(one["Names"][0])
        return found | {"Id": id, "Image": "i", "Config": found["Config"] | {"Labels": one["Labels"]}}

    def diff(self, id: str) -> None:
        """Returns the changes in its files: none, as an engine writes it."""

    def inspect_image(self, id: str) -> dict[str, Any]:
        return {"Config": {"Labels": None}}

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def engine() -> Engine:
    return Engine()


def discovery(engine: Engine) -> Discovery:
    return Discovery(lambda: engine, "shop")  # type: ignore[arg-type, return-value]


def test_each_container_is_inspected_once(engine: Engine) -> None:
    found = discovery(engine)
    engine.run("a")
    first = found.services()
    assert found.services() == first
    assert engine.asked == ["a"]
    engine.run("b", created=2, **{"microscaling.max": "4"})
    (web,) = found.services()
    assert web.labels == {"microscaling.enable": "true", "microscaling.max": "4"}
    engine.containers_["b"]["Names"] = ["/my-web"]
    (web,) = found.services()
    assert (web.most, engine.asked) == (1, ["a", "b", "b"])


def test_a_service_whose_container_is_just_replaced_has_not_gone(engine: Engine) -> None:
    found = discovery(engine)
    engine.run("a")
    engine.run("b", created=2)
    engine.vanishing.add("b")
    assert [each.name for each in found.services()] == ["web"]
    assert engine.asked == ["b", "a"]


# The thread


class Listed:
    """Services that are read at each look, and fail as long as `error` says so."""

    def __init__(self) -> None:
        self.looks, self.error, self.closed = 0, None, False
        self.looked = threading.Event()
        self.catalogue = Catalogue(CAP, Settings())
        self.services: list[Service] = []

    def look(self, take: Callable[[Change], None]) -> None:
        self.looks += 1
        self.looked.set()
        if self.error is not None:
            raise self.error
        change = self.catalogue.read(list(self.services))
        if change:
            take(change)
            self.catalogue.take()

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("error", [TemporaryError("away"), PermanentError("is refused")])
def test_while_they_cannot_be_read_all_stay_as_they_are(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(follower, "RETRY_S", 0.01)
    monkeypatch.setattr(follower, "EVERY_S", 3600.0)
    found, tasks = Listed(), Tasks([], CAP)
    thread = Follower(found, tasks.stale, tasks.apply)
    found.services, found.error = [service("web")], error  # type: ignore[assignment]
    thread.start()
    try:
        wait_for(lambda: found.looks >= 3)
        found.error = None
        wait_for(lambda: tasks.tasks)
        found.services = []
        tasks.stale.set()
        wait_for(lambda: not tasks.tasks)
        wait_for(lambda: "the services can be read again" in caplog.messages)
    finally:
        thread.stop()
        thread.join(20)
    assert found.closed
    assert sum("cannot be read" in message for message in caplog.messages) == 1


class Shown(Monitor):
    """Keeps the last report: the running containers by task."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    def send_metrics(self, tasks: Tasks) -> None:
        with tasks:
            self.last = {task.name: task.running for task in tasks.tasks}


def test_an_agent_follows_its_configuration_to_its_end() -> None:
    """From no service at all. What a monitor shows, and what the scheduler runs."""
    found, monitor = Listed(), Shown()

    class Config(ServicesConfig):
        def look(self, take: Callable[[Change], None]) -> None:
            found.look(take)

    config, tasks = Config(Settings(), {"MSS_MAX_CONTAINERS": "10"}), Tasks([], CAP)
    agent = Agent(tasks, LocalEngine(beat_s=0.05), ToyScheduler(), [monitor], config=config)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        found.services = [service("web", min="2", max="4")]
        tasks.stale.set()
        wait_for(lambda: monitor.last == {"web": 4})
        found.services = [service("web", min="1", max="1"), service("mail", max="9")]
        tasks.stale.set()
        wait_for(lambda: monitor.last == {"web": 1, "mail": 9})
        found.services = [service("mail", max="10")]
        tasks.stale.set()
        wait_for(lambda: monitor.last == {"mail": 10})
    finally:
        agent.stop()
        thread.join(60)
    assert not thread.is_alive()


def test_those_that_are_left_alone_are_known_to_whoever_asks() -> None:
    """From the start on, as the log may be long gone, and no longer than their labels are wrong."""
    now = [service("web"), service("mail", max="many")]

    class Config(ServicesConfig):
        def _discovered(self) -> list[Service]:
            return now

    config = Config(Settings(), {"MSS_MAX_CONTAINERS": "10"})
    tasks = Tasks(*config.get_apps("u"))
    config.follow(tasks, tasks.apply)
    many = 'microscaling.max: expected a whole number, got "many"'
    assert tasks.left_alone == {"mail": many}
    now[:] = [service("web", max="few"), service("mail", max="many")]
    config.look(tasks.apply)
    assert tasks.left_alone == {"mail": many, "web": many.replace("many", "few")}
    now[:] = [service("mail", max="3")]
    config.look(tasks.apply)
    assert (tasks.left_alone, [task.name for task in tasks.tasks]) == ({}, ["mail"])


class Still(ToyScheduler):
    takes_changes = False


def test_a_scheduler_that_takes_no_changes_is_not_given_any() -> None:
    config = ServicesConfig(Settings(), {"MSS_MAX_CONTAINERS": "10"})
    assert Agent(Tasks([], CAP), LocalEngine(), Still(), config=config)._following == []


def test_a_dry_run_follows_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tasks = Tasks([], CAP)
    DryRunScheduler(ToyScheduler()).change_tasks(tasks, World().see(service("web")))
    assert [task.name for task in tasks.tasks] == ["web"]
    assert "dry run: web: the containers that it has are not counted, as it is new" in caplog.messages


def test_a_busy_file_that_an_engine_does_not_show(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    in_memory = replace(service("web", busy_file="/run/busy"), in_memory=("/run",))
    assert named(world.see(in_memory)) == []
    assert (
        "service web: microscaling.busy-file: is below /run, which an engine does not show: a busy container "
        "would seem to be idle"
    ) in caplog.text
    assert named(world.see(replace(in_memory, in_memory=()))) == ["web"]


def test_a_handshake_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    labels = {"warm": "1", "warm-after.file": "/ready", "go.file": "/run/go"}
    world = World()
    in_memory = replace(service("web", **labels), in_memory=("/run",))
    assert named(world.see(in_memory)) == []
    assert "microscaling.go.file: is below /run, which an engine does not show: use a path" in caplog.text
    assert named(world.see(replace(in_memory, in_memory=()))) == ["web"]


def test_folders_in_memory() -> None:
    found = inspected(of_host={"Tmpfs": {"/run": "size=4m"}})
    found["Mounts"] = [{"Type": "tmpfs", "Destination": "/x"}, {"Type": "volume", "Destination": "/y"}]
    assert service_of("web", found, {}).in_memory == ("/run", "/x")
