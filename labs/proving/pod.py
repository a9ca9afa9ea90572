"""What a pod gives its container, on an engine alone: an address that stays, and mounted files.

On Kubernetes a container of its own, the sandbox, holds a pod's network, so that the pod's address
outlives its containers (kubernetes.io, "Container Runtime Interface"). Here it is a container that
sleeps, and holds the volume of the files as well.

The files are changed as kubelet changes those of ConfigMaps and Secrets (kubernetes,
pkg/volume/util/atomic_writer.go): they are symbolic links by way of a folder `..data`, itself a
symbolic link to a folder with a stamp. A new folder is written beside the old one, and a rename
puts a new `..data` in the old one's place: whoever reads sees all files of before or all of after.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from docker.types import Mount

from . import packages, qualities
from .engine import talking_to
from .errors import ContainerError
from .spans import span

if TYPE_CHECKING:
    from .container import Container
    from .image import Image
    from .lab import Lab

_FOLDER = "/projected"
_EXCHANGE = """
set -e
cd {folder}
before=$(readlink ..data || true)
ln -s {stamp} ..data_tmp
mv -T ..data_tmp ..data
for path in ..data/*; do
  name=${{path##*/}}
  [ -L "$name" ] || ln -s "..data/$name" "$name"
done
for name in *; do
  [ -e "$name" ] || rm "$name"
done
[ -z "$before" ] || rm -rf "$before"
"""


class Pod:
    """A sandbox with files for containers that are started in it; used by `with`.

    `files` are contents by their names, and `folder` is where containers see them, read-only.
    With `in_memory`, the volume is a tmpfs, as that of a Secret is: what it holds is on no disk.
    `ports` are those of the containers that are published.
    """

    def __init__(
        self,
        lab: Lab,
        files: Mapping[str, bytes],
        folder: str,
        *,
        ports: Sequence[int] = (),
        in_memory: bool = False,
    ) -> None:
        self._lab, self._files, self._folder = lab, dict(files), folder
        self._ports, self._in_memory = ports, in_memory
        self._stamps = itertools.count(1)
        self._held = ExitStack()
        self._volume = ""
        self._sandbox: Container | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._volume = opening.enter_context(
                qualities.volume(self._lab, in_memory=self._in_memory)
            )
            options = qualities.mounted(self._volume, _FOLDER)
            self._sandbox = opening.enter_context(
                self._lab.sleeper(ports=self._ports, options=options)
            )
            self.write(self._files)
            self._held = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
        self._sandbox = None

    @property
    def _open(self) -> Container:
        if self._sandbox is None:
            raise ContainerError("A pod is used within `with`, and this one is closed.")
        return self._sandbox

    def write(self, files: Mapping[str, bytes]) -> None:
        """Put these files, one or more, in the place of those that are there, all at once.

        Raises:
            ContainerError: the engine does not take them.
        """
        sandbox = self._open.get_wrapped_container()
        stamp = f"..stamp-{next(self._stamps)}"
        with talking_to(self._lab.engine), span("files", self._folder):
            taken = sandbox.put_archive(_FOLDER, _tar(stamp, files))
            script = _EXCHANGE.format(folder=_FOLDER, stamp=stamp)
            done = sandbox.exec_run(["sh", "-c", script])
        if not taken or done.exit_code:
            told = done.output.decode(errors="replace").strip()
            raise ContainerError(f"The files at {self._folder} could not be exchanged: {told}")

    def address(self, port: int) -> str:
        """Return `host:port` at which a published port is reached from here; it stays."""
        return self._open.address(port)

    def start(self, image: Image, **arguments: Any) -> Container:
        """Return a container within the pod, to be started by `with`; see `Lab.start`."""
        files = Mount(target=self._folder, source=self._volume, type="volume", read_only=True)
        network = f"container:{self._open.get_container_id()}"
        own = {"network_mode": network, "mounts": [files]}
        options = {**own, **(arguments.pop("options", None) or {})}
        return self._lab.start(image, options=options, **arguments)


def _tar(stamp: str, files: Mapping[str, bytes]) -> bytes:
    """Return a tar of a folder with files that everybody may read, as kubelet writes them."""
    return packages.archive({f"{stamp}/{name}": content for name, content in files.items()})
