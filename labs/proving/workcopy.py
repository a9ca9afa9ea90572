"""The reader's working copy of the notebooks and exercises, in the git-ignored folder `work`.

JupyterLab saves what a reader runs and edits, and the notebooks of `labs` are the guide's record:
so readers work on a copy. `prepare` brings the copy up to date and never writes over an edit;
`reset` puts the repository's files back, after asking.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import posixpath
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

from .errors import ProvingError
from .paths import ROOT
from .system import agreed

FOLDER = "work"
JUPYTER = ".jupyter"
EARLIER = "earlier"
_ORIGINS = ".origins.json"
_LAB = re.compile(r"\d\d-[a-z0-9-]+\.ipynb")
_NUMBER = re.compile(r"^\d\d-")
_SKIPPED_FOLDERS = {"__pycache__", ".ipynb_checkpoints"}


class State(Enum):
    """What `prepare` or `reset` found and did about one file."""

    NEW = "copied"
    CURRENT = "up to date"
    KEPT = "your edit is kept"
    REFRESHED = "brought up to date"
    RERUN = "brought up to date; your run is kept"
    BOTH_CHANGED = "your edit is kept; the new version lies beside it"
    RESTORED = "restored; your version is kept"
    WITHDRAWN = "no longer part of the guide"


@dataclass(frozen=True)
class CopiedFile:
    """One file of the working copy.

    `path` and `beside` are relative to the working copy, with forward slashes; `beside` is the
    other version where there are two: the repository's after BOTH_CHANGED, the reader's after
    RERUN and RESTORED.
    """

    path: str
    state: State
    beside: str | None = None

    def sentence(self) -> str:
        """Tell a person what happened to this file."""
        where = f" ({self.beside})" if self.beside else ""
        return f"{self.path}: {self.state.value}{where}"


@dataclass(frozen=True)
class _Digest:
    """What a file says: its bytes and, for a notebook, its cells without their outputs."""

    whole: str
    sources: str

    @classmethod
    def of(cls, content: bytes) -> _Digest:
        whole = hashlib.sha256(content).hexdigest()
        return cls(whole, _sources_digest(content) or whole)


@dataclass(frozen=True)
class _Folders:
    """The repository's `labs` and the working copy that belongs to it."""

    labs: Path
    work: Path

    def committed(self, path: str) -> Path:
        return self.labs / path

    def copy(self, path: str) -> Path:
        return self.work / path


def prepare(root: Path = ROOT, work: Path | None = None) -> tuple[CopiedFile, ...]:
    """Bring the working copy up to date with the repository and return what was done, by path.

    A file that the reader has not edited follows the repository. A notebook that was only run
    follows it too, and the run is kept under `earlier`. An edited file stays; where the repository
    has changed as well, its new version is put beside it, once. Notebooks that are as committed
    are signed, so that JupyterLab shows their cards as they were recorded.

    Raises:
        ProvingError: the copy cannot be written.
    """
    folders = _Folders(root / "labs", work or root / FOLDER)
    with _told_as_sentence(folders.work):
        origins = _read_origins(folders.work)
        paths = tuple(_committed_paths(folders.labs))
        done = [_bring_up_to_date(folders, path, origins) for path in paths]
        done += _withdraw(folders, set(origins) - set(paths), origins)
        _write_origins(folders.work, origins)
        _sign_as_committed(folders, paths)
    return tuple(sorted(done, key=lambda file: file.path))


def reset(
    only: str | None = None,
    yes: bool = False,
    *,
    root: Path = ROOT,
    work: Path | None = None,
    confirm: Callable[[str], bool] | None = None,
) -> tuple[CopiedFile, ...]:
    """Put the repository's files back and return those that were restored or copied.

    `only` names one chapter, as `09` or `09-process-management`, which takes its exercises along,
    or one exercise by its folder's name; without it all are reset. The
    reader is asked where edits would go (`confirm` answers in tests); what they had is kept under
    `earlier` even then. Files of the reader's own are left alone.

    Raises:
        ProvingError: there is nothing of that name, edits would go and nobody can be asked, or
            the reader says no.
    """
    folders = _Folders(root / "labs", work or root / FOLDER)
    paths = _named(list(_committed_paths(folders.labs)), only)
    if not paths:
        raise ProvingError(f"Nothing to reset: no notebook or exercise is called {only!r}.")
    with _told_as_sentence(folders.work):
        edited = [path for path in paths if _differs(folders, path)]
        if edited and not yes:
            _ask(edited, confirm)
        origins = _read_origins(folders.work)
        stamp = _stamp()
        done = [_restore(folders, path, origins, stamp) for path in paths]
        _write_origins(folders.work, origins)
        _sign_as_committed(folders, paths)
    return tuple(file for file in done if file.state is not State.CURRENT)


def sentences(files: Iterable[CopiedFile]) -> list[str]:
    """Tell what happened, in one sentence for all files of an exercise of which the same is true.

    Where there are two versions side by side, each file has a sentence of its own.
    """
    together: dict[tuple[str, State], list[CopiedFile]] = {}
    for file in files:
        whose = file.path if file.state is State.BOTH_CHANGED else _whole(file.path)
        together.setdefault((whose, file.state), []).append(file)
    return [_sentence(whole, state, some) for (whole, state), some in together.items()]


def _sentence(whole: str, state: State, files: Sequence[CopiedFile]) -> str:
    if len(files) == 1:
        return files[0].sentence()
    kept = [file.beside for file in files if file.beside]
    where = f" ({posixpath.commonpath(kept)})" if kept else ""
    return f"{whole}, {len(files)} files: {state.value}{where}"


def _whole(path: str) -> str:
    """Return what a file is part of: the folder of its exercise; a notebook is whole."""
    return "/".join(path.split("/")[:2])


def _counted(paths: Iterable[str]) -> str:
    """Return how many notebooks and exercises these are the files of."""
    wholes = {_whole(path) for path in paths}
    exercises = sum("/" in whole for whole in wholes)
    counts = {"notebook": len(wholes) - exercises, "exercise": exercises}
    return " and ".join(f"{n} {noun}{'' if n == 1 else 's'}" for noun, n in counts.items() if n)


def notebooks(work: Path) -> tuple[str, ...]:
    """Return the names (`09-process-management`) of the labs in a working copy, in order."""
    return tuple(sorted(path.stem for path in work.glob("*.ipynb") if _LAB.fullmatch(path.name)))


def _bring_up_to_date(folders: _Folders, path: str, origins: dict[str, _Digest]) -> CopiedFile:
    committed = folders.committed(path)
    copy = folders.copy(path)
    new = _Digest.of(committed.read_bytes())
    origin = origins.get(path)
    origins[path] = new
    if not copy.exists():
        _put(committed, copy)
        return CopiedFile(path, State.NEW)
    mine = _Digest.of(copy.read_bytes())
    if mine.whole == new.whole:
        return CopiedFile(path, State.CURRENT)
    if origin is not None and mine.whole == origin.whole:
        _put(committed, copy)
        return CopiedFile(path, State.REFRESHED)
    if origin == new:
        return CopiedFile(path, State.KEPT)
    if origin is not None and mine.sources == origin.sources:
        kept = _set_aside(folders.work, path, _stamp())
        _put(committed, copy)
        return CopiedFile(path, State.RERUN, kept)
    return CopiedFile(path, State.BOTH_CHANGED, _put_beside(folders, path))


def _withdraw(
    folders: _Folders, gone: Iterable[str], origins: dict[str, _Digest]
) -> list[CopiedFile]:
    """Remove what the repository no longer has, unless the reader has changed it."""
    done = []
    for path in gone:
        origin = origins.pop(path)
        copy = folders.copy(path)
        if copy.is_file() and _Digest.of(copy.read_bytes()).whole == origin.whole:
            copy.unlink()
            done.append(CopiedFile(path, State.WITHDRAWN))
    return done


def _restore(folders: _Folders, path: str, origins: dict[str, _Digest], stamp: str) -> CopiedFile:
    committed = folders.committed(path)
    copy = folders.copy(path)
    origins[path] = _Digest.of(committed.read_bytes())
    if not copy.exists():
        _put(committed, copy)
        return CopiedFile(path, State.NEW)
    if not _differs(folders, path):
        return CopiedFile(path, State.CURRENT)
    kept = _set_aside(folders.work, path, stamp)
    _put(committed, copy)
    return CopiedFile(path, State.RESTORED, kept)


def _ask(edited: Sequence[str], confirm: Callable[[str], bool] | None) -> None:
    together: dict[str, list[str]] = {}
    for path in edited:
        together.setdefault(_whole(path), []).append(path)
    named = ", ".join(
        some[0] if len(some) == 1 else f"{whole} ({len(some)} files)"
        for whole, some in together.items()
    )
    if confirm is None and not sys.stdin.isatty():
        raise ProvingError(
            f"Not reset: you have run or edited {named}, and there is no terminal to ask on. "
            "Give --yes to reset all the same; your version is kept beside it, under earlier/."
        )
    question = f"You have run or edited {named}. Put the repository's version back?"
    if not (confirm or agreed)(question):
        raise ProvingError("Not reset; your files are as they were.")


def _committed_paths(labs: Path) -> Iterator[str]:
    """Yield what a reader works on: the notebooks and the files of the exercises."""
    for notebook in sorted(labs.glob("*.ipynb")):
        yield notebook.name
    for file in sorted((labs / "exercises").rglob("*")):
        path = file.relative_to(labs)
        if file.is_file() and not file.is_symlink() and not _SKIPPED_FOLDERS & set(path.parts):
            yield path.as_posix()


def _named(paths: list[str], only: str | None) -> list[str]:
    if only is None:
        return paths
    wanted = _NUMBER.sub("", only)
    labs = [Path(path).stem for path in paths if "/" not in path]
    numbers = {name[:3] for name in labs if _NUMBER.match(name) and _NUMBER.sub("", name) == wanted}
    numbers |= {f"{only}-"} if only.isdigit() else set()
    return [
        path
        for path in paths
        if (name := _name(path)).startswith(tuple(numbers)) or _NUMBER.sub("", name) == wanted
    ]


def _name(path: str) -> str:
    """Return the name of a lab, or of the exercise to which a file belongs."""
    parts = Path(path).parts
    return parts[1] if len(parts) > 1 else Path(path).stem


def _differs(folders: _Folders, path: str) -> bool:
    copy = folders.copy(path)
    return copy.exists() and copy.read_bytes() != folders.committed(path).read_bytes()


def _put(source: Path, target: Path) -> None:
    """Copy a file with its mode; a reader never sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".copying-")
    os.close(handle)
    part = Path(name)
    try:
        shutil.copyfile(source, part)
        shutil.copymode(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _set_aside(work: Path, path: str, stamp: str) -> str:
    """Move the reader's version under `earlier` and return where it is now."""
    target = _free(work / EARLIER / stamp / path)
    target.parent.mkdir(parents=True, exist_ok=True)
    (work / path).replace(target)
    return target.relative_to(work).as_posix()


def _put_beside(folders: _Folders, path: str) -> str:
    committed = folders.committed(path)
    copy = folders.copy(path)
    target = copy.with_name(f"{copy.stem}.new{copy.suffix}")
    if not (target.exists() and target.read_bytes() == committed.read_bytes()):
        target = _free(target)
        _put(committed, target)
    return target.relative_to(folders.work).as_posix()


def _free(path: Path) -> Path:
    """Return this path, or the first numbered one that nothing has taken."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H.%M.%S")


def _sources_digest(content: bytes) -> str | None:
    """Return a digest of a notebook's cells without outputs; None for anything else."""
    try:
        cells = json.loads(content)["cells"]
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (ValueError, KeyError, TypeError):
        return None
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def _read_origins(work: Path) -> dict[str, _Digest]:
    """Return what each file was when it was last copied; nothing where that is not known."""
    try:
        recorded: dict[str, Any] = json.loads((work / _ORIGINS).read_text("utf-8"))
        return {path: _Digest(**digest) for path, digest in recorded.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def _write_origins(work: Path, origins: dict[str, _Digest]) -> None:
    work.mkdir(parents=True, exist_ok=True)
    recorded = {path: vars(digest) for path, digest in sorted(origins.items())}
    part = work / f"{_ORIGINS}.{os.getpid()}"
    part.write_text(json.dumps(recorded, indent=1), "utf-8")
    part.replace(work / _ORIGINS)


def _sign_as_committed(folders: _Folders, paths: Iterable[str]) -> None:
    """Sign the notebooks that are the repository's own: only what we wrote is trusted."""
    ours = [path for path in paths if path.endswith(".ipynb") and not _differs(folders, path)]
    if not ours:
        return
    nbformat: Any = import_module("nbformat")
    notary_class: Any = import_module("nbformat.sign").NotebookNotary
    data = folders.work / JUPYTER / "data"
    data.mkdir(parents=True, exist_ok=True)
    notary = notary_class(data_dir=str(data))
    try:
        for path in ours:
            notary.sign(nbformat.read(folders.copy(path), as_version=4))
    finally:
        notary.store.close()


@contextmanager
def _told_as_sentence(work: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProvingError(
            f"The working copy in {work} could not be written ({error}). "
            "Make the folder writable, or move it away: it is made anew."
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `python -m proving.workcopy [--yes] [CHAPTER]` and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="nox -s reset --", description="Put the repository's notebooks and exercises back."
    )
    parser.add_argument("only", nargs="?", metavar="CHAPTER", help="such as 09; all without it")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    try:
        done = reset(options.only, options.yes)
    except ProvingError as error:
        print(error, file=sys.stderr)
        return 1
    for sentence in _told(done):
        print(sentence)
    return 0


def _told(done: Sequence[CopiedFile]) -> list[str]:
    """Return what a reset has done; where it found nothing of the reader's, in one sentence."""
    if not done:
        return ["Nothing to reset: the working copy is as shipped."]
    new = [file.path for file in done if file.state is State.NEW]
    if len(new) == len(done) and len({_whole(path) for path in new}) > 1:
        return [f"Copied {_counted(new)}, which were not there before."]
    restored = [file.path for file in done if file.state is State.RESTORED]
    counts = ((restored, "restored"), (new, "copied"))
    summary = ", ".join(f"{_counted(some)} {word}" for some, word in counts if some)
    return [*sentences(done), f"{summary}."]


if __name__ == "__main__":
    raise SystemExit(main())
