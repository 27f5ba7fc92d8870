"""What is known of the deployments of a namespace, from listings, a watch and our own calls: the newest
of it, in whatever order it comes. No I/O, no clock, no threads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.replicas.orchestrator import Found, Replicas

log = logging.getLogger("mssscheduler")

BAD = (TemporaryError, LookupError, TypeError, AttributeError)
"""What `known_of` raises of a deployment that is not of the form that it should have."""
MAX_REPLICAS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Known:
    """A deployment as of one of its versions; no count: it has been deleted."""

    version: int | None
    count: Replicas | None


class View:
    """The newest that has been heard of each deployment in `names`.

    A resourceVersion is a number that grows with every change of whatever is kept in the cluster
    ("Kubernetes API Concepts", Resource versions: those of one kind can be compared). A server whose
    versions are no numbers after all is believed in the order in which it speaks.
    """

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()
        self._known: dict[str, Known] = {}
        self._newest: int | None = None
        self._unread: dict[str, PermanentError] = {}
        """Those of which the last word could not be read."""
        self._odd = False
        """The last listing had an entry without a name."""

    @property
    def newest(self) -> int | None:
        """The highest version of any of them that has been heard of."""
        return self._newest

    def listed(self, items: Iterable[Mapping[str, Any]], version: str, newest_before: int | None) -> bool:
        """Takes over a listing. `newest_before` is what `newest` was when it was asked for: a listing of
        less than that means that the cluster was restored from a backup, and what is known of the time
        after counts for nothing. Returns whether that is so."""
        listed, unread, nameless = self._read(items)
        if unread and not listed:
            raise TemporaryError(str(next(iter(unread.values()))))
        if nameless and not self._odd:
            log.warning("%d entries of the listing of deployments have no name: they are skipped", nameless)
        self._odd, self._unread = bool(nameless), unread
        whole = number(version)
        turned_back = older(whole, newest_before)
        if turned_back:
            self._known, self._newest = {}, None
        for name in self.names:
            if name in listed or not (name in unread or nameless):
                self._learn(name, listed.get(name) or Known(whole, None))
        return turned_back

    def changed(self, item: Mapping[str, Any], deleted: bool) -> str:
        """Takes over what a watch says has become of a deployment. Returns its name if that is news of
        one of ours, else nothing."""
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
        """Takes over the answer to a change of scale; it does not say what runs."""
        name = str(scale["metadata"]["name"])
        known = self._known.get(name)
        running = known.count.running if known and known.count else 0
        count = Replicas(_whole(scale["spec"], "replicas"), running)
        self._learn(name, Known(number(scale["metadata"]["resourceVersion"]), count))

    def found(self, names: Iterable[str]) -> dict[str, Found]:
        """What there is of these deployments."""
        unknown = Known(None, None)
        return {name: self._unread.get(name) or self._known.get(name, unknown).count for name in names}

    def _read(self, items: Iterable[Any]) -> tuple[dict[str, Known], dict[str, PermanentError], int]:
        """What a listing says of ours, which of them cannot be read, and how many entries have no name: one
        bad entry is no reason to lose sight of the others."""
        listed: dict[str, Known] = {}
        unread: dict[str, PermanentError] = {}
        nameless = 0
        for item in items:
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
    """Empty if it has none that can be read."""
    try:
        name = item["metadata"]["name"]
    except (LookupError, TypeError):
        return ""
    return name if isinstance(name, str) else ""


def _cannot_be_read(error: Exception) -> PermanentError:
    why = str(error) if isinstance(error, TemporaryError) else f"{type(error).__name__}: {error}"
    return PermanentError(f"what the cluster says of it cannot be read: {why:.120}")


def known_of(deployment: Mapping[str, Any]) -> Known:
    """What a Deployment of apps/v1 says. The server leaves out what is 0 of its status, and never
    leaves out spec.replicas, whose default is 1 ("Deployment v1 apps")."""
    status = deployment.get("status") or {}
    count = Replicas(_whole(deployment["spec"], "replicas", 1), _whole(status, "availableReplicas"))
    return Known(number(deployment["metadata"]["resourceVersion"]), count)


def number(version: object) -> int | None:
    """A resourceVersion as a number, if it is one: of 64 bits, so that longer ones are none."""
    good = isinstance(version, str) and version.isascii() and version.isdigit() and len(version) <= 20
    return int(version) if good else None  # type: ignore[call-overload]


def older(one: int | None, other: int | None) -> bool:
    """Whether the one is known to be older than the other."""
    return one is not None and other is not None and one < other


def _whole(of: Mapping[str, Any], key: str, default: int = 0) -> int:
    value = of.get(key)
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_REPLICAS:
        return value
    raise TemporaryError(f"{key} of a deployment is {value!r:.40}, which is no number of replicas")
