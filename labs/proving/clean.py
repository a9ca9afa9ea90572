"""Remove every trace of the guide from the engine, and the private engine with its data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import buildcache, cluster, engine, leftovers, private
from .engine import Engine
from .errors import EngineError, ProvingError
from .kit import debian as kit_packages
from .kit import registry as kit_registry
from .paths import LABS
from .system import say

if TYPE_CHECKING:
    import docker

FOLDERS = (LABS / "images", LABS / "exercises")
"""Where the guide's Dockerfiles lie."""


_GOES = (
    "Remove every trace of the guide from the engine: what runs have left, the bases and the "
    "cluster's node, and the build cache of its own Dockerfiles; then the private engine with its "
    "data, the wheels and a kit that was taken. Nobody is asked first, and whoever shares the "
    "engine loses them as well."
)
_STAYS = (
    "What stays: public images that were pulled, the working copy with your edits, your progress, "
    "and a room on another engine than the private one: `nox -s hub -- --clear` removes it."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Clean up and say what was removed; return the exit status.

    Public images that were pulled stay, since other work on the machine may use them, and so do
    the working copy with the reader's own edits, and their progress. Of the build cache, what our
    Dockerfiles' commands have made goes, unless somebody else's command needs it. What a room has
    on another engine than the private one stays: that is removed by `nox -s hub -- --clear`.
    """
    parser = argparse.ArgumentParser(prog="nox -s clean --", description=_GOES, epilog=_STAYS)
    parser.parse_args(arguments)
    try:
        found = _engine()
        if found is not None:
            kit_packages.remove(found.docker)
            kit_registry.remove(found.docker)
            things = leftovers.remove(found.docker) + cluster.remove_left(lambda: found)
            packages = kit_packages.images(found.docker)
            bases = leftovers.remove_bases(found.docker, packages)
            told = f"{things} things of runs and {bases} bases"
            if found.url != private.url():  # which is erased as a whole
                dockerfiles = [file for folder in FOLDERS for file in folder.rglob("Dockerfile")]
                gone = remove_records(found.docker, dockerfiles)
                told = f"{things} things of runs, {bases} bases and {gone} build cache records"
            say(f"Removed {told} from {found.url}.")
        if not private.erase():
            say("There is no private engine here.")
    except ProvingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def remove_records(client: docker.DockerClient, dockerfiles: Iterable[Path]) -> int:
    """Remove the build cache's records of these Dockerfiles' commands; return how many are gone.

    What came of them and led to them goes too; see `buildcache.left_by` for what stays.
    """
    commands: frozenset[str] = frozenset()
    for file in dockerfiles:
        commands |= buildcache.commands(file.read_text(encoding="utf-8"))
    return buildcache.remove(client, buildcache.left_by(buildcache.records(client), commands))


def _engine() -> Engine | None:
    try:
        return engine.find(start=False)
    except EngineError:
        return None


if __name__ == "__main__":
    sys.exit(main())
