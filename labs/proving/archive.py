"""What `docker save` gives of an image: its configuration, and what each of its layers holds.

The archive is read as a stream: nothing is unpacked, and no layer is held in memory.
Layers are told by their diff ID, the digest of the uncompressed tar, and whiteouts are those of
the OCI image specification ("Image Layer Filesystem Changeset").
"""

from __future__ import annotations

import hashlib
import json
import stat
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from .errors import CouldNotMeasure
from .paths import STATE

if TYPE_CHECKING:
    import tarfile

GZIP_LEVEL = 6
"""The default level of gzip, and of the engines' own compression."""

CODEC = f"gzip, level {GZIP_LEVEL}, by zlib {zlib.ZLIB_RUNTIME_VERSION}"
"""What transfer bytes are computed with; a result tells it."""

DATABASES = (
    "var/lib/dpkg/status",
    "lib/apk/db/installed",
    "usr/lib/apk/db/installed",
)
"""Where the package managers of Debian and Alpine write down what is installed."""

ONE_FILE_EACH = "var/lib/dpkg/status.d/"
"""Where distroless images have one file for each package."""

BEGINNING_BYTES = 1 << 16
"""How much of a layer's beginning tells it from others that were weighed before."""

_KEPT = STATE / "transfer" / f"gzip-{GZIP_LEVEL}-zlib-{zlib.ZLIB_RUNTIME_VERSION}"
_CHUNK_BYTES = 1 << 20
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_METADATA = ".wh..wh."
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK_BYTES = 512
_TYPES = {
    b"5": stat.S_IFDIR,
    b"2": stat.S_IFLNK,
    b"3": stat.S_IFCHR,
    b"4": stat.S_IFBLK,
    b"6": stat.S_IFIFO,
}
"""The types of a tar's members (POSIX, "ustar Interchange Format"); all others are files."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Entry(NamedTuple):
    """A path in a layer; `link` is the path in the same layer whose content it shares.

    `mode` has its type and its permissions, as `st_mode` does (inode(7)).
    """

    size_bytes: int
    is_directory: bool = False
    link: str = ""
    mode: int = stat.S_IFREG


class Place(NamedTuple):
    """Where in a layer some bytes were found.

    `path` is without a leading slash, and empty for what follows the last file of the layer's tar.
    `in_content` tells the content of a file from what the tar says of it: its name, the target of
    a link, its owner or its extended attributes.
    """

    path: str
    in_content: bool = True


@dataclass(frozen=True)
class Changeset:
    """What one layer adds, changes and removes, by path without a leading slash.

    `whiteouts` are the paths that it removes; of the directories in `opaque` it hides all that
    lower layers have in them.
    `found` are the places of each of the texts that were searched for, by that text.
    """

    diff_id: str
    transfer_bytes: int
    entries: Mapping[str, Entry]
    whiteouts: Set[str] = frozenset()
    opaque: Set[str] = frozenset()
    databases: Mapping[str, bytes] = field(default_factory=dict)
    found: Mapping[bytes, tuple[Place, ...]] = field(default_factory=dict)

    @cached_property
    def unpacked_bytes(self) -> int:
        """The bytes of the layer's regular files, each content counted once."""
        return sum(entry.size_bytes for entry in self.entries.values())


@dataclass(frozen=True)
class Archive:
    """An image's configuration (OCI image spec, "Image Configuration"), and its layers in order.

    `documents` are all files of the archive that are no layers, by name: the configuration again,
    manifests, and attestations where the image has any.
    """

    config: Mapping[str, Any]
    stack: tuple[Changeset, ...]
    documents: Mapping[str, bytes] = field(default_factory=dict)


def read(save: Callable[[], Iterable[bytes]], wanted: Sequence[bytes] = ()) -> Archive:
    """Return what an image is made of; `save` gives its archive, as `docker save` does, in chunks.

    Of each text that is `wanted`, every layer tells at which places it has it, as it is: what is
    compressed or encoded within a file is not found.

    Raises:
        ValueError: a text that is wanted is empty.
        CouldNotMeasure: the archive is none of an image, or a layer is compressed by a codec
            that cannot be read here.
    """
    try:
        documents, changesets = _read_archive(save(), Kept(), wanted)
    except _NotTheLayer:
        documents, changesets = _read_archive(save(), None, wanted)
    config = _config(documents)
    order = config["rootfs"]["diff_ids"]
    missing = [diff_id for diff_id in order if diff_id not in changesets]
    if missing:
        raise CouldNotMeasure(
            f"The engine's archive of the image lacks {len(missing)} of its {len(order)} layers."
        )
    return Archive(config, tuple(changesets[diff_id] for diff_id in order), documents)


def _config(documents: Mapping[str, bytes]) -> Mapping[str, Any]:
    try:
        name = json.loads(documents["manifest.json"])[0]["Config"]
        config: Mapping[str, Any] = json.loads(documents[name])
        config["rootfs"]["diff_ids"]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CouldNotMeasure(
            f"The engine's archive of the image has no configuration that can be read: {error!r}."
        ) from error
    return config


class _NotTheLayer(Exception):
    """A layer begins like one that was weighed before, and is another."""


class Kept:
    """What layers were found to weigh, so that none is compressed twice.

    A layer's diff ID is known only when all of it was read. It is looked up by its length and its
    beginning instead, and the diff ID that was kept with its weight is compared at the end.
    """

    def __init__(self, folder: Path = _KEPT) -> None:
        self._folder = folder

    def find(self, start: bytes, size_bytes: int) -> tuple[str, int] | None:
        """Return the diff ID and the transfer bytes of the layer that begins so, if known."""
        try:
            diff_id, transfer_bytes = self._file(start, size_bytes).read_text().split()
            return diff_id, int(transfer_bytes)
        except (OSError, ValueError):
            return None

    def keep(self, start: bytes, size_bytes: int, changeset: Changeset) -> None:
        """Keep what a layer weighs; where that cannot be written, it is computed again."""
        file = self._file(start, size_bytes)
        fresh = file.with_suffix(f".{threading.get_ident()}")
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(f"{changeset.diff_id} {changeset.transfer_bytes}\n")
            fresh.replace(file)

    def _file(self, start: bytes, size_bytes: int) -> Path:
        return self._folder / hashlib.sha256(b"%d %b" % (size_bytes, start)).hexdigest()


def _read_archive(
    chunks: Iterable[bytes], kept: Kept | None, wanted: Sequence[bytes]
) -> tuple[dict[str, bytes], dict[str, Changeset]]:
    """Return the JSON documents of an archive by name, and its layers by diff ID."""
    import tarfile

    documents: dict[str, bytes] = {}
    changesets: dict[str, Changeset] = {}
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], _Chunks(chunks)), mode="r|", bufsize=_CHUNK_BYTES
        ) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is None:
                    continue
                start = content.read(BEGINNING_BYTES)
                if _is_layer(start):
                    changeset = _weighed(start, content, member.size, kept, wanted)
                    changesets[changeset.diff_id] = changeset
                else:
                    documents[member.name] = start + content.read()
    except (tarfile.TarError, zlib.error) as error:
        raise CouldNotMeasure(f"The engine's archive of the image is damaged: {error}.") from error
    return documents, changesets


def _weighed(
    start: bytes,
    content: IO[bytes],
    size_bytes: int,
    kept: Kept | None,
    wanted: Sequence[bytes],
) -> Changeset:
    known = kept.find(start, size_bytes) if kept else None
    changeset = read_layer(_Rest(start, content), known[1] if known else None, wanted)
    if known and known[0] != changeset.diff_id:
        raise _NotTheLayer
    if kept and not known:
        kept.keep(start, size_bytes, changeset)
    return changeset


def _is_layer(start: bytes) -> bool:
    """Tell a layer from a document: by its magic, or by zeros alone, which end an empty tar."""
    compressed = start.startswith((_GZIP_MAGIC, _ZSTD_MAGIC))
    return (
        compressed or start[257:262] == b"ustar" or (len(start) >= _BLOCK_BYTES and not any(start))
    )


def read_layer(
    content: _Readable, transfer_bytes: int | None = None, wanted: Sequence[bytes] = ()
) -> Changeset:
    """Return what a layer holds, given its tar, compressed by gzip or not.

    Where its `transfer_bytes` are known already, it is not compressed to be weighed.
    Of each text that is `wanted`, the places are told that have it.

    Raises:
        CouldNotMeasure: it is compressed by another codec.
    """
    import tarfile

    start = content.read(len(_ZSTD_MAGIC))
    if start.startswith(_ZSTD_MAGIC):
        raise CouldNotMeasure(
            "The engine's store keeps a layer compressed by zstd, which cannot be read here. "
            "Build the image again on this engine, which compresses by gzip."
        )
    rest = _Rest(start, content)
    weigh = transfer_bytes is None
    tar_content = _Gunzip(rest) if start.startswith(_GZIP_MAGIC) else rest
    searches = [_Search(text) for text in wanted]
    tee = _Tee(tar_content, searches, weigh=weigh)
    entries: dict[str, Entry] = {}
    whiteouts, opaque = set(), set()
    databases: dict[str, bytes] = {}
    with tarfile.open(fileobj=cast("IO[bytes]", tee), mode="r|", bufsize=_CHUNK_BYTES) as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined] # which would grow with the layer
            path = _path(member.name)
            for search in searches:
                search.enter(member, path)
            folder, _, name = path.rpartition("/")
            if name == _OPAQUE:
                opaque.add(folder)
            elif name.startswith(_METADATA):
                continue
            elif name.startswith(_WHITEOUT):
                whiteouts.add(f"{folder}/{name.removeprefix(_WHITEOUT)}".lstrip("/"))
            elif path:
                entries[path] = _entry(member)
                if member.isfile() and (path in DATABASES or path.startswith(ONE_FILE_EACH)):
                    database = tar.extractfile(member)
                    databases[path] = database.read() if database else b""
    tee.drain()
    return Changeset(
        tee.diff_id,
        tee.transfer_bytes() if transfer_bytes is None else transfer_bytes,
        entries,
        frozenset(whiteouts),
        frozenset(opaque),
        databases,
        {search.wanted: search.end() for search in searches},
    )


def _entry(member: tarfile.TarInfo) -> Entry:
    mode = _TYPES.get(member.type, stat.S_IFREG) | stat.S_IMODE(member.mode)
    if member.islnk():
        return Entry(0, link=_path(member.linkname), mode=mode)
    return Entry(member.size if member.isfile() else 0, is_directory=member.isdir(), mode=mode)


def _path(name: str) -> str:
    path = name.removeprefix("./").strip("/").removeprefix("./")
    return "" if path == "." else path


class _Chunks:
    """A file to be read once, out of chunks that an engine sends."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


class _Rest:
    """A file whose beginning was read already."""

    def __init__(self, start: bytes, rest: _Readable) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int) -> bytes:
        if not self._start:
            return bytes(self._rest.read(size))
        taken, self._start = self._start[:size], self._start[size:]
        return taken


class _Gunzip:
    """The uncompressed content of a gzip file that is read once.

    It may have several members, one after the other (RFC 1952), as lazily pulled layers do.
    """

    def __init__(self, compressed: _Rest) -> None:
        self._compressed = compressed
        self._inflate = zlib.decompressobj(31)

    def read(self, size: int) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing:
            left = self._inflate.unused_data or self._inflate.unconsumed_tail
            data = left or self._compressed.read(_CHUNK_BYTES)
            if not data:
                break
            if self._inflate.eof:
                if not data.startswith(_GZIP_MAGIC[:1]):
                    break
                self._inflate = zlib.decompressobj(31)
            parts.append(self._inflate.decompress(data, missing))
            missing -= len(parts[-1])
        return b"".join(parts)


class _Search:
    """Finds bytes in all that a tar consists of, and tells whose they are.

    The tar is fed in pieces, which may end in the middle of what is wanted, and its members are
    told as they come. A piece is fed before the members are told that begin in it.
    """

    def __init__(self, wanted: bytes) -> None:
        if not wanted:
            raise ValueError("No text is searched for: it would be found everywhere.")
        self.wanted = wanted
        self._end = b""
        self._fed_bytes = 0
        self._hits: deque[int] = deque()
        self._places: dict[Place, None] = {}
        self._path, self._content_at, self._ends_at = "", 0, 0

    def feed(self, data: bytes) -> None:
        """Take the next piece of the tar."""
        text = self._end + data
        began = self._fed_bytes - len(self._end)
        at = text.find(self.wanted)
        while at >= 0:
            self._hits.append(began + at)
            at = text.find(self.wanted, at + len(self.wanted))
        self._fed_bytes += len(data)
        self._end = text[max(0, len(text) - len(self.wanted) + 1) :]

    def enter(self, member: tarfile.TarInfo, path: str) -> None:
        """Take the next member: what was found before its header belongs to others."""
        self._settle(member.offset)
        blocks = -(-member.size // _BLOCK_BYTES) if member.isfile() else 0
        self._path, self._content_at = path, member.offset_data
        self._ends_at = member.offset_data + blocks * _BLOCK_BYTES
        # a long name may stand in its header in two parts, the later one first
        named = f"{member.name}\0{member.linkname}".encode("utf-8", "surrogateescape")
        if self.wanted in named:
            self._places[Place(path, in_content=False)] = None

    def end(self) -> tuple[Place, ...]:
        """Return all places, in the order of the tar."""
        self._settle(self._fed_bytes)
        return tuple(self._places)

    def _settle(self, before: int) -> None:
        while self._hits and self._hits[0] < before:
            at = self._hits.popleft()
            path = self._path if at < self._ends_at or at < self._content_at else ""
            self._places[Place(path, in_content=at >= self._content_at)] = None


class _Tee:
    """What passes through is hashed, searched, and compressed in order to be weighed."""

    def __init__(self, content: _Readable, searches: Sequence[_Search], *, weigh: bool) -> None:
        self._content = content
        self._weigh = weigh
        self._searches = searches
        self._digest = hashlib.sha256()
        self._deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
        self._compressed_bytes = 0

    def read(self, size: int) -> bytes:
        data = self._content.read(size)
        self._digest.update(data)
        for search in self._searches:
            search.feed(data)
        if self._weigh:
            self._compressed_bytes += len(self._deflate.compress(data))
        return data

    def drain(self) -> None:
        """Read what follows the end of the tar: padding, which is part of the digest."""
        while self.read(_CHUNK_BYTES):
            pass

    @property
    def diff_id(self) -> str:
        """The digest of the uncompressed layer."""
        return f"sha256:{self._digest.hexdigest()}"

    def transfer_bytes(self) -> int:
        """Return the size of the compressed layer in bytes."""
        self._compressed_bytes += len(self._deflate.flush())
        return self._compressed_bytes
