"""Pulling an image, with a word now and then."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from typing import Any

import docker
import requests
from docker.errors import DockerException, NotFound

from microscaling.clients.docker.errors import said
from microscaling.errors import UNEXPECTED, TemporaryError

log = logging.getLogger("mssutils")

SAY_EVERY_S = 2.0
LONG_ID = re.compile(r"sha256:[0-9a-f]{1,64}|[0-9a-f]{12,64}")
ANY_ID = re.compile(r"(sha256:)?[0-9a-f]{1,64}")


def is_id(image: str) -> bool:
    """Whether an image is given by its id, whole or as `docker images` shows it. No registry has images by
    their id: pulling one would get what somebody has given that name."""
    return LONG_ID.fullmatch(image) is not None


def has(client: docker.APIClient, image: str) -> bool:
    """Whether the engine has the very image that it would make a container of. Raises what the library
    does."""
    return _inspected(client, image) is not None


def pull(client: docker.APIClient, image: str) -> None:
    """Pulls an image, by the credentials of the user's docker config. A pull that fails is a warning:
    the image may be there all the same. One that is given by its id is not pulled."""
    try:
        if is_id(image) or _is_short_id(client, image):
            return
        fetch(client, image)
    except TemporaryError as error:
        log.warning("could not pull %s: %s; using what is here of it", image, str(error))


def fetch(client: docker.APIClient, image: str) -> None:
    """Pulls an image; raises TemporaryError if that fails."""
    log.info("pulling %s", image)
    try:
        _follow(client.pull(image, stream=True, decode=True), image)
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise TemporaryError(said(error)) from error
    except UNEXPECTED as error:
        why = f"that is no answer of a Docker engine ({type(error).__name__})"
        raise TemporaryError(why) from error


def _is_short_id(client: docker.APIClient, image: str) -> bool:
    """Whether it is the beginning of the id of an image that is here. If nobody can tell, it is a name."""
    if not ANY_ID.fullmatch(image):
        return False
    try:
        found = _inspected(client, image)
        return found is not None and str(found["Id"]).removeprefix("sha256:").startswith(image)
    except (DockerException, requests.exceptions.RequestException, OSError, *UNEXPECTED):
        return False


def _inspected(client: docker.APIClient, image: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.inspect_image(image)  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    return found


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
