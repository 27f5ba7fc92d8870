"""The tasks of the Go agent's own demonstration."""

from __future__ import annotations

from microscaling.api.apps import apps_from_parsed
from microscaling.config.base import Config, ConfigPlugin
from microscaling.demand.task import Task
from microscaling.settings import Settings

QUEUE = "microscaling-demo"
DATA = {
    "maxContainers": 10,
    "apps": [
        {
            "name": "consumer",
            "priority": 1,
            "minContainers": 1,
            "maxContainers": 10,
            "ruleType": "Queue",
            "metricType": "NSQ",
            "config": {
                "image": "microscaling/queue-demo:latest",
                "targetQueueLength": 50,
                "topicName": QUEUE,
                "channelName": QUEUE,
            },
        },
        {
            "name": "remainder",
            "priority": 2,
            "minContainers": 1,
            "maxContainers": 10,
            "ruleType": "Remainder",
            "config": {"image": "microscaling/priority-2:latest"},
        },
    ],
}


class HardcodedConfig(Config):
    """Always the same two tasks: a consumer of a queue, and a remainder for the rest of the capacity."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        return apps_from_parsed(DATA, self.settings)


TYPE = ConfigPlugin("HARDCODED", "the Go agent's demo", HardcodedConfig)
