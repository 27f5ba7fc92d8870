"""One key that the parser itself reads, whatever the rule and the metric are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microscaling.plugins import Field


@dataclass(frozen=True)
class Key(Field):
    """Of an app or its `config`. For the documentation, editors and the form of the page, as a plugin's
    field; the parser has a reader of its own for each."""

    meaning: str = ""
    """For the documentation and editors, longer than the hint of the form."""
    default_in_words: str = ""
    """For the documentation, if `default` does not say it."""
    shape: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of JSON Schema besides those of the kind; all of them, if the kind is "shape"."""
    in_form: bool = False
    """Whether the form has a field for it; else it is part of the form's JSON."""

    def __post_init__(self) -> None:
        if self.kind != "shape":
            super().__post_init__()


def exactly(pattern: str) -> str:
    """A regular expression of ours as JSON Schema wants it: anchored, and its groups without names."""
    return f"^(?:{re.sub(r'[?]P<[a-z]+>', '', pattern)})$"
