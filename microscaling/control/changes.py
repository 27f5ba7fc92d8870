"""Reload and restart, by the control socket and by SIGHUP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from microscaling.config.reload import Outcome, Reloads
from microscaling.control.server import Answer, Handler
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.base import Scheduler
from microscaling.utils.text import quoted

log = logging.getLogger("mssagent")

UNDER_WAY = "it is under way: its end is in the log"
SERVICES = "the labels of the services are read again"


class Changes:
    """Answers the requests for a reload and for a restart. `reloads` is None if the source of the tasks
    notices changes by itself; then `stale` has it look at once."""

    def __init__(
        self, tasks: Tasks, scheduler: Scheduler, reloads: Reloads | None, hangup: threading.Event
    ) -> None:
        self.tasks = tasks
        self.scheduler = scheduler
        self.reloads = reloads
        self.hangup = hangup
        """Set by SIGHUP."""

    def look(self) -> None:
        """Takes a SIGHUP that nothing else waits for; to be called now and then."""
        if self.reloads is None and self.hangup.is_set():
            self.hangup.clear()
            self.tasks.stale.set()
            log.info("SIGHUP: %s", SERVICES)

    def handlers(self) -> dict[str, Handler]:
        """Returns the functions that answer the requests."""
        return {"POST /reload": self._reload, "POST /restart": self._restart}

    def _reload(self, query: Mapping[str, str]) -> Answer:
        if self.reloads is None:
            self.tasks.stale.set()
            return 200, {"said": SERVICES, "problems": []}
        found = self.reloads.ask(yes=query.get("yes") == "1") or Outcome(UNDER_WAY)
        return 200, {"said": found.said, "problems": list(found.problems)}

    def _restart(self, query: Mapping[str, str]) -> Answer:
        name = query.get("task", "")
        with self.tasks as tasks:
            known = any(task.name == name for task in tasks.tasks)
        if not known:
            return 400, {"error": f"there is no task {quoted(name)}"}
        try:
            count = self.scheduler.restart(self.tasks, name)
        except (PermanentError, TemporaryError) as error:
            return 400, {"error": str(error)}
        noun = f"{self.tasks.noun} is" if count == 1 else f"{self.tasks.nouns} are"
        said = (
            f"{name}: {count} {noun} replaced, a few at a time" if count else f"{name}: has none to replace"
        )
        log.warning("by hand: %s", said)
        return 200, {"said": said}
