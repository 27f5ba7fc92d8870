"""Real services on free ports of this machine, each for as long as a test wants it.

`scripts/test-services` installs them. Without one the tests that need it are skipped, and say why;
with MSS_TEST_SERVICES=required, as in CI, they fail.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, NoReturn
from urllib.request import ProxyHandler, Request, build_opener

import pytest

REQUIRED = os.environ.get("MSS_TEST_SERVICES", "") == "required"
SOURCES_REQUIRED = os.environ.get("MSS_TEST_SOURCES", "") == "required"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "microscaling-tests")
START_S = 120.0
STOP_S = 20.0


def give_up(why: object) -> NoReturn:
    """Skips the test, or fails it where the services are required."""
    if REQUIRED:
        pytest.fail(f"{why}, but MSS_TEST_SERVICES=required", pytrace=False)
    pytest.skip(f"{why} (`scripts/test-services` installs what the tests of metrics need)")


def skip_slow(why: str) -> NoReturn:
    """Skips the test of a source that takes minutes to install; fails it under `make test-sources`."""
    if SOURCES_REQUIRED:
        pytest.fail(why, pytrace=False)
    pytest.skip(f"{why} (`make test-sources` installs what takes minutes)")


def find(program: str, *folders: Path) -> str:
    """The path of a program, here or in the folders; gives up without it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", *map(str, folders)])
    found = shutil.which(program, path=path)
    return found or give_up(f"there is no {program} here")


def free_port() -> int:
    """One that nobody is given who asks the system for any: until its service listens, that is for others
    to take, such as a test's server, which then is asked whether it is the service, and may say yes."""
    ports = [*range(20_000, _first_given())]
    random.SystemRandom().shuffle(ports)
    for port in [*ports, 0]:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as free:
            return int(free.getsockname()[1])
    raise OSError("no port is free")


def _first_given() -> int:
    with contextlib.suppress(OSError):
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    return 0


def ask(url: str, data: bytes | None = None, method: str | None = None, **headers: str) -> bytes:
    """What a service answers. With urllib, so that what is tested does not test itself, and without
    a proxy, for what runs here."""
    question = Request(url, data, headers, method=method)
    with build_opener(ProxyHandler({})).open(question, timeout=60) as answer:
        return bytes(answer.read())


def wait_for(what: Any, why: str = "waited in vain", within_s: float = START_S) -> Any:
    deadline = time.monotonic() + within_s
    while not (got := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
    return got


class Service:
    """One process in a folder of its own; `listens` is what it writes once it can be used."""

    listens = ""
    end_with = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.url = ""

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def __enter__(self) -> Any:
        command = self.command()
        # None of the machine's own settings, such as proxies; a group of its own, to end it as one.
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LANG": "C.UTF-8"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env | self.environment(),
                cwd=self.folder,
                start_new_session=True,
            )
        try:
            wait_for(self._started, f"{command[0]} did not start in time; see {self.log}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(self.end_with)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def ready(self) -> bool:
        """Whether it can be used, if that shows elsewhere than in its log."""
        return True

    def _started(self) -> bool:
        written = self.log.read_text("utf-8", "replace")
        assert self.process.poll() is None, written[-2000:]
        found = re.search(self.listens, written)
        if found and found.groups():
            self.url = found[1]
        return bool(found) and self.ready()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])
