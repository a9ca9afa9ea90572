"""What a room is: its seats, what each may take of the machine, and where it is served.

The command that starts the hub hands it to the hub's configuration through the environment; the
secret, of which the seats' codes are made, has a variable of its own.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import ProvingError
from ..paths import STATE

VARIABLE = "PROVING_ROOM"
SECRET_VARIABLE = "PROVING_ROOM_SECRET"  # noqa: S105 - the name of a variable
TRAINER = "trainer"

_NAME = re.compile(r"[a-z][a-z0-9]{0,30}")
_PER_NETWORK = 16
"""The addresses of a seat's network: a /28."""


@dataclass(frozen=True)
class Settings:
    """A room, as the hub's configuration needs it.

    `memory` is a size as Docker writes it, `processes` counts threads too (the pids controller of
    cgroups), and `subnet` is cut into one network for each seat.
    """

    seats: tuple[str, ...]
    image: str
    name: str = "room"
    address: str = "127.0.0.1"
    port: int = 8000
    proxy_port: int = 8001
    hub_port: int = 8081
    certificate: str = ""
    key: str = ""
    memory: str = "2G"
    cpus: float = 1.0
    processes: int = 2048
    idle_minutes: int = 60
    subnet: str = "10.214.0.0/16"

    def __post_init__(self) -> None:
        for name in (self.name, *self.seats):
            if not _NAME.fullmatch(name):
                raise ProvingError(
                    f"{name!r} is no name for a room or a seat: begin with a small letter, and go "
                    "on with at most 30 small letters and digits."
                )
        if TRAINER in self.seats:
            raise ProvingError(f"{TRAINER!r} is the trainer's own seat; name no other one so.")
        if len(set(self.seats)) < len(self.seats):
            raise ProvingError("Two seats have the same name; give each its own.")
        if len(self.everybody) >= self._networks():
            raise ProvingError(
                f"{self.subnet} has room for {self._networks() - 1} seats and there are "
                f"{len(self.everybody)}: give a larger network with --subnet."
            )

    @property
    def everybody(self) -> tuple[str, ...]:
        """The names of those who may sign in: the seats and the trainer."""
        return (TRAINER, *self.seats)

    @property
    def state(self) -> Path:
        """The private folder of the hub's data base; it holds no code and no password."""
        return rooms() / self.name

    def network_of(self, seat: str) -> ipaddress.IPv4Network:
        """Return the network of a seat, unless an earlier seat has kept it."""
        return self._network(1 + self.everybody.index(seat))

    def seat_networks(self) -> Iterator[ipaddress.IPv4Network]:
        """Return all networks that seats may have: those of the subnet but for the hub's."""
        return (self._network(number) for number in range(1, self._networks()))

    def is_for_a_seat(self, network: ipaddress.IPv4Network) -> bool:
        """Tell whether a network is one that seats may have."""
        within = network.subnet_of(ipaddress.IPv4Network(self.subnet))
        own = self.hub_network
        return within and network.prefixlen == own.prefixlen and network != own

    @property
    def host(self) -> str:
        """The address as a URL has it."""
        return host_of(self.address)

    @property
    def hub_network(self) -> ipaddress.IPv4Network:
        """The network at whose gateway the hub listens for the seats."""
        return self._network(0)

    @property
    def hub_address(self) -> str:
        """The machine's own address at which the seats reach the hub."""
        return str(self.hub_network[1])

    def _networks(self) -> int:
        return ipaddress.IPv4Network(self.subnet).num_addresses // _PER_NETWORK

    def _network(self, number: int) -> ipaddress.IPv4Network:
        first = ipaddress.IPv4Network(self.subnet)[number * _PER_NETWORK]
        return ipaddress.IPv4Network(f"{first}/28")

    def environment(self) -> dict[str, str]:
        """Return the variable that hands this to the hub's configuration."""
        return {VARIABLE: json.dumps(asdict(self))}


def rooms() -> Path:
    """Return the folder of all rooms' state."""
    return STATE / "rooms"


def host_of(address: str) -> str:
    """Return an address as a URL has it: one of IPv6 in brackets (RFC 3986, 3.2.2)."""
    return f"[{address}]" if ":" in address else address


def of_environment() -> Settings:
    """Return the room that the environment names.

    Raises:
        ProvingError: it names none, or one that cannot be.
    """
    try:
        told = json.loads(os.environ[VARIABLE])
        return Settings(**{**told, "seats": tuple(told["seats"])})
    except (KeyError, ValueError, TypeError) as error:
        raise ProvingError(
            f"{VARIABLE} names no room ({error!r}): start the hub with `nox -s hub`."
        ) from error


def secret_of_environment() -> bytes:
    """Return what the seats' codes are made of.

    Raises:
        ProvingError: there is none, or it is too short to be one.
    """
    secret = os.environ.get(SECRET_VARIABLE, "")
    if len(secret) < 16:
        raise ProvingError(
            f"{SECRET_VARIABLE} has fewer than 16 characters. Leave it unset, and `nox -s hub` "
            "makes one up; or set it to something long that nobody can guess."
        )
    return secret.encode()
