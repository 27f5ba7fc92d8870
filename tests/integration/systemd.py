"""A real systemd as PID 1, in namespaces of its own on this machine's files, for the unit that we ship.

Nothing of it is seen from outside but one control group, and it ends with the test.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from tests.integration.agents import ROOT, wait_for

UNITS = Path("/lib/systemd/system")
CGROUPS = Path("/sys/fs/cgroup")
TARGETS = """basic final local-fs multi-user network network-online paths shutdown slices sockets sysinit
timers umount"""
TOKEN = "of-a-test-0123456789"
DROP_IN = """[Service]
WatchdogSec=10
StandardOutput=append:/opt/log/agent.log
StandardError=append:/opt/log/agent.log
"""
# $1 our folder, $2 the repository, $3 Python's own folder, $4 its packages, $5 its binary
SET_UP = """set -eu
mkdir $1/units $1/etc
for target in $TARGETS; do cp /lib/systemd/system/$target.target $1/units/; done
if [ -e /run/docker.sock ]; then touch $1/docker.sock; mount --bind /run/docker.sock $1/docker.sock; fi
mount -t tmpfs tmpfs /opt
mount -t tmpfs tmpfs /var/lib
mkdir -p /opt/src /opt/python /opt/site /opt/log /opt/microscaling/bin
mount --bind $2 /opt/src
mount --bind $3 /opt/python
mount --bind $4 /opt/site
mount --bind $1/log /opt/log
command=/opt/microscaling/bin/microscaling
found='LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/src:/opt/site'
printf '#!/bin/sh\\n%s exec %s -m microscaling "$@"\\n' "$found" $5 >$command
chmod 755 $command
mount -t tmpfs tmpfs /lib/systemd/system
cp $1/units/* /lib/systemd/system/
mount -t tmpfs tmpfs /lib/systemd/system-generators
mount -t tmpfs tmpfs $1/etc
mkdir $1/etc/upper $1/etc/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=$1/etc/upper,workdir=$1/etc/work /etc
rm -rf /etc/systemd/system
mkdir -p /etc/microscaling /etc/systemd/system/microscaling.service.d
cp $2/deploy/microscaling.service $2/deploy/microscaling-server.service /etc/systemd/system/
cp $1/test.conf /etc/systemd/system/microscaling.service.d/
mkdir /etc/systemd/system/microscaling-server.service.d
printf '[Service]\\nStandardError=append:/opt/log/server.log\\n' \\
    >/etc/systemd/system/microscaling-server.service.d/log.conf
cp $1/environment $1/tasks.json $1/server /etc/microscaling/
mount -t tmpfs tmpfs /run
mkdir /run/lock
if [ -e $1/docker.sock ]; then touch /run/docker.sock; mount --bind $1/docker.sock /run/docker.sock; fi
touch $1/console
mount --bind $1/console /dev/console
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
    umount -R /sys/fs/cgroup
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd,xattr cgroup /sys/fs/cgroup/systemd
fi
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec env -i container=other PATH=/usr/bin:/bin:/usr/sbin:/sbin SYSTEMD_LOG_LEVEL=info \\
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=console
"""


class Missing(Exception):
    """What a systemd of one's own needs and is not here."""


class Systemd:
    """Has our units as they are shipped, with logs in files, and a watchdog of the agent that bites sooner.
    `server` is the address of the server."""

    def __init__(self, tasks: str = "{}", server: str = "127.0.0.1:8000", **environ: str) -> None:
        if os.geteuid() != 0 or not all(map(shutil.which, ("systemctl", "unshare", "nsenter"))):
            raise Missing("a systemd of one's own needs root, systemd and util-linux")
        self.folder = Path(tempfile.mkdtemp(prefix="mss-systemd-"))
        self.folder.chmod(0o755)
        (self.folder / "log").mkdir()
        (self.folder / "test.conf").write_text(DROP_IN)
        (self.folder / "tasks.json").write_text(tasks)
        lines = "".join(f"{name}={value}\n" for name, value in environ.items())
        (self.folder / "environment").write_text(lines)
        controlled = CGROUPS if (CGROUPS / "cgroup.controllers").exists() else CGROUPS / "systemd"
        (self.folder / "server").write_text(f"MSS_SERVER_ADDRESS={server}\nMSS_SERVER_TOKEN={TOKEN}\n")
        self.group = controlled / self.folder.name
        self.process: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def start(self) -> None:
        """Raises Missing if this machine does not allow it."""
        python = f"python{sysconfig.get_python_version()}"
        own = sys.base_prefix != "/usr"
        binary = f"/opt/python/bin/{python}" if own else f"/usr/bin/{python}"
        unshare = "unshare --pid --mount --uts --ipc --cgroup --fork --kill-child --mount-proc"
        script = SET_UP.replace("$TARGETS", " ".join(TARGETS.split()))
        words = [
            self.folder,
            ROOT,
            sys.base_prefix if own else self.folder,
            sysconfig.get_path("purelib"),
            binary,
        ]
        try:
            self.group.mkdir()
            with (self.folder / "started").open("wb") as log:
                self.process = subprocess.Popen(
                    [
                        *unshare.split(),
                        "--propagation",
                        "private",
                        "sh",
                        "-c",
                        script,
                        "sh",
                        *map(str, words),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=lambda: (self.group / "cgroup.procs").write_text("0"),
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise Missing(f"no control group of one's own: {error}") from None
        deadline = time.monotonic() + 30
        while self.ctl("is-system-running") not in ("running", "degraded"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Missing("no systemd of one's own here: " + (self.folder / "started").read_text()[-500:])
            time.sleep(0.05)

    def ctl(self, *words: str) -> str:
        """What systemctl answers."""
        return self.inside("systemctl", *words)

    def inside(self, *command: str) -> str:
        """The output of a command among the processes and files that this systemd sees."""
        assert self.process
        if not self.pid:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            self.pid = int((children.read_text() if children.exists() else "").strip() or 0)
        if not self.pid:
            return ""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", *command]
        return subprocess.run(enter, capture_output=True, text=True, timeout=120).stdout.strip()

    def show(self, name: str) -> str:
        """A property of our service."""
        return self.ctl("show", "-P", name, "microscaling")

    def shows(self, **properties: str) -> None:
        """Waits until they are so."""
        wait_for(
            lambda: all(self.show(n) == v for n, v in properties.items()), f"for {properties}:\n{self.log()}"
        )

    def log(self) -> str:
        """What the agent, or the server, has logged."""
        return "".join(path.read_text() for path in sorted((self.folder / "log").iterdir()))

    def remove(self) -> None:
        """Ends it with all that it has started."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
            self.process.wait(20)
        deadline = time.monotonic() + 10
        groups = sorted(self.group.glob("**/"), reverse=True) if self.group.exists() else []
        for group in [*groups, self.group]:
            while group.exists() and time.monotonic() < deadline:
                try:
                    group.rmdir()
                except OSError:
                    time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)
