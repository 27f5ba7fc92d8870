"""Sees what the engine itself says, on a connection of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from typing import Any

from docker import APIClient
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests.chaos.history import History
from tests.integration import engines

AGAIN_S = 0.05
SHOWN_S = 4.0
"""A busy engine lists a container as running for so long after its end."""
AWAY = (DockerException, RequestException, OSError, ValueError, AttributeError, engines.Missing)
"""What the client raises when the engine goes away in the middle of something."""


class Witness:
    """Follows the engine's events into the history; connects anew, and lists, whenever they end."""

    def __init__(self, host: str, history: History) -> None:
        self.host = host
        self.history = history
        self.scene = history.scene
        self.told: set[str] = set()
        """Ids of the containers about which all is told."""
        self.stopped = threading.Event()
        self.stream: Any = None
        self.running: dict[str, str] = {}
        """The tasks of what of ours runs now, by id."""
        self.known = False
        """Whether that can be relied on."""
        self.ended: dict[str, float] = {}
        """When each had ended, by the engine's events."""
        self.held: set[str] = set()
        """Ids of what somebody else than the agent has paused."""
        self.seen: Counter[str] = Counter()
        """How many events of each kind there were, of containers of ours."""
        self.noted = 0
        """How many events there were."""
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(*AWAY):
            self.stream.close()
        self.thread.join(15)

    def counts(self) -> dict[str, int]:
        """How many of each task run now."""
        names = list(self.running.values())
        return {part.name: names.count(part.name) for part in self.scene.parts}

    def verify(self) -> None:
        """Lists anew, and corrects what the events said: an engine drops events for a slow reader, as on a
        busy machine. If there is an event meanwhile, the listing may be older, and counts for nothing."""
        with (
            contextlib.suppress(*AWAY),
            contextlib.closing(engines.connect(self.host, timeout_s=5)) as client,
        ):
            noted, asked = self.noted, time.time()
            found = self._running(client)
            with self.lock:
                late = {id for id, t in self.ended.items() if asked - t < SHOWN_S} - self.running.keys()
                found = {id: task for id, task in found.items() if id not in late}
                if self.known and self.noted == noted and found != self.running:
                    self.running = found
                    self.history.add("listed", detail=dict(found), t=asked)

    def _run(self) -> None:
        while not self.stopped.is_set():
            with contextlib.suppress(*AWAY):
                self._follow()
            self.stopped.wait(AGAIN_S)

    def _follow(self) -> None:
        client = engines.connect(self.host, timeout_s=5)
        try:
            self.stream = client.events(decode=True, filters={"type": "container"})
            asked = time.time()
            self.running = self._running(client)
            self.history.add("listed", detail=dict(self.running), t=asked)
            self.known = True
            for event in self.stream:
                if event["timeNano"] / 1e9 >= asked:
                    with self.lock:
                        self._note(event)
                if self.stopped.is_set():
                    return
        finally:
            self.known = False
            self.history.add("lost")
            client.close()

    def _note(self, event: dict[str, Any]) -> None:
        self.noted += 1
        actor = event["Actor"]
        task = self.scene.task_of(actor["Attributes"])
        self._tell(task, actor["ID"], actor["Attributes"], event["timeNano"] / 1e9)
        detail = actor["Attributes"].get("signal") or actor["Attributes"].get("exitCode")
        kind = event["Action"].partition(":")[0]
        if kind == "start" and task:
            self.running[actor["ID"]] = task
        elif kind in ("die", "destroy"):
            self.running.pop(actor["ID"], None)
            self.ended[actor["ID"]] = event["timeNano"] / 1e9
        elif kind == "pause" and self.scene.freezes and actor["ID"] not in self.held:
            self.running.pop(actor["ID"], None)
        elif kind == "unpause" and task:
            self.running[actor["ID"]] = task
        self.seen[kind] += bool(task)
        self.history.add(kind, task, actor["ID"], detail, t=event["timeNano"] / 1e9)

    def _tell(self, task: str, id: str, labels: dict[str, str], t: float) -> None:
        """Notes once what the labels of a task's container say."""
        about = self.scene.about(labels) if task and id not in self.told else None
        if about is not None:
            self.told.add(id)
            self.history.add("about", task, id, about, t=t)

    def _running(self, client: APIClient) -> dict[str, str]:
        """The tasks of what of ours runs, by id."""
        asked, found, there = time.time(), {}, []
        for one in reversed(client.containers(all=True, filters={"label": self.scene.label})):  # oldest first
            task = self.scene.task_of(one["Labels"])
            self._tell(task, one["Id"], one["Labels"], asked)
            if task:
                there.append(one["Id"])
            still = self.scene.freezes and one["Id"] not in self.held
            if task and one["State"] in (("running",) if still else ("running", "paused")):
                found[one["Id"]] = task
        self.history.add("there", detail=there, t=asked)
        return found
