"""A private copy of a build context, to be edited and built again and again."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from . import leftovers
from .errors import NotApplicable, ProvingError

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

_DAY_SECONDS = 86_400


class Workspace:
    """A copy of a Dockerfile and its context, which is gone with all it has built when it closes.

    The images are removed then, and so are the records that its builds have left in the engine's
    build cache: by their ids, and nobody else's.
    Files are named as they lie in the context; `Dockerfile` is the Dockerfile, wherever it lies.
    """

    def __init__(self, lab: Lab, key: str, dockerfile: Path, context: Path) -> None:
        self._lab, self._key = lab, key
        self._dockerfile, self._context = dockerfile, context
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tags: list[str] = []
        self._classic = False

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="proving-")
        try:
            shutil.copytree(self._context, self.context)
            for file in self._dockerfile.parent.glob("Dockerfile*"):
                shutil.copy2(file, self._root)
            self._lab.window.enter(self.path("Dockerfile").read_text(encoding="utf-8"))
        except BaseException:  # there is no __exit__ then
            self._remove_copy()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._lab.window.leave(self._tags)
            if self._classic:
                leftovers.remove_nameless(self._lab.engine.docker, self._lab.run)
        finally:
            self._remove_copy()

    def _remove_copy(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def _root(self) -> Path:
        if self._folder is None:
            raise ProvingError("A workspace is used within `with`, and this one is closed.")
        return Path(self._folder.name)

    @property
    def context(self) -> Path:
        """The folder of the copied context."""
        return self._root / "context"

    def path(self, name: str) -> Path:
        """Return where a file of the workspace lies."""
        in_context = self.context / name
        if name == "Dockerfile" and not in_context.exists():
            return self._root / name
        return in_context

    def salt(self, name: str) -> None:
        """Append a comment that no earlier build has seen, so that nothing of it is cached."""
        self.append(name, f"# salt {secrets.token_hex(8)}\n")

    def append(self, name: str, text: str) -> None:
        """Append a text to a file."""
        with self.path(name).open("a", encoding="utf-8") as file:
            file.write(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that the file has exactly once.

        Raises:
            ProvingError: the file has it never, or several times.
        """
        file = self.path(name)
        content = file.read_text(encoding="utf-8")
        if content.count(old) != 1:
            raise ProvingError(
                f"{name} has {old!r} {content.count(old)} times; "
                "an edit needs a text that is there once."
            )
        file.write_text(content.replace(old, new), encoding="utf-8")

    def write(self, name: str, content: bytes) -> None:
        """Write a file, with the folders that it needs."""
        file = self.path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def change_a_byte(self, name: str) -> None:
        """Change the last byte of a file, and nothing else of it but its modification time."""
        file = self.path(name)
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    def touch(self, name: str) -> None:
        """Let a file's modification time be a day later, and nothing else of it change."""
        file = self.path(name)
        later = file.stat().st_mtime + _DAY_SECONDS
        os.utime(file, (later, later))

    def change_mode(self, name: str) -> None:
        """Let a file's owner execute it, or no longer: its permissions change, not its content."""
        file = self.path(name)
        file.chmod(file.stat().st_mode ^ stat.S_IXUSR)

    def build(
        self,
        *,
        arguments: Mapping[str, str] | None = None,
        hosts: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        provenance: bool = False,
        target: str = "",
        no_cache: bool = False,
    ) -> Image:
        """Build what the workspace holds now; see `Image` for the options.

        Raises:
            BuildError: the Dockerfile does not build.
        """
        return self._image(
            arguments=arguments,
            hosts=hosts,
            secrets=secrets,
            provenance=provenance,
            target=target,
            no_cache=no_cache,
        ).build()

    def build_by_classic_builder(self, *, target: str = "") -> Image:
        """Build what the workspace holds now by the builder that came before BuildKit.

        Raises:
            BuildError: the Dockerfile does not build.
            NotApplicable: the engine has none.
        """
        self._classic = True
        image = self._image(target=target)
        if not image.build_by_classic_builder(leftovers.label(self._lab.run)):
            raise NotApplicable("This engine has no classic builder.")
        return image

    def _image(self, **options: Any) -> Image:
        dockerfile = self.path("Dockerfile")
        self._lab.window.note(dockerfile.read_text(encoding="utf-8"))
        image = self._lab.image_of(self._key, self.context, dockerfile, **options)
        self._tags.append(str(image.tag))
        return image
