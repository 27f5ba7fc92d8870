"""Reads published ports, in the short and the long form of the Compose specification."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from microscaling.api.schema.key import Key, exactly
from microscaling.api.schema.section import Notes, Section, shown
from microscaling.demand.container import Port

SHORT = re.compile(
    r"(?:(?:(?P<ip>[0-9.]+|\[[0-9A-Fa-f:.]+\]):)?(?P<host>[0-9]*|[0-9]+-[0-9]+):)?"
    r"(?P<container>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>[a-z]+))?"
)
RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
MAX_PORTS = 65535
"""Most ports of a whole configuration: a few characters can name a range of many thousands."""
PROTOCOLS = ("tcp", "udp", "sctp")
LONG = "there is no such key here; there are target, published, host_ip and protocol"
EXPECTED = 'a port such as 80, "8080:80", "127.0.0.1:8080:80/udp" or "8000-8010:80"'
IGNORED = ("mode", "name", "app_protocol")
"""Keys of the long form without a meaning for an engine of one host."""
PORTS = Key(
    "ports",
    "Ports",
    kind="shape",
    meaning="published ports, short or long form; not on the host's network",
    shape={
        "type": "array",
        "items": {
            "type": ["integer", "string", "object"],
            "minimum": 1,
            "maximum": 65535,
            "pattern": exactly(SHORT.pattern),
            "properties": {
                "target": {"type": ["integer", "string"]},
                "published": {"type": ["integer", "string"]},
                "host_ip": {"type": "string"},
                "protocol": {"enum": [*PROTOCOLS]},
            }
            | dict.fromkeys(IGNORED, True),
            "required": ["target"],
            "additionalProperties": False,
        },
    },
)


class _Bad(Exception):
    """The reason why a port is invalid."""


def read_ports(config: Section, most: int) -> tuple[Port, ...]:
    """Reads the key `ports` of a task that may have `most` containers."""
    ports: list[Port] = []
    for place, entry in config.entries("ports"):
        if config.notes.ports > MAX_PORTS:
            config.notes.problem(place, f"all tasks together have more than {MAX_PORTS} ports")
            break
        try:
            read = _long(entry, place, config.notes) if isinstance(entry, Mapping) else _short(entry)
        except _Bad as bad:
            config.notes.problem(place, str(bad))
            continue
        ports += read
        config.notes.ports += len(read)
        _warn_if_few(read, most, place, config.notes)
    return tuple(ports)


def _short(entry: Any) -> list[Port]:
    # A port without quotes is a number; `true`, an int for Python, is none.
    whole = isinstance(entry, int) and not isinstance(entry, bool)
    match = SHORT.fullmatch(str(entry)) if whole or isinstance(entry, str) else None
    if match is None:
        raise _Bad(f"expected {EXPECTED}, got {shown(entry)}")
    ip = (match["ip"] or "").strip("[]")
    return _ports(match["container"], match["host"] or "", ip, match["protocol"] or "tcp")


def _long(entry: Mapping[Any, Any], place: str, notes: Notes) -> list[Port]:
    port = Section(entry, place, notes)
    target, published = (_as_text(port.take(key)) for key in ("target", "published"))
    ip, protocol = port.text("host_ip"), port.text("protocol")
    for key in IGNORED:
        port.take(key)  # so that it counts as known
    for key in port.left():
        notes.problem(port.at(key), LONG)
    if not target:
        raise _Bad("target is missing: the port of the container")
    return _ports(target, published, ip, protocol or "tcp")


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _Bad(f"expected a port or a range of ports, got {shown(value)}")


def _ports(container: str, host: str, ip: str, protocol: str) -> list[Port]:
    if protocol not in PROTOCOLS:
        raise _Bad(f"expected tcp, udp or sctp after the port, got {shown(protocol)}")
    if ip:
        try:
            ipaddress.ip_address(ip)
        except ValueError:
            raise _Bad(f"expected an IP address to listen on, got {shown(ip)}") from None
    inside = _range(container)
    outside = _range(host) if host else None
    # One port of the container may have a range on the host, of which the engine takes a free one.
    if len(inside) == 1 or outside is None:
        return [Port(port, protocol, ip, host) for port in inside]
    if len(outside) != len(inside):
        raise _Bad(f"the ranges {host} and {container} are not of the same length")
    return [Port(port, protocol, ip, str(at)) for port, at in zip(inside, outside, strict=True)]


def _range(text: str) -> range:
    match = RANGE.fullmatch(text)
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        if 1 <= first <= last <= 65535:
            return range(first, last + 1)
    raise _Bad(f"expected a port from 1 to 65535 or a range of them, got {shown(text)}")


def _warn_if_few(ports: list[Port], most: int, place: str, notes: Notes) -> None:
    # Each container on the host needs a port of its own.
    rooms = [len(_range(port.host)) for port in ports if port.host]
    if rooms and min(rooms) < most:
        notes.warn(
            place,
            f"only {min(rooms)} of up to {most} containers can have this port of the host; the others "
            "will fail to start. Leave the host's port out, give a range, or set maxContainers lower",
        )
