"""A full disk, told in a sentence with its cure: the engine's, or this machine's own.

The words are those of errno(3), in whatever a builder, a package manager or the engine says: in the
output of a step, in a transfer of the context, or in the engine's own records.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import buildcache
from .claims import humanize
from .errors import DiskFull

if TYPE_CHECKING:
    from .engine import Engine

_FULL = re.compile(
    r"no space left on device"  # ENOSPC
    r"|disk quota exceeded"  # EDQUOT
    r"|you don't have enough free space in",  # apt-get, before it begins
    re.IGNORECASE,
)
_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_NUMBERED = re.compile(r"^#(\d+) (ERROR\b)?")
_PLENTY_BYTES = 2 * 1000**3
_TRIES_SECONDS = 6.0
_WRITTEN_ENOUGH = 4
_PAUSE_SECONDS = 0.5
_ROOM_BYTES = 1_000_000

CURE = (
    "Free some space: `docker system df` tells what holds it, `docker builder prune` empties the "
    "build cache, and `nox -s clean` removes all that is ours. Then run the same command again."
)


def is_told_in(text: str | None) -> bool:
    """Tell whether a text says that a disk is full."""
    return bool(_FULL.search(text or ""))


def is_full(progress: str) -> bool:
    """Tell whether a build failed for want of space, by BuildKit's plain progress.

    What a step that ended well has printed does not count.
    """
    lines = [(line, _NUMBERED.match(line)) for line in progress.splitlines()]
    failed = {match[1] for _, match in lines if match and match[2]}
    return any(is_told_in(line) for line, match in lines if match is None or match[1] in failed)


def sentence(engine: Engine) -> str:
    """Return that the engine's disk is full, how much it has where that can be told, and a cure."""
    root, usage = data_root(engine)
    told = ["The engine's disk is full."]
    if usage is not None and usage[0] > _PLENTY_BYTES:
        told = [
            "There was no space left, though the engine's disk has some: the work needs more than "
            "that for a while, or it fills a small place such as /dev/shm."
        ]
    if usage is not None:
        free, total = (humanize(size, "B") for size in usage)
        told.append(f"Its data lie in {root}, where {free} of {total} are free at this moment.")
    elif root:
        told.append(f"Its data lie in {root} on the engine's machine.")
    return " ".join([*told, CURE])


def data_root(engine: Engine) -> tuple[str, tuple[int, int] | None]:
    """Return where an engine keeps its data, with the free and all bytes of a disk of ours."""
    root, usage = "", None
    with suppress(Exception):  # an engine without space may not answer: the rest goes on anyway
        info = engine.docker.info()
        root = str(info.get("DockerRootDir") or "")
        if is_here(info.get("Name"), info.get("KernelVersion")):
            found = shutil.disk_usage(root)
            usage = found.free, found.total
    return root, usage


def is_here(name: str | None, kernel: str | None) -> bool:
    """Tell whether an engine of this name and kernel shares our file system: a VM's does not."""
    return (name, kernel) == (platform.node(), platform.release())


def sentence_here(path: Path | None = None) -> str:
    """Return that the disk of this machine is full where a file lies, or temporary files do."""
    folder = Path(tempfile.gettempdir()) if path is None else path.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return (
        f"The disk of this machine is full: {folder} has {humanize(usage.free, 'B')} of "
        f"{humanize(usage.total, 'B')} free. Free some space, or name a folder that has some by "
        "the environment variable TMPDIR, and run the same command again."
    )


@contextmanager
def telling(engine: Engine) -> Iterator[None]:
    """Turn a disk without space, the engine's or this machine's, into a sentence.

    Raises:
        DiskFull: a write found no space.
    """
    from docker.errors import APIError

    try:
        yield
    except APIError as error:  # which is an OSError too
        if not is_told_in(error.explanation or str(error)):
            raise
        raise DiskFull(sentence(engine)) from error
    except OSError as error:
        if error.errno not in _ERRNOS:
            raise
        path = None if error.filename is None else Path(os.fsdecode(error.filename))
        raise DiskFull(sentence_here(path)) from error


def give_back(engine: Engine, dockerfile: str) -> int:
    """Remove what a build for which the disk was too small has left behind it.

    Returns the number of records of the build cache that are gone: those that steps of this
    Dockerfile have made. Steps that another Dockerfile shares stay, and so does all where the
    engine cannot tell its records any more.
    No lock is taken here: a build of a workspace holds the window (`buildcache.Window`) already,
    and would wait for itself.
    """
    from docker.errors import APIError

    _have_garbage_collected(engine)
    try:
        client = engine.docker
        found = buildcache.records(client)
        made = buildcache.left_by(found, buildcache.commands(dockerfile))
        return buildcache.remove(client, made)
    except APIError:
        return 0


def _have_garbage_collected(engine: Engine) -> None:
    """Have the engine remove half a context, which no record tells of and no prune removes.

    BuildKit 0.8 lets go of it some time after a later build has ended, whether or not that fails,
    and cannot write even that down at first: up to three builds were needed, and builds without a
    pause between them were over before any of it was done. A build that could be written down, in
    the last page of the disk, does not tell that anything was let go of.
    """
    command = [*engine.builder.command(), "--progress=plain", "-"]
    end = time.monotonic() + _TRIES_SECONDS
    written = 0
    while time.monotonic() < end:
        ended = subprocess.run(
            command,
            input="FROM scratch\nCOPY nothing /\n",
            env=dict(engine.builder.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        written = written + 1 if not is_told_in(ended.stdout + ended.stderr) else 0
        _, usage = data_root(engine)
        has_room = usage is not None and usage[0] > _ROOM_BYTES
        if written >= _WRITTEN_ENOUGH or (written and has_room):
            return
        time.sleep(_PAUSE_SECONDS)
