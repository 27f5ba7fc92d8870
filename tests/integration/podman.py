"""A Podman of the tests' own, with Docker's API on a socket."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.integration.engines import OWN_NETWORK, Missing, connect, give_up, make_images

CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_config_dir = "{folder}/networks"
[engine]
init_path = "{init}"
runtime = "runc"
events_logger = "file"
cgroup_manager = "cgroupfs"
"""
"""Where there is neither systemd, nor the right to raise limits, nor Podman's own init."""


class OwnPodman:
    """`podman system service` out of a folder of its own. Needs root."""

    def __init__(self) -> None:
        if os.geteuid() != 0 or not all(map(shutil.which, ("podman", "runc", "ip", "setpriv", "unshare"))):
            raise Missing("a Podman of one's own needs root, podman, runc, ip, setpriv and unshare")
        self.folder = Path(tempfile.mkdtemp(prefix="mss-podman-"))
        self.host = f"unix://{self.folder}/podman.sock"
        (self.folder / "containers.conf").write_text(
            CONF.format(folder=self.folder, init=shutil.which("docker-init") or "")
        )
        self.environ = {**os.environ, "CONTAINERS_CONF": f"{self.folder}/containers.conf"}
        # Without --tmpdir all Podmans of one user share one log of events.
        dirs = {"--root": "root", "--runroot": "run", "--tmpdir": "tmp"}
        self.command = ["podman", *(f"{key}={self.folder}/{name}" for key, name in dirs.items())]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait_s: float = 60) -> None:
        """Starts the service, and waits until it answers. Raises Missing."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*OWN_NETWORK, *self.command, "system", "service", "-t", "0", self.host],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + wait_s
        while True:
            with contextlib.suppress(Missing):
                connect(self.host).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                words = (self.folder / "log").read_text(errors="replace").splitlines()[-15:]
                raise Missing("a Podman of one's own would not start:\n" + "\n".join(words))
            time.sleep(0.1)

    @property
    def inside(self) -> list[str]:
        """Begins a command of this Podman: in its network, while its service runs, with its folders."""
        network = [] if self.process is None else ["nsenter", f"--net=/proc/{self.process.pid}/ns/net"]
        return [*network, *self.command]

    def script(self) -> Path:
        """A program as `podman` is one, for other programs."""
        path = self.folder / "podman"
        conf = shlex.quote(self.environ["CONTAINERS_CONF"])
        path.write_text(f'#!/bin/sh\nCONTAINERS_CONF={conf} exec {shlex.join(self.inside)} "$@"\n')
        path.chmod(0o755)
        return path

    def run(self, *words: str) -> str:
        """What a command of Podman says; raises CalledProcessError."""
        done = subprocess.run(
            [*self.inside, *words],
            env=self.environ,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    def stop(self) -> None:
        """Ends the service; its containers run on."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def remove(self) -> None:
        """Ends it, and removes all that it made: containers, mounts, files."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.run("rm", "--all", "--force", "--time", "0")
        self.stop()
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, stdin=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def started() -> Iterator[OwnPodman]:
    """One with the test images, for the time of the block; the test is skipped where there is none."""
    try:
        own = OwnPodman()
    except Missing as missing:
        give_up(missing)
    try:
        own.start()
        with contextlib.closing(connect(own.host)) as client:
            make_images(client)
    except Missing as missing:
        own.remove()
        give_up(missing)
    try:
        yield own
    finally:
        own.remove()
