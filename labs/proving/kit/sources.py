"""Where a kit comes from: a folder, an archive of it, or the server of a room.

What is taken is checked, file by file, and its manifest is written last: a kit that was not taken
whole is none. What an earlier try has taken stays, and is not taken again.
Only the standard library is used here, since a kit is unpacked before there is an environment.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, Protocol, cast

from ..paths import STATE
from ..system import Say, say
from . import manifest
from .manifest import Entry, KitError, Manifest, megabytes

VARIABLE = "PROVING_KIT"
"""Names the kit that a machine takes all from: a folder, an archive, or a room's address."""

TAKEN = STATE / "kit"
"""Where a kit lies once it was taken: its images are on the engine, and not here."""

TOKEN_LENGTH = 20
"""How many digits of a manifest's SHA-256 a room's address ends with: 80 bits."""

_TIMEOUT_SECONDS = 30
_LARGE_BYTES = 20_000_000
_ADDRESS = re.compile(rf"http://[\w.:\[\]-]+/([0-9a-f]{{{TOKEN_LENGTH}}})/?")
_BROKEN = (OSError, tarfile.TarError, urllib.error.URLError, EOFError)


class Source(Protocol):
    """A place that a kit can be taken from."""

    def manifest(self) -> Manifest:
        """Return what the kit holds."""

    def open(self, entry: Entry, offset: int) -> AbstractContextManager[tuple[IO[bytes], int]]:
        """Open a file; return it, and at which byte it begins: the one asked for, or its first."""


class Folder:
    """A kit's folder, such as on a stick."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self) -> Manifest:
        """Return what the kit holds."""
        return manifest.read(self.path)

    @contextmanager
    def open(self, entry: Entry, offset: int) -> Iterator[tuple[IO[bytes], int]]:
        """Open a file at a byte."""
        with (self.path / entry.path).open("rb") as file:
            file.seek(offset)
            yield file, offset


class Archive:
    """A kit's folder in one tar archive."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self) -> Manifest:
        """Return what the kit holds."""
        with self._member(manifest.NAME) as file:
            return manifest.parse(file.read(manifest.MOST_BYTES))

    @contextmanager
    def open(self, entry: Entry, offset: int) -> Iterator[tuple[IO[bytes], int]]:
        """Open a file at a byte."""
        with self._member(entry.path) as file:
            file.seek(offset)
            yield file, offset

    @contextmanager
    def _member(self, name: str) -> Iterator[IO[bytes]]:
        with tarfile.open(self.path) as tar:
            # only what is looked for is read: a foreign archive may have any number of members
            for number, member in enumerate(tar):
                if member.name == name and member.isreg():
                    file = tar.extractfile(member)
                    assert file is not None  # noqa: S101 - it is a regular file
                    yield file
                    return
                if number > manifest.MOST_FILES or (name == manifest.NAME and number):
                    break
        raise KitError(f"{self.path} has no {name} where a kit has it: it is damaged, or no kit.")


class Room:
    """A kit that another machine serves; see `proving.kit.room`."""

    def __init__(self, address: str) -> None:
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise KitError(
                f"{VARIABLE} is {address!r}, which is no room's address: one looks like "
                f"http://192.168.1.5:8475/{'0123456789abcdef0123'[:TOKEN_LENGTH]}."
            )
        self.address, self.token = address.rstrip("/"), match[1]

    def manifest(self) -> Manifest:
        """Return what the kit holds; it is the one that the address tells, or none."""
        with self._get(manifest.NAME, 0) as (answer, _):
            text = answer.read(manifest.MOST_BYTES)
        if token_of(text) != self.token:
            raise KitError(
                f"What {self.address} serves is not the kit that this address tells: somebody else "
                "answers there, or the kit was made anew. Ask for the address again."
            )
        return manifest.parse(text)

    @contextmanager
    def open(self, entry: Entry, offset: int) -> Iterator[tuple[IO[bytes], int]]:
        """Open a file at a byte, or at its first where the server does not go on in the middle."""
        with self._get(entry.path, offset) as opened:
            yield opened

    @contextmanager
    def _get(self, path: str, offset: int) -> Iterator[tuple[IO[bytes], int]]:
        request = urllib.request.Request(f"{self.address}/{path}")
        if offset:
            request.add_header("Range", f"bytes={offset}-")
        # no proxy: the room is on this network
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
            yield cast("IO[bytes]", answer), offset if goes_on else 0


def token_of(text: bytes) -> str:
    """Return what the address of a room that serves this manifest ends with.

    Whoever has it can tell the room's kit from one that somebody else serves at that address.
    """
    return hashlib.sha256(text).hexdigest()[:TOKEN_LENGTH]


def source(name: str) -> Source:
    """Return the source that a name means: an address, a folder, or an archive.

    Raises:
        KitError: it is none of them.
    """
    if "://" in name:
        return Room(name)
    path = Path(name).expanduser().absolute()
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Archive(path)
    raise KitError(f"There is no kit at {path}: neither a folder nor an archive.")


def here() -> str:
    """Return this machine's architecture by its OCI name."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def taken() -> Manifest | None:
    """Return what the kit holds that this checkout has taken; None where it has none."""
    return manifest.read(TAKEN) if (TAKEN / manifest.NAME).is_file() else None


def take(
    name: str,
    target: Path | None = None,
    architecture: str = "",
    tell: Say = say,
    is_known: Callable[[Entry], bool] = lambda _: False,
    *,
    again: bool = False,
) -> Manifest:
    """Take a kit for one architecture, this machine's unless another is told; return its manifest.

    It comes to where this checkout has its kit, unless another folder is the `target`.
    Of a file that `is_known` nothing is taken: an image that the engine has, say. The registry of
    a room is for whoever serves a kit, from its own folder: it is not taken.
    A kit that was taken whole is left as it is, unless its files are to be looked at `again`.

    Raises:
        KitError: there is none, it is damaged, it has nothing for this architecture, or the disk is
            too small. What was taken stays for another try, and is no kit before it is whole.
    """
    target, wanted_for = target or TAKEN, architecture or here()
    with _told(name):
        came_from = source(name)
        found = came_from.manifest()
        _check(found, wanted_for, name)
        text = found.to_json()
        if (target / manifest.NAME).is_file():
            if not again and (target / manifest.NAME).read_text(encoding="utf-8") == text:
                return found
            (target / manifest.NAME).unlink()
        wanted = [
            entry
            for entry in found.for_architecture(wanted_for)
            if entry.part != manifest.REGISTRY
            and not is_known(entry)
            and not manifest.is_whole(target, entry)
        ]
        size_bytes = sum(entry.size_bytes for entry in wanted)
        _check_room(target, size_bytes)
        if wanted:
            tell(f"Taking {len(wanted)} files of the kit, {megabytes(size_bytes)} …")
        for entry in wanted:
            if entry.size_bytes > _LARGE_BYTES:
                tell(f"Taking {entry.path} ({megabytes(entry.size_bytes)}) …")
            _take(came_from, entry, target)
        manifest.write(target, found)
    return found


def can_wait(name: str) -> Callable[[Entry], bool]:
    """Return what tells whether a file of a kit need not be taken before an engine is known.

    A room's images are such: where the engine takes them from the room's registry, layer by layer,
    no file of them travels.
    """
    is_room = "://" in name
    return lambda entry: is_room and entry.part == manifest.IMAGES


def _check(found: Manifest, architecture: str, name: str) -> None:
    if not found.is_complete:
        raise KitError(
            f"The kit in {name} is not complete: making it was interrupted. "
            "Run `nox -s kit` again where it was made; what it has is kept."
        )
    if architecture not in found.architectures():
        told = ", ".join(found.architectures()) or "no architecture"
        raise KitError(
            f"The kit in {name} has images for {told}, and this machine is {architecture}."
        )


def _check_room(target: Path, size_bytes: int) -> None:
    target.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target).free
    if free < size_bytes:
        raise KitError(
            f"The kit needs {megabytes(size_bytes)} in {target}, and that disk has "
            f"{megabytes(free)} free. Free some space, and run the same command again."
        )


def _take(came_from: Source, entry: Entry, target: Path) -> None:
    path = target / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    offset = part.stat().st_size if part.is_file() else 0
    if offset >= entry.size_bytes:
        offset = 0
    with part.open("r+b" if offset else "wb") as file:
        with came_from.open(entry, offset) as (opened, begins):
            file.seek(begins)
            file.truncate()
            shutil.copyfileobj(_limited(opened, entry.size_bytes - begins + 1), file, 1 << 20)
        size = file.tell()
        os.fsync(file.fileno())
    with part.open("rb") as file:
        digest, _ = manifest.sha256(file)
    if digest != entry.sha256:
        if size >= entry.size_bytes:  # what is short is gone on with the next time
            part.unlink()
        what = "is cut short" if size < entry.size_bytes else "is damaged"
        raise KitError(
            f"{entry.path} {what}: its checksum is not the one that the kit's manifest tells. "
            "Nothing was loaded. Copy the kit again, or run the same command again for a room's."
        )
    part.replace(path)


def _limited(opened: IO[bytes], most_bytes: int) -> IO[bytes]:
    """Return a file's beginning alone: a source that says more than its manifest is cut off."""

    class Limited(io.RawIOBase):
        left = most_bytes

        def read(self, size: int = -1) -> bytes:
            chunk = opened.read(min(size, self.left) if size >= 0 else self.left)
            self.left -= len(chunk)
            return chunk

    return cast("IO[bytes]", Limited())


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what breaks on the way into a sentence."""
    try:
        yield
    except KitError:
        raise
    except urllib.error.HTTPError as error:
        raise KitError(
            f"The room at {name} answers with status {error.code}. Look whether the address is "
            "right: it changes when the kit is made anew."
        ) from error
    except urllib.error.URLError as error:
        raise KitError(
            f"No room answers at {name} ({error.reason}). Look whether this machine is on the "
            "room's network, and whether `nox -s kit -- --serve` still runs there. Elsewhere, "
            f"take the variable back: unset {VARIABLE}."
        ) from error
    except tarfile.TarError as error:
        raise KitError(f"{name} is no archive of a kit, or it is damaged: {error}.") from error
    except _BROKEN as error:
        raise KitError(
            f"The kit in {name} could not be read or kept to its end: {error}. "
            "Run the same command again; what was taken is kept."
        ) from error


def _taken_images() -> frozenset[Entry]:
    try:
        found = taken()
    except KitError:  # a damaged one is taken anew
        found = None
    entries = found.entries if found else ()
    return frozenset(one for one in entries if one.part == manifest.IMAGES)


def main(arguments: list[str]) -> int:
    """Take the kit that the first argument names, for the noxfile; return the exit status.

    Where it is not to be had any more, what was taken from it does. Images that an earlier kit had
    as well are not taken: the engine has them, or else `load` says so, and they are taken then.
    Those of a room wait for an engine in any case.
    """
    known, can_wait_there = _taken_images(), can_wait(arguments[0])
    try:
        take(arguments[0], is_known=lambda one: one in known or can_wait_there(one))
    except KitError as error:
        say(str(error))
        if not (TAKEN / manifest.NAME).is_file():
            return 1
        say("The kit that was taken before is used.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
