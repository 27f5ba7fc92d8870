"""Reads the keys for web services, whose containers are found by name."""

from __future__ import annotations

from typing import Any

from microscaling.api.schema.key import Key
from microscaling.api.schema.section import Section, shown
from microscaling.demand.web import UNLIST_S, Web

MAX_S = 3600.0
WEB = Key(
    "web",
    "Web service",
    kind="flag",
    default=False,
    meaning="its containers get their name in DNS once they are ready, and lose it before they stop; "
    "docs/web.md",
)
UNLIST = Key(
    "unlistSeconds",
    "Unlisted for",
    kind="number",
    default=UNLIST_S,
    most=MAX_S,
    meaning="with `web`: seconds between the loss of the name and the stop; as long as a proxy keeps an "
    "address, and the longest request",
)
LIST_AFTER = Key(
    "listAfterSeconds",
    "Listed after",
    kind="number",
    most=MAX_S,
    default_in_words="30, or 1 if nothing shows that it is ready",
    meaning="with `web`: seconds from its start at which a container gets its name, ready or not",
)
NETWORKS = Key(
    "webNetworks",
    "Networks with the name",
    kind="shape",
    default_in_words="all of its networks",
    meaning="with `web`: the networks on which it is found by name, a list or one name",
    shape={"type": ["array", "string"], "items": {"type": "string", "minLength": 1}, "minLength": 1},
)
KEYS = (WEB, UNLIST, LIST_AFTER, NETWORKS)
"""Keys of `config` for web services."""


def read_web(config: Section) -> Web | None:
    """Reads these keys; None without `web`."""
    web = config.flag(WEB.key, False)
    unlist_s = config.number(UNLIST.key, UNLIST_S, MAX_S, "a number of seconds")
    list_after_s = config.number(LIST_AFTER.key, 0.0, MAX_S, "a number of seconds")
    networks = _networks(config, config.take(NETWORKS.key))
    # A setting without effect would be a surprise at the first copy that goes.
    if not web:
        for key in KEYS[1:]:
            if config.take(key.key) is not None:
                config.notes.problem(config.at(key.key), "means nothing without web: true; leave it out")
        return None
    return Web(unlist_s, None if config.take(LIST_AFTER.key) is None else list_after_s, networks)


def _networks(config: Section, given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        config.notes.problem(config.at(NETWORKS.key), f"expected the names of networks, got {shown(given)}")
        return ()
    # One label may have several of them, as lists in labels otherwise are JSON.
    return tuple(word for name in names for word in name.replace(",", " ").split())
