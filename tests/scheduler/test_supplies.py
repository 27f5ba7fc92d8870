"""Images that are missing when the agent runs already: with a backend that has them when the test says so."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling.demand.task import Task
from microscaling.errors import TemporaryError
from microscaling.scheduler.containers import supplies
from microscaling.scheduler.containers.backend import BackendUnavailable, ListedContainer, Missing
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.process.backend import ProcessBackend
from tests.contract.schedulers import CAP, Run, wait_for
from tests.contract.schedulers import Process as ProcessCase


class Shelf(ProcessBackend):
    """Local processes that are made of an image; `stock` says which there are."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder, os.environ)
        self.stock: set[str] = set()
        self.errors: list[TemporaryError] = []
        self.asked: list[str] = []
        self.news = threading.Event()

    def prepare(self, task: Task) -> None:
        self._must_have(task)

    def create(self, task: Task, nonce: str) -> str:
        self._must_have(task)
        return super().create(task, nonce)

    def supply(self, task: Task) -> None:
        self.asked.append(task.image)
        self.news.set()
        if task.image not in self.stock:
            raise self.errors.pop(0) if self.errors else TemporaryError("sold out")

    def _must_have(self, task: Task) -> None:
        if task.image not in self.stock:
            raise Missing(f"image {task.image} is missing")


class Case(ProcessCase):
    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.shelf = Shelf(str(self.folder))

    def task(self, name: str) -> Task:
        task = super().task(name)
        task.image = f"image-{name}"
        return task

    def scheduler(self) -> ContainerScheduler:
        return ContainerScheduler(self.shelf)


@pytest.fixture
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Case]:
    monkeypatch.setattr(supplies, "FIRST_S", 0.05)
    made = Case(request)
    yield made
    made.close()


def test_others_go_on_until_it_is_there(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    case.shelf.stock = {"image-b"}
    with Run(case) as run:
        run.demand(a=2, b=3)
        run.settles(a=0, b=3)
        assert run.tasks.get_task(run.names["a"]).backing_off
        wait_for(lambda: len(case.shelf.asked) >= 3, "for it to be asked for again")
        run.demand(a=2, b=CAP)
        run.settles(a=0, b=CAP)
        run.demand(a=2, b=3)
        case.shelf.stock |= {"image-a"}
        run.settles(a=2, b=3)
    assert caplog.text.count("image image-a is missing") == 1
    assert caplog.text.count("could not pull image-a: sold out") == 1
    assert caplog.text.count("image image-a is available") == 1
    assert "of 3 before it backs off" not in caplog.text


def test_what_is_said_is_what_is_new(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    case.shelf.stock = {"image-b"}
    reasons = ["no route", "no route", "", "no such tag", "no such tag"]
    case.shelf.errors = [*map(TemporaryError, reasons), BackendUnavailable("away")]
    with Run(case) as run:
        run.demand(a=1, b=1)
        run.settles(a=0, b=1)
        wait_for(lambda: not case.shelf.errors, "for all of them")
        case.shelf.stock |= {"image-a"}
        run.settles(a=1, b=1)
    said = [line.partition(": ")[2] for line in caplog.messages if line.startswith("could not pull")]
    assert said[:2] == ["no route; trying again", "no such tag; trying again"]


def test_it_may_disappear_again(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    case.shelf.stock = {"image-a", "image-b"}
    with Run(case) as run:
        run.demand(a=1, b=1)
        run.settles(a=1, b=1)
        for _ in range(2):
            case.shelf.stock = {"image-b"}
            case.lose("a")
            run.settles(a=0, b=1)
            case.shelf.stock |= {"image-a"}
            run.settles(a=1, b=1)
    assert caplog.text.count("image image-a is missing") == 2


def test_two_tasks_of_one_image_ask_for_it_once(case: Case) -> None:
    there: list[str] = []
    kept = supplies.Supplies(case.shelf, there.append)
    for name in ("x", "y", "x"):
        kept.miss(Task(name, image="image-a"), "missing")
    wait_for(lambda: case.shelf.asked, "for it to be asked for")
    case.shelf.stock = {"image-a"}

    def had() -> bool:
        kept.tick()
        return bool(there)

    try:
        wait_for(had, "for it to be there")
    finally:
        kept.stop(60)
    assert there == ["image-a"]


class Registry(Shelf):
    """Each question takes until the test lets it go."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.pulls = True
        self.go: dict[str, threading.Event] = {}
        self.began = threading.Semaphore(0)
        self.order: list[str] = []

    def refreshes(self, task: Task) -> bool:
        return self.pulls

    def refresh(self, task: Task) -> None:
        self._asked(f"refresh {task.image}", task)

    def supply(self, task: Task) -> None:
        self._asked(f"supply {task.image}", task)
        self.stock.add(task.image)

    def list(self) -> list[ListedContainer]:
        self.order.append("list")
        return super().list()

    def _asked(self, what: str, task: Task) -> None:
        self.order.append(what)
        self.began.release()
        self.go.setdefault(task.image, threading.Event()).wait(30)


class Pulled(Case):
    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.shelf: Registry = Registry(str(self.folder))
        self.shelf.go = {f"image-{name}": threading.Event() for name in ("a", "b")}


@pytest.fixture
def pulled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pulled]:
    made = Pulled(request)
    yield made
    for event in made.shelf.go.values():
        event.set()
    made.close()


def runs(run: Run, name: str) -> int:
    """How many containers of a task run, by its own count."""
    return run.counts()[run.names[name]][1]


def test_images_are_pulled_side_by_side_and_after_the_adoption(pulled: Pulled) -> None:
    with Run(pulled) as run:
        for _ in range(2):  # both are under way, and neither has ended
            assert pulled.shelf.began.acquire(timeout=20)
        assert pulled.shelf.order[0] == "list"
        run.demand(a=1, b=1)
        pulled.shelf.go["image-b"].set()
        run.settles(a=0, b=1)
        pulled.shelf.go["image-a"].set()
        run.settles(a=1, b=1)


def test_a_task_waits_for_no_image_but_its_own(pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supplies, "REFRESH_S", 600.0)
    pulled.shelf.stock |= {"image-a", "image-b"}
    with Run(pulled) as run:
        run.demand(a=1, b=1)
        pulled.shelf.go["image-b"].set()
        wait_for(lambda: runs(run, "b") == 1, "for the one whose image is fresh")
        assert runs(run, "a") == 0, "a newer one may come"
        pulled.shelf.go["image-a"].set()
        run.settles(a=1, b=1)


def test_an_image_that_is_there_is_used_while_its_registry_hangs(
    pulled: Pulled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supplies, "REFRESH_S", 0.2)
    pulled.shelf.stock |= {"image-a", "image-b"}
    with Run(pulled) as run:
        run.demand(a=2, b=0)
        run.settles(a=2, b=0)
        assert not pulled.shelf.go["image-a"].is_set()
