"""The interface of every source of images' labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from microscaling.config import images
from microscaling.demand.task import Task
from microscaling.settings import Settings

DEFAULT = "registry"


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


def images_of(settings: Settings) -> Images:
    """Returns the source of image labels: the module here that has the scheduler's name, else the registries
    of the images. Raises ConfigError."""
    there = {module.name for module in iter_modules(images.__path__)}
    name = settings.scheduler.lower()
    make: Callable[[Settings], Images] | None = None
    if name in there:  # base and labels are modules too, but no sources
        make = getattr(import_module(f"{images.__name__}.{name}"), "make", None)
    if make is None:
        make = import_module(f"{images.__name__}.{DEFAULT}").make
    return make(settings)
