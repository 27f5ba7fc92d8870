"""The known state of a namespace's deployments, from listings, a watch and our own calls: the newest version
wins, in any order of arrival. No I/O, no clock, no threads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.replicas.orchestrator import Found, Replicas

log = logging.getLogger("mssscheduler")

BAD = (TemporaryError, LookupError, TypeError, AttributeError)
"""Errors of `known_of` for a malformed deployment."""
MAX_REPLICAS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Known:
    """A deployment at one of its versions; without a count it has been deleted."""

    version: int | None
    count: Replicas | None


class View:
    """The newest known state of each deployment in `names`.

    A resourceVersion is a number that grows with every change in the cluster ("Kubernetes API Concepts",
    Resource versions: those of one kind can be compared). If a server's versions are no numbers, the order of
    arrival counts.
    """

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()
        self._known: dict[str, Known] = {}
        self._newest: int | None = None
        self._unread: dict[str, PermanentError] = {}
        """Deployments with a malformed last state."""
        self._odd = False
        """The last listing had an entry without a name."""

    @property
    def newest(self) -> int | None:
        """The highest known version of any of them."""
        return self._newest

    def listed(self, items: Iterable[Mapping[str, Any]], version: str, newest_before: int | None) -> bool:
        """Takes over a listing. `newest_before`: the value of `newest` at the time of its request. Returns
        True if the cluster has gone back in time, and everything known before was dropped."""
        listed, unread, nameless = self._read(items)
        if unread and not listed:
            raise TemporaryError(str(next(iter(unread.values()))))
        if nameless and not self._odd:
            log.warning("%d entries of the listing of deployments have no name: they are skipped", nameless)
        self._odd, self._unread = bool(nameless), unread
        whole = number(version)
        # A listing with a lower version than one known before it: the cluster was restored from a backup.
        turned_back = older(whole, newest_before)
        if turned_back:
            self._known, self._newest = {}, None
        for name in self.names:
            if name in listed or not (name in unread or nameless):
                self._learn(name, listed.get(name) or Known(whole, None))
        return turned_back

    def changed(self, item: Mapping[str, Any], deleted: bool) -> str:
        """Takes over a change from the watch. Returns the deployment's name if the change is new and concerns
        one of ours, else an empty string."""
        name = _name_of(item)
        if name not in self.names:
            return ""
        try:
            known = known_of(item)
        except BAD as error:
            self._unread[name] = _cannot_be_read(error)
            return name
        if name in self._unread:
            del self._unread[name]
            self._known.pop(name, None)
        return name if self._learn(name, Known(known.version, None) if deleted else known) else ""

    def scaled(self, scale: Mapping[str, Any]) -> None:
        """Takes over the answer to a change of scale."""
        name = str(scale["metadata"]["name"])
        known = self._known.get(name)
        # The answer has no number of running replicas, so the last known one stays.
        running = known.count.running if known and known.count else 0
        count = Replicas(_whole(scale["spec"], "replicas"), running)
        self._learn(name, Known(number(scale["metadata"]["resourceVersion"]), count))

    def found(self, names: Iterable[str]) -> dict[str, Found]:
        """Returns the state of these deployments."""
        unknown = Known(None, None)
        return {name: self._unread.get(name) or self._known.get(name, unknown).count for name in names}

    def _read(self, items: Iterable[Any]) -> tuple[dict[str, Known], dict[str, PermanentError], int]:
        """Parses a listing: the states of ours, the malformed ones, and the number of entries without a
        name."""
        listed: dict[str, Known] = {}
        unread: dict[str, PermanentError] = {}
        nameless = 0
        for item in items:
            # An invalid entry affects only its own deployment: the others can still be scaled.
            name = _name_of(item)
            nameless += not name
            if name in self.names:
                try:
                    listed[name] = known_of(item)
                except BAD as error:
                    unread[name] = _cannot_be_read(error)
        return listed, unread, nameless

    def _learn(self, name: str, known: Known) -> bool:
        before = self._known.get(name)
        if before is not None and older(known.version, before.version):
            return False
        self._known[name] = known
        if known.version is not None and known.count is not None:
            self._newest = max(known.version, self._newest or 0)
        return before != known


def _name_of(item: Any) -> str:
    """Returns the name in an entry; empty without a valid one."""
    try:
        name = item["metadata"]["name"]
    except (LookupError, TypeError):
        return ""
    return name if isinstance(name, str) else ""


def _cannot_be_read(error: Exception) -> PermanentError:
    why = str(error) if isinstance(error, TemporaryError) else f"{type(error).__name__}: {error}"
    return PermanentError(f"its deployment in the cluster's answer is invalid: {why:.120}")


def known_of(deployment: Mapping[str, Any]) -> Known:
    """Parses a Deployment of apps/v1."""
    # The server omits zeros in the status, but never spec.replicas, with its default of 1 ("Deployment v1
    # apps").
    status = deployment.get("status") or {}
    count = Replicas(_whole(deployment["spec"], "replicas", 1), _whole(status, "availableReplicas"))
    return Known(number(deployment["metadata"]["resourceVersion"]), count)


def number(version: object) -> int | None:
    """Returns a resourceVersion as a number; None if it is none of up to 64 bits."""
    good = isinstance(version, str) and version.isascii() and version.isdigit() and len(version) <= 20
    return int(version) if good else None  # type: ignore[call-overload]


def older(one: int | None, other: int | None) -> bool:
    """True if one version is known to be older than the other."""
    return one is not None and other is not None and one < other


def _whole(of: Mapping[str, Any], key: str, default: int = 0) -> int:
    value = of.get(key)
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_REPLICAS:
        return value
    raise TemporaryError(f"{key} of a deployment is {value!r:.40}, which is no number of replicas")
