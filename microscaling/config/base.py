"""The interface of every source of a configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError
from microscaling.plugins import Group, Variable
from microscaling.settings import Settings
from microscaling.utils.threads import StoppableThread


class Config(ABC):
    """A source of the tasks, and of the number of containers that they share."""

    follows = False
    """It notices changes by itself: `follow` returns a thread."""

    @abstractmethod
    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        """Returns the tasks, and the shared cap in containers.

        `user_id` selects the configuration in a source with many users; others ignore it. Raises
        ConfigError with all problems at once.
        """

    def follow(self, tasks: Tasks, take: Callable[[Change], None]) -> StoppableThread | None:
        """Returns a thread, not started yet, that passes on each change of the tasks from now on; None if
        they stay the same for the life of the agent.

        It looks for changes when `tasks.stale` is set. `take` may raise TemporaryError: the change was not
        taken, and is to be passed on again.
        """
        return None


@contextmanager
def problems_of(source: str) -> Iterator[None]:
    """Prefixes the problems of a ConfigError raised inside with the source of the configuration."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(*(f"{source}: {problem}" for problem in error.problems)) from None


@dataclass(frozen=True)
class ConfigPlugin:
    """A source of configurations that MSS_CONFIG can name; it is found as microscaling.plugins describes."""

    type_name: str
    summary: str
    """The place of the tasks, in a few words: "a file, JSON or YAML"."""
    make: Callable[[Settings], Config]
    """Returns the source for these settings. Raises ConfigError."""
    variables: tuple[Variable, ...] = ()
    """The environment variables that it reads, apart from the settings."""


def _is_config(found: Any) -> bool:
    return isinstance(found, ConfigPlugin)


CONFIGS: Group[ConfigPlugin] = Group("config", "microscaling.config", _is_config)
"""All sources, by their values of MSS_CONFIG."""
