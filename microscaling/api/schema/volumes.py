"""Reads volumes and bind mounts, in the short and the long form of the Compose specification."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Notes, Section, shown
from microscaling.demand.container import Mount
from microscaling.utils.text import clean

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
KINDS = ("bind", "volume", "tmpfs")
LONG = "there is no such key here; there are type, source, target and read_only"
EXPECTED = 'text such as "data:/var/lib/data" or "/etc/app:/etc/app:ro"'

VOLUMES = Key(
    "volumes",
    "Volumes",
    kind="shape",
    meaning="named volumes and absolute paths on the host, short or long form",
    shape={
        "type": "array",
        "items": {
            "type": ["string", "object"],
            "properties": {
                "type": {"enum": [*KINDS]},
                "source": {"type": "string"},
                "target": {"type": "string", "pattern": "^/"},
                "read_only": {"type": "boolean"},
            },
            "required": ["type", "target"],
            "additionalProperties": False,
        },
    },
)


class _Bad(Exception):
    """The reason why a mount is invalid."""


def read_mounts(config: Section) -> tuple[Mount, ...]:
    """Reads the key `volumes`. Invalid entries are noted and left out."""
    mounts = []
    for place, entry in config.entries("volumes"):
        try:
            is_long = isinstance(entry, Mapping)
            mount = _long(entry, place, config.notes) if is_long else _short(entry)
            mounts.append(_checked(mount))
        except _Bad as bad:
            config.notes.problem(place, str(bad))
    return tuple(mounts)


def _short(entry: Any) -> Mount:
    if not isinstance(entry, str):
        raise _Bad(f"expected {EXPECTED}, got {shown(entry)}")
    parts = clean(entry).split(":")
    if len(parts) == 1:
        return Mount("volume", "", parts[0])  # only a target: an anonymous volume
    access = parts[2] if len(parts) == 3 else "rw"
    if len(parts) > 3 or access not in ("ro", "rw"):
        raise _Bad(f"expected SOURCE:TARGET, then :ro or :rw or nothing, got {shown(entry)}")
    # As in Compose: a source that is no name of a volume is a path.
    kind = "volume" if NAME.fullmatch(parts[0]) else "bind"
    return Mount(kind, parts[0], parts[1], access == "ro")


def _long(entry: Mapping[Any, Any], place: str, notes: Notes) -> Mount:
    mount = Section(entry, place, notes)
    kind, source, target = (mount.text(key) for key in ("type", "source", "target"))
    read_only = mount.flag("read_only", False)
    for key in mount.left():
        notes.problem(mount.at(key), LONG)
    if kind not in KINDS:
        raise _Bad(f"type: expected bind, volume or tmpfs, got {shown(kind)}")
    return Mount(kind, source, target, read_only)


def _checked(mount: Mount) -> Mount:
    # The engine would refuse these too, but only at each create of a container.
    if not mount.target.startswith("/"):
        raise _Bad(f"expected an absolute path in the container, got {shown(mount.target)}")
    if mount.kind == "bind" and not mount.source.startswith("/"):
        expected = "expected an absolute path on the engine's host, or the name of a volume"
        raise _Bad(f"{expected}, got {shown(mount.source)}")
    if mount.kind == "volume" and mount.source and not NAME.fullmatch(mount.source):
        raise _Bad(f"expected the name of a volume, got {shown(mount.source)}")
    if mount.kind == "tmpfs" and mount.source:
        raise _Bad("a tmpfs has no source")
    return mount
