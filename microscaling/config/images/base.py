"""Where the labels of images are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from microscaling.demand.task import Task


class Images(ABC):
    """An engine or a registry that knows images."""

    patience_s = float("inf")
    """How long to wait for it at start, in seconds for all images together."""

    @abstractmethod
    def image_of(self, task: Task) -> str:
        """The name of the task's image; empty: it has none. Raises as `labels` does."""

    @abstractmethod
    def labels(self, image: str) -> Mapping[str, Any]:
        """The labels of an image. Raises TemporaryError if it is worth trying again, PermanentError
        if they cannot be had."""

    def close(self) -> None:
        """Closes connections, if there are any."""
