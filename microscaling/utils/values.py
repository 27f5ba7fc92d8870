"""The values of settings: each function reads one from a text, and raises ValueError for a bad one."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
YES = ("true", "1", "yes", "on")
NO = ("false", "0", "no", "off")
LOOPBACK = ("127.", "::1")
"""The beginnings of addresses that only this machine can reach."""


class Fallback(Exception):
    """A bad value that leads to a warning and the default, as in the Go agent."""


def text(value: str) -> str:
    """Returns the value. Raises ValueError for bytes that are no UTF-8, which no request can have in it."""
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("expected text in UTF-8")
    return value


def raw(value: str) -> str:
    """Returns the value as it is, with any bytes."""
    return value


def path(value: str) -> str:
    """Returns a path, which may be any bytes; ~ and ~NAME at its begin are home folders, as in a shell."""
    # Shells expand that only where they assign, but not in a file of variables, a unit or a Compose file: a
    # folder named ~ in the present one would be a surprise.
    found = os.path.expanduser(value)
    if found == value and re.match("~([^/]*/|$)", value):
        raise ValueError("there is no such home folder")
    return found


def boolean(value: str) -> bool:
    """Reads true or false, in the words that people use for it."""
    if value.strip().lower() in YES + NO:
        return value.strip().lower() in YES
    raise ValueError("expected true or false")


def any_value(value: str) -> bool:
    """Returns True: the value itself does not matter."""
    return True


def number(value: str) -> float:
    """Reads a finite decimal number."""
    if NUMBER.fullmatch(value.strip()) and math.isfinite(float(value)):
        return float(value)
    raise ValueError("expected a number")


def seconds(value: str) -> float:
    """Reads a number of seconds for a deadline."""
    found = _number_or(value, -1.0)
    if 0 < found <= 86400:
        return found
    raise ValueError("expected a number of seconds above 0, at most 86400")


def day(value: str) -> float:
    """Reads a number of seconds up to a day."""
    found = _number_or(value, -1.0)
    if 0 <= found <= 86400:
        return found
    raise ValueError("expected a number of seconds from 0 to 86400")


def window(value: str) -> float:
    """Reads the seconds of a scale-down window."""
    found = _number_or(value, -1.0)
    if 0 <= found <= 3600:  # the range of Kubernetes' HPA
        return found
    raise ValueError("expected a number of seconds from 0 to 3600")


def containers_or_auto(value: str) -> int | None:
    """Reads a number of containers; None for `auto`, which only some sources of tasks know."""
    return None if value.strip().lower() == "auto" else containers(value)


def containers(value: str) -> int:
    """Reads a number of containers."""
    if re.fullmatch("[0-9]{1,6}", value.strip()):
        return int(value)
    raise ValueError("expected a whole number of containers")


def memory(value: str) -> int:
    """Reads a number of bytes, with a suffix or without: 512m, 2g."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([bkmgt]?)", value.strip().lower())
    if found is None:
        raise ValueError("expected a number of bytes such as 512m or 2g")
    return int(float(found[1]) * 1024.0 ** "bkmgt".index(found[2] or "b"))


def _number_or(value: str, other: float) -> float:
    try:
        return number(value)
    except ValueError:
        return other


def gain(value: str) -> float:
    """Reads a number; a bad one is a Fallback."""
    try:
        return number(value)
    except ValueError as error:
        raise Fallback(str(error)) from None


def samples(value: str) -> int:
    """Reads a whole number above 0; a bad one is a Fallback."""
    if re.fullmatch(r"\+?[0-9]{1,9}", value) and int(value) > 0:
        return int(value)
    raise Fallback("expected a whole number above 0")


def type_name(value: str) -> str:
    """Returns the name of a type in upper case."""
    # Our own types have such names, and those of others are found in upper or lower case.
    return value.strip().upper()


# A port alone means this machine: an agent's port should not be open to others by a short form.
def address_of(text: str) -> tuple[str, int]:
    """Returns host and port of an address; a port alone is one of this machine only. Raises ValueError."""
    host, colon, port = text.strip().rpartition(":")
    host = "127.0.0.1" if not colon else host.removeprefix("[").removesuffix("]")
    if not (host and re.fullmatch("[0-9]{1,5}", port) and int(port) < 65536):
        raise ValueError("expected host:port, such as 127.0.0.1:9464, or a port alone for this machine only")
    return host, int(port)


def address(value: str) -> str:
    """Reads host and port, and returns them with a colon between."""
    host, port = address_of(value)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def token(value: str) -> str:
    """Reads printable ASCII characters."""
    # It goes into a header, and a line feed would end that.
    if re.fullmatch("[!-~]+", value.strip()):
        return value.strip()
    raise ValueError("expected printable ASCII characters without spaces")


def one_of(*allowed: str) -> Callable[[str], str]:
    """Returns a function that reads one of these words."""

    def read(value: str) -> str:
        if value.strip().lower() in allowed:
            return value.strip().lower()
        raise ValueError(f"expected {' or '.join(allowed)}")

    return read
