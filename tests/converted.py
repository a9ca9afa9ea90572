"""The archive of a real image in other forms: with or without an OCI layout, and compressed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

import zstandard
from archives import directory

FORMS = ("docker", "oci", "gzip", "zstd")
"""As Docker 20.10 writes it, and with an OCI layout: layers plain, or compressed by one of these.

All of them have docker's manifest.json, as newer engines write it beside `index.json`.
"""

_MEDIA = "application/vnd.oci.image.layer.v1.tar"
_PIECE_BYTES = 1 << 20


def convert(archive: Path, form: str, folder: Path) -> Path:
    """Return the same image in another form, as a file in a folder."""
    if form == "docker":
        return archive
    with tarfile.open(archive) as read:
        manifest = json.load(_member(read, "manifest.json"))[0]
        settings = _member(read, manifest["Config"]).read()
        blobs = [_blob(_member(read, name), form, folder) for name in manifest["Layers"]]
    return _written(folder / f"{form}.tar", settings, blobs, form)


def _member(read: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return a file of an archive; where it is a link, which leads up and down again, the other."""
    found = read.getmember(name)
    if found.issym():
        return _member(read, found.linkname.removeprefix("../"))
    content = read.extractfile(found)
    assert content is not None
    return content


def _blob(content: IO[bytes], form: str, folder: Path) -> Path:
    """Write a layer, compressed or not, under its digest."""
    fresh = folder / "fresh"
    with fresh.open("wb") as file:
        pack, end = _packer(form)
        while piece := content.read(_PIECE_BYTES):
            file.write(pack(piece))
        file.write(end())
    with fresh.open("rb") as file:
        named = folder / hashlib.file_digest(file, "sha256").hexdigest()
    return fresh.rename(named)


def _packer(form: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    if form == "gzip":
        deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
        return deflate.compress, deflate.flush
    if form == "zstd":
        packer = zstandard.ZstdCompressor(level=1).compressobj()
        return packer.compress, packer.flush
    return bytes, bytes


def _written(file: Path, settings: bytes, blobs: list[Path], form: str) -> Path:
    suffix = {"gzip": "+gzip", "zstd": "+zstd"}.get(form, "")
    config = hashlib.sha256(settings).hexdigest()
    layers = [
        {"mediaType": _MEDIA + suffix, "digest": f"sha256:{blob.name}", "size": blob.stat().st_size}
        for blob in blobs
    ]
    described = {"schemaVersion": 2, "config": {"digest": f"sha256:{config}"}, "layers": layers}
    image = json.dumps(described).encode()
    digest = hashlib.sha256(image).hexdigest()
    index = {"schemaVersion": 2, "manifests": [{"digest": f"sha256:{digest}"}]}
    names = [f"blobs/sha256/{blob.name}" for blob in blobs]
    manifest = [{"Config": f"blobs/sha256/{config}", "RepoTags": None, "Layers": names}]
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as made:
        made.addfile(directory("blobs"))
        made.addfile(directory("blobs/sha256"))
        for blob in dict.fromkeys(blobs):
            made.add(blob, f"blobs/sha256/{blob.name}")
        _add(made, f"blobs/sha256/{config}", settings)
        _add(made, f"blobs/sha256/{digest}", image)
        for name, content in (("index.json", index), ("manifest.json", manifest)):
            _add(made, name, json.dumps(content).encode())
        _add(made, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    for blob in set(blobs):
        blob.unlink()
    return file


def _add(made: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    made.addfile(info, io.BytesIO(content))
