"""What a kit holds: its files with their checksums, and what it could not be given.

A kit is a folder with a `manifest.json`, and the files that this names by their paths.
Only the standard library is used here, since a kit is unpacked before there is an environment.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import ProvingError

FORMAT = "proving-ground-kit"
VERSION = 2
"""2 added the registry of a room, and digests of configurations; kits of 1 are read as well."""

NAME = "manifest.json"
ANY = "any"
"""The architecture of what runs on each of them."""

IMAGES, WHEELS, LAB_WHEELS, SITE, SOURCE = "images", "wheels", "lab-wheels", "site", "source"
REGISTRY = "registry"
PARTS = {
    IMAGES: "images",
    REGISTRY: "registry from which a room has its images",
    WHEELS: "wheels of the guide's environment",
    LAB_WHEELS: "wheels that labs install",
    SITE: "site",
    SOURCE: "guide itself",
}
"""What a kit has, by the folder that it lies in, in words."""

MOST_FILES = 10_000
MOST_BYTES = 64 * 1024 * 1024
"""The largest manifest that is read."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*")
_CHUNK_BYTES = 1 << 20


class KitError(ProvingError):
    """A kit cannot be made, read or loaded."""


@dataclass(frozen=True)
class Entry:
    """A file of a kit: its path within, its size and SHA-256, and whom it is for.

    `reference`, `image_id` and `config_digest` are those of an image: its name on engines, the ID
    that it had on the engine that it was saved from, and the digest of its configuration (OCI image
    spec, "ImageID"), which tells all of its contents wherever it is.
    """

    path: str
    size_bytes: int
    sha256: str
    architecture: str = ANY
    reference: str = ""
    image_id: str = ""
    config_digest: str = ""

    @property
    def identity(self) -> str:
        """What tells an image from any other: the digest of its configuration, where it is known.

        A kit of version 1 has the ID alone, which on the classic stores is the same.
        """
        return self.config_digest or self.image_id

    @property
    def part(self) -> str:
        """The part of the kit that it belongs to: the first folder of its path."""
        return self.path.partition("/")[0]


@dataclass(frozen=True)
class Missing:
    """What a kit does not have, for which architecture, and why."""

    what: str
    architecture: str
    why: str


@dataclass(frozen=True)
class Manifest:
    """What a kit holds; `packages_until` says until when apt takes its package lists (ISO 8601).

    That is the earliest moment of those in `packages_until_of`, by architectures.
    `chapters` are those that its packages were gathered for; empty for all of them.
    """

    made: str
    entries: tuple[Entry, ...] = ()
    missing: tuple[Missing, ...] = ()
    chapters: tuple[str, ...] = ()
    packages_until: str = ""
    is_complete: bool = False
    guide: str = ""
    packages_until_of: dict[str, str] = field(default_factory=dict)

    def packages_until_on(self, architecture: str) -> str:
        """Return until when apt takes the package lists that it has for an architecture."""
        return self.packages_until_of.get(architecture, self.packages_until)

    def for_architecture(self, architecture: str) -> tuple[Entry, ...]:
        """Return what a machine of this architecture needs of it."""
        return tuple(one for one in self.entries if one.architecture in (ANY, architecture))

    def find(self, path: str) -> Entry | None:
        """Return the entry of a path, or None."""
        return next((entry for entry in self.entries if entry.path == path), None)

    def with_entry(self, entry: Entry) -> Manifest:
        """Return the manifest with an entry, in place of one of the same path."""
        others = (one for one in self.entries if one.path != entry.path)
        return replace(self, entries=tuple(sorted((*others, entry), key=lambda one: one.path)))

    def architectures(self) -> tuple[str, ...]:
        """Return the architectures for which it has images."""
        return tuple(sorted({one.architecture for one in self.entries if one.part == IMAGES}))

    def size_bytes(self) -> int:
        """Return the size of all of its files."""
        return sum(entry.size_bytes for entry in self.entries)

    def to_json(self) -> str:
        """Return the manifest as it is written: the same contents give the same bytes."""
        told = {
            "format": FORMAT,
            "version": VERSION,
            "made": self.made,
            "guide": self.guide,
            "chapters": list(self.chapters),
            "packages_until": self.packages_until,
            "packages_until_of": self.packages_until_of,
            "is_complete": self.is_complete,
            "missing": [asdict(one) for one in self.missing],
            "files": [asdict(one) for one in self.entries],
        }
        return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def parse(text: bytes | str) -> Manifest:
    """Read a manifest, of which nothing is believed that could lead out of the kit's folder.

    Raises:
        KitError: it is none, is of another version, or names what no kit of ours would.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KitError(f"The kit's {NAME} is not JSON: it is damaged, or no kit.") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise KitError(f"The {NAME} is not that of a kit of the guide.")
    if told.get("version") not in (1, VERSION):
        raise KitError(
            f"The kit is of version {told.get('version')!r}, and this guide reads version "
            f"{VERSION}. Take the guide that lies in the kit, or make the kit anew with this one."
        )
    try:
        return _read(told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise KitError(f"The kit's {NAME} is damaged: {error}.") from error


def _read(told: Mapping[str, Any]) -> Manifest:
    files = told["files"]
    if len(files) > MOST_FILES:
        raise ValueError(f"it names {len(files)} files")
    entries = tuple(_checked(Entry(**file)) for file in files)
    if len({entry.path for entry in entries}) != len(entries):
        raise ValueError("it names a file twice")
    return Manifest(
        made=str(told["made"]),
        entries=entries,
        missing=tuple(Missing(**one) for one in told["missing"]),
        chapters=tuple(str(one) for one in told["chapters"]),
        packages_until=_moment(told["packages_until"]),
        packages_until_of={
            str(name): _moment(text) for name, text in told.get("packages_until_of", {}).items()
        },
        is_complete=told["is_complete"] is True,
        guide=str(told["guide"]),
    )


def _moment(text: Any) -> str:
    """Return a moment as it stands; it is empty, or has the offset of its zone."""
    if text and datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return str(text)


def _checked(entry: Entry) -> Entry:
    parts = PurePosixPath(entry.path).parts
    if len(parts) < 2 or parts[0] not in PARTS or entry.path != "/".join(parts):
        raise ValueError(f"{entry.path!r} is no path of a kit")
    if not all(_SAFE.fullmatch(part) for part in parts):
        raise ValueError(f"{entry.path!r} is no path of a kit")
    if not isinstance(entry.size_bytes, int) or entry.size_bytes < 0:
        raise ValueError(f"{entry.path} has no size")
    if not _SHA256.fullmatch(entry.sha256):
        raise ValueError(f"{entry.path} has no SHA-256")
    if entry.config_digest and not _DIGEST.fullmatch(entry.config_digest):
        raise ValueError(f"{entry.path} has no digest")
    return entry


def read(folder: Path) -> Manifest:
    """Read the manifest of a kit's folder.

    Raises:
        KitError: there is none, or it is damaged.
    """
    try:
        with (folder / NAME).open("rb") as file:
            return parse(file.read(MOST_BYTES))
    except OSError as error:
        raise KitError(
            f"There is no kit in {folder}: its {NAME} cannot be read ({error.strerror})."
        ) from error


def write(folder: Path, manifest: Manifest) -> None:
    """Write a kit's manifest, at once or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{NAME}.new"
    new.write_text(manifest.to_json(), encoding="utf-8")
    new.replace(folder / NAME)


def sha256(source: IO[bytes], target: IO[bytes] | None = None) -> tuple[str, int]:
    """Return the SHA-256 and the size of what a file has to say; copy it to `target` meanwhile."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest(), size


def is_whole(folder: Path, entry: Entry) -> bool:
    """Tell whether a kit's folder has a file as the manifest says."""
    path = folder / entry.path
    try:
        if path.is_symlink() or path.stat().st_size != entry.size_bytes:
            return False
        with path.open("rb") as file:
            return sha256(file) == (entry.sha256, entry.size_bytes)
    except OSError:
        return False


def entry_of(folder: Path, path: str, architecture: str = ANY, **more: str) -> Entry:
    """Return the entry of a file that lies in a kit's folder."""
    with (folder / path).open("rb") as file:
        digest, size = sha256(file)
    return _checked(Entry(path, size, digest, architecture, **more))


def told_sizes(entries: Iterable[Entry]) -> str:
    """Return the sizes of a kit's parts, and of all of it, in a table of plain lines."""
    listed = list(entries)
    rows = [
        (words, [entry for entry in listed if entry.part == part]) for part, words in PARTS.items()
    ]
    rows.append(("together", listed))
    return "\n".join(
        f"  {megabytes(sum(one.size_bytes for one in found)):>10}  {len(found):>4} files  {words}"
        for words, found in rows
        if found
    )


def megabytes(size_bytes: int) -> str:
    """Return a size for people, in megabytes of a million bytes."""
    return f"{size_bytes / 1e6:,.1f} MB"
