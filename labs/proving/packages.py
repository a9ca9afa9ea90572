"""A package server in a container: what builds download, and how much of it.

It stands in for the network, so that a lab decides when a repository moves on, and needs no index.
It serves a Debian repository made with the distribution's own tools, wheels for pip, and any file.
Build steps reach it on the default bridge, by a name that `docker build --add-host` gives it.
"""

from __future__ import annotations

import io
import re
import tarfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from . import wheels
from .engine import talking_to
from .errors import ContainerError
from .server import LOG_SECONDS, LoggedServer, between

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

DOCKERFILE = Path("apps/packages/Dockerfile")
"""The server's Dockerfile within `labs/images`, which is its build context."""

HOST = "packages.test"
"""The server's name in Dockerfiles; `.test` is never anybody's (RFC 6761)."""

PACKAGES = ("greeting", "farewell", "weather")
"""The Debian packages that the server publishes where none are named."""

PAYLOAD_BYTES = 300_000
"""How many random bytes a package installs: no compression makes its download smaller."""

_ROOT = "/srv"
_ANSWER = re.compile(r"^[A-Z]+ (\S+) (\d{3}) (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """A request that the server has answered; `body_bytes` are those it sent after the headers."""

    path: str
    status: int
    body_bytes: int


def parse_requests(log: str) -> tuple[Request, ...]:
    """Return the answered requests of the server's access log, in the order of its answers."""
    return tuple(
        Request(path, int(status), int(sent)) for path, status, sent in _ANSWER.findall(log)
    )


def downloaded_bytes(requests: Iterable[Request], ending: str = ".deb") -> int:
    """Return the body bytes of the files with this ending that were sent, whole or in part."""
    sent = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
    return sum(
        request.body_bytes
        for request in requests
        if request.status in sent and request.path.endswith(ending)
    )


class PackageServer(LoggedServer):
    """A package server of a lab's: started and removed by `with`.

    Its image is one that was built from `DOCKERFILE`; see `Lab.package_server`.
    """

    def __init__(self, lab: Lab, image: Image) -> None:
        super().__init__(lab, image, ready="start worker process ")

    @property
    def address(self) -> str:
        """The server's address on the engine's default bridge, where build steps reach it.

        Raises:
            ContainerError: it does not run, or the engine gave it none.
        """
        return self._container.bridge_address()

    @property
    def hosts(self) -> dict[str, str]:
        """What `--add-host` tells a build: the server's name and address."""
        return {HOST: self.address}

    @property
    def pip_arguments(self) -> dict[str, str]:
        """The build arguments by which pip asks this server, and no other, for wheels."""
        return {"PIP_INDEX_URL": f"http://{HOST}/simple/", "PIP_TRUSTED_HOST": HOST}

    def publish(self, version: str, *names: str, payload_bytes: int = PAYLOAD_BYTES) -> None:
        """Publish this version of packages, all of them unless some are named.

        Each has as many random bytes to install; versions of it before are gone, as they are from
        the mirrors of distributions.

        Raises:
            ContainerError: the distribution's tools failed; their last lines are quoted.
        """
        self._run("publish", version, str(payload_bytes), *(names or PACKAGES))

    def put(self, path: str, content: bytes) -> None:
        """Serve a file at a path, instead of one that was there."""
        self.put_files({path: content})

    def put_files(self, files: Mapping[str, bytes]) -> None:
        """Serve files at their paths, which may begin with a slash.

        Raises:
            ContainerError: the engine does not take them.
        """
        from docker.errors import APIError

        with talking_to(self._container.engine):
            try:
                self._container.get_wrapped_container().put_archive(_ROOT, archive(files))
            except APIError as error:
                raise ContainerError(
                    f"The package server was not given its files: {error.explanation}"
                ) from error

    def put_wheels(self, folder: Path) -> None:
        """Serve the wheels of a folder as a package index does (PEP 503)."""
        self.put_files(
            {
                f"simple/{name}/{file.name}": file.read_bytes()
                for name, file in wheels.by_project(folder)
            }
        )

    def _draw(self, word: str) -> None:
        self._run("mark", word)

    def served(self, since: str) -> tuple[Request, ...]:
        """Return the requests that were answered after a mark, up to now.

        A build that has ended is counted whole: one process answers, and writes a line of its log
        before it takes the next request, which is the mark that the end is told by.

        Raises:
            CouldNotMeasure: the log does not tell the mark, or not its end within `LOG_SECONDS`.
        """
        log, until = self._log_with_mark(time.monotonic() + LOG_SECONDS)
        return between(parse_requests(log), since, until)

    def downloaded_bytes(self, since: str, ending: str = ".deb") -> int:
        """Return the bytes of files with this ending that were sent after a mark.

        Raises:
            CouldNotMeasure: the log does not tell.
        """
        return downloaded_bytes(self.served(since), ending)

    def _run(self, *command: str) -> None:
        from docker.errors import APIError

        from .system import last_lines

        with talking_to(self._container.engine):
            try:
                status, output = self._container.get_wrapped_container().exec_run(list(command))
            except APIError as error:
                raise ContainerError(
                    f"The package server did not run {command[0]}: {error.explanation}"
                ) from error
        if status:
            told = last_lines(output.decode(errors="replace"))
            raise ContainerError(
                f"In the package server, {' '.join(command)} ended with status {status}:\n{told}"
            )


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return a tar archive of files by their paths, with the folders that they lie in.

    Everybody may read them.

    An engine makes missing folders by itself, but for its own eyes only.

    Raises:
        ContainerError: a path leads out of the folder where it is unpacked.
    """
    paths = {PurePosixPath(path.lstrip("/")): content for path, content in files.items()}
    for path in paths:
        if path.name == "" or ".." in path.parts:
            raise ContainerError(f"A container cannot be given a file at {str(path)!r}.")
    folders = {parent for path in paths for parent in path.parents if parent.name}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in sorted(folders):
            tar.addfile(_member(folder, tarfile.DIRTYPE, 0o755))
        for path, content in paths.items():
            member = _member(path, tarfile.REGTYPE, 0o644)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _member(path: PurePosixPath, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(str(path))
    member.type, member.mode, member.mtime = kind, mode, int(time.time())
    return member
