"""Secrets in files, as Compose, Swarm and Kubernetes mount them: X_FILE names the file that holds X."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from microscaling.errors import ConfigError
from microscaling.utils.small_file import read_small
from microscaling.utils.text import one_line
from microscaling.utils.values import path as home_path

SUFFIX = "_FILE"
MAX_BYTES = 1 << 20
"""Largest file; generous, as a whole configuration may be given so."""
MAX_PATH = 500
"""Characters of a file's name that an error shows."""


def read_secret(variable: str, environ: Mapping[str, str]) -> str:
    """Returns the content of the file that VARIABLE_FILE names, without line ends at its end; "" if that
    variable is empty or not set. Raises ConfigError with variable and file, never with the content."""
    path = environ.get(variable + SUFFIX, "")
    if not path:
        return ""
    place = place_of(variable, environ)
    try:
        text = read_small(home_path(path), MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: is not text in UTF-8") from None
    except ValueError as error:
        who = f" (this runs as user {os.geteuid()})" if os.strerror(errno.EACCES) in str(error) else ""
        raise ConfigError(f"{place}: {error}{who}") from None
    # Editors end a file with a line end, which is no part of the secret.
    text = text.rstrip("\r\n")
    if not text.strip():
        raise ConfigError(f"{place}: is empty; leave {variable}{SUFFIX} empty if there is no such secret")
    if "\0" in text:
        raise ConfigError(f"{place}: is not text: there is a NUL in it")
    return text


def place_of(variable: str, environ: Mapping[str, str]) -> str:
    """Names variable and file, for errors."""
    path = environ.get(variable + SUFFIX, "")
    # Names of files are seldom that long: it may be anything, such as the content in the wrong variable.
    path = path if len(path) <= MAX_PATH else path[:MAX_PATH] + "..."
    return f"{variable}{SUFFIX}: {one_line(path)}"
