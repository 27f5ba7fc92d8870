"""Variables of the environment in text: what is secret need not stand in a configuration.

${NAME} is the variable NAME, or what the file holds that NAME_FILE names, as secrets are mounted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from microscaling.errors import ConfigError
from microscaling.secrets.secret_file import SUFFIX, read_secret
from microscaling.utils.urls import cut

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Unset(ValueError):
    """A variable that is referred to, and is not set or empty, nor is there a file that can be read."""


def filled_in(text: str, environ: Mapping[str, str]) -> str:
    """The text with every ${NAME} replaced by that variable. Raises Unset."""

    def value(found: re.Match[str]) -> str:
        return _value(found[1], environ)

    return REFERENCE.sub(value, text)


def filled_in_url(url: str, environ: Mapping[str, str]) -> str:
    """The same for a URL: in user and password values are percent-encoded."""
    scheme, authority, rest = cut(url)
    user, at, host = authority.rpartition("@")
    encoded = {name: quote(_value(name, environ), safe="") for name in REFERENCE.findall(user)}
    return filled_in(scheme, environ) + filled_in(user, encoded) + at + filled_in(host + rest, environ)


def _value(name: str, environ: Mapping[str, str]) -> str:
    """Raises Unset. The variable counts before the file, as others use names that end in _FILE too."""
    if environ.get(name):
        return environ[name]
    if not environ.get(name + SUFFIX):
        raise Unset(f"the variable {name}, which it refers to, is not set")
    try:
        return read_secret(name, environ)
    except ConfigError as error:
        raise Unset(str(error)) from None
