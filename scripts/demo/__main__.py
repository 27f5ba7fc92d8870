"""`python -m scripts.demo`: Microscaling at work, in a terminal.

A queue whose load rises and falls, three tasks of different priority that share 10 containers, a live
table, and a page for the browser if the extra `server` is installed. With a Docker engine in reach these
are containers, else local processes; both take real jobs. DEMO_SECONDS=20 ends it by itself; then the
exit code says whether all was as it should be.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from microscaling import factory
from microscaling.agent import Agent
from microscaling.settings import Settings
from scripts.demo import page as pages
from scripts.demo import show
from scripts.demo.containers import Containers, NotHere
from scripts.demo.jobs import Jobs
from scripts.demo.load import Load, changes
from scripts.demo.processes import Processes
from scripts.demo.record import Record, Warnings
from scripts.demo.summary import excuse, failures, overdue, summary
from scripts.demo.tasks import CAP, SECONDS_A_JOB, configuration, settings_for

LOOK_S = 0.1
SLOW_S = 5.0
"""A change of the load that is no older than that need not have led to anything yet."""
END_S = 30.0
"""How long the agent may take to stop all that runs."""


def main() -> int:
    """Sets all up, shows it, tears all down. Returns the exit code."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    try:
        seconds = float(os.environ.get("DEMO_SECONDS") or 0)
    except ValueError:
        print("DEMO_SECONDS: expected a number of seconds, such as 20", file=sys.stderr)
        return 2
    folder = tempfile.mkdtemp(prefix="microscaling-demo-")
    try:
        return demo(folder, seconds, stopped)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def demo(folder: str, seconds: float, stopped: threading.Event) -> int:
    """One run, until `stopped` or for that many seconds (0: no end)."""
    database = os.path.join(folder, "jobs.db")
    with (
        contextlib.closing(Jobs(database)) as jobs,
        contextlib.closing(mode(folder, database, jobs)) as chosen,
        contextlib.ExitStack() as stack,
    ):
        page = pages.start(folder)
        if page:
            stack.callback(page.close)
            page.show(configuration(chosen, database))
        head = f"{chosen.head}\nThe page: {page.url}" if page else chosen.head
        agent = make_agent(settings_for(chosen, folder, database, page))
        run, load, record = Run(agent), Load(jobs), Record(CAP, chosen.noun)
        with warnings_to(record), show.choose(record, head, seconds) as draw:

            def look() -> None:
                record.look(agent.tasks)
                draw()

            record.begin()
            load.start()
            run.start()
            try:
                while run.is_alive() and not stopped.wait(LOOK_S) and not 0 < seconds <= record.now():
                    look()
            finally:  # also if there is no terminal any more to draw on
                ended = record.now()
                agent.stop()
                with contextlib.suppress(OSError):
                    tidy(run, look)
                run.join(END_S)
                load.stop()
            record.forget_after(ended)
        left = chosen.left()
        print(summary(record, load, jobs, ended, left))
        wrong = failures(record, left, run.code)
        late = overdue(record, [c for c in changes(ended - SLOW_S) if seconds])
    slow = excuse(SLOW_S, os.getloadavg()[0], os.cpu_count() or 1)
    for what in late if slow else ():
        print(f"{what}: {slow}")
    wrong += [] if slow else late
    for what in wrong:
        print(f"FAILED: {what}", file=sys.stderr)
    return 1 if wrong else 0


def make_agent(settings: Settings) -> Agent:
    """As `python -m microscaling` makes it."""
    connection = factory.make_connection(settings)
    return Agent(
        factory.make_tasks(settings, os.environ),
        factory.make_engine(settings, connection),
        factory.make_scheduler(settings, os.environ),
        factory.make_monitors(settings, connection),
        exit_timeout_s=settings.exit_timeout_s,
    )


def tidy(run: Run, look: Callable[[], None]) -> None:
    """Shows how the agent stops all that it runs."""
    deadline = time.monotonic() + END_S
    while run.is_alive() and time.monotonic() < deadline:
        look()
        run.join(LOOK_S)


class Run(threading.Thread):
    """The agent, in a thread of its own; `code` is its exit code, None if it has none."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(name="demo-agent", daemon=True)
        self.agent = agent
        self.code: int | None = None

    def run(self) -> None:
        self.code = self.agent.run()


def mode(folder: str, database: str, jobs: Jobs) -> Containers | Processes:
    """Containers if there is an engine that can run them, else local processes."""
    try:
        return Containers(os.environ, jobs, SECONDS_A_JOB)
    except NotHere as why:
        return Processes(str(why), database, os.path.join(folder, "state"), SECONDS_A_JOB)


@contextlib.contextmanager
def warnings_to(record: Record) -> Iterator[None]:
    """What the agent warns of meanwhile is shown in the table."""
    handler = Warnings(record)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
