"""Dropping the parts of the image's environment that the agent does not need: root, and variables."""

from __future__ import annotations

import os
import stat
from collections.abc import MutableMapping

from microscaling.errors import ConfigError

MARKER = "MSS_DROP_TO"
BROUGHT = "MSS_IMAGE_ENV"
DEFAULT_ENGINE = "unix:///var/run/docker.sock"


def drop(environ: MutableMapping[str, str], engine: bool = True) -> str:
    """Changes from root to the user that the image names. Returns one line about it, "" without a change.

    Works only as root, and with MSS_DROP_TO=UID in `environ`, as the image sets it; empty: stay root. Keeps
    the group of the engine's socket, unless `engine` is false (the server needs no engine). Removes
    the image's own variables, and root's HOME, from `environ`, so that containers do not get them.
    To be called before any thread is started. Raises ConfigError if root may not change its user.
    """
    _forget_image(environ)
    marker = environ.pop(MARKER, "")
    if not marker or os.getuid() != 0:
        return ""
    user = _uid(marker)
    # Users mount the socket and change nothing else, so only root can find out, inside the container, which
    # group may use it. Of all rights of root that group is the only one to keep.
    group, about = _group_of(environ.get("DOCKER_HOST") or DEFAULT_ENGINE) if engine else (None, "")
    _become(user, [] if group is None else [group])
    environ.pop("HOME", None)
    return f"started as root, dropped to uid {user} {about}".rstrip()


def _forget_image(environ: MutableMapping[str, str]) -> None:
    """Removes the variables of the image's base (MSS_IMAGE_ENV: NAME=value, spaces between), except those
    with another value now."""
    for pair in environ.pop(BROUGHT, "").split():
        name, _, value = pair.partition("=")
        if environ.get(name) == value:
            del environ[name]


def _uid(marker: str) -> int:
    if marker.isascii() and marker.isdigit() and 0 < int(marker) < 2**31:
        return int(marker)
    raise ConfigError(f'{MARKER}: expected the number of a user other than root, got "{marker}"')


def _group_of(engine: str) -> tuple[int | None, str]:
    """Returns the group that may use the engine's socket, and a few words about it."""
    scheme, _, path = engine.partition("://")
    if scheme != "unix":
        return None, "with no further group: the engine is not reached by a socket"
    try:
        socket = os.stat(path)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        return None, f"with no further group: {path} cannot be seen ({why}), it must be there at start"
    if not stat.S_ISSOCK(socket.st_mode):
        return None, f"with no further group: {path} is no socket, is the engine's mounted?"
    needed = stat.S_IRGRP | stat.S_IWGRP
    if socket.st_mode & needed != needed:
        return None, (
            f"with no further group: none may use {path} (its mode is {stat.S_IMODE(socket.st_mode):o}), "
            f"only its owner; to stay root: {MARKER}="
        )
    owner = " (root's own)" if socket.st_gid == 0 else ""
    return socket.st_gid, f"and group {socket.st_gid}{owner}, which may use {path}"


def _become(user: int, groups: list[int]) -> None:
    try:
        # The user last: after that the process may not change its groups any more.
        os.setgroups(groups)
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except PermissionError:
        raise ConfigError(
            f"{MARKER}: root may not change its user here: allow SETUID and SETGID (--cap-add), start "
            f"the container as another user (--user {user}:GROUP), or stay root ({MARKER}=)"
        ) from None
