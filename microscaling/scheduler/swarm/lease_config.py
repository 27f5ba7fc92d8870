"""The record of a lease as a config object of the swarm (Docker Engine API, /configs).

Its content never changes, as the API changes only labels of a config; these hold the record. A change is
taken only at the version that it names, which makes it a compare-and-swap in the swarm's log.
"""

from __future__ import annotations

import base64
import json

from docker.errors import APIError

from microscaling.clients.docker.reader import EngineReader
from microscaling.clients.docker.swarm import OUT_OF_SEQUENCE, version_of
from microscaling.scheduler.docker.calls import asking
from microscaling.scheduler.replicas.lease import LeaseStore, Record

# Labels of a config, and no file or volume: the swarm itself compares the versions, on all of its managers.
HOLDER = "com.microscaling.lease.holder"
BEATS = "com.microscaling.lease.beats"
PREFIX = "microscaling-lease-"
CONTENT = b"The labels of this config say which agent of microscaling decides.\n"
EXISTS = 409
INVALID = 400
NEVER = "0"
"""No version of an object: those of a swarm begin with 1."""


class ConfigLease(LeaseStore):
    """One lease of a swarm. `reader` is of any of its managers."""

    def __init__(self, reader: EngineReader, lease: str) -> None:
        self.reader = reader
        self.config = PREFIX + lease
        self.name = f"the config {self.config} of the swarm"
        self._beats = 0

    def read(self, until: float) -> Record | None:
        with asking():
            filters = json.dumps({"name": [self.config]})
            for found in self.reader.listed("/configs", until, filters=filters):
                if found["Spec"]["Name"] == self.config:  # the filter takes names that begin so
                    labels = found["Spec"].get("Labels") or {}
                    version = str(version_of(found))
                    return Record(str(found["ID"]), version, str(labels.get(HOLDER) or ""))
        return None

    def write(self, known: Record | None, holder: str, until: float) -> bool:
        self._beats += 1
        spec = self._spec(self.config, holder)
        with asking():
            try:
                if known is None:
                    self.reader.post("/configs/create", spec, until)
                else:
                    self.reader.post(f"/configs/{known.id}/update", spec, until, version=known.version)
            except APIError as error:
                if error.status_code == EXISTS or OUT_OF_SEQUENCE in str(error.explanation):
                    return False
                raise
        return True

    def try_write(self, known: Record | None, until: float) -> None:
        # Both are refused by the swarm itself, and so show whether a filter in front of it lets them through.
        with asking():
            try:
                if known is None:
                    self.reader.post("/configs/create", self._spec("", ""), until)
                else:
                    spec = self._spec(self.config, known.holder)
                    self.reader.post(f"/configs/{known.id}/update", spec, until, version=NEVER)
            except APIError as error:
                if error.status_code != INVALID and OUT_OF_SEQUENCE not in str(error.explanation):
                    raise

    def close(self) -> None:
        self.reader.close()

    def _spec(self, name: str, holder: str) -> dict[str, object]:
        return {
            "Name": name,
            "Labels": {HOLDER: holder, BEATS: str(self._beats)},
            "Data": base64.b64encode(CONTENT).decode(),
        }
