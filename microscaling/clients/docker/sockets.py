"""Sockets of Docker engines: who may use one, and the usual places of others."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Mapping

from microscaling.clients.docker.address import DEFAULT_SOCKET
from microscaling.utils.text import one_line

USABLE = os.R_OK | os.W_OK
GROUP_MAY = stat.S_IRGRP | stat.S_IWGRP


def denial(path: str) -> str:
    """Describes why this user may not use the socket, and the way out; "" if it may, if that is not
    known, or if the socket is being made."""
    try:
        found = os.stat(path)
    except PermissionError:
        return f"this user, {_user()}, may not look into {one_line(os.path.dirname(path))}"
    except OSError:
        return ""
    # An engine makes its socket without any rights, and adds them in the next moment.
    if os.access(path, USABLE) or not stat.S_IMODE(found.st_mode):
        return ""
    group = _group_name(found.st_gid)
    about = f"owner {_user_name(found.st_uid)}, group {group}, mode {stat.S_IMODE(found.st_mode):o}"
    if found.st_gid == 0 or found.st_mode & GROUP_MAY != GROUP_MAY:
        way_out = f"run the agent as {_user_name(found.st_uid)}"
    elif not _has_name(os.geteuid()):  # a number without a name is usual in containers
        way_out = f"run the agent with that group (docker run --group-add {found.st_gid})"
    else:
        way_out = f"sudo usermod -aG {group} {_user_name(os.geteuid())}, then log in again"
    return f"this user, {_user()}, may not use it ({about}): {way_out}"


def denied(engine: str, why: str) -> str:
    """Returns the line about a socket that this user may not use."""
    why = why or "its rights may change, or a security module such as SELinux refuses"
    return f"permission denied while trying to connect to the Docker daemon socket at {engine}: {why}"


def others(path: str, environ: Mapping[str, str]) -> list[str]:
    """Returns the sockets of other engines that this user may use: rootless ones, Docker Desktop's and
    Podman's."""
    return [other for other in _usual(environ) if other != path and _is_usable(other)]


def _usual(environ: Mapping[str, str]) -> Iterable[str]:
    run = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    home = environ.get("HOME") or "/nonexistent"
    places = (
        DEFAULT_SOCKET,
        f"{run}/docker.sock",
        f"{home}/.docker/desktop/docker.sock",
        f"{home}/.docker/run/docker.sock",
        f"{run}/podman/podman.sock",
        "/run/podman/podman.sock",
    )
    return dict.fromkeys(places)


def _is_usable(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode) and os.access(path, USABLE)
    except OSError:
        return False


def _user() -> str:
    return _user_name(os.geteuid())


def _has_name(uid: int) -> bool:
    return _user_name(uid) != str(uid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
