"""Files that are in no inspect: those that Compose writes into a container between its create and its start,
and that its copies need as well."""

from __future__ import annotations

import contextlib
import io
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import docker
from docker.errors import APIError, NotFound

from microscaling.clients.docker.copied_files import COPY_FILES, copied_files
from microscaling.clients.docker.errors import REFUSED, said
from microscaling.errors import PermanentError

SECRETS = "/run/secrets"
ADDED = 1
"""The kind of a change in GET /containers/ID/changes."""
MAX_KNOWN = 1000
"""Containers that are remembered: every recreate is another one."""
MAX_BYTES = 16 * 2**20
"""Longest archive that is copied: it is held in memory, and a label may name any folder."""


class Files:
    """Copies files, and remembers which of Compose's containers have secrets in their layer."""

    def __init__(self) -> None:
        self._secrets: dict[str, bool] = {}
        """By id of a container that has been started."""

    def learn(self, client: docker.APIClient, original: Mapping[str, Any]) -> None:
        """Asks before the first copy is needed: an engine takes longer for that than for a create."""
        with contextlib.suppress(APIError):  # the first copy will show it
            self._has_secrets(client, original)

    def carry(self, client: docker.APIClient, original: Mapping[str, Any], copy: str) -> None:
        """Copies the secrets in the layer of Compose's container, and what its label says, into a copy that
        was not started yet. Raises PermanentError for a file that cannot be had."""
        if self._if_allowed(lambda: self._has_secrets(client, original)):
            self._if_allowed(lambda: _carry(client, original["Id"], SECRETS, copy))
        for path in _listed(original):
            try:
                _carry(client, original["Id"], path, copy)
            except NotFound:
                raise PermanentError(f"{COPY_FILES}: there is no {path} in the container to copy") from None

    def _if_allowed(self, call: Callable[[], bool | None]) -> bool:
        """Returns False if a proxy in front of the engine refuses the call, which is logged once: most
        services have no such secrets."""
        try:
            return bool(call())
        except APIError as error:
            if error.status_code not in REFUSED:
                raise
            said(error)
            return False

    def _has_secrets(self, client: docker.APIClient, original: Mapping[str, Any]) -> bool:
        known = self._secrets.get(original["Id"])
        if known is None:
            known = _has_secrets(client, original)
            # Compose writes them before the start, so until then they may be still to come.
            if original["State"].get("Status") != "created":
                if len(self._secrets) >= MAX_KNOWN:
                    self._secrets.clear()
                self._secrets[original["Id"]] = known
        return known


def _listed(original: Mapping[str, Any]) -> list[str]:
    try:
        return copied_files(original["Config"]["Labels"])
    except ValueError:  # reported when the service was found: a new label is a new configuration
        return []


def _has_secrets(client: docker.APIClient, original: Mapping[str, Any]) -> bool:
    # Those of files are mounts, which the copy has by itself.
    mounted = {str(mount.get("Destination")) for mount in original.get("Mounts") or ()}
    changes: Iterable[Mapping[str, Any]] = client.diff(original["Id"]) or ()
    added = (str(change.get("Path")) for change in changes if change.get("Kind") == ADDED)
    return any(path.startswith(f"{SECRETS}/") and path not in mounted for path in added)


def _carry(client: docker.APIClient, original: str, path: str, copy: str) -> None:
    chunks, _ = client.get_archive(original, path)
    # To the root, as the image may not have the folder.
    client.put_archive(copy, "/", _below(posixpath.dirname(path), _whole(chunks, path)))


def _whole(chunks: Iterable[bytes], path: str) -> bytes:
    archive = bytearray()
    for chunk in chunks:
        archive += chunk
        if len(archive) > MAX_BYTES:
            raise PermanentError(f"{path} has more than {MAX_BYTES >> 20} MiB: mount it as a volume")
    return bytes(archive)


def _below(folder: str, archive: bytes) -> bytes:
    """Returns an archive with all its entries in a folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for entry in old:
            content = old.extractfile(entry) if entry.isreg() else None
            entry.name = posixpath.join(folder.lstrip("/"), entry.name)
            if entry.islnk():
                entry.linkname = posixpath.join(folder.lstrip("/"), entry.linkname)
            new.addfile(entry, content)
    return packed.getvalue()
