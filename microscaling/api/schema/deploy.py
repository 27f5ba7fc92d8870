"""Reads `deploy`, of which a task can only say `resources`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from microscaling.api.schema.devices import REQUEST, read_requests
from microscaling.api.schema.key import Key
from microscaling.api.schema.refused import AGENT
from microscaling.api.schema.section import Section
from microscaling.api.schema.word import memory, processors, whole

LIMITS = {"cpus": "cpus", "memory": "memory", "pids": "pids_limit"}
RESERVED = {"memory": "mem_reservation", "devices": "gpus"}
"""By their names in `limits` and `reservations`, the keys of `config` that mean the same."""
_SIZE = {"type": ["integer", "string"]}
DEPLOY = Key(
    "deploy",
    "Deployment",
    kind="shape",
    refers=True,
    meaning="of it only `resources`: `limits` (`cpus`, `memory`, `pids`), and of `reservations` `memory` and "
    "`devices`, as in `gpus`",
    shape={
        "type": "object",
        "properties": {
            "resources": {
                "type": "object",
                "properties": {
                    "limits": {
                        "type": "object",
                        "properties": {
                            "cpus": {"type": ["number", "string"]},
                            "memory": _SIZE,
                            "pids": _SIZE,
                        },
                        "additionalProperties": False,
                    },
                    "reservations": {
                        "type": "object",
                        "properties": {
                            "memory": _SIZE,
                            "devices": {"type": "array", "items": REQUEST | {"required": ["capabilities"]}},
                        },
                        "additionalProperties": False,
                    },
                },
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    },
)


def read_deploy(config: Section) -> Iterator[tuple[str, Any]]:
    """Yields the fields of the request that `deploy` sets, by place. Notes a problem for one that another
    key sets too."""
    deploy = config.section(DEPLOY.key)
    resources = deploy.section("resources")
    limits, reserved = resources.section("limits"), resources.section("reservations")
    # Which of two limits would count differs between versions of Compose.
    for section, twins in ((limits, LIMITS), (reserved, RESERVED)):
        for name, key in twins.items():
            if section.take(name) is not None and config.take(key) is not None:
                section.notes.problem(section.at(name), f"{config.at(key)} is given too: leave one out")
    fields = {
        "HostConfig.NanoCpus": round(processors(limits, "cpus") * 1e9),
        "HostConfig.Memory": memory(limits, "memory"),
        "HostConfig.PidsLimit": whole(-1)(limits, "pids"),
        "HostConfig.MemoryReservation": memory(reserved, "memory"),
        "HostConfig.DeviceRequests": read_requests(reserved, "devices"),
    }
    # 0 is no limit, which is what an engine does without the field.
    yield from ((place, value) for place, value in fields.items() if value)
    _refuse_others(deploy, resources, limits, reserved)


def _refuse_others(deploy: Section, *inner: Section) -> None:
    for key in deploy.left():
        way_out = (
            AGENT
            if key in ("replicas", "mode")
            else "of deploy only resources is supported here: leave it out"
        )
        deploy.notes.problem(deploy.at(key), f"is refused: {way_out}")
    for section in inner:
        for key in section.left():
            section.notes.problem(section.at(key), "is refused: it is not supported here; leave it out")
