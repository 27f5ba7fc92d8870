"""The agent's environment: variables that are passed on to containers, and credentials among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from microscaling.secrets.credentials import secrets_of

OWN = ("PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "_", "VIRTUAL_ENV", "PYTHON*")
"""Patterns of variables that belong to the agent's own process, and are never passed on."""


def passed_on(environ: Mapping[str, str], pass_env: str) -> list[str]:
    """Returns the variables that every container gets, as "NAME=value".

    `pass_env` is MSS_PASS_ENV: empty for all but those of the agent's own process, `none`, or a
    selection of these as names and patterns with commas between.
    """
    if pass_env.strip().lower() == "none":
        return []
    wanted = [p.strip() for p in pass_env.split(",") if p.strip()] or ["*"]
    return [
        f"{name}={value}"
        for name, value in environ.items()
        if _matches(name, wanted) and not _matches(name, OWN)
    ]


def own(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of the agent's own process, which a local process needs too."""
    return {name: value for name, value in environ.items() if _matches(name, OWN)}


def credentials_in(env: Iterable[str]) -> list[str]:
    """Returns the sorted names of the credentials in a list of "NAME=value"."""
    return sorted({name for name, value in _pairs(env) if secrets_of(name, value)})


def secrets_in(env: Iterable[str]) -> list[str]:
    """Returns the secret values, or parts of values, in a list of "NAME=value"."""
    return [secret for name, value in _pairs(env) for secret in secrets_of(name, value)]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _pairs(env: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (entry.partition("=") for entry in env)]
