"""Reads the options of a task's containers, except for image and command.

Keys and values follow the Compose specification, in the spelling of the Go agent's keys.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from microscaling.api.schema.deploy import DEPLOY, read_deploy
from microscaling.api.schema.files import ENV_FILE, Files, read_env_files, read_files
from microscaling.api.schema.files import KEYS as OF_FILES
from microscaling.api.schema.key import Key, exactly
from microscaling.api.schema.ports import PORTS, read_ports
from microscaling.api.schema.refused import RESTART, read_restart
from microscaling.api.schema.section import DECIMAL, Section, shown
from microscaling.api.schema.together import CONTAINER, HOST, check_together
from microscaling.api.schema.volumes import VOLUMES, read_mounts
from microscaling.api.schema.word import (
    DURATION,
    MAX_CPUS,
    MEMORY,
    MIN_CPUS,
    flag,
    matching,
    memory,
    nanoseconds,
    pairs,
    processors,
    under,
)
from microscaling.api.schema.words import WORDS, read_words, words_of
from microscaling.demand.container import ContainerOptions
from microscaling.utils.text import clean

RESERVED_LABELS = (
    "com.microscaling.microscaling-in-a-box",
    "com.microscaling.nonce",
    "com.microscaling.agent",
    "com.microscaling.number",
)
MODE = re.compile(r"host|none|bridge|container:.+")
USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?"
MAX_GRACE_S = 3600.0
ASSIGNMENTS = {
    "type": ["array", "object"],
    "items": {"type": "string", "pattern": "^[^=]"},
    "additionalProperties": {"type": ["string", "number", "null"]},
}
"""The shape of `env` and `labels`: a list of "NAME=value", or a map."""
IMAGE = Key(
    "image",
    "Image",
    wide=True,
    hint="example/worker:1.4",
    meaning="image of the containers",
    in_form=True,
    refers=True,
)
COMMAND = Key(
    "command",
    "Command",
    wide=True,
    hint='empty: the image\'s own; or a list: ["run", "a b"]',
    meaning="command, instead of the image's own; text is split at white space, a list is taken as it is",
    in_form=True,
    shape={"type": ["string", "array"], "items": {"type": ["string", "integer"]}},
)
OF_PROCESSES = (
    Key(
        "directory",
        "Folder",
        refers=True,
        meaning="with `MSS_SCHEDULER=PROCESS`: where the command runs; containers have `working_dir`",
    ),
    Key(
        "output",
        "Output",
        refers=True,
        default_in_words="kept for the log",
        meaning="with `MSS_SCHEDULER=PROCESS`: `inherit` (the agent's own), or a file to append it to",
    ),
)
OLDER = (
    Key(
        "env",
        "Environment",
        kind="shape",
        also=("environment",),
        meaning="variables of the containers, list or map; a name without a value takes the agent's own",
        shape=ASSIGNMENTS | {"propertyNames": {"pattern": "^[^=]+$"}},
    ),
    Key(
        "networkMode",
        "Network mode",
        default=HOST,
        also=("network_mode",),
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
            "additionalProperties": {"type": ["null", "object"], "additionalProperties": False},
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
        also=("mem_limit",),
        meaning='`"64m"`, `"1gb"`, or bytes',
        shape={"type": ["integer", "string"], "minimum": 0, "pattern": exactly(MEMORY.pattern)},
    ),
    Key(
        "cpus",
        "Processors",
        kind="number",
        most=MAX_CPUS,
        default_in_words="no limit",
        meaning="`0.5`, at least 0.01",
        shape={"not": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": MIN_CPUS}},
    ),
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
        kind="shape",
        default=1,
        also=("stop_grace_period",),
        meaning='seconds, or text such as `"1m30s"`, between asking a container to end and forcing it',
        shape={
            "type": ["number", "string"],
            "minimum": 0,
            "maximum": MAX_GRACE_S,
            "pattern": exactly(f"{DECIMAL.pattern}|{DURATION.pattern}"),
        },
    ),
)
KEYS = (
    *(replace(key, refers=True) for key in OLDER),
    *OF_FILES,
    Key(
        "user",
        "User",
        kind="shape",
        refers=True,
        meaning="user, and group, of its processes: `1000:1000`, `www-data`",
        shape={"type": ["string", "integer"], "pattern": exactly(USER)},
    ),
    *WORDS,
    DEPLOY,
    Key(
        RESTART,
        "Restart",
        kind="shape",
        meaning="only `no`: the agent replaces containers",
        shape={"enum": ["no", False]},
    ),
    *OF_PROCESSES,
)
"""Further keys of `config` for the containers."""
OF_SOME = tuple(key.key for key in KEYS if key.key not in {of.key for of in OLDER} | {ENV_FILE.key, RESTART})
"""Keys that a scheduler may not be able to do; then they are refused."""
WEAKENS = ("memory", "cpus", "networks", "networkMode", "volumes", "ports")
"""Older keys, without which the container would be another one: in YAML they are refused as well."""
# In JSON, which the Go agent may read too, a scheduler that cannot do them ignores them with a warning.
SPELLINGS = {
    spelling.casefold(): key.key
    for key in (IMAGE, COMMAND, *KEYS)
    for spelling in key.spellings[1:]
    if spelling.casefold() != key.key.casefold()
}
"""By another spelling of a key, the key."""


@dataclass(frozen=True)
class ContainerConfig:
    """The options that were read, ready for a Task."""

    command: str
    env: list[str]
    network_mode: str
    publish_all_ports: bool
    options: ContainerOptions


def read_container(config: Section, most: int, files: Files) -> ContainerConfig:
    """Reads the optional keys of `config`; `most` is the task's maximum of containers, `files` those that
    the configuration defines.

    The defaults are the Go agent's: the host's network, all ports published (which the engine ignores
    there), a grace of 1 s.
    """
    mode, networks = _network(config)
    command, words = _command(config)
    # The Go agent read publishAllPorts and left it at true; on the host's network it means nothing, and with
    # that of another container engines refuse it.
    publish = (flag(config, "publishAllPorts") is not False or mode == HOST) and not mode.startswith(
        CONTAINER
    )
    strict, given = config.notes.strict, _given(config, mode)
    options = ContainerOptions(
        command=words,
        networks=networks,
        ports=read_ports(config, most),
        mounts=(*read_mounts(config), *read_files(config, files)),
        memory=memory(config, "memory") or 0,
        cpus=processors(config, "cpus"),
        labels=_labels(config),
        stop_grace_s=_grace(config),
        user=matching(USER, 'a user such as 1000, "1000:1000" or "www-data"')(config, "user") or "",
        request=read_words(config) | dict(read_deploy(config)),
        directory=config.text("directory"),
        output=config.text("output"),
        words=tuple(key for key in (*WEAKENS * strict, *OF_SOME) if key in given),
        ignored=tuple(key for key in (*WEAKENS * (not strict), "labels", "publishAllPorts") if key in given),
    )
    check_together(config, mode, options)
    read_restart(config)
    return ContainerConfig(command, _env(config), mode, publish, options)


def _given(config: Section, mode: str) -> set[str]:
    """Returns the keys that are given, and that change the container."""
    # On the host's network, which local processes have too, no port is to be published.
    without = ("networkMode", "publishAllPorts") if mode == HOST else ()
    return {key.key for key in KEYS if config.take(key.key) is not None and key.key not in without}


def _command(config: Section) -> tuple[str, tuple[str, ...]]:
    """Returns the command as text, and the words of one that is a list."""
    if not isinstance(config.take("command"), list):
        return config.text("command"), ()
    # As text too, for messages, and for the scheduler of processes, which splits it into the same words.
    words = words_of(config, "command") or []
    return shlex.join(words), tuple(words)


def _grace(config: Section) -> float:
    duration = nanoseconds(config.take("stopGraceSeconds"))
    if duration is None:  # a number, as the key itself has it; Compose's spelling takes text with a unit
        return config.number("stopGraceSeconds", 1.0, MAX_GRACE_S, "a number of seconds")
    if duration > MAX_GRACE_S * 1e9:
        config.wrong("stopGraceSeconds", f"at most {MAX_GRACE_S:g} seconds", config.take("stopGraceSeconds"))
    return duration / 1e9


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
        elif options if not isinstance(options, Mapping) else Section(options, place, config.notes).left():
            config.notes.problem(place, "options of a network are not supported here: give only its name")
        else:
            yield clean(name)


def _names(config: Section, key: str) -> Iterator[tuple[str, Any, Any]]:
    """Yields place, name and options of the entries of a list of names, or of a map by name."""
    value = config.take(key)
    if isinstance(value, Mapping):
        yield from ((under(config, key, name), name, options) for name, options in value.items())
    else:
        yield from ((place, name, None) for place, name in config.entries(key))


def _env(config: Section) -> list[str]:
    """Returns the list of "NAME=value". A NAME without a value takes the agent's own variable, and is left
    out if there is none."""
    env: dict[str, str] = {}
    given = {name: value for _, name, value in pairs(config, "env")}
    # As in Compose: a variable of the task's own goes before one of a file.
    for name, value in {**read_env_files(config), **given}.items():
        found = os.environ.get(name) if value is None else value
        if found is not None:
            env[name] = found
    return [f"{name}={value}" for name, value in env.items()]


def _labels(config: Section) -> dict[str, str]:
    labels = {name: value or "" for _, name, value in pairs(config, "labels")}
    for name in RESERVED_LABELS:
        if name in labels:
            place = f"{config.at('labels')}.{name}"
            config.notes.problem(place, "the agent itself sets this label: leave it out")
    return labels
