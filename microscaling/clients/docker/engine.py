"""The choice of the Docker engine: by DOCKER_HOST, by a Docker context, or the default.

Contexts are read here and not by the library's `docker.context`: that takes its folder from the process's
environment, finds none without a config.json, uses TLS material only if all three files exist, and
raises plain Exceptions. (Their form: docker/cli, cli/context/store.)
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.clients.docker.address import DEFAULT_HOST, DEFAULT_SOCKET, checked
from microscaling.clients.docker.sockets import denial, denied
from microscaling.errors import ConfigError
from microscaling.utils.small_file import read_small
from microscaling.utils.text import one_line, quoted

log = logging.getLogger("mssagent")

MAX_BYTES = 1 << 20
TLS_FILES = ("cert.pem", "key.pem", "ca.pem")
NO_CONTEXT = "default"
"""The name for "no context" in Docker's own client."""


@dataclass(frozen=True)
class ChosenEngine:
    """An engine, the way to reach it, and, in words, the reason for the choice."""

    host: str
    why: str
    tls_verify: bool = False
    cert_path: str = ""
    """Folder of the files in TLS_FILES; with it, or with `tls_verify`, TCP connections use TLS."""


def choose(environ: Mapping[str, str]) -> ChosenEngine:
    """Returns the engine for these variables.

    DOCKER_HOST goes before DOCKER_CONTEXT, as in Docker's own client. The current context, of
    `docker context use`, counts only if the default socket does not exist. Raises ConfigError for an
    engine that can never work.
    """
    folder = _config_folder(environ)
    host, name = environ.get("DOCKER_HOST", "").strip(), environ.get("DOCKER_CONTEXT", "").strip()
    if host:
        before = f", which goes before DOCKER_CONTEXT={one_line(name)}" if name else ""
        return _of_variables(host, f"from DOCKER_HOST{before}", environ, folder)
    if name not in ("", NO_CONTEXT):
        return _of_context(
            name, f"from the context {quoted(name)} (DOCKER_CONTEXT)", folder, "DOCKER_CONTEXT: "
        )
    # The default socket goes before the current context, because the Go agent knew no contexts.
    current, unused = "" if name else _current_context(folder), ""
    if current and os.path.exists(DEFAULT_SOCKET):
        unused = f"; the current context {quoted(current)} counts with DOCKER_CONTEXT={one_line(current)}"
    elif current:
        why = f"from the current context {quoted(current)}, as there is no {DEFAULT_SOCKET}"
        try:
            return _of_context(current, why, folder)
        except ConfigError as error:  # not chosen for the agent, and the default socket may still appear
            unused = f"; it cannot be used: {error}"
    why = (
        "by DOCKER_CONTEXT=default" if name else "the default, as DOCKER_HOST and DOCKER_CONTEXT are not set"
    )
    return _of_variables(DEFAULT_HOST, why + unused, environ, folder)


def check_rights(engine: ChosenEngine) -> None:
    """Raises ConfigError if this user may not use the engine's socket."""
    # A process keeps the groups that it had at its start, so waiting would not help.
    path = engine.host.removeprefix("unix://")
    why = "" if path == engine.host else denial(path)
    if why:
        raise ConfigError(denied(f"{engine.host} ({engine.why})", why))


def _of_variables(address: str, why: str, environ: Mapping[str, str], folder: str) -> ChosenEngine:
    """Returns the engine at an address, with TLS by DOCKER_TLS_VERIFY and DOCKER_CERT_PATH."""
    verify, path = bool(environ.get("DOCKER_TLS_VERIFY")), environ.get("DOCKER_CERT_PATH", "")
    host = checked(address, "DOCKER_HOST", tls=verify or bool(path))
    if _is_local(host) or not (verify or path):
        return ChosenEngine(host, why)
    place = "DOCKER_CERT_PATH" if path else "DOCKER_TLS_VERIFY"
    path = path or folder
    files = _certificates(path, place)
    if place == "DOCKER_CERT_PATH" and ("ca.pem" not in files if verify else not files):
        raise ConfigError(f"{place}: there is no {'ca.pem' if verify else 'cert.pem'} in {one_line(path)}")
    return ChosenEngine(host, f"{why}; {_with(files, path, verify)}", verify, path if files else "")


def _of_context(name: str, why: str, folder: str, variable: str = "") -> ChosenEngine:
    place = f"{variable}the context {quoted(name)}"
    id = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
    endpoint = _endpoint(os.path.join(folder, "contexts", "meta", id, "meta.json"), place, folder)
    path = os.path.join(folder, "contexts", "tls", id, "docker")
    files = _certificates(path, place)
    verify = not endpoint.get("SkipTLSVerify")
    tls = bool(files) or not verify
    host = checked(str(endpoint.get("Host") or DEFAULT_HOST), place, tls)
    if _is_local(host) or not tls:
        return ChosenEngine(host, why)
    return ChosenEngine(host, f"{why}; {_with(files, path, verify)}", verify, path)


def _endpoint(path: str, place: str, folder: str) -> dict[str, Any]:
    if not os.path.exists(path):
        known = ", ".join(_contexts(folder)) or "none"
        raise ConfigError(f"{place} does not exist in {one_line(folder)}; there is: {known}")
    try:
        endpoint = json.loads(read_small(path, MAX_BYTES))["Endpoints"]["docker"]
        if isinstance(endpoint, dict) and isinstance(endpoint.get("Host", ""), str):
            return endpoint
        raise TypeError("it has no address")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ConfigError(f"{place} cannot be used: {one_line(path)}: {one_line(str(error))[:80]}") from None


def _contexts(folder: str) -> list[str]:
    """Returns the names of the existing contexts."""
    meta, names = os.path.join(folder, "contexts", "meta"), []
    for id in os.listdir(meta) if os.path.isdir(meta) else ():
        try:
            names.append(quoted(json.loads(read_small(f"{meta}/{id}/meta.json", MAX_BYTES))["Name"]))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue
    return sorted(names)


def _current_context(folder: str) -> str:
    """Returns the choice of `docker context use`; "" if there is none, or if it cannot be read."""
    path = os.path.join(folder, "config.json")
    if not os.path.exists(path):
        return ""
    try:
        name = json.loads(read_small(path, MAX_BYTES)).get("currentContext") or ""
    except (ValueError, AttributeError, RecursionError) as error:
        log.debug("no current context: %s: %s", path, error)
        return ""
    return name if isinstance(name, str) and name != NO_CONTEXT else ""


def _config_folder(environ: Mapping[str, str]) -> str:
    """Returns Docker's folder: DOCKER_CONFIG, else .docker in the user's home; os.devnull without a home."""
    if environ.get("DOCKER_CONFIG"):
        return environ["DOCKER_CONFIG"]
    try:
        home = environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # a user of a container need not be listed anywhere
        return os.devnull
    return os.path.join(home, ".docker")


def _certificates(folder: str, place: str) -> list[str]:
    """Returns the existing ones of TLS_FILES. Raises ConfigError if they cannot be used."""
    import ssl  # only here: most engines are at a socket, and the module takes time to load

    files = [name for name in TLS_FILES if os.path.exists(os.path.join(folder, name))]
    if ("cert.pem" in files) != ("key.pem" in files):
        raise ConfigError(f"{place}: {one_line(folder)} needs both cert.pem and key.pem, or neither")
    cert, key, ca = (os.path.join(folder, name) for name in TLS_FILES)
    context, path = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca
    try:
        if "ca.pem" in files:
            context.load_verify_locations(ca)
        if "cert.pem" in files:
            path = cert
            # `str` gives an empty password: OpenSSL would ask at the terminal for that of an encrypted key.
            context.load_cert_chain(cert, key, password=str)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{place}: {one_line(path)} (or its key) cannot be used: {one_line(why)}") from None
    return files


def _is_local(host: str) -> bool:
    return not host.startswith(("tcp://", "https://"))


def _with(files: list[str], folder: str, verify: bool) -> str:
    used = [name for name in files if verify or name != "ca.pem"]
    by = f" with {', '.join(used)} of {one_line(folder)}" if used else ""
    authorities = "" if not verify or "ca.pem" in used else ", the authorities of this system are trusted"
    return f"TLS{by}{authorities}{'' if verify else ', its certificate is not checked'}"
