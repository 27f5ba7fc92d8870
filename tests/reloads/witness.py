"""Sees on an engine whether a storm of reloads touches what it must not."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass

from docker import APIClient

from tests.integration import engines
from tests.reloads.world import POISON, VERSION

KINDS = ("create", "start", "kill", "die", "destroy")
LOWERED_S = 30.0
"""So long containers may be above a cap that was lowered: they have to end first."""


@dataclass
class Seen:
    """One container, as the engine's events tell of it."""

    task: str
    version: str
    running: bool = False
    since: float = 0.0


class Witness:
    """Follows the events on a connection of its own, and knows what the file says."""

    def __init__(self, host: str) -> None:
        self.client: APIClient = engines.connect(host, timeout_s=1200)
        self.lock = threading.Lock()
        self.seen: dict[str, Seen] = {}
        self.wanted: dict[str, tuple[int, str]] = {}
        """By fixed task, its containers and their version; it is quiet once that is so."""
        self.quiet: set[str] = set()
        self.names: set[str] = set()
        """All fixed tasks that there were."""
        self.cap = 0
        self.cap_until: list[tuple[float, int]] = []
        """Earlier caps, and the time until which they count."""
        self.violations: list[str] = []
        self.events: Counter[str] = Counter()
        self.most = 0
        self.stream = self.client.events(filters={"type": "container", "event": [*KINDS]}, decode=True)
        self.thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Ends; may be called twice."""
        if self.thread.is_alive():
            self.stream.close()
            self.thread.join(15)
            self.client.close()

    def expect(self, wanted: dict[str, tuple[int, str]], cap: int, concerned: set[str]) -> None:
        """Takes what the file says from now on; `concerned`: the fixed tasks whose containers change."""
        with self.lock:
            self.wanted = wanted
            self.names |= wanted.keys()
            self.quiet -= concerned
            if cap < self.cap:
                self.cap_until.append((time.monotonic() + LOWERED_S, self.cap))
            self.cap = cap
            self._settle()

    def unsettled(self) -> set[str]:
        """The fixed tasks, those that are gone included, that are not yet as the file says."""
        with self.lock:
            self._settle()
            return self.names - self.quiet

    def _settle(self) -> None:
        for name in self.names - self.quiet:
            mine = [one for one in self.seen.values() if one.task == name]
            count, version = self.wanted.get(name, (0, ""))
            if len(mine) == count and all(one.running and one.version == version for one in mine):
                self.quiet.add(name)

    def _run(self) -> None:
        for event in self.stream:
            attributes = event["Actor"]["Attributes"]
            if engines.LABEL in attributes:
                with self.lock:
                    self._take(event["Action"], event["Actor"]["ID"], attributes)

    def _take(self, kind: str, id: str, labels: dict[str, str]) -> None:
        task = labels[engines.LABEL]
        self.events[kind] += 1
        if POISON in labels:
            self.violations.append(f"{kind} of {task}: a bad file took effect")
        self._settle()
        if task in self.quiet:
            self.violations.append(f"{kind} of {task} {id[:12]}, whose containers had not changed")
        one = self.seen.setdefault(id, Seen(task, labels.get(VERSION, "")))
        if kind == "start":
            one.running, one.since = True, time.monotonic()
        elif kind == "die":
            one.running = False
        elif kind == "destroy":
            self.seen.pop(id, None)
        running = sum(each.running for each in self.seen.values())
        self.most = max(self.most, running)
        if running > self.highest_cap():
            self.violations.append(f"{running} run after the {kind} of {task}, and the cap is {self.cap}")

    def highest_cap(self) -> int:
        now = time.monotonic()
        self.cap_until = [(until, cap) for until, cap in self.cap_until if until > now]
        return max([self.cap, *(cap for _, cap in self.cap_until)])
