"""Logins for private registries, from the user's docker config file."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microscaling.clients.oci.name import DOCKER_IO
from microscaling.utils.text import clean, short

log = logging.getLogger("mssconfig")

DOCKER_IO_KEY = "https://index.docker.io/v1/"
"""The key of docker.io in that file, and for credential helpers."""
DOCKER_IO_HOSTS = ("index.docker.io", "registry-1.docker.io")
TOKEN_USER = "<token>"  # nosec B105  # the helpers' protocol says so
"""The user in a helper's answer whose secret is an identity token."""
HELPER_S = 10.0
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Login:
    """A user and a password, or an identity token for the token server of the registry."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def config_path(environ: Mapping[str, str]) -> Path:
    """Returns the path of the docker config file: in the folder DOCKER_CONFIG, else in ~/.docker."""
    folder = environ.get("DOCKER_CONFIG") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".docker"
    )
    return Path(folder, "config.json")


def find_login(registry: str, environ: Mapping[str, str]) -> Login | None:
    """Returns the login for a registry; None if there is none. Problems with the file, or with a helper,
    are logged as warnings."""
    path = config_path(environ)
    config = _read(path)
    key = DOCKER_IO_KEY if registry == DOCKER_IO else registry
    helper = _mapping(config.get("credHelpers")).get(key) or config.get("credsStore")
    found = _from_helper(helper, key, path, environ) if helper else None
    if found is None:
        entry = _entry(_mapping(config.get("auths")), registry, key)
        found = _from_entry(entry, registry, path)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(MAX_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("%s cannot be read, so no registry gets a login: %s", path, error.strerror)
        return {}
    except (ValueError, RecursionError):
        log.warning("%s is not JSON, so no registry gets a login", path)
        return {}
    return _mapping(config)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _entry(auths: Mapping[str, Any], registry: str, key: str) -> dict[str, Any]:
    """Returns the entry under exactly this name, else one under a URL or path of this host."""
    if key in auths:
        return _mapping(auths[key])
    return next((_mapping(entry) for name, entry in auths.items() if _host(name) == registry), {})


def _host(name: str) -> str:
    host = re.sub(r"^https?://", "", name).partition("/")[0]
    return DOCKER_IO if host in DOCKER_IO_HOSTS else host


def _from_entry(entry: Mapping[str, Any], registry: str, path: Path) -> Login | None:
    texts = {k: clean(v) for k, v in entry.items() if isinstance(v, str) and v}
    if "identitytoken" in texts:
        return Login(identity_token=texts["identitytoken"])
    if "auth" not in texts:
        user, password = texts.get("username", ""), texts.get("password", "")
        return Login(user, password) if user else None
    try:
        user, colon, password = base64.b64decode(texts["auth"]).decode().partition(":")
    except ValueError:  # of either step
        colon = ""
    if not colon:
        log.warning("%s: the login for %s cannot be read", path, registry)
        return None
    return Login(user, password.strip("\0"))  # as Docker's own client


def _from_helper(name: object, key: str, path: Path, environ: Mapping[str, str]) -> Login | None:
    """Returns the login from the program docker-credential-NAME; None if it has none (the protocol of
    docker-credential-helpers: the registry on standard input, JSON with Username and Secret on standard
    output)."""
    program = f"docker-credential-{name}"
    found = shutil.which(program, path=environ.get("PATH")) if _is_name(name) else None
    if found is None:
        log.warning("%s names the helper %s, which is not there", path, short(program))
        return None
    try:
        done = subprocess.run(  # nosec B603  # no shell; the name was looked at, and the user wrote it
            [found, "get"], input=key.encode(), capture_output=True, timeout=HELPER_S, env=dict(environ)
        )
        answer = _mapping(json.loads(done.stdout)) if done.returncode == 0 else {}
    except subprocess.TimeoutExpired:
        log.warning("%s has not answered within %g s", program, HELPER_S)
        return None
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s has no answer that can be read: %s", program, type(error).__name__)
        return None
    user, secret = answer.get("Username"), answer.get("Secret")
    if not isinstance(user, str) or not isinstance(secret, str) or not secret:
        log.debug("%s has no login for %s", program, key)
        return None
    user, secret = clean(user), clean(secret)
    return Login(identity_token=secret) if user == TOKEN_USER else Login(user, secret)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w.-]+", name) is not None
