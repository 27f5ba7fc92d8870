"""A configuration in the value of an environment variable."""

from __future__ import annotations

from microscaling.api.apps import apps_from_data
from microscaling.config.base import Config, ConfigPlugin, problems_of
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings


class EnvVarConfig(Config):
    """The JSON in MSS_CONFIG_DATA."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        data = self.settings.config_data
        if not data.strip():
            raise ConfigError("MSS_CONFIG_DATA: is empty; with MSS_CONFIG=ENVVAR it holds the configuration")
        with problems_of("MSS_CONFIG_DATA"):
            return apps_from_data(data.encode("utf-8", "surrogateescape"), self.settings)


TYPE = ConfigPlugin("ENVVAR", "the JSON in MSS_CONFIG_DATA", EnvVarConfig)
