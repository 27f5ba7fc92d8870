"""Words of the Compose specification that become fields of the engine's request for a container."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from microscaling.api.schema.capabilities import CAPABILITY, read_capabilities
from microscaling.api.schema.devices import DEVICES, GPUS
from microscaling.api.schema.healthcheck import HEALTHCHECK
from microscaling.api.schema.key import exactly
from microscaling.api.schema.section import Section, shown
from microscaling.api.schema.word import (
    MEMORY,
    WHOLE,
    Word,
    flag,
    matching,
    memory,
    number_in,
    pairs,
    texts,
    under,
    whole,
)
from microscaling.utils.small_file import read_small
from microscaling.utils.text import clean

SIGNAL = (
    r"(SIG)?(HUP|INT|QUIT|ABRT|KILL|ALRM|TERM|USR1|USR2|WINCH|CONT|RTMIN(\+[0-9]{1,2})?|RTMAX(-[0-9]{1,2})?)"
    r"|[1-9][0-9]?"
)
NAME = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
SECURITY = r"no-new-privileges([:=](true|false))?|(apparmor|label|seccomp)[:=].+"
CPUSET = r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*"
ABSOLUTE = r"/.*"
TMPFS = r"/[^:]*(:[^:]*)?"
IPC, PID = r"none|private|shareable|host|container:.+", r"host|container:.+"
LIMITS = (
    *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"),
    *("rtprio", "rttime", "sigpending", "stack"),
)
"""The names of `ulimits` (docker/go-units)."""
MAX_PROFILE = 1 << 20
SIZE = {"type": ["integer", "string"], "minimum": 0, "pattern": exactly(MEMORY.pattern)}
SWITCH = {"type": ["boolean", "string"], "enum": [True, False, "true", "false"]}
SWAP = {"type": ["integer", "string"], "minimum": -1, "pattern": exactly(f"-1|{MEMORY.pattern}")}
LIMIT = {"type": ["integer", "string"], "minimum": -1, "pattern": exactly("-1|[0-9]{1,18}")}
COUNT = {"type": ["integer", "string"], "pattern": exactly(WHOLE.pattern)}


def list_of(pattern: str, one: bool = False) -> dict[str, Any]:
    """Returns the shape of a list of texts that match; with `one`, a single text is one too."""
    types = ["string", "integer"]
    entry = {"type": types, "pattern": exactly(pattern)}
    return {"type": ["array", *types], "pattern": entry["pattern"], "items": entry} if one else {
        "type": "array", "items": entry}  # fmt: skip


def _entrypoint(config: Section, key: str) -> list[str] | None:
    """Reads a list, or text that is split as a shell does; empty: none, not even the image's."""
    value = config.take(key)
    if not isinstance(value, str):
        return None if value is None else words_of(config, key)
    try:
        # Unlike `command`, which the Go agent split at white space, this word is only Compose's.
        return shlex.split(clean(value))
    except ValueError as error:
        config.notes.problem(config.at(key), f"cannot be split into words ({error}): give a list")
        return None


def words_of(config: Section, key: str) -> list[str] | None:
    """Reads a list of the words of a command."""
    found: list[str] | None = texts(r"(?s).*", "text")(config, key)
    return found


def _security(config: Section, key: str) -> list[str] | None:
    found = texts(SECURITY, "no-new-privileges:true, apparmor=..., label=..., seccomp=...")(config, key)
    if found is None:
        return None
    # Engines take the profile itself, so clients read its file.
    return [
        _profile(entry, place, config) for (place, _), entry in zip(config.entries(key), found, strict=True)
    ]


def _profile(option: str, place: str, config: Section) -> str:
    name, path = re.split("[:=]", option, maxsplit=1) if option[:7] == "seccomp" else ("", "")
    if path == "builtin":
        # An engine before version 23 takes the word for a profile, and starts no container.
        config.notes.problem(place, "is what engines do without it: leave it out")
    if not name or path in ("unconfined", "builtin") or config.notes.elsewhere:
        return option
    try:
        return "seccomp=" + json.dumps(json.loads(read_small(path, MAX_PROFILE)))
    except ValueError as error:
        why = "is no JSON" if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)) else error
        config.notes.problem(place, f"the seccomp profile {shown(path)} {why}")
        return option


def _swap(config: Section, key: str) -> int | None:
    # The engine's own word for "no limit"; a number of bytes is never negative.
    return -1 if config.take(key) in (-1, "-1") else memory(config, key)


def _cpuset(config: Section, key: str) -> str | None:
    expected = "numbers and ranges of processors such as 0-3 or 0,2"
    found: str | None = matching(CPUSET, expected)(config, key)
    ranges = [[int(end) for end in part.split("-")] for part in (found or "").split(",") if part]
    if any(ends[0] > ends[-1] for ends in ranges):
        config.wrong(key, expected, found)
    return found


def _tmpfs(config: Section, key: str) -> dict[str, str] | None:
    found = texts(TMPFS, 'an absolute path, or "/run:size=64m,mode=1777"', one=True)(config, key)
    return None if found is None else {path: rest for path, _, rest in (e.partition(":") for e in found)}


def _ulimits(config: Section, key: str) -> list[dict[str, Any]] | None:
    limits: list[dict[str, Any]] = []
    given = config.section(key)
    for name, value in given.items():
        limit = Section(value, given.at(name), config.notes) if isinstance(value, Mapping) else None
        soft, hard = (number_in(limit.take(side)) if limit else number_in(value) for side in ("soft", "hard"))
        if name not in LIMITS:
            config.notes.problem(given.at(name), f"is no limit of processes; there are {', '.join(LIMITS)}")
        elif soft is None or hard is None or (limit and limit.left()):
            expected = "a whole number, or {soft: 1024, hard: 2048}"
            config.notes.problem(given.at(name), f"expected {expected}, got {shown(value)}")
        elif min(soft, hard) < -1:
            config.notes.problem(given.at(name), "a limit is 0 or more, or -1 for none")
        elif hard >= 0 and (soft > hard or soft < 0):  # -1 is no limit
            config.notes.problem(given.at(name), f"soft, {soft}, is above hard, {hard}")
        else:
            limits.append({"Name": name, "Soft": soft, "Hard": hard})
    return limits


def _hosts(config: Section, key: str) -> list[str] | None:
    """Reads a list of "name:address" or "name=address", or a map."""
    value = config.take(key)
    if isinstance(value, Mapping):
        named = {under(config, key, name): (name, of) for name, of in value.items()}
        entries = [
            (place, f"{name}={address}")
            for place, (name, of) in named.items()
            for address in (of if isinstance(of, list) else [of])
        ]
    else:
        entries = list(config.entries(key))
    # Engines take name:address only, whichever of the two signs Compose was given.
    found = []
    for place, entry in entries:
        match = re.fullmatch(r"([^:=\s]+)[:=](.+)", entry) if isinstance(entry, str) else None
        address = match[2].strip("[]") if match else ""
        if match is None or not (address == "host-gateway" or _is_address(address)):
            config.notes.problem(
                place, f'expected "name:IP address" or "name:host-gateway", got {shown(entry)}'
            )
        else:
            found.append(f"{match[1]}:{address}")
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _addresses(config: Section, key: str) -> list[str] | None:
    found: list[str] | None = texts(".+", "an IP address", one=True)(config, key)
    bad = next((address for address in found or () if not _is_address(address)), None)
    if bad is not None:
        config.wrong(key, "IP addresses", bad)
    return found


def _logging(config: Section, key: str) -> dict[str, Any] | None:
    if config.take(key) is None:
        return None
    given = config.section(key)
    driver = given.text("driver")
    options = {name: value or "" for _, name, value in pairs(given, "options")}
    given.no_others("driver", "options")
    return {"Type": driver, "Config": options}


def _sysctls(config: Section, key: str) -> dict[str, str] | None:
    return {name: value or "" for _, name, value in pairs(config, key)} or None


def _said(key: str, to: str, meaning: str, pattern: str, expected: str) -> Word:
    """Returns a word with one text."""
    # A number too: in YAML a user or a hostname of digits is one.
    shape = {"type": ["string", "integer"], "pattern": exactly(pattern)}
    return _word(key, to, meaning, shape, matching(pattern, expected))


def _word(key: str, to: str, meaning: str, shape: Mapping[str, Any], read: Any) -> Word:
    label = key.replace("_", " ").capitalize()
    return Word(key, label, kind="shape", meaning=meaning, shape=shape, refers=True, to=to, read=read)


WORDS: tuple[Word, ...] = (
    Word(
        "entrypoint",
        "Entrypoint",
        kind="shape",
        meaning="in place of the image's own: list, or text that is split as a shell does",
        shape={"type": ["string", "array"], "items": {"type": ["string", "integer"]}},
        to="Entrypoint",
        read=_entrypoint,
    ),
    _said("working_dir", "WorkingDir", "folder in which the command runs", ABSOLUTE, "an absolute path"),
    _word(
        "group_add",
        "HostConfig.GroupAdd",
        "further groups of its user, names or numbers",
        list_of(".+"),
        texts(".+", "a group"),
    ),
    _word("read_only", "HostConfig.ReadonlyRootfs", "its file system cannot be written", SWITCH, flag),
    _word("privileged", "HostConfig.Privileged", "all rights on the host", SWITCH, flag),
    _word(
        "cap_drop",
        "HostConfig.CapDrop",
        "capabilities to take away: `[ALL]`",
        list_of(CAPABILITY),
        read_capabilities,
    ),
    _word(
        "cap_add",
        "HostConfig.CapAdd",
        "capabilities to add",
        list_of(CAPABILITY),
        read_capabilities,
    ),
    _word(
        "security_opt",
        "HostConfig.SecurityOpt",
        "`[no-new-privileges:true]`; `seccomp=FILE` is a file of the agent's machine",
        list_of(SECURITY),
        _security,
    ),
    _word("init", "HostConfig.Init", "a small init is process 1, which reaps zombies", SWITCH, flag),
    _said(
        "ipc",
        "HostConfig.IpcMode",
        "shared memory: `private`, `shareable`, `host`, `none` or `container:NAME`",
        IPC,
        "private, shareable, host, none or container:NAME",
    ),
    _said(
        "pid",
        "HostConfig.PidMode",
        "processes it sees: `host` or `container:NAME`",
        PID,
        "host or container:NAME",
    ),
    _word(
        "tmpfs",
        "HostConfig.Tmpfs",
        "folders in memory: `/run`, `/tmp:size=64m`; text or list",
        list_of(TMPFS, one=True),
        _tmpfs,
    ),
    _word(
        "ulimits",
        "HostConfig.Ulimits",
        "limits of its processes: `{nofile: 1024}`, `{nofile: {soft: 1024, hard: 2048}}`",
        {
            "type": "object",
            "propertyNames": {"enum": [*LIMITS]},
            "additionalProperties": {
                **LIMIT,
                "type": ["integer", "string", "object"],
                "properties": {"soft": LIMIT, "hard": LIMIT},
                "required": ["soft", "hard"],
                "additionalProperties": False,
            },
        },
        _ulimits,
    ),
    _word("pids_limit", "HostConfig.PidsLimit", "most processes; -1: no limit", COUNT, whole(-1)),
    _word(
        "cpu_shares",
        "HostConfig.CpuShares",
        "weight where processors are short",
        COUNT | {"minimum": 2, "maximum": 2**18},
        whole(2, 2**18),
    ),
    _word(
        "cpuset",
        "HostConfig.CpusetCpus",
        "processors it may use: `0-3`",
        {"type": ["string", "integer"], "pattern": exactly(CPUSET)},
        _cpuset,
    ),
    _word(
        "mem_reservation", "HostConfig.MemoryReservation", "memory it keeps when that is short", SIZE, memory
    ),
    _word("memswap_limit", "HostConfig.MemorySwap", "memory and swap together; -1: no limit", SWAP, _swap),
    DEVICES,
    GPUS,
    _word("shm_size", "HostConfig.ShmSize", "size of /dev/shm", SIZE, memory),
    _word(
        "extra_hosts",
        "HostConfig.ExtraHosts",
        "further names of hosts, list or map: `[db:10.0.0.1]`",
        {
            "type": ["array", "object"],
            "items": {"type": "string", "pattern": "^[^:=]+[:=].+$"},
            "additionalProperties": {"type": ["string", "array"], "items": {"type": "string"}},
        },
        _hosts,
    ),
    _word("dns", "HostConfig.Dns", "servers of names, text or list", list_of(".+", one=True), _addresses),
    _word(
        "dns_search",
        "HostConfig.DnsSearch",
        "domains in which names are looked up",
        list_of(".+", one=True),
        texts(".+", "a domain", one=True),
    ),
    _word(
        "dns_opt", "HostConfig.DnsOptions", "options of the resolver", list_of(".+"), texts(".+", "an option")
    ),
    _said(
        "hostname",
        "Hostname",
        "its own name, the same for all containers",
        NAME,
        "a name of letters, digits, - and .",
    ),
    _said("domainname", "Domainname", "its domain", NAME, "a name of letters, digits, - and ."),
    HEALTHCHECK,
    _word(
        "logging",
        "HostConfig.LogConfig",
        "`{driver: json-file, options: {max-size: 10m}}`",
        {
            "type": "object",
            "properties": {
                "driver": {"type": "string"},
                "options": {"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}},
            },
            "additionalProperties": False,
        },
        _logging,
    ),
    _said("stop_signal", "StopSignal", "the signal that asks it to end", SIGNAL, "a signal such as SIGINT"),
    _word(
        "sysctls",
        "HostConfig.Sysctls",
        "settings of the kernel for its namespaces, list or map",
        {
            "type": ["array", "object"],
            "items": {"type": "string", "pattern": "^[^=]+=.+$"},
            "additionalProperties": {"type": ["string", "number"]},
        },
        _sysctls,
    ),
)
"""By these words a field of the request is set, at the place `to`."""


def read_words(config: Section) -> dict[str, Any]:
    """Returns the fields of the request, by place, that a configuration sets."""
    # Every key is asked for, so that it counts as known.
    read = {word.to: word.read(config, word.key) for word in WORDS if config.take(word.key) is not None}
    return {place: value for place, value in read.items() if value is not None}
