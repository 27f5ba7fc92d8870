"""Looking up and pulling images, with log lines about the progress."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

import docker
import requests
from docker.errors import DockerException, NotFound

from microscaling.clients.docker.errors import said
from microscaling.clients.docker.progress import Progress
from microscaling.errors import UNEXPECTED, TemporaryError

log = logging.getLogger("mssutils")

LONG_ID = re.compile(r"sha256:[0-9a-f]{1,64}|[0-9a-f]{12,64}")
ANY_ID = re.compile(r"(sha256:)?[0-9a-f]{1,64}")


def is_id(image: str) -> bool:
    """Whether an image is given by its id, whole or in the short form of `docker images`."""
    # Registries do not know ids: a pull would fetch an image that happens to have such a name.
    return LONG_ID.fullmatch(image) is not None


def has(client: docker.APIClient, image: str) -> bool:
    """Whether the engine has the image, under the name that a create would use. Raises the errors of the
    library and of requests."""
    return _inspected(client, image) is not None


def pull(client: docker.APIClient, image: str) -> None:
    """Pulls an image, with the credentials of the user's docker config, unless it is given by its id. A
    failure is logged as a warning."""
    # No error: an older copy of the image may be there.
    try:
        if is_id(image) or _is_short_id(client, image):
            return
        fetch(client, image)
    except TemporaryError as error:
        log.warning("could not pull %s: %s; a local image is used if there is one", image, str(error))


def fetch(client: docker.APIClient, image: str) -> None:
    """Pulls an image. Raises TemporaryError if that fails."""
    log.info("pulling %s", image)
    try:
        _follow(client.pull(image, stream=True, decode=True), image)
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise TemporaryError(said(error)) from error
    except UNEXPECTED as error:
        why = f"the answer is not one of a Docker engine ({type(error).__name__})"
        raise TemporaryError(why) from error


def _is_short_id(client: docker.APIClient, image: str) -> bool:
    """Whether it is the beginning of the id of a local image. If the engine does not answer, it is a name."""
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
    """Reads the progress of a pull to its end, and shows it. Raises DockerException."""
    layers: dict[str, tuple[int, int]] = {}
    with Progress(image) as shown:
        for line in progress:
            if "error" in line:  # the status was sent before the pull, so it was 200
                raise DockerException(line["error"])
            detail = line.get("progressDetail") or {}
            if line.get("status") == "Downloading" and detail.get("total"):
                layers[line.get("id", "")] = (detail.get("current", 0), detail["total"])
            if layers:
                have, total = (sum(column) for column in zip(*layers.values(), strict=True))
                shown.update(have, total)
    log.info("pulled %s", image)
