"""What the swarm asks for at each moment, by the events of its services: the cap is judged by that."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from tests.swarm.chaos.history import PARTS, History

NAMES = {part.name for part in PARTS}
FAILURES = (APIError, DockerException, RequestException, OSError, ValueError)


class Witness:
    """Follows the events of whichever manager answers. In a `with` block."""

    def __init__(self, hosts: list[str], prefix: str, history: History) -> None:
        self.hosts, self.prefix, self.history = hosts, prefix, history
        self.numbers: dict[str, int] = {}
        self.over = threading.Event()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._run, name="witness of the swarm")

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(*FAILURES, AttributeError):
            self._stream.close()
        self._thread.join()

    def _run(self) -> None:
        turn = 0
        while not self.over.is_set():
            with contextlib.suppress(*FAILURES):
                self._follow(self.hosts[turn % len(self.hosts)])
            self.history.add("lost")
            turn += 1
            self.over.wait(0.2)

    def _follow(self, host: str) -> None:
        with contextlib.closing(APIClient(host, version="1.41", timeout=5)) as client:
            self._stream = client.events(decode=True, filters={"type": ["service"]})
            self._list(client)
            for event in self._stream:
                if self.over.is_set():
                    return
                for name, before, now in _changes(event, self.prefix):
                    # One from before the listing would turn the clock back.
                    if self.numbers.get(name) == before:
                        self.numbers[name] = now
                        self.history.add("asked", what=name, number=now)
                    else:
                        self._list(client)

    def _list(self, client: APIClient) -> None:
        found = {
            one["Spec"]["Name"].removeprefix(self.prefix): one["Spec"]["Mode"]["Replicated"]["Replicas"]
            for one in client.services()
            if "Replicated" in one["Spec"]["Mode"]
        }
        self.numbers = {name: found[name] for name in found.keys() & NAMES}
        if self.numbers.keys() == NAMES:
            self.history.add("listed", numbers=self.numbers)


def _changes(event: dict[str, Any], prefix: str) -> Iterator[tuple[str, int, int]]:
    of = event["Actor"]["Attributes"]
    name = of.get("name", "").removeprefix(prefix)
    if name in NAMES and "replicas.new" in of:
        yield name, int(of.get("replicas.old", 0)), int(of["replicas.new"])


def wait_until_known(witness: Witness, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while witness.numbers.keys() != NAMES:
        assert time.monotonic() < deadline, "the witness does not see the services"
        time.sleep(0.1)
