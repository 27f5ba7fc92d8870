"""A program with all that it is started with."""

from __future__ import annotations

import os
import signal
import subprocess  # nosec B404
from collections.abc import Mapping
from dataclasses import dataclass, field

from microscaling.scheduler.process.account import Account

INHERIT = "inherit"
"""The value of `output` for the agent's own."""
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


@dataclass(frozen=True)
class Program:
    """The command of a task, split, with its environment."""

    argv: list[str] = field(default_factory=list)
    """argv[0] is its path."""
    env: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    """Empty: the agent's own."""
    account: Account | None = None
    """None: the agent's own."""
    output: str = ""
    """`inherit`, or a file; empty: the file that the agent keeps for it."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The paths of its task's files, with {number} in them, by the variable that each process gets."""

    def start(self, more: Mapping[str, str], log_file: str) -> int:
        """Starts it in a session of its own, without input, with `more` variables, and with its output
        appended to the log file if it has no other one. Returns its pid; raises OSError."""
        path = log_file if not self.output else "" if self.output == INHERIT else self.output
        rights = 0o600 if path == log_file else 0o666
        env = {**self.env, **more}
        if self.directory or self.account:
            return self._start_elsewhere(env, path, rights)
        to_file = [
            (os.POSIX_SPAWN_OPEN, 1, path, APPEND, rights),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        return os.posix_spawn(
            self.argv[0],
            self.argv,
            env,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), *(to_file if path else [])],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores these two, and a child inherits that
        )

    def _start_elsewhere(self, env: Mapping[str, str], path: str, rights: int) -> int:
        """Starts it in its folder, as its user, which posix_spawn cannot do."""
        account = self.account
        # Opened by the agent: its user need not have a right to it.
        output = os.open(path, APPEND | os.O_CLOEXEC, rights) if path else None
        try:
            child = subprocess.Popen(  # nosec B603
                self.argv,
                env=env,
                cwd=self.directory or None,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=account.groups if account else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            if output is not None:
                os.close(output)
        # Its end is waited for by its handle: the library must not reap it, and take the exit code.
        child.returncode = 0
        return child.pid
