"""Fields that Podman shows in other words than it takes, or fills in by itself.

Pure. A description by Docker passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RLIMIT = "RLIMIT_"
ITS_OWN_NETWORK = "podman"
PRIVATE = "private"
NAMESPACES = ("PidMode", "UTSMode")
"""Those whose default Podman shows by its name, which no Docker takes."""


def as_taken(original: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the engine's description of a container in the words of a request to create one."""
    config, host = dict(original["Config"]), dict(original["HostConfig"])
    # Podman adds it to the environment; the copy has another name.
    own = f"HOSTNAME={config.get('Hostname')}"
    if config.get("Env") and str(config.get("Hostname")) == original["Id"][:12]:
        config["Env"] = [entry for entry in config["Env"] if entry != own]
    if host.get("Ulimits"):
        host["Ulimits"] = [
            limit | {"Name": str(limit.get("Name")).removeprefix(RLIMIT).lower()} for limit in host["Ulimits"]
        ]
    # The same limit in two forms, of which a request may have one.
    if host.get("NanoCpus"):
        host |= {"CpuPeriod": 0, "CpuQuota": 0}
    networks = original["NetworkSettings"].get("Networks") or {}
    # Podman has the mode `bridge` for every network.
    if host.get("NetworkMode") == "bridge" and networks and not {"bridge", ITS_OWN_NETWORK} & networks.keys():
        host["NetworkMode"] = next(iter(networks))
    return {**original, "Config": config, "HostConfig": host}
