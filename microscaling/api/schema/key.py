"""Keys of a configuration that the parser itself reads, with every rule and metric."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microscaling.plugins import Field


@dataclass(frozen=True)
class Key(Field):
    """One key of an app or of its `config`, declared for the documentation, editors and the form of the page,
    like a plugin's field; the parser has a reader of its own for each."""

    meaning: str = ""
    """A description for the documentation and editors, longer than the hint of the form."""
    default_in_words: str = ""
    """The default in the documentation, if `default` is not clear enough."""
    shape: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of JSON Schema besides those of the kind; all of them, if the kind is "shape"."""
    in_form: bool = False
    """Whether the form has a field for it; else it is part of the form's JSON."""

    def __post_init__(self) -> None:
        if self.kind != "shape":
            super().__post_init__()


def exactly(pattern: str) -> str:
    """Returns a regular expression of ours for JSON Schema: anchored, and its groups without names."""
    # A pattern of JSON Schema may match anywhere, and its syntax (ECMA-262) has no `?P<name>`.
    return f"^(?:{re.sub(r'[?]P<[a-z]+>', '', pattern)})$"
