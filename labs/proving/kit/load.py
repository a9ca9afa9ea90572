"""Put what a kit has onto the engine, and where the labs look for it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .. import disk, system
from ..engine import Engine, talking_to
from ..paths import STATE
from ..system import Say, say
from . import debian, manifest, sources
from .manifest import IMAGES, LAB_WHEELS, Entry, KitError, Manifest, megabytes


class Gone(KitError):
    """Images are neither on the engine nor among what was taken: the kit must be taken again."""


def load(engine: Engine, folder: Path = sources.TAKEN, tell: Say = say) -> Manifest:
    """Load a kit that was taken; return what it holds. What is there already is left alone.

    All that is to be loaded is checked before the first image is.

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
            _load(engine, folder, one)
        _put_wheels(folder, wheels)
        if folder == sources.TAKEN:
            for one in images:
                (folder / one.path).unlink(missing_ok=True)  # the engine has it now
    debian.build_arguments(engine)  # starts its cache: labs find and leave it running
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
    """Tell whether the engine has an image of the kit's by its name."""
    from docker.errors import ImageNotFound

    try:
        engine.docker.images.get(entry.reference)
    except ImageNotFound:
        return False
    return True


def _load(engine: Engine, folder: Path, entry: Entry) -> None:
    from docker.errors import APIError

    try:
        with (folder / entry.path).open("rb") as file:
            engine.docker.images.load(file)
    except APIError as error:
        if disk.is_told_in(str(error)):
            raise
        raise KitError(f"The engine does not take {entry.path}: {error.explanation}") from error
    if not is_on(engine, entry):
        raise KitError(f"{entry.path} was loaded, and the engine has no {entry.reference}.")


def _put_wheels(folder: Path, entries: Sequence[Entry]) -> None:
    """Put the wheels that labs install where these look for them; see `proving.wheels`."""
    for entry in entries:
        target = STATE / Path(entry.path.replace(LAB_WHEELS, "wheels", 1))
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(folder / entry.path, target)
