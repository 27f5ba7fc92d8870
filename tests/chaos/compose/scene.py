"""What runs in a chaos run with Compose: the services of a project, and others that are nobody's business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microscaling.clients.docker.compose import CONFIG_HASH, COPY_OF, ENABLED, PROJECT, SERVICE
from tests.chaos.scene import FLAKY, SLOW, TARGET, Part, Scene

SHOP = "shop"
"""The project that is scaled."""
NEIGHBOURS = "neighbours"
"""A project with the same labels, which the agent is not told to scale."""
SUBNET, GATEWAY = "10.213.0.0/24", "10.213.0.1"
"""Of the project's network, where the agent is one of its services."""
CAP = 10
SLEEPER = "mss-test/sleeper"
STUBBORN = "mss-test/stubborn"
AGAIN = ":again"
"""The tag of the other image that a service may get: the same, by another name."""
STILL_S = 2.0
"""For so long nothing is done after a change by Compose."""


@dataclass(frozen=True)
class ComposeScene(Scene):
    """The services of one project that have our label."""

    def task_of(self, labels: Mapping[str, str]) -> str:
        ours = labels.get(PROJECT) == SHOP and self.label in labels
        return labels.get(SERVICE, "") if ours else ""

    def about(self, labels: Mapping[str, str]) -> dict[str, Any]:
        """Whether it is a copy, and the configuration that it is made from."""
        return {"copy": COPY_OF in labels, "hash": labels.get(CONFIG_HASH, "")}


PARTS = (
    Part("alpha", 1, 2, 6, "Queue", SLEEPER),
    Part("beta", 2, 1, 5, "Queue", SLEEPER),
    Part("gamma", 3, 0, 4, "Queue", STUBBORN),
    Part("flaky", 4, 1, 3, "Queue", FLAKY),
    Part("rest", 5, 1, CAP, "Remainder", SLOW),
)
RESTARTS = {"beta": "unless-stopped", "flaky": "always", "rest": "on-failure"}
"""By service, who is started again by the engine."""
PLAIN = "plain"
"""A service of the project without a label of ours."""
SCENE = ComposeScene(PARTS, CAP, ENABLED, settles_s=60.0, still_s=STILL_S)
"""An engine waits longer and longer before it starts one again that crashes."""
NAMES = tuple(part.name for part in PARTS)


def labels_of(part: Part, endpoints: Mapping[str, str]) -> dict[str, str]:
    """As a person writes them."""
    said = {"enable": "true", "priority": part.priority, "min": part.least, "max": part.most}
    if part.measured:
        said |= {
            "rule": part.rule,
            "target": TARGET,
            "metric": "HTTP",
            "metric.url": f"http://{endpoints[part.name]}/stats?format=json",
            "metric.path": "topics[0].channels[0].depth",
        }
    return {f"microscaling.{key}": str(value) for key, value in said.items()}


def services(
    endpoints: Mapping[str, str], folder: Path, versions: Mapping[str, int], images: Mapping[str, str]
) -> dict[str, Any]:
    """The services of the project. `folder`: where the flaky one looks for the file that makes it crash."""
    found: dict[str, Any] = {PLAIN: {"image": SLEEPER, "networks": ["back"], "restart": "always"}}
    for part in PARTS:
        found[part.name] = {
            "image": part.image + images.get(part.name, ""),
            "environment": {"VERSION": str(versions[part.name])},
            "labels": labels_of(part, endpoints),
            "networks": ["back"],
            "volumes": ["/cache"],
            "stop_grace_period": "1s",
            "restart": RESTARTS.get(part.name, "no"),
        }
    found["flaky"]["volumes"].append(f"{folder}:/chaos:ro")
    return found


def neighbours() -> dict[str, Any]:
    """Others' services, which look like ours."""
    labels = {"microscaling.enable": "true", "microscaling.max": "5"}
    return {"alpha": {"image": SLEEPER, "labels": labels, "networks": ["back"], "restart": "always"}}
