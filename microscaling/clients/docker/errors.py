"""What a Docker engine, or a proxy in front of it, says when it does not do what it was asked."""

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
"""How proxies refuse: 405 if they know no rule for the method."""
AWAY = (502, 503, 504)
"""503 is the engine's own word too; the others are a proxy's whose engine is gone."""
ID = re.compile(r"(?<=/)[0-9a-f]{64}(?=/|$)")
NAME = re.compile(r"^/(images|networks)/.+/(json|connect)$")
WAY_OUT = "allow it there; all requests of the agent are listed in docs/security.md"
MAX_SHOWN = 200
"""Characters of what a proxy says; a page for people is not shown at all."""
MAX_SAID = 400
"""Characters of what an engine says."""
_lock = threading.Lock()
_told: set[str] = set()


def said(error: Exception) -> str:
    """What went wrong, in one line. A request that is refused is named, and, once for each kind of
    request, said in a line of its own with the way out: some failures concern nobody but the log.

    The answer may be that of the cause: the library wraps the one to its first question.
    """
    api_error = next((e for e in (error, error.__cause__) if isinstance(e, APIError)), None)
    if api_error is None or api_error.response is None:
        return _one_line(error)
    answer = api_error.response
    explanation = _one_line(api_error.explanation or "")
    if _is_of_engine(answer):
        return explanation or _one_line(error)
    why = "" if not explanation or explanation.startswith("<") else f": {explanation[:MAX_SHOWN]}"
    request = request_named(answer.request.method or "", answer.request.url or "")
    if answer.status_code not in REFUSED:
        return f"HTTP {answer.status_code} for {request}{why}"
    refused = f"{request} is refused (HTTP {answer.status_code}{why})"
    _say_once(request, refused)
    return refused


def request_named(method: str, url: str) -> str:
    """The request as the rules of a proxy have it: without the version and the query, with ID for a
    container's id, and NAME for the name of an image or network."""
    path = re.sub(r"^/v[0-9.]+(?=/)", "", urlsplit(url).path)
    return f"{method} " + NAME.sub(r"/\1/NAME/\2", ID.sub("ID", path))


def _is_of_engine(answer: requests.Response) -> bool:
    """Engines name their API's version; an authorisation plugin is asked before that, and refuses as
    a proxy does."""
    return "Api-Version" in answer.headers


def _say_once(request: str, refused: str) -> None:
    """Once a process: clients of the engine come and go, and many threads ask the same."""
    with _lock:
        first = request not in _told
        _told.add(request)
    if first:
        log.error("%s by the engine, or by a proxy in front of it: %s", refused, WAY_OUT)


def _one_line(error: object) -> str:
    return one_line(" ".join(str(error).split())[:MAX_SAID])
