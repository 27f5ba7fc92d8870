"""Something to measure, for each kind of metric: what is there can be set, and how it is measured
can be broken.

Each module has the cases of one kind of source, in its KINDS.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.contract.measured.base import Measured

__all__ = ["KINDS", "Measured"]

KINDS: list[type[Measured]] = [
    kind
    for found in pkgutil.iter_modules(__path__, f"{__name__}.")
    for kind in getattr(importlib.import_module(found.name), "KINDS", ())
]
