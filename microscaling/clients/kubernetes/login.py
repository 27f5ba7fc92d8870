"""Login at a Kubernetes API server, with the credentials of a kubeconfig or of the pod."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

import urllib3

from microscaling.clients.http.deadline import deadline_pools
from microscaling.clients.http.proxies import is_loopback
from microscaling.errors import ConfigError
from microscaling.utils.text import cause_of, one_line

try:
    from kubernetes import client, config
    from kubernetes.client.exceptions import ApiException
except ImportError:
    raise ConfigError(
        "MSS_SCHEDULER=KUBERNETES needs the package kubernetes: pip install '.[kubernetes]' in the clone"
    ) from None

__all__ = ["ApiException", "client", "hang_up", "log_in", "token_place"]

CONNECTIONS = 12
"""One for each thread that calls: 8 scale, one counts, one watches; and some to spare."""
QUOTED = re.compile(r"/?[{\[]")
"""The beginning of a quotation from the file, in an error of the library."""
OUTSIDE = (
    "MSS_KUBE_CONFIG: is empty, which means the credentials of the pod, but this does not run in one "
    "({0}); set it to the path of a kubeconfig"
)


def log_in(config_path: str) -> client.ApiClient:
    """Returns a client with the present credentials, tokens included: those of the kubeconfig, or, with an
    empty path, of this pod. Sends no request. Raises ConfigError.
    """
    settings = client.Configuration()
    try:
        if config_path:
            _readable(config_path)
            config.load_kube_config(config_path, client_configuration=settings, persist_config=False)
        else:
            config.load_incluster_config(client_configuration=settings)
        return _client(settings)
    except ConfigError:
        raise
    except Exception as error:  # for many mistakes in a file the library has no error of its own
        if not config_path:
            raise ConfigError(OUTSIDE.format(_told(error))) from None
        raise ConfigError(f"MSS_KUBE_CONFIG: {one_line(config_path)}: {_told(error)}") from None


def _told(error: Exception) -> str:
    """Returns the reason of a failure in a few words."""
    # Without the file's content, tokens and passwords: the library and the parser of YAML quote it.
    if mark := getattr(error, "problem_mark", None):
        context = getattr(error, "context", None) or "where it is wrong"
        return f"not YAML: {context}, line {mark.line + 1}, column {mark.column + 1}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if not isinstance(error, config.ConfigException):
        return f"is not of the form of a kubeconfig ({type(error).__name__})"
    said = " ".join(QUOTED.split(str(error), maxsplit=1)[0].split())
    return cause_of(error, said)


def _readable(path: str) -> None:
    """Raises ConfigError unless the file can be read. (The library takes a missing file for an empty one.)"""
    try:
        with open(path, "rb"):
            return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path of a file"
        raise ConfigError(f"MSS_KUBE_CONFIG: {one_line(path)}: cannot be read: {reason}") from None


def _client(settings: Any) -> client.ApiClient:
    settings.connection_pool_maxsize = CONNECTIONS
    settings.retries = urllib3.Retry(0)  # the callers retry, with delays of their own
    if is_loopback(urlsplit(settings.host).hostname or ""):
        settings.proxy = None
    made = client.ApiClient(settings)
    manager = made.rest_client.pool_manager
    if type(manager) in (urllib3.PoolManager, urllib3.ProxyManager):  # SOCKS has its own
        manager.pool_classes_by_scheme = deadline_pools()
    return made


def hang_up(used: client.ApiClient) -> None:
    """Closes the connections that are not in use at the moment. (The library leaves them to the garbage
    collector.)"""
    pools = used.rest_client.pool_manager.pools
    for key in pools.keys():  # noqa: SIM118 - it cannot be iterated over
        pool = pools.get(key)
        if pool is not None:
            pool.close()
    pools.clear()


def token_place(config_path: str) -> str:
    """Describes, for a person, the place where an expired token is to be renewed."""
    if config_path:
        return f"log in again, so that {one_line(config_path)} (MSS_KUBE_CONFIG) has valid ones"
    account = os.path.dirname(config.incluster_config.SERVICE_TOKEN_FILENAME)
    return f"those of the pod are in {account}: see whether its service account still exists"
