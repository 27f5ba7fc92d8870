"""Options of a container that an engine refuses together."""

from __future__ import annotations

from collections.abc import Iterable

from microscaling.api.schema.section import Section
from microscaling.demand.container import ContainerOptions, Mount
from microscaling.utils.text import quoted

HOST = "host"
CONTAINER = "container:"
ALONE = (HOST, "none")
"""A container of one of these networks can be in no other."""


def check_together(config: Section, mode: str, options: ContainerOptions) -> None:
    """Notes a problem for each such option: with a create that is refused, or a start that fails, the task
    would only back off for ever."""
    _check_network(config, mode, options)
    _check_memory(config, options)
    _check_targets(config, options.mounts)


def _check_network(config: Section, mode: str, options: ContainerOptions) -> None:
    """Notes a problem for each option that engines refuse with this network."""
    if options.ports and mode == HOST:
        config.notes.problem(
            config.at("ports"),
            "the containers are on the host's network, where no port can be published: add "
            '"networkMode": "bridge", or networks',
        )
    sysctls = options.request.get("HostConfig.Sysctls", {})
    if mode == HOST and any(name.startswith("net.") for name in sysctls):
        config.notes.problem(
            config.at("sysctls"),
            "the containers are on the host's network, the net. settings of which are the host's: add "
            '"networkMode": "bridge", or networks',
        )
    for key in ("ports", "hostname", "dns", "extra_hosts"):
        if mode.startswith(CONTAINER) and config.take(key) is not None:
            config.notes.problem(
                config.at(key), f"is that of the other container with networkMode {mode}: leave it out"
            )
    alone = next((name for name in options.networks if name in ALONE), None)
    if alone and len({*options.networks}) > 1:
        config.notes.problem(
            config.at("networks"), f"a container of {alone} can be in no other network: give only one"
        )


def _check_memory(config: Section, options: ContainerOptions) -> None:
    # Of these two keys only one is there; 0 is no limit.
    most = options.memory or options.request.get("HostConfig.Memory", 0)
    both, least = (
        options.request.get(f"HostConfig.{name}", 0) for name in ("MemorySwap", "MemoryReservation")
    )
    if both > 0 and not most:
        config.notes.problem(config.at("memswap_limit"), "needs memory, of which it is the sum with the swap")
    elif 0 < both < most:
        config.notes.problem(
            config.at("memswap_limit"),
            f"is {both} bytes, below memory, {most}: it is memory and swap together",
        )
    if 0 < most < least:
        place = "mem_reservation" if config.take("mem_reservation") is not None else "deploy"
        config.notes.problem(
            config.at(place),
            f"reserves {least} bytes, above the limit of memory, which is {most}: lower it or raise that",
        )


def _check_targets(config: Section, mounts: Iterable[Mount]) -> None:
    seen: set[str] = set()
    for mount in mounts:
        if mount.target in seen:
            config.notes.problem(
                config.place, f"two of volumes, secrets and configs are at {quoted(mount.target)}: move one"
            )
        seen.add(mount.target)
