"""`microscaling check` finds each broken set-up of docs/check.md, and nothing in good ones."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.checks import APPS, ENGINE, SECOND, Case, cases
from tests.integration import engines
from tests.metric.faulty import Server, response
from tests.pages import DOCS, blocks_of
from tests.services.redis import RedisServer
from tests.test_main import ROOT

pytest.importorskip("yaml")
pytest.importorskip("redis")


class Places:
    """A Redis, an API and a database, and a folder for the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.words = {"folder": str(folder), "image": "mss-test/sleeper"}

    def check(self, text: str, *arguments: str, **variables: str) -> tuple[int, list[str]]:
        """Returns the exit code and the lines of a check of the file."""
        (self.folder / "apps.yml").write_text(self.filled(text))
        plain = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST") if name in os.environ}
        plain |= {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(
            [sys.executable, "-m", "microscaling", "check", "apps.yml", *arguments],
            cwd=self.folder,
            env={**plain, "MSS_MONITOR": "none", **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.stderr == ""
        return ended.returncode, ended.stdout.splitlines()

    def filled(self, text: str) -> str:
        for name, value in self.words.items():
            text = text.replace(f"{{{name}}}", value)
        return text


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    found = Places(tmp_path_factory.mktemp("check"))

    def answer(server: Server, sock: Any) -> bool:
        status = "404 Not Found" if server.paths()[-1] == "/none" else "200 OK"
        sock.sendall(response(b'{"queued": 7}', status))
        return True

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RedisServer(found.folder))
        with server.client() as client:
            client.rpush("jobs", *range(60))
            client.zadd("later", {"job": 1})
        found.words["redis"] = f"{server.url}/0"
        public = re.sub("//.*@", "//", found.words["redis"])
        found.words |= {"public": public, "redis_of_mailer": public.replace("//", "//mailer:wrong@")}
        found.words["http"] = stack.enter_context(Server(answer)).url("")
        with contextlib.closing(sqlite3.connect(found.folder / "jobs.db")) as db, db:
            db.execute("CREATE TABLE jobs (id)")
        yield found


@pytest.mark.parametrize("case", [*cases()], ids=lambda case: case.about)
def test_what_is_broken_is_found(places: Places, case: Case) -> None:
    if case.scheduler == ENGINE:
        need_engine()
    code, lines = places.check(case.text, MSS_SCHEDULER=case.scheduler, **case.variables)
    said = f"{case.level:7}  {places.filled(case.said)}"
    assert any(line.startswith(said) for line in lines), lines
    assert code == case.code, lines
    if code != 2:
        assert len([line for line in lines if not line.startswith("ok")]) == 1, "and nothing else is"


GOOD = {
    "one task": (APPS, "TOY", {}),
    "two tasks": (APPS + SECOND.replace("{priority}", "2"), "TOY", {}),
    "processes": (APPS, "PROCESS", {}),
    "containers": (APPS + SECOND.replace("{priority}", "2"), "DOCKER", {}),
    "containers of a network": (APPS.replace("key:", "networkMode: bridge\n      key:"), "DOCKER", {}),
}


@pytest.mark.parametrize("name", GOOD)
def test_of_what_is_well_nothing_is_said(places: Places, name: str) -> None:
    text, scheduler, variables = GOOD[name]
    if scheduler == ENGINE:
        need_engine()
    code, lines = places.check(text, "--strict", MSS_SCHEDULER=scheduler, **variables)
    assert code == 0, lines
    assert all(line.startswith("ok ") for line in lines), lines
    assert any(line.startswith("ok       mailer: reads 60; has 0, would have 1 (") for line in lines), lines


def test_the_page_shows_how_it_looks(places: Places) -> None:
    need_engine()
    _, lines = places.check(APPS, MSS_SCHEDULER="DOCKER")
    block = blocks_of(DOCS / "check.md", "text")[0]  # the other one is of a swarm
    assert [alike(line) for line in lines] == [alike(line) for line in block.text.splitlines()]


def alike(line: str) -> str:
    """The line without what differs from run to run."""
    line = re.sub(r"(redis|unix|tcp)://[^:]*(:\d+)?(/0)?: ", r"\1: ", line)
    return re.sub(r"version \S+, API [\d.]+|\d+ ms", "", line)


def test_a_warning_is_a_failure_if_that_is_asked_for(places: Places) -> None:
    text = APPS.replace("targetQueueLength: 50", "targetQueueLength: 3")
    assert places.check(text, MSS_SCHEDULER="TOY")[0] == 0
    assert places.check(text, "--strict", MSS_SCHEDULER="TOY")[0] == 3


def test_a_password_is_in_no_line(places: Places) -> None:
    text = APPS.replace("redis://", "redis://:Zq4-secret@")
    _, lines = places.check(text, MSS_SCHEDULER="TOY")
    assert not [line for line in lines if "Zq4-secret" in line]


def test_nothing_waits_for_a_server(places: Places) -> None:
    """An agent would wait for it as long as it takes."""
    code, lines = places.check("", MSS_SCHEDULER="TOY", MSS_CONFIG="SERVER", MSS_API_ADDRESS="127.0.0.1:1")
    assert code == 2, lines  # the file wins, and is empty
    assert "apps.yml" in lines[-1]


def test_it_changes_nothing_on_the_engine(places: Places) -> None:
    need_engine()
    places.check(APPS, MSS_SCHEDULER="DOCKER")
    with contextlib.closing(engines.connect()) as client:
        assert not client.containers(all=True, filters={"label": f"{engines.LABEL}=mailer"})


def need_engine() -> None:
    """Skips the test without an engine; gives it the image that it needs."""
    try:
        client = engines.connect()
        with contextlib.closing(client):
            engines.make_images(client)
    except engines.Missing as missing:
        engines.give_up(missing)
