"""HTTP requests to a container, with a total deadline and without any proxy."""

from __future__ import annotations

from microscaling.clients.http.deadline import deadline_pools, limit_call
from microscaling.demand.drain import Activity, Call
from microscaling.errors import PermanentError, TemporaryError
from microscaling.utils.text import cause_of

DEADLINE_S = 3.0
BUSY = (409, 503)


def probe(host: str, call: Call) -> Activity:
    """Returns the activity by the status of a GET: 2xx is idle, 409 and 503 busy. Raises TemporaryError
    without an answer."""
    status = _ask("GET", host, call)
    if 200 <= status < 300:
        return Activity.IDLE
    if status in BUSY:
        return Activity.BUSY
    raise PermanentError(f"the {call} is answered with HTTP {status}, and not with 2xx, 409 or 503")


def hook(host: str, call: Call) -> None:
    """Sends a POST. Raises TemporaryError without an answer, PermanentError for any status but 2xx."""
    status = _ask("POST", host, call)
    if not 200 <= status < 300:
        raise PermanentError(f"the {call} is answered with HTTP {status}")


def _ask(method: str, host: str, call: Call) -> int:
    from urllib3.exceptions import HTTPError

    # Not by requests: a proxy of the environment cannot reach a container.
    pool = deadline_pools()["http"](host, call.port, maxsize=1)
    limit_call(DEADLINE_S)
    try:
        answer = pool.urlopen(method, call.path, retries=False, redirect=False, preload_content=False)
        answer.close()
        return int(answer.status)
    except (HTTPError, OSError) as error:
        raise TemporaryError(f"the {call} of {host} is not answered: {_why(error)}") from error
    finally:
        pool.close()


def _why(error: Exception) -> str:
    # urllib3 wraps the error of the system, whose words are enough.
    inner = next((part for part in error.args if isinstance(part, OSError)), error)
    return cause_of(inner, getattr(inner, "strerror", None))
