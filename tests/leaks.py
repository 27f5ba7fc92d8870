"""What a test must not leave behind: threads, sockets and child processes of this process."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 10.0
PROC = Path("/proc")


def of_each_process(name: str) -> Iterator[Path]:
    """Yields that file of each process, which may have gone by now. A glob fails if one goes just then."""
    return (PROC / pid / name for pid in os.listdir(PROC) if pid.isdigit())


def sockets() -> frozenset[str]:
    """The sockets that this process holds open, as socket:[inode]."""
    links = []
    for entry in PROC.glob("self/fd/*"):
        try:
            links.append(os.readlink(entry))
        except OSError:
            continue  # the descriptor of the folder itself
    return frozenset(link for link in links if link.startswith("socket:"))


def children() -> frozenset[str]:
    """The child processes, those included that have ended and that nobody has waited for. But for ended
    orphans of local processes, for which only an agent as it is run waits."""
    found = set()
    for entry in of_each_process("stat"):
        try:
            name, _, rest = entry.read_text().rpartition(")")
        except OSError:
            continue  # has gone meanwhile
        state, parent, _, session = rest.split()[:4]
        orphan = int(session) != os.getsid(0) and int(session) != int(name.partition(" ")[0])
        if int(parent) == os.getpid() and not (state == "Z" and orphan):
            found.add(name + ")")
    return frozenset(found)


@dataclass(frozen=True)
class Held:
    """What this process holds at a moment."""

    threads: frozenset[threading.Thread]
    sockets: frozenset[str]
    children: frozenset[str]

    @classmethod
    def now(cls) -> Held:
        return cls(frozenset(threading.enumerate()), sockets(), children())

    def leaked(self, now: Held | None = None) -> list[str]:
        """What is held now and was not then, in words."""
        now = now or Held.now()
        return [
            *(f"thread {thread.name}" for thread in now.threads - self.threads),
            *now.sockets - self.sockets,
            *(f"child process {child}" for child in now.children - self.children),
        ]

    def leaked_for_good(self, grace_s: float = GRACE_S) -> list[str]:
        """As `leaked`, but only what is held throughout the grace: what others that live longer, such as a
        service that is scraped, open and close meanwhile does not count."""
        deadline = time.monotonic() + grace_s
        held = Held.now()
        while leaked := self.leaked(held):
            if time.monotonic() >= deadline:
                return leaked
            gc.collect()
            time.sleep(0.01)
            held = held.still(Held.now())
        return []

    def stacks(self) -> str:
        """Where the threads are that have come since."""
        frames = sys._current_frames()
        come = [thread for thread in threading.enumerate() if thread not in self.threads]
        return "".join(
            f"\n{thread.name}:\n" + "".join(traceback.format_stack(frames[thread.ident]))
            for thread in come
            if thread.ident in frames
        )

    def still(self, now: Held) -> Held:
        """What of it is held now, too."""
        return Held(self.threads & now.threads, self.sockets & now.sockets, self.children & now.children)
