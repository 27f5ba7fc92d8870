"""Variables of the environment in text: what is secret need not stand in a configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Unset(ValueError):
    """A variable that is referred to, and is not set or empty."""


def filled_in(text: str, environ: Mapping[str, str]) -> str:
    """The text with every ${NAME} replaced by that variable. Raises Unset."""

    def value(found: re.Match[str]) -> str:
        if not environ.get(found[1]):
            raise Unset(f"the variable {found[1]}, which it refers to, is not set")
        return environ[found[1]]

    return REFERENCE.sub(value, text)


def filled_in_url(url: str, environ: Mapping[str, str]) -> str:
    """The same for a URL: in front of the @, in user and password, values are percent-encoded."""
    user, at, rest = url.rpartition("@")
    encoded = {name: quote(environ.get(name, ""), safe="") for name in REFERENCE.findall(user)}
    return filled_in(user, encoded) + at + filled_in(rest, environ)
