"""The containers of Compose's that the agent has stopped, kept for its next life: it may start those
again, but not the ones that a person has stopped."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping

log = logging.getLogger("mssscheduler")

FORGOTTEN = (
    "MSS_STATE_DIR: %s: the next agent cannot tell the containers that this one has stopped from those that "
    "you have, and starts neither, but for services that may have none"
)
"""What follows if nothing is kept."""


class OwnStops:
    """A file in the state folder, for one engine. Without a writable folder nothing is kept, which is logged
    once, if it was not `said`.

    It has the ids, and for each the time of its end in the engine's words: another time means that the
    container was started and stopped since. The time is "" if the agent was killed before it knew it.
    """

    def __init__(self, folder: str, engine: str, said: bool = False) -> None:
        self.folder = folder
        self.path = os.path.join(folder, f"stopped-{hashlib.sha256(engine.encode()).hexdigest()[:12]}.json")
        self._said = said

    def read(self) -> dict[str, str] | None:
        """Returns the times of their ends by id; None if there is no such file, or it cannot be read."""
        try:
            with open(self.path, encoding="utf-8") as file:
                ends = json.load(file)
        except (OSError, ValueError):
            return None
        if not isinstance(ends, dict):
            return None
        return {id: end for id, end in ends.items() if isinstance(end, str)}

    def write(self, ends: Mapping[str, str]) -> None:
        """Replaces them."""
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            new = f"{self.path}.new"
            with open(new, "w", encoding="utf-8") as file:
                json.dump(dict(sorted(ends.items())), file)
            os.replace(new, self.path)
        except OSError as error:
            if not self._said:
                self._said = True
                log.warning(FORGOTTEN, f"{self.path} cannot be written ({error.strerror or error})")
