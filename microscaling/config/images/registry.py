"""The labels of images, from their registries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.clients.oci.registry import IMAGE_S, labels_of
from microscaling.config.images.base import Images
from microscaling.demand.task import Task
from microscaling.settings import Settings


class RegistryImages(Images):
    """Reads labels from the registry that the name of each image gives.

    `environ` locates the docker config file with the logins (None: this process's own environment);
    `within_s` is the limit for one image, in seconds.
    """

    patience_s = 60.0

    def __init__(self, environ: Mapping[str, str] | None = None, within_s: float = IMAGE_S) -> None:
        self._environ = environ
        self._within_s = within_s

    def image_of(self, task: Task) -> str:
        return task.image

    def labels(self, image: str) -> Mapping[str, Any]:
        return labels_of(image, self._environ, self._within_s)


def make(settings: Settings) -> Images:
    """Returns the registries, which need no settings."""
    return RegistryImages()
