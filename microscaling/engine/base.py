"""What the agent asks of a demand engine."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod

from microscaling.demand.tasks import Tasks
from microscaling.utils.threads import StoppableThread

TOKEN = True
"""In the slot: demand has changed. One that is still there stands for all later changes too."""
CLOSED = None
"""In the slot: the engine has stopped, nothing comes after this."""

Slot = queue.Queue[bool | None]
"""What an engine tells the scheduler by: `queue.Queue(maxsize=1)`."""


class Engine(ABC):
    """Decides how many containers each task should have, in threads of its own.

    Only the engine writes `demand` of a task (but for the scheduler's back-off), always with the
    lock of `Tasks` held, and never does it wait for anything outside while it holds it.
    """

    def __init__(self) -> None:
        self.threads: list[StoppableThread] = []
        """For the agent to notice one that died, or, the first, which decides, that it stands still."""
        self.decided = threading.Event()
        """Set once the first decision has been made."""

    @abstractmethod
    def get_demand(self, tasks: Tasks, demand_update: Slot) -> None:
        """Starts to decide, and returns at once. Whenever demand has changed there will be a TOKEN
        in `demand_update`."""

    @abstractmethod
    def stop_demand(self, demand_update: Slot) -> None:
        """Decides no more, and leaves CLOSED in `demand_update` in place of whatever was there."""


def put_token(demand_update: Slot) -> None:
    """Says that demand has changed; never blocks."""
    try:
        demand_update.put_nowait(TOKEN)
    except queue.Full:  # whoever takes the one that waits will see this change as well
        pass


def put_closed(demand_update: Slot) -> None:
    """Says that nothing comes any more. Whoever puts tokens must have stopped before."""
    while True:
        try:
            demand_update.put_nowait(CLOSED)
            return
        except queue.Full:
            _empty(demand_update)


def _empty(demand_update: Slot) -> None:
    try:
        demand_update.get_nowait()
    except queue.Empty:
        pass
