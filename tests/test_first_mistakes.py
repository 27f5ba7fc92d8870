"""First mistakes: each is typed as docs/mistakes.md has it, and is answered in one line, as it says."""

from __future__ import annotations

import contextlib
import grp
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.mistakes import ANY, Mistake, mistakes
from tests.services.redis import RedisServer
from tests.test_engine_choice import NOBODY, start_as, told
from tests.test_main import ROOT

pytest.importorskip("yaml")

PATIENCE_S = 100.0
CASES = list(mistakes())
LOG = re.compile(r"^(?:microscaling: |[A-Z]+ \d\d:\d\d:\d\d\.\d{3}: )(.*)$")
PROGRAM = ("-m", "microscaling")
SOON = (
    "-c",
    "import sys; from microscaling.__main__ import main; from microscaling.metric import missing; "
    "missing.HINT_AFTER_S = 0.0; sys.exit(main())",
)
"""The same, with hints to other queues after the first reading."""


def environ_of(folder: Path, **variables: str) -> dict[str, str]:
    """Nothing of the environment of the tests."""
    places = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    return {**places, "PYTHONPATH": str(ROOT), "MSS_MONITOR": "none", **variables}


@pytest.mark.parametrize("mistake", CASES, ids=lambda mistake: mistake.shown)
def test_a_first_mistake(tmp_path: Path, mistake: Mistake) -> None:
    for name, text in mistake.all_files().items():
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_text(text)
    with NEEDS[mistake.needs](tmp_path, mistake) as (process, words):
        said = re.compile(re.escape(filled(mistake.said, words)).replace(ANY, ".+"))
        if mistake.code is None:
            goes_on(process, said)
        else:
            ends(process, said, mistake.code)


def filled(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def ends(process: subprocess.Popen[str], said: re.Pattern[str], code: int) -> None:
    """It ends by itself, and says so in its last line; before, it has said nothing of it."""
    _, err = process.communicate(timeout=120)
    lines = [found[1] if (found := LOG.match(line)) else line for line in err.splitlines()]
    assert said.fullmatch(lines[-1]), err
    assert process.returncode == code
    assert all(line.startswith(("INFO ", "microscaling: ", "CRITICAL ")) for line in err.splitlines()), err
    assert sum(line.startswith(("microscaling: ", "CRITICAL ")) for line in err.splitlines()) == 1


def goes_on(process: subprocess.Popen[str], said: re.Pattern[str]) -> None:
    """It says so, and goes on until it is asked to stop."""
    assert process.stderr
    lines: list[str] = []
    deadline = threading.Timer(PATIENCE_S, process.kill)
    deadline.start()
    for line in process.stderr:
        lines.append(line)
        found = LOG.match(line.rstrip("\n"))
        if found and said.fullmatch(found[1]):
            break
    else:
        deadline.cancel()
        pytest.fail("".join(lines))
    deadline.cancel()
    deadline.join()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 0


Started = contextlib.AbstractContextManager[tuple[subprocess.Popen[str], dict[str, str]]]


@contextlib.contextmanager
def plain(folder: Path, mistake: Mistake) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    with typed(folder, mistake, {}) as process:
        yield process, {}


@contextlib.contextmanager
def typed(
    folder: Path, mistake: Mistake, words: dict[str, str], program: tuple[str, ...] = PROGRAM
) -> Iterator[subprocess.Popen[str]]:
    variables, arguments = mistake.command()
    variables = {name: filled(value, words) for name, value in variables.items()}
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=environ_of(folder, **variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def as_nobody(folder: Path, mistake: Mistake) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    try:
        found = os.stat("/var/run/docker.sock")
        usual = (stat.S_IMODE(found.st_mode), grp.getgrgid(found.st_gid).gr_name) == (0o660, "docker")
    except (OSError, KeyError):
        usual = False
    if os.geteuid() != 0 or not usual:
        pytest.skip("needs root, to be another user, and the usual socket of an engine")
    variables, arguments = mistake.command()
    with tempfile.TemporaryDirectory(dir="/tmp") as shared:  # pytest's own is for root alone
        os.chmod(shared, 0o755)
        shutil.copy(folder / "apps.yml", shared)
        environ = environ_of(Path(shared), **variables)
        with start_as(NOBODY, *arguments, cwd=Path(shared), **environ) as process:
            yield process, {}


def without(module: str) -> Callable[[Path, Mistake], Started]:
    """A module of this name raises the error of a missing one."""

    @contextlib.contextmanager
    def begin(folder: Path, mistake: Mistake) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
        missing = f"raise ModuleNotFoundError(\"No module named '{module}'\", name='{module}')\n"
        (folder / f"{module}.py").write_text(missing)
        with typed(folder, mistake, {}) as process:
            yield process, {}

    return begin


@contextlib.contextmanager
def with_redis(folder: Path, mistake: Mistake) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    pytest.importorskip("redis")
    (folder / "redis").mkdir()
    with RedisServer(folder / "redis") as server:
        with contextlib.closing(server.client()) as client:
            client.rpush("jobs", "one")
        path = folder / "apps.yml"
        path.write_text(path.read_text().replace("redis://127.0.0.1:1/0", server.url))
        with typed(folder, mistake, {}, SOON) as process:
            yield process, {}


@contextlib.contextmanager
def beside_another(folder: Path, mistake: Mistake) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    with typed(folder, mistake, {}) as first:
        assert "mailer held" in told(first, "mailer held")
        with typed(folder, mistake, {}) as second:
            yield second, {}


@contextlib.contextmanager
def with_port(folder: Path, mistake: Mistake) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        words = {"port": str(listener.getsockname()[1])}
        with typed(folder, mistake, words) as process:
            yield process, words


NEEDS: dict[str, Callable[[Path, Mistake], Started]] = {
    "": plain,
    "nobody": as_nobody,
    "no redis": without("redis"),
    "no yaml": without("yaml"),
    "no uvicorn": without("uvicorn"),
    "redis": with_redis,
    "another agent": beside_another,
    "port": with_port,
}


def test_there_are_more_than_thirty() -> None:
    assert len({mistake.shown for mistake in CASES}) == len(CASES) > 30
