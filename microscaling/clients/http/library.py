"""The library requests, without what it loads to guess the encoding of a text."""

from __future__ import annotations

import sys
import warnings

DETECTORS = ("chardet", "charset_normalizer")


def load() -> None:
    """Imports requests, if it is not there yet, without a detector of encodings: that takes 2.7 MB, more than
    requests itself. We read bytes and JSON, and the text of an error counts as UTF-8."""
    if "requests" in sys.modules:
        return
    # With None an import fails (The Python Language Reference, 5.3.1), which requests allows for: it warns.
    hidden = [name for name in DETECTORS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import requests  # noqa: F401
    finally:
        # For whoever imports it for itself, a plugin for example.
        for name in hidden:
            del sys.modules[name]
