"""All the real parts of one run: an engine, the way to it, sources, the agent, and a witness."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from docker import APIClient
from docker.errors import APIError
from requests.exceptions import RequestException

from tests.chaos import scene
from tests.chaos.engine_watch import DEADLOCK_S, LOOK_EVERY_S, EngineWatch
from tests.chaos.history import History
from tests.chaos.life import Agent
from tests.chaos.link import Link
from tests.chaos.plan import demand
from tests.chaos.queues import Queues
from tests.chaos.source import Source
from tests.chaos.witness import AWAY, Witness
from tests.integration import engines

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
FOREIGN = 2
ENGINE_TRIES = 3


class Stage:
    """To be used as a context manager: leaves nothing behind but `folder`. Raises Missing."""

    engine_options: tuple[str, ...] = ("--shutdown-timeout=3",)
    networks = False
    """Whether the engine has networks of its own."""
    clocked = True
    """Whether the agent's wall clock can be moved: with that library a sleep of Python's may fail."""

    def __init__(self, folder: Path, history: History, seed: int) -> None:
        self.seed = seed
        self.folder = folder
        self.history = history
        self.scene = history.scene
        self.engine = engines.OwnEngine(networks=self.networks)
        self.engine_lock = threading.Lock()
        """Whoever holds it may stop, freeze and start the engine."""
        self.keeper = ThreadPoolExecutor(1, "engine keeper")
        """An own engine ends with the thread that has started it, so this one stays."""
        self.engine_troubled = False
        self.engine_troubles = 0
        self.deadlocks = 0
        self.flags = Path(tempfile.mkdtemp(prefix="mss-chaos-"))
        self.flags.chmod(0o755)
        self.clock = self.flags / "clock"
        self.sources: dict[str, Source] = {}
        self.link: Link | None = None
        self.exits = contextlib.ExitStack()

    def __enter__(self) -> Stage:
        try:
            self._set_up()
        except BaseException:
            self.exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.exits.close()

    def _set_up(self) -> None:
        self.exits.callback(shutil.rmtree, self.flags)
        self.exits.callback(self.keeper.shutdown)
        self.exits.callback(self.engine.remove)
        self.restart_engine()
        with self.client() as client:
            _make_images(client)
            for _ in range(FOREIGN):
                self.start_foreign(client, {"Name": "always"})
        for name in self.scene.measured:
            served = lambda length, name=name: self.history.add("served", name, detail=length)  # noqa: E731
            self.sources[name] = self._source(name, served)
            self.exits.callback(self.sources[name].stop)
        path = self.flags / "engine.sock"
        self.link = Link(path, self.engine.folder / "docker.sock")
        self.exits.callback(self.link.stop)
        self._settle_in()
        self.queues = Queues(self.sources, demand(self.seed, self.sources))
        self.exits.callback(self.queues.stop)
        self.queues.start()
        self.witness = Witness(self.engine.host, self.history)
        self.exits.callback(self.witness.stop)
        self.witness.start()
        self.agent = self._agent(path)
        self.exits.callback(self.agent.stop)
        self.watch = EngineWatch(
            self.engine.host, self.scene.label, self.engine.folder / "log", self._trouble, self._unlock
        )
        self.exits.callback(self.watch.stop)
        self.watch.start()

    def _settle_in(self) -> None:
        """Makes what else there is before the agent's first start."""

    @property
    def endpoints(self) -> dict[str, str]:
        """The queues' own, host:port."""
        return {name: source.endpoint for name, source in self.sources.items()}

    def _source(self, name: str, on_served: Callable[[int], None]) -> Source:
        return Source(name, on_served)

    def _agent(self, socket: Path) -> Agent:
        return Agent(self.folder, self.history, self._apps(), self.scene.cap, self._environ(socket))

    def _apps(self) -> list[dict[str, object]]:
        return scene.apps(self.endpoints, self.flags)

    def _environ(self, socket: Path) -> dict[str, str]:
        environ = {
            "DOCKER_HOST": f"unix://{socket}",
            "NSQ_STATS_ENDPOINT": self.sources["alpha"].endpoint,
            "MSS_HEALTH_FILE": str(self.flags / "health"),
            "MSS_LOG_DEBUG": "mssengine,mssscheduler",
        }
        if FAKETIME and self.clocked:
            self.set_clock("+0")
            environ |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        return environ

    # What faults do with it

    @contextlib.contextmanager
    def client(self) -> Iterator[APIClient]:
        """On a way of its own; the engine may be away just now. Raises what AWAY holds."""
        client = engines.connect(self.engine.host, timeout_s=15)
        try:
            yield client
        finally:
            client.close()

    def set_clock(self, offset: str) -> None:
        """Moves the wall clock of the agent, and of nobody else, by so many seconds."""
        new = self.clock.with_suffix(".new")
        new.write_text(f"{offset}\n")
        os.replace(new, self.clock)

    def crash(self, crashing: bool) -> None:
        """From now on the flaky task's containers end at once."""
        if crashing:
            (self.flags / "crash").touch()
        else:
            (self.flags / "crash").unlink(missing_ok=True)

    def start_foreign(self, client: APIClient, restart: dict[str, str] | None = None) -> str:
        """Starts a container without our label."""
        host = client.create_host_config(network_mode="none", restart_policy=restart)
        id = client.create_container("mss-test/sleeper", host_config=host)["Id"]
        client.start(id)
        return str(id)

    def ours(self, client: APIClient, task: str = "") -> list[str]:
        """The ids of what runs, of one task or of all."""
        return [
            c["Id"]
            for c in client.containers(filters={"label": self.scene.label})
            if (found := self.scene.task_of(c["Labels"])) and task in ("", found)
        ]

    def by_hand(self, id: str, action: str) -> None:
        """Does it to a container, as somebody else may; it may have gone meanwhile."""
        self.history.add("by hand", id=id)
        with contextlib.suppress(*AWAY), self.client() as client:
            if action == "kill":
                client.kill(id, "KILL")
            elif action == "stop":
                client.stop(id, timeout=1)
            else:
                client.remove_container(id, force=True)

    def restart_engine(self) -> None:
        """Until it answers. Raises Missing if it never does."""
        for tries in range(1, ENGINE_TRIES + 1):
            try:
                self.keeper.submit(self.engine.start, *self.engine_options).result()
                return
            except engines.Missing:
                if tries == ENGINE_TRIES:
                    raise
                self.engine.kill()

    @contextlib.contextmanager
    def engine_trouble(self) -> Iterator[None]:
        """The engine is stopped or frozen in the block, and nobody else is to do so."""
        with self.engine_lock:
            self.engine_troubles += 1
            self.engine_troubled = True
            try:
                yield
            finally:
                self.engine_troubled = False

    def _trouble(self) -> int | None:
        return None if self.engine_troubled else self.engine_troubles

    def _unlock(self) -> None:
        """The engine has dead-locked."""
        before = self.engine_troubles
        with self.engine_trouble():
            if self.engine_troubles != before + 1:  # it has been restarted meanwhile
                return
            note = "the engine did not answer for 10 s"
            names = [part.name for part in self.scene.parts]
            fault = self.history.fault("engine dead-locked", "engine", names, note)
            fault.begin -= DEADLOCK_S + LOOK_EVERY_S  # it may have been so for as long
            self.deadlocks += 1
            self.engine.kill()
            self.restart_engine()
            self._restore()
            fault.end = time.time()

    def _restore(self) -> None:
        """Brings about what an engine that was restarted does not by itself."""

    def left(self) -> list[str]:
        """Containers of ours that are there in any state."""
        try:
            with self.client() as client:
                return [
                    f"{c['Labels'][engines.LABEL]} {c['Id'][:12]} ({c['State']})"
                    for c in engines.ours(client)
                ]
        except (APIError, RequestException) as error:
            return [f"unknown: {error}"]


def _make_images(client: APIClient) -> None:
    engines.make_images(client)
    for image, words in scene.IMAGES.items():
        dockerfile = f"FROM {engines.BUSYBOX}\nCMD {json.dumps(['sh', '-c', words])}\n"
        for step in client.build(fileobj=io.BytesIO(dockerfile.encode()), rm=True, tag=image, decode=True):
            if "error" in step:
                raise engines.Missing(f"{image} cannot be built: {step['error']}")
