"""What is audited: an image that the engine has or can pull, or one in a file or a folder.

A file has an archive of it, and a folder an OCI image layout. A folder that builds an image is the
business of `builds`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine import architecture, talking_to
from ..errors import CouldNotMeasure, EngineError
from . import layout, reader
from .reader import ImageRead, Limits
from .text import printable

if TYPE_CHECKING:
    from ..engine import Engine

PREFIXES = ("docker-archive:", "oci-archive:", "oci:")
"""What other tools put before the name of an archive; it is understood, and not needed."""


@dataclass(frozen=True)
class Subject:
    """An image to be audited.

    `save` gives its archive in chunks, as often as it is asked. `engine` is that which has it,
    under `reference`; an archive in a file has none.
    `others` are the diff IDs of the engine's other images, by their names.
    `archive_bytes` is how large the archive is, where that is known before it is read.
    """

    name: str
    save: Callable[[], Iterable[bytes]]
    engine: Engine | None = None
    reference: str = ""
    others: tuple[tuple[str, tuple[str, ...]], ...] = ()
    archive_bytes: int = 0
    what: str = field(default="The archive")

    def read(
        self,
        *,
        limits: Limits | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> ImageRead:
        """Read the archive; `on_bytes` is told how many of its bytes were read so far.

        Raises:
            CouldNotMeasure: the archive cannot be read.
            EngineError: the engine went away.
        """
        wanted = architecture(platform.machine())
        if self.engine is None:
            return self._read(wanted, limits, on_bytes)
        from .. import disk

        with talking_to(self.engine), disk.telling(self.engine):
            wanted = self.engine.description.architecture
            return self._read(wanted, limits, on_bytes)

    def _read(
        self, wanted: str, limits: Limits | None, on_bytes: Callable[[int], None] | None
    ) -> ImageRead:
        return reader.read(
            self.save(), what=self.what, architecture=wanted, limits=limits, on_bytes=on_bytes
        )


def is_archive(text: str) -> bool:
    """Tell whether a text names a file, or says that it does, and not an image of the engine."""
    path = Path(text)
    return text.startswith(PREFIXES) or path.is_file() or layout.is_layout(path)


def of_file(text: str) -> Subject:
    """Return the image in a file that `docker save` has written, or in an OCI archive or layout.

    Raises:
        CouldNotMeasure: there is no such file, or it may not be read.
    """
    prefix = next((one for one in PREFIXES if text.startswith(one)), "")
    path = Path(text.removeprefix(prefix))
    if layout.is_layout(path):
        return Subject(
            name=printable(path.resolve().name),
            save=lambda: layout.chunks(path),
            archive_bytes=layout.size_bytes(path),
            what=f"The layout {printable(path.resolve().name, 90)}",
        )
    try:
        with path.open("rb"):
            archive_bytes = path.stat().st_size
    except OSError as error:
        raise CouldNotMeasure(
            f"{printable(str(path))} cannot be read: {error.strerror}. Name an archive that "
            "`docker save` has written, or an image."
        ) from error
    return Subject(
        name=printable(path.name),
        save=lambda: _chunks_of(path),
        archive_bytes=archive_bytes,
        what=f"The archive {printable(path.name, 90)}",
    )


def of_engine(engine: Engine, reference: str, *, pull: bool = True) -> Subject:
    """Return an image of an engine, which pulls it where it does not have it and `pull` allows it.

    Raises:
        CouldNotMeasure: it does not have the image, and cannot pull it.
        EngineError: the engine went away.
    """
    from docker.errors import APIError, ImageNotFound

    from .. import disk

    with talking_to(engine), disk.telling(engine):
        try:
            image = engine.docker.images.get(reference)
        except ImageNotFound:
            image = None
        except APIError as error:
            raise _cannot_have(reference, error.explanation or str(error)) from error
        if image is None and not pull:
            raise _cannot_have(reference, "it is not there")
        if image is None:
            try:
                engine.docker.api.pull(reference, tag=_tag_of(reference))
                image = engine.docker.images.get(reference)
            except APIError as error:
                raise _cannot_have(reference, error.explanation or str(error)) from error
        found = image
        return Subject(
            name=printable(reference),
            save=lambda: _chunks_from(engine, str(found.id)),
            engine=engine,
            reference=str(found.id),
            others=_others(engine, str(found.id)),
            what=f"The engine's archive of {printable(reference, 90)}",
        )


def _tag_of(reference: str) -> str | None:
    """Return `latest` where a reference has neither a tag nor a digest: all would be pulled."""
    last = reference.rpartition("/")[2]
    return None if ":" in last or "@" in last else "latest"


def _cannot_have(reference: str, why: str) -> CouldNotMeasure:
    named = printable(reference)
    folder = f" The folder of that name is ./{named}." if Path(reference).is_dir() else ""
    return CouldNotMeasure(
        f"The engine has no image {named}, and cannot pull it: {printable(why)}. "
        "Name an image that `docker images` lists, or an archive that `docker save` has written."
        f"{folder}"
    )


def find(text: str, engine: Callable[[], Engine]) -> Subject:
    """Return what a text names: a file where there is one, or else an image of the engine.

    The engine is asked for only where it is needed.

    Raises:
        CouldNotMeasure: it names neither.
        EngineError: there is no engine.
    """
    if is_archive(text):
        return of_file(text)
    return of_engine(engine(), text)


def _others(engine: Engine, own: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the names and the layers of all images that have names, but for this one."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for image in _images(engine):
        if image[0] != own:
            found.append((image[1], tuple(image[2])))
    return tuple(found)


def _images(engine: Engine) -> Iterator[tuple[str, str, Sequence[str]]]:
    from docker.errors import APIError

    for listed in engine.docker.api.images():
        try:
            told = engine.docker.api.inspect_image(listed["Id"])
        except APIError:  # it was removed in the meantime
            continue
        names = told.get("RepoTags") or []
        if names:
            layers = (told.get("RootFS") or {}).get("Layers") or []
            yield str(told["Id"]), printable(str(names[0])), layers


def _chunks_of(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(reader.PIECE_BYTES):
                yield chunk
    except OSError as error:
        raise CouldNotMeasure(
            f"{printable(str(path))} cannot be read: {error.strerror}."
        ) from error


def _chunks_from(engine: Engine, image: str) -> Iterator[bytes]:
    from docker.errors import APIError

    from .. import disk

    try:
        chunks = engine.docker.images.get(image).save(chunk_size=reader.PIECE_BYTES)
        with closing(chunks):
            yield from chunks
    except APIError as error:
        if disk.is_told_in(error.explanation or str(error)):
            raise
        raise EngineError(
            f"The engine does not give an archive of the image: "
            f"{printable(error.explanation or str(error))}."
        ) from error
