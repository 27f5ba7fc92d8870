"""What goes on for as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger("mssserver")

Job = Callable[[], Awaitable[None]]


class Jobs:
    """Runs until they are closed. One that ends before has failed: it is said, and `failed` is set, for
    the server to end."""

    def __init__(self) -> None:
        self.failed = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *jobs: Job) -> None:
        """Inside the event loop."""
        for job in jobs:
            self._tasks.append(asyncio.get_running_loop().create_task(self._run(job)))

    async def close(self) -> None:
        """Ends them, and waits until they have."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        try:
            await job()
        except Exception as error:
            self.failed = True
            log.critical(
                "%s has ended, so the server does: %r",
                getattr(job, "__name__", "a job"),
                error,
                exc_info=error,
            )
