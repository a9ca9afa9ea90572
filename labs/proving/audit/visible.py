"""What a container sees of an image's layers, and what each of them carries in vain.

The answers are those of `proving.layers`, whose definitions count; here they are found in little
memory, by the numbers that `paths` gives to paths.
"""

from __future__ import annotations

import stat
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from .. import layers
from ..archive import Changeset
from ..layers import Contents, Layer
from .paths import NONE, ROOT, Entries, Numbers, Paths, PathSet


@dataclass(frozen=True)
class Hidden:
    """What no container sees of some files: at which paths, in which layer, and how many bytes.

    `layer` is counted from 0. `again` tells whether the layer that hides it has the path itself,
    and `is_first` whether no lower layer has it.
    """

    path: str
    layer: int
    size_bytes: int
    again: bool
    is_first: bool


@dataclass(frozen=True)
class Seen:
    """The contents of an image, and what of its layers is hidden; empty files are left out."""

    contents: Contents
    hidden: Callable[[], Iterator[Hidden]]


def contents(
    stack: Sequence[Changeset], paths: Paths, created_by: Sequence[str], dive_wasted_bytes: int
) -> Contents:
    """Return what a stack of changesets comes to; the instructions behind them are `created_by`."""
    return look(stack, paths, created_by, dive_wasted_bytes).contents


def look(
    stack: Sequence[Changeset], paths: Paths, created_by: Sequence[str], dive_wasted_bytes: int
) -> Seen:
    """Return what a stack of changesets comes to, and what is hidden in it."""
    visible = _Visible(paths)
    for changeset in stack:
        visible.put(changeset)
    told = tuple(
        Layer(
            diff_id=changeset.diff_id,
            created_by=instruction,
            unpacked_bytes=sum(_entries(changeset).sizes),
            transfer_bytes=changeset.transfer_bytes,
            removed_bytes=visible.removed_bytes[number],
            rewritten_bytes=visible.rewritten_bytes[number],
            from_base=False,
        )
        for number, (changeset, instruction) in enumerate(zip(stack, created_by, strict=True))
    )
    files = visible.files()
    found = Contents(
        layers=told,
        files=files,
        packages=layers.packages(stack, files),
        dive_wasted_bytes=dive_wasted_bytes,
        carried=frozenset(),
        modes=visible.modes_of(files.numbers),
        directories=visible.modes_of(visible.directories()),
    )
    return Seen(found, visible.hidden)


class _Visible:
    """What a container sees of the layers put so far, and what it no longer sees.

    A content is an entry of a layer; hard links share one. All contents are numbered throughout.
    """

    def __init__(self, paths: Paths) -> None:
        number = len(paths)
        self.removed_bytes: Counter[int] = Counter()
        self.rewritten_bytes: Counter[int] = Counter()
        self._paths = paths
        self._contents = array("i", [NONE]) * number
        self._modes = array("I", bytes(4 * number))
        self._has_some = bytearray(number)
        self._begins = array("i")
        self._sizes = array("q")
        self._names = array("i")
        self._is_file = bytearray()
        self._firsts = array("i", [NONE]) * number
        self._hidden = array("i")
        self._hidden_at = array("i")
        self._hidden_again = bytearray()

    def put(self, changeset: Changeset) -> None:
        """Lay a changeset over what is there."""
        entries = _entries(changeset)
        self._remove(changeset, entries)
        first = len(self._sizes)
        self._begins.append(first)
        self._sizes.extend(entries.sizes)
        self._names.frombytes(bytes(4 * len(entries)))
        self._is_file.extend(bytes(len(entries)))
        layer, rows = len(self._begins) - 1, (entries.numbers, entries.modes, entries.links)
        for place, (number, mode, linked) in enumerate(zip(*rows, strict=True)):
            is_directory = stat.S_ISDIR(mode)
            before = self._contents[number]
            if before != NONE and not (is_directory and not self._is_file[before]):
                self._hide(number, self.rewritten_bytes)
            link = entries.place(linked) if linked != NONE else NONE
            content = first + (place if link == NONE else link)
            self._contents[number] = content
            if self._firsts[number] == NONE:
                self._firsts[number] = layer
            self._modes[number] = mode
            if not is_directory:
                self._names[content] += 1
                self._is_file[content] = 1
            self._note_folders(number)

    def _note_folders(self, number: int) -> None:
        parents = self._paths.parents
        folder = parents[number]
        while folder > NONE and not self._has_some[folder]:
            self._has_some[folder] = 1
            folder = parents[folder]

    def _remove(self, changeset: Changeset, entries: Entries) -> None:
        """Hide what a changeset removes of the layers below it, whole directories included."""
        gone = _numbers(changeset.whiteouts)
        pairs = zip(entries.numbers, entries.modes, strict=True)
        replaced = (number for number, mode in pairs if not stat.S_ISDIR(mode))
        below = {
            number
            for numbers in (gone, _numbers(changeset.opaque), replaced)
            for number in numbers
            if self._has_some[number]
        }
        for number in gone:
            self._take(number, entries)
        if not below:
            return
        covered = bytearray(len(self._paths))
        for number in below:
            covered[number] = 1
        parents = self._paths.parents
        for number in range(ROOT + 1, len(covered)):
            if covered[parents[number]]:
                covered[number] = 1
                self._take(number, entries)

    def _take(self, number: int, entries: Entries) -> None:
        if self._contents[number] != NONE:
            again = entries.place(number) != NONE
            self._hide(number, self.rewritten_bytes if again else self.removed_bytes)

    def _hide(self, number: int, tally: Counter[int]) -> None:
        content = self._contents[number]
        self._contents[number] = NONE
        if not self._is_file[content]:
            return
        self._names[content] -= 1
        if not self._names[content]:
            tally[self._layer_of(content)] += self._sizes[content]
            if self._sizes[content]:
                self._hidden.append(content)
                self._hidden_at.append(number)
                self._hidden_again.append(tally is self.rewritten_bytes)

    def hidden(self) -> Iterator[Hidden]:
        """Return what no container sees, in the order in which it was hidden."""
        paths = self._paths.paths(self._hidden_at)
        told = zip(self._hidden, self._hidden_at, self._hidden_again, paths, strict=True)
        for content, number, again, path in told:
            layer = self._layer_of(content)
            is_first = layer == self._firsts[number]
            yield Hidden(path, layer, self._sizes[content], bool(again), is_first)

    def _layer_of(self, content: int) -> int:
        return bisect_right(self._begins, content) - 1

    def directories(self) -> array[int]:
        """Return the numbers of all directories that are seen."""
        found = enumerate(self._contents)
        return array("i", (n for n, one in found if one != NONE and not self._is_file[one]))

    def files(self) -> Numbers:
        """Return the size of every file that is seen, in bytes; of hard links, the first has it."""
        seen = bytearray(len(self._is_file))
        numbers, sizes = array("i"), array("q")
        for number, content in enumerate(self._contents):
            if content != NONE and self._is_file[content]:
                numbers.append(number)
                sizes.append(0 if seen[content] else self._sizes[content])
                seen[content] = 1
        return Numbers(self._paths, numbers, sizes)

    def modes_of(self, numbers: array[int]) -> Numbers:
        """Return the types and permissions of paths."""
        return Numbers(self._paths, numbers, array("I", map(self._modes.__getitem__, numbers)))


def _entries(changeset: Changeset) -> Entries:
    entries = changeset.entries
    assert isinstance(entries, Entries)  # noqa: S101 - the reader makes no others
    return entries


def _numbers(found: object) -> Iterable[int]:
    return found.numbers if isinstance(found, PathSet) else ()
