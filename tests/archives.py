"""Layers and archives of images as `docker save` writes them, made up in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def directory(name: str) -> tarfile.TarInfo:
    """Return a directory."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info


def hard_link(name: str, target: str) -> tarfile.TarInfo:
    """Return a further name of a file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.LNKTYPE, target
    return info


def symbolic_link(name: str, target: str) -> tarfile.TarInfo:
    """Return a symbolic link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def tar(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    """Return a tar of members; a file is its name and its content."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as made:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                made.addfile(member)
            else:
                name, content = member
                info = tarfile.TarInfo(name)
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
    return written.getvalue()


def gzipped(layer: bytes) -> bytes:
    """Return a layer as a containerd store keeps it."""
    return gzip.compress(layer, mtime=0)


def digest(content: bytes) -> str:
    """Return a digest as images tell it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def config(layers: Iterable[bytes], created_by: Sequence[str] = ()) -> dict[str, Any]:
    """Return an image's configuration; its layers are given uncompressed."""
    return {
        "architecture": "any",
        "history": [{"created_by": text} for text in created_by],
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }


def chunks(content: bytes, size: int = 1000) -> Iterator[bytes]:
    """Give an archive as an engine sends it: in pieces that keep to no border."""
    return (content[at : at + size] for at in range(0, len(content), size))


def legacy(layers: Sequence[bytes], settings: Mapping[str, Any]) -> bytes:
    """Return an archive as Docker 20.10 writes it: equal layers are links to the first one."""
    members: list[tarfile.TarInfo | tuple[str, bytes]] = []
    first: dict[bytes, str] = {}
    names = []
    for number, layer in enumerate(layers):
        folder = f"{number:064x}"
        names.append(f"{folder}/layer.tar")
        members += [directory(folder), (f"{folder}/VERSION", b"1.0"), (f"{folder}/json", b"{}")]
        if layer in first:
            members.append(symbolic_link(names[-1], f"../{first[layer]}"))
        else:
            first[layer] = names[-1]
            members.append((names[-1], layer))
    written = json.dumps(settings).encode()
    name = f"{digest(written).removeprefix('sha256:')}.json"
    manifest = [{"Config": name, "RepoTags": ["made-up:1"], "Layers": names}]
    return tar(
        *members,
        (name, written),
        ("manifest.json", json.dumps(manifest).encode()),
        ("repositories", b"{}"),
    )


def oci(blobs: Sequence[bytes], settings: Mapping[str, Any]) -> bytes:
    """Return an archive as newer engines write it: blobs by digest, in the order of these."""
    written = json.dumps(settings).encode()
    names = [_blob(blob) for blob in blobs]
    manifest = [{"Config": _blob(written), "RepoTags": None, "Layers": names}]
    by_name = {_blob(blob): blob for blob in (*blobs, written, b'{"schemaVersion": 2}')}
    return tar(
        directory("blobs"),
        directory("blobs/sha256"),
        *sorted(by_name.items()),
        ("index.json", b"{}"),
        ("manifest.json", json.dumps(manifest).encode()),
        ("oci-layout", b"{}"),
    )


def _blob(content: bytes) -> str:
    return f"blobs/sha256/{digest(content).removeprefix('sha256:')}"


@dataclass(frozen=True)
class Big:
    """An image of many bytes that are never all there at once.

    Every layer has small files of text, and the last one a big file of zeros.
    """

    layers: int
    files: int
    file_bytes: int
    big_bytes: int
    piece_bytes: int = 1 << 18

    def save(self) -> Iterator[bytes]:
        """Give the archive in chunks; the configuration with the digests comes last."""
        diff_ids = []
        for number in range(self.layers):
            yield _header(f"{number:064x}/layer.tar", self._layer_bytes(number))
            hashed = hashlib.sha256()
            for piece in self._layer(number):
                hashed.update(piece)
                yield piece
            diff_ids.append(f"sha256:{hashed.hexdigest()}")
        written = json.dumps({"rootfs": {"diff_ids": diff_ids}}).encode()
        manifest = json.dumps([{"Config": "config.json"}]).encode()
        yield tar(("config.json", written), ("manifest.json", manifest))

    def _layer_bytes(self, number: int) -> int:
        sizes = [self.file_bytes] * self.files + [self.big_bytes] * (number == self.layers - 1)
        return sum(_blocks(size) + tarfile.BLOCKSIZE for size in sizes) + 2 * tarfile.BLOCKSIZE

    def _layer(self, number: int) -> Iterator[bytes]:
        content = (b"line of file\n" * (self.file_bytes // 13 + 1))[: self.file_bytes]
        pending = bytearray()
        content = content.ljust(_blocks(len(content)), b"\0")
        for place in range(self.files):
            name = f"usr/share/package-{place // 100}/file-{number}-{place}"
            pending += _header(name, self.file_bytes) + content
            if len(pending) > self.piece_bytes:
                yield bytes(pending)
                pending.clear()
        yield bytes(pending)
        if number == self.layers - 1:
            yield _header("srv/big", self.big_bytes)
            zeros = bytes(self.piece_bytes)
            for _ in range(self.big_bytes // self.piece_bytes):
                yield zeros
        yield bytes(2 * tarfile.BLOCKSIZE)


def _blocks(size_bytes: int) -> int:
    return -(-size_bytes // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _header(name: str, size_bytes: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size_bytes
    return info.tobuf(tarfile.USTAR_FORMAT)
