"""Runs a command for its output, with a deadline and a limit of size."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import BinaryIO

CHUNK = 2**16
WAIT_S = 0.005
"""Between two looks at a command that has closed its output, until it has ended."""


class TooLong(Exception):
    """The command wrote more than it may."""


def output_of(words: Sequence[str], deadline_s: float, max_bytes: int) -> tuple[int, bytes, bytes]:
    """Runs a command without a shell, in the agent's environment. Returns its exit code (negative: the signal
    that ended it), its output and its errors.

    Nothing of its process group is left at the end. Raises TimeoutError at the deadline, TooLong, and OSError
    if it cannot be run.
    """
    until = time.monotonic() + deadline_s
    with ExitStack() as stack:
        pipes = [_pipe(stack) for _ in range(2)]
        pid = os.posix_spawnp(
            words[0],
            list(words),
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                *((os.POSIX_SPAWN_DUP2, pipe[1].fileno(), to) for to, pipe in enumerate(pipes, 1)),
            ],
            # No session of its own: PROCESS would take its processes for those that a worker has left behind.
            setpgroup=0,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores these two, and a child inherits that
        )
        try:
            for _, write in pipes:
                write.close()  # else there is no end of the file
            output, errors = _read([read for read, _ in pipes], until, max_bytes)
            return _exit_code(pid, until), output, errors
        finally:
            # Before it is waited for: until then no other process can have its number.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _pipe(stack: ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """Returns the ends of a pipe, for reading and for writing."""
    read, write = os.pipe()
    return stack.enter_context(open(read, "rb", 0)), stack.enter_context(open(write, "wb", 0))


def _read(pipes: Sequence[BinaryIO], until: float, max_bytes: int) -> list[bytes]:
    """Returns all that comes through the pipes, read in turn so that none of them is ever full."""
    found = {pipe: bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in selector.select(left):
                read = os.read(key.fd, CHUNK)
                found[key.fileobj] += read  # type: ignore[index]
                if len(found[key.fileobj]) > max_bytes:  # type: ignore[index]
                    raise TooLong
                if not read:
                    selector.unregister(key.fileobj)
    return [bytes(text) for text in found.values()]


def _exit_code(pid: int, until: float) -> int:
    """Waits for the end of a process, and leaves it to be waited for."""
    while (ended := os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is None:
        if time.monotonic() >= until:
            raise TimeoutError
        time.sleep(WAIT_S)
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
