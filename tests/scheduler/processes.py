"""Real processes for the tests of the PROCESS scheduler's engine."""

from __future__ import annotations

import contextlib
import os
import threading
import time

from microscaling.demand.task import Task
from microscaling.scheduler.process.backend import ProcessBackend

SLEEP = Task("sleeper", command="sleep 300")
STUBBORN = Task("stubborn", command="""sh -c 'trap "" TERM; echo up; while :; do sleep 0.05; done'""")
FAMILY = Task("family", command="sh -c 'sleep 300 & echo $! && wait'")
ORPHANS = Task("orphans", command="sh -c 'sleep 300 & echo $!; sleep 0.1; exit 3'")


def wait_for(what, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


class Watcher(threading.Thread):
    """Keeps every event of a backend."""

    def __init__(self, backend):
        super().__init__(daemon=True)
        self.backend, self.ready, self.events = backend, threading.Event(), []
        self.start()
        assert self.ready.wait(60)

    def run(self):
        self.backend.watch(self.ready.set, self.events.append)

    def kinds(self, id):
        return [event.kind for event in self.events if event.id == id]

    def exit_code(self, id):
        return next(e.exit_code for e in self.events if e.id == id and e.kind == "die")


@contextlib.contextmanager
def backends(folder):
    """A maker of backends on one folder; in the end nothing of theirs is left."""
    made = []

    def make(**environ):
        made.append(ProcessBackend(folder, {**os.environ, **environ}))
        return made[-1]

    yield make
    for backend in made:
        backend.close()
    last = ProcessBackend(folder)
    for seen in last.list():
        last.remove(seen.id)
    last.close()


def run(backend, task=SLEEP, nonce="n"):
    id = backend.create(task, nonce)
    backend.start(id)
    return id


def pid_of(backend, id):
    return backend._processes[id].handle.pid


def states(backend):
    return {seen.id: seen.state for seen in backend.list()}
