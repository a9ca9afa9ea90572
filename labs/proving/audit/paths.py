"""The paths of an image, kept in little memory: each is a number, and so is the folder it is in.

A dictionary of texts takes some 300 bytes for each path; here a path takes about 25 bytes and the
bytes of its own name. Folders come before what is in them: the number of a path is larger than that
of its folder.
"""

from __future__ import annotations

import stat
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from ..archive import Entry

ROOT = 0
NONE = -1
WHITEOUT = b".wh."
"""How the name of a whiteout begins (OCI image spec, "Image Layer Filesystem Changeset")."""

_FOLDERS_KEPT = 2048
_FIRST_SLOTS = 1 << 16


class Paths:
    """Numbers for paths, which have no leading slash; that of the root, an empty text, is 0."""

    def __init__(self) -> None:
        self._parents = array("i", [NONE])
        self._ends = array("Q", [0])
        self._names = bytearray()
        self._slots = array("i", [0]) * _FIRST_SLOTS
        self._folders: dict[str, int] = {"": ROOT}

    def __len__(self) -> int:
        return len(self._parents)

    @property
    def names_bytes(self) -> int:
        """The bytes of all names."""
        return len(self._names)

    @property
    def parents(self) -> Sequence[int]:
        """The number of the folder of each path; the root has -1."""
        return self._parents

    def add(self, path: str) -> int:
        """Return the number of a path, which gets one if it has none yet."""
        folder, _, name = path.rpartition("/")
        parent = self._folders.get(folder)
        if parent is None:
            parent = self._add_folder(folder)
        return self.child(parent, _encoded(name)) if name or folder else parent

    def _add_folder(self, folder: str) -> int:
        above, _, last = folder.rpartition("/")
        known = self._folders.get(above)
        if known is not None:
            number = self.child(known, _encoded(last))
        else:
            number = ROOT
            for name in folder.split("/"):
                number = self.child(number, _encoded(name))
        if len(self._folders) >= _FOLDERS_KEPT:
            self._folders = {"": ROOT}
        self._folders[folder] = number
        return number

    def child(self, parent: int, name: bytes) -> int:
        """Return the number of what has a name in a folder, which gets one if it has none yet."""
        slot, number = self._look(parent, name)
        if number:
            return number
        number = len(self._parents)
        self._parents.append(parent)
        self._names += name
        self._ends.append(len(self._names))
        self._slots[slot] = number
        if 2 * number > len(self._slots):
            self._grow()
        return number

    def add_removed(self, path: str) -> int:
        """Return the number of a path that a layer removes; its whiteout gets a number, too."""
        number = self.add(path)
        self.child(self._parents[number], WHITEOUT + self.name(number))
        return number

    def find(self, path: str) -> int:
        """Return the number of a path, or -1 where it has none."""
        number = ROOT
        for name in path.split("/") if path else ():
            number = self._look(number, _encoded(name))[1]
            if not number:
                return NONE
        return number

    def find_child(self, parent: int, name: bytes) -> int:
        """Return the number of what has a name in a folder, or -1 where it has none."""
        return self._look(parent, name)[1] or NONE

    def _look(self, parent: int, name: bytes) -> tuple[int, int]:
        """Return where in the table a path is, or would be, and its number, or 0."""
        slots, mask = self._slots, len(self._slots) - 1
        at = hash((parent, name)) & mask
        while number := slots[at]:
            if self._parents[number] == parent and self.name(number) == name:
                return at, number
            at = (at + 1) & mask
        return at, 0

    def _grow(self) -> None:
        slots = array("i", [0]) * (2 * len(self._slots))
        mask = len(slots) - 1
        for number in range(1, len(self._parents)):
            at = hash((self._parents[number], self.name(number))) & mask
            while slots[at]:
                at = (at + 1) & mask
            slots[at] = number
        self._slots = slots

    def name(self, number: int) -> bytes:
        """Return the last part of a path."""
        return bytes(self._names[self._ends[number - 1] : self._ends[number]]) if number else b""

    def path(self, number: int) -> str:
        """Return the path of a number."""
        return _decoded(b"/".join(self.parts(number)))

    def parts(self, number: int) -> list[bytes]:
        """Return the names that lead to a path."""
        names = []
        while number != ROOT:
            names.append(self.name(number))
            number = self._parents[number]
        return names[::-1]

    def paths(self, numbers: Iterable[int]) -> Iterator[str]:
        """Return the paths of numbers."""
        folders: dict[int, str] = {ROOT: "", NONE: ""}
        parents, names, ends = self._parents, self._names, self._ends
        for number in numbers:
            parent = parents[number]
            folder = folders.get(parent)
            if folder is None:
                if len(folders) > _FOLDERS_KEPT:
                    folders = {ROOT: "", NONE: ""}
                above = folders.get(parents[parent])
                path = self.path(parent) if above is None else above + _decoded(self.name(parent))
                folder = folders[parent] = f"{path}/"
            name = names[ends[number - 1] : ends[number]] if number else b""
            yield folder + name.decode("utf-8", "surrogateescape")


class PathSet(Set[str]):
    """A set of paths, as texts; `numbers` are theirs, in order."""

    def __init__(self, paths: Paths, numbers: Iterable[int] = ()) -> None:
        self._paths = paths
        self.numbers = array("i", sorted(set(numbers)))

    @classmethod
    def _from_iterable(cls, it: Iterable[str]) -> frozenset[str]:  # type: ignore[override]
        return frozenset(it)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and _place(self.numbers, self._paths.find(path)) != NONE

    def __iter__(self) -> Iterator[str]:
        return self._paths.paths(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


class Numbers(Mapping[str, int]):
    """A number for each of some paths, such as its size; `numbers` are the paths', in order."""

    def __init__(self, paths: Paths, numbers: array[int], values: array[int]) -> None:
        self.numbers = numbers
        self._paths, self._values = paths, values

    def __getitem__(self, path: str) -> int:
        place = _place(self.numbers, self._paths.find(path))
        if place == NONE:
            raise KeyError(path)
        return self._values[place]

    def __iter__(self) -> Iterator[str]:
        return self._paths.paths(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def items(self) -> Iterator[tuple[str, int]]:  # type: ignore[override]
        """Return each path and its number."""
        return zip(self, self._values, strict=True)

    def values(self) -> Iterator[int]:  # type: ignore[override]
        """Return the numbers, in the order of the paths."""
        return iter(self._values)


class Entries(Mapping[str, Entry]):
    """What a layer has at its paths; of a path that it has twice, the last."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.numbers = array("i")
        self.sizes = array("q")
        self.modes = array("I")
        self.links = array("i")

    def add(self, number: int, size_bytes: int, mode: int, link: int = NONE) -> None:
        """Add what is at a path; `link` is the number of the path whose content it shares."""
        self.numbers.append(number)
        self.sizes.append(size_bytes)
        self.modes.append(mode)
        self.links.append(link)

    def end(self) -> None:
        """Bring all into order; nothing is asked before, and nothing added after."""
        numbers = self.numbers
        if all(map(int.__lt__, numbers, memoryview(numbers)[1:])):
            return
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        last = [
            place
            for place, after in zip(order, [*order[1:], NONE], strict=True)
            if after == NONE or numbers[place] != numbers[after]
        ]
        for name in ("numbers", "sizes", "modes", "links"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, map(column.__getitem__, last)))

    def files(self) -> Iterator[str]:
        """Return the paths of regular files with any content; of hard links, the first is one."""
        rows = zip(self.numbers, self.sizes, self.modes, strict=True)
        return self.paths.paths(n for n, size, mode in rows if size and stat.S_ISREG(mode))

    def place(self, number: int) -> int:
        """Return which entry is that of a path, counted from 0, or -1."""
        return _place(self.numbers, number)

    def is_directory(self, place: int) -> bool:
        """Tell whether an entry is that of a directory."""
        return stat.S_ISDIR(self.modes[place])

    def __getitem__(self, path: str) -> Entry:
        place = self.place(self.paths.find(path))
        if place == NONE:
            raise KeyError(path)
        return self._entry(place)

    def _entry(self, place: int) -> Entry:
        link = self.links[place]
        return Entry(
            self.sizes[place],
            self.is_directory(place),
            self.paths.path(link) if link != NONE else "",
            self.modes[place],
        )

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.place(self.paths.find(path)) != NONE

    def __iter__(self) -> Iterator[str]:
        return self.paths.paths(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def items(self) -> Iterator[tuple[str, Entry]]:  # type: ignore[override]
        """Return each path and what is there."""
        return zip(self, map(self._entry, range(len(self))), strict=True)

    def values(self) -> Iterator[Entry]:  # type: ignore[override]
        """Return what is at each path."""
        return map(self._entry, range(len(self)))


def _place(numbers: array[int], number: int) -> int:
    place = bisect_left(numbers, number)
    return place if place < len(numbers) and numbers[place] == number else NONE


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
