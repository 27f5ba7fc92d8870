"""Keys of `config` that stand beside it, and keys of an app that stand in its `config`."""

from __future__ import annotations

from microscaling.api.schema.container import KEYS
from microscaling.api.schema.declared import APP, CONFIG
from microscaling.api.schema.section import Section

OF_APP = frozenset(key.key.casefold() for key in APP)
OF_CONFIG = frozenset(name.casefold() for key in CONFIG for name in key.spellings)
OF_CONTAINERS = frozenset(name.casefold() for key in KEYS for name in key.spellings)
"""Unlike image and command, the Go agent had none of them: beside `config` they are never ignored."""


def note_misplaced(app: Section, config: Section) -> None:
    """Notes a problem for each such key, with its place; of those that the Go agent ignored only in YAML."""
    # A key that some rule reads may have the name of one of an app; then its section has taken it.
    # Mostly it is a mistake in the indentation, which also moves the keys of the task's own metric or rule.
    for section, other, names in ((app, config, OF_CONFIG), (config, app, OF_APP)):
        known = names | {key.casefold() for key in other.known()}
        for key in section.left():
            name = key.casefold()
            if name in known and (section.notes.strict or (section is app and name in OF_CONTAINERS)):
                section.take(key)  # so that it is not noted as unknown as well
                section.notes.problem(section.at(key), f"is at the wrong place: write it as {other.at(key)}")
