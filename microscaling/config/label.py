"""A configuration whose values the labels of the images override."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from microscaling.config import server
from microscaling.config.base import Config, ConfigPlugin
from microscaling.config.images.base import Images, images_of
from microscaling.config.images.labels import apply_labels
from microscaling.demand.task import Task
from microscaling.errors import ConfigError, PermanentError, Stopped, TemporaryError
from microscaling.settings import Settings
from microscaling.utils.backoff import Backoff
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.text import one_line, quoted

log = logging.getLogger("mssconfig")

T = TypeVar("T")

RETRY_S, MAX_RETRY_S = 0.25, 5.0
FOREVER_S = float("inf")


class LabelConfig(Config):
    """The tasks of another configuration, overridden by the labels of their images.

    Waits for an engine or orchestrator that is away without a limit, and for registries as long as
    `images` has patience. Labels that cannot be read count as missing, with a warning.
    """

    def __init__(self, tasks_of: Config, images: Images) -> None:
        self.tasks_of = tasks_of
        self.images = images
        self.stopped = threading.Event()
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
            image = self._patiently(lambda: self.images.image_of(task), FOREVER_S)
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
            labels = self._patiently(lambda: self.images.labels(image), self._patience_left_s)
        except (PermanentError, TemporaryError) as error:
            log.warning("image %s: its labels cannot be read, so none applies: %s", one_line(image), error)
            labels = {}
        # The patience is for all images together, so a registry that is away delays the start only once.
        self._patience_left_s = max(0.0, self._patience_left_s - (time.monotonic() - began))
        return labels

    def _patiently(self, step: Callable[[], T], patience_s: float) -> T:
        """Retries `step` after each TemporaryError, and raises the last one after `patience_s`. Raises
        Stopped once `stopped` is set."""
        backoff = Backoff(RETRY_S, MAX_RETRY_S, jitter=0.2)
        until = time.monotonic() + patience_s
        failure_log = FailureLog()
        while not self.stopped.is_set():
            try:
                answer = step()
            except TemporaryError as error:
                if error.hopeless:
                    raise ConfigError(str(error)) from error
                delay_s = error.delay_s or backoff.next()
                if time.monotonic() + delay_s > until:
                    raise  # now, as the next try would come too late
                if failure_log.failed(time.monotonic(), str(error)):
                    log.warning("waiting: %s", error)
                self.stopped.wait(delay_s)
            else:
                if failure_log.recovered():
                    log.info("it answers now, the start continues")
                return answer
        raise Stopped("asked to stop before the labels were there")


def make(settings: Settings) -> LabelConfig:
    """Returns the server's configuration with the labels of its images. Raises ConfigError."""
    return LabelConfig(server.make(settings), images_of(settings))


TYPE = ConfigPlugin("LABEL", "the server, then the labels of the images", make)
