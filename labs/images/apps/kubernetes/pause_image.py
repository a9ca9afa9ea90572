"""pause_image.py PROGRAM ARCHIVE: pack the pause program as an image, without an engine."""

import hashlib
import io
import json
import platform
import sys
import tarfile
from pathlib import Path

NAME = "local/pause:3.2"


def packed(files: dict[str, bytes]) -> bytes:
    """Return a tar archive of these files, which everybody may run."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def image(program: bytes) -> bytes:
    """Return an image of one layer in the format of `docker save`."""
    layer = packed({"pause": program})
    layer_digest = hashlib.sha256(layer).hexdigest()
    machine = platform.machine()
    configuration = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
            "os": "linux",
            "config": {"Entrypoint": ["/pause"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        }
    ).encode()
    config = f"{hashlib.sha256(configuration).hexdigest()}.json"
    layer_path = f"{layer_digest}/layer.tar"
    manifest = [{"Config": config, "RepoTags": [NAME], "Layers": [layer_path]}]
    return packed(
        {config: configuration, layer_path: layer, "manifest.json": json.dumps(manifest).encode()}
    )


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(image(Path(sys.argv[1]).read_bytes()))
