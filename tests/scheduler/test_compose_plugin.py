"""The settings with MSS_SCHEDULER=COMPOSE: as little as possible has to be said in a Compose file."""

from __future__ import annotations

import pytest

from microscaling.factory import prepared
from microscaling.settings import Settings

ENGINE = {"MSS_SCHEDULER": "COMPOSE", "DOCKER_HOST": "unix:///run/docker.sock"}


@pytest.mark.parametrize(
    ("said", "config", "on_exit", "monitor"),
    [
        ({}, "SERVICES", "leave", "none"),
        ({"MSS_API_ADDRESS": "server:8000"}, "SERVICES", "leave", "SERVER"),
        ({"MSS_MONITOR": "SERVER"}, "SERVICES", "leave", "SERVER"),
        ({"MSS_CONFIG": "ENVVAR", "MSS_ON_EXIT": "stop", "MSS_MONITOR": "none"}, "ENVVAR", "stop", "none"),
    ],
)
def test_defaults_are_those_of_a_compose_file(
    said: dict[str, str], config: str, on_exit: str, monitor: str
) -> None:
    environ = ENGINE | said
    settings = prepared(Settings.from_env(environ), environ)
    assert (settings.config, settings.on_exit, settings.monitor) == (config, on_exit, monitor)
