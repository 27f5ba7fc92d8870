"""The overrides that people have asked for: in the tasks, and in a file for the next agent."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping

from microscaling.control.overrides_file import OverridesFile
from microscaling.control.server import Answer, Handler
from microscaling.demand.override import MAX_CONTAINERS, Override
from microscaling.demand.tasks import Tasks
from microscaling.utils.text import few, quoted

log = logging.getLogger("mssagent")

MAX_SECONDS = 10 * 365 * 86_400.0
MAX_DIGITS = len(str(MAX_CONTAINERS))


class Refused(Exception):
    """A request that makes no sense; the text is for the person who has sent it."""


class Wishes:
    """`path`: the file; without a writable folder the next agent forgets, which is logged once. `decides`:
    False where a server decides, so that an override would have no effect."""

    def __init__(
        self, tasks: Tasks, path: str, decides: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self.tasks = tasks
        self.file = OverridesFile(path)
        self.decides = decides
        self.clock = clock
        self._warned = False
        self._kept: dict[str, Override] = {}
        """As the file has them, as far as they are of this agent."""
        self._keeping = threading.Lock()

    def load(self) -> None:
        """Takes over what an earlier agent has kept."""
        if not self.decides:
            return
        try:
            kept = self.file.read()
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("%s: cannot be read (%s): no task is paused or pinned", self.file.path, error)
            return
        self._kept = kept
        with self.tasks as tasks:
            tasks.overrides.update(kept)
        self.expire()  # before the first decision: its time may have ended while no agent ran
        for name, override in self.tasks.overrides.items():
            log.warning("%s: is still %s; microscaling resume %s ends it", name, override.words(), name)

    def expire(self) -> None:
        """Ends those whose time is over."""
        now = self.clock()
        with self.tasks as tasks:
            over = {name: o for name, o in tasks.overrides.items() if o.until is not None and o.until <= now}
            for name in over:
                del tasks.overrides[name]
            if over:
                tasks.obey()
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
        text = query.get("containers", "")
        if not text.isdecimal() or len(text) > MAX_DIGITS or int(text) > MAX_CONTAINERS:
            raise Refused(f"expected a number of containers, got {quoted(text)}")
        with self.tasks as tasks:
            (name,) = self._names(query)
            task = tasks.get_task(name)
            moves, most = task.is_scalable or task.overruled is not None, task.own_limits()[1]
        if not moves:
            raise Refused(f"{name}: nothing moves it, as its image has the label is-scalable with false")
        if int(text) > most:
            raise Refused(f"{name}: its maxContainers is {most}: pin it to so many at most")
        override = Override(int(text), self._until(query))
        self._put({name: override})
        return f"{name}: {override.words()}"

    def _resume(self, query: Mapping[str, str]) -> str:
        with self.tasks as tasks:
            names = [query["task"]] if query.get("task") else list(tasks.overrides)
            ended = [name for name in names if tasks.overrides.pop(name, None) is not None]
            tasks.obey()
        if not ended:
            task = query.get("task")
            raise Refused(f"{task}: is neither paused nor pinned" if task else "no task is paused or pinned")
        return f"{few(ended)}: {'follow their rules' if len(ended) > 1 else 'follows its rule'} again"

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
            raise Refused(f"expected a number of seconds above 0, at most 10 years, got {quoted(text)}")
        return float(int(self.clock() + seconds))

    def _put(self, overrides: Mapping[str, Override]) -> None:
        with self.tasks as tasks:
            tasks.overrides.update(overrides)
            tasks.obey()  # not only at the next beat: who asks for the status has had the answer by then

    def _keep(self) -> None:
        # Two threads have orders: that of the control socket, and that of the connection to a server.
        with self._keeping:
            with self.tasks as tasks:
                now = dict(tasks.overrides)
            put = {name: override for name, override in now.items() if self._kept.get(name) != override}
            try:
                self.file.change(put, self._kept.keys() - now.keys())
            except OSError as error:
                if not self._warned:
                    self._warned = True
                    log.warning("MSS_STATE_DIR: %s: the next agent will forget the paused tasks", error)
            else:
                self._kept = now


def file_of(folder: str, engine: str, source: str, project: str = "") -> str:
    """Returns the path of the file for the agent of this engine with the tasks of this source, or of one
    project alone."""
    # Agents of several projects have one source, and may have tasks of one name.
    key = hashlib.sha256(f"{engine} {source} {project}".strip().encode()).hexdigest()[:12]
    return os.path.join(folder, f"overrides-{key}.json")
