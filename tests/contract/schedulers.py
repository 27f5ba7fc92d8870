"""Everything that can run tasks, for one suite: what it is made of, and how to look at it from outside.

To add one, write a `Case` and put it into CASES by its type's name (test_complete.py fails without it). The
suite has two tasks, "a" (which comes first) and "b"; what they are called there is the case's affair.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from microscaling.agent import Agent
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Engine, Slot, put_closed, put_token
from microscaling.scheduler.base import SCHEDULERS, Scheduler
from microscaling.settings import Settings
from microscaling.utils.threads import StoppableThread, stop_all
from tests.contract.proxy import FAULTS, Proxy
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.marathon import FakeMarathon
from tests.leaks import of_each_process

if TYPE_CHECKING:
    from tests.integration.agents import Witness
    from tests.scheduler.real_kubernetes import RealKubernetes

CAP = 10
PATIENCE_S = 60.0
"""Long enough for a busy machine: only a test that fails waits for all of it."""
DECIDE_EVERY_S = 0.1


def wait_for(what: Any, why: str, within_s: float = PATIENCE_S) -> Any:
    deadline = time.monotonic() + within_s
    while not (answer := what()):
        assert time.monotonic() < deadline, f"waited in vain {why}"
        time.sleep(0.02)
    return answer


def plugged(name: str, **settings: Any) -> Scheduler:
    """The scheduler that MSS_SCHEDULER names, with these settings."""
    return SCHEDULERS.chosen("MSS_SCHEDULER", name).make(Settings(scheduler=name, **settings), os.environ)


class Case(ABC):
    """One kind of scheduler, with what it talks to. `request` is pytest's."""

    proxy: Proxy | None = None
    """What stands between; None: it talks to nobody."""
    has_outside = True
    """Something runs that can be there before, and be lost."""
    faults: tuple[str, ...] = FAULTS
    """Those of its proxy that it is tried with."""
    left_over: dict[str, int] = {"a": 0, "b": 0}  # noqa: RUF012
    """How many run after a drain."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.stack = contextlib.ExitStack()
        self.most_seen = 0

    @abstractmethod
    def task(self, name: str) -> Task:
        """The task "a" or "b"."""

    @abstractmethod
    def scheduler(self) -> Scheduler:
        """A new one, as the factory makes it."""

    @abstractmethod
    def there(self, name: str, count: int) -> None:
        """So many run already, before an agent comes."""

    @abstractmethod
    def running(self, name: str) -> int:
        """How many run, as an outsider sees it."""

    def lose(self, name: str) -> None:
        """One dies."""
        raise NotImplementedError

    def touched(self) -> list[object]:
        """What has been done so far, in any form: it is only compared."""
        return [self.running("a"), self.running("b")]

    def most(self) -> int:
        """The most of both together, at any time: that ran, or (with an orchestrator) were asked for."""
        return self.most_seen

    def look(self) -> dict[str, int]:
        found = {name: self.running(name) for name in ("a", "b")}
        self.most_seen = max(self.most_seen, sum(found.values()))
        return found

    def close(self) -> None:
        self.stack.close()


class Script(Engine):
    """Demand is what the test says; like a real engine it decides again and again."""

    def get_demand(self, tasks: Tasks, demand_update: Slot) -> None:
        self.tasks, self.slot = tasks, demand_update
        self.wanted: dict[str, int] = {}
        self.threads = [_Deciding(self)]
        self.threads[0].start()

    def stop_demand(self, demand_update: Slot) -> None:
        stop_all(self.threads, PATIENCE_S)
        put_closed(demand_update)

    def decide(self) -> None:
        with self.tasks:
            for name, count in self.wanted.items():
                task = self.tasks.get_task(name)
                if not task.backing_off:
                    task.demand = count
        if self.wanted:
            self.decided.set()
            put_token(self.slot)


class _Deciding(StoppableThread):
    def __init__(self, engine: Script) -> None:
        super().__init__("script")
        self.engine = engine

    def cycle(self) -> None:
        self.engine.decide()
        self.stopped.wait(DECIDE_EVERY_S)


class Run:
    """An agent on a case, in a thread of this process. Leaving the `with` block stops it."""

    def __init__(self, case: Case, leave: bool = False, exit_timeout_s: float = 30.0) -> None:
        self.case = case
        self.names = {name: case.task(name).name for name in ("a", "b")}
        self.tasks = Tasks([case.task("a"), case.task("b")], CAP)
        self.engine = Script()
        self.agent = Agent(self.tasks, self.engine, case.scheduler(), (), leave, exit_timeout_s)
        self.code: int | None = None
        self.thread = threading.Thread(target=self._run, name="agent", daemon=True)

    def _run(self) -> None:
        self.code = self.agent.run()

    def __enter__(self) -> Run:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int | None:
        self.agent.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive(), "the agent does not end"
        return self.code

    def begun(self) -> Run:
        """Waits until it has taken over what is there, and its engine could decide."""
        wait_for(lambda: hasattr(self.engine, "wanted"), "for the agent to begin")
        return self

    def demand(self, **counts: int) -> None:
        self.begun()
        self.engine.wanted = {self.names[name]: count for name, count in counts.items()}

    def counts(self) -> dict[str, tuple[int, int]]:
        """What the tasks say: (requested, running)."""
        with self.tasks:
            found = {t.name: (t.requested, t.running) for t in self.tasks.tasks}
        return {name: found[real] for name, real in self.names.items()}

    def settles(self, **counts: int) -> None:
        """Until exactly so many run, and the tasks say so too."""

        def settled() -> bool:
            assert self.thread.is_alive(), "the agent has ended"
            return self.case.look() == counts and self.counts() == {n: (c, c) for n, c in counts.items()}

        try:
            wait_for(settled, f"for {counts}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.case.look()} run, {self.counts()} in the tasks") from None


class Toy(Case):
    has_outside = False

    def task(self, name: str) -> Task:
        return Task(name, priority="ab".index(name))

    def scheduler(self) -> Scheduler:
        self.made = plugged("TOY")
        count = self.made.count_all_tasks

        def counting(tasks: Tasks) -> None:
            self.tasks = tasks
            count(tasks)

        self.made.count_all_tasks = counting  # type: ignore[method-assign]
        return self.made

    def there(self, name: str, count: int) -> None:
        raise NotImplementedError

    def running(self, name: str) -> int:
        return self.tasks.get_task(name).running if hasattr(self, "tasks") else 0


class Process(Case):
    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.folder: Path = request.getfixturevalue("tmp_path")
        self.mark = f"{os.getpid()}{time.monotonic_ns() % 10**6}"
        self.stack.callback(self._clean)

    def task(self, name: str) -> Task:
        return Task(name, priority="ab".index(name), command=f"sleep 3600.{'ab'.index(name)}{self.mark}")

    def _backend(self) -> Any:
        from microscaling.scheduler.process.backend import ProcessBackend

        return ProcessBackend(str(self.folder), os.environ)

    def scheduler(self) -> Scheduler:
        """Not by its plugin: that backend takes every orphan for one of a task's, and the tests have children
        of their own."""
        from microscaling.scheduler.containers.driver import ContainerScheduler

        return ContainerScheduler(self._backend())

    def there(self, name: str, count: int) -> None:
        backend = self._backend()
        for i in range(count):
            backend.start(backend.create(self.task(name), f"before-{name}-{i}"))
        backend.close()

    def _pids(self, name: str) -> list[int]:
        end = self.task(name).command.replace("sleep ", "\0").encode() + b"\0"
        found = []
        for path in of_each_process("cmdline"):
            with contextlib.suppress(OSError):
                if path.read_bytes().endswith(end):
                    found.append(int(path.parent.name))
        return found

    def running(self, name: str) -> int:
        return len(self._pids(name))

    def lose(self, name: str) -> None:
        os.kill(self._pids(name)[0], signal.SIGKILL)

    def touched(self) -> list[object]:
        return [self._pids("a"), self._pids("b")]

    def _clean(self) -> None:
        for pid in self._pids("a") + self._pids("b"):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


class Docker(Case):
    client = "engine"
    """The fixture of a client."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        from tests.integration.engines import LABEL, give_up

        self.engine = request.getfixturevalue(self.client)
        self.prefix: str = request.getfixturevalue("prefix")
        self.label = LABEL
        self.lost: set[str] = set()
        host: str = request.getfixturevalue("host")
        if not host.startswith("unix://"):
            give_up(f"the proxy goes in front of a socket, and DOCKER_HOST is {host}")
        self.proxy = self.stack.enter_context(Proxy(host.removeprefix("unix://")))
        self.state = str(request.getfixturevalue("tmp_path"))
        self.witness = self.stack.enter_context(self._watched())

    def _watched(self) -> Witness:
        """Prepares what there has to be, and watches from then on."""
        from tests.integration.agents import Witness

        return Witness(self.engine, self.prefix)

    def task(self, name: str) -> Task:
        return Task(
            self.prefix + name, priority="ab".index(name), image="mss-test/sleeper", network_mode="none"
        )

    def scheduler(self) -> Scheduler:
        assert self.proxy is not None
        host = f"tcp://127.0.0.1:{self.proxy.port}"
        return plugged("DOCKER", docker_host=host, pull_images=False, state_dir=self.state)

    def there(self, name: str, count: int) -> None:
        task = self.task(name)
        host = self.engine.create_host_config(network_mode="none")
        for _ in range(count):
            made = self.engine.create_container(task.image, labels={self.label: task.name}, host_config=host)
            self.engine.start(made["Id"])

    def running(self, name: str) -> int:
        return len(self.ids(name))

    def ids(self, name: str) -> list[str]:
        """What runs of a task."""
        return self.witness.running(self.prefix + name)

    def lose(self, name: str) -> None:
        # An engine may list it as running for a moment more.
        id = next(id for id in self.ids(name) if id not in self.lost)
        self.lost.add(id)
        self.engine.kill(id)

    def touched(self) -> list[object]:
        return [sorted(self.witness.left())]

    def most(self) -> int:
        return self.witness.most_at_once()


class Compose(Docker):
    """Services of a project of its own, each with one container that Compose could have made."""

    client = "shared_engine"
    left_over = {"a": 1, "b": 1}  # noqa: RUF012

    def _watched(self) -> Witness:
        from tests.integration.agents import Witness

        self.project = f"{self.prefix}{time.monotonic_ns() % 10**9}"
        self.stack.callback(self._clean)
        for name in ("a", "b"):
            self.engine.stop(self._made(name, 1), timeout=5)
        return Witness(self.engine, self.project, "com.docker.compose.project")

    def task(self, name: str) -> Task:
        return Task(name, priority="ab".index(name))

    def scheduler(self) -> Scheduler:
        assert self.proxy is not None
        settings = Settings(docker_host=f"tcp://127.0.0.1:{self.proxy.port}", state_dir=self.state)
        environ = {**os.environ, "MSS_COMPOSE_PROJECT": self.project}
        return SCHEDULERS.chosen("MSS_SCHEDULER", "COMPOSE").make(settings, environ)

    def there(self, name: str, count: int) -> None:
        self.engine.start(f"{self.project}-{name}-1")
        for number in range(2, count + 1):
            self._made(name, number)

    def ids(self, name: str) -> list[str]:
        return self._ids(name, running=True)

    def touched(self) -> list[object]:
        return [sorted(self._ids("a") + self._ids("b"))]

    def _ids(self, name: str, running: bool = False) -> list[str]:
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={name}"]
        return [one["Id"] for one in self.engine.containers(all=not running, filters={"label": labels})]

    def _made(self, name: str, number: int) -> str:
        of = "com.docker.compose."
        labels = {
            f"{of}project": self.project, f"{of}service": name, f"{of}container-number": str(number),
            f"{of}oneoff": "False", f"{of}config-hash": "h", "microscaling.enable": "true",
        }  # fmt: skip
        host = self.engine.create_host_config(network_mode="none")
        id = self.engine.create_container(
            "mss-test/sleeper", name=f"{self.project}-{name}-{number}", labels=labels, host_config=host
        )["Id"]
        self.engine.start(id)
        return str(id)

    def _clean(self) -> None:
        for id in self._ids("a") + self._ids("b"):
            self.engine.remove_container(id, force=True)


class Marathon(Case):
    names = {"a": "first", "b": "team/second"}  # noqa: RUF012

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self.fake = self.stack.enter_context(FakeMarathon(user="agent:s3cret"))
        for name in self.names.values():
            self.fake.add(f"/{name}")
        self.proxy = self.stack.enter_context(Proxy(self.fake.port))

    def task(self, name: str) -> Task:
        return Task(self.names[name], priority="ab".index(name))

    def scheduler(self) -> Scheduler:
        assert self.proxy is not None
        return plugged("MARATHON", marathon_api=f"http://agent:s3cret@127.0.0.1:{self.proxy.port}")

    def there(self, name: str, count: int) -> None:
        self.fake.add(f"/{self.names[name]}", count)

    def running(self, name: str) -> int:
        return self.fake.running(f"/{self.names[name]}")

    def lose(self, name: str) -> None:
        self.fake.lose(f"/{self.names[name]}")

    def touched(self) -> list[object]:
        return list(self.fake.puts())

    def most(self) -> int:
        return self.fake.most_asked


class Kubernetes(Case):
    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        pytest.importorskip("kubernetes", reason="the extra kubernetes is not installed")
        self.fake = self.stack.enter_context(FakeKubernetes())
        for name in ("a", "b"):
            self.fake.cluster.add(name)
        self.proxy = self.stack.enter_context(Proxy(self.fake.port))
        folder: Path = request.getfixturevalue("tmp_path")
        self.config = self.fake.kubeconfig(folder / "kubeconfig", self.proxy.port)

    def task(self, name: str) -> Task:
        return Task(name, priority="ab".index(name))

    def scheduler(self) -> Scheduler:
        return plugged("KUBERNETES", kube_config=str(self.config))

    def there(self, name: str, count: int) -> None:
        self.fake.cluster.add(name, count)

    def running(self, name: str) -> int:
        item = self.fake.cluster.get("default", name)
        assert item is not None
        return int(item["status"].get("availableReplicas", 0))

    def lose(self, name: str) -> None:
        self.fake.cluster.lose(name)

    def touched(self) -> list[object]:
        return [call for call in self.fake.asked if call[0] == "patch"]

    def most(self) -> int:
        return self.fake.cluster.most_asked


class KubernetesForReal(Case):
    """A real API server; deployments of this case only."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        pytest.importorskip("kubernetes", reason="the extra kubernetes is not installed")
        self.real: RealKubernetes = request.getfixturevalue("real_kubernetes")
        self.mark = f"{time.monotonic_ns() % 10**9}"
        self.since = self.real.version()
        self.names = {name: f"{name}-{self.mark}" for name in ("a", "b")}
        for name in self.names.values():
            self.real.add(name)
            self.stack.callback(self.real.delete, name)
        self.proxy = self.stack.enter_context(Proxy(self.real.port))
        folder: Path = request.getfixturevalue("tmp_path")
        self.config = self.real.kubeconfig(folder / "kube", self.real.apply_manifest(), self.proxy.port)

    def task(self, name: str) -> Task:
        return Task(self.names[name], priority="ab".index(name))

    def scheduler(self) -> Scheduler:
        return plugged("KUBERNETES", kube_config=str(self.config))

    def there(self, name: str, count: int) -> None:
        self.real.add(self.names[name], count)

    def running(self, name: str) -> int:
        return self.real.running(self.names[name])

    def lose(self, name: str) -> None:
        self.real.lose(self.names[name])

    def touched(self) -> list[object]:
        return [self.real.get(name)["metadata"]["generation"] for name in self.names.values()]

    def most(self) -> int:
        return self.real.most_asked(set(self.names.values()), self.since)


CASES: dict[str, type[Case]] = {
    "TOY": Toy,
    "PROCESS": Process,
    "COMPOSE": Compose,
    "DOCKER": Docker,
    "MARATHON": Marathon,
    "KUBERNETES": Kubernetes,
    "KUBERNETES-REAL": KubernetesForReal,
}
