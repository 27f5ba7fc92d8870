"""The interface of every source of a configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from microscaling.demand.task import Task
from microscaling.errors import ConfigError


class Config(ABC):
    """A source of the tasks, and of the number of containers that they share."""

    @abstractmethod
    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        """Returns the tasks, and the shared cap in containers.

        `user_id` selects the configuration in a source with many users; others ignore it. Raises
        ConfigError with all problems at once.
        """


@contextmanager
def problems_of(source: str) -> Iterator[None]:
    """Prefixes the problems of a ConfigError raised inside with the source of the configuration."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(*(f"{source}: {problem}" for problem in error.problems)) from None
