"""Descriptions of files in containers, and times, in the form of a Docker engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

PATH_STAT = "X-Docker-Container-Path-Stat"
"""The header with an engine's description of a file, as JSON in base64."""
LINK = 0x08000000
"""The bit of a symbolic link in the mode of a file, as Go has it."""
TIME = re.compile(r"([0-9-]+T[0-9:]+)(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")


def memory_of(stats: Mapping[str, Any]) -> int | None:
    """Returns the memory of a container in use, bytes, without what the kernel can free at once; None if its
    statistics do not have it."""
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    of_files = memory.get("stats") or {}
    files = int(of_files.get("total_inactive_file", of_files.get("inactive_file", 0)))
    return max(0, int(memory["usage"]) - files)


def seconds_of(text: object) -> float | None:
    """Returns Unix seconds; None if the text is no time."""
    # Engines write nanoseconds, which Python 3.10 does not read.
    found = TIME.fullmatch(str(text))
    if found is None:
        return None
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    return whole.timestamp() + float(f"0{found[2] or ''}")
