"""References to environment variables in text, so that a configuration can do without secrets.

${NAME} stands for the variable NAME, or for the content of the file that NAME_FILE names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from microscaling.errors import ConfigError
from microscaling.secrets.secret_file import SUFFIX, read_secret
from microscaling.utils.urls import cut

LITERAL = "$${"
"""Stands for a literal ${, as in Compose."""
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Unset(ValueError):
    """A reference to a variable that is empty or not set, without a readable file in its place."""


def filled_in(text: str, environ: Mapping[str, str]) -> str:
    """Replaces every ${NAME} by the value of that variable, and $${ by ${. Raises Unset."""

    def value(found: re.Match[str]) -> str:
        return _value(found[1], environ)

    return "${".join(REFERENCE.sub(value, part) for part in text.split(LITERAL))


def names_in(text: str) -> list[str]:
    """Returns the names of all variables that a text refers to."""
    return [name for part in text.split(LITERAL) for name in REFERENCE.findall(part)]


def filled_in_url(url: str, environ: Mapping[str, str]) -> str:
    """As `filled_in`, for a URL: values in user and password are percent-encoded. Raises Unset."""
    scheme, authority, rest = cut(url)
    user, at, host = authority.rpartition("@")
    encoded = {name: quote(_value(name, environ), safe="") for name in names_in(user)}
    return filled_in(scheme, environ) + filled_in(user, encoded) + at + filled_in(host + rest, environ)


def _value(name: str, environ: Mapping[str, str]) -> str:
    """Returns the value of a variable, or the content of its file. Raises Unset."""
    # The variable goes before the file, as other programs use names that end in _FILE too.
    if environ.get(name):
        return environ[name]
    if not environ.get(name + SUFFIX):
        raise Unset(f"the variable {name}, which it refers to, is not set")
    try:
        return read_secret(name, environ)
    except ConfigError as error:
        raise Unset(str(error)) from None
