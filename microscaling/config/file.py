"""A configuration in a file, JSON or YAML."""

from __future__ import annotations

import codecs

from microscaling.api.apps import apps_from_data, apps_from_parsed
from microscaling.config.base import Config, ConfigPlugin, problems_of
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.utils.small_file import read_small
from microscaling.utils.text import one_line

MAX_BYTES = 1 << 20
YAML = (".yml", ".yaml")


class FileConfig(Config):
    """The file that MSS_CONFIG_FILE names: YAML if it ends in .yml or .yaml, else JSON."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        path = self.settings.config_file
        if not path:
            raise ConfigError("MSS_CONFIG_FILE: is empty; with MSS_CONFIG=FILE it is the path of the file")
        with problems_of(one_line(path)):
            data = _read(path)
            if not path.lower().endswith(YAML):
                _check_json(data)
                return apps_from_data(data, self.settings)
            # Imported only here, because it needs the extra `yaml`.
            from microscaling.utils.yaml_text import parse

            parsed = parse(data)
            if parsed is None:
                raise ConfigError("is empty: it holds no configuration")
            return apps_from_parsed(parsed, self.settings, strict=True)


def _check_json(data: bytes) -> None:
    """Raises ConfigError if the file is probably YAML under another name."""
    begin = data.lstrip()[:1]
    if begin and begin not in b"{[" and (b":" in data or begin == b"#"):
        raise ConfigError("does not begin like JSON, and only .yml and .yaml are read as YAML: rename it")


def _read(path: str) -> bytes:
    """Reads the file without its byte order mark. Raises ConfigError."""
    try:
        # Editors on Windows write such a mark, and a JSON parser refuses it.
        return read_small(path, MAX_BYTES).removeprefix(codecs.BOM_UTF8)
    except ValueError as error:
        raise ConfigError(str(error)) from None


TYPE = ConfigPlugin("FILE", "a file, JSON or YAML", FileConfig)
