"""A configuration whose values the labels of the images override."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from microscaling.config import server
from microscaling.config.base import Config, ConfigPlugin
from microscaling.config.images.base import Images, images_of
from microscaling.config.images.labels import apply_labels
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.settings import Settings
from microscaling.utils.patience import Patience
from microscaling.utils.text import one_line, quoted

log = logging.getLogger("mssconfig")

MAX_RETRY_S = 5.0


class LabelConfig(Config):
    """The tasks of another configuration, overridden by the labels of their images.

    Waits for an engine or orchestrator that is away without a limit, and for registries as long as
    `images` has patience. Labels that cannot be read count as missing, with a warning.
    """

    def __init__(self, tasks_of: Config, images: Images) -> None:
        self.tasks_of = tasks_of
        self.images = images
        self._patience = Patience(log, MAX_RETRY_S)
        self._patience_left_s = images.patience_s

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        tasks, max_containers = self.tasks_of.get_apps(user_id)
        least_before = sum(task.min_containers for task in tasks)
        known: dict[str, Mapping[str, Any]] = {}
        try:
            for task in tasks:
                self._override(task, known)
        finally:
            self.images.close()
        least = sum(task.min_containers for task in tasks)
        # Only if the labels are the cause: the configuration itself has had its warning.
        if least_before <= max_containers < least:
            log.warning(
                "maxContainers: is %d, but with the labels of the images the minimums add up to %d: "
                "tasks of the lowest priority will have fewer than theirs",
                max_containers, least,
            )  # fmt: skip
        return tasks, max_containers

    def _override(self, task: Task, known: dict[str, Mapping[str, Any]]) -> None:
        try:
            # Without a limit: no scaling is possible without the engine or orchestrator anyway.
            image = self._patience.run(lambda: self.images.image_of(task))
        except PermanentError as error:
            log.warning("task %s: its image is unknown: %s", quoted(task.name), error)
            return
        if not image:
            log.warning("task %s: has no image, so there are no labels to read", quoted(task.name))
            return
        if image not in known:
            known[image] = self._labels(image)
        apply_labels(task, known[image], image)

    def _labels(self, image: str) -> Mapping[str, Any]:
        began = time.monotonic()
        try:
            labels = self._patience.run(lambda: self.images.labels(image), self._patience_left_s)
        except (PermanentError, TemporaryError) as error:
            log.warning("image %s: its labels cannot be read, so none applies: %s", one_line(image), error)
            labels = {}
        # The patience is for all images together, so a registry that is away delays the start only once.
        self._patience_left_s = max(0.0, self._patience_left_s - (time.monotonic() - began))
        return labels


def make(settings: Settings) -> LabelConfig:
    """Returns the server's configuration with the labels of its images. Raises ConfigError."""
    return LabelConfig(server.make(settings), images_of(settings))


TYPE = ConfigPlugin("LABEL", "the server, then the labels of the images", make)
