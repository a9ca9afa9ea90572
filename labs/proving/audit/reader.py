"""An image's archive, made by strangers, read in one pass: nothing of it is unpacked to disk.

Read are what `docker save` writes and OCI archives (OCI image spec, "Image Layout"), each of them
compressed or not, with layers that are plain, compressed by gzip (RFC 1952) or by zstd (RFC 8878).
In the same pass layers are searched for secrets, and hashed and weighed by threads beside. What the
labs mean by a layer, its paths and its whiteouts is said in `proving.archive`, and means the same
here.
The memory that this takes grows with the number of paths, which is limited, and not with bytes.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import stat
import time
import zlib
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import archive
from ..archive import Changeset
from ..errors import CouldNotMeasure
from . import rpm
from .paths import NONE, Entries, Paths, PathSet
from .tar import (
    BLOCK,
    DIRECTORY,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    Collected,
    Damaged,
    Member,
    Sink,
    Tar,
    is_header,
)
from .text import printable

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from .secrets import Hit, Search

PIECE_BYTES = 1 << 20
EXACT_BYTES = 4 << 20
"""Up to how many bytes a layer that is not compressed is compressed as a whole to be weighed."""

_SAMPLES = 128
_LEAST_APART_BYTES, _MOST_APART_BYTES = 1 << 16, 1 << 21
_SAMPLE_BYTES = 1 << 14
_KNOWN_BYTES = 1 << 15
"""What comes before a sample, and is known when it is compressed: the window of RFC 1951."""
_WORTH_A_THREAD = 1 << 18
_PIECES_AHEAD = 8
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_ZSTD_WINDOW_BYTES = 1 << 25
_WHITEOUT, _OPAQUE, _METADATA = ".wh.", ".wh..wh..opq", ".wh..wh."
_KINDS = {
    DIRECTORY: stat.S_IFDIR,
    SYMBOLIC_LINK: stat.S_IFLNK,
    b"3": stat.S_IFCHR,
    b"4": stat.S_IFBLK,
    b"6": stat.S_IFIFO,
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_PACKAGE_FILES = re.compile(r"var/lib/dpkg/info/[^/]+\.list")
_ACCOUNTS = "etc/passwd"
_WANTED = (*rpm.FOLDERS, "var/lib/dpkg/", "lib/apk/", "usr/lib/apk/", _ACCOUNTS)
"""How the paths of the files begin that are read."""
_INDEXES = ("application/vnd.oci.image.index", "application/vnd.docker.distribution.manifest.list")
_MOST_INDEXES = 8
_LONGEST_PATH = 4096
_DEEPEST_PATH = 256
_MOST_TOLD_BYTES = 1 << 61
"""What all files together may say that they have: sums of it are kept in 64 bits."""


@dataclass(frozen=True)
class Limits:
    """What an archive may cost; more ends in a sentence.

    `paths` are those of all layers, and `names_bytes` are the bytes of the names in them, those of
    a folder counted once; `documents_bytes` is all that is kept of files that are no layers and of
    databases of packages, and `unpacked_bytes` all layers uncompressed.
    """

    paths: int = 400_000
    names_bytes: int = 24 << 20
    documents_bytes: int = 32 << 20
    unpacked_bytes: int = 1 << 38
    seconds: float = 900.0


@dataclass(frozen=True)
class LayerRead:
    """A layer of an archive: what it holds, and what was found in its bytes.

    `codec` is what the archive keeps it compressed by: `gzip`, `zstd`, or nothing.
    `weighed_exactly` tells whether its transfer bytes are exact, or computed from samples.
    `package_files` are the paths, one a line, of the files that a package of dpkg has brought.
    `odd_names` counts names that lead out of the layer's root, or that remove nothing.
    `unread_databases` are the paths of databases of packages that could not be read.
    """

    changeset: Changeset
    codec: str
    weighed_exactly: bool
    hits: tuple[Hit, ...]
    searched_whole: bool
    package_files: bytes
    accounts: bytes | None
    odd_names: int
    unread_databases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageRead:
    """An image out of an archive: its configuration, and its layers from the base up.

    `layout` is `docker` or `oci`; `names` are the names that the archive gives to it.
    `linked` are the layers, counted from 0, that the archive keeps as a link to an equal one.
    `paths` are those of all layers.
    """

    config: Mapping[str, Any]
    config_digest: str
    layers: tuple[LayerRead, ...]
    layout: str
    names: tuple[str, ...]
    archive_bytes: int
    paths: Paths
    others: int = 0
    linked: frozenset[int] = frozenset()

    @property
    def stack(self) -> tuple[Changeset, ...]:
        """What each layer adds, changes and removes."""
        return tuple(layer.changeset for layer in self.layers)


def read(
    chunks: Iterable[bytes],
    *,
    what: str = "The archive",
    architecture: str = "",
    limits: Limits | None = None,
    on_bytes: Callable[[int], None] | None = None,
    layers_alone: bool = False,
) -> ImageRead:
    """Return the image that an archive has; `on_bytes` is told how many bytes were read so far.

    Where the archive has the image for several architectures, the named one is taken, or else the
    first.
    With `layers_alone` layers are neither hashed, weighed nor searched for secrets, and none of
    their files is read. They are then
    told by their places in the archive and not by their digests, which are empty, and of one that
    is kept uncompressed, the transfer bytes are 0.

    Raises:
        CouldNotMeasure: the archive cannot be read, or would cost more than the limits allow.
    """
    with closing(_Reading(what, limits or Limits(), layers_alone)) as reading:
        return _read(reading, chunks, architecture, on_bytes)


def _read(
    reading: _Reading,
    chunks: Iterable[bytes],
    architecture: str,
    on_bytes: Callable[[int], None] | None,
) -> ImageRead:
    what = reading.what
    into: _Push | None = None
    read_bytes = 0
    for piece in _pieces(chunks):
        into = into or _Push(_codec(piece), reading.tar.feed, what)
        into.feed(piece)
        reading.spend()
        read_bytes += len(piece)
        if on_bytes is not None:
            on_bytes(read_bytes)
    if into is None:
        raise Damaged(f"{what} is empty.")
    into.end()
    reading.tar.end()
    return reading.image(architecture, read_bytes)


def clean(name: str) -> tuple[str, bool]:
    """Return a member's path, without a leading slash, and whether its name led out of the root.

    As everywhere in Linux, the parent of the root is the root.
    """
    path = name.strip("/")
    if "/." not in path and "//" not in path and not path.startswith("."):
        return path, False
    parts: list[str] = []
    odd = False
    for part in path.split("/"):
        if part == "..":
            odd = odd or not parts
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts), odd


class _Reading:
    """What is known of an archive so far."""

    def __init__(self, what: str, limits: Limits, layers_alone: bool = False) -> None:
        self.what = what
        self.layers_alone = layers_alone
        self.limits = limits
        self.hashing = _Beside()
        self.weighing = _Beside()
        self.tar = Tar(self._member, what)
        self._until = time.monotonic() + limits.seconds
        self.paths = Paths()
        self._paths = self._told_bytes = self._unpacked_bytes = self._kept_bytes = 0
        self._documents: dict[str, bytes] = {}
        self._layers: dict[str, LayerRead] = {}
        self._wrong: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._kept_as: list[str] = []
        self._linked: frozenset[int] = frozenset()

    def close(self) -> None:
        """End the threads."""
        self.hashing.close()
        self.weighing.close()

    def spend(self, *, paths: int = 0, unpacked_bytes: int = 0, kept_bytes: int = 0) -> None:
        """Count what was read, and raise where that is too much."""
        self._paths += paths
        self._unpacked_bytes += unpacked_bytes
        self._kept_bytes += kept_bytes
        limits = self.limits
        if self._paths > limits.paths or len(self.paths) > 2 * limits.paths:
            raise CouldNotMeasure(f"{self.what} has more than {limits.paths} paths.")
        if self.paths.names_bytes > limits.names_bytes:
            raise CouldNotMeasure(
                f"{self.what} has names of more than {limits.names_bytes} bytes in all."
            )
        if self._told_bytes > _MOST_TOLD_BYTES:
            raise CouldNotMeasure(
                f"{self.what} has files that are larger than any disk: more than "
                f"{_MOST_TOLD_BYTES} bytes."
            )
        if self._unpacked_bytes > limits.unpacked_bytes:
            raise CouldNotMeasure(
                f"{self.what} has more than {limits.unpacked_bytes} bytes when it is unpacked."
            )
        if self._kept_bytes > limits.documents_bytes:
            raise CouldNotMeasure(
                f"{self.what} has more than {limits.documents_bytes} bytes of documents."
            )
        if time.monotonic() > self._until:
            raise CouldNotMeasure(f"{self.what} was not read within {limits.seconds:.0f} s.")

    def count(self, told_bytes: int = 0) -> None:
        """Count a path of a layer, and the bytes that a file there says that it has.

        Whether all paths are too many is asked of each piece, which has a few thousand at most.
        """
        self._paths += 1
        self._told_bytes += told_bytes
        if self._told_bytes > _MOST_TOLD_BYTES:
            self.spend()

    def _member(self, member: Member) -> Sink | None:
        if member.kind == SYMBOLIC_LINK:
            self.spend(paths=1)
            name = clean(member.name)[0]
            self._links[name] = clean(posixpath.join(posixpath.dirname(name), member.link))[0]
        if member.kind != REGULAR:
            return None
        return _File(self, clean(member.name)[0], member.content_bytes)

    def add_document(self, name: str, content: bytes, digest: str) -> None:
        """Take a file that is no layer."""
        self._check(name, digest)
        self._documents[name] = content

    def add_layer(self, name: str, layer: LayerRead, digest: str) -> None:
        """Take a layer."""
        if self.layers_alone:
            self._layers[name] = layer
            return
        self._check(name, digest)
        self._layers[layer.changeset.diff_id] = layer

    def _check(self, name: str, digest: str) -> None:
        match = _BLOB.fullmatch(name)
        if match and f"sha256:{match[1]}" != digest:
            self._wrong[f"sha256:{match[1]}"] = digest

    def image(self, architecture: str, archive_bytes: int) -> ImageRead:
        """Return the image, when all of the archive was read."""
        if "manifest.json" in self._documents:
            layout, (config_digest, config, names, others) = "docker", self._of_docker()
        elif "index.json" in self._documents:
            layout, (config_digest, config, names, others) = "oci", self._of_oci(architecture)
        else:
            raise CouldNotMeasure(
                f"{self.what} is none of an image: it has neither manifest.json nor index.json. "
                "Write one by `docker save IMAGE`."
            )
        root = config.get("rootfs")
        order = root.get("diff_ids") if isinstance(root, Mapping) else None
        if not isinstance(order, list) or not all(isinstance(one, str) for one in order):
            raise CouldNotMeasure(f"{self.what} has a configuration that does not name its layers.")
        if self.layers_alone:
            order = [self._links.get(name, name) for name in self._kept_as]
        missing = [one for one in order if one not in self._layers]
        if missing:
            raise self._lacks(len(missing), len(order), missing[0])
        layers = tuple(self._layers[one] for one in order)
        return ImageRead(
            config,
            config_digest,
            layers,
            layout,
            names,
            archive_bytes,
            self.paths,
            others,
            self._linked,
        )

    def _lacks(self, missing: int, of: int, first: str) -> CouldNotMeasure:
        if self._wrong:
            named, digest = next(iter(self._wrong.items()))
            return Damaged(
                f"{self.what} is damaged: what it calls {named} is {digest}. "
                "Write it again by `docker save`."
            )
        return Damaged(
            f"{self.what} lacks {missing} of the {of} layers that its configuration names; the "
            f"first of them is {printable(first)}. Write it again by `docker save`."
        )

    def _of_docker(self) -> tuple[str, Mapping[str, Any], tuple[str, ...], int]:
        """Return the configuration that manifest.json names, as `docker save` writes it."""
        listed = self._json("manifest.json")
        if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
            raise Damaged(f"{self.what} has a manifest.json that lists no images.")
        configs = {one.get("Config") for one in listed if isinstance(one.get("Config"), str)}
        if len(configs) != 1:
            raise CouldNotMeasure(
                f"{self.what} has {len(configs)} images. Write one of them alone: "
                "`docker save IMAGE`."
            )
        name = configs.pop()
        self._kept_as = [clean(one)[0] for one in _texts(listed[0].get("Layers"))]
        self._linked = frozenset(at for at, one in enumerate(self._kept_as) if one in self._links)
        tags = [tag for one in listed for tag in _texts(one.get("RepoTags"))]
        key = clean(name)[0]
        return self._digest(key), self._mapping(key), tuple(tags), 0

    def _of_oci(self, architecture: str) -> tuple[str, Mapping[str, Any], tuple[str, ...], int]:
        """Return the configuration of the manifest that index.json leads to."""
        found = list(self._manifests("index.json", 0))
        if not found:
            raise Damaged(f"{self.what} has an index.json that lists no images.")
        fits = [one for one in found if one[0] == architecture] if architecture else []
        _, digest, name = (fits or found)[0]
        manifest = self._mapping(self._blob(digest))
        of_config, of_layers = manifest.get("config"), manifest.get("layers")
        if isinstance(of_layers, list):
            digests = (one.get("digest") for one in of_layers if isinstance(one, Mapping))
            self._kept_as = [self._blob(digest) for digest in digests]
        config = of_config.get("digest") if isinstance(of_config, Mapping) else None
        key = self._blob(config)
        names = (name,) if name else ()
        return self._digest(key), self._mapping(key), names, len(found) - 1

    def _manifests(self, index: str, depth: int) -> Iterator[tuple[str, str, str]]:
        """Return architecture, digest and name of each image that an index lists."""
        if depth > _MOST_INDEXES:
            raise Damaged(f"{self.what} has indexes that lead to each other.")
        listed = self._mapping(index).get("manifests")
        for one in listed if isinstance(listed, list) else []:
            if not isinstance(one, Mapping):
                continue
            platform = one.get("platform")
            architecture = platform.get("architecture") if isinstance(platform, Mapping) else ""
            notes = one.get("annotations")
            notes = notes if isinstance(notes, Mapping) else {}
            if architecture == "unknown" or "vnd.docker.reference.type" in notes:
                continue  # an attestation (docs.docker.com, "Attestation storage")
            if str(one.get("mediaType", "")).startswith(_INDEXES):
                yield from self._manifests(self._blob(one.get("digest")), depth + 1)
                continue
            name = notes.get("io.containerd.image.name")
            name = name or notes.get("org.opencontainers.image.ref.name") or ""
            yield str(architecture), str(one.get("digest")), str(name)

    def _blob(self, digest: object) -> str:
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise Damaged(
                f"{self.what} names a blob by {printable(str(digest))}, and not by SHA-256."
            )
        return f"blobs/sha256/{digest.removeprefix('sha256:')}"

    def _digest(self, name: str) -> str:
        return f"sha256:{hashlib.sha256(self._documents.get(name, b'')).hexdigest()}"

    def _mapping(self, name: str) -> Mapping[str, Any]:
        found = self._json(name)
        if not isinstance(found, Mapping):
            raise Damaged(
                f"{self.what} has {printable(name)} with something else than it should be."
            )
        return found

    def _json(self, name: str) -> Any:
        wrong = next((one for one in self._wrong if name.endswith(one.removeprefix("sha256:"))), "")
        if wrong:
            raise self._lacks(0, 0, "")
        if name not in self._documents:
            raise Damaged(f"{self.what} lacks {printable(name)}. Write it again by `docker save`.")
        try:
            return json.loads(self._documents[name])
        except (ValueError, RecursionError) as error:
            raise Damaged(f"{self.what} has {printable(name)}, which is no JSON.") from error


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


class _File:
    """A file of an archive, which is a layer or a document: its beginning tells."""

    def __init__(self, reading: _Reading, name: str, size_bytes: int) -> None:
        self._reading = reading
        self._name = name
        self._size_bytes = size_bytes
        self._start = b""
        self._into: _LayerFile | None = None
        self._document: list[bytes] | None = None
        self._digest = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        if self._into is not None:
            self._into.feed(data)
        elif self._document is not None:
            self._keep(data)
        else:
            self._start += data
            if len(self._start) >= BLOCK:
                self._decide()

    def end(self) -> None:
        if self._into is None and self._document is None:
            self._decide()
        if self._into is not None:
            self._into.end()
        elif self._document is not None:
            digest = f"sha256:{self._digest.hexdigest()}"
            self._reading.add_document(self._name, b"".join(self._document), digest)

    def _decide(self) -> None:
        start, self._start = self._start, b""
        codec = _codec(start)
        if codec or is_header(start):
            self._into = _LayerFile(self._reading, self._name, codec, self._size_bytes)
            self._into.feed(start)
        else:
            self._document = []
            self._keep(start)

    def _keep(self, data: bytes) -> None:
        assert self._document is not None  # noqa: S101 - that is how it was decided
        self._reading.spend(kept_bytes=len(data))
        self._digest.update(data)
        self._document.append(data)


class _LayerFile:
    """A layer as the archive keeps it: hashed as it is, uncompressed, and read."""

    def __init__(self, reading: _Reading, name: str, codec: str, size_bytes: int) -> None:
        self._reading = reading
        self._name = name
        self._codec = codec
        self._size_bytes = size_bytes
        what = f"{reading.what}: its layer {printable(name, 90)}"
        self._layer = _Layer(reading, what, None if codec else size_bytes)
        self._push = _Push(codec, self._layer.feed, what)
        self._digest = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        if self._codec and not self._reading.layers_alone:
            self._digest.update(data)
        self._push.feed(data)

    def end(self) -> None:
        self._push.end()
        layer = self._layer.end(self._codec, self._size_bytes)
        own = f"sha256:{self._digest.hexdigest()}" if self._codec else layer.changeset.diff_id
        self._reading.add_layer(self._name, layer, own)


class _Beside:
    """A thread that takes pieces in order; only some may wait for it, since they take memory.

    Hashing and compressing release the lock of the interpreter while they work.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[None]] = deque()

    def run(self, take: Callable[[bytes], None], piece: bytes) -> None:
        """Have a piece taken now or later; small ones at once, where none is before them."""
        if len(piece) < _WORTH_A_THREAD and not self._waiting:
            take(piece)
            return
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor

            self._thread = ThreadPoolExecutor(1)
        self._waiting.append(self._thread.submit(take, piece))
        if len(self._waiting) > _PIECES_AHEAD:
            self._waiting.popleft().result()

    def wait(self) -> None:
        """Wait until all pieces are taken."""
        while self._waiting:
            self._waiting.popleft().result()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)


class _Weight:
    """What a layer weighs when it is compressed, by the codec and level of `archive.CODEC`.

    A large one is weighed by samples, each compressed after what comes before it: then they take as
    many bytes as they would within the whole.
    """

    def __init__(self, size_bytes: int) -> None:
        self._is_exact = size_bytes <= EXACT_BYTES
        self._every_bytes = min(_MOST_APART_BYTES, max(_LEAST_APART_BYTES, size_bytes // _SAMPLES))
        self._deflate = zlib.compressobj(archive.GZIP_LEVEL, zlib.DEFLATED, 31)
        self._sample = b""
        self._at = self._weighed_bytes = self._compressed_bytes = 0

    def feed(self, data: bytes) -> None:
        if self._is_exact:
            self._compressed_bytes += len(self._deflate.compress(data))
            return
        at = 0
        while at < len(data):
            place = (self._at + at) % self._every_bytes
            missing = _KNOWN_BYTES + _SAMPLE_BYTES - place
            if missing <= 0:
                at += self._every_bytes - place
                continue
            self._sample += data[at : at + missing]
            at += missing
            if at <= len(data):
                self._compress_sample()
        self._at += len(data)

    def _compress_sample(self) -> None:
        known, piece = self._sample[:_KNOWN_BYTES], self._sample[_KNOWN_BYTES:]
        raw = -zlib.MAX_WBITS  # without a header
        deflate = zlib.compressobj(archive.GZIP_LEVEL, zlib.DEFLATED, raw, zdict=known)
        self._weighed_bytes += len(piece)
        self._compressed_bytes += len(deflate.compress(piece)) + len(deflate.flush())
        self._sample = b""

    def end(self) -> tuple[int, bool]:
        """Return the transfer bytes, and whether they are exact."""
        if self._is_exact:
            return self._compressed_bytes + len(self._deflate.flush()), True
        return round(self._compressed_bytes * self._at / self._weighed_bytes), False


def _search() -> Search:
    from .secrets import Search

    return Search()


class _Layer:
    """A layer's tar, uncompressed: hashed, searched, weighed, and read, piece by piece.

    `size_bytes` are given where it is kept uncompressed, and has to be weighed.
    """

    def __init__(self, reading: _Reading, what: str, size_bytes: int | None) -> None:
        self._reading = reading
        self._what = what
        self._tar = Tar(self._member, what)
        self._digest = hashlib.sha256()
        self._search = None if reading.layers_alone else _search()
        self._size_bytes = None if reading.layers_alone else size_bytes
        self._start = b""
        self._weight: _Weight | None = None
        self._kept: tuple[str, int] | None = None
        self._paths = reading.paths
        self._entries = Entries(reading.paths)
        self._whiteouts = array("i")
        self._opaque = array("i")
        self._databases: dict[str, bytes] = {}
        self._unread: list[str] = []
        self._package_files: list[bytes] = []
        self._accounts: bytes | None = None
        self._odd_names = 0

    def feed(self, data: bytes) -> None:
        self._reading.spend(unpacked_bytes=len(data))
        if not self._reading.layers_alone:
            self._reading.hashing.run(self._digest.update, data)
        if self._size_bytes is not None:
            self._reading.weighing.run(self._weigh, data)
        self._tar.feed(data)
        if self._search is not None:
            self._search.feed(data)

    def _weigh(self, data: bytes) -> None:
        """Weigh a piece, unless the labs have weighed a layer that begins like this one."""
        if self._weight is not None:
            self._weight.feed(data)
        elif self._kept is None:
            self._start += data
            if len(self._start) >= archive.BEGINNING_BYTES:
                self._begin_to_weigh()

    def _begin_to_weigh(self) -> None:
        assert self._size_bytes is not None  # noqa: S101 - it is asked before
        start = self._start[: archive.BEGINNING_BYTES]
        self._kept = archive.Kept().find(start, self._size_bytes)
        if self._kept is None:
            self._weight = _Weight(self._size_bytes)
            self._weight.feed(self._start)
        self._start = b""

    def end(self, codec: str, size_bytes: int) -> LayerRead:
        """Return what the layer holds; `size_bytes` are those that the archive keeps of it."""
        self._reading.hashing.wait()
        self._reading.weighing.wait()
        self._tar.end()
        search = self._search
        if search is not None:
            search.end()
        self._entries.end()
        diff_id = "" if self._reading.layers_alone else f"sha256:{self._digest.hexdigest()}"
        transfer_bytes, exact = (size_bytes, True) if codec else (0, False)
        if self._size_bytes is not None:
            if self._weight is None and self._kept is None:
                self._begin_to_weigh()
            if self._weight is not None:
                transfer_bytes, exact = self._weight.end()
            elif self._kept is not None:
                transfer_bytes, exact = self._kept[1], self._kept[0] == diff_id
        changeset = Changeset(
            diff_id,
            transfer_bytes,
            self._entries,
            PathSet(self._paths, self._whiteouts),
            PathSet(self._paths, self._opaque),
            self._databases,
        )
        return LayerRead(
            changeset,
            codec,
            exact,
            tuple(search.hits) if search is not None else (),
            search is not None and not search.gave_up,
            b"".join(self._package_files),
            self._accounts,
            self._odd_names,
            tuple(self._unread),
        )

    def _member(self, member: Member) -> Sink | None:
        path, odd = clean(member.name)
        self._odd_names += odd
        if self._search is not None:
            self._search.enter(path, member.header_at, member.content_at, member.content_bytes)
        folder, _, name = path.rpartition("/")
        if name.startswith(_WHITEOUT):
            self._whiteout(folder, name)
            return None
        if not path:
            return None
        if len(path) > _DEEPEST_PATH:
            self._check_length(path)
        self._add(path, member)
        is_wanted = member.kind == REGULAR and path.startswith(_WANTED)
        return self._wanted(path) if is_wanted and not self._reading.layers_alone else None

    def _check_length(self, path: str) -> None:
        """Raise where no engine could unpack a path.

        Linux takes no path of more than 4096 bytes (limits.h, PATH_MAX).
        """
        if len(path) > _LONGEST_PATH or path.count("/") > _DEEPEST_PATH:
            raise Damaged(f"{self._what} has a path that is too long: {printable(path, 60)}.")

    def _whiteout(self, folder: str, name: str) -> None:
        self._check_length(f"{folder}/{name}")
        self._reading.count()
        if name == _OPAQUE:
            self._opaque.append(self._paths.add(folder))
        elif not name.startswith(_METADATA):
            removed = name.removeprefix(_WHITEOUT)
            if removed in ("", ".", ".."):
                self._odd_names += 1
            else:
                path = f"{folder}/{removed}" if folder else removed
                self._whiteouts.append(self._paths.add_removed(path))

    def _add(self, path: str, member: Member) -> None:
        number = self._paths.add(path)
        mode = _KINDS.get(member.kind, stat.S_IFREG) | member.mode
        if member.kind == HARD_LINK:
            self._reading.count()
            link = clean(member.link)[0]
            self._entries.add(number, 0, mode, self._paths.add(link) if link else NONE)
            return
        size_bytes = member.size_bytes if member.content_bytes or member.kind == REGULAR else 0
        self._reading.count(size_bytes)
        self._entries.add(number, size_bytes, mode)

    def _wanted(self, path: str) -> Sink | None:
        if path in rpm.PATHS:
            return rpm.Database(path.rpartition("/")[2], lambda found: self._put_names(path, found))
        if path in archive.DATABASES or path.startswith(archive.ONE_FILE_EACH):
            return _Kept(self._reading, self._what, lambda found: self._put(path, found))
        if path == _ACCOUNTS:
            return _Kept(self._reading, self._what, self._put_accounts)
        if _PACKAGE_FILES.fullmatch(path):
            return _Kept(self._reading, self._what, self._package_files.append)
        return None

    def _put(self, path: str, found: bytes) -> None:
        self._databases[path] = found

    def _put_names(self, path: str, found: bytes | None) -> None:
        if found is None:
            self._unread.append(path)
        else:
            self._reading.spend(kept_bytes=len(found))
            self._databases[path] = found

    def _put_accounts(self, found: bytes) -> None:
        self._accounts = found


class _Kept(Collected):
    """A file of a layer that is kept, and counts among the documents."""

    def __init__(self, reading: _Reading, what: str, done: Callable[[bytes], None]) -> None:
        super().__init__(reading.limits.documents_bytes, what, done)
        self._reading = reading

    def feed(self, data: bytes) -> None:
        """Keep a piece."""
        self._reading.spend(kept_bytes=len(data))
        super().feed(data)


class _Push:
    """Uncompresses what is pushed in, and pushes it on in pieces of bounded size."""

    def __init__(self, codec: str, into: Callable[[bytes], None], what: str) -> None:
        self._into = into
        self._what = what
        self._codec = codec
        self._inflate = zlib.decompressobj(31)
        self._after = False
        if codec == "zstd":
            import zstandard

            decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
            self._zstd = decompressor.stream_writer(_Writer(into), write_size=PIECE_BYTES)  # type: ignore[arg-type]

    def feed(self, data: bytes) -> None:
        if not self._codec:
            self._into(data)
            return
        if self._codec == "gzip":
            self._gunzip(data)
            return
        import zstandard

        try:
            self._zstd.write(data)
        except zstandard.ZstdError as error:
            raise Damaged(f"{self._what} is damaged: zstd says {error}.") from error

    def end(self) -> None:
        if self._codec == "gzip" and not (self._inflate.eof or self._after):
            raise Damaged(f"{self._what} is cut off: its gzip has no end.")

    def _gunzip(self, data: bytes) -> None:
        """Inflate all members of a gzip file, which may have several (RFC 1952)."""
        while data and not self._after:
            if self._inflate.eof:
                if not data.startswith(_GZIP[:1]):
                    self._after = True  # padding
                    return
                self._inflate = zlib.decompressobj(31)
            try:
                unpacked = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise Damaged(f"{self._what} is damaged: {error}.") from error
            if unpacked:
                self._into(unpacked)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail


class _Writer(NamedTuple):
    """What zstandard writes to."""

    write: Callable[[bytes], None]


def _codec(start: bytes) -> str:
    if start.startswith(_GZIP):
        return "gzip"
    return "zstd" if start.startswith(_ZSTD) or _ZSTD_SKIPPED.match(start) else ""


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Return the same bytes in pieces of a size that is good to work with."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        view = chunk
        while len(view) > 2 * PIECE_BYTES:
            yield b"".join([*parts, view[:PIECE_BYTES]])
            parts, size, view = [], 0, view[PIECE_BYTES:]
        parts.append(view)
        size += len(view)
        if size >= PIECE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)
