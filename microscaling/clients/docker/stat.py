"""Descriptions of files in containers, and times, in the form of a Docker engine."""

from __future__ import annotations

import re
from datetime import datetime

PATH_STAT = "X-Docker-Container-Path-Stat"
"""The header with an engine's description of a file, as JSON in base64."""
LINK = 0x08000000
"""The bit of a symbolic link in the mode of a file, as Go has it."""
TIME = re.compile(r"([0-9-]+T[0-9:]+)(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")


def seconds_of(text: object) -> float | None:
    """Returns Unix seconds; None if the text is no time."""
    # Engines write nanoseconds, which Python 3.10 does not read.
    found = TIME.fullmatch(str(text))
    if found is None:
        return None
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    return whole.timestamp() + float(f"0{found[2] or ''}")
