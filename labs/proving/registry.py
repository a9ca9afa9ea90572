"""An image registry in a container: what nodes download, blob by blob, by its own access log.

It is the reference implementation of the OCI distribution specification, from Debian's package.
The engine pushes to it on its own loopback, which every Docker engine takes for insecure, so that
no engine needs a setting; nodes pull from it on the default bridge.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import leftovers
from .engine import LOOPBACK, talking_to
from .errors import ContainerError, CouldNotMeasure
from .server import LOG_SECONDS, MARK, LoggedServer, between

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

DOCKERFILE = Path("apps/registry/Dockerfile")
"""The registry's Dockerfile within `labs/images`, which is its build context."""

PORT = 5000

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

_ANSWER = re.compile(
    r'^(\S+) - \S+ \[[^\]]+\] "([A-Z]+) (\S+) HTTP/[\d.]+" (\d{3}) (\d+)', re.MULTILINE
)
_BLOB = re.compile(r"^/v2/.+/blobs/(sha256:[0-9a-f]{64})(?:\?.*)?$")


@dataclass(frozen=True)
class Answer:
    """A line of the access log: who asked for what, and the bytes of the body that were sent."""

    client: str
    method: str
    path: str
    status: int
    body_bytes: int


@dataclass(frozen=True)
class Blob:
    """A blob as it travels: a compressed layer, or an image's configuration."""

    digest: str
    transfer_bytes: int


@dataclass(frozen=True)
class Manifest:
    """An image manifest of one platform (OCI image spec), with its own digest.

    `layers` are the compressed layers from the base up.
    """

    digest: str
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def config_digest(self) -> str:
        """The digest of the image's configuration."""
        return self.config.digest

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """All that a node without any of it downloads besides the manifest."""
        return (self.config, *self.layers)

    @property
    def transfer_bytes(self) -> int:
        """The bytes of all blobs."""
        return sum(blob.transfer_bytes for blob in self.blobs)


@dataclass(frozen=True)
class Pushed(Manifest):
    """An image in a registry; `reference` is how a node names it by its tag."""

    reference: str

    @property
    def manifest_digest(self) -> str:
        """The digest of the image's manifest."""
        return self.digest

    @property
    def by_digest(self) -> str:
        """How a node names the image by its manifest, which no later push changes."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


def parse_answers(log: str) -> tuple[Answer, ...]:
    """Return the answers of an access log in combined log format, in the order of their ends."""
    return tuple(
        Answer(client, method, path, int(status), int(sent))
        for client, method, path, status, sent in _ANSWER.findall(log)
    )


def blobs_sent(answers: Iterable[Answer], client: str | None = None) -> tuple[Blob, ...]:
    """Return the blobs that were sent, to one client or to all, in the order of the answers.

    A request for the headers alone (HEAD) sends none, nor does a redirect or an error; a part of
    a blob counts as far as it was sent, and a blob that was sent twice is there twice.
    """
    sent = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
    return tuple(
        Blob(match[1], answer.body_bytes)
        for answer in answers
        if answer.method == "GET"
        and answer.status in sent
        and (client is None or answer.client == client)
        and (match := _BLOB.match(answer.path))
    )


def read_manifest(digest: str, manifest: Mapping[str, Any]) -> Manifest:
    """Read an image manifest.

    Raises:
        CouldNotMeasure: it is none.
    """
    try:
        config, layers = manifest["config"], manifest["layers"]
        return Manifest(digest, _blob(config), tuple(_blob(layer) for layer in layers))
    except (KeyError, TypeError) as error:
        raise CouldNotMeasure("The registry has a manifest that is not an image's.") from error


def platform_digest(index: Mapping[str, Any], architecture: str) -> str:
    """Return the digest of an image index's manifest for Linux on an architecture.

    Raises:
        CouldNotMeasure: it has none.
    """
    for entry in index.get("manifests") or []:
        platform = entry.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            return str(entry["digest"])
    raise CouldNotMeasure(f"The registry has no image for linux/{architecture} under this name.")


def _blob(descriptor: Mapping[str, Any]) -> Blob:
    return Blob(str(descriptor["digest"]), int(descriptor["size"]))


def split(name: str) -> tuple[str, str]:
    """Return repository and tag of a name such as `shop:1`; the tag is `latest` where none is told.

    Raises:
        ContainerError: it names a registry, or is no name.
    """
    repository, _, tag = name.partition(":")
    if not re.fullmatch(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*", repository) or "/" in tag:
        raise ContainerError(
            f"{name!r} is no name of an image within the lab's registry; write `shop:1`."
        )
    return repository, tag or "latest"


class Registry(LoggedServer):
    """A registry of a lab's: started and removed by `with`, with all that was pushed to it.

    Its image is one that was built from `DOCKERFILE`; see `Lab.registry`.
    """

    def __init__(self, lab: Lab, image: Image) -> None:
        super().__init__(lab, image, ports=(PORT,), ready="listening on")
        self._engine = lab.engine
        self._run_of_lab = leftovers.pushed_name(lab.run, "")

    @property
    def address(self) -> str:
        """`host:port` on the engine's default bridge, by which nodes reach the registry.

        Raises:
            ContainerError: it does not run, or the engine gave it none.
        """
        return f"{self._container.bridge_address()}:{PORT}"

    def push(self, image: Image | str, name: str) -> Pushed:
        """Push an image under a name such as `shop:1`; an earlier one of that name loses it.

        The engine knows it by that name as long as the push lasts, and the registry by one that
        tells the run as well, so that a clean-up finds what a push that was killed has left.

        `image` is one that a lab has built, or a reference that the engine knows.

        Raises:
            ContainerError: the engine has no such image, or its push failed.
        """
        from docker.errors import APIError

        repository, tag = split(name)
        client, port = self._engine.docker, self._published().rpartition(":")[2]
        path = f"{self._run_of_lab}{repository}"
        here = f"{LOOPBACK}:{port}/{path}"
        with talking_to(self._engine):
            try:
                found = client.images.get(image if isinstance(image, str) else image.id)
                found.tag(here, tag)
                try:
                    answers = list(client.images.push(here, tag=tag, stream=True, decode=True))
                finally:
                    client.images.remove(f"{here}:{tag}", noprune=True)
            except APIError as error:
                raise ContainerError(
                    f"{name} was not pushed to the registry: {error.explanation}"
                ) from error
        if refused := push_error(answers):
            raise ContainerError(
                f"{name} was not pushed to the registry: {refused}. The engine reaches it at {here}"
                ", its own loopback; look whether a proxy or a firewall keeps it from there."
            )
        manifest = self.manifest(repository, tag)
        reference = f"{self.address}/{path}:{tag}"
        return Pushed(manifest.digest, manifest.config, manifest.layers, reference)

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Return the manifest of a tag or digest, for the engine's platform where it has several.

        `repository` is a name such as `shop`, or the path by which a node asks for it.

        Raises:
            CouldNotMeasure: there is none, or it is not an image's.
        """
        accepted = ", ".join((*MANIFESTS, *INDEXES))
        path = f"{self._run_of_lab}{repository.removeprefix(self._run_of_lab)}"
        answer = self._get(f"/v2/{path}/manifests/{reference}", Accept=accepted)
        if answer.status_code != HTTPStatus.OK:
            raise CouldNotMeasure(f"The registry has no {repository}:{reference}.")
        content = answer.json()
        if "manifests" in content:
            architecture = self._engine.description.architecture
            return self.manifest(repository, platform_digest(content, architecture))
        return read_manifest(str(answer.headers["Docker-Content-Digest"]), content)

    def _draw(self, word: str) -> None:
        self._get(MARK + word)

    def served(
        self, since: str, *, client: str | None = None, awaiting: Sequence[str] = ()
    ) -> tuple[Blob, ...]:
        """Return the blobs that were sent after a mark up to now, by the registry's own log.

        They are in the order in which they were sent to their end.
        With `client`, only those that were sent to this address.
        The registry writes a line after the last byte of an answer, so whoever has that byte may
        be earlier than the line: `awaiting` names blobs that have arrived and must be told.

        Raises:
            CouldNotMeasure: the log does not tell within `LOG_SECONDS`.
        """
        by = time.monotonic() + LOG_SECONDS
        while True:
            log, until = self._log_with_mark(by)
            blobs = blobs_sent(between(parse_answers(log), since, until), client)
            late = set(awaiting) - {blob.digest for blob in blobs}
            if not late:
                return blobs
            if time.monotonic() > by:
                raise CouldNotMeasure(
                    f"The registry's log does not tell of {len(late)} blobs that have arrived. "
                    "Measure again when the engine has less to do."
                )
            time.sleep(0.05)

    def _published(self) -> str:
        """Return `host:port` by which the registry is reached from here.

        Raises:
            ContainerError: it does not run.
        """
        from docker.errors import NotFound

        try:
            if self._container.get_wrapped_container() is not None:
                return self._container.address(PORT)
        except (CouldNotMeasure, NotFound):
            pass
        raise ContainerError(
            "The registry does not run: push and pull while `with lab.registry()` is open."
        )

    def _get(self, path: str, **headers: str) -> Any:
        import httpx

        url = f"http://{self._published()}{path}"
        try:
            return httpx.get(url, headers=headers, timeout=30, trust_env=False)
        except httpx.TransportError as error:
            raise ContainerError(
                f"The registry does not answer at {url}: {error}. Look whether a firewall keeps "
                "published ports from this machine."
            ) from error


def push_error(answers: Iterable[Mapping[str, Any]]) -> str | None:
    """Return what an engine says of a push that failed, or None where it did not."""
    for answer in answers:
        detail = (answer.get("errorDetail") or {}).get("message") or answer.get("error")
        if detail:
            return str(detail).strip().rstrip(".")
    return None
