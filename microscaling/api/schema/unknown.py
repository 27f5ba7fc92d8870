"""Keys of a configuration that nothing reads, and are probably misspelt."""

from __future__ import annotations

from microscaling.api.schema.section import Section
from microscaling.api.schema.sources import SOURCES
from microscaling.metric.base import METRICS
from microscaling.target.base import RULES
from microscaling.utils.text import nearest

OTHER_WORDS = {"tasks": "apps", "services": "apps", "cap": "maxContainers", "max": "maxContainers"}
"""Other words for keys of the Go agent, from Compose or from our own pages."""


def note_unknown(*sections: Section, of_plugins: bool = True) -> None:
    """Notes every key that no call has read: a problem in YAML, unless `of_plugins` and another rule or
    metric reads it; else a warning."""
    for section in sections:
        for key in section.left():
            of_another = of_plugins and key.casefold() in _of_some_plugin()
            # Beyond the last that is shown it would be in vain, and there may be thousands in JSON.
            other = "" if of_another or section.notes.full else _meant(key, section)
            hint = f"; did you mean {other}?" if other else ""
            if section.notes.strict and not of_another:
                section.notes.misspelt(section.at(other))
                hint = hint or "; a name that begins with x- is ignored"
                section.notes.problem(section.at(key), f"is not known{hint}")
            else:
                section.notes.warn(section.at(key), f"is not known here, and ignored{hint}")


def _meant(key: str, section: Section) -> str:
    """Returns the known key that is probably meant; "" if none is similar."""
    other = OTHER_WORDS.get(key.casefold(), "")
    return other if other in section.known() else nearest(key, section.known())


def _of_some_plugin() -> set[str]:
    """Returns the keys that some rule or metric reads."""
    # They are no mistake with another rule or metric: a person may be about to change that.
    of_rules = {field.key.casefold() for rule in RULES.all() for field in rule.fields} | {SOURCES.key}
    return of_rules | {field.key.casefold() for metric in METRICS.all() for field in metric.fields}
