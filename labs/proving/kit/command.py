"""`nox -s kit`: make a kit, load it, or serve it to a room."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .. import engine
from ..errors import ProvingError
from ..paths import ROOT
from ..system import ending_in_order, say
from . import load, make, manifest, pull, registry, room, sources
from .manifest import PARTS, KitError, megabytes

FOLDER = ROOT / "kit"
"""Where a kit is made unless another folder is named; git ignores it."""

_MOST_FAT32_BYTES = 2**32 - 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for; return the exit status."""
    options = _options(arguments)
    try:
        if options.serve:  # it ends in order by itself
            room.serve(options.folder, options.address, options.port, registry=registry.serving)
        else:
            with ending_in_order():
                _load_or_make(options)
    except ProvingError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("Interrupted. What there is of the kit is kept: run the same command again.")
        return 130
    return 0


def _load_or_make(options: argparse.Namespace) -> None:
    if options.load is not None:
        _load(options.load, os.environ.get(sources.VARIABLE, ""))
    else:
        _make(options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s kit --", description="Make, load or serve all that a room needs."
    )
    does = parser.add_mutually_exclusive_group()
    does.add_argument(
        "--load",
        nargs="?",
        const="",
        metavar="KIT",
        help=f"load a kit: its folder, its archive, or a room's address; else {sources.VARIABLE}",
    )
    does.add_argument("--serve", action="store_true", help="serve the kit's folder to a room")
    does.add_argument("--size", action="store_true", help="only tell how large the kit will be")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="the kit's folder, such as one on a stick"
    )
    parser.add_argument("--no-archive", action="store_true", help="make the folder alone")
    parser.add_argument("--chapters", nargs="+", default=[], help="only these, such as 03 04")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument(
        "--python", nargs="+", default=[], help="wheels for these as well, such as 3.12 3.13"
    )
    parser.add_argument("--address", default="", help="serve on this address of the machine")
    parser.add_argument("--port", type=int, default=room.PORT, help="serve on this port")
    parser.add_argument(
        "--record", action="store_true", help="keep the kit's sizes for those who make the next"
    )
    return parser.parse_args(arguments)


def _make(options: argparse.Namespace) -> None:
    wanted = make.Wanted(tuple(options.chapters), tuple(options.parts), tuple(options.python))
    if options.size:
        print(make.beforehand(options.folder, wanted, sources.here()))
        return
    began = time.monotonic()
    made = make.make(options.folder, wanted)
    seconds = time.monotonic() - began
    if options.record and not wanted.chapters and set(wanted.parts) == set(PARTS):
        make.record(made, sources.here(), seconds)
    say(f"The kit is in {options.folder}, made in {seconds:.0f} s:")
    say(manifest.told_sizes(made.entries))
    for one in made.missing:
        say(f"Not in it: {one.what}, {one.architecture}: {one.why}")
    if made.packages_until:
        say(
            f"Debian's package lists in it hold until {made.packages_until[:16]} UTC; "
            "make it again within a week before the workshop."
        )
    if not options.no_archive:
        archive = options.folder.with_name(f"{options.folder.name}.tar")
        make.pack(options.folder, archive, made)
        say(f"All of it in one file: {archive} ({megabytes(archive.stat().st_size)}).")
        if archive.stat().st_size > _MOST_FAT32_BYTES:
            say("A stick with FAT32 does not hold so large a file: copy the folder instead.")


def _load(asked: str, usual: str) -> None:
    """Load the kit that was asked for by its name, or else that which was taken.

    The usual one is taken where none was, or where images of it are gone: a laptop that has all of
    it needs the room no more. Images of a room come from its registry where the engine takes them
    from there, and as files where it does not.
    """
    name = asked or usual
    if asked or (usual and sources.taken() is None):
        sources.take(name, is_known=sources.can_wait(name))
    if sources.taken() is None:
        raise KitError(
            f"No kit was named. Say `--load KIT`, or set {sources.VARIABLE}: "
            "a kit's folder, its archive, or a room's address."
        )
    found = engine.find()
    try:
        load.load(found)
    except load.Gone:
        if not name:
            raise
        pull.from_room(found, name)
        sources.take(
            name,
            is_known=lambda one: one.part == manifest.IMAGES and load.is_on(found, one),
            again=True,
        )
        load.load(found)


if __name__ == "__main__":
    sys.exit(main())
