"""What a run has put on an engine: told by a label or a name, and removed by it.

Containers, networks and volumes carry the run's label.
Images carry the run in their name instead, since a label would make equal images differ.
Only what the classic builder leaves of other stages has no name, and is told by the label.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .spans import span

if TYPE_CHECKING:
    import docker

RUN_LABEL = "proving-ground.run"
IMAGES_OF_RUNS = "proving-ground-run"
BASES = "proving-ground"
PACKAGES = f"{BASES}/packages"
_NO_NAME = "<none>:<none>"
IN_USE_SECONDS = 5.0
"""How long what another clean-up is removing is given to be gone."""


@dataclass(frozen=True)
class Inventory:
    """The identifiers of all that an engine holds, of each kind."""

    containers: frozenset[str]
    images: frozenset[str]
    networks: frozenset[str]
    volumes: frozenset[str]


def inventory(client: docker.DockerClient) -> Inventory:
    """Return what the engine holds now, ours or not; for a comparison before and after."""
    api = client.api
    return Inventory(
        containers=frozenset(found["Id"] for found in api.containers(all=True)),
        images=frozenset(found["Id"] for found in _images(client)),
        networks=frozenset(found["Id"] for found in api.networks()),
        volumes=frozenset(found["Name"] for found in api.volumes()["Volumes"] or []),
    )


def label(run: str) -> dict[str, str]:
    """Return the label that everything of a run carries."""
    return {RUN_LABEL: run}


def image_name(run: str, name: str) -> str:
    """Return the name under which a run builds an image."""
    return f"{IMAGES_OF_RUNS}/{run}:{name}"


def pushed_name(run: str, name: str) -> str:
    """Return the path within a registry to which a run pushes an image."""
    return f"{IMAGES_OF_RUNS}/{run}/{name}"


def remove(client: docker.DockerClient, run: str | None = None) -> int:
    """Remove what one run, or every run, has left on the engine; return how many things.

    What another clean-up removes at the same time is no error.
    """
    with span("clean-up", run or "every run"):
        return sum(1 for thing in _things(client, run) if _gone(thing))


def of_runs(client: docker.DockerClient) -> list[Any]:
    """List what runs have on the engine now: containers, networks, volumes and names of images."""
    return list(_things(client, None))


def remove_labelled(client: docker.DockerClient, wanted: str) -> int:
    """Remove what carries a label, `KEY` or `KEY=VALUE`, but images; return how many are gone.

    What another clean-up removes at the same time is no error.
    """
    return sum(1 for thing in _labelled(client, wanted) if _gone(thing))


def _things(client: docker.DockerClient, run: str | None) -> Iterator[Any]:
    yield from _labelled(client, f"{RUN_LABEL}={run}" if run else RUN_LABEL)
    yield from (_Tag(client, tag) for tag in _tags(client, f"{IMAGES_OF_RUNS}/{run or '*'}"))
    yield from (_Tag(client, tag) for tag in _pushed(client, run or "*"))
    yield from _nameless(client, run)


def _labelled(client: docker.DockerClient, wanted: str) -> Iterator[Any]:
    """List containers, networks and volumes with a label; each kind when those before are gone."""
    filters = {"label": wanted}
    yield from client.containers.list(all=True, filters=filters, ignore_removed=True)
    yield from client.networks.list(filters=filters)
    yield from client.volumes.list(filters=filters)


def _pushed(client: docker.DockerClient, run: str) -> list[str]:
    """Return the names by which pushes that were killed have left images on the engine."""
    listed = _images(client, filters={"reference": f"*/{pushed_name(run, '*')}"})
    return [
        tag for image in listed for tag in image["RepoTags"] or [] if f"/{IMAGES_OF_RUNS}/" in tag
    ]


def _nameless(client: docker.DockerClient, run: str | None) -> Iterator[_Tag]:
    """List images without a name that carry the label, those first that others stand on no more.

    With the last image that stands on it, the engine removes one without a name by itself.
    """
    told = {"label": f"{RUN_LABEL}={run}" if run else RUN_LABEL, "dangling": True}
    seen: set[str] = set()
    while fresh := {image["Id"] for image in _images(client, filters=told)} - seen:
        seen |= fresh
        yield from (_Tag(client, found) for found in sorted(fresh))


def _tags(client: docker.DockerClient, pattern: str) -> list[str]:
    """Return the names of images that match; listed without a look at each, which may be gone."""
    listed = _images(client, filters={"reference": pattern})
    prefix = pattern.removesuffix("*")
    return [tag for image in listed for tag in image["RepoTags"] or [] if tag.startswith(prefix)]


def _images(client: docker.DockerClient, **options: Any) -> list[dict[str, Any]]:
    """List images, again where one went meanwhile: with a containerd store, that is a 404."""
    from docker.errors import NotFound

    until = time.monotonic() + IN_USE_SECONDS
    while True:
        try:
            return list(client.api.images(**options))
        except NotFound:
            if time.monotonic() > until:
                raise
        time.sleep(0.1)


@dataclass(frozen=True)
class _Tag:
    client: docker.DockerClient
    name: str


def _gone(thing: Any) -> bool:
    from docker.errors import APIError

    try:
        if isinstance(thing, _Tag):
            _remove_image(thing)
        elif hasattr(thing, "logs"):
            thing.remove(force=True, v=True)
        else:
            thing.remove()
    except APIError:
        return False
    return True


def _remove_image(tag: _Tag) -> None:
    """Remove an image, once the containers of it are gone that another clean-up is removing.

    By force it would lose its name only, and a containerd store would keep it without one.
    """
    from docker.errors import APIError

    until = time.monotonic() + IN_USE_SECONDS
    while True:
        late = time.monotonic() > until
        try:
            tag.client.images.remove(tag.name, force=late)
        except APIError as error:
            if late or error.status_code != HTTPStatus.CONFLICT:
                raise
        else:
            return
        time.sleep(0.1)


def remove_images(client: docker.DockerClient, tags: Iterable[str]) -> int:
    """Remove images by their names and return how many are gone."""
    return sum(_gone(_Tag(client, tag)) for tag in tags)


def remove_unnamed(client: docker.DockerClient, ids: Iterable[str]) -> int:
    """Remove images, by their IDs, that have no name; return how many are gone.

    A disk that is full may take an image and not its name.
    """
    nameless = {
        image["Id"] for image in _images(client) if not set(image["RepoTags"] or []) - {_NO_NAME}
    }
    return sum(_gone(_Tag(client, found)) for found in set(ids) & nameless)


def remove_nameless(client: docker.DockerClient, run: str) -> int:
    """Remove what the classic builder has left of a run's stages; return how many are gone."""
    return sum(_gone(thing) for thing in _nameless(client, run))


def remove_bases(client: docker.DockerClient, of_kits: Iterable[str] = ()) -> int:
    """Remove the bases that were built here, and these images of kits; return how many are gone.

    Public images that were pulled stay, and so do other images of kits: a base is made again of
    the same recipe, but the packages of another checkout's kit may be all that a room has.
    """
    built = [tag for tag in _tags(client, f"{BASES}/*") if not tag.startswith(f"{PACKAGES}:")]
    return remove_images(client, (*built, *of_kits))
