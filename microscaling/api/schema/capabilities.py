"""Reads lists of Linux capabilities."""

from __future__ import annotations

from microscaling.api.schema.section import Section, shown
from microscaling.api.schema.word import texts
from microscaling.utils.text import nearest

ALL = "ALL"
NAMES = (
    *("AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN"),
    *("DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE"),
    *("LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE"),
    *("NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN"),
    *("SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "SYSLOG", "WAKE_ALARM"),
)
"""Those of Linux 5.9 and later (capabilities(7)), without their CAP_."""
CAPABILITY = rf"ALL|(CAP_)?({'|'.join(NAMES)})"
CAPABILITY = f"{CAPABILITY}|{CAPABILITY.lower()}"
"""For JSON Schema, which has no flag for upper and lower case."""


def read_capabilities(config: Section, key: str) -> list[str] | None:
    """Reads `cap_add` or `cap_drop`, in upper or lower case, with CAP_ or without."""
    found: list[str] | None = texts("[A-Za-z_]+", "a capability such as NET_ADMIN, or ALL")(config, key)
    for i, given in enumerate(found or ()):
        # An engine refuses it with each container, and CAP_ALL too.
        name = given.upper()
        if name != ALL and name.removeprefix("CAP_") not in NAMES:
            other = nearest(name.removeprefix("CAP_"), (ALL, *NAMES))
            hint = f"did you mean {other}?" if other else "capabilities(7) lists them"
            what = f"{shown(given)} is no capability of Linux; {hint}"
            config.notes.problem(f"{config.at(key)}[{i}]", what)
    return found
