"""Proxies of a project that ask for a name only once: they never use a copy.

Only the stock configurations of nginx, HAProxy and Caddy are looked at, in the places that their images have
for them.
"""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError

from microscaling.clients.docker.compose import PROJECT, SERVICE, is_copy
from microscaling.clients.docker.on_change_labels import is_on_change
from microscaling.utils.text import one_line

MAX_BYTES = 2**20
"""Longest archive with a configuration."""
PAGE = "docs/web.md"


@dataclass(frozen=True, slots=True)
class Kind:
    """One proxy."""

    name: str
    places: tuple[str, ...]
    """Its configuration: files, or folders of files."""
    once: str
    """A pattern for a line that names a service only once; {} stands for the name."""
    way: str
    """The way out."""


KINDS = (
    Kind(
        "nginx",
        ("/etc/nginx/nginx.conf", "/etc/nginx/conf.d"),
        r"(?:proxy_pass\s+https?://{0}(?::\d+)?[/;\s]|server\s+{0}(?::\d+)?(?:\s(?!.*\bresolve\b)[^;]*)?;)",
        "give it a resolver, and the name as a variable",
    ),
    Kind(
        "haproxy",
        ("/usr/local/etc/haproxy/haproxy.cfg", "/etc/haproxy/haproxy.cfg"),
        r"server\s+\S+\s+{0}(?::\d+)?(?:\s|$)",
        "use server-template with resolvers",
    ),
    Kind(
        "caddy",
        ("/etc/caddy/Caddyfile",),
        r"(?:reverse_proxy\s[^{{\n]*|to\s[^\n]*)(?<![\w.-]){0}(?::\d+)?(?=\s|$)",
        "use dynamic a",
    ),
)


def static_names(client: docker.APIClient, project: str, services: Iterable[str]) -> Iterator[str]:
    """Yields a sentence for each proxy of a project that asks for the name of one of these services only
    once, or whose configuration cannot be read. Raises the errors of the library."""
    names = sorted(services)
    seen: set[str] = set()
    for one in client.containers(filters={"label": f"{PROJECT}={project}"}):
        labels = one.get("Labels") or {}
        proxy, kind = str(labels.get(SERVICE)), kind_of(str(one.get("Image") or ""))
        # One that loads its configuration anew after each change asks for the name as often.
        if kind is None or proxy in seen | set(names) or is_copy(labels) or any(map(is_on_change, labels)):
            continue
        seen.add(proxy)
        yield from _of(client, one, proxy, kind, names)


def kind_of(image: str) -> Kind | None:
    """Returns the proxy that an image is named after; None if it is none."""
    # Registries and versions differ, the last part of the name is the program's: bitnami/nginx:1.25.
    name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return next((kind for kind in KINDS if kind.name in re.split(r"[-_.]", name)), None)


def once_named(kind: Kind, text: str, name: str) -> str:
    """Returns the line of a configuration that names a service only once; "" if there is none."""
    pattern = re.compile(kind.once.format(re.escape(name)))
    for line in text.splitlines():
        bare = line.partition("#")[0].strip()
        if pattern.search(bare):
            return bare
    return ""


def _of(
    client: docker.APIClient, one: Mapping[str, Any], proxy: str, kind: Kind, names: list[str]
) -> Iterator[str]:
    text = "\n".join(_texts(client, one["Id"], kind))
    if not text:
        yield (
            f"service {proxy} looks like {kind.name}, and its configuration cannot be read from here: if it "
            f"names {' or '.join(names)} only once, it uses no copy: {PAGE}"
        )
    for name in names:
        line = once_named(kind, text, name)
        if line:
            yield one_line(
                f"service {proxy}: {kind.name} asks for {name} only once, as it begins ({line[:60]}), and "
                f"never uses a copy: {kind.way}, or the label microscaling.on-change.signal: {PAGE}"
            )


def _texts(client: docker.APIClient, id: str, kind: Kind) -> Iterator[str]:
    for place in kind.places:
        # A proxy in front of the engine may not let it through, and most have only one of the files.
        with contextlib.suppress(APIError, tarfile.TarError, ValueError):
            chunks, _ = client.get_archive(id, place)
            archive = bytearray()
            for chunk in chunks:
                archive += chunk
                if len(archive) > MAX_BYTES:
                    raise ValueError
            with tarfile.open(fileobj=io.BytesIO(bytes(archive))) as files:
                for entry in files:
                    content = files.extractfile(entry) if entry.isreg() else None
                    if content is not None:
                        yield content.read().decode("utf-8", "replace")
