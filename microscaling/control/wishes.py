"""The overrides that people have asked for: in the tasks, and in a file for the next agent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from microscaling.control.server import Answer, Handler
from microscaling.demand.override import Override
from microscaling.demand.tasks import Tasks
from microscaling.utils.text import few, quoted

log = logging.getLogger("mssagent")

MAX_CONTAINERS = 100_000
MAX_SECONDS = 10 * 365 * 86_400.0


class Refused(Exception):
    """A request that makes no sense; the text is for the person who has sent it."""


class Wishes:
    """`path`: the file; without a writable folder the next agent forgets, which is logged once. `decides`:
    False where a server decides, so that an override would have no effect."""

    def __init__(
        self, tasks: Tasks, path: str, decides: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self.tasks = tasks
        self.path = path
        self.decides = decides
        self.clock = clock
        self._warned = False
        self._keeping = threading.Lock()

    def load(self) -> None:
        """Takes over what an earlier agent has kept."""
        try:
            with open(self.path, encoding="utf-8") as file:
                kept = {name: Override(**each) for name, each in json.load(file).items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s: cannot be read (%s): no task is paused or pinned", self.path, error)
            return
        with self.tasks as tasks:
            tasks.overrides.update(kept)
        for name, override in kept.items():
            log.warning("%s: is still %s; microscaling resume %s ends it", name, override.words(), name)

    def expire(self) -> None:
        """Ends those whose time is over."""
        now = self.clock()
        with self.tasks as tasks:
            over = {name: o for name, o in tasks.overrides.items() if o.until is not None and o.until <= now}
            for name in over:
                del tasks.overrides[name]
        for name, override in over.items():
            log.info("%s: is no longer %s", name, override.words())
        if over:
            self._keep()

    def handlers(self) -> dict[str, Handler]:
        """Returns the functions that answer the requests."""
        return {
            "POST /pause": self._answering(self._pause),
            "POST /pin": self._answering(self._pin),
            "POST /resume": self._answering(self._resume),
        }

    def carry_out(self, command: str, query: Mapping[str, str]) -> None:
        """Carries out an order that came over the server; a refusal is logged, as nobody waits for it."""
        status, body = self.handlers()[f"POST /{command}"](query)
        if status != 200:
            log.warning("an order by the server's page is refused: %s", body["error"])

    def _answering(self, work: Callable[[Mapping[str, str]], str]) -> Handler:
        def answer(query: Mapping[str, str]) -> Answer:
            try:
                if not self.decides:
                    raise Refused("MSS_DEMAND_ENGINE=SERVER: the server decides, so ask it on its page")
                said = work(query)
            except Refused as error:
                return 400, {"error": str(error)}
            # At this level, as it explains to all others why the rules have no effect.
            log.warning("by hand: %s", said)
            self._keep()
            return 200, {"said": said}

        return answer

    def _pause(self, query: Mapping[str, str]) -> str:
        names, down = self._names(query), "down" in query
        override = Override(0 if down else None, self._until(query), down)
        self._put(dict.fromkeys(names, override))
        return f"{few(names)}: {override.words()}"

    def _pin(self, query: Mapping[str, str]) -> str:
        if not query.get("task"):
            raise Refused("pin: which task? one at a time")
        (name,) = self._names(query)
        text = query.get("containers", "")
        if not text.isdecimal() or int(text) > MAX_CONTAINERS:
            raise Refused(f"expected a number of containers, got {quoted(text)}")
        with self.tasks as tasks:
            task = tasks.get_task(name)
            most = task.own_limits[1] if task.own_limits else task.max_containers
        if int(text) > most:
            raise Refused(f"{name}: its maxContainers is {most}: pin it to so many at most")
        override = Override(int(text), self._until(query))
        self._put({name: override})
        return f"{name}: {override.words()}"

    def _resume(self, query: Mapping[str, str]) -> str:
        with self.tasks as tasks:
            names = [query["task"]] if query.get("task") else list(tasks.overrides)
            ended = [name for name in names if tasks.overrides.pop(name, None) is not None]
        if not ended:
            raise Refused(f"{few(names) or 'no task'}: is neither paused nor pinned")
        return f"{few(ended)}: follows its rule again"

    def _names(self, query: Mapping[str, str]) -> list[str]:
        with self.tasks as tasks:
            known = [task.name for task in tasks.tasks]
        name = query.get("task", "")
        if name and name not in known:
            raise Refused(f"there is no task {quoted(name)}")
        return [name] if name else known

    def _until(self, query: Mapping[str, str]) -> float | None:
        text = query.get("seconds", "")
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= MAX_SECONDS:
            raise Refused(f"expected a number of seconds above 0, got {quoted(text)}")
        return float(int(self.clock() + seconds))

    def _put(self, overrides: Mapping[str, Override]) -> None:
        with self.tasks as tasks:
            tasks.overrides.update(overrides)

    def _keep(self) -> None:
        # Two threads have orders: that of the control socket, and that of the connection to a server.
        with self._keeping:
            self._write()

    def _write(self) -> None:
        with self.tasks as tasks:
            kept: dict[str, Any] = {name: asdict(override) for name, override in tasks.overrides.items()}
        try:
            if not kept:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path)
                return
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            # Whole or not at all: a file that is cut off would unpin everything.
            new = f"{self.path}.new"
            with open(new, "w", encoding="utf-8") as file:
                json.dump(kept, file)
            os.replace(new, self.path)
        except OSError as error:
            if not self._warned:
                self._warned = True
                log.warning("MSS_STATE_DIR: %s: the next agent will forget the paused tasks", error)


def file_of(folder: str, engine: str, source: str) -> str:
    """Returns the path of the file for the agent of this engine with the tasks of this source."""
    key = hashlib.sha256(f"{engine} {source}".encode()).hexdigest()[:12]
    return os.path.join(folder, f"overrides-{key}.json")
