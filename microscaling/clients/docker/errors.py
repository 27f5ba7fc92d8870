"""Error texts for failed requests to a Docker engine, or to a proxy in front of it."""

from __future__ import annotations

import logging
import re
import threading
from urllib.parse import urlsplit

import requests
from docker.errors import APIError

from microscaling.utils.text import one_line

log = logging.getLogger("mssutils")

REFUSED = (401, 403, 405)
"""Statuses of a refusal by a proxy; 405 if it has no rule for the method."""
AWAY = (502, 503, 504)
"""Statuses of an engine that is away, sent by a proxy; 503 by the engine itself too."""
ID = re.compile(r"(?<=/)[0-9a-f]{64}(?=/|$)|((?<=/services/)|(?<=/configs/))[0-9a-z]{25}(?=/|$)")
NAME = re.compile(r"(?<=^/images/).+(?=/json$)|(?<=^/networks/)[^/]+(?=/(?:dis)?connect$|$)")
WAY_OUT = "allow it there; all requests of the agent are listed in docs/security.md"
MAX_SHOWN = 200
"""Characters of a proxy's answer in an error."""
MAX_SAID = 400
"""Characters of an engine's answer in an error."""
_lock = threading.Lock()
_told: set[str] = set()


def said(error: Exception) -> str:
    """Returns one line about an error of the library. A refused request is named, and also logged with the
    remedy, once for each kind of request.
    """
    # The library wraps the error of its first request, for the version, so the answer may be the cause's.
    api_error = next((e for e in (error, error.__cause__) if isinstance(e, APIError)), None)
    if api_error is None or api_error.response is None:
        return _one_line(error)
    answer = api_error.response
    explanation = _one_line(api_error.explanation or "")
    if _is_of_engine(answer):
        return explanation or _one_line(error)
    # The body of a proxy may be a page in HTML, for people, which is of no use in a log.
    why = "" if not explanation or explanation.startswith("<") else f": {explanation[:MAX_SHOWN]}"
    request = request_named(answer.request.method or "", answer.request.url or "")
    if answer.status_code not in REFUSED:
        return f"HTTP {answer.status_code} for {request}{why}"
    refused = f"{request} is refused (HTTP {answer.status_code}{why})"
    # Logged here, because some callers ignore the error: the remedy would be lost.
    _say_once(request, refused)
    return refused


def request_named(method: str, url: str) -> str:
    """Returns the request in the form of a proxy's rules: without version and query, with ID for a
    container's id, and NAME for the name of an image or network."""
    path = re.sub(r"^/v[0-9.]+(?=/)", "", urlsplit(url).path)
    return f"{method} " + NAME.sub("NAME", ID.sub("ID", path))


def _is_of_engine(answer: requests.Response) -> bool:
    """Whether the engine has answered, and not a proxy. An authorisation plugin counts as a proxy."""
    # Engines add the version of their API to the headers, but only after the authorisation.
    return "Api-Version" in answer.headers


def _say_once(request: str, refused: str) -> None:
    """Logs a refusal once per process and kind of request."""
    # Not once per client: clients come and go, and many threads send the same requests.
    with _lock:
        first = request not in _told
        _told.add(request)
    if first:
        log.error("%s by the engine, or by a proxy in front of it: %s", refused, WAY_OUT)


def _one_line(error: object) -> str:
    return one_line(" ".join(str(error).split())[:MAX_SAID])
