"""The leases of a fake API server: what is there at which version, and what a real one refuses.

From "Lease v1 coordination.k8s.io" and "Kubernetes API Concepts" (resource versions, dry-run).
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from tests.fakes.kubernetes_cluster import Cluster, Item
from tests.fakes.kubernetes_http import Refused

GROUP = "coordination.k8s.io"
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class Leases:
    """Those of all namespaces, by namespace and name. Their versions are those of the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.items: dict[tuple[str, str], Item] = {}
        self.holders: list[str] = []
        """Whoever has had it, each once in a row."""

    def answer(self, verb: str, space: str, name: str, body: bytes, options: dict[str, str]) -> Item:
        with self.cluster.lock:
            if verb == "get":
                return copy.deepcopy(self._there(space, name))
            if verb not in ("create", "update"):
                told = "the server does not allow this method on the requested resource"
                raise Refused(405, "MethodNotAllowed", told)
            item = self._parsed(body)
            name = name or item["metadata"]["name"]
            if verb == "create":
                if (space, name) in self.items:
                    told = f'leases.{GROUP} "{name}" already exists'
                    raise Refused(409, "AlreadyExists", told, name=name, group=GROUP, kind="leases")
            else:
                there = self._there(space, name)["metadata"]["resourceVersion"]
                if item["metadata"].get("resourceVersion", there) != there:
                    told = f'Operation cannot be fulfilled on leases.{GROUP} "{name}": {MODIFIED}'
                    raise Refused(409, "Conflict", told, name=name, group=GROUP, kind="leases")
            return self._written(space, name, item, dry=options.get("dryRun") == "All")

    def _there(self, space: str, name: str) -> Item:
        if (space, name) not in self.items:
            told = f'leases.{GROUP} "{name}" not found'
            raise Refused(404, "NotFound", told, name=name, group=GROUP, kind="leases")
        return self.items[space, name]

    def _parsed(self, body: bytes) -> Item:
        try:
            item: Any = json.loads(body)
        except ValueError:
            raise Refused(400, "BadRequest", "the body is no JSON") from None
        spec = item.get("spec") or {}
        for field in ("renewTime", "acquireTime"):
            if field in spec and not MICRO_TIME.fullmatch(spec[field]):
                raise Refused(400, "BadRequest", f'parsing time "{spec[field]}": cannot parse as ".000000"')
        return dict(item)

    def _written(self, space: str, name: str, item: Item, dry: bool) -> Item:
        """An update that changes nothing makes no new version."""
        before = self.items.get((space, name))
        if before is not None and before["spec"] == item["spec"]:
            return copy.deepcopy(before)
        item["metadata"] = {"name": name, "namespace": space, "resourceVersion": "0"}
        if not dry:
            self.cluster.version += 1
            item["metadata"]["resourceVersion"] = str(self.cluster.version)
            self.items[space, name] = item
            holder = item["spec"].get("holderIdentity", "")
            if holder not in ("", *self.holders[-1:]):
                self.holders.append(holder)
        return copy.deepcopy(item)
