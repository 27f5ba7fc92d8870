"""The agent's threads: their start, their supervision, and their ordered shutdown."""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from microscaling.config.base import Config
from microscaling.demand.change import Change
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import CLOSED, Engine, Slot
from microscaling.engine.status import in_detail
from microscaling.errors import ConfigError, MicroscalingError, Stopped, TemporaryError
from microscaling.log import masked
from microscaling.monitor.base import Monitor
from microscaling.scheduler.base import Scheduler
from microscaling.scheduler.containers.lease_lock import LeaseLock
from microscaling.supervision.heartbeat import RUNNING, STARTING, STOPPING, Heartbeat
from microscaling.supervision.signals import caught, report_unheeded
from microscaling.utils.backoff import Backoff
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.flag import Flag
from microscaling.utils.patience import Patience
from microscaling.utils.text import few, one_line
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssagent")

COUNT_EVERY_S = 0.5
MONITOR_EVERY_S = 0.5
POLL_INTERVAL_S = 0.5
"""Seconds between two checks for due retries and for dead threads."""
RETRY_S, MAX_RETRY_S = 0.25, 1.0
"""Upper bound of the retry delay, so the end of any outage is noticed within a second."""
SHUTDOWN_POLL_INTERVAL_S = 0.02
JOIN_S = 3.0
BEGIN_JOIN_S = 1.0
"""Longest wait (seconds) for a count under way when the agent stops during its start."""


class Agent:
    """One run of the agent. `run()` blocks until `stop()` is called or a thread fails.

    With `leave`, the containers keep running at the end, and the next agent adopts them. Otherwise all of
    them are stopped; while they cannot be counted this takes up to `exit_timeout_s` seconds plus the longest
    stop grace. `heartbeat` gets the state of the agent all the while. `config` is the source of the tasks, if
    they may change while the agent runs; `followers` are further threads that change them, or help to.
    `helpers` run beside all that, such as the control socket. `lock` is the lease that this agent has.
    """

    def __init__(
        self,
        tasks: Tasks,
        engine: Engine,
        scheduler: Scheduler,
        monitors: Iterable[Monitor] = (),
        leave: bool = False,
        exit_timeout_s: float = 30.0,
        stopping: Flag | None = None,
        heartbeat: Heartbeat | None = None,
        config: Config | None = None,
        helpers: Iterable[StoppableThread] = (),
        followers: Iterable[StoppableThread] = (),
        lock: LeaseLock | None = None,
    ) -> None:
        self.tasks = tasks
        self.engine = engine
        self.scheduler = scheduler
        self.monitors = list(monitors)
        self.leave = leave
        self.exit_timeout_s = exit_timeout_s
        self.demand_update: Slot = queue.Queue(maxsize=1)
        self.heartbeat = heartbeat or Heartbeat()
        self._stopping = stopping or Flag()
        self._failure = ""
        """Reason for an exit code that is not 0."""
        self._code = 1
        """The exit code if there is such a reason."""
        self._begin = _Begin(self)
        self._counter = _Counter(self)
        self._scheduling = _Scheduling(self)
        self._reporting = [_Reporting(self, monitor) for monitor in self.monitors]
        follows = config is not None and scheduler.takes_changes
        following = config.follow(tasks, self.take) if config and follows else None
        self._following = [*([following] if following else []), *followers]
        self._helpers = list(helpers)
        self._lock = lock

    def stop(self) -> None:
        """Requests the shutdown. It only sets a flag, so any thread and any signal handler may call it."""
        self._stopping.set()

    def run(self) -> int:
        """Returns the exit code: 0 after a requested stop with nothing left behind, 2 if a person has to mend
        the settings before a start, else 1. The last line of the log gives the code and its reason."""
        with caught(self._stopping):
            self._run()
        if self._failure:
            log.critical("stopped with exit code %d: %s", self._code, self._failure)
            return self._code
        log.info("stopped")
        return 0

    def _run(self) -> None:
        self._begin.start()
        while self._begin.is_alive() and not self._stopping.is_set():
            self._begin.join(SHUTDOWN_POLL_INTERVAL_S)
            self._tell(STARTING)
        self._begin.stop()
        self._begin.join(BEGIN_JOIN_S)
        if self._begin.error is not None:
            self._fail(self._begin)
            if isinstance(self._begin.error, ConfigError):
                self._code = self._begin.error.exit_code
        elif self._begin.done:
            self._watch()
            self._shut_down()
        else:  # nothing was adopted or started, so there is nothing to stop
            log.info("asked to stop before the start was over")
        self._close()

    def _watch(self) -> None:
        """Runs all threads until the agent is stopped or one of them has died."""
        self._counter.start()
        self._scheduling.start()
        if not self._stopping.is_set():
            self.engine.get_demand(self.tasks, self.demand_update)
        # The monitors start last: the server may answer the first report at once, and the engine has to
        # listen by then.
        for thread in (*self._following, *self._reporting, *self._helpers):
            thread.start()
        self._tell(RUNNING)
        while not self._failure and not self._stopping.wait(POLL_INTERVAL_S):
            self._tell(RUNNING)
            # Not is_alive(): for a moment of its start a thread has an ident and is not yet alive. One that
            # was asked to stop has not died, such as that of a source which no task has any more.
            dead = next((t for t in self._threads() if t.over and not t.stopped.is_set()), None)
            if dead is not None:
                self._fail(dead)
            elif self._lock is not None and not self._lock.keep():
                self._failure = f"the file of its lease was removed, and {self._lock.other} has the lease now"

    def _threads(self) -> Iterator[StoppableThread]:
        yield from (self._scheduling, *self._threads_of_ours())
        yield from self.engine.threads
        yield from self.scheduler.threads

    def _threads_of_ours(self) -> Iterator[StoppableThread]:
        """Yields those that the agent ends last."""
        yield from (self._counter, *self._reporting, *self._following, *self._helpers)

    def take(self, change: Change) -> None:
        """Takes over a change of the configuration, in the thread that follows it."""
        if not self._stopping.is_set():
            self.scheduler.change_tasks(self.tasks, change)

    def _fail(self, thread: StoppableThread) -> None:
        """Records the death of a thread as the reason for the end of the agent."""
        error = thread.error
        if isinstance(error, MicroscalingError):
            self._failure = one_line(str(error))
            return
        cause = f", because of {error.__cause__!r}" if error and error.__cause__ else ""
        self._failure = f"thread {thread.name} has died: {error!r}{cause}"
        log.critical("thread %s has died, so the agent ends", thread.name, exc_info=error)

    def _tell(self, state: str) -> None:
        """Passes the state on; the heartbeat limits the rate, however often this is called."""
        report_unheeded()
        loops = [("counting", self._counter), ("scheduling", self._scheduling)]
        # The first thread of an engine is the one that decides (see Engine.threads).
        loops += [("beats", thread) for thread in self.engine.threads[:1]]
        # While stopping, loops have ended already: their old due times would look like a standstill.
        due = {name: thread.due for name, thread in loops if thread.due and state == RUNNING}
        self.heartbeat.tell(state, lambda: self._says(state), due, self._details)

    def _details(self) -> list[tuple[str, float | None]]:
        with self.tasks as tasks:
            lines = in_detail(tasks)
        return [(masked(line), taken) for line, taken in lines]  # others may read the file

    def _says(self, state: str) -> str:
        if state == STARTING:
            return (
                f"starting: waiting for the backend of the {self.tasks.nouns}"
                if self._begin.patience.waits
                else "starting"
            )
        if state == STOPPING:
            return "stopping"
        with self.tasks as tasks:
            running = sum([task.running for task in tasks.tasks])
            held = [task.name for task in tasks.tasks if task.held or tasks.hold]
            failing = [task.name for task in tasks.tasks if task.backing_off]
        says = [f"{running} of {self.tasks.cap} {self.tasks.nouns} run"]
        if self.tasks.outside:
            says.append(f"{self.tasks.outside} places are taken by {self.tasks.nouns} of no task")
        if self._counter.failure_log.failing:
            says.append("they cannot be counted now, trying again")
        says += [
            f"{word}: {few(names)}" for word, names in (("held", held), ("backing off", failing)) if names
        ]
        return "; ".join(says)

    def _shut_down(self) -> None:
        """Stops the engine, then drains or leaves the containers, while the counter and the monitors still
        run. After a failure everything stays as it is, for the next agent."""
        failed = bool(self._failure)
        self._tell(STOPPING)
        # At once, as the services may go down with the agent: what it makes now would be left behind.
        self._surely(lambda: self.scheduler.halt(self.tasks))
        for thread in self._following:
            thread.stop()
        # The engine goes first, so that no decision interferes with the drain.
        self._surely(lambda: self.engine.stop_demand(self.demand_update))
        if self._scheduling.is_alive():
            self._scheduling.join(JOIN_S)
        if self.leave or failed:
            log.info("leaving all %s as they are", self.tasks.nouns)
            self._surely(lambda: self.scheduler.leave(self.tasks))
        else:
            log.info("stopping all %s", self.tasks.nouns)
            self._surely(lambda: self.scheduler.drain(self.tasks))
        # The pending work of a dead thread never ends, so a longer wait would be in vain.
        self._surely(lambda: self._wait_idle(JOIN_S if failed else self.exit_timeout_s))

    def _wait_idle(self, patience_s: float) -> None:
        """Waits until the scheduler is idle; at the deadline, logs the containers that may be left."""
        graces = [task.container.stop_grace_s for task in self.tasks.tasks]
        deadline = time.monotonic() + patience_s + max(graces, default=0.0)
        patience = threading.Event()
        while not self.scheduler.idle(self.tasks):
            if time.monotonic() >= deadline:
                left = ", ".join(self.scheduler.left()) or "unknown"
                log.error("the shutdown takes too long and is aborted; possibly left: %s", left)
                self._failure = self._failure or f"the shutdown took too long; possibly left: {left}"
                return
            # The scheduling thread has ended, so due retries are carried out here.
            retry = self.scheduler.next_retry()
            if retry is not None and retry <= time.monotonic():
                _try(lambda: self.scheduler.stop_start_tasks(self.tasks))
            self._tell(STOPPING)
            patience.wait(SHUTDOWN_POLL_INTERVAL_S)

    def _close(self) -> None:
        for monitor in self.monitors:
            self._surely(monitor.close)
        late = stop_all([self._begin, *self._threads_of_ours()], JOIN_S)
        if late:
            log.warning("still waiting for an answer: %s", ", ".join(thread.name for thread in late))
        self._surely(self.scheduler.cleanup)  # after the counter, which uses it
        if self._lock is not None:
            self._lock.close()  # another agent may act from now on
        self.heartbeat.close()

    def _surely(self, step: Callable[[], None]) -> None:
        """Runs one step of the shutdown; an exception is logged, and the other steps still run."""
        try:
            step()
        # An error that has killed a thread before may come up here again.
        except Exception as error:
            log.exception("a step of the shutdown has failed")
            self._failure = self._failure or f"a step of the shutdown has failed: {error!r}"


def _try(step: Callable[[], None]) -> None:
    try:
        step()
    except TemporaryError as error:
        log.debug("%s", error)


class _Begin(StoppableThread):
    """Prepares every task and adopts the containers that run already; waits while the backend is
    unavailable."""

    def __init__(self, agent: Agent) -> None:
        super().__init__("mss-begin")
        self.agent = agent
        self.patience = Patience(log, MAX_RETRY_S, self.stopped)
        self.done = False
        """The running containers are adopted: from now on the agent is responsible for them."""

    def cycle(self) -> None:
        scheduler, tasks = self.agent.scheduler, self.agent.tasks
        steps = [functools.partial(scheduler.init_scheduler, task) for task in tasks.tasks]
        steps.append(functools.partial(scheduler.count_all_tasks, tasks))
        try:
            for step in steps:
                self.patience.run(step)
        except Stopped:
            if self.agent.leave or not scheduler.sole or not self._made(steps):
                return
        self.done = True
        with tasks:
            found = [f"{task.running} of {task.name}" for task in tasks.tasks if task.running]
        if found:
            log.info("adopted running %s: %s", tasks.nouns, ", ".join(found))
        self.stop()

    def _made(self, steps: Iterable[Callable[[], None]]) -> bool:
        """Makes each step once, after the request to stop: the processes of an earlier agent would outlive
        this one. Returns False if one fails."""
        try:
            for step in steps:
                step()
        except MicroscalingError as error:
            log.warning("%s", error)
            return False
        return True


class _Counter(StoppableThread):
    """Updates every task's `running` from the scheduler, each 0.5 s."""

    def __init__(self, agent: Agent) -> None:
        super().__init__("mss-counter")
        self.agent = agent
        self.failure_log = FailureLog()
        self.backoff = Backoff(RETRY_S, MAX_RETRY_S, jitter=0.2)

    def cycle(self) -> None:
        try:
            self.agent.scheduler.count_all_tasks(self.agent.tasks)
        except TemporaryError as error:
            if self.failure_log.failed(time.monotonic()):
                log.warning("cannot count the running %s: %s; trying again", self.agent.tasks.nouns, error)
            # rest(), as a long delay that the backend asked for is no standstill.
            self.rest(error.delay_s or self.backoff.next())
            return
        if self.failure_log.recovered():
            log.info("the running %s can be counted again", self.agent.tasks.nouns)
        self.backoff.reset()
        self.stopped.wait(COUNT_EVERY_S)


class _Scheduling(StoppableThread):
    """Passes every change of demand to the scheduler, until the engine has closed the slot."""

    def __init__(self, agent: Agent) -> None:
        super().__init__("mss-scheduler")
        self.agent = agent

    def cycle(self) -> None:
        agent = self.agent
        try:
            if agent.demand_update.get(timeout=self._patience()) is CLOSED:
                self.stop()
                return
        except queue.Empty:
            if not self._due():
                return
        _try(lambda: agent.scheduler.stop_start_tasks(agent.tasks))

    def _due(self) -> bool:
        """True if a retry of the scheduler is due. Before the first decision there is nothing to carry
        out."""
        retry = self.agent.scheduler.next_retry() if self.agent.engine.decided.is_set() else None
        return retry is not None and retry <= time.monotonic()

    def _patience(self) -> float:
        retry = self.agent.scheduler.next_retry()
        soon = POLL_INTERVAL_S if retry is None else max(0.0, retry - time.monotonic())
        return min(soon, POLL_INTERVAL_S)


class _Reporting(StoppableThread):
    """Sends the state of the tasks to one monitor."""

    def __init__(self, agent: Agent, monitor: Monitor) -> None:
        super().__init__(f"mss-monitor-{type(monitor).__name__}")
        self.agent = agent
        self.monitor = monitor
        self.failure_log = FailureLog()

    def cycle(self) -> None:
        try:
            self.monitor.send_metrics(self.agent.tasks)
        except TemporaryError as error:
            if self.failure_log.failed(time.monotonic()):
                log.warning("%s: %s", type(self.monitor).__name__, error)
        else:
            if self.failure_log.recovered():
                log.info("%s works again", type(self.monitor).__name__)
        self.stopped.wait(MONITOR_EVERY_S)
