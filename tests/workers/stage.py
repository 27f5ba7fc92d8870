"""Real Celery (prefork) and RQ workers that an agent scales down while they work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.agents import ROOT, AgentProcess, Queues, app, queue_app
from tests.integration.engines import LABEL, ours, remove
from tests.services.redis import RedisServer
from tests.services.service import CACHE, give_up, wait_for

PACKAGES = CACHE / "workers"
"""Where `scripts/test-services` puts Celery and RQ."""
HERE = Path(__file__).parent
GRACE_S = 60.0
EACH, LEAST = 2, 1
"""Workers of each kind, while nothing more important wants their place, and while it does."""
PATIENCE_S = 150.0
SHORT = 5
"""How often the tests scale down; `make workers`: 50 times."""
FRAMEWORKS = {
    "celery": "-m celery -A jobs worker -c 2 --without-gossip --without-mingle --without-heartbeat",
    "rq": "-m rq.cli worker --url {url} jobs-of-rq",
}
IN_A_SHELL = ("rq",)
"""As local processes these are run by a shell, which does not pass on its SIGTERM."""


@dataclass
class Books:
    """What became of the jobs of one framework."""

    enqueued: int
    starts: int
    ends: int
    held: int
    """Taken by a worker that has gone without beginning them: the framework itself gives them back."""
    lost: int
    """Begun and never ended, or gone from everywhere."""
    repeated: int
    """Begun once more than needed: Celery gives back what it had only just begun when it was asked to end."""

    @classmethod
    def of(cls, redis: Any, framework: str) -> Books:
        starts = [line.split()[0] for line in redis.lrange(f"{framework}:started", 0, -1)]
        ends = redis.lrange(f"{framework}:done", 0, -1)
        enqueued = int(redis.get(f"{framework}:enqueued") or 0)
        if framework == "celery":
            waiting, held = redis.llen("jobs-of-celery"), redis.hlen("unacked")
        else:
            waiting = redis.llen("rq:queue:jobs-of-rq")
            held = redis.llen("rq:queue:jobs-of-rq:intermediate") + redis.zcard("rq:wip:jobs-of-rq")
        lost = max(enqueued - len(set(ends)) - waiting - held, len(starts) - len(ends))
        return cls(enqueued, len(starts), len(ends), held, lost, len(starts) - len(set(starts)))


def run(
    scale_downs: int,
    engine: Any = None,
    tree: Path = ROOT,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Books]:
    """Scales both kinds of workers down so many times, and at last to nothing; returns the books.

    Under DOCKER on this engine, without one under PROCESS. `tree` is the build whose agent does it.
    """
    if not (PACKAGES / "made-of").exists():
        give_up("there are no Celery and RQ here")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mss-workers-")))
        broker = stack.enter_context(RedisServer(folder))
        redis = broker.client()
        stack.callback(redis.close)
        stack.enter_context(_fed(broker.url))
        queues = Queues(folder)
        scheduler = "DOCKER" if engine else "PROCESS"
        token = f"w{os.getpid()}x{time.monotonic_ns() % 10**9}-"
        if engine:
            stack.callback(lambda: remove(engine, ours(engine, token)))
        apps = [queue_app(token + "urgent", 1, queues, **_urgent(engine))]
        apps += [
            app(
                token + name,
                2,
                minContainers=LEAST,
                maxContainers=EACH,
                **_worker(name, broker.url, engine),
            )
            for name in FRAMEWORKS
        ]
        settings = {"MSS_SCHEDULER": scheduler, "MSS_STATE_DIR": str(folder / "state")}
        agent = stack.enter_context(_Agent(folder, apps, cap=2 * EACH + 1, tree=tree, **settings))
        count = _engine_counts(engine, token) if engine else _process_counts(agent.process.pid)
        _cycles(queues, token + "urgent", redis, count, scale_downs, tell)
        assert agent.stop() == 0, agent.log()
        return {name: Books.of(redis, name) for name in FRAMEWORKS}


def check(books: dict[str, Books], scale_downs: int) -> None:
    """Fails unless every job that began was done, and none is missing."""
    for name, book in books.items():
        assert book.lost == 0, f"{name}: {book}"
        assert book.starts == book.ends > scale_downs * EACH, f"{name}: {book}"


def _cycles(
    queues: Queues,
    urgent: str,
    redis: Any,
    count: Callable[[], dict[str, int]],
    times: int,
    tell: Callable[[str], None],
) -> None:
    def wait(number: int) -> None:
        wanted = dict.fromkeys(FRAMEWORKS, number)
        wait_for(lambda: count() == wanted, f"{count()}, not {wanted}", PATIENCE_S)

    for done in range(times + 1):
        wait(EACH)
        for name in FRAMEWORKS:
            _wait_all_at_work(redis, name)
        if done == times:
            return  # and the end of the agent is the last scale-down
        queues.put(urgent, 1000)
        wait(LEAST)
        queues.put(urgent, 0)
        tell(f"{done + 1} of {times} scale-downs")


def _wait_all_at_work(redis: Any, framework: str) -> None:
    """Until every worker has begun a job; from then on each is always at one."""
    key = f"{framework}:started"
    since = redis.llen(key)

    def busy() -> int:
        return len({line.split()[1] for line in redis.lrange(key, since, -1)})

    wait_for(lambda: busy() >= EACH, f"not all workers of {framework} work", PATIENCE_S)


class _Agent(AgentProcess):
    def __init__(
        self, folder: Path, apps: list[dict[str, Any]], cap: int, tree: Path, **environ: str
    ) -> None:
        super().__init__(folder, apps, cap, **environ)
        self.tree = tree

    def __enter__(self) -> _Agent:
        python = self.tree / ".venv/bin/python" if self.tree != ROOT else sys.executable
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [python, "-m", "microscaling"], cwd=self.tree, env=self.environ, stderr=log, stdout=log
            )
        return self


def _urgent(engine: Any) -> dict[str, Any]:
    config = {} if engine else {"command": "sleep 36000"}
    return {"minContainers": 1, "maxContainers": 1 + 2 * (EACH - LEAST), "config": config}


def _worker(name: str, url: str, engine: Any) -> dict[str, Any]:
    arguments = FRAMEWORKS[name].format(url=url)
    config: dict[str, Any] = {"stopGraceSeconds": GRACE_S}
    if engine is None:
        path = f"{PACKAGES}:{HERE}"
        command = f"{sys.executable} {arguments}"
        config["command"] = f'sh -c "{command}; true"' if name in IN_A_SHELL else command
    else:
        path = "/packages:/books"
        config |= {"command": f"python3 {arguments}", "image": find_image(engine)}
        config["volumes"] = [f"{PACKAGES}:/packages:ro", f"{HERE}:/books:ro"]
    config["env"] = {"PYTHONPATH": path, "JOBS_REDIS": url, "PYTHONDONTWRITEBYTECODE": "1"}
    return {"config": config}


def find_image(engine: Any) -> str:
    """An image with Python that is here: our own base, or that of the Dockerfile."""
    base = re.search(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    names = {name for image in engine.images() for name in image["RepoTags"] or ()}
    for name in ("microscaling-base/python:latest", base[1]):
        if name in names:
            return name
    give_up("there is no image with Python here: scripts/base-images makes one")


@contextmanager
def _fed(url: str) -> Iterator[None]:
    env = {
        **os.environ,
        "PYTHONPATH": f"{PACKAGES}:{HERE}",
        "JOBS_REDIS": url,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    feeder = subprocess.Popen([sys.executable, HERE / "feeder.py"], env=env, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        feeder.communicate()


def _process_counts(agent: int) -> Callable[[], dict[str, int]]:
    """The agent's children, by what they were started as."""

    def count() -> dict[str, int]:
        found = dict.fromkeys(FRAMEWORKS, 0)
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = path.joinpath("stat").read_text().rpartition(")")[2].split()[1]
                words = path.joinpath("cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if int(parent) == agent:
                for name in found:
                    found[name] += f"-m {name}".encode() in words
        return found

    return count


def _engine_counts(engine: Any, token: str) -> Callable[[], dict[str, int]]:
    def count() -> dict[str, int]:
        running = Counter(c["Labels"][LABEL] for c in engine.containers(filters={"label": LABEL}))
        return {name: running[token + name] for name in FRAMEWORKS}

    return count
