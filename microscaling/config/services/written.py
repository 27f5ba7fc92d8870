"""Files that Compose has written into a container: configs with their content in the Compose file."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import docker
import requests
from docker.errors import APIError, create_api_error_from_http_exception

from microscaling.clients.docker.copied_files import COPY_FILES, copied_files
from microscaling.clients.docker.errors import REFUSED, said
from microscaling.clients.docker.stat import LINK, PATH_STAT, seconds_of

log = logging.getLogger("mssconfig")

ADDED = 1
"""The kind of a change in GET /containers/ID/changes."""
SECRETS = "/run/secrets"
"""Copies get what is in there without a label."""
NEAR_S = 3.0
"""From its create, a container gets such files within this time."""
MOST = 50
"""Files that are looked at: a container that has been at work for long may have added thousands."""


def problems_of_files(client: docker.APIClient, inspected: Mapping[str, Any]) -> list[str]:
    """Returns a warning if Compose has written files into a container that copies will not have."""
    labels = inspected["Config"].get("Labels") or {}
    try:
        known = copied_files(labels)
        paths = [path for path in _written(client, inspected) if not _covered(path, known)]
    except ValueError:  # the reader of labels reports it
        return []
    except APIError as error:
        # This is only a warning, so it is no trouble if the engine does not know.
        if error.status_code in REFUSED:
            said(error)
        log.debug("changes of %s cannot be read: %s", inspected["Id"], error)
        return []
    if not paths:
        return []
    listed = ", ".join(f'"{path}"' for path in sorted({*paths, *known}))
    return [
        f"its copies do not get {', '.join(paths)}, which Compose has written into its container, as it does "
        f"for a config with `content` or `environment`: add the label {COPY_FILES}: '[{listed}]', or use "
        "a config with `file`"
    ]


def _written(client: docker.APIClient, inspected: Mapping[str, Any]) -> Iterator[str]:
    """Yields the files that were there before the program of the container wrote its own."""
    mounted = [str(mount.get("Destination")) for mount in inspected.get("Mounts") or ()]
    added = [str(c.get("Path")) for c in client.diff(inspected["Id"]) or () if c.get("Kind") == ADDED]
    # Configs are seldom deep in a tree. A folder with something in it is no file.
    files = [path for path in added if not any(other.startswith(f"{path}/") for other in added)]
    files = [path for path in files if not _covered(path, (*mounted, SECRETS))]
    for path in sorted(files, key=lambda path: (path.count("/"), path))[:MOST]:
        if _is_composes(_stat(client, inspected["Id"], path), inspected):
            yield path


def _stat(client: docker.APIClient, id: str, path: str) -> Mapping[str, Any]:
    """Returns what the engine has about a file, without its content."""
    url = f"{client.base_url}/v{client.api_version}/containers/{id}/archive"
    answer = client.head(url, params={"path": path}, timeout=client.timeout)
    if answer.status_code == requests.codes.not_found:  # removed meanwhile
        return {}
    try:
        answer.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)
    found = json.loads(base64.b64decode(answer.headers.get(PATH_STAT, "e30=")))
    return found if isinstance(found, dict) else {}


def _is_composes(stat: Mapping[str, Any], inspected: Mapping[str, Any]) -> bool:
    changed, created = seconds_of(stat.get("mtime")), seconds_of(inspected.get("Created"))
    if changed is None or created is None or int(stat.get("mode") or 0) & LINK:
        return False
    # It comes in an archive, whose times have no fractions of a second. What programs write has.
    return changed == int(changed) and abs(changed - created) <= NEAR_S


def _covered(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders)
