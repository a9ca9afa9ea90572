"""A room tried: people come at once, run the first claim of chapter 9, and do not see each other.

Each acts by the hub's own addresses, as a browser and JupyterLab do, on an engine of their own.
What each takes of the machine is measured meanwhile; afterwards nothing is left.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import psutil

from .. import claims
from ..engine import Engine
from ..guide_check import cells_of_first_claim
from ..kernels import CheckFailed
from ..paths import LABS
from . import command, image, record, weight
from .codes import code_of
from .ground import SEAT_LABEL, Ground
from .record import SeatTried, Tried
from .settings import Settings
from .visitor import Visitor

LAB = "09-process-management.ipynb"
OPEN_SECONDS = 120.0

_OWN_CONTAINER = """
import docker
docker.from_env().containers.run("{base}", ["sleep", "600"], name="of-{seat}", detach=True)
"""
_ONLY_OWN = """
import docker
found = [container.name for container in docker.from_env().containers.list(all=True)]
assert ["of-{seat}"] == found, f"expected the one container of this seat, found {{found}}"
"""
_NO_WAY = """
import socket
for address in {others}:
    with socket.socket() as wire:
        wire.settimeout(2)
        assert wire.connect_ex((address, 8888)), f"there is a way to {{address}}"
"""

T = TypeVar("T")


def settings_of(
    people: int,
    *,
    memory: str = Settings.memory,
    cpus: float = Settings.cpus,
    subnet: str | None = None,
) -> Settings:
    """Return a room of its own for so many people, in a subnet of its own unless one is given.

    Raises:
        ProvingError: they do not fit into the subnet.
    """
    ports = _free_ports(2)
    return Settings(
        seats=command.seats_of(str(people)),
        image=image.TAG,
        name=f"trial{secrets.token_hex(3)}",
        port=ports[0],
        proxy_port=ports[1],
        memory=memory,
        cpus=cpus,
        # two trials may meet on a machine
        subnet=subnet or f"10.215.{16 * secrets.randbelow(16)}.0/20",
    )


def run(settings: Settings, *, keep: bool) -> int:
    """Try a room with all its people at once; return the exit status.

    Raises:
        ProvingError: something that a room promises was not so.
    """
    tried = measure(command.ready(), settings)
    print(record.told(tried), flush=True)
    if keep:
        record.keep(tried)
    return 0


def measure(here: Engine, settings: Settings) -> Tried:
    """Have people in a room of their own, and return what they took; nothing of it is left.

    Raises:
        CheckFailed: something that a room promises was not so.
    """
    claim, sources = cells_of_first_claim(LABS / LAB)
    with room(here, settings) as (hub, ground, visitors):
        with weight.Scale(ground) as scale:
            starts = start_at_once(visitors)
            scale.weigh()
            idle = dict(scale.now)
            runs = _at_once(visitors, lambda visitor: _prove(visitor, sources))
        see_that_seats_are_apart(ground, visitors)
        disk = {c.labels[SEAT_LABEL]: weight.disk_of(c) for c in ground.containers()}
        hub_bytes = weight.of_processes(hub.pid)
        seats = [
            SeatTried(round(start, 1), round(seconds, 1), idle[name], scale.peak[name], disk[name])
            for name, start, seconds in zip(ground.settings.seats, starts, runs, strict=True)
        ]
    return Tried(
        datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        claim,
        here.description.as_data(),
        psutil.virtual_memory().total,
        {"memory": ground.settings.memory, "cpus": ground.settings.cpus},
        tuple(seats),
        hub_bytes,
    )


@contextmanager
def room(
    here: Engine, settings: Settings
) -> Iterator[tuple[subprocess.Popen[bytes], Ground, list[Visitor]]]:
    """Open a room with its people, who have signed in, and leave nothing of it.

    Raises:
        CheckFailed: the hub does not answer, or lets one of them not in.
    """
    ground = Ground(here.docker, settings)
    visitors: list[Visitor] = []
    try:
        with command.opened(here, settings) as (hub, secret):
            address = f"http://{settings.address}:{settings.port}"
            _wait_for(hub, address)
            visitors += [Visitor(address, seat, code_of(secret, seat)) for seat in settings.seats]
            _at_once(visitors, Visitor.sign_in)
            yield hub, ground, visitors
    finally:
        for visitor in visitors:
            visitor.close()
        ground.clear()
        shutil.rmtree(settings.state, ignore_errors=True)


def start_at_once(visitors: Sequence[Visitor]) -> list[float]:
    """Have everybody start their server at the same time; return the seconds that each waited.

    Raises:
        CheckFailed: one of them does not start.
    """
    return _at_once(visitors, Visitor.start)


def see_that_seats_are_apart(ground: Ground, visitors: Sequence[Visitor]) -> None:
    """See that nobody sees another one's containers, server or network.

    Raises:
        CheckFailed: somebody does.
    """
    addresses = {
        container.labels[SEAT_LABEL]: address
        for container in ground.containers()
        for address in _addresses(container)
    }

    def look(visitor: Visitor) -> None:
        others = [address for seat, address in addresses.items() if seat != visitor.seat]
        seen = _ONLY_OWN.format(seat=visitor.seat), _NO_WAY.format(others=others)
        visitor.run(LAB, seen)
        for other in visitors:
            status = visitor.status_of(f"user/{other.seat}/api/status")
            expected = 200 if other is visitor else 403
            if status != expected:
                raise CheckFailed(f"{visitor.seat} got {status} at the seat {other.seat}")

    base = _slim(ground)
    own = [_OWN_CONTAINER.format(seat=one.seat, base=base) for one in visitors]
    _at_once(list(zip(visitors, own, strict=True)), lambda pair: pair[0].run(LAB, [pair[1]]))
    _at_once(visitors, look)


def _slim(ground: Ground) -> str:
    from .. import bases

    role = bases.ROLES["SLIM"]
    ours = ground.client.images.list(name=role.tag())
    return role.tag() if ours else role.public


def _addresses(container: Any) -> Iterator[str]:
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    yield from (network["IPAddress"] for network in networks if network["IPAddress"])


def _prove(visitor: Visitor, sources: Sequence[str]) -> float:
    seconds, shown = visitor.run(LAB, sources)
    if claims.MIME not in shown:
        raise CheckFailed(f"the claim's cells ran for {visitor.seat}, and showed no result")
    return seconds


def _at_once(people: Sequence[T], act: Callable[[T], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(people)) as pool:
        return list(pool.map(act, people))


def _wait_for(hub: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + OPEN_SECONDS
    while time.monotonic() < until:
        if hub.poll() is not None:
            raise CheckFailed(f"the hub ended with exit status {hub.returncode}")
        try:
            if httpx.get(f"{address}/hub/api/", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise CheckFailed(f"the hub did not answer within {OPEN_SECONDS:.0f} s")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
