"""An image that the audit builds of a reader's folder, in a private copy, and builds again there.

What the audit has made is gone when it ends, in whatever way: the copy, the images, and the records
that its builds have left in the engine's build cache.
"""

from __future__ import annotations

import io
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import bases
from ..errors import BuildError, CouldNotMeasure
from . import context as contexts
from . import subject as subjects
from .context import Building, Context, Copied
from .dockerfile import Dockerfile
from .reader import ImageRead, Limits
from .subject import Subject
from .text import printable

if TYPE_CHECKING:
    from ..image import Image
    from ..lab import Lab
    from .audit import Progress

_SALT_SIGNS = 64
_REFUSED_LINE = re.compile(r"dockerfile parse error (?:on )?line (\d+): unknown instruction", re.I)
_SYNTAX = "# syntax=docker/dockerfile:1"


@dataclass(frozen=True)
class Built(Subject):
    """The image of a folder: besides what is told of any image, how it was built."""

    work: Work | None = None
    _read_once: list[ImageRead] = field(default_factory=list)

    def read(
        self,
        *,
        limits: Limits | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> ImageRead:
        """Read the archive, once: what the layers hold is asked for by several checks."""
        if not self._read_once:
            self._read_once.append(super().read(limits=limits, on_bytes=on_bytes))
        return self._read_once[0]


class Work:
    """The private copy of a folder, with the builds of it; see `opened`."""

    def __init__(self, lab: Lab, root: Path, context: Context, how: Building) -> None:
        self.context, self.how = context, how
        self.tags: list[str] = []
        self._lab, self._root = lab, root
        self._arguments: dict[str, str] = {}
        self._copied: Copied | None = None
        self._first: Image | None = None

    @property
    def copied(self) -> Copied:
        """What was copied of the folder."""
        assert self._copied is not None  # noqa: S101 - `opened` has copied it
        return self._copied

    @property
    def first(self) -> Image:
        """The image of the folder as it is."""
        assert self._first is not None  # noqa: S101 - `opened` has built it
        return self._first

    def copy(self, progress: Progress) -> None:
        """Copy the folder, and beside the copy its Dockerfile, with an ignore file of its own.

        By that the engine leaves out for itself what it does not want, also where the ignore file
        leaves out itself.
        """
        told = self.context
        with progress.task(f"Copying {told.name}") as advance:
            self._copied = contexts.copy(told, self._root / "context", on_bytes=advance)
        (self._root / "Dockerfile").write_text(told.dockerfile_text, encoding="utf-8")
        if told.ignore_name:
            own = self._root / "Dockerfile.dockerignore"
            own.write_text(told.ignore_text, encoding="utf-8")

    def find_bases(self, progress: Progress) -> None:
        """Have the guide's bases, where an argument names one by its role and its public image.

        Where no registry answers they are those that were built here, as in the guide's labs.

        Raises:
            BaseImageError: one cannot be had.
        """
        defaults = self.context.dockerfile.defaults()
        roles = [
            name
            for name, role in bases.ROLES.items()
            if role.public in (defaults.get(name), f"{defaults.get(name)}:latest")
            and name not in self.how.arguments
        ]
        if roles:
            with progress.task("Finding the bases"):
                found = bases.ready(self._lab.engine, roles)
            self._arguments = {name: base.reference for name, base in found.items()}

    def build(self, progress: Progress, what: str) -> Image:
        """Build what the copy holds now.

        Raises:
            BuildError: it does not build, or not in the time that it is given.
            EngineError: the engine went away.
        """
        image = self._lab.image_of(
            "audit",
            self._root / "context",
            Path("../Dockerfile"),
            arguments={**self._arguments, **self.how.arguments},
            hosts=self.how.hosts,
            secrets=self.how.secrets,
            target=self.how.target,
        )
        image.name = self.context.dockerfile_name
        image.limit_seconds = self.how.limit_seconds
        image.takes_packages_from_kit = False  # it has those of the guide's own images alone
        self.tags.append(str(image.tag))
        with progress.task(what):
            try:
                image.build()
            except BuildError as error:
                told = unknown_heredoc(self.context.dockerfile, error.progress)
                error.args = (f"{error}\n{told}".rstrip(),)
                raise
        self._first = self._first or image
        return image

    def edit(self, path: str) -> None:
        """Edit a file of the copy, as no earlier build has seen it.

        A line of blanks is added at its end, which means nothing in nearly every language.
        """
        file = self._root / "context" / path
        told = file.stat()
        file.chmod(told.st_mode | 0o200)
        blanks = "".join(secrets.choice(" \t") for _ in range(_SALT_SIGNS))
        with file.open("ab") as opened:
            opened.write(f"\n{blanks}\n".encode())
        file.chmod(told.st_mode)

    def keep(self, name: str) -> None:
        """Give the image a name under which it stays.

        Raises:
            CouldNotMeasure: the engine does not take the name.
        """
        from docker.errors import APIError

        path, slash, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        try:
            self.first.get_wrapped_image().tag(f"{path}{slash}{last}", tag or "latest")
        except APIError as error:
            raise CouldNotMeasure(
                f"The image cannot be kept as {printable(name)}: "
                f"{printable(error.explanation or str(error))}. Name it like my/web:audited."
            ) from error


def unknown_heredoc(dockerfile: Dockerfile, progress: str) -> str:
    """Return what to do where a builder took a here-document's line for an instruction, or none."""
    match = _REFUSED_LINE.search(progress)
    at = int(match[1]) if match else 0
    for one in dockerfile.instructions:
        if one.heredocs and one.line < at <= one.last_line:
            return (
                f"Line {at} is of the here-document that line {one.line} begins, and this builder "
                f"knows none. Begin the Dockerfile with the line `{_SYNTAX}`, where the engine "
                "reaches a registry, or build it by Docker 23 or newer."
            )
    return ""


@contextmanager
def opened(text: str, how: Building, progress: Progress) -> Iterator[Built]:
    """Build the image of a folder; at the end, all that was made of it is gone.

    Raises:
        CouldNotMeasure: the folder cannot be built as it is, or would cost too much.
        BuildError: its Dockerfile does not build; the sentence has the last lines of its log.
        BaseImageError: one of the guide's bases cannot be had.
        EngineError: there is no engine.
    """
    from ..lab import Lab

    context = contexts.find(text, how)
    with ExitStack() as made:
        root = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="proving-")))
        with redirect_stdout(io.StringIO()):  # a lab greets its reader there
            lab = made.enter_context(Lab("audit-context"))
        work = Work(lab, root, context, how)
        work.copy(progress)
        work.find_bases(progress)
        lab.window.enter(context.dockerfile_text)
        made.callback(lambda: lab.window.leave(work.tags))
        image = work.build(progress, f"Building {context.name}")
        if how.keep_as:
            work.keep(how.keep_as)
        found = subjects.of_engine(lab.engine, str(image.tag), pull=False)
        yield Built(
            name=printable(context.name),
            save=found.save,
            engine=found.engine,
            reference=found.reference,
            others=found.others,
            what="The engine's archive of what was built",
            work=work,
        )
