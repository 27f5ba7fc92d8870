"""Labels of images as their registries tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.clients.oci.registry import IMAGE_S, labels_of
from microscaling.config.images.base import Images
from microscaling.demand.task import Task


class RegistryImages(Images):
    """Asks the registries that the names of the images give; `environ` says where the docker config file
    with the logins is (None: this process's own environment), `within_s` how long one image may take."""

    patience_s = 60.0

    def __init__(self, environ: Mapping[str, str] | None = None, within_s: float = IMAGE_S) -> None:
        self._environ = environ
        self._within_s = within_s

    def image_of(self, task: Task) -> str:
        return task.image

    def labels(self, image: str) -> Mapping[str, Any]:
        return labels_of(image, self._environ, self._within_s)
