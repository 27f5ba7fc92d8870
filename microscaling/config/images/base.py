"""The interface of every source of images' labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from microscaling.demand.task import Task


class Images(ABC):
    """An engine or a registry that knows images."""

    patience_s = float("inf")
    """Longest wait at start, in seconds for all images together."""

    @abstractmethod
    def image_of(self, task: Task) -> str:
        """Returns the name of the task's image; "" if it has none. Raises the same errors as `labels`."""

    @abstractmethod
    def labels(self, image: str) -> Mapping[str, Any]:
        """Returns the labels of an image. Raises TemporaryError if a retry may help, else PermanentError."""

    def close(self) -> None:
        """Closes the connections, if there are any."""
