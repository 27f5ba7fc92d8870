"""Pulling an image, with a word now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

import docker
import requests
from docker.errors import DockerException

from microscaling.errors import UNEXPECTED
from microscaling.utils.docker_error import said

log = logging.getLogger("mssutils")

SAY_EVERY_S = 2.0


def pull(client: docker.APIClient, image: str) -> None:
    """Pulls an image, by the credentials of the user's docker config. A pull that fails is a warning:
    the image may be there all the same."""
    log.info("pulling %s", image)
    try:
        _follow(client.pull(image, stream=True, decode=True), image)
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        log.warning("could not pull %s: %s; using what is here of it", image, said(error))
    except UNEXPECTED as error:
        why = f"that is no answer of a Docker engine ({type(error).__name__})"
        log.warning("could not pull %s: %s; using what is here of it", image, why)


def _follow(progress: Iterable[dict[str, Any]], image: str) -> None:
    """Says how far it has come every 2 s. Errors come as a line of the progress, not as a status."""
    layers: dict[str, tuple[int, int]] = {}
    said = time.monotonic()
    for line in progress:
        if "error" in line:
            raise DockerException(line["error"])
        detail = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and detail.get("total"):
            layers[line.get("id", "")] = (detail.get("current", 0), detail["total"])
        if layers and time.monotonic() - said >= SAY_EVERY_S:
            said = time.monotonic()
            have, total = (sum(column) for column in zip(*layers.values(), strict=True))
            log.info("pulling %s: %.0f of %.0f MB", image, have / 1e6, total / 1e6)
    log.info("pulled %s", image)
