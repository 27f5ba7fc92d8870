"""Signals other than SIGTERM and SIGINT, and processes that must not live on, at real terminals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.server import wait_for
from tests.test_main import ROOT, TOY

WORKER = """
import os, pathlib, signal, sys, time
mine = pathlib.Path(sys.argv[1]) / str(os.getpid())
def end(*_):
    time.sleep(0.5)
    mine.with_suffix(".done").touch()
    sys.exit()
signal.signal(signal.SIGTERM, end)
mine.touch()
time.sleep(600)
"""
"""It needs half a second to finish its job."""
AT_TERMINAL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if sys.argv[1] == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "microscaling", *sys.argv[2:]])
"""
"""Takes the terminal that its input is for the one that controls it, and becomes the agent."""
SHELL_AT_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
WORKERS = 2


class Stage:
    """A process of ours, the terminal that it may have, and the local processes that it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.workers = folder / "workers"
        self.workers.mkdir()
        (folder / "worker.py").write_text(WORKER)
        command = f"{sys.executable} {folder / 'worker.py'} {self.workers}"
        app = {"name": "a", "priority": 1, "minContainers": WORKERS, "maxContainers": WORKERS}
        app["config"] = {"command": command, "stopGraceSeconds": 20}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MSS_")}
        own = {
            "MSS_SCHEDULER": "PROCESS",
            "MSS_CONFIG_DATA": json.dumps({"maxContainers": WORKERS, "apps": [app]}),
            "MSS_STATE_DIR": str(folder / "state"),
            "MSS_HEALTH_FILE": str(folder / "health"),
            "MSS_SERVER_ADDRESS": "127.0.0.1:0",
            "MSS_SERVER_STORE": str(folder / "server.db"),
        }
        self.environ = {**clean, **TOY, **own}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.terminals: list[int] = []
        self.log_there = False

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Without a terminal."""
        return self._popen([sys.executable, "-m", "microscaling", *arguments], subprocess.DEVNULL)

    def run_at_terminal(self, *arguments: str, how: str = "") -> subprocess.Popen[bytes]:
        return self._popen([sys.executable, "-c", AT_TERMINAL, how, *arguments], self._terminal())

    def run_logging_to_terminal(self) -> subprocess.Popen[bytes]:
        """What it writes cannot be written any more once the terminal has gone."""
        self.log_there = True
        return self.run_at_terminal()

    def run_in_shell(self, shell: str) -> subprocess.Popen[bytes]:
        """Typed into an interactive shell, in the foreground."""
        process = self._popen([sys.executable, "-c", SHELL_AT_TERMINAL, shell, "-i"], self._terminal())
        os.write(self.terminals[-1], f"{sys.executable} -m microscaling 2>>{self.log}\n".encode())
        return process

    def hang_up(self) -> None:
        """The window is closed, or the connection breaks."""
        os.close(self.terminals.pop())

    def says(self, text: str, times: int = 1) -> None:
        wait_for(lambda: self.log.exists() and self.log.read_text().count(text) >= times, 60)

    def works(self) -> None:
        wait_for(lambda: len(self.pids()) == WORKERS, 60)

    def pids(self) -> list[int]:
        return [int(path.name) for path in self.workers.iterdir() if not path.suffix]

    def done(self) -> int:
        """How many have finished their job."""
        return len(list(self.workers.glob("*.done")))

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for terminal in self.terminals:
            os.close(terminal)
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _terminal(self) -> int:
        ours, theirs = os.openpty()
        self.terminals.append(ours)
        return theirs

    def _popen(self, command: list[str], stdin: int) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            out = stdin if self.log_there else log
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environ,
                stdin=stdin,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        if stdin >= 0:
            os.close(stdin)
        self.processes.append(process)
        return process


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def test_when_its_terminal_goes_it_ends_in_good_order(stage: Stage) -> None:
    process = stage.run_at_terminal()
    stage.works()
    stage.hang_up()
    assert process.wait(60) == 0
    assert stage.done() == WORKERS
    assert stage.log.read_text().splitlines()[-1].endswith("stopped")


def test_when_its_terminal_goes_and_its_log_with_it(stage: Stage) -> None:
    process = stage.run_logging_to_terminal()
    stage.works()
    stage.hang_up()
    assert process.wait(60) == 0
    assert stage.done() == WORKERS


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_in_a_shell_whose_terminal_goes(stage: Stage, shell: str) -> None:
    """Kernel and shell may both send it: the second one must not end the agent at once."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} here")
    stage.run_in_shell(path)
    stage.works()
    stage.hang_up()
    stage.says("stopped\n")
    assert stage.done() == WORKERS


@pytest.mark.parametrize("numbers", [("SIGHUP", "SIGHUP"), ("SIGTERM", "SIGHUP"), ("SIGHUP", "SIGTERM")])
def test_a_hang_up_is_never_the_second_signal(stage: Stage, numbers: tuple[str, str]) -> None:
    """logind sends SIGTERM and SIGHUP to all that is left of a session."""
    process = stage.run_at_terminal()
    stage.works()
    process.send_signal(signal.Signals[numbers[0]])
    stage.says("stopping all")
    process.send_signal(signal.Signals[numbers[1]])
    assert process.wait(60) == 0
    assert stage.done() == WORKERS


def test_asked_twice_after_a_hang_up_it_ends_at_once(stage: Stage) -> None:
    process = stage.run_at_terminal()
    stage.works()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1


def test_the_same_signal_twice_at_once_is_one_request() -> None:
    """timeout(1) sends its signal to the agent, and then to the whole group."""
    code = (
        "import os, signal\n"
        "from microscaling.supervision.signals import caught\n"
        "from microscaling.utils.flag import Flag\n"
        "flag = Flag()\n"
        "with caught(flag):\n"
        "    for number in (signal.SIGINT, signal.SIGINT, {last}):\n"
        "        os.kill(os.getpid(), number)\n"
        "    print(flag.is_set(), flush=True)\n"
    )
    for last, ends in (("signal.SIGINT", 0), ("signal.SIGTERM", 1)):
        done = subprocess.run([sys.executable, "-c", code.format(last=last)], capture_output=True, text=True)
        assert done.returncode == ends
        assert ("ended at once by a second signal; what runs stays" in done.stderr) is bool(ends)


SLOW_EVENT = """
import sys, threading, time
wait = threading.Event.wait
def slow(self, timeout=None):
    if threading.current_thread() is threading.main_thread() and timeout and timeout > 0.1:
        with self._cond:
            until = time.monotonic() + 3.0
            while time.monotonic() < until:
                pass
    return wait(self, timeout)
threading.Event.wait = slow
from microscaling.__main__ import main
sys.exit(main([]))
"""
"""The agent; when its main thread waits for an event for long, it holds its lock for three seconds."""


def test_a_signal_in_the_midst_of_a_wait_ends_it(tmp_path: Path) -> None:
    environ = {**TOY, "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_EVENT], env=environ, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        assert process.stderr is not None
        assert any("a: 0 -> " in line for line in process.stderr)
        time.sleep(1.0)  # all its threads have started
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SIGHUP", "reload: nothing has changed"),
        ("SIGUSR1", "SIGUSR1 does nothing"),
        ("SIGUSR2", "SIGUSR2 does"),
    ],
)
def test_without_a_terminal_it_goes_on_and_says_so(stage: Stage, name: str, said: str) -> None:
    process = stage.run()
    stage.works()
    for times in (1, 2):
        process.send_signal(signal.Signals[name])
        stage.says(said, times)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert stage.done() == WORKERS
    assert stage.log.read_text().count(said) == 2


def test_while_it_waits_for_its_configuration(stage: Stage) -> None:
    stage.environ |= {"MSS_CONFIG": "SERVER", "MSS_API_ADDRESS": "127.0.0.1:9"}
    process = stage.run()
    stage.says("127.0.0.1:9")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGUSR1)  # comes after it
    stage.says("SIGUSR1 does nothing")
    assert process.poll() is None
    process.send_signal(signal.SIGQUIT)
    assert process.wait(60) == 0


def test_with_nohup_it_outlives_its_terminal(stage: Stage) -> None:
    process = stage.run_at_terminal(how="nohup")
    stage.works()
    stage.hang_up()
    process.send_signal(signal.SIGUSR1)  # comes after the hang-up
    stage.says("SIGUSR1 does nothing")
    assert process.poll() is None
    assert "stopping" not in stage.log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_sigquit_ends_it_in_good_order(stage: Stage) -> None:
    """Ctrl-\\ at a terminal; nginx, uWSGI and PHP-FPM take it so, too."""
    process = stage.run_at_terminal()
    stage.works()
    os.write(stage.terminals[-1], b"\x1c")
    assert process.wait(60) == 0
    assert stage.done() == WORKERS


def test_suspended_and_continued_it_goes_on(stage: Stage) -> None:
    process = stage.run()
    stage.works()
    process.send_signal(signal.SIGSTOP)
    os.kill(stage.pids()[0], signal.SIGKILL)
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: len(stage.pids()) == WORKERS + 1, 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_the_server_ends_with_its_terminal(stage: Stage) -> None:
    process = stage.run_at_terminal("server")
    stage.says("the server is at")
    stage.hang_up()
    assert process.wait(60) == 0
    assert stage.log.read_text().splitlines()[-1].endswith("stopped")


def test_the_server_without_a_terminal_goes_on(stage: Stage) -> None:
    process = stage.run("server")
    stage.says("the server is at")
    for name in ("SIGHUP", "SIGUSR1"):
        process.send_signal(signal.Signals[name])
        stage.says(f"{name} does nothing")
    process.send_signal(signal.SIGQUIT)
    assert process.wait(60) == 0
