"""A folder of the reader's own, to be built: read, bounded, and copied; never written to."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..errors import CouldNotMeasure, DiskFull, ProvingError
from . import dockerignore
from .dockerfile import Dockerfile
from .dockerignore import Ignored
from .text import printable

_PIECE_BYTES = 1 << 20
_SPECIAL = {
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@dataclass(frozen=True)
class Limits:
    """What a folder may cost; more ends in a sentence.

    `paths` are all that are looked at, and `copied_bytes` those of the files that are copied.
    """

    paths: int = 500_000
    copied_bytes: int = 8 << 30
    document_bytes: int = 1 << 18
    seconds: float = 300.0


@dataclass(frozen=True)
class Building:
    """How a folder is built.

    `file` is its Dockerfile where that has another name, `arguments` are build arguments,
    `secrets` the contents of build secrets by their ids, and `hosts` addresses by names, as for
    `Image`. `edit` is the source file to edit, where the audit is not to choose one.
    A build may take `limit_seconds`. `keep_as` is a name under which the image stays.
    """

    file: Path | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    edit: str = ""
    limit_seconds: float = 1800.0
    keep_as: str = ""


@dataclass(frozen=True)
class Context:
    """A folder that can be built: its Dockerfile, and what its ignore file says.

    `name` is the folder as it was named, and `dockerfile_name` the Dockerfile as a report names it.
    `ignore_name` and `ignore_text` are empty where there is no ignore file.
    """

    name: str
    folder: Path
    dockerfile_name: str
    dockerfile_text: str
    dockerfile: Dockerfile
    ignored: Ignored
    ignore_name: str = ""
    ignore_text: str = ""


@dataclass(frozen=True)
class File:
    """A regular file of a build context: its path, with slashes, and how large it is."""

    path: str
    size_bytes: int


@dataclass(frozen=True)
class Copied:
    """What was copied of a folder, and where to.

    `special` counts what else the folder has, by its kind; `changed` counts the files that changed
    while they were copied.
    """

    folder: Path
    files: tuple[File, ...]
    special: Mapping[str, int]
    changed: int

    @property
    def size_bytes(self) -> int:
        """The bytes of all files."""
        return sum(file.size_bytes for file in self.files)


def is_context(text: str) -> bool:
    """Tell whether a text names a folder to be built, as opposed to an image of that name.

    A folder that holds an image (OCI image spec, "Image Layout") is not one to be built.
    """
    if not (text.startswith((".", "/")) or text.endswith("/")):
        return False
    folder = Path(text)
    return folder.is_dir() and not (folder / "oci-layout").is_file()


def find(text: str, how: Building, limits: Limits | None = None) -> Context:
    """Return the build context that a text names.

    Raises:
        CouldNotMeasure: it has no Dockerfile, or one that cannot be read.
    """
    limits = limits or Limits()
    folder = Path(text).resolve()
    file = _dockerfile(text, folder, how.file)
    told = _read(file, limits, f"The Dockerfile {_shown(file, folder)}")
    dockerfile = Dockerfile(told, how.arguments)
    if not dockerfile.stages:
        raise CouldNotMeasure(
            f"{_shown(file, folder)} of {printable(text)} has no FROM: it builds no image."
        )
    if dockerfile.stage(how.target) is None:
        names = ", ".join(printable(one.name, 40) for one in dockerfile.stages if one.name)
        raise CouldNotMeasure(
            f"{_shown(file, folder)} has no stage {printable(how.target, 60)!r}. "
            + (f"It has {names}." if names else "None of its stages has a name.")
        )
    ignore_file = _ignore_file(text, folder, file)
    ignore_name = _shown(ignore_file, folder) if ignore_file else ""
    ignore_text = _read(ignore_file, limits, f"The file {ignore_name}") if ignore_file else ""
    return Context(
        name=text,
        folder=folder,
        dockerfile_name=_shown(file, folder),
        dockerfile_text=told,
        dockerfile=dockerfile,
        ignored=dockerignore.parse(ignore_text, ignore_name),
        ignore_name=ignore_name,
        ignore_text=ignore_text,
    )


def _ignore_file(text: str, folder: Path, dockerfile: Path) -> Path | None:
    """Return the ignore file of a build: the Dockerfile's own goes before that of the folder."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    if own.is_file():
        return own
    file = folder / ".dockerignore"
    if not file.is_file():
        return None
    if not file.resolve().is_relative_to(folder):
        raise CouldNotMeasure(
            f"The .dockerignore of {printable(text)} is a link that leads outside the folder, "
            "and the engine would not follow it: copy the file itself."
        )
    return file


def _shown(file: Path, folder: Path) -> str:
    """Return how a report names a file: from the folder, where it lies in it."""
    return printable(os.path.relpath(file, folder) if file.is_relative_to(folder) else str(file))


def _dockerfile(text: str, folder: Path, named: Path | None) -> Path:
    """Return the Dockerfile's path; a link must not lead out of the folder unless it was named."""
    file = folder / "Dockerfile" if named is None else Path(os.path.abspath(named))  # noqa: PTH100
    if named is not None and not file.exists() and (folder / named).exists():
        file = folder / named
    told = printable(str(named) if named else f"{text.rstrip('/')}/Dockerfile")
    try:
        mode = file.stat().st_mode
        real = file.resolve(strict=True)
    except OSError as error:
        raise CouldNotMeasure(
            f"There is no Dockerfile at {told}: {error.strerror}. "
            "Name another by --file, or an image."
        ) from error
    except RuntimeError as error:  # a link that loops, on Python 3.11
        raise CouldNotMeasure(f"{told} is a link that leads to itself: mend it.") from error
    if stat.S_ISDIR(mode):
        raise CouldNotMeasure(f"{told} is a folder: name the Dockerfile in it by --file.")
    if not stat.S_ISREG(mode):
        raise CouldNotMeasure(f"{told} is no regular file: name another by --file.")
    if named is None and not real.is_relative_to(folder):
        raise CouldNotMeasure(
            f"{told} is a link to {printable(str(real))}, outside the folder, which the engine "
            "would not follow. Name that file by --file, if it is meant."
        )
    return file


def _read(file: Path, limits: Limits, what: str) -> str:
    """Return a small text file's content.

    Raises:
        CouldNotMeasure: it cannot be read, is too large, or is no text.
    """
    try:
        with _opened(file) as opened:
            content: bytes = opened.read(limits.document_bytes + 1)
    except OSError as error:
        raise CouldNotMeasure(f"{what} cannot be read: {error.strerror}.") from error
    if len(content) > limits.document_bytes:
        raise CouldNotMeasure(f"{what} has more than {limits.document_bytes} bytes: shorten it.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CouldNotMeasure(f"{what} is no text in UTF-8: correct it.") from error


def _opened(file: Path | str, flags: int = 0) -> IO[bytes]:
    """Open a file to read; one that turns out to be no regular file is an OSError, not a wait."""
    number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(0, "it is no regular file")
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def copy(
    context: Context,
    target: Path,
    limits: Limits | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Copied:
    """Copy what the ignore file leaves of a folder, and return what that is.

    Links stay links, and nothing is read through them. Sockets, FIFOs and devices are left out, as
    no image needs them. A file that grows meanwhile is copied as far as it went when it was opened;
    one that is gone is counted as changed.

    Raises:
        CouldNotMeasure: a file cannot be read, or the folder would cost more than the limits allow.
        DiskFull: there is no room for the copy.
    """
    return _Copy(context, target, limits or Limits(), on_bytes or (lambda _: None)).run()


class _Copy:
    """A copy under way."""

    def __init__(
        self, context: Context, target: Path, limits: Limits, on_bytes: Callable[[int], None]
    ) -> None:
        self._context, self._target = context, target
        self._limits, self._on_bytes = limits, on_bytes
        self._until = time.monotonic() + limits.seconds
        self._files: list[File] = []
        self._special: dict[str, int] = {}
        self._copied_bytes = self._seen = self._changed = 0

    def run(self) -> Copied:
        self._target.mkdir(parents=True)
        folders: list[tuple[str, tuple[bool, ...], bool]] = [("", (), False)]
        made: list[tuple[str, os.stat_result]] = []
        while folders:
            path, above, left_out = folders.pop()
            for entry in self._listed(path):
                inside = f"{path}/{entry.name}".lstrip("/") if path else entry.name
                out, matched = self._context.ignored.at(inside, above)
                if entry.is_dir(follow_symlinks=False):
                    if not out or self._context.ignored.has_exceptions:
                        folders.append((inside, matched, out))
                        if not out:
                            made.append((inside, self._make(inside, entry)))
                elif not out:
                    self._take(inside, entry, in_ignored=left_out)
        for inside, told in reversed(made):
            self._settle(inside, told)
        self._files.sort(key=lambda file: file.path)
        return Copied(self._target, tuple(self._files), dict(self._special), self._changed)

    def _listed(self, path: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(self._context.folder / path) as entries:
                for entry in entries:
                    self._seen += 1
                    if self._seen > self._limits.paths:
                        raise self._too_much(f"more than {self._limits.paths} files and folders")
                    if time.monotonic() > self._until:
                        raise self._too_much(f"more than {self._limits.seconds:.0f} s to be read")
                    yield entry
        except FileNotFoundError:
            self._changed += 1
        except OSError as error:
            raise self._unreadable(path or ".", error) from error

    def _too_much(self, what: str) -> CouldNotMeasure:
        return CouldNotMeasure(
            f"The folder {printable(self._context.name)} has {what}. "
            "Leave out by a .dockerignore what no image needs."
        )

    def _unreadable(self, path: str, error: OSError) -> ProvingError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            from .. import disk

            return DiskFull(disk.sentence_here())
        return CouldNotMeasure(
            f"{printable(path)} in {printable(self._context.name)} cannot be copied: "
            f"{error.strerror}. The engine could not read it either: make it readable, or leave it "
            "out by a .dockerignore."
        )

    def _make(self, path: str, entry: os.DirEntry[str]) -> os.stat_result:
        told = entry.stat(follow_symlinks=False)
        (self._target / path).mkdir(parents=True, exist_ok=True)
        return told

    def _settle(self, path: str, told: os.stat_result) -> None:
        """Give a folder its own permissions, once nothing more is written into it."""
        target = self._target / path
        target.chmod(stat.S_IMODE(told.st_mode) | stat.S_IRUSR | stat.S_IXUSR)
        os.utime(target, ns=(told.st_mtime_ns, told.st_mtime_ns))

    def _take(self, path: str, entry: os.DirEntry[str], *, in_ignored: bool) -> None:
        target = self._target / path
        if in_ignored:
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            told = entry.stat(follow_symlinks=False)
            kind = stat.S_IFMT(told.st_mode)
            if kind == stat.S_IFLNK:
                target.symlink_to(os.readlink(entry.path))  # noqa: PTH115 - bytes as they are
            elif kind == stat.S_IFREG:
                self._copy_file(path, entry.path, told, target)
            else:
                name = _SPECIAL.get(kind, "special file")
                self._special[name] = self._special.get(name, 0) + 1
        except FileNotFoundError:
            self._changed += 1
        except OSError as error:
            raise self._unreadable(path, error) from error

    def _copy_file(self, path: str, source: str, told: os.stat_result, target: Path) -> None:
        if self._copied_bytes + told.st_size > self._limits.copied_bytes:
            raise self._too_much(
                f"more than {self._limits.copied_bytes / 1e9:.1f} GB to be copied, "
                f"{printable(path)} among them"
            )
        copied = 0
        with _opened(source, os.O_NOFOLLOW) as file, target.open("wb") as copy:
            while copied < told.st_size:
                piece = file.read(min(_PIECE_BYTES, told.st_size - copied))
                if not piece:
                    break
                copy.write(piece)
                copied += len(piece)
                self._on_bytes(len(piece))
                if time.monotonic() > self._until:
                    raise self._too_much(f"more than {self._limits.seconds:.0f} s to be read")
        target.chmod(stat.S_IMODE(told.st_mode) | stat.S_IRUSR)
        os.utime(target, ns=(told.st_mtime_ns, told.st_mtime_ns))
        self._changed += copied != told.st_size
        self._copied_bytes += copied
        self._files.append(File(path, copied))
