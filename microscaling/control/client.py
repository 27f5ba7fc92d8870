"""Asks the agents of this user, by their control sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

from microscaling.control.place import found_sockets
from microscaling.utils.text import one_line

TIMEOUT_S = 5.0


class AgentError(Exception):
    """An agent does not answer, or refuses."""


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path: str, what: str, **query: str) -> Any:
    """Returns the answer of the agent with this socket to a request, such as "GET /status". Raises
    ProcessLookupError if that agent has ended, LookupError if it knows no such thing, else AgentError."""
    method, _, place = what.partition(" ")
    connection = _Connection(path)
    try:
        connection.request(method, f"{place}?{urlencode(query)}" if query else place)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    except (FileNotFoundError, ConnectionRefusedError):
        raise ProcessLookupError(path) from None
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, (ConnectionResetError, BrokenPipeError)) and _has_ended(path):
            raise ProcessLookupError(path) from None
        raise AgentError(f"the agent at {one_line(path)} does not answer: {error}") from None
    finally:
        connection.close()
    if answer.status == 404:
        raise LookupError(body.get("error", ""))
    if answer.status == 400:
        raise AgentError(body.get("error", ""))  # a refusal, which is about a task and not about the agent
    if answer.status != 200:
        raise AgentError(f"the agent at {one_line(path)}: {body.get('error', answer.status)}")
    return body


def _has_ended(path: str) -> bool:
    """True if nothing listens at this socket any more: an agent that ends resets what waits."""
    connection = _Connection(path)
    try:
        connection.connect()
    except (FileNotFoundError, ConnectionRefusedError):
        return True
    except OSError:
        return False
    finally:
        connection.close()
    return False


def agents(environ: Mapping[str, str], silent: list[str] | None = None) -> list[tuple[str, Any]]:
    """Returns the sockets of all agents of this user that run, each with the agent's status. One that does
    not answer is noted in `silent`. Raises AgentError if none answers, and there is one."""
    found = []
    silent = [] if silent is None else silent
    for path in found_sockets(environ):
        try:
            found.append((path, ask(path, "GET /status")))
        except ProcessLookupError:
            # It was killed, and its socket stays until the next agent starts.
            continue
        except AgentError as error:
            silent.append(str(error))  # the others still have something to tell
    if silent and not found:
        raise AgentError(silent[0])
    return found
