"""What a room has on the machine's engine: networks, volumes and containers, by a label.

Each seat has a network of its own. The engine lets no packet from one of its networks into another
one, so that seats are apart; they reach the hub at an address of the machine, and the world
outside where the machine does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from .settings import Settings

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "proving-ground.room"
SEAT_LABEL = "proving-ground.seat"

CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "MKNOD", "SYS_PTRACE")
UNCONFINED = ("seccomp=unconfined", "apparmor=unconfined")
"""What an engine within a container needs, short of `--privileged`."""

ENGINE_DATA = "/var/lib/docker"
HOME = "/home/reader"
REMOVED_SECONDS = 60
RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


class Ground:
    """The engine's side of a room."""

    def __init__(self, client: DockerClient, settings: Settings) -> None:
        self.client = client
        self.settings = settings

    @property
    def labels(self) -> dict[str, str]:
        """The label that everything of this room carries."""
        return {LABEL: self.settings.name}

    def name_of(self, thing: str) -> str:
        """Return the engine's name for a seat's container or network, or for a volume."""
        return f"proving-{self.settings.name}-{thing}"

    def make_hub_network(self) -> None:
        """Have the address at which the hub listens for the seats.

        Raises:
            EngineError: the machine uses these addresses for something else.
        """
        wanted = self.settings.hub_network
        if not self._has_network("hub", lambda subnet: subnet == wanted):
            self._make_network("hub", wanted)

    def make_seat(self, seat: str) -> str:
        """Have a seat's network and its volumes, and return the name of the network.

        Raises:
            EngineError: the machine uses these addresses for something else, or the room's are all
                taken.
        """
        if not self._has_network(seat, self.settings.is_for_a_seat):
            self._make_network(seat, self._free_network(seat))
        for volume in self.volumes_of(seat):
            self.client.volumes.create(volume, labels=self.labels)  # the same one, if it is there
        return self.name_of(seat)

    def volumes_of(self, seat: str) -> dict[str, str]:
        """Return where a seat's volumes are mounted, by their names."""
        return {
            self.name_of(f"{seat}-engine"): ENGINE_DATA,
            self.name_of(f"{seat}-home"): HOME,
        }

    def containers(self) -> Iterator[Any]:
        """Return the seats' containers, those too that have ended."""
        yield from self.client.containers.list(
            all=True, filters=self._labelled(), ignore_removed=True
        )

    def remove_containers(self) -> None:
        """Remove the seats' containers; what people have done at their seats stays.

        Raises:
            EngineError: one of them cannot be removed.
        """
        remove_containers(self.client, self._labelled())

    def clear(self) -> int:
        """Remove all that the room has here, with what people have done at their seats.

        Returns how many things there were.

        Raises:
            EngineError: something is left.
        """
        return clear(self.client, self._labelled())

    def _labelled(self) -> dict[str, str]:
        return {"label": f"{LABEL}={self.settings.name}"}

    def _has_network(self, thing: str, is_right: Callable[[ipaddress.IPv4Network], bool]) -> bool:
        """Tell whether a network is there already; one whose subnet is not right is removed.

        Raises:
            EngineError: it should go, and is in use.
        """
        from docker.errors import APIError, NotFound

        name = self.name_of(thing)
        for network in self.client.networks.list(names=[f"^{name}$"]):
            if any(map(is_right, _subnets(network))):
                return True
            try:
                network.remove()
            except NotFound:
                pass
            except APIError as error:
                raise EngineError(
                    f"The network {name} is of an earlier room with other addresses, and cannot "
                    f"be removed: {error.explanation}. Stop the seats that still run, or remove "
                    "the earlier room with `nox -s hub -- --clear`."
                ) from error
        return False

    def _free_network(self, seat: str) -> ipaddress.IPv4Network:
        """Return a seat's own network, or another one where an earlier seat has kept that."""
        taken = [
            subnet
            for network in self.client.networks.list(filters=self._labelled())
            for subnet in _subnets(network)
        ]
        for candidate in chain((self.settings.network_of(seat),), self.settings.seat_networks()):
            if not any(candidate.overlaps(subnet) for subnet in taken):
                return candidate
        raise EngineError(
            f"All networks of {self.settings.subnet} are taken, by earlier seats too: give a "
            "larger one with --subnet, or remove the earlier room with `nox -s hub -- --clear`."
        )

    def _make_network(self, thing: str, subnet: ipaddress.IPv4Network) -> None:
        from docker.errors import APIError
        from docker.types import IPAMConfig, IPAMPool

        name = self.name_of(thing)
        pool = IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
        try:
            self.client.networks.create(
                name, driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=self.labels
            )
        except APIError as error:
            raise EngineError(
                f"The network {subnet} of the room cannot be made: {error.explanation}. Where the "
                "machine uses these addresses for something else, give others with --subnet."
            ) from error


def name_servers(files: Sequence[Path] = RESOLVERS) -> list[str]:
    """Return the machine's name servers, for the engines at the seats.

    In a network of its own a container asks the engine's name server, at an address that containers
    within it do not have.
    """
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        words = [line.split() for line in lines]
        servers = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
        if found := [server for server in servers if not server.startswith(("127.", "::1"))]:
            return found
    return []


def _subnets(network: Any) -> list[ipaddress.IPv4Network]:
    pools = network.attrs["IPAM"]["Config"] or []
    told = [pool["Subnet"] for pool in pools if pool.get("Subnet")]
    found = [ipaddress.ip_network(subnet, strict=False) for subnet in told]
    return [subnet for subnet in found if isinstance(subnet, ipaddress.IPv4Network)]


def remove_containers(client: DockerClient, labelled: dict[str, str]) -> int:
    """Remove the containers with a label, and wait until they are gone; return how many there were.

    Raises:
        EngineError: one of them cannot be removed, or is not gone in time.
    """
    import requests
    from docker.errors import APIError

    containers = _containers(client, labelled)
    for container in containers:
        try:
            _though_going(partial(container.remove, force=True, v=True))
            _though_going(partial(container.wait, condition="removed", timeout=REMOVED_SECONDS))
        except APIError as error:
            raise EngineError(
                f"The container {container.name} cannot be removed: {error.explanation}."
            ) from error
        except (requests.Timeout, requests.ConnectionError) as error:
            raise EngineError(
                f"The container {container.name} was not gone after {REMOVED_SECONDS} s. See "
                "whether the engine answers, and try again."
            ) from error
    return len(containers)


def clear(client: DockerClient, labelled: dict[str, str] | None = None) -> int:
    """Remove what one room, or every room, has on an engine; return how many things there were.

    Raises:
        EngineError: something is left.
    """
    from docker.errors import APIError, NotFound

    chosen = labelled or {"label": LABEL}
    count = remove_containers(client, chosen)
    why = ""
    things = _networks_and_volumes(client, chosen)
    for thing in things:
        try:
            thing.remove()
        except NotFound:
            pass
        except APIError as error:
            why = f" ({error.explanation})"
    left = [*_containers(client, chosen), *_networks_and_volumes(client, chosen)]
    if left:
        names = ", ".join(thing.name for thing in left)
        raise EngineError(
            f"This is left of the room: {names}{why}. Stop what uses it, and say "
            "`nox -s hub -- --clear` again."
        )
    return count + len(things)


def _containers(client: DockerClient, labelled: dict[str, str]) -> list[Any]:
    return list(client.containers.list(all=True, filters=labelled, ignore_removed=True))


def _networks_and_volumes(client: DockerClient, labelled: dict[str, str]) -> list[Any]:
    return [*client.networks.list(filters=labelled), *client.volumes.list(filters=labelled)]


def _though_going(act: Callable[[], object]) -> None:
    """Do what removes a container, or waits for it, though it may be going by itself."""
    from docker.errors import APIError

    try:
        act()
    except APIError as error:
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise
