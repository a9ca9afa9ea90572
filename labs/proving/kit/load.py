"""Put what a kit has onto the engine, and where the labs look for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from .. import disk, system
from ..engine import Engine, talking_to
from ..paths import STATE
from ..system import Say, say
from . import debian, manifest, sources
from .manifest import IMAGES, LAB_WHEELS, Entry, KitError, Manifest, megabytes

LOADED = STATE / "kit-images.json"
"""Which images this checkout has loaded from kits, and under which IDs engines have them."""


class Gone(KitError):
    """Images are neither on the engine nor among what was taken: the kit must be taken again."""


def load(engine: Engine, folder: Path = sources.TAKEN, tell: Say = say) -> Manifest:
    """Load a kit that was taken; return what it holds. What is there already is left alone.

    All that is to be loaded is checked before the first image is. An image of another kit, or of
    this machine's own, loses its name to the kit's where they differ; another kit's is removed.

    Raises:
        Gone: it must be taken again.
        KitError: it is not for this engine, or the engine refuses an image.
        DiskFull: the engine's disk is full.
    """
    found = manifest.read(folder)
    architecture = engine.description.architecture
    if architecture not in found.architectures():
        told = ", ".join(found.architectures()) or "no architecture"
        raise KitError(f"The kit has images for {told}, and the engine is {architecture}.")
    listed = found.for_architecture(architecture)
    with system.lock(STATE / "kit-load.lock"), talking_to(engine), disk.telling(engine):
        images = [one for one in listed if one.part == IMAGES]
        absent = [one for one in images if not is_on(engine, one)]
        wheels = [one for one in listed if one.part == LAB_WHEELS]
        gone = [one for one in (*absent, *wheels) if not manifest.is_whole(folder, one)]
        if gone:
            raise Gone(
                f"{gone[0].path} of the kit is not on this machine, or it is damaged. "
                f"Take the kit again: nox -s kit -- --load KIT, or set {sources.VARIABLE}."
            )
        for one in absent:
            tell(f"Loading {one.reference} ({megabytes(one.size_bytes)}) …")
            put(engine, folder, one)
        _put_wheels(folder, wheels)
        if folder == sources.TAKEN:
            for one in images:
                (folder / one.path).unlink(missing_ok=True)  # the engine has it now
    debian.build_arguments(engine)  # starts its cache: labs find and leave it running
    with talking_to(engine):
        _remove_others(engine, found)
    if absent:
        tell(f"Loaded {len(absent)} images of the kit of {found.made[:10]}.")
    if warning := outdated(found):
        tell(warning)
    return found


def outdated(found: Manifest, now: datetime | None = None) -> str:
    """Return that apt refuses the kit's package lists, or will within a day; empty elsewhere."""
    told = found.packages_until_on(sources.here())
    if not told:
        return ""
    until = datetime.fromisoformat(told)
    left_seconds = (until - (now or datetime.now(UTC))).total_seconds()
    if left_seconds > 24 * 3600:
        return ""
    when = "have expired" if left_seconds <= 0 else "expire"
    return (
        f"The kit's package lists {when} on {until:%d %B, %H:%M} UTC (Debian signs its security "
        "lists for a week): from then on apt refuses them, and builds that install packages need "
        "a network. Run `nox -s kit` again where the kit was made; only what has changed is "
        "fetched. Where this machine has a network, `nox -s clean` makes builds use it again."
    )


def is_on(engine: Engine, entry: Entry) -> bool:
    """Tell whether the engine has an image of the kit's: this one, and not another of its name."""
    return id_on(engine, entry.reference) in known_ids(entry)


def id_on(engine: Engine, reference: str) -> str | None:
    """Return the ID of an image on an engine; None where that has none of this name."""
    from docker.errors import ImageNotFound

    try:
        return str(engine.docker.images.get(reference).id)
    except ImageNotFound:
        return None


def known_ids(entry: Entry) -> frozenset[str]:
    """Return the IDs that engines have given, or may give, to an image of the kit's.

    A classic store takes the digest of its configuration. A containerd store takes one of a
    manifest that it may have written itself: that is known once it was loaded there.
    """
    given = _loaded().get(entry.identity, {}).get("ids", [])
    return frozenset(filter(None, (entry.image_id, entry.config_digest, *given)))


def remember(entry: Entry, image_id: str) -> None:
    """Keep under which ID an engine has an image of the kit's."""
    with _alone():
        told = _loaded()
        ids = sorted({*told.get(entry.identity, {}).get("ids", []), image_id})
        _keep({**told, entry.identity: {"reference": entry.reference, "ids": ids}})


def put(engine: Engine, folder: Path, entry: Entry) -> None:
    """Load an image from the kit's file.

    Raises:
        KitError: the engine refuses it.
    """
    from docker.errors import APIError

    try:
        with (folder / entry.path).open("rb") as file:
            engine.docker.images.load(file)
    except APIError as error:
        if disk.is_told_in(str(error)):
            raise
        raise KitError(f"The engine does not take {entry.path}: {error.explanation}") from error
    image_id = id_on(engine, entry.reference)
    if image_id is None:
        raise KitError(f"{entry.path} was loaded, and the engine has no {entry.reference}.")
    remember(entry, image_id)


def _alone() -> AbstractContextManager[None]:
    """Have nobody else change meanwhile which images were loaded, such as a room that is filled."""
    return system.lock(LOADED.with_suffix(".lock"))


def _loaded() -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads(LOADED.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _keep(told: Mapping[str, Any]) -> None:
    LOADED.parent.mkdir(parents=True, exist_ok=True)
    new = LOADED.with_name(f"{LOADED.name}.new")
    new.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    new.replace(LOADED)


def _remove_others(engine: Engine, found: Manifest) -> None:
    """Remove images that were loaded from other kits, and that this one does not have.

    One that has a further name, or that a container uses, stays for now.
    """
    from docker.errors import APIError

    with _alone():
        told = _loaded()
        for identity in told.keys() - {one.identity for one in found.entries}:
            try:
                for image_id in told[identity]["ids"]:
                    _remove(engine, image_id)
            except APIError as error:
                if error.status_code != HTTPStatus.CONFLICT:
                    raise
            else:
                del told[identity]
                _keep(told)


def _remove(engine: Engine, image_id: str) -> None:
    from docker.errors import ImageNotFound

    with suppress(ImageNotFound):  # this engine never had it, or has it no more
        engine.docker.images.remove(image_id)


def _put_wheels(folder: Path, entries: Sequence[Entry]) -> None:
    """Put the wheels that labs install where these look for them; see `proving.wheels`."""
    for entry in entries:
        target = STATE / Path(entry.path.replace(LAB_WHEELS, "wheels", 1))
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(folder / entry.path, target)
