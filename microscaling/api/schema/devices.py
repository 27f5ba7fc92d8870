"""Reads devices of the host, and requests for devices of a driver, such as graphics processors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from microscaling.api.schema.section import Section, shown
from microscaling.api.schema.word import Word, number_in, pairs, texts
from microscaling.utils.text import clean

SHORT = re.compile(r"(?P<source>/[^:]*)(:(?P<target>/[^:]*))?(:(?P<rights>[rwm]{1,3}))?")
RIGHTS = re.compile("[rwm]{1,3}")
ALL = -1
PROPERTIES = {
    "driver": {"type": "string"},
    "count": {"type": ["integer", "string"], "pattern": "^([0-9]+|all)$", "minimum": 1},
    "device_ids": {"type": "array", "items": {"type": "string"}},
    "capabilities": {"type": "array", "items": {"type": "string"}},
    "options": {"type": ["object", "array"]},
}
REQUEST = {"type": "object", "properties": PROPERTIES, "additionalProperties": False}
"""The shape of one request for devices."""


def read_requests(config: Section, key: str, otherwise: tuple[str, ...] = ()) -> list[dict[str, Any]] | None:
    """Reads a list of requests; `otherwise` are the capabilities of one that names none."""
    if config.take(key) is None:
        return None
    requests = []
    for place, entry in config.entries(key):
        if isinstance(entry, Mapping):
            requests.append(_request(Section(entry, place, config.notes), otherwise))
        else:
            config.notes.problem(
                place, f"expected an object such as {{capabilities: [gpu]}}, got {shown(entry)}"
            )
    return requests


def _request(given: Section, otherwise: tuple[str, ...]) -> dict[str, Any]:
    count, ids = given.take("count"), texts(".+", "the id of a device")(given, "device_ids") or []
    capabilities = texts(".+", "a capability")(given, "capabilities") or [*otherwise]
    # As in Compose: all devices, unless their number or names are given.
    number = ALL if count == "all" or (count is None and not ids) else number_in(count)
    if count is not None and ids:
        given.notes.problem(given.at("count"), "device_ids are given too: only one of them can be")
    elif count is not None and (number is None or (number < 1 and number != ALL)):
        given.wrong("count", "a whole number of devices, 1 or more, or all", count)
    if not capabilities:
        given.notes.problem(
            given.at("capabilities"), "is missing: a request for devices needs it, as in [gpu]"
        )
    request = {
        "Driver": given.text("driver"),
        "Count": 0 if ids else number,
        "DeviceIDs": ids,
        "Capabilities": [capabilities],
        "Options": {name: value or "" for _, name, value in pairs(given, "options")},
    }
    given.no_others(*PROPERTIES)
    return request


def _gpus(config: Section, key: str) -> list[dict[str, Any]] | None:
    value = config.take(key)
    # The short forms of the specification; engines only know requests.
    if value is not None and not isinstance(value, list):
        number = ALL if value == "all" else number_in(value)
        if number is None or (number < 1 and number != ALL):
            config.wrong(key, "all, a number of them, or a list of requests", value)
            return None
        return [{"Driver": "", "Count": number, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]
    return read_requests(config, key, ("gpu",))


def _devices(config: Section, key: str) -> list[dict[str, str]] | None:
    if config.take(key) is None:
        return None
    found = [_device(entry, place, config) for place, entry in config.entries(key)]
    return [device for device in found if device]


def _device(entry: Any, place: str, config: Section) -> dict[str, str]:
    if isinstance(entry, Mapping):
        given = Section(entry, place, config.notes)
        source, target, rights = (given.text(name) for name in ("source", "target", "permissions"))
        given.no_others("source", "target", "permissions")
    else:
        match = SHORT.fullmatch(clean(entry)) if isinstance(entry, str) else None
        source, target, rights = (
            (match[name] or "" for name in ("source", "target", "rights")) if match else ("",) * 3
        )
    # The engine refuses empty ones, so Compose's defaults are filled in here.
    target, rights = target or source, rights or "rwm"
    if not (source.startswith("/") and target.startswith("/") and RIGHTS.fullmatch(rights)):
        expected = 'a device such as "/dev/fuse" or "/dev/sda:/dev/xvda:r", with the rights r, w and m'
        config.notes.problem(place, f"expected {expected}; got {shown(entry)}")
        return {}
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": rights}


DEVICES = Word(
    "devices",
    "Devices",
    kind="shape",
    meaning="devices of the host: `[/dev/fuse]`, `[/dev/sda:/dev/xvda:r]`",
    shape={
        "type": "array",
        "items": {
            "type": ["string", "object"],
            "pattern": "^/",
            "properties": {key: {"type": "string"} for key in ("source", "target", "permissions")},
            "required": ["source"],
            "additionalProperties": False,
        },
    },
    refers=True,
    to="HostConfig.Devices",
    read=_devices,
)
GPUS = Word(
    "gpus",
    "Graphics processors",
    kind="shape",
    meaning="`all`, a number, or requests: `[{driver: nvidia, count: 2}]`",
    shape={"type": ["string", "integer", "array"], "pattern": "^(all|[0-9]+)$", "items": REQUEST},
    refers=True,
    to="HostConfig.DeviceRequests",
    read=_gpus,
)
