"""The backend of the PROCESS scheduler: processes of this machine in place of containers."""

from __future__ import annotations

import builtins
import contextlib
import logging
import math
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from microscaling.demand.drain import Activity, Busy, Call
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.containers.backend import Backend, Event, ListedContainer
from microscaling.scheduler.containers.state_folder import default_folder
from microscaling.scheduler.process import command as process_command
from microscaling.scheduler.process import log as process_log
from microscaling.scheduler.process import looks
from microscaling.scheduler.process.family import Family
from microscaling.scheduler.process.handle import Handle
from microscaling.scheduler.process.news import POLL_INTERVAL_S, wait_for_news
from microscaling.scheduler.process.orphans import Orphans
from microscaling.scheduler.process.state import FolderGone, StateFolder
from microscaling.scheduler.process.stop_signal import stop_signal
from microscaling.scheduler.process.unit import MARK, Unit, adopt, lowest_free
from microscaling.utils import subreaper

log = logging.getLogger("mssscheduler")

KILL_WAIT_S = 5.0
"""Longest wait for the end of a killed process."""
CLOSE_WAIT_S = 5.0
UNKNOWN = Task("")
"""In place of a task that this agent does not know: its defaults count."""
CARE_S = 1.0
"""Interval of the care for orphans and the state folder."""
TRIM_S = 5.0
LAST_LINES = 10


class ProcessBackend(Backend):
    """Runs commands as local processes, each in a session of its own. Their state is in a folder that one
    agent at a time owns.

    The first call takes the folder ("" for the default: see `default_folder`), and adopts the processes of
    the last agent; ConfigError if that fails, or another agent has it. A process gets the agent's
    environment, overridden by the task's. `alone`: no other part of this Python process starts children in
    sessions of their own, so every orphan comes from a task.
    """

    name = "local processes"
    limits_tasks = thaw_is_go = True

    def __init__(
        self, folder: str = "", environ: Mapping[str, str] = os.environ, alone: bool = False
    ) -> None:
        self._environ = environ
        self._orphans = Orphans() if alone else None
        self._reparented = False
        """Orphans become children of this process."""
        self._was_subreaper = False
        self._unwritten = False
        """The last save failed."""
        self._tasks: dict[str, Task] = {}
        """By name, for the way in which their processes end."""
        self._folder = StateFolder(os.path.abspath(folder or default_folder(environ)))
        self._opening = threading.Lock()
        self._open = False
        self._closed = False
        self._lock = threading.Lock()
        self._processes: dict[str, Unit] = {}
        self._last_created = 0.0
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._watching = False
        self._watcher = threading.RLock()  # a watcher that closes does not wait for itself
        self._unwatched = threading.Event()
        self._wake_read, self._wake_write = -1, -1

    # The interface of a backend

    def prepare(self, task: Task) -> None:
        self._opened()
        self._tasks[task.name] = task
        process_command.program(task, self._environ)

    def create(self, task: Task, nonce: str) -> str:
        self._opened()
        self._tasks[task.name] = task
        program = process_command.program(task, self._environ)
        with self._lock:
            self._last_created = max(time.time(), self._last_created + 1e-6)
            process = Unit(os.urandom(16).hex(), task.name, nonce, self._last_created, task.version)
            process.program = program
            self._processes[process.id] = process
        self._emit(process.event("create"))
        return process.id

    def start(self, id: str) -> None:
        process = self._get(id)
        if process is None:
            return
        with process.lock:
            if process.over or process.family:
                return
            with self._lock:
                process.number = lowest_free(self._processes.values(), process.task)
            self._intend(process)
            output = self._folder.log_file(id) if self._folder.takes_output else os.devnull
            try:
                process.clear_files()
                leader = Handle.spawn(process.program, {MARK: id, **process.variables()}, output)
            except (PermanentError, TemporaryError):
                process.intended, process.number = False, 0
                raise
            process.family = Family(leader, (MARK, id), self._reparented)
            self._emit(process.event("start"))
        self._save_or_warn()

    def stop(self, id: str, grace_s: float) -> None:
        process = self._get(id)
        if process is None:
            return
        with process.lock:
            family = process.family
            if family is None or process.over:
                return
            news = process.ask(stop_signal(self._tasks.get(process.task, UNKNOWN)), grace_s > 0.0)
            deadline = time.monotonic() + grace_s  # only now: without /proc the call may take long, or fail
            family.kill_at = min(family.kill_at, deadline)
        if news and grace_s > 0.0:
            self._save_or_warn()  # an agent that is started meanwhile must not send a second SIGTERM
        if self._wait_end(process, deadline):
            return
        with process.lock:
            family.kill(time.monotonic())
        if not self._wait_end(process, time.monotonic() + KILL_WAIT_S):
            raise TemporaryError(f"process {family.leader.pid} of {process.task} was killed but does not end")

    def remove(self, id: str) -> None:
        process = self._get(id)
        if process is None:
            return
        with process.lock:
            if process.family is None:
                process.ended.set()  # prevents a start meanwhile
        if not process.over:
            grace_s = self._tasks.get(process.task, UNKNOWN).container.stop_grace_s
            self.stop(id, grace_s if process.went_on() else 0.0)
        with self._lock:
            if self._processes.pop(id, None) is None:
                return
        with contextlib.suppress(OSError):
            os.unlink(self._folder.log_file(id))
        if process.family or process.intended:
            self._save_or_warn()
        self._emit(process.event("destroy"))

    def drain_file(self) -> str:
        return os.path.join(self._folder.path, "drains.json")

    def look(self, task: Task, busy: Busy, ids: Sequence[str]) -> Mapping[str, Activity]:
        program = process_command.program(task, self._environ)
        units = {id: unit for id in ids if (unit := self._get(id)) is not None and not unit.over}
        return {id: looks.look(busy, unit, program) for id, unit in units.items()}

    def signal(self, id: str, name: str) -> None:
        unit = self._get(id)
        if unit is not None and unit.family is not None and not unit.over:
            with unit.lock:
                unit.family.send(signal.Signals[f"SIG{name}"])
            self._save_or_warn()

    def freeze(self, id: str) -> None:
        unit = self._get(id)
        if unit is not None:
            unit.freeze()
            self._emit(unit.event("pause"))

    def thaw(self, id: str) -> None:
        unit = self._get(id)
        if unit is not None:
            unit.thaw()
            self._emit(unit.event("unpause"))

    def check_ready(self, task: Task, id: str) -> None:
        unit = self._get(id)
        if unit is not None and not unit.over and task.warm is not None:
            looks.check_ready(task.warm, unit)

    def say_go(self, task: Task, id: str) -> None:
        unit, warm = self._get(id), task.warm
        if warm is not None and warm.signal and not warm.stops:
            self.signal(id, warm.signal)
        elif unit is not None and not unit.over and warm is not None:
            unit.thaw() if warm.stops else looks.put_file(warm.file, unit)

    def memory(self, id: str) -> int:
        return looks.memory(self._get(id))

    def call(self, task: Task, id: str, call: Call) -> None:
        unit = self._get(id)
        if unit is not None and not unit.over:
            looks.call(call, unit, process_command.program(task, self._environ))

    def last_log_lines(self, id: str) -> str:
        self._opened()
        lines = process_log.tail(self._folder.log_file(id)).decode(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def list(self) -> builtins.list[ListedContainer]:
        self._opened()
        self._look_at_all()
        # Of other tasks a stop is none of the agent's business, but for what it has frozen for them.
        return [p.seen(self._tasks.get(p.task, UNKNOWN).freezes) for p in self._all()]

    def end_command(self, task: str, seen: Sequence[ListedContainer]) -> str:
        """Returns the command to kill these processes. All of them are ours: the last owner of the folder has
        ended."""
        found = [self._get(one.id) for one in seen]
        alive = [(p.handle.pid, p.is_stopped()) for p in found if p and p.handle and not p.over]
        # The signal waits until a frozen one goes on, with all of its group.
        frozen = "".join(f" -{pid}" for pid, is_stopped in alive if is_stopped)
        return "kill" + "".join(f" {pid}" for pid, _ in alive) + (frozen and f"; kill -CONT{frozen}")

    def watch(self, ready: Callable[[], None], on_event: Callable[[Event], None]) -> None:
        self._opened()
        with self._watcher:
            self._unwatched.clear()
            self._watching = True
            try:
                ready()
                self._tell(on_event)
            finally:
                self._watching = False
                while not self._events.empty():  # dropped: the next watcher starts with a listing
                    self._events.get()

    def _tell(self, on_event: Callable[[Event], None]) -> None:
        care_at = trim_at = time.monotonic() + CARE_S
        while not self._unwatched.is_set():
            self._look_at_all()
            while not self._events.empty():
                on_event(self._events.get())
            now = time.monotonic()
            if now >= care_at:
                self._care()
                care_at = now + CARE_S
            if now >= trim_at:
                for process in self._all():
                    process_log.trim(self._folder.log_file(process.id))
                trim_at = now + TRIM_S
            patience_s = max(0.0, min(care_at, trim_at) - time.monotonic())
            wait_for_news(self._wake_read, self._all(), patience_s)

    def _care(self) -> None:
        if self._orphans is not None:
            self._orphans.look([p.family for p in self._all() if p.family and not p.over])
        try:
            if self._folder.mend():
                self._save()
        except OSError as error:
            self._unsaved(error)

    def unwatch(self) -> None:
        self._unwatched.set()
        self._wake()

    def close(self) -> None:
        """Releases the folder; the processes go on, and the next agent finds them."""
        self.unwatch()
        with self._opening:
            opened, self._open, self._closed = self._open, False, True
        if not opened:
            return
        if self._watcher.acquire(timeout=CLOSE_WAIT_S):  # `watch` uses the pipe, so its end comes first
            self._watcher.release()
        for process in self._all():
            with process.lock:
                if process.family:
                    process.family.close()
        if self._reparented and not self._was_subreaper:
            subreaper.set_to(False)
        with self._lock:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read, self._wake_write = -1, -1
        self._folder.close()

    # The table, on disk and in memory

    def _opened(self) -> None:
        with self._opening:
            if self._closed:
                raise TemporaryError("the local processes have been released")
            if self._open:
                return
            self._folder.open()
            try:
                adopted = [adopt(entry) for entry in self._folder.load()]
            except BaseException:
                self._folder.close()
                raise
            self._was_subreaper = subreaper.is_set()
            self._reparented = subreaper.set_to(True)
            self._wake_read, self._wake_write = os.pipe()
            os.set_blocking(self._wake_read, False)
            os.set_blocking(self._wake_write, False)
            self._processes = {process.id: process for process in adopted if process}
            self._last_created = max((p.created for p in self._processes.values()), default=0.0)
            self._open = True

    def _get(self, id: str) -> Unit | None:
        self._opened()
        with self._lock:
            return self._processes.get(id)

    def _all(self) -> builtins.list[Unit]:
        with self._lock:
            return builtins.list(self._processes.values())

    def _save(self) -> None:
        self._folder.save(lambda: [entry for p in self._all() if (entry := p.entry())])
        self._unwritten = False

    def _save_or_warn(self) -> None:
        # The older state on disk is enough to find the process: if not by pid, then by its environment.
        try:
            self._save()
        except OSError as error:
            self._unsaved(error)

    def _unsaved(self, error: OSError) -> None:
        if not self._unwritten:
            log.warning("cannot save the list of processes for the next agent: %s", error)
        self._unwritten = True

    def _intend(self, process: Unit) -> None:
        process.intended = True
        try:
            self._save()
        except FolderGone as error:
            # Without its folder the agent can do everything but leave processes to the next one.
            self._unsaved(error)
        except OSError as error:
            process.intended = False
            raise TemporaryError(f"cannot save the list of processes: {error}") from None

    # Ends and events

    def _look(self, process: Unit) -> bool:
        """True if all its processes have ended; the first call that finds this sends the event."""
        family = process.family
        if family is None or process.over or not family.leader.has_ended():
            return process.over
        with process.lock:
            if process.over:
                return True
            now = time.monotonic()
            if math.isinf(family.kill_at):
                family.kill_at = now + self._tasks.get(process.task, UNKNOWN).container.stop_grace_s
            asked = len(family.asked)
            outlived = family.outlived(now)
            family.leader.reap()  # only after the look, as its pid may be reused from now on
            if not outlived:
                self._emit(process.event("die", family.leader.exit_code))
                process.ended.set()
        if outlived and len(family.asked) > asked:
            if not asked:
                what = "%s: process %s has ended, and the processes it has left get SIGTERM"
                log.info(what, process.task, process.id[:12])
            self._save_or_warn()
        return not outlived

    def _look_at_all(self) -> None:
        for process in self._all():
            if not process.over:
                self._look(process)

    def _wait_end(self, process: Unit, deadline: float) -> bool:
        while not self._look(process):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            process.ended.wait(min(POLL_INTERVAL_S, left))
        return True

    def _emit(self, event: Event) -> None:
        if self._watching:
            self._events.put(event)
            self._wake()

    def _wake(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):  # a full pipe wakes the watcher anyway
            if self._wake_write >= 0:
                os.write(self._wake_write, b".")
