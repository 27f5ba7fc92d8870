"""Background jobs of the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger("mssserver")

Job = Callable[[], Awaitable[None]]


class Jobs:
    """Runs jobs until they are closed. If one fails, that is logged, and `failed` is set: the server ends."""

    def __init__(self) -> None:
        self.failed = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *jobs: Job) -> None:
        """Starts jobs, inside the event loop."""
        for job in jobs:
            self._tasks.append(asyncio.get_running_loop().create_task(self._run(job)))

    async def close(self) -> None:
        """Cancels all jobs, and waits for their end."""
        for task in self._tasks:
            task.cancel()
        # The exceptions are their cancellations; a failure was logged when it happened.
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
