"""The layers of an image: what each weighs, and what of that is carried in vain.

Two sizes are told of each layer, and never the engine's own `Size`, whose meaning depends on its
store:

* **transfer** bytes are what a node downloads: the layer's tar compressed by gzip. Stores that
  keep layers uncompressed make that a computation, so it is one everywhere, by the same codec
  and level, and is kept by diff ID.
* **unpacked** bytes are what a node stores: the contents of the layer's regular files, those with
  several names (hard links) counted once.
"""

from __future__ import annotations

import re
import stat
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import archive
from .archive import Changeset, Entry


@dataclass(frozen=True)
class Layer:
    """A layer of an image, from what instruction it came and what later layers made of it.

    `removed_bytes` are those of its files that a later layer removes, `rewritten_bytes` those that
    a later layer has again: a node downloads and stores both, and no container sees them.
    """

    diff_id: str
    created_by: str
    unpacked_bytes: int
    transfer_bytes: int
    removed_bytes: int
    rewritten_bytes: int
    from_base: bool

    @property
    def wasted_bytes(self) -> int:
        """The bytes of this layer that no container sees."""
        return self.removed_bytes + self.rewritten_bytes

    def as_data(self) -> dict[str, Any]:
        """Return what a result tells of this layer."""
        return {
            "created_by": self.created_by,
            "unpacked_bytes": self.unpacked_bytes,
            "transfer_bytes": self.transfer_bytes,
            "wasted_bytes": self.wasted_bytes,
            "from_base": self.from_base,
        }


@dataclass(frozen=True)
class Contents:
    """All layers of an image, from the base up, and what they come to.

    `files` are those that a container sees, with their sizes in bytes, and `modes` their types and
    permissions (inode(7)); `carried` are the paths of all that any layer has content for, seen or
    not. `directories` are those that a container sees, with their types and permissions.
    """

    layers: tuple[Layer, ...]
    files: Mapping[str, int]
    packages: tuple[str, ...]
    dive_wasted_bytes: int
    carried: frozenset[str]
    modes: Mapping[str, int]
    directories: Mapping[str, int] = field(default_factory=dict)

    @property
    def executables(self) -> tuple[str, ...]:
        """The paths of regular files that somebody may execute; symbolic links are not counted."""
        return self._regular(stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    @property
    def setuid(self) -> tuple[str, ...]:
        """The paths of regular files that run as their owner or their group, whoever starts them.

        That is the set-user-ID or the set-group-ID bit (inode(7)).
        """
        return self._regular(stat.S_ISUID | stat.S_ISGID)

    def _regular(self, bits: int) -> tuple[str, ...]:
        found = (path for path, mode in self.modes.items() if stat.S_ISREG(mode) and mode & bits)
        return tuple(sorted(found))

    @property
    def added(self) -> tuple[Layer, ...]:
        """The layers that the image's own Dockerfile has added to its base."""
        return tuple(layer for layer in self.layers if not layer.from_base)

    @property
    def transfer_bytes(self) -> int:
        """What a node that has nothing downloads for the layers."""
        return sum(layer.transfer_bytes for layer in self.layers)

    @property
    def unpacked_bytes(self) -> int:
        """What a node that has nothing stores for the layers."""
        return sum(layer.unpacked_bytes for layer in self.layers)

    @property
    def wasted_bytes(self) -> int:
        """The unpacked bytes of all layers that no container sees."""
        return sum(layer.wasted_bytes for layer in self.layers)

    @property
    def added_wasted_bytes(self) -> int:
        """The unpacked bytes that the image's own layers add and no container sees."""
        return sum(layer.wasted_bytes for layer in self.added)

    @property
    def base_rewritten_bytes(self) -> int:
        """The bytes of the base that the image's own layers remove or write again."""
        return self.wasted_bytes - self.added_wasted_bytes

    @property
    def added_unpacked_bytes(self) -> int:
        """What the image's own layers add to what its base stores."""
        return sum(layer.unpacked_bytes for layer in self.added)

    @property
    def added_transfer_bytes(self) -> int:
        """What a node that has the base downloads for the image's own layers."""
        return sum(layer.transfer_bytes for layer in self.added)

    def bytes_below(self, folder: str) -> int:
        """Return the bytes of the files below a folder that a container sees."""
        prefix = folder.strip("/") + "/"
        return sum(size for path, size in self.files.items() if path.startswith(prefix))

    def as_data(self) -> list[dict[str, Any]]:
        """Return what a result tells of the layers."""
        return [layer.as_data() for layer in self.layers]


def read(save: Callable[[], Iterable[bytes]], base: Sequence[str] = ()) -> Contents:
    """Return the contents of an image; `save` gives its archive, as `docker save` does, in chunks.

    `base` are the diff IDs of the image's base.

    Raises:
        CouldNotMeasure: the archive cannot be read.
    """
    image = archive.read(save)
    return describe(image.stack, _instructions(image.config), len(base))


def describe(stack: Sequence[Changeset], created_by: Sequence[str], of_base: int) -> Contents:
    """Return what a stack of changesets comes to; the first `of_base` of them are the base's."""
    visible = _Visible()
    for number, changeset in enumerate(stack):
        visible.put(number, changeset)
    files = visible.files()
    named = [*("" for _ in range(len(stack) - len(created_by))), *created_by][-len(stack) :]
    layers = tuple(
        Layer(
            diff_id=changeset.diff_id,
            created_by=named[number],
            unpacked_bytes=changeset.unpacked_bytes,
            transfer_bytes=changeset.transfer_bytes,
            removed_bytes=visible.removed_bytes[number],
            rewritten_bytes=visible.rewritten_bytes[number],
            from_base=number < of_base,
        )
        for number, changeset in enumerate(stack)
    )
    return Contents(
        layers=layers,
        files=files,
        packages=packages(stack, files),
        dive_wasted_bytes=dive_wasted_bytes(stack),
        carried=frozenset(
            path for layer in stack for path, entry in layer.entries.items() if entry.size_bytes
        ),
        modes={path: visible.modes[path] for path in files},
        directories={path: visible.modes[path] for path in visible.directories()},
    )


class _Visible:
    """What a container sees of the layers put so far, and what it no longer sees."""

    def __init__(self) -> None:
        self.removed_bytes: Counter[int] = Counter()
        self.rewritten_bytes: Counter[int] = Counter()
        self._paths: dict[str, tuple[int, str]] = {}
        self._names: Counter[tuple[int, str]] = Counter()
        self._sizes: dict[tuple[int, str], int] = {}
        self.modes: dict[str, int] = {}
        self._has_orphans = False

    def put(self, number: int, changeset: Changeset) -> None:
        """Lay a changeset over what is there."""
        self._remove(changeset)
        entries = changeset.entries
        for path, entry in entries.items():
            before = self._paths.get(path)
            if before is not None and not (entry.is_directory and not self._is_file(before)):
                self._hide(path, self.rewritten_bytes)
            content = (number, _first_name(entries, path))
            self._paths[path] = content
            self.modes[path] = entry.mode
            if not entry.is_directory:
                self._names[content] += 1
                self._sizes.setdefault(content, entries[content[1]].size_bytes)
            parent = path.rpartition("/")[0]
            if parent and parent not in self._paths and parent not in entries:
                self._has_orphans = True

    def _is_file(self, content: tuple[int, str]) -> bool:
        return content in self._sizes

    def _is_directory(self, path: str) -> bool:
        content = self._paths.get(path)
        return content is not None and not self._is_file(content)

    def _remove(self, changeset: Changeset) -> None:
        """Hide what a changeset removes of the layers below it, whole directories included."""
        gone = set(changeset.whiteouts)
        replaced = {p for p, entry in changeset.entries.items() if not entry.is_directory}
        below = gone | changeset.opaque | replaced
        if not self._has_orphans:  # every directory is known, and nothing else has any below it
            below = {path for path in below if not path or self._is_directory(path)}
        found: Iterable[str] = gone & self._paths.keys()
        if below:
            found = [
                path
                for path in self._paths
                if path in gone or any(parent in below for parent in _parents(path))
            ]
        for path in found:
            again = path in changeset.entries
            self._hide(path, self.rewritten_bytes if again else self.removed_bytes)

    def _hide(self, path: str, tally: Counter[int]) -> None:
        content = self._paths.pop(path)
        if not self._is_file(content):
            return
        self._names[content] -= 1
        if not self._names[content]:
            tally[content[0]] += self._sizes[content]

    def directories(self) -> list[str]:
        """Return the paths of all directories that are seen."""
        return [path for path, content in self._paths.items() if not self._is_file(content)]

    def files(self) -> dict[str, int]:
        """Return the size of every file that is seen, in bytes; of hard links, the first has it."""
        seen: set[tuple[int, str]] = set()
        sizes = {}
        for path, content in self._paths.items():
            if self._is_file(content):
                sizes[path] = 0 if content in seen else self._sizes[content]
                seen.add(content)
        return sizes


def _first_name(entries: Mapping[str, Entry], path: str) -> str:
    link = entries[path].link
    return link if link in entries else path


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
    yield ""


def dive_wasted_bytes(stack: Sequence[Changeset]) -> int:
    """Return the wasted bytes that the tool dive reports of the same layers.

    Its definition (wagoodman/dive, filetree/efficiency.go): of each path that is a leaf in two or
    more layers, the sizes in all of them, the last one included. A whiteout counts as a leaf, and
    a directory that has something in it does not: the files of a directory that a later layer
    removes as a whole are therefore not among its wasted bytes.
    """
    seen: Counter[str] = Counter()
    total_bytes: Counter[str] = Counter()
    visible: dict[str, Entry] = {}
    for changeset in stack:
        for path in changeset.whiteouts:
            removed = visible.get(path)
            whole = removed is not None and removed.is_directory
            below = {p: e for p, e in visible.items() if p.startswith(f"{path}/")} if whole else {}
            seen[path] += 1
            total_bytes[path] += sum(entry.size_bytes for entry in below.values())
            for name in (path, *below):
                visible.pop(name, None)
        inner = {parent for path in changeset.entries for parent in _parents(path)}
        for path, entry in changeset.entries.items():
            visible[path] = entry
            if path not in inner:
                seen[path] += 1
                total_bytes[path] += entry.size_bytes
    return sum(total_bytes[path] for path, times in seen.items() if times > 1)


def packages(stack: Sequence[Changeset], seen: Container[str]) -> tuple[str, ...]:
    """Return the packages that the databases a container sees say are installed.

    Those are dpkg's and apk's, and of rpm a list of names.
    """
    found: dict[str, bytes] = {}
    for changeset in stack:
        found.update(changeset.databases)
    names: list[str] = []
    for path, database in found.items():
        if path not in seen:
            continue
        text = database.decode(errors="replace")
        if "apk" in path:
            names += re.findall(r"^P:(.+)$", text, re.MULTILINE)
        elif "/rpm/" in path:
            names += filter(None, text.split("\n"))
        else:
            names += _debian_packages(text, all_installed=path.startswith(archive.ONE_FILE_EACH))
    return tuple(sorted(names))


def _debian_packages(text: str, *, all_installed: bool) -> list[str]:
    return [
        name[1]
        for paragraph in text.split("\n\n")
        if (name := re.search(r"^Package: (.+)$", paragraph, re.MULTILINE))
        and (all_installed or "\nStatus: install ok installed" in paragraph)
    ]


def _instructions(config: Mapping[str, Any]) -> list[str]:
    """Return the instruction behind each layer, as the image's history tells it."""
    history = [step for step in config.get("history") or [] if not step.get("empty_layer")]
    return [instruction(step.get("created_by", "")) for step in history]


def instruction(created_by: str) -> str:
    """Return an instruction as a Dockerfile has it, out of a history's `created_by`.

    BuildKit writes `RUN |1 VERSION=2 /bin/sh -c make # buildkit`, the classic builder
    `/bin/sh -c make`, or `/bin/sh -c #(nop) COPY …`.
    """
    text = created_by.removesuffix(" # buildkit").strip()
    if match := re.match(r"/bin/sh -c #\(nop\) +(.*)", text, re.DOTALL):
        return match[1]
    text = re.sub(r"^(RUN )?\|\d+ .*?(?=/bin/sh -c )", "RUN ", text, count=1, flags=re.DOTALL)
    text = re.sub(r"^(RUN )?/bin/sh -c ", "RUN ", text, count=1)
    return " ".join(text.split())
