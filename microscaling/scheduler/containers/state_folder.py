"""The folder in which an agent keeps state for the next agent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping


def default_folder(environ: Mapping[str, str]) -> str:
    """Of this user, and gone after a restart of the machine where the system has such a place."""
    parent = environ.get("XDG_RUNTIME_DIR")
    if not parent:
        try:
            parent = tempfile.gettempdir()
        except OSError:  # nowhere can be written, as in a read-only container: its user reports that
            parent = "/tmp"  # nosec B108  # where it is made, its owner is looked at
    return os.path.join(parent, f"microscaling-{os.getuid()}")
