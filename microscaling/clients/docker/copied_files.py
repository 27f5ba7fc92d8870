"""The label with the files that copies of a service's container get from it."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any

COPY_FILES = "microscaling.copy-files"
FORM = 'expected absolute paths as a list in JSON, such as ["/etc/app.conf"]'


def is_copy_files(label: str) -> bool:
    """True for the label in any of its spellings."""
    return label.replace("-", "").casefold() == COPY_FILES.replace("-", "")


def copied_files(labels: Mapping[str, Any]) -> list[str]:
    """Returns the paths in the label; none without it. Raises ValueError for anything else than a list of
    absolute paths."""
    text = next((str(labels[label]) for label in sorted(labels) if is_copy_files(label)), "")
    if not text.strip():
        return []
    try:
        paths = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(FORM) from None
    if not isinstance(paths, list) or not all(map(_is_path, paths)):
        raise ValueError(FORM)
    return list(dict.fromkeys(map(posixpath.normpath, paths)))


def _is_path(path: object) -> bool:
    # The whole file system of a container, or nothing that can be named, is no file.
    return isinstance(path, str) and path.startswith("/") and path.isprintable() and bool(path.strip("/."))
