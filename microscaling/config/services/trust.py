"""The limits of a configuration in labels: people who may label a container need not be trusted as the agent
is, which may do anything on its host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

from microscaling.api.schema.sources import TYPE
from microscaling.config.services.labels import Labelled
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS
from microscaling.plugins import Field
from microscaling.secrets.credentials import secrets_of
from microscaling.secrets.masking import passwords_in
from microscaling.secrets.references import REFERENCE
from microscaling.utils.text import quoted, short

LOCAL = re.compile(r"\s*(?:[a-z0-9]+\+)?(sqlite|unix|file)[a-z0-9]*(?:\+[a-z0-9]+)?:", re.IGNORECASE)
"""Addresses that are files of the agent's own machine."""
FILE_OPTION = re.compile(r"ssl_\w*(file|certs|path)\w*", re.IGNORECASE)
"""Options in a URL of Redis or KEDA that name files of the agent's own machine."""
DATABASE = re.compile(r"\s*(postgres|mysql|mariadb)[\w+]*://", re.IGNORECASE)
DATABASE_OPTION = re.compile(
    r"ssl_(ca|cert|key|crl)|ssl(cert|key|rootcert|crl|crldir|keylogfile)|passfile|service(file)?|unix_socket",
    re.IGNORECASE,
)
"""Those in a URL of a database, where `service` is a section of a file; elsewhere it may be any word."""
SOCKET = re.compile(
    r"[^?]*://([^/?#]*@)?([/?]|%2f|%40|$)|[^?]*\?([^#]*&)?host(addr)?=([/@]|%2f|%40)", re.IGNORECASE
)
"""A URL of a database whose host is the folder of a socket, or none."""
COMMANDS = ("exec",)
"""Metrics that run a command of the configuration beside the agent."""
FILLED_IN = ("url", "headers")
"""Kinds of fields in which ${NAME} is allowed."""


def problems_of_trust(found: Labelled, allowed: Sequence[str]) -> list[str]:
    """Returns everything in a description that labels must not ask for. `allowed`: patterns of the variables
    of the agent that they may use."""
    return list(dict.fromkeys(_problems(found, allowed)))


def _problems(found: Labelled, allowed: Sequence[str]) -> Iterator[str]:
    filled = _filled_in(found)
    for path, text in _texts(found.app, ()):
        label = short(found.label_of(path))
        if _is_type(path) and text.casefold() in COMMANDS:
            yield f"{label}: a label cannot have a command run: {quoted(text)} is for configuration files"
        local = LOCAL.match(text)
        if local:
            yield (
                f"{label}: a label cannot name a file or socket of the agent's machine ({local[1].lower()}): "
                "write the task into a configuration file"
            )
        database = bool(DATABASE.match(text))
        if database and SOCKET.match(text):
            yield f"{label}: a label cannot name a socket of the agent's machine: write a host into its URL"
        for option, _ in parse_qsl(text.partition("?")[2], keep_blank_values=True):
            if FILE_OPTION.fullmatch(option) or (database and DATABASE_OPTION.fullmatch(option)):
                yield f"{label}: a label cannot name a file of the agent's machine ({option}): leave that out"
        for name in REFERENCE.findall(text):
            if not any(key.casefold() in filled for key in path):
                yield f"{label}: ${{{name}}} is filled in only in the URL and the headers of a metric"
            elif not any(fnmatchcase(name, pattern) for pattern in allowed):
                yield (
                    f"{label}: ${{{name}}} is not among the variables that labels may use: "
                    f"add {name} to MSS_LABEL_VARIABLES of the agent"
                )


def passwords(found: Labelled) -> Iterator[str]:
    """Yields a warning for each label that holds a password, and not the name of a variable with it."""
    for path, text in _texts(found.app, ()):
        name = path[-1]
        for secret in (*passwords_in(text), *secrets_of(name, text)):
            if not REFERENCE.search(secret):
                label = short(found.label_of(path))
                yield (
                    f"{label}: holds a password, which `docker inspect` shows to all who may ask the engine: "
                    "write $${NAME}, and name the variable in MSS_LABEL_VARIABLES of the agent"
                )
                break


def _filled_in(found: Labelled) -> frozenset[str]:
    """Returns the keys, in lower case, in whose values the metrics of the description fill in ${NAME}."""
    names = {text for path, text in _texts(found.app, ()) if _is_type(path)}
    fields: list[Field] = []
    for name in sorted(names):
        with suppress(ConfigError):  # it cannot be loaded: the parser says so
            kind = METRICS.find(name, any_case=True)
            fields += kind.fields if kind is not None else ()
    return frozenset(field.key.casefold() for field in fields if field.kind in FILLED_IN)


def _is_type(path: tuple[str, ...]) -> bool:
    # The parser takes keys in upper and lower case alike, those in the JSON of a label too.
    return path[-1].casefold() == TYPE.casefold()


def _texts(value: Any, path: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], str]]:
    """Yields every text in a description with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, path)
