"""The folder in which an agent keeps state for the next agent."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Mapping

IN_THE_IMAGE = "/var/lib/microscaling"
"""The folder that our image has for it, whose owner is the user that the agent drops to."""
MOUNT = re.compile(r"^\S+ \S+ \S+ \S+ (\S+) .* - (\S+) ", re.MULTILINE)
"""Finds place and kind of a mount in a line of /proc/self/mountinfo: see proc_pid_mountinfo(5)."""
IN_MEMORY = ("tmpfs", "ramfs")


def default_folder(environ: Mapping[str, str]) -> str:
    """Returns the folder of the image if it is this user's, as there, else one of this user, which is gone
    after a restart of the machine where the system has such a place."""
    parent = environ.get("XDG_RUNTIME_DIR")
    if not parent and _is_own(IN_THE_IMAGE):
        return IN_THE_IMAGE
    if not parent:
        try:
            parent = tempfile.gettempdir()
        except OSError:  # nowhere can be written, as in a read-only container: its user reports that
            parent = "/tmp"  # nosec B108  # where it is made, its owner is looked at
    return os.path.join(parent, f"microscaling-{os.getuid()}")


def make_own(path: str) -> None:
    """Makes a folder if it is not there. Raises OSError if it cannot be made, or is not this user's."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    # In a parent folder that is writable for all, another user may have created it first.
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError(f"{path} is not a folder of this user")


def why_forgotten(folder: str, in_container: bool) -> str:
    """Returns why the state in a folder may be lost to the next agent; "" if it stays. Makes the folder if it
    is not there."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        return f"{folder} cannot be made ({error.strerror or error})"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} cannot be written"
    if in_container and not _outlives_container(folder):
        return f"{folder} goes with this container: mount a volume there"
    return ""


def _is_own(path: str) -> bool:
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except OSError:
        return False


def _outlives_container(folder: str) -> bool:
    """True if a folder is on a mount of its own that is not in memory, or if that cannot be told."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            mounts = MOUNT.findall(file.read())
    except OSError:
        return True
    path = f"{os.path.realpath(folder)}/"
    around = [(place.rstrip("/"), kind) for place, kind in mounts if path.startswith(f"{place.rstrip('/')}/")]
    place, kind = max(around, key=lambda mount: len(mount[0]), default=("/", ""))
    return place != "" and kind not in IN_MEMORY
