"""Take a room's images from its registry, layer by layer, where the engine accepts one without TLS.

An engine does where the room's address is among its insecure registries. Every engine does at its
own loopback: where it runs on this machine, a forwarder of ours listens there for as long as the
pull lasts. Elsewhere, such as in the virtual machine of Docker Desktop, images come as files.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import socketserver
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from .. import system
from ..engine import LOOPBACK, Engine, talking_to
from ..paths import STATE
from ..registry import Manifest as ImageManifest
from ..system import Say, say
from . import load, manifest, registry, sources
from .manifest import IMAGES, Entry, KitError

TLS = b"\x16"
"""The first byte of whoever begins with TLS: the type of a handshake record (RFC 8446, 5.1)."""

NO_TLS = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""What makes an engine try again without TLS: any answer that is plain HTTP."""

_CHUNK_BYTES = 1 << 16
_CONNECT_SECONDS = 10
_FETCHED = re.compile(r"Pull complete|Download complete")


def from_room(engine: Engine, name: str, tell: Say = say) -> None:
    """Have the engine pull from a room's registry what it lacks of the kit that was taken.

    A sentence says by which road, or why by none. What is not pulled is left to the files.
    """
    if "://" not in name:
        return
    found = sources.taken()
    if found is None:
        return
    room = sources.Room(name)
    with system.lock(STATE / "kit-load.lock"), talking_to(engine):
        listed = found.for_architecture(engine.description.architecture)
        images = [one for one in listed if one.part == IMAGES and one.config_digest]
        absent = [
            one
            for one in images
            if not (manifest.is_whole(sources.TAKEN, one) or load.is_on(engine, one))
        ]
        if not absent:
            return
        try:
            _need_registry(room)
            with _road(engine, room) as (host, told):
                tell(f"Images come from the room's registry, layer by layer, {told}.")
                for one in absent:
                    _pull(engine, room, host, one, tell)
        except KitError as error:
            tell(f"Images that are not here yet come as files: {error}")


def base(room: sources.Room) -> str:
    """Return the address below which a room's registry has its repositories."""
    parts = urlsplit(room.address)
    return f"http://{parts.netloc}/v2/{room.token}"


def _need_registry(room: sources.Room) -> None:
    import httpx

    root = f"http://{urlsplit(room.address).netloc}/v2/"
    try:
        has_one = httpx.get(root, timeout=_CONNECT_SECONDS, trust_env=False).is_success
    except httpx.HTTPError as error:
        raise KitError(f"the room does not answer ({error}).") from error
    if not has_one:
        raise KitError("the room serves no registry.")


@contextmanager
def _road(engine: Engine, room: sources.Room) -> Iterator[tuple[str, str]]:
    """Yield the `host:port` by which the engine takes from the room, and the road in words."""
    room_host = urlsplit(room.address).netloc
    if is_accepted(engine.docker.info(), room_host):
        yield room_host, f"from {room_host}, which the engine takes without TLS"
        return
    if not (sys.platform.startswith("linux") and engine.url.startswith("unix://")):
        raise KitError(
            f"the engine takes {room_host} for a registry with TLS, which a room has not. To have "
            f"single layers, add it to the engine's insecure-registries."
        )
    with forwarded(room_host) as port:
        yield f"{LOOPBACK}:{port}", f"by way of this machine's loopback, from {room_host}"


def is_accepted(info: Mapping[str, Any], host: str) -> bool:
    """Tell by an engine's `/info` whether it takes a registry at `host:port` without TLS."""
    told = info.get("RegistryConfig") or {}
    named = (told.get("IndexConfigs") or {}).get(host) or {}
    if named.get("Secure") is False:
        return True
    try:
        address = ipaddress.ip_address(host.rpartition(":")[0].strip("[]"))
    except ValueError:
        return False
    return any(
        address in ipaddress.ip_network(network, strict=False)
        for network in told.get("InsecureRegistryCIDRs") or []
    )


def _pull(engine: Engine, room: sources.Room, host: str, entry: Entry, tell: Say) -> None:
    """Pull one image by the digest of its manifest, and have it under its name alone."""
    from docker.errors import DockerException

    wanted = registry.manifest_in(base(room), entry)
    if wanted is None:
        tell(f"The room's registry has no {entry.reference} of this kit's.")
        return
    client, (repository, tag) = engine.docker, registry.split(entry)
    here = f"{host}/{room.token}/{repository}"
    by_digest = f"{here}@{wanted.digest}"
    tell(f"Pulling {entry.reference} …")
    try:
        lines = list(client.api.pull(here, tag=wanted.digest, stream=True, decode=True))
        if refused := next((line["error"] for line in lines if "error" in line), None):
            raise KitError(f"the engine does not pull from {host}: {str(refused).rstrip('.')}.")
        image = client.images.get(by_digest)
        try:
            _check(image.id, wanted, entry)
            image.tag(repository, tag)
        finally:
            client.images.remove(by_digest, noprune=True)
    except DockerException as error:  # a program that keeps credentials may be missing, too
        told = str(getattr(error, "explanation", None) or error).rstrip(".")
        raise KitError(f"the engine does not pull from {host}: {told}.") from error
    load.remember(entry, str(image.id))
    tell(f"Pulled {entry.reference}: {told_layers(lines)}.")


def _check(image_id: str, wanted: ImageManifest, entry: Entry) -> None:
    """Refuse what is neither the manifest that was asked for nor the kit's configuration."""
    if image_id not in (wanted.digest, entry.config_digest):
        raise KitError(f"the engine pulled another image than the kit's {entry.reference}.")


def told_layers(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return in words how many layers a pull has fetched, by what the engine tells of it."""
    fetched, there = set(), set()
    for line in lines:
        if _FETCHED.search(str(line.get("status"))):
            fetched.add(line.get("id"))
        elif line.get("status") == "Already exists":
            there.add(line.get("id"))
    layers = "layer" if len(fetched) == 1 else "layers"
    return f"{len(fetched)} {layers} fetched, {len(there)} here already"


@contextmanager
def forwarded(host: str) -> Iterator[int]:
    """Forward a port of this machine's loopback to a room while this is open; yield the port.

    Engines begin with TLS, and take a plain answer for a registry without: it is given here, at
    once.
    """
    name, _, port = host.rpartition(":")
    target = (name.strip("[]"), int(port))

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                if self.request.recv(1, socket.MSG_PEEK) == TLS:
                    self.request.recv(_CHUNK_BYTES)  # what is left unread would reset the answer
                    self.request.sendall(NO_TLS)
                    return
                with socket.create_connection(target, _CONNECT_SECONDS) as room:
                    room.settimeout(None)
                    back = threading.Thread(target=_copy, args=(room, self.request), daemon=True)
                    back.start()
                    _copy(self.request, room)
                    back.join()

    class Forwarder(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: the engine tells what it could not have."""

    with Forwarder((LOOPBACK, 0), Connection) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(_CHUNK_BYTES):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
