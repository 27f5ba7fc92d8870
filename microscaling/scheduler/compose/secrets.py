"""Secrets that Compose writes into a container between its create and its start."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any

import docker
from docker.errors import APIError

from microscaling.clients.docker.errors import REFUSED, said

FOLDER = "/run/secrets"
ADDED = 1
"""The kind of a change in GET /containers/ID/changes."""


def carry_secrets(client: docker.APIClient, original: Mapping[str, Any], copy: str) -> None:
    """Copies the secrets of Compose's container that are files of its own layer; no inspect shows them.

    A proxy in front of the engine may refuse that, which is logged once: most services have no such secrets.
    """
    try:
        _carry(client, original, copy)
    except APIError as error:
        if error.status_code not in REFUSED:
            raise
        said(error)


def _carry(client: docker.APIClient, original: Mapping[str, Any], copy: str) -> None:
    # Those of files are mounts, which the copy has by itself.
    mounted = {str(mount.get("Destination")) for mount in original.get("Mounts") or ()}
    if not any(_is_secret(change, mounted) for change in client.diff(original["Id"]) or ()):
        return
    chunks, _ = client.get_archive(original["Id"], FOLDER)
    # To the root, as an image may have no folder /run.
    client.put_archive(copy, "/", _below(FOLDER.rpartition("/")[0].lstrip("/"), b"".join(chunks)))


def _below(folder: str, archive: bytes) -> bytes:
    """Returns an archive with all its entries in a folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for entry in old:
            content = old.extractfile(entry) if entry.isreg() else None
            entry.name = f"{folder}/{entry.name}"
            new.addfile(entry, content)
    return packed.getvalue()


def _is_secret(change: Mapping[str, Any], mounted: Iterable[str]) -> bool:
    path = str(change.get("Path"))
    return change.get("Kind") == ADDED and path.startswith(f"{FOLDER}/") and path not in mounted
