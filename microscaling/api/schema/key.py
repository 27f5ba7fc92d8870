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
    also: tuple[str, ...] = ()
    """Other spellings of the key, such as Compose's."""
    refers: bool = False
    """Whether each ${NAME} in its value is replaced by the agent's environment variable."""

    @property
    def fills_in(self) -> bool:
        return self.refers

    @property
    def spellings(self) -> tuple[str, ...]:
        """All names of the key, its own first: one with underscores has camelCase too."""
        first, *others = self.key.split("_")
        camel = first + "".join(map(str.capitalize, others))
        return (self.key, *self.also, *([camel] if others else []))

    def __post_init__(self) -> None:
        if self.kind != "shape":
            super().__post_init__()


def exactly(pattern: str) -> str:
    """Returns a regular expression of ours for JSON Schema: anchored, and its groups without names."""
    # A pattern of JSON Schema may match anywhere, and its syntax (ECMA-262) has no `?P<name>`.
    return f"^(?:{re.sub(r'[?]P<[a-z]+>', '', pattern)})$"
