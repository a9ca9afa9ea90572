"""What a room has on the machine's engine: networks, volumes and containers, by a label.

Each seat has a network of its own. The engine lets no packet from one of its networks into another
one, so that seats are apart; they reach the hub at an address of the machine, and the world
outside where the machine does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
        self._make_network("hub", self.settings.hub_network)

    def make_seat(self, seat: str) -> str:
        """Have a seat's network and its volumes, and return the name of the network.

        Raises:
            EngineError: the machine uses these addresses for something else.
        """
        self._make_network(seat, self.settings.network_of(seat))
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

    def clear(self) -> int:
        """Remove all that the room has here, with what people have done at their seats.

        Returns how many things there were.
        """
        return clear(self.client, self._labelled())

    def _labelled(self) -> dict[str, str]:
        return {"label": f"{LABEL}={self.settings.name}"}

    def _make_network(self, thing: str, subnet: ipaddress.IPv4Network) -> None:
        from docker.errors import APIError
        from docker.types import IPAMConfig, IPAMPool

        name = self.name_of(thing)
        if self.client.networks.list(names=[f"^{name}$"]):
            return
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


def clear(client: DockerClient, labelled: dict[str, str] | None = None) -> int:
    """Remove what one room, or every room, has on an engine; return how many things there were."""
    from docker.errors import APIError

    chosen = labelled or {"label": LABEL}
    containers = client.containers.list(all=True, filters=chosen, ignore_removed=True)
    for container in containers:
        with suppress(APIError):  # it goes by itself when it ends
            container.remove(force=True, v=True)
        with suppress(APIError):
            container.wait(condition="removed", timeout=60)
    things = [*client.networks.list(filters=chosen), *client.volumes.list(filters=chosen)]
    for thing in things:
        with suppress(APIError):
            thing.remove()
    return len(containers) + len(things)
