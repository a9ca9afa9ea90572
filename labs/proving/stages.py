"""What the stages of a build leave in its last one, and which of them are run: chapter 5."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import CouldNotMeasure

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab
    from .layers import Contents

PORT = 8000
"""Where the applications of this chapter listen."""

PARTS = "parts"
"""Under this key a measurement returns of what parts an image is made."""

APPLICATION = "app/"
"""The folder of the applications of this chapter, their sources among them where they are left."""

_READY = f"listening on port {PORT}"
_SOURCES = (".c", ".h")
_RAN = re.compile(r"^(?:#\d+ (?:[\d.]+ )?)?ran (\S+)\s*$", re.MULTILINE)


def answer(lab: Lab, image: Image, path: str) -> str:
    """Start an application and return what it answers a GET of this path with.

    Raises:
        ContainerError: it does not start to listen.
        CouldNotMeasure: it does not answer, or not with success.
    """
    import httpx

    with lab.start(image, ports=[PORT], ready=_READY) as app:
        try:
            told = app.ask(PORT, path, timeout_seconds=10).raise_for_status()
        except httpx.HTTPError as error:
            raise CouldNotMeasure(f"{image.name} does not answer {path}: {error}.") from error
    return told.text.strip()


def parts(contents: Contents) -> list[dict[str, Any]]:
    """Return of what an image is made: the unpacked bytes of each part; together, all it has.

    The base is what the image stands on, and the application with its sources lies in
    `APPLICATION`. Whatever else its own layers have is the toolchain, and what came with it.
    """
    own = {path: size for path, size in contents.files.items() if path.startswith(APPLICATION)}
    sources = sum(size for path, size in own.items() if path.endswith(_SOURCES))
    application = sum(own.values()) - sources
    named: Mapping[str, int] = {
        "base": contents.unpacked_bytes - contents.added_unpacked_bytes,
        "toolchain": contents.added_unpacked_bytes - sources - application,
        "sources": sources,
        "application": application,
    }
    return [{"name": name, "unpacked_bytes": size} for name, size in named.items()]


def stages_run(progress: str) -> tuple[str, ...]:
    """Return the stages that a build has run, by the line `ran NAME` that each of them prints.

    `progress` is what either builder has told. The instruction that prints is told there too, and
    is no such line; an instruction that comes from the cache prints nothing.
    """
    return tuple(dict.fromkeys(_RAN.findall(progress)))
