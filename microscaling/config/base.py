"""What every source of a configuration answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from microscaling.demand.task import Task
from microscaling.errors import ConfigError


class Config(ABC):
    """A place that says which tasks there are, and how many containers they share."""

    @abstractmethod
    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        """The tasks, and the shared cap in containers. `user_id` is whose configuration it is, for
        those who keep it for many. Raises ConfigError with everything that is wrong at once."""


@contextmanager
def problems_of(source: str) -> Iterator[None]:
    """Says in every problem where the configuration came from."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(*(f"{source}: {problem}" for problem in error.problems)) from None
