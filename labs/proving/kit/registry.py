"""The registry from which a room has its images: the distribution's, on the trainer's engine.

It listens on that machine's loopback alone, and the room's server passes on what may be read.
It is filled from the kit's files when the kit is served, which needs no network: in the kit, its
data would be all images a second time. They stay in a volume until `nox -s clean`, so that only
the first start takes a while. What is served from there is mounted and configured to be read only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import bases, claims, disk, leftovers, private, system
from ..engine import LOOPBACK, Engine, find, talking_to
from ..errors import CouldNotMeasure, ProvingError
from ..paths import STATE
from ..registry import (
    DOCKERFILE,
    INDEXES,
    MANIFESTS,
    PORT,
    platform_digest,
    push_error,
    read_manifest,
)
from ..registry import Manifest as ImageManifest
from ..system import Say, say
from . import debian, load
from .manifest import IMAGES, REGISTRY, Entry, KitError, Manifest

if TYPE_CHECKING:
    from docker.models.containers import Container

REPOSITORY = "proving-ground/room-registry"
MOST_BYTES = 4 * 1024 * 1024
"""The largest manifest of an image that is read; registries take none that is larger."""

_ASIDE = "proving-ground/set-aside", "room"
"""Repository and tag of what an engine had under the name of a kit's image, for a while."""

_DATA = "/var/lib/registry"
_READ_ONLY = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}"}
_ANSWER_SECONDS = 30


def ready(engine: Engine, tell: Say = say) -> str:
    """Return the name of the registry's image, which is built where the engine does not have it.

    Raises:
        ProvingError: its base or its package cannot be had.
    """
    from ..image import Image

    name = f"{REPOSITORY}:{_recipe()}"
    with system.lock(STATE / "kit-registry.lock"):
        if load.id_on(engine, name) is None:
            tell("Building the registry of a room …")
            roles = bases.roles_in(claims.IMAGES / DOCKERFILE)
            ready_bases = bases.ready(engine, roles, tell)
            references = {role: base.reference for role, base in ready_bases.items()}
            image = Image(
                engine,
                claims.IMAGES,
                tag=name,
                dockerfile_path=str(DOCKERFILE),
                bases=references,
            )
            image.takes_packages_from_kit = False  # a kit has none of its own making
            image.build()
    return name


def _recipe() -> str:
    digest = hashlib.sha256()
    for file in sorted((claims.IMAGES / DOCKERFILE.parent).iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def serving(folder: Path, found: Manifest, tell: Say = say) -> Iterator[str]:
    """Run a registry with a kit's images; yield its address on this machine's loopback.

    Where none can be run, the address is empty, and a sentence says why: a room does without.
    """
    with ExitStack() as stack:
        try:
            address = stack.enter_context(_served(folder, found, tell))
        except ProvingError as error:
            tell(f"No registry is served, and images travel as files: {error}")
            address = ""
        yield address


@contextmanager
def _served(folder: Path, found: Manifest, tell: Say) -> Iterator[str]:
    engine = find(tell, start=not private.missing_packages())
    if engine.host != LOOPBACK:
        raise KitError("the engine is on another machine, whose registry the network could reach.")
    listed = found.for_architecture(engine.description.architecture)
    server = next((one for one in listed if one.part == REGISTRY), None)
    if server is None:
        raise KitError(f"this kit has none for {engine.description.architecture}.")
    images = [one for one in listed if one.part == IMAGES]
    with talking_to(engine), disk.telling(engine), system.lock(STATE / "kit-registry.lock"):
        if not load.is_on(engine, server):
            load.put(engine, folder, server)
        with _started(engine, server, writable=True) as address:
            _fill(engine, folder, address, images, tell)
    with talking_to(engine), _started(engine, server, writable=False) as address:
        yield address


def name() -> str:
    """Return the name of the volume with this checkout's registry of a room, and its label."""
    return f"{debian.name()}-registry"


@contextmanager
def _started(engine: Engine, server: Entry, *, writable: bool) -> Iterator[str]:
    from docker.errors import APIError, NotFound

    client = engine.docker
    labels = {debian.LABEL: name()}
    client.volumes.create(name(), labels=labels)
    try:
        container = client.containers.create(
            server.reference,
            detach=True,
            labels=labels,
            network_mode="bridge",
            ports={f"{PORT}/tcp": (LOOPBACK, None)},
            volumes={name(): {"bind": _DATA, "mode": "rw" if writable else "ro"}},
            environment={} if writable else _READ_ONLY,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        )
    except APIError as error:
        raise KitError(f"the engine does not start it: {error.explanation}") from error
    try:
        _start(container)
        yield _answering(container)
    finally:
        with suppress(NotFound):  # `nox -s clean` has removed it meanwhile
            container.remove(force=True, v=True)


def _start(container: Container) -> None:
    from docker.errors import APIError

    try:
        container.start()
    except APIError as error:
        raise KitError(f"the engine does not start it: {error.explanation}") from error


def _answering(container: Container) -> str:
    """Return the address of a registry once it answers."""
    import httpx

    def address() -> str:
        container.reload()
        published = (container.ports or {}).get(f"{PORT}/tcp")
        if not published:
            return ""
        found = f"http://{LOOPBACK}:{published[0]['HostPort']}"
        try:
            answer = httpx.get(f"{found}/v2/", timeout=5, trust_env=False)
        except httpx.TransportError:
            return ""
        return found if answer.is_success else ""

    return debian.answer_of(container, address, "the registry")


def _fill(engine: Engine, folder: Path, address: str, images: Sequence[Entry], tell: Say) -> None:
    """Put images into a registry that it does not have yet."""
    for one in images:
        if manifest_in(f"{address}/v2", one) is None:
            tell(f"Putting {one.reference} into the room's registry, once …")
            with _on_engine(engine, folder, one):
                _push(engine, address, one)


@contextmanager
def _on_engine(engine: Engine, folder: Path, entry: Entry) -> Iterator[None]:
    """Have a kit's image on the engine under its name, and afterwards what was there before.

    That has another name meanwhile: a containerd store forgets an image that has none.
    """
    before = load.id_on(engine, entry.reference)
    if before in load.known_ids(entry):
        yield
        return
    images = engine.docker.images
    if before is not None:
        images.get(before).tag(*_ASIDE)
    try:
        load.put(engine, folder, entry)
        try:
            yield
        finally:
            images.remove(entry.reference)
    finally:
        if before is not None:
            aside = ":".join(_ASIDE)
            images.get(aside).tag(*split(entry))
            images.remove(aside)


def _push(engine: Engine, address: str, entry: Entry) -> None:
    from docker.errors import DockerException

    client, (repository, tag) = engine.docker, split(entry)
    here = f"{address.removeprefix('http://')}/{repository}"
    try:
        client.images.get(entry.reference).tag(here, tag)
        try:
            answers = list(client.images.push(here, tag=tag, stream=True, decode=True))
        finally:
            client.images.remove(f"{here}:{tag}", noprune=True)
    except DockerException as error:  # a program that keeps credentials may be missing, too
        told = str(getattr(error, "explanation", None) or error)
        raise KitError(f"the engine did not push {entry.reference}: {told}") from error
    if refused := push_error(answers):
        raise KitError(f"the engine did not push {entry.reference}: {refused}.")
    if manifest_in(f"{address}/v2", entry) is None:
        raise KitError(f"the engine pushed {entry.reference}, and the registry has another image.")


def split(entry: Entry) -> tuple[str, str]:
    """Return repository and tag of an image of a kit's."""
    repository, _, tag = entry.reference.rpartition(":")
    return repository, tag


def manifest_in(base: str, entry: Entry) -> ImageManifest | None:
    """Return the manifest of a kit's image in a registry; None where it does not have this one.

    `base` is the address below which the repositories are. Nothing that the registry says is
    believed: the manifest's digest is computed here, and it is this image's where it names the
    configuration whose digest the kit's own manifest tells.

    Raises:
        KitError: the registry does not answer.
    """
    repository, tag = split(entry)
    try:
        found = _get(f"{base}/{repository}/manifests/{tag}")
        if found is not None and "manifests" in found[1]:
            of_platform = platform_digest(found[1], entry.architecture)
            found = _get(f"{base}/{repository}/manifests/{of_platform}")
        read = read_manifest(*found) if found is not None else None
    except (CouldNotMeasure, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return read if read is not None and read.config_digest == entry.config_digest else None


def _get(url: str) -> tuple[str, Any] | None:
    """Return the digest of a manifest and what it says; None where there is none."""
    import json

    import httpx

    accepted = {"Accept": ", ".join((*MANIFESTS, *INDEXES))}
    try:
        with httpx.stream(
            "GET", url, headers=accepted, timeout=_ANSWER_SECONDS, trust_env=False
        ) as answer:
            if answer.status_code != HTTPStatus.OK:
                return None
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MOST_BYTES:
                    return None
    except httpx.HTTPError as error:
        raise KitError(f"The registry does not answer at {url}: {error}.") from error
    return f"sha256:{hashlib.sha256(content).hexdigest()}", json.loads(content)


def remove(client: Any) -> int:
    """Remove this checkout's registry of a room with all that it has; return how many are gone."""
    return leftovers.remove_labelled(client, f"{debian.LABEL}={name()}")
