"""The labels of images, from the Docker engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException

from microscaling.clients.docker.client import connect
from microscaling.clients.docker.errors import AWAY, said
from microscaling.clients.docker.images import pull
from microscaling.clients.docker.unreachable import is_hopeless
from microscaling.config.images.base import Images
from microscaling.demand.task import Task
from microscaling.errors import UNEXPECTED, PermanentError, TemporaryError
from microscaling.settings import Settings

TIMEOUT_S = 60
"""Limit of a call, and of the time between two progress messages of a pull."""


class EngineImages(Images):
    """Reads labels from the engine. If images are pulled at start, the image is pulled first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pulls = settings.pull_images and not settings.dry_run
        self._client: docker.APIClient | None = None

    def image_of(self, task: Task) -> str:
        return task.image

    def labels(self, image: str) -> Mapping[str, Any]:
        try:
            client = self._connected()
            if self._pulls:  # before, as the labels have to be those of the image that will run
                pull(client, image)
            inspected = client.inspect_image(image)  # type: ignore[no-untyped-call]
            labels = (inspected.get("Config") or {}).get("Labels") or {}
        except APIError as error:
            if error.status_code in AWAY:
                raise TemporaryError(said(error)) from error
            raise PermanentError(said(error)) from error
        except (requests.exceptions.RequestException, DockerException, OSError) as error:
            raise TemporaryError(said(error), hopeless=is_hopeless(error)) from error
        except UNEXPECTED as error:
            why = f"the answer is not one of a Docker engine ({type(error).__name__})"
            raise TemporaryError(why) from error
        return labels if isinstance(labels, dict) else {}

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _connected(self) -> docker.APIClient:
        if self._client is None:
            s = self._settings
            self._client = connect(
                s.docker_host, s.docker_tls_verify, s.docker_cert_path, TIMEOUT_S, chosen=s.docker_chosen
            )
        return self._client


def make(settings: Settings) -> Images:
    """Returns the engine of these settings."""
    return EngineImages(settings)
