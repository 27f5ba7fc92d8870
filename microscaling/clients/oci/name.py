"""Names of images, split by the rules of the engine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from microscaling.clients.http.proxies import is_loopback
from microscaling.errors import ConfigError
from microscaling.utils.text import quoted

# Docker's grammar of references (distribution/reference).
COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
HOST = rf"(?:{LABEL}(?:\.{LABEL})*|\[[0-9a-fA-F:]+\])"
PATH = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
REGISTRY = re.compile(rf"{HOST}(?::[0-9]{{1,5}})?")
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
MAX_LENGTH, MAX_PATH = 1024, 255
DOCKER_IO = "docker.io"


@dataclass(frozen=True)
class ImageName:
    """`registry` is a host with or without a port, `reference` a tag or a digest."""

    registry: str
    repository: str
    reference: str

    @property
    def endpoint(self) -> str:
        """The host of this registry's API, which is another one for docker.io."""
        return "registry-1.docker.io" if self.registry == DOCKER_IO else self.registry

    @property
    def local(self) -> bool:
        """Whether the registry is on this machine, where plain HTTP is allowed."""
        return is_loopback(re.sub(r":[0-9]+$", "", self.registry).strip("[]"))

    def __str__(self) -> str:
        mark = "@" if DIGEST.fullmatch(self.reference) else ":"
        return f"{self.registry}/{self.repository}{mark}{self.reference}"


def parse_name(image: str) -> ImageName:
    """Parses the name of an image. Raises ConfigError if it is not valid.

    The part before the first slash is a registry if it has a dot, a colon or a capital in it or is
    `localhost`; else the image is docker.io's, under `library` if it has no slash. A digest goes before a
    tag.
    """
    rest, _, digest = image.partition("@")
    first, slash, path = rest.partition("/")
    if not slash or not (set(first) & set(".:[") or first == "localhost" or first != first.lower()):
        first, path = DOCKER_IO, rest
    path, colon, tag = path.partition(":")
    registry = DOCKER_IO if first == f"index.{DOCKER_IO}" else first  # its former name
    if registry == DOCKER_IO and "/" not in path:
        path = f"library/{path}"
    good = (
        len(image) <= MAX_LENGTH
        and REGISTRY.fullmatch(registry)
        and PATH.fullmatch(path)
        and len(path) <= MAX_PATH
        and (not colon or TAG.fullmatch(tag))
        and ("@" not in image or DIGEST.fullmatch(digest))
    )
    if not good:
        raise ConfigError(f"{quoted(image)} is not the name of an image")
    return ImageName(registry, path, digest or tag or "latest")
