"""The two scores of the tool dive, by its own definition, to the byte.

The definition is what the tool does (wagoodman/dive 0.13, `filetree/efficiency.go`, `Efficiency`,
and `filetree/file_tree.go`): each layer is a tree, and its leaves are visited in the order of their
names. Of each path that is a leaf of two or more layers, the sizes in all of them are wasted, the
one that a container sees included. A whiteout counts as a leaf: of a directory, it has the size of
all that was in it, and of a file, none. The efficiency is the sum of each path's smallest size,
divided by the sum of all sizes.
Three things follow that are surprising, and are kept: what was in a directory that is removed as a
whole is not wasted, since the directory itself was no leaf; a whiteout of what is not there ends
the visit of its layer; and a layer that an archive keeps as a link to an equal one is empty.

`python -m proving.audit.dive ARCHIVE` prints both scores beside the bytes that no container sees by
the guide's own definition (`proving.layers`).
"""

from __future__ import annotations

import json
import stat
import sys
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..archive import Changeset
from ..errors import ProvingError
from . import visible
from .paths import NONE, ROOT, WHITEOUT, Entries, Paths, PathSet
from .reader import PIECE_BYTES, ImageRead, read


class Scores(NamedTuple):
    """What dive calls `efficiencyScore`, and `inefficientBytes`."""

    efficiency: float
    wasted_bytes: int


def of_image(image: ImageRead) -> Scores:
    """Return the scores that dive gives to an archive."""
    if not image.stack:
        return Scores(1.0, 0)
    empty = Changeset("", 0, Entries(image.paths))
    stack = [empty if at in image.linked else layer for at, layer in enumerate(image.stack)]
    return scores(stack, image.paths)


def scores(stack: Sequence[Changeset], paths: Paths) -> Scores:
    """Return the scores that dive gives to these layers, from the base up; `paths` are theirs."""
    below: _Stacked | None = None
    found = _Found(len(paths))
    for changeset in stack:
        tree = _Tree(changeset, paths)
        is_laid = below is None and not tree.whiteouts
        if below is None:
            below = _Stacked(paths)
            below.put(tree.nodes(), tree)
        _visit(tree, below, found)
        if not is_laid:
            _lay(tree, below)
    return found.scores()


class _Tree:
    """A layer as a tree: what it has, the folders on the way there, and its whiteouts."""

    def __init__(self, changeset: Changeset, paths: Paths) -> None:
        entries, whiteouts, opaque = changeset.entries, changeset.whiteouts, changeset.opaque
        assert isinstance(entries, Entries)  # noqa: S101 - the reader makes no others
        self.paths, self.entries = paths, entries
        self.whiteouts = {
            paths.find_child(paths.parents[number], WHITEOUT + paths.name(number)): number
            for number in (whiteouts.numbers if isinstance(whiteouts, PathSet) else ())
        }
        self.opaque = opaque.numbers if isinstance(opaque, PathSet) else array("i")
        self._inner = bytearray()

    def inner(self) -> bytearray:
        """Return of every path whether this layer has anything in it."""
        if not self._inner:
            self._inner = inner = bytearray(len(self.paths))
            parents = self.paths.parents
            for number in self._named():
                parent = parents[number]
                while parent > NONE and not inner[parent]:
                    inner[parent] = 1
                    parent = parents[parent]
        return self._inner

    def _named(self) -> Iterable[int]:
        yield from self.entries.numbers
        yield from self.whiteouts
        yield from self.opaque

    def nodes(self) -> Iterable[int]:
        """Return all of its paths, the root excluded."""
        inner = self.inner()
        at = inner.find(1, ROOT + 1)
        while at != NONE:
            yield at
            at = inner.find(1, at + 1)
        yield from (number for number in self._named() if not inner[number])

    def leaves(self) -> Iterable[int]:
        """Return those of its paths that have nothing in them."""
        inner = self.inner()
        yield from (number for number in self.entries.numbers if not inner[number])
        yield from (number for number in self.whiteouts if not inner[number])
        place = self.entries.place
        yield from (n for n in self.opaque if not inner[n] and n != ROOT and place(n) == NONE)


class _Stacked:
    """The layers so far, one laid over the other."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        number = len(paths)
        self.is_there = bytearray(number)
        self.is_directory = bytearray(number)
        self.sizes = array("q", bytes(8 * number))
        self._totals: array[int] | None = None

    def put(self, numbers: Iterable[int], tree: _Tree) -> None:
        """Put paths of a layer; a folder that it has not told of itself is no directory to dive."""
        entries = tree.entries
        place_of, sizes, modes = entries.place, entries.sizes, entries.modes
        for number in numbers:
            place = place_of(number)
            self.is_there[number] = 1
            self.sizes[number] = sizes[place] if place != NONE else 0
            self.is_directory[number] = place != NONE and stat.S_ISDIR(modes[place])
        self._totals = None

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove paths, and all that is in them."""
        gone = bytearray(len(self.is_there))
        for number in numbers:
            gone[number] = self.is_there[number]
        if not any(gone):
            return
        parents = self.paths.parents
        for number in range(gone.find(1), len(gone)):
            if gone[number] or gone[parents[number]]:
                gone[number] = 1
                self.is_there[number] = 0
        self._totals = None

    def total_bytes(self, number: int) -> int:
        """Return the bytes of a path and of all that is in it."""
        if self._totals is None:
            self._totals = totals = array("q", self.sizes)
            parents = self.paths.parents
            for at in range(len(totals) - 1, ROOT, -1):
                if self.is_there[at]:
                    totals[parents[at]] += totals[at]
        return self._totals[number]


class _Found:
    """What all layers have at each path."""

    def __init__(self, number: int) -> None:
        self.times = array("I", bytes(4 * number))
        self.totals = array("q", bytes(8 * number))
        self.smallest = array("q", [NONE]) * number
        self.is_known = bytearray(number)

    def scores(self) -> Scores:
        wasted_bytes = sum(
            total for total, times in zip(self.totals, self.times, strict=True) if times > 1
        )
        known = zip(self.smallest, self.is_known, strict=True)
        smallest = sum(size for size, is_known in known if is_known)
        total = sum(self.totals)
        return Scores(smallest / total if total else 1.0, wasted_bytes)


def _visit(tree: _Tree, below: _Stacked, found: _Found) -> None:
    """Count the leaves of a layer; a whiteout is measured by what lies below the layer."""
    paths, entries = tree.paths, tree.entries
    inner = tree.inner()
    missing = [
        mark
        for mark, removed in tree.whiteouts.items()
        if not (below.is_there[removed] or inner[mark])
    ]
    end = min((paths.parts(mark), mark) for mark in missing) if missing else None
    for leaf in tree.leaves():
        if end is not None and leaf != end[1] and paths.parts(leaf) > end[0]:
            continue  # dive ends its visit at a whiteout of what is not there
        number = tree.whiteouts.get(leaf, leaf)
        found.is_known[number] = 1
        if end is not None and leaf == end[1]:
            continue
        if leaf in tree.whiteouts:
            size_bytes = below.total_bytes(number) if below.is_directory[number] else 0
        else:
            place = entries.place(leaf)
            size_bytes = entries.sizes[place] if place != NONE else 0
        found.totals[number] += size_bytes
        if not 0 <= found.smallest[number] <= size_bytes:
            found.smallest[number] = size_bytes
        found.times[number] += 1


def _lay(tree: _Tree, below: _Stacked) -> None:
    """Lay a layer over those below it, in the order of its names.

    What has a name that sorts before that of its whiteout is laid first, and is then removed.
    """
    name = tree.paths.name
    late = {n for n in tree.whiteouts.values() if name(n) < WHITEOUT + name(n)}
    below.remove(number for number in tree.whiteouts.values() if number not in late)
    inner = tree.inner()
    below.put((n for n in tree.nodes() if inner[n] or n not in tree.whiteouts), tree)
    below.remove(late)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the scores of an archive beside its hidden bytes; nothing else of it is looked at."""
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 1:
        print("Name one archive that `docker save` has written.", file=sys.stderr)
        return 2
    try:
        with Path(words[0]).open("rb") as file:
            image = read(iter(lambda: file.read(PIECE_BYTES), b""), layers_alone=True)
    except (OSError, ProvingError) as error:
        print(error, file=sys.stderr)
        return 2
    found = of_image(image)
    nameless = ["" for _ in image.stack]
    seen = visible.contents(image.stack, image.paths, nameless, found.wasted_bytes)
    told = {
        "dive_efficiency": found.efficiency,
        "dive_wasted_bytes": found.wasted_bytes,
        "hidden_bytes": seen.wasted_bytes,
        "unpacked_bytes": seen.unpacked_bytes,
    }
    print(json.dumps(told, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
