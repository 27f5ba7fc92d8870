"""Words for an engine that cannot be reached: which one, the cause, and the way out, as Docker's own client
has them."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
from docker.errors import APIError, DockerException

from microscaling.clients.docker.sockets import denial, denied, others
from microscaling.utils.text import one_line

RUNNING = "is the docker daemon running?"
NOT_TRUSTED = "its certificate is not one of the authority in DOCKER_CERT_PATH (ca.pem)"
OTHER_NAME = (62, 63, 64)
"""OpenSSL's codes for a certificate of another host, e-mail address or IP address."""
MAY_PASS = (9, 10)
"""A certificate that is not valid yet, or no longer: a clock is set, a certificate renewed."""
NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
TURNED_AWAY = ("UNKNOWN_CA", "CERTIFICATE", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
"""Parts of the names of TLS alerts by which an engine refuses a client's certificate."""
WANTS_TLS = "HTTP request to an HTTPS server"


class Unreachable(DockerException):
    """No connection to the engine. `hopeless`: only a person can mend the cause."""

    def __init__(self, text: str, hopeless: bool) -> None:
        super().__init__(text)
        self.hopeless = hopeless


def is_hopeless(error: Exception) -> bool:
    """Whether only a person can mend the cause of an error of the library."""
    return isinstance(error, Unreachable) and error.hopeless


def explained(error: Exception, host: str, chosen: str) -> Exception:
    """Returns the error of a first contact in words, or the error itself if the engine, or a proxy, has
    answered. `chosen` is how the engine was chosen."""
    answer = next((e for e in _causes(error) if isinstance(e, APIError)), None)
    if answer is not None and WANTS_TLS not in str(answer.explanation):
        return error
    engine = f"{host} ({chosen})" if chosen else host
    cause = next((e for e in _causes(error) if _is_of_system(e)), None)
    if host.startswith("unix://") and cause is not None:
        return _at_socket(cause, host.removeprefix("unix://"), engine)
    if answer is not None:
        why, hopeless = "it talks TLS: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH", True
    elif isinstance(cause, ssl.SSLError):
        why, hopeless = _of_tls(cause)
    elif cause is not None:
        why, hopeless = _of_tcp(cause, host), False
    else:
        return error
    return Unreachable(f"cannot connect to the Docker daemon at {engine}: {why}", hopeless)


def _at_socket(cause: Exception, path: str, engine: str) -> Unreachable:
    number = getattr(cause, "errno", None)
    if isinstance(cause, PermissionError):
        why = denial(path)
        return Unreachable(denied(engine, why), hopeless=bool(why))
    cannot = f"cannot connect to the Docker daemon at {engine}"
    if number not in (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED):
        return Unreachable(f"{cannot}: {_text(cause)}; {RUNNING}", hopeless=False)
    what = "nothing listens on that socket" if number == errno.ECONNREFUSED else "there is no such socket"
    there = others(path, os.environ)
    if there:
        way_out = "or choose one that is here: DOCKER_HOST=" + " or ".join(f"unix://{one}" for one in there)
    else:
        way_out = "or choose another with DOCKER_HOST (`docker context ls`); MSS_SCHEDULER=PROCESS needs none"
    return Unreachable(f"{cannot}: {what}; {RUNNING} Start it, {way_out}", hopeless=False)


def _of_tls(error: ssl.SSLError) -> tuple[str, bool]:
    """Returns the cause, and whether it is hopeless."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = one_line(error.verify_message)
        if error.verify_code in MAY_PASS:
            return f"its certificate: {said}", False
        why = "its certificate is for another host" if error.verify_code in OTHER_NAME else NOT_TRUSTED
        return f"{why}: {said}", True
    reason = error.reason or ""
    if reason in NOT_TLS:
        where = "use its port with TLS, often 2376, or unset DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"
        return f"it gave an HTTP response to an HTTPS client; {where}", True
    if "ALERT" in reason and any(part in reason for part in TURNED_AWAY):
        needed = "cert.pem and key.pem of an authority that it knows, in DOCKER_CERT_PATH"
        return f"it refuses this client's certificate ({reason}); it needs {needed}", True
    return f"TLS fails: {_text(error)}", False


def _of_tcp(error: Exception, host: str) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host {one_line(urlsplit(host).hostname or '')} is not found ({_text(error)})"
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused; {RUNNING} Does it listen there? DOCKER_HOST chooses another"
    if isinstance(error, TimeoutError):
        return f"no answer in time; {RUNNING}"
    return f"{_text(error)}; {RUNNING}"


def _is_of_system(error: Exception) -> bool:
    # Errors of requests are OSErrors too, and only wrap the one that says something.
    return isinstance(error, OSError) and not isinstance(error, requests.exceptions.RequestException)


def _causes(error: BaseException) -> Iterator[Exception]:
    """Yields an error and all that it wraps, the outermost first."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Exception):
            yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [e for e in inner if isinstance(e, BaseException)]


def _text(error: Exception) -> str:
    return one_line(getattr(error, "strerror", None) or str(error))
