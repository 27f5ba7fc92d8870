"""The user and groups of a task's processes."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from microscaling.utils.text import quoted


class NoAccount(ValueError):
    """The reason why processes cannot run as a user, and the remedy."""


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str = ""
    home: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a login would set; none for a user without an entry."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name} if self.name else {}


def account_of(user: str) -> Account | None:
    """Returns the account for "user" or "user:group", names or numbers; None for that of the agent itself.
    Raises NoAccount."""
    if not user:
        return None
    name, colon, group = user.partition(":")
    entry = _entry(name)
    if entry is None and not colon:
        raise NoAccount(f"the user {quoted(name)} is not known here: give its group too, as in {name}:{name}")
    uid = int(name) if entry is None else entry.pw_uid
    gid = _group(group) if entry is None or colon else entry.pw_gid
    if os.geteuid() != 0:
        if uid != os.geteuid() or gid != os.getegid():
            raise NoAccount(
                f"only root may start processes as {quoted(user)}: run the agent as root, or as that user"
            )
        return None
    if entry is None:
        return Account(uid, gid, (gid,))
    # As in containers: with a group of its own the user has no others.
    groups = (gid,) if colon else tuple(os.getgrouplist(entry.pw_name, gid))
    return Account(uid, gid, groups, entry.pw_name, entry.pw_dir)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        if name.isdecimal():
            return None
        raise NoAccount(f"the user {quoted(name)} is not known here: create it, or leave user out") from None


def _group(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise NoAccount(f"the group {quoted(name)} is not known here: create it, or leave it out") from None
