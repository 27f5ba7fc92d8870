"""The names of containers in Docker's DNS, given and taken while they run.

An engine changes no names of a container that is connected. So it is disconnected from the network and
connected again at once with other names, which takes about 0.1 s: if it comes back with its address, all its
connections live on.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import docker
import requests
from docker.errors import APIError, create_api_error_from_http_exception

from microscaling.clients.docker.errors import REFUSED
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.containers.backend import Unanswered
from microscaling.scheduler.docker.addresses import check_stays, takes_wishes
from microscaling.scheduler.docker.calls import errors
from microscaling.scheduler.docker.names_file import Endpoint, NamesFile
from microscaling.utils.gate import Gate

log = logging.getLogger("mssscheduler")

CALL_S = 5.0
"""Deadline of one request."""
BACK_S = 8.0
"""For so long a container is put back before that is left to the next listing."""
GATE_S = 10.0
DOUBT_S = 30.0
"""For so long an engine may carry out a call that it has not answered."""
WAIT_S = (0.02, 0.5)
"""Shortest and longest pause between two tries to put a container back."""
BRIDGE = "bridge"
NOBODY = 64 * "0"
"""The id of no container."""
UNWISHED = "user specified IP address is supported only"
CONNECTED = "already exists in network"

IPV4, IPV6 = "IPv4Address", "IPv6Address"

Wish = Mapping[str, str]
"""The addresses that a container asks for, by kind."""
NO_WISH: Wish = {}
Names = Mapping[str, Endpoint]
"""By network, a container's connection."""


class DockerNames:
    """Gives and takes the names of one engine's containers, one container at a time, while none is started:
    that one would get the address."""

    def __init__(self, client: Callable[[], docker.APIClient], file: Callable[[], str]) -> None:
        self._client = client
        self._path = file
        self._gate = Gate()
        self._file: NamesFile | None = None
        self._wishes: dict[str, bool] = {}
        """By network, whether it gives a container the address that this asks for."""
        self._doubts: dict[str, float] = {}
        """By id, the time of a call that was not answered, monotonic seconds."""
        self._connects = False
        """A connect has not been refused by a filter in front of the engine."""
        self.used = False
        """There is a web task."""

    @property
    def file(self) -> NamesFile:
        """The names that were taken; read at the first use."""
        if self._file is None:
            self._file = NamesFile(self._path())
        return self._file

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Keeps exchanges out while a container is started."""
        if not self.used:
            yield
            return
        with contextlib.ExitStack() as stack:
            self._enter(stack, self._gate.together(GATE_S))
            yield

    def give(self, inspected: Mapping[str, Any], names: Names, keep: bool) -> str:
        """Gives a container its names. Returns its address. Raises Unsafe if that would change, and `keep`
        is set."""
        id = str(inspected["Id"])
        for network, endpoint in names.items():
            # One that is off the network is put back, whatever address it gets.
            if not has_names(inspected, network, endpoint):
                self._exchange(inspected, network, endpoint, names, keep)
        self.file.drop(id)
        return address_of(self._inspect(id), next(iter(names), ""))

    def take(self, inspected: Mapping[str, Any], names: Names, wishes: bool = True) -> None:
        """Takes the names of a container. Raises Unsafe if its address would change. `wishes`: it may ask
        for its address, and then has it for good."""
        own = str(inspected["Name"]).lstrip("/")
        left = {
            network: endpoint
            for network, endpoint in names.items()
            if _has_others(endpoint_of(inspected, network), endpoint, own)
        }
        # All of them first: one that has lost only a part of its names would be of no use.
        for network in left:
            if endpoint_of(inspected, network) is not None:
                self._check(network, address_of(inspected, network), wishes)
        for network, endpoint in left.items():
            self._exchange(inspected, network, without_names(endpoint, own), names, True, wishes)

    def restore(self, id: str) -> None:
        """Gives a container that does not run any more all its names, for its next start."""
        taken = self.file.get(id)
        if taken is None:
            return
        with errors(done=(404,)):
            inspected = self._inspect(id)
            if (inspected.get("State") or {}).get("Running"):
                return
            self.give(inspected, taken.names, keep=False)

    def repair(self) -> None:
        """Puts back every container that an exchange has left off a network."""
        if self._file is None and not self.used:
            return
        for id, networks in self.file.pending().items():
            with contextlib.suppress(PermanentError, TemporaryError), errors(), self._alone(0.0):
                self._repair(id, networks)

    @property
    def owes(self) -> bool:
        """True if a container may be off a network."""
        return self._file is not None and bool(self._file.pending())

    def _repair(self, id: str, networks: Names) -> None:
        try:
            inspected = self._inspect(id)
        except APIError as error:
            if error.status_code == requests.codes.not_found:
                self.file.drop(id)
                return
            raise
        # Also one that has ended: without its network it would be of no use once it is started again.
        for network, endpoint in networks.items():
            if endpoint_of(inspected, network) is None:
                log.warning("container %s is off its network %s: it is put back", id[:12], network)
                self._connect(id, network, endpoint, NO_WISH)
            # A call that was not answered may still be carried out.
            if time.monotonic() - self._doubts.get(id, float("-inf")) > DOUBT_S:
                self.file.end(id, network)

    def _exchange(
        self,
        inspected: Mapping[str, Any],
        network: str,
        endpoint: Endpoint,
        names: Names,
        keep: bool,
        wishes: bool = True,
    ) -> None:
        """Takes a container off a network, and connects it again with another endpoint."""
        id = str(inspected["Id"])
        with self._alone(GATE_S):
            # Anew, as its address may be another one since the caller has looked.
            inspected = self._inspect(id)
            before, wish = endpoint_of(inspected, network), NO_WISH
            runs = bool((inspected.get("State") or {}).get("Running"))
            addresses = _addresses_of(inspected, network)
            if before is not None:
                if runs and keep and self._check(network, address_of(inspected, network), wishes):
                    wish = addresses
                # A filter may have a rule for one of the two calls only.
                self._see_that_it_connects(network)
                # Before the call, as the agent may be killed at any time after it.
                self.file.begin(id, names, network, endpoint)
                self._disconnect(id, network, endpoint, wish)
            self._connect(id, network, endpoint, wish)
            self.file.end(id, network)
            if before is not None and runs and keep:
                # Not before: no answer to a connect has the address.
                now = _addresses_of(self._inspect(id), network)
                if now != addresses:
                    log.warning(
                        "container %s has come back to the network %s as %s, and was %s: its open requests "
                        "are lost, as another container has started meanwhile",
                        id[:12], network, " ".join(now.values()), " ".join(addresses.values()),
                    )  # fmt: skip

    def _check(self, network: str, address: str, wishes: bool) -> bool:
        """Returns True if the container is to ask for its addresses. Raises Unsafe if it would get others."""
        found: Mapping[str, Any] = self._ask("get", f"networks/{network}").json()
        if found.get("Driver") != BRIDGE:
            raise PermanentError(
                f"the network {network} is of the kind {found.get('Driver')}, and names can be taken in "
                "a bridge only"
            )
        gives = self._wishes.get(network)
        if not wishes or not (gives or (gives is None and takes_wishes(found))):
            check_stays(found, address)
        return wishes and gives is not False

    def _see_that_it_connects(self, network: str) -> None:
        """Raises the library's error if a filter in front of the engine has no rule for connects: what is
        disconnected could not be put back."""
        if self._connects:  # rules of a filter seldom change while it runs
            return
        try:
            self._ask("post", f"networks/{network}/connect", {"Container": NOBODY})
        except APIError as error:
            # Other errors are the engine's own: there is no such container, which is as it should be.
            if error.status_code in REFUSED:
                raise
        self._connects = True

    def _disconnect(self, id: str, network: str, endpoint: Endpoint, wish: Wish) -> None:
        try:
            self._ask("post", f"networks/{network}/disconnect", {"Container": id})
        except APIError as error:
            if error.status_code is not None and error.status_code < 500:
                self.file.end(id, network)  # it was refused, so nothing has changed
                raise
            self._connect(id, network, endpoint, wish)
            raise
        except requests.exceptions.RequestException:
            # It may have been carried out, or may be later: the next listings look.
            self._doubts[id] = time.monotonic()
            with contextlib.suppress(PermanentError, TemporaryError, APIError):
                self._connect(id, network, endpoint, wish)
            raise

    def _connect(self, id: str, network: str, endpoint: Endpoint, wish: Wish) -> None:
        """Connects a container, however often it is refused, until the deadline."""
        # Not to be cut short by a stop of the agent: the container has no network until then.
        deadline, pause = time.monotonic() + BACK_S, WAIT_S[0]
        while True:
            try:
                body = {"Container": id, "EndpointConfig": _with_addresses(endpoint, wish)}
                self._ask("post", f"networks/{network}/connect", body)
                if wish:
                    self._wishes[network] = True
                return
            except APIError as error:
                said = str(error.explanation)
                if CONNECTED in said:
                    return
                # One of the two may be from a range that the engine has chosen, which takes no wishes.
                if len(wish) > 1:
                    wish = {IPV4: wish[IPV4]}
                    continue
                if wish:  # to be on the network counts for more than the address
                    if UNWISHED in said:
                        self._wishes[network] = False
                    wish = NO_WISH
                    continue
                if self._is_hopeless(error, id, network) or time.monotonic() > deadline:
                    raise
            except requests.exceptions.RequestException:
                if time.monotonic() > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, WAIT_S[1])

    def _is_hopeless(self, error: APIError, id: str, network: str) -> bool:
        """True if the container or the network is no more; then nothing is owed any longer."""
        if error.status_code != requests.codes.not_found:
            return False
        # A 404 leaves open which of the two it is that has gone.
        self.file.end(id, network)
        log.error(
            "container %s cannot be put back on its network %s: %s", id[:12], network, error.explanation
        )
        return True

    def _inspect(self, id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._ask("get", f"containers/{id}/json").json()
        return found

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        """Makes one request. Raises the library's error for a bad status."""
        client = self._client()
        url = f"{client.base_url}/v{client.api_version}/{path}"
        options = {} if body is None else {"json": body}
        answer: requests.Response = getattr(client, method)(url, timeout=CALL_S, **options)
        try:
            answer.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)
        return answer

    @contextlib.contextmanager
    def _alone(self, timeout_s: float) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            self._enter(stack, self._gate.alone(timeout_s))
            yield

    def _enter(self, stack: contextlib.ExitStack, way: contextlib.AbstractContextManager[None]) -> None:
        try:
            stack.enter_context(way)
        except TimeoutError:
            raise Unanswered("other containers are started, or exchanged, all the time") from None


def endpoint_of(inspected: Mapping[str, Any], network: str) -> Endpoint | None:
    """Returns the connection of a container to a network; None if there is none."""
    found: Endpoint | None = ((inspected.get("NetworkSettings") or {}).get("Networks") or {}).get(network)
    return found


def has_all(inspected: Mapping[str, Any], names: Names) -> bool:
    """True if a container has all its names."""
    return all(has_names(inspected, network, endpoint) for network, endpoint in names.items())


def has_names(inspected: Mapping[str, Any], network: str, endpoint: Endpoint) -> bool:
    """True if a container is connected to a network with all the names of that endpoint."""
    there = endpoint_of(inspected, network)
    return there is not None and set(endpoint.get("Aliases") or ()) <= _names_in(there)


def without_names(endpoint: Endpoint, own: str) -> Endpoint:
    """Returns an endpoint with no name but the container's `own`."""
    return {**endpoint, "Aliases": [name for name in endpoint.get("Aliases") or () if name == own]}


def address_of(inspected: Mapping[str, Any], network: str) -> str:
    """Returns the address of a container in a network; "" if it has none."""
    return str((endpoint_of(inspected, network) or {}).get("IPAddress") or "")


def _has_others(there: Endpoint | None, endpoint: Endpoint, own: str) -> bool:
    """True if a connection has names to take, or is missing."""
    return there is None or bool(_names_in(there) & set(endpoint.get("Aliases") or ()) - {own})


def _names_in(endpoint: Endpoint) -> set[str]:
    return set(endpoint.get("Aliases") or ())


def _addresses_of(inspected: Mapping[str, Any], network: str) -> Wish:
    """Returns the addresses of a container in a network, as a request asks for them."""
    there = endpoint_of(inspected, network) or {}
    # Without IPv6 it is there, and empty.
    found = {IPV4: there.get("IPAddress"), IPV6: there.get("GlobalIPv6Address")}
    return {kind: str(address) for kind, address in found.items() if address}


def _with_addresses(endpoint: Endpoint, wish: Wish) -> Endpoint:
    return {**endpoint, "IPAMConfig": {**(endpoint.get("IPAMConfig") or {}), **wish}} if wish else endpoint
