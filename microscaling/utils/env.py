"""What containers get of the agent's environment, and what of it must not be seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from urllib.parse import quote

OWN = ("PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "_", "VIRTUAL_ENV", "PYTHON*")
"""What belongs to the agent's own process, and is never passed on."""
CREDENTIALS = ("AWS_*", "AZURE_*", "*_TOKEN", "*_KEY", "*_SECRET", "*PASSWORD*")
"""Names that it is worth saying are being passed on."""
SECRET = (
    *("AWS_*SECRET*", "AWS_*KEY*", "*_TOKEN", "*_KEY", "*_SECRET", "*PASSWORD*"),
    "AZURE_*CONNECTION_STRING",
)
"""Names whose values are masked: not a region, which is harmless and in many a word."""
MASKED = "***"
SHORTEST_MASKED = 4
"""Characters. Shorter values are in so much other text that masking them would make it unreadable,
and would give them away."""
NOT_SECRET = ("true", "false", "none", "null")
SHORTEST_LINE_MASKED = 8
"""Characters of a line of a secret of several lines, such as a private key."""


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
    """The names in a list of "NAME=value" that look like credentials, sorted."""
    return sorted({name for name, _ in _pairs(env) if _matches(name.upper(), CREDENTIALS)})


def secrets_in(env: Iterable[str]) -> list[str]:
    """The values in a list of "NAME=value" that must not be seen."""
    return [value for name, value in _pairs(env) if value and _matches(name.upper(), SECRET)]


def mask(text: str, secrets: Collection[str]) -> str:
    """The text with every secret replaced, also as it looks in a URL and line by line.

    Values of fewer than 4 characters are left as they are.
    """
    for part in sorted(_parts(secrets), key=len, reverse=True):
        text = text.replace(part, MASKED)
    return text


def _parts(secrets: Collection[str]) -> set[str]:
    parts = set()
    for secret in secrets:
        if len(secret) >= SHORTEST_MASKED and secret.lower() not in NOT_SECRET:
            parts |= {secret, secret.strip(), quote(secret, safe="")}
            parts |= {line.strip() for line in secret.splitlines() if len(line) >= SHORTEST_LINE_MASKED}
    return {part for part in parts if len(part) >= SHORTEST_MASKED}


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _pairs(env: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (entry.partition("=") for entry in env)]
