"""A folder with an OCI image layout (OCI image spec, "Image Layout"), given as an archive is.

Only `index.json`, `oci-layout` and the blobs are read, and no symbolic link is followed.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import CouldNotMeasure
from .reader import PIECE_BYTES
from .text import printable

_BLOBS = Path("blobs", "sha256")
_DOCUMENTS = ("oci-layout", "index.json")


def is_layout(folder: Path) -> bool:
    """Tell whether a folder says that it is an OCI image layout."""
    return all((folder / name).is_file() for name in _DOCUMENTS)


def size_bytes(folder: Path) -> int:
    """Return how many bytes its files have."""
    return sum(one.lstat().st_size for one in _files(folder))


def chunks(folder: Path) -> Iterator[bytes]:
    """Return the layout as an archive, in pieces.

    Raises:
        CouldNotMeasure: a file of it cannot be read, or changes meanwhile.
    """
    for file in _files(folder):
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise CouldNotMeasure(
                f"{printable(str(file))} cannot be read: {error.strerror}."
            ) from error
        with os.fdopen(descriptor, "rb") as opened:
            told = os.fstat(descriptor)
            if stat.S_ISREG(told.st_mode):
                yield from _member(file.relative_to(folder).as_posix(), opened, told.st_size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _files(folder: Path) -> list[Path]:
    blobs = folder / _BLOBS
    found = sorted(blobs.iterdir()) if blobs.is_dir() else []
    return [*(folder / name for name in _DOCUMENTS), *found]


def _member(name: str, opened: IO[bytes], size: int) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = size
    yield info.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape")
    left = size
    while left:
        piece = opened.read(min(left, PIECE_BYTES))
        if not piece:
            raise CouldNotMeasure(f"{printable(name)} has become shorter while it was read.")
        left -= len(piece)
        yield piece
    yield bytes(-size % tarfile.BLOCKSIZE)
