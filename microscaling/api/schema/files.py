"""Reads the keys of a task that name files: `env_file`, `secrets` and `configs`."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section, shown
from microscaling.api.schema.variables import OTHER_FORM, fill_in, filled
from microscaling.demand.container import Mount
from microscaling.secrets.references import Unset
from microscaling.utils import env_file
from microscaling.utils.small_file import read_small
from microscaling.utils.text import clean, short

MAX_ENV_FILE = 1 << 20
WAY_OUT = "set it, or put the value in single quotes"
FOLDERS = {"secrets": "/run/secrets/", "configs": "/"}
"""The folders in a container for these files."""


def _of(key: str, label: str, meaning: str) -> Key:
    target = {"source": {"type": "string"}, "target": {"type": "string"}}
    file = {"file": {"type": "string", "pattern": "^/"}, "target": {"type": "string"}}
    return Key(
        key,
        label,
        kind="shape",
        refers=True,
        meaning=meaning,
        shape={
            "type": ["array", "object"],
            "items": {
                "type": ["string", "object"],
                "properties": target,
                "required": ["source"],
                "additionalProperties": False,
            },
            "additionalProperties": {
                "type": "object",
                "properties": file,
                "required": ["file"],
                "additionalProperties": False,
            },
        },
    )


ENV_FILE = Key(
    "env_file",
    "Files of variables",
    kind="shape",
    refers=True,
    meaning="files of NAME=value on the agent's machine, read at its start; `env` goes before them",
    shape={
        "type": ["string", "array"],
        "items": {
            "type": ["string", "object"],
            "properties": {"path": {"type": "string"}, "required": {"type": "boolean"}},
            "required": ["path"],
            "additionalProperties": False,
        },
    },
)
KEYS = (
    ENV_FILE,
    _of(
        "secrets",
        "Secrets",
        "files of the engine's host, read-only in /run/secrets: `{token: {file: /etc/app/token}}`, or names "
        "of `secrets` beside `apps`",
    ),
    _of("configs", "Configuration files", "the same with `configs`, in /"),
)


@dataclass(frozen=True)
class Files:
    """The files that `secrets` and `configs` beside `apps` define, by name."""

    paths: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, top: Section) -> Files:
        """Reads both keys of a configuration."""
        fill_in(top, KEYS)
        return cls({key: dict(_defined(top.section(key))) for key in FOLDERS})


def _defined(given: Section) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        entry = Section(value if isinstance(value, Mapping) else {}, given.at(name), given.notes)
        path = _path(entry)
        entry.no_others("file")
        yield name, path


def _path(entry: Section) -> str:
    path = entry.text("file")
    # A relative path would be one of the agent's machine or container, and the engine mounts its own.
    if not path.startswith("/"):
        entry.wrong("file", "the absolute path of a file on the engine's host", entry.take("file"))
    return path


def read_files(config: Section, files: Files) -> Iterator[Mount]:
    """Yields the mount of each file of `secrets` and `configs`."""
    for key, folder in FOLDERS.items():
        value = config.take(key)
        if isinstance(value, Mapping):
            for name, entry in config.section(key).items():
                yield _mount(entry, f"{config.at(key)}.{short(name)}", clean(name), folder, config)
            continue
        for place, entry in config.entries(key):
            yield from _named(entry, place, folder, files.paths.get(key, {}), config)


def _mount(entry: Any, place: str, name: str, folder: str, config: Section) -> Mount:
    given = Section(entry if isinstance(entry, Mapping) else {}, place, config.notes)
    mount = Mount("file", _path(given), _target(given, name, folder), True)
    _refuse_others(given)
    return mount


def _named(entry: Any, place: str, folder: str, paths: Mapping[str, str], config: Section) -> Iterator[Mount]:
    given = Section(entry if isinstance(entry, Mapping) else {"source": entry}, place, config.notes)
    name = given.text("source")
    if name in paths:
        yield Mount("file", paths[name], _target(given, name, folder), True)
    elif not config.notes.elsewhere:  # a definition with a variable in it is left out there
        key = "secrets" if folder == FOLDERS["secrets"] else "configs"
        config.notes.problem(
            place, f"there is no {shown(name)} in {key} beside apps: {{{key}: {{NAME: {{file: /path}}}}}}"
        )
    _refuse_others(given)


def _target(given: Section, name: str, folder: str) -> str:
    target = given.text("target") or name
    return target if target.startswith("/") else folder + target


def _refuse_others(given: Section) -> None:
    for key in ("uid", "gid", "mode"):
        if given.take(key) is not None:
            why = "a mounted file has the owner and mode that it has on the host: set them there"
            given.notes.problem(given.at(key), why)
    given.no_others("file or source", "target")


def read_env_files(config: Section) -> dict[str, str | None]:
    """Returns the variables in the files of `env_file`; those of later files go before. None: a name without
    a value."""
    found: dict[str, str | None] = {}
    value = config.take("env_file")
    entries = [(config.at("env_file"), value)] if isinstance(value, str) else config.entries("env_file")
    for place, entry in entries:
        path, needed = _env_file(entry, place, config)
        if path and not config.notes.elsewhere:
            found |= _variables(path, needed, place, config)
    return found


def _env_file(entry: Any, place: str, config: Section) -> tuple[str, bool]:
    if isinstance(entry, str) and entry:
        return entry, True
    if not isinstance(entry, Mapping):
        config.notes.problem(place, f"expected the path of a file, got {shown(entry)}")
        return "", True
    given = Section(entry, place, config.notes)
    path, needed = given.text("path"), given.flag("required", True)
    if not path:
        config.notes.problem(given.at("path"), "is missing: the path of a file of NAME=value")
    given.no_others("path", "required")
    return path, needed


def _variables(path: str, needed: bool, place: str, config: Section) -> dict[str, str | None]:
    # Only a missing file may be left out: one that cannot be read is a mistake.
    if not needed and not os.path.exists(path):
        return {}
    try:
        return _read_variables(read_small(path, MAX_ENV_FILE), f"{place}: {shown(path)}", config)
    except UnicodeDecodeError:
        why = "is not text in UTF-8"
    except ValueError as error:
        why = str(error)
    config.notes.problem(place, f"{shown(path)}: {why}")
    return {}


def _read_variables(data: bytes, place: str, config: Section) -> dict[str, str | None]:
    """Returns the variables of a file, with every ${NAME} filled in. Raises ValueError."""
    found: dict[str, str | None] = {}
    # As in Compose: a variable of an earlier line goes before one of the agent.
    earlier: dict[str, str] = {}
    for line in env_file.parse(data):
        name, value = clean(line.name), line.value
        if value is not None and not line.literal:
            if OTHER_FORM.search(value):
                what = "a ${ is taken literally: only the form ${NAME} is filled in"
                config.notes.warn(place, f"line {line.number}: {what}")
            try:
                value = filled(value, ChainMap(earlier, os.environ))
            except Unset as error:
                raise ValueError(f"line {line.number}: {error}; {WAY_OUT}") from None
        found[name] = value
        if value is not None:
            earlier[name] = value
    return found
