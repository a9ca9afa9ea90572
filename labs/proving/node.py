"""A node of a cluster, as far as it pulls images: containerd with an empty store of its own.

What a pull downloads is told by the registry's access log, not by the node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .engine import talking_to
from .errors import ContainerError, CouldNotMeasure
from .registry import Blob, Pushed, Registry
from .server import Server
from .spans import span

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

DOCKERFILE = Path("apps/node/Dockerfile")
"""The node's Dockerfile within `labs/images`, which is its build context."""

CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN")
"""What the node's container has besides an engine's usual capabilities (capabilities(7)).

A snapshotter mounts what it unpacks, which takes SYS_ADMIN; a node sets up its pods' network,
which takes NET_ADMIN. It is never privileged: it sees no device of the host's.
"""

SECURITY = ("seccomp=unconfined", "apparmor=unconfined")
"""The profiles of engines that would refuse to mount in spite of the capability."""

_SNAPSHOTTER = re.compile(r"^snapshotter (\w+)$", re.MULTILINE)
_LINE = re.compile(r"^(had|has|began|ended|target) (\S+)$", re.MULTILINE)
_ERRORS = re.compile(r"^(?!ctr:).*\n", re.MULTILINE)
"""What an error's sentence leaves out: every line that is not `ctr`'s last word."""
_REFERENCE = re.compile(r"^[^/]+/(.+?)(?::[^:@/]+)?(?:@sha256:[0-9a-f]{64})?$")


@dataclass(frozen=True)
class Told:
    """What the node itself says of a pull; `arrived` are contents that it did not have before."""

    seconds: float
    target: str
    arrived: tuple[str, ...]


@dataclass(frozen=True)
class Pull:
    """A pull that came to its end: the image is in the node's store, and unpacked.

    `seconds` is from the command's beginning to its end, by the node's clock.
    `blobs` are what the registry has sent for it: layers, and the configuration, each once; the
    manifest is none.
    """

    seconds: float
    blobs: tuple[Blob, ...]
    manifest_digest: str
    config_digest: str

    @property
    def served_bytes(self) -> int:
        """The bytes of all blobs that the registry has sent."""
        return sum(blob.transfer_bytes for blob in self.blobs)

    @property
    def layers(self) -> tuple[Blob, ...]:
        """The blobs that are layers."""
        return tuple(blob for blob in self.blobs if blob.digest != self.config_digest)


def parse_pull(text: str) -> Told:
    """Read what the node's `pull` has written.

    Raises:
        CouldNotMeasure: something of it is missing.
    """
    lines: dict[str, list[str]] = {}
    for word, value in _LINE.findall(text):
        lines.setdefault(word, []).append(value)
    try:
        seconds = float(lines["ended"][0]) - float(lines["began"][0])
        target = lines["target"][0]
    except KeyError as error:
        raise CouldNotMeasure(f"The node does not tell {error} of its pull.") from error
    had = set(lines.get("had", ()))
    return Told(seconds, target, tuple(one for one in lines.get("has", ()) if one not in had))


def merged(blobs: tuple[Blob, ...]) -> tuple[Blob, ...]:
    """Return the blobs, each once, with the bytes of all its answers."""
    sums: dict[str, int] = {}
    for blob in blobs:
        sums[blob.digest] = sums.get(blob.digest, 0) + blob.transfer_bytes
    return tuple(Blob(digest, sent) for digest, sent in sums.items())


def failure(reference: str, told: str) -> ContainerError | CouldNotMeasure:
    """Return the sentence for a pull that failed, with its cure, and what the node says of it."""
    from .system import last_lines

    said = f" The node says:\n{last_lines(_ERRORS.sub('', told), 3)}"
    if re.search(r"\bnot found\b", told):
        return ContainerError(
            f"The registry has no {reference}: push an image under that name first.{said}"
        )
    if re.search(r"dial tcp|connection refused|no route to host|i/o timeout", told):
        return ContainerError(
            f"The node does not reach the registry of {reference}. Pull while `with lab.registry()`"
            " is open, and name images as `push` returns them; else look whether a firewall keeps "
            f"containers on the engine's default bridge apart.{said}"
        )
    if re.search(r"operation not permitted|permission denied", told):
        return CouldNotMeasure(f"{_refused()}{said}")
    return ContainerError(f"The node did not pull {reference}.{said}")


def _refused() -> str:
    return (
        f"The node may not mount what it pulls. It needs the capabilities {', '.join(CAPABILITIES)}"
        f" and {', '.join(SECURITY)}: run the labs on an engine that grants them, and whose "
        "daemon does not itself run without them."
    )


class Node(Server):
    """A node of a lab's that pulls from its registry: started and removed by `with`.

    Its image is one that was built from `DOCKERFILE`; see `Lab.node`. Its store is empty at first,
    lies on an anonymous volume, and goes with it.
    """

    def __init__(self, lab: Lab, image: Image, registry: Registry) -> None:
        rights = {"cap_add": list(CAPABILITIES), "security_opt": list(SECURITY)}
        super().__init__(lab, image, ready="successfully booted", options=rights)
        self._registry = registry
        self._address = ""
        self.snapshotter = ""

    def start(self) -> Self:
        """Start the node and wait until its containerd answers.

        Raises:
            ContainerError: it does not start.
            CouldNotMeasure: it may not mount, so that it cannot unpack an image.
        """
        try:
            super().start()
            self._address = self._container.bridge_address()
            found = _SNAPSHOTTER.search(self._container.log_text())
            self.snapshotter = found[1] if found else "none"
            if self.snapshotter == "none":
                raise CouldNotMeasure(_refused())
        except BaseException:
            self.stop()  # `with` does not end what did not begin
            raise
        return self

    def pull(self, image: Pushed | str) -> Pull:
        """Pull an image and unpack it, as a node does before it starts a container.

        `image` is what `Registry.push` has returned, or a reference to it.
        Only what the node does not have is downloaded. Several nodes may pull at once, each from
        a thread of its own.

        Raises:
            ContainerError: the registry is not reached, or has no such image.
            CouldNotMeasure: the node may not unpack it, or the registry's log does not tell.
        """
        reference = image if isinstance(image, str) else image.reference
        named = _REFERENCE.match(reference)
        if named is None:
            raise ContainerError(f"{reference!r} is no reference; take that which `push` returns.")
        since = self._registry.mark()
        told = parse_pull(self._run("pull", reference, self.snapshotter))
        manifest = self._registry.manifest(named[1], told.target)
        of_image = {blob.digest for blob in manifest.blobs}
        awaiting = [digest for digest in told.arrived if digest in of_image]
        blobs = self._registry.served(since, client=self._address, awaiting=awaiting)
        return Pull(told.seconds, merged(blobs), manifest.digest, manifest.config_digest)

    def _run(self, *command: str) -> str:
        from docker.errors import APIError

        with talking_to(self._container.engine), span("pull", command[1]):
            try:
                status, output = self._container.get_wrapped_container().exec_run(list(command))
            except APIError as error:
                raise ContainerError(f"The node did not pull: {error.explanation}") from error
        text = bytes(output).decode(errors="replace")
        if status:
            raise failure(command[1], text)
        return text
