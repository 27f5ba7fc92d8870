"""Reads the options of a task's containers, except for image and command.

Keys and values follow the Compose specification, in the spelling of the Go agent's keys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.api.schema.key import Key, exactly
from microscaling.api.schema.ports import PORTS, read_ports
from microscaling.api.schema.section import INT64, Section, shown
from microscaling.api.schema.volumes import VOLUMES, read_mounts
from microscaling.demand.container import ContainerOptions
from microscaling.utils.text import clean, short

HOST = "host"
RESERVED_LABELS = ("com.microscaling.microscaling-in-a-box", "com.microscaling.nonce")
MODE = re.compile(r"host|none|bridge|container:.+")
# The forms that Docker and Compose read (go-units, RAMInBytes): all units are powers of 1,024.
MEMORY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})\s*([bB]|[kmgtpKMGTP](?:[iI]?[bB])?)?")
UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
MAX_CPUS = 4096.0
MAX_GRACE_S = 3600.0
ASSIGNMENTS = {
    "type": ["array", "object"],
    "items": {"type": "string", "pattern": "^[^=]"},
    "additionalProperties": {"type": ["string", "number", "null"]},
}
"""The shape of `env` and `labels`: a list of "NAME=value", or a map."""
IMAGE = Key(
    "image", "Image", wide=True, hint="example/worker:1.4", meaning="image of the containers", in_form=True
)
COMMAND = Key(
    "command",
    "Command",
    wide=True,
    hint="empty: the image's own",
    meaning="command, instead of the image's own; split at white space",
    in_form=True,
)
KEYS = (
    Key(
        "env",
        "Environment",
        kind="shape",
        meaning="variables of the containers, list or map; a name without a value takes the agent's own",
        shape=ASSIGNMENTS | {"propertyNames": {"pattern": "^[^=]+$"}},
    ),
    Key(
        "networkMode",
        "Network mode",
        default=HOST,
        meaning="`host`, `bridge`, `none` or `container:NAME`",
        shape={"pattern": exactly(MODE.pattern)},
    ),
    Key(
        "networks",
        "Networks",
        kind="shape",
        meaning="names of networks that exist, list or map; not together with networkMode",
        shape={
            "type": ["array", "object"],
            "items": {"type": "string", "minLength": 1},
            "additionalProperties": {"type": ["null", "object"], "maxProperties": 0},
        },
    ),
    Key(
        "publishAllPorts",
        "Publish all ports",
        kind="flag",
        default=True,
        meaning="publish every port that the image exposes; means nothing on the host's network",
    ),
    PORTS,
    VOLUMES,
    Key(
        "memory",
        "Memory",
        kind="shape",
        default_in_words="no limit",
        meaning='`"64m"`, `"1gb"`, or bytes',
        shape={"type": ["integer", "string"], "minimum": 0, "pattern": exactly(MEMORY.pattern)},
    ),
    Key("cpus", "Processors", kind="number", most=MAX_CPUS, default_in_words="no limit", meaning="`0.5`"),
    Key(
        "labels",
        "Labels",
        kind="shape",
        meaning="further labels, list or map",
        shape=ASSIGNMENTS | {"propertyNames": {"pattern": "^[^=]+$", "not": {"enum": [*RESERVED_LABELS]}}},
    ),
    Key(
        "stopGraceSeconds",
        "Grace",
        kind="number",
        default=1,
        most=MAX_GRACE_S,
        meaning="seconds between asking a container to end and forcing it",
    ),
)
"""Further keys of `config` for the containers."""


@dataclass(frozen=True)
class ContainerConfig:
    """The options that were read, ready for a Task."""

    env: list[str]
    network_mode: str
    publish_all_ports: bool
    options: ContainerOptions


def read_container(config: Section, most: int) -> ContainerConfig:
    """Reads the optional keys of `config`; `most` is the task's maximum of containers.

    The defaults are the Go agent's: the host's network, all ports published (which the engine ignores
    there), a grace of 1 s.
    """
    mode, networks = _network(config)
    ports = read_ports(config, most)
    if ports and mode == HOST:
        config.notes.problem(
            config.at("ports"),
            "the containers are on the host's network, where no port can be published: add "
            '"networkMode": "bridge", or networks',
        )
    # The Go agent read publishAllPorts and left it at true; on the host's network it means nothing.
    publish = config.flag("publishAllPorts", True) or mode == HOST
    options = ContainerOptions(
        networks=networks,
        ports=ports,
        mounts=read_mounts(config),
        memory=_memory(config),
        cpus=config.number("cpus", 0.0, MAX_CPUS, "a number of processors"),
        labels=_labels(config),
        stop_grace_s=config.number("stopGraceSeconds", 1.0, MAX_GRACE_S, "a number of seconds"),
    )
    return ContainerConfig(_env(config), mode, publish, options)


def _network(config: Section) -> tuple[str, tuple[str, ...]]:
    mode = config.text("networkMode")
    networks = tuple(_networks(config))
    if mode and networks:
        config.notes.problem(config.at("networkMode"), "networks are given too: only one of them can be")
    if mode and not MODE.fullmatch(mode):
        config.wrong("networkMode", "host, none, bridge or container:NAME (others go into networks)", mode)
    return mode or (networks[0] if networks else HOST), networks


def _networks(config: Section) -> Iterator[str]:
    for place, name, options in _names(config, "networks"):
        if not name or not isinstance(name, str):
            config.notes.problem(place, f"expected the name of a network, got {shown(name)}")
        elif options:
            config.notes.problem(place, "options of a network are not supported here: give only its name")
        else:
            yield clean(name)


def _names(config: Section, key: str) -> Iterator[tuple[str, Any, Any]]:
    """Yields place, name and options of the entries of a list of names, or of a map by name."""
    value = config.take(key)
    if isinstance(value, Mapping):
        yield from ((_under(config, key, name), name, options) for name, options in value.items())
    else:
        yield from ((place, name, None) for place, name in config.entries(key))


def _env(config: Section) -> list[str]:
    """Returns the list of "NAME=value". A NAME without a value takes the agent's own variable, and is left
    out if there is none."""
    env: dict[str, str] = {}
    for name, value in _assignments(config, "env"):
        found = os.environ.get(name) if value is None else value
        if found is not None:
            env[name] = found
    return [f"{name}={value}" for name, value in env.items()]


def _labels(config: Section) -> dict[str, str]:
    labels = {name: value or "" for name, value in _assignments(config, "labels")}
    for name in RESERVED_LABELS:
        if name in labels:
            place = f"{config.at('labels')}.{name}"
            config.notes.problem(place, "the agent itself sets this label: leave it out")
    return labels


def _assignments(config: Section, key: str) -> Iterator[tuple[str, str | None]]:
    """Yields name and value of the entries of a list of "NAME=value", or of a map; None: no value."""
    # No error quotes a value, as it may be a secret.
    value = config.take(key)
    if isinstance(value, Mapping):
        yield from _mapped(config, key, value)
        return
    for place, entry in config.entries(key):
        if not isinstance(entry, str):
            config.notes.problem(place, f'expected text such as "NAME=value", got {shown(entry)}')
            continue
        name, equals, rest = clean(entry).partition("=")
        if name:
            yield name, rest if equals else None
        else:
            config.notes.problem(place, "there is no name before the =")


def _mapped(config: Section, key: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, str | None]]:
    for name, value in values.items():
        place = _under(config, key, name)
        if not isinstance(name, str) or not name or "=" in name:
            config.notes.problem(place, f"expected a name without =, got {shown(name)}")
        # A bool is refused, as `true` without quotes would become "True".
        elif isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
            config.notes.problem(place, f"expected text or a number, got {shown(value)}: put it in quotes")
        else:
            yield clean(name), value if value is None else clean(str(value))


def _under(config: Section, key: str, name: object) -> str:
    return f"{config.at(key)}.{short(str(name))}"


def _memory(config: Section) -> int:
    value = config.take("memory")
    if value is None:
        return 0
    whole = isinstance(value, int) and not isinstance(value, bool)
    match = MEMORY.fullmatch(str(value)) if whole or isinstance(value, str) else None
    if match is None:
        config.wrong("memory", 'bytes, or text such as "64m" or "1gb"', value)
        return 0
    memory = int(float(match[1]) * UNITS[(match[2] or "b")[0].lower()])
    if memory not in INT64:
        config.wrong("memory", "a number of bytes of at most 64 bits", value)
        return 0
    return memory
