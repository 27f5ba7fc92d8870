"""The agent as a service of the project that it scales, which Compose starts, restarts and replaces."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docker import APIClient

from microscaling.clients.docker.compose import PROJECT, SERVICE
from tests.chaos.compose import scene
from tests.chaos.compose.project import Project
from tests.chaos.history import History
from tests.chaos.life import LOOKS_S, READ_EVERY_S, Agent
from tests.chaos.witness import AGAIN_S, AWAY
from tests.integration import engines
from tests.integration.engines import Missing

NAME = "microscaling"
IMAGE = "mss-test/microscaling"
STATE = "state"
GRACE = "60s"
LABELS = [f"{PROJECT}={scene.SHOP}", f"{SERVICE}={NAME}"]
DIED_S = 90.0
KILL = "9"
TOLD = {"15": "told", KILL: "kill"}
"""How it ends, by the signal that its container gets."""


def make_image(root: Path, host: str) -> None:
    """Makes the agent's image of this checkout, and hands it to the engine at `host`. Raises Missing."""
    made = subprocess.run(
        ["make", "image", f"IMAGE={IMAGE}", "BUILD_NETWORK=host"],
        cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise Missing(f"the agent's image cannot be built: {made.stderr[-600:]}")
    with subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE) as saved:
        subprocess.run(
            ["docker", f"--host={host}", "load", "--quiet"],
            stdin=saved.stdout,
            check=True,
            capture_output=True,
        )


def service(socket: Path) -> dict[str, Any]:
    """Returns the sections of the Compose file for the agent, whose engine is at `socket`."""
    return {
        "services": {
            NAME: {
                "image": IMAGE,
                "environment": {
                    "MSS_SCHEDULER": "COMPOSE",
                    "MSS_MAX_CONTAINERS": str(scene.CAP),
                    "MSS_LOG_DEBUG": "mssengine,mssscheduler",
                },
                "networks": ["back"],
                "volumes": [f"{socket}:/var/run/docker.sock", f"{STATE}:/var/lib/microscaling"],
                "stop_grace_period": GRACE,
            }
        },
        "networks": {"back": {"ipam": {"config": [{"subnet": scene.SUBNET}]}}},
        "volumes": {STATE: {}},
    }


class OwnService(Agent):
    """As its base, but Compose and the engine start and end it; what it does is seen by their events."""

    def __init__(self, folder: Path, history: History, project: Project, host: str) -> None:
        super().__init__(folder, history, [], scene.CAP, {})
        self.project = project
        self.host = host
        self.id = ""
        """The container that runs; "": none does."""
        self.how = ""
        """How the driver ends it, for the history; "": somebody else does."""
        self.killed = False
        self.spoke = threading.Event()
        """The one that runs has written its first line."""
        self.follower = threading.Thread(target=self._run, name="agent's events", daemon=True)
        self.stream: Any = None

    @property
    def is_there(self) -> bool:
        return bool(self.id)

    @property
    def pid(self) -> int:
        pid = 0
        with (
            contextlib.suppress(*AWAY),
            self._client(timeout_s=5) as client,
        ):
            pid = int(client.inspect_container(self.id)["State"]["Pid"]) if self.id else 0
        return pid

    def start(self, on_exit: str = "leave") -> None:
        """Until its first word."""
        if not self.follower.is_alive():
            self.follower.start()
        self.project.more["services"][NAME]["environment"]["MSS_ON_EXIT"] = on_exit
        began = time.monotonic()
        self.project.run("up", "-d", "--no-deps", NAME)
        self._until(self.spoke.is_set, LOOKS_S)
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)

    def kill(self) -> None:
        """Its container dies at once. One that has ended already stays so."""
        id, self.how = self.id, "kill"
        if not id:
            return
        with (
            contextlib.suppress(*AWAY),
            self._client() as client,
        ):
            client.kill(id, "KILL")
        self._until(lambda: self.id != id, DIED_S)
        self.how = ""

    def end(self, how: str) -> int:
        """Compose stops it; the exit code; 0 if it did not run."""
        id, self.how = self.id, how
        if not id:
            return 0
        self.project.run("stop", NAME)
        self._until(lambda: self.id != id, DIED_S)
        self.how = ""
        with self._client() as client:
            return int(client.inspect_container(id)["State"]["ExitCode"])

    def freeze(self, frozen: bool) -> None:
        raise NotImplementedError("Compose pauses it, with all the others")

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(*AWAY):
            self.stream.close()
        for thread in (self.follower, *self.readers):
            if thread.ident is not None:
                thread.join(15)

    def _client(self, timeout_s: float = 15) -> contextlib.closing[APIClient]:
        return contextlib.closing(engines.connect(self.host, timeout_s))

    def _until(self, holds: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not holds() and time.monotonic() < deadline and not self.stopped.wait(READ_EVERY_S):
            pass

    def _run(self) -> None:
        while not self.stopped.is_set():
            with contextlib.suppress(*AWAY):
                self._follow()
            self.stopped.wait(AGAIN_S)

    def _follow(self) -> None:
        """Follows what becomes of its container. Without an engine nothing is known, and it cannot act."""
        try:
            with self._client(timeout_s=5) as client:
                self.stream = client.events(decode=True, filters={"type": "container", "label": LABELS})
                for one in client.containers(filters={"label": LABELS}):
                    self._came(one["Id"])
                for event in self.stream:
                    self._take(event["Action"], event["Actor"], event["timeNano"] / 1e9)
                    if self.stopped.is_set():
                        return
        finally:
            self._went(time.time(), "engine")

    def _take(self, action: str, actor: dict[str, Any], t: float) -> None:
        id, said = actor["ID"], actor["Attributes"]
        if action == "create":
            # Compose renames it, and whatever becomes of it is no doing of an agent.
            self.history.add("by hand", id=id)
        elif action == "start":
            self._came(id)
        elif id == self.id and action == "kill" and said.get("signal") in TOLD:
            self.expected.set()
            self.killed = said["signal"] == KILL
            self.history.add("agent down", detail=self.how or TOLD[said["signal"]], t=t)
        elif id == self.id and action == "die":
            told, code = self.expected.is_set(), int(said.get("exitCode", "0"))
            self._went(t, "")
            # One that was killed has no say in its exit code.
            if not told:
                self.history.add("agent died", detail=code, t=t)
            elif not self.killed:
                self.history.add("agent ended", detail=code, t=t)

    def _came(self, id: str) -> None:
        if id == self.id:
            return
        self.expected.clear()
        self.spoke.clear()
        self.killed = False
        self.id = id
        self.lives += 1
        reader = threading.Thread(
            target=self._listen, args=(id, self.lives), name="log of the agent", daemon=True
        )
        self.readers = [*(r for r in self.readers if r.is_alive()), reader]
        reader.start()

    def _went(self, t: float, why: str) -> None:
        if self.id and why and not self.expected.is_set():
            self.history.add("agent down", detail=why, t=t)
        self.id = ""
        self.spoke.clear()

    def _listen(self, id: str, life: int) -> None:
        """Notes what it says from now on, until it ends."""
        rest = b""
        with (
            contextlib.suppress(*AWAY),
            self._client() as client,
            (self.folder / f"agent-{life:03}.log").open("ab") as log,
        ):
            since = int(time.time()) - 1
            for chunk in client.logs(id, stream=True, follow=True, since=since):
                if not self.spoke.is_set() and self.id == id:
                    self.history.add("agent up")
                    self.spoke.set()
                log.write(chunk)
                log.flush()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._note(line.decode(errors="replace"))
