"""What containers get of the agent's environment, and what of it must not be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from microscaling.secrets.credentials import secrets_of

OWN = ("PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "_", "VIRTUAL_ENV", "PYTHON*")
"""What belongs to the agent's own process, and is never passed on."""


def passed_on(environ: Mapping[str, str], pass_env: str) -> list[str]:
    """The variables that every container gets, as "NAME=value".

    `pass_env` is MSS_PASS_ENV: empty for all but those of the agent's own process, `none`, or names
    and patterns with commas between, which narrow that.
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
    """What belongs to the agent's own process; a local process needs it too."""
    return {name: value for name, value in environ.items() if _matches(name, OWN)}


def credentials_in(env: Iterable[str]) -> list[str]:
    """The names in a list of "NAME=value" that hold credentials, sorted."""
    return sorted({name for name, value in _pairs(env) if secrets_of(name, value)})


def secrets_in(env: Iterable[str]) -> list[str]:
    """What in the values of a list of "NAME=value" must not be seen."""
    return [secret for name, value in _pairs(env) for secret in secrets_of(name, value)]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _pairs(env: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (entry.partition("=") for entry in env)]
