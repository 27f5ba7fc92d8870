"""The processes of a job framework, for one test: a side that enqueues, workers, and the books of its jobs.

A job writes its start and its end into the books, a database of its own, and ends once it is released.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.services.service import CACHE, find, give_up, skip_slow, wait_for

PYTHON_PACKAGES = CACHE / "workers"
"""Where `scripts/test-services` puts Celery and RQ, which containers use, too."""
OF_PYTHON = CACHE / "frameworks-of-python"
"""Where it puts the other frameworks of Python, one folder for each."""
NODE_MODULES = CACHE / "frameworks-of-node"
"""Where it puts those of Node, one folder for each version."""
HERE = Path(__file__).parent
END_S = 60.0


class Stage:
    """The frameworks' view of one Redis: database 0 for the framework, 1 for the books."""

    def __init__(self, url: str, folder: Path, module: str) -> None:
        import redis

        self.module = module
        name = module.removesuffix("_jobs")
        packages = PYTHON_PACKAGES if name in ("celery", "rabbitmq", "rq") else OF_PYTHON / name
        self.look_for(packages)

        self.url = f"{url}/0"
        self.folder = folder
        self.books: Any = redis.Redis.from_url(f"{url}/1", decode_responses=True)
        self.environ = {
            **os.environ,
            "PYTHONPATH": f"{packages}{os.pathsep}{HERE}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "JOBS_REDIS": self.url,
            "JOBS_BOOKS": f"{url}/1",
        }
        self._workers: list[subprocess.Popen[bytes]] = []

    def look_for(self, folder: Path) -> None:
        """Gives up if the framework is not installed."""
        if not (folder / "made-of").exists():
            give_up(f"there is no framework for {self.module} here")

    def side_command(self) -> list[str]:
        return [sys.executable, str(HERE / "side.py"), self.module]

    def __enter__(self) -> Stage:
        self._side = subprocess.Popen(
            self.side_command(), env=self.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            kill(worker)
        self._side.communicate()
        self.books.close()

    def ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Has the side call one of its functions; returns the result."""
        assert self._side.stdin
        assert self._side.stdout
        self._side.stdin.write(json.dumps([name, args, kwargs]).encode() + b"\n")
        self._side.stdin.flush()
        line = self._side.stdout.readline()
        assert line, f"{name} failed in {self.module}"
        return json.loads(line)

    @contextmanager
    def worker(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """One worker, a group of processes; whatever is left of it at the end is killed."""
        log = self.folder / f"worker-{len(self._workers)}.log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                command, env=self.environ, stdout=written, stderr=written, start_new_session=True, cwd=HERE
            )
        self._workers.append(process)
        try:
            yield process
        finally:
            kill(process)

    def started(self) -> int:
        """Starts of jobs since the last `forget`."""
        return int(self.books.llen("started"))

    def done(self) -> int:
        """Ends of jobs."""
        return int(self.books.llen("done"))

    def release(self) -> None:
        """Lets all jobs end."""
        self.books.set("release", 1)

    def forget(self) -> None:
        """Begins new books, and no job ends by itself again."""
        self.books.flushdb()


class NodeStage(Stage):
    """The same of a framework of Node; `module` is its folder."""

    PARTS: ClassVar = {"bull": ("bull", "bull"), "beequeue": ("bee-queue", "beequeue")}
    """The package and the side of each; else they are those of BullMQ, of which there are two versions."""

    def look_for(self, folder: Path) -> None:
        super().look_for(NODE_MODULES / self.module)

    def side_command(self) -> list[str]:
        return self.node()

    def node(self, *more: str) -> list[str]:
        """The command of a process with the framework."""
        package, side = self.PARTS.get(self.module, ("bullmq", "bullmq"))
        folder = NODE_MODULES / self.module / "node_modules" / package
        return [find("node"), str(HERE / f"{side}_jobs.js"), str(folder), *more]


class GoStage(Stage):
    """The same of asynq, whose side `make test-sources` builds."""

    program = str(CACHE / "bin/asynq-jobs")

    def look_for(self, folder: Path) -> None:
        if not Path(self.program).exists():
            skip_slow("there is no asynq here")

    def side_command(self) -> list[str]:
        return [self.program]


class PhpStage(Stage):
    """The same of Laravel, from Debian's packages."""

    side = str(HERE / "laravel_jobs.php")

    def look_for(self, folder: Path) -> None:
        if not Path("/usr/share/php/Illuminate/Queue").exists():
            skip_slow("there is no Laravel here")

    def side_command(self) -> list[str]:
        return [find("php"), self.side]


class RubyStage(Stage):
    """The same of a framework of Ruby, from Debian's packages."""

    def look_for(self, folder: Path) -> None:
        find("sidekiq")

    def side_command(self) -> list[str]:
        return [find("ruby"), str(HERE / f"{self.module}.rb")]


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a worker and its children as a crash of the machine would."""
    # The session, as the process in which RQ runs a job has a group of its own, and survives the worker's.
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            session = int(path.joinpath("stat").read_text().rpartition(")")[2].split()[3])
            if session == process.pid:
                os.kill(int(path.name), signal.SIGKILL)
    process.wait()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a worker as a container engine does."""
    process.send_signal(signal.SIGTERM)
    process.wait(END_S)


def until(what: Any, wanted: Any, within_s: float = END_S) -> None:
    """Waits until `what()` is as wanted."""
    seen: list[Any] = [None]

    def found() -> bool:
        seen[0] = what()
        return bool(seen[0] == wanted)

    try:
        wait_for(found, within_s=within_s)
    except AssertionError:
        raise AssertionError(f"{seen[0]}, not {wanted}") from None
