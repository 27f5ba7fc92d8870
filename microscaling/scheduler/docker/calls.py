"""The errors of a Docker engine's client, as those of a backend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from urllib3.exceptions import HTTPError

from microscaling.clients.docker.errors import AWAY, said
from microscaling.clients.docker.unreachable import is_hopeless
from microscaling.errors import UNEXPECTED, PermanentError
from microscaling.scheduler.containers.backend import BackendUnavailable, Unanswered

CALL_TIMEOUT_S = 10
NOT_PAUSED = "is not paused"
"""In the answer of an engine that is to let a running container go on: Docker and Podman answer 500."""
TAKEN = re.compile("name .* is already in use")


def is_taken(error: APIError) -> bool:
    """Whether a create was refused because another container has the name."""
    # Docker answers 409, as a proxy may for its own reasons, and Podman 4 answers 500.
    return TAKEN.search(str(error.explanation)) is not None


def look_at_status(answer: requests.Response, **_: object) -> None:
    """Raises the library's error for a bad status."""
    # The library checks the status only when it reads the stream, which counts as open by then.
    try:
        answer.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)


@contextmanager
def errors(done: tuple[int, ...] = (), said_done: str = "") -> Iterator[None]:
    """Converts the library's errors to ours; a status in `done`, or an explanation with `said_done`, means
    that there was nothing to do."""
    try:
        yield
    except APIError as error:
        status = error.status_code
        if status in done or (said_done and said_done in str(error.explanation)):
            return
        if status in AWAY:
            raise BackendUnavailable(said(error)) from error
        raise PermanentError(said(error)) from error
    except requests.exceptions.ReadTimeout as error:
        raise Unanswered(f"no answer from the engine within {CALL_TIMEOUT_S} s") from error
    except (requests.exceptions.RequestException, DockerException, OSError, HTTPError) as error:
        raise BackendUnavailable(said(error), hopeless=is_hopeless(error)) from error
    except UNEXPECTED as error:
        why = f"this is not an answer of a Docker engine ({type(error).__name__})"
        raise BackendUnavailable(why) from error


@contextmanager
def asking() -> Iterator[None]:
    """Like `errors`, for requests that only read: a refusal is temporary, as the engine may answer later."""
    try:
        with errors():
            yield
    except PermanentError as error:
        raise BackendUnavailable(str(error)) from error


def messages(stream: Iterable[Any]) -> Iterator[Any]:
    """Iterates over the stream's messages."""
    # Only errors of the stream are converted: those in the handling of an event are not its fault.
    with asking():
        for message in stream:  # noqa: UP028 - `yield from` would close it, too, though it may have ended
            yield message
