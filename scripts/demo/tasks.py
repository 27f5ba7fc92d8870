"""The demo's tasks, as a user would write them down."""

from __future__ import annotations

import json
import os
from typing import Any

from microscaling.settings import Settings
from scripts.demo.containers import Containers
from scripts.demo.jobs import WAITING
from scripts.demo.page import USER, Page
from scripts.demo.processes import Processes

CAP = 10
SECONDS_A_JOB = 0.3
TASKS = (
    # name, priority, least and most containers, target length of its queue (None: takes what is left)
    ("checkout", 1, 1, 8, 10),
    ("thumbnails", 2, 1, 4, 10),
    ("batch", 3, 1, 10, None),
)
GAINS = {"MSS_KP": "0.1", "MSS_KD": "0.4"}
"""A container takes 1.7 jobs a beat: a queue that grows by as many a beat needs about one more."""
PASSED = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def configuration(mode: Containers | Processes, database: str) -> str:
    """The JSON that MSS_CONFIG=FILE would read."""
    apps: list[dict[str, Any]] = []
    for name, priority, least, most, target in TASKS:
        app = {
            "name": mode.prefix + name,
            "priority": priority,
            "minContainers": least,
            "maxContainers": most,
        }
        config = mode.app(name)
        if target is not None:
            app |= {"ruleType": "Queue", "metricType": "SQL"}
            query = WAITING.format(name)
            config |= {"targetQueueLength": target, "databaseURL": f"sqlite:///{database}", "query": query}
        apps.append({**app, "config": config})
    return json.dumps({"maxContainers": CAP, "apps": apps}, indent=2)


def settings_for(mode: Containers | Processes, folder: str, database: str, page: Page | None) -> Settings:
    """What a user would put into the environment of `python -m microscaling`."""
    told = {"MSS_MONITOR": "SERVER", "MSS_API_ADDRESS": page.address, "MSS_USER_ID": USER} if page else {}
    return Settings.from_env(
        {
            "MSS_SCHEDULER": mode.scheduler,
            "MSS_CONFIG": "ENVVAR",
            "MSS_CONFIG_DATA": configuration(mode, database),
            "MSS_MONITOR": "none",
            "MSS_PULL_IMAGES": "false",
            "MSS_PASS_ENV": "none",
            "MSS_STATE_DIR": os.path.join(folder, "state"),
            "MSS_EXIT_TIMEOUT_S": "20",
            **told,
            **GAINS,
            **{name: os.environ[name] for name in PASSED if name in os.environ},
        }
    )
