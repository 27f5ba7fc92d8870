"""The PROCESS scheduler's engine: this machine, and its processes in place of containers."""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import queue
import select
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from signal import SIGKILL, SIGTERM

from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler import process_command, process_log
from microscaling.scheduler.backend import Backend, Event, Seen, State
from microscaling.scheduler.process_handle import Handle, kill_rest, leader_with_environment
from microscaling.scheduler.process_state import Entry, StateFolder, default_folder
from microscaling.utils.process import PROC, start_time

log = logging.getLogger("mssscheduler")

MARK = "MICROSCALING_PROCESS"
"""In the environment of every process: its id, by which an agent finds what the last one had started
but not yet written down."""
KILL_WAIT_S = 5.0
"""How long a killed process may take to be gone."""
CLOSE_WAIT_S = 5.0
LOOK_S = 0.05
"""How often to look at a process that is being stopped, or that no pidfd tells of."""
TRIM_S = 5.0
LAST_LINES = 10


class _Process:
    """One container's worth: reserved, then started, then ended. Its lock guards these steps."""

    def __init__(self, id: str, task: str, nonce: str, created: float) -> None:
        self.id = id
        self.task = task
        self.nonce = nonce
        self.created = created
        self.argv: list[str] = []
        self.env: Mapping[str, str] = {}
        self.lock = threading.Lock()
        self.intended = False
        self.handle: Handle | None = None
        self.over = False
        """Ended and told of, or removed: is never started again."""

    def state(self) -> State:
        if self.over:
            return State.EXITED
        return State.RUNNING if self.handle else State.CREATED

    def entry(self) -> Entry | None:
        """For the state file; what was only reserved would not outlive the agent."""
        if not self.handle:
            return Entry(self.id, self.task, self.nonce, self.created) if self.intended else None
        return Entry(self.id, self.task, self.nonce, self.created, self.handle.pid, self.handle.started)

    def event(self, kind: str, exit_code: int | None = None) -> Event:
        return Event(kind, self.id, self.task, self.nonce, exit_code)


class ProcessBackend(Backend):
    """Runs commands as local processes, each in a session of its own, out of a folder that one agent
    at a time can have.

    The folder ("" for the default: see `default_folder`) is taken by the first call, which also adopts
    what the last agent left there; ConfigError if it cannot be used, or another agent has it. A process
    gets the agent's environment and over it the task's.
    """

    name = "local processes"

    def __init__(self, folder: str = "", environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._folder = StateFolder(os.path.abspath(folder or default_folder(environ)))
        self._opening = threading.Lock()
        self._open = False
        self._closed = False
        self._lock = threading.Lock()
        self._processes: dict[str, _Process] = {}
        self._last_created = 0.0
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._watching = False
        self._watcher = threading.RLock()  # a watcher that closes does not wait for itself
        self._unwatched = threading.Event()
        self._wake_read, self._wake_write = -1, -1

    # What the fleet calls ---------------------------------------------------------------------

    def prepare(self, task: Task) -> None:
        self._opened()
        process_command.words(task, self._environ)

    def create(self, task: Task, nonce: str) -> str:
        self._opened()
        argv = process_command.words(task, self._environ)
        env = process_command.environment(task, self._environ)
        with self._lock:
            self._last_created = max(time.time(), self._last_created + 1e-6)
            process = _Process(uuid.uuid4().hex, task.name, nonce, self._last_created)
            process.argv, process.env = argv, {**env, MARK: process.id}
            self._processes[process.id] = process
        self._emit(process.event("create"))
        return process.id

    def start(self, id: str) -> None:
        process = self._get(id)
        if process is None:
            return
        with process.lock:
            if process.over or process.handle:
                return
            self._intend(process)
            try:
                process.handle = Handle.spawn(process.argv, process.env, self._folder.log_file(id))
            except OSError as error:
                process.intended = False
                raise PermanentError(f"cannot run {process.argv[0]}: {error.strerror}") from None
            self._emit(process.event("start"))
        self._save_or_warn()

    def stop(self, id: str, grace_s: float) -> None:
        process = self._get(id)
        if process is None:
            return
        with process.lock:
            handle = process.handle
        if handle is None:
            return
        handle.signal(SIGTERM)
        if self._wait_end(process, handle, grace_s):
            return
        handle.signal(SIGKILL)
        if not self._wait_end(process, handle, KILL_WAIT_S):
            raise TemporaryError(f"process {handle.pid} of {process.task} was killed but does not end")

    def remove(self, id: str) -> None:
        process = self._get(id)
        if process is None:
            return
        with process.lock:
            process.over = process.over or process.handle is None  # no start can come between
        if not process.over:
            self.stop(id, 0.0)
        with self._lock:
            if self._processes.pop(id, None) is None:
                return
        with contextlib.suppress(OSError):
            os.unlink(self._folder.log_file(id))
        if process.handle or process.intended:
            self._save_or_warn()
        self._emit(process.event("destroy"))

    def last_words(self, id: str) -> str:
        self._opened()
        lines = process_log.tail(self._folder.log_file(id)).decode(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def list(self) -> builtins.list[Seen]:
        self._opened()
        self._look_at_all()
        return [Seen(p.id, p.task, p.state(), p.created, p.nonce) for p in self._all()]

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
                while not self._events.empty():  # told to nobody: the next watcher lists
                    self._events.get()

    def _tell(self, on_event: Callable[[Event], None]) -> None:
        trim_at = time.monotonic() + TRIM_S
        while not self._unwatched.is_set():
            self._look_at_all()
            while not self._events.empty():
                on_event(self._events.get())
            if time.monotonic() >= trim_at:
                for process in self._all():
                    process_log.trim(self._folder.log_file(process.id))
                trim_at = time.monotonic() + TRIM_S
            self._wait_for_news(max(0.0, trim_at - time.monotonic()))

    def unwatch(self) -> None:
        self._unwatched.set()
        self._wake()

    def close(self) -> None:
        """Lets go of the folder; what runs goes on, and the next agent finds it."""
        self.unwatch()
        with self._opening:
            opened, self._open, self._closed = self._open, False, True
        if not opened:
            return
        if self._watcher.acquire(timeout=CLOSE_WAIT_S):  # it uses the pipe
            self._watcher.release()
        for process in self._all():
            if process.handle:
                process.handle.close()
        with self._lock:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read, self._wake_write = -1, -1
        self._folder.close()

    # The table, on disk and in memory ---------------------------------------------------------

    def _opened(self) -> None:
        with self._opening:
            if self._closed:
                raise TemporaryError("the local processes have been let go")
            if self._open:
                return
            self._folder.open()
            try:
                adopted = [self._adopt(entry) for entry in self._folder.load()]
            except BaseException:
                self._folder.close()
                raise
            self._wake_read, self._wake_write = os.pipe()
            os.set_blocking(self._wake_read, False)
            os.set_blocking(self._wake_write, False)
            self._processes = {process.id: process for process in adopted if process}
            self._last_created = max((p.created for p in self._processes.values()), default=0.0)
            self._open = True

    def _adopt(self, entry: Entry) -> _Process | None:
        process = _Process(entry.id, entry.task, entry.nonce, entry.created)
        process.intended = True
        pid, started = entry.pid, entry.started
        if pid is None:
            pid = leader_with_environment(MARK, entry.id)
            started = start_time(pid) or "" if pid else ""
            if pid is None:
                if not os.path.isdir(PROC):
                    log.warning(
                        "A process of %s may run unseen: the last agent ended at its start", entry.task
                    )
                return None
        process.handle = Handle.adopt(pid, started)
        if process.handle is None:
            kill_rest(pid, MARK, entry.id)
            process.over = True
        return process

    def _get(self, id: str) -> _Process | None:
        self._opened()
        with self._lock:
            return self._processes.get(id)

    def _all(self) -> builtins.list[_Process]:
        with self._lock:
            return builtins.list(self._processes.values())

    def _save(self) -> None:
        self._folder.save(lambda: [entry for p in self._all() if (entry := p.entry())])

    def _save_or_warn(self) -> None:
        # What is on disk is enough to find the process: if not by pid, then by its environment.
        try:
            self._save()
        except OSError as error:
            log.warning("Cannot write down which processes run: %s", error)

    def _intend(self, process: _Process) -> None:
        process.intended = True
        try:
            self._save()
        except OSError as error:
            process.intended = False
            raise TemporaryError(f"cannot write down which processes run: {error}") from None

    # Ends, and who is told --------------------------------------------------------------------

    def _look(self, process: _Process) -> bool:
        """Whether it has ended; the first to see that tells."""
        handle = process.handle
        if handle is None or not handle.settle():
            return process.over
        with process.lock:
            if not process.over:
                process.over = True
                if not handle.child:
                    kill_rest(handle.pid, MARK, process.id)
                self._emit(process.event("die", handle.exit_code))
        return True

    def _look_at_all(self) -> None:
        for process in self._all():
            if not process.over:
                self._look(process)

    def _wait_end(self, process: _Process, handle: Handle, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while not self._look(process):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            handle.ended.wait(min(LOOK_S, left))
        return True

    def _emit(self, event: Event) -> None:
        if self._watching:
            self._events.put(event)
            self._wake()

    def _wake(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):  # full: it will wake anyway
            if self._wake_write >= 0:
                os.write(self._wake_write, b".")

    def _wait_for_news(self, most_s: float) -> None:
        """Until a process ends, or there is an event to tell."""
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        for process in self._all():
            if process.handle and not process.over:
                pidfd = process.handle.pidfd
                if pidfd is None:
                    most_s = min(most_s, LOOK_S if process.handle.child else 10 * LOOK_S)
                else:
                    poll.register(pidfd, select.POLLIN)
        poll.poll(most_s * 1000.0)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
