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
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ..archive import Changeset
from .reader import ImageRead

_WHITEOUT = ".wh."


class Scores(NamedTuple):
    """What dive calls `efficiencyScore`, and `inefficientBytes`."""

    efficiency: float
    wasted_bytes: int


_NONE: Any = MappingProxyType({})
"""The children of a leaf, which most nodes are: a dictionary each would double the memory."""


class _Node:
    __slots__ = ("children", "is_directory", "size_bytes")

    def __init__(self) -> None:
        self.size_bytes = 0
        self.is_directory = False
        self.children: dict[str, _Node] = _NONE

    def child(self, name: str) -> _Node:
        """Return a child, made where it is not there."""
        if self.children is _NONE:
            self.children = {}
        found = self.children.get(name)
        if found is None:
            found = self.children[name] = _Node()
        return found

    def remove(self, name: str) -> None:
        """Remove a child, if it is there."""
        if name in self.children:
            del self.children[name]

    def total_bytes(self) -> int:
        return self.size_bytes + sum(child.total_bytes() for child in self.children.values())


class _Data:
    __slots__ = ("smallest_bytes", "times", "total_bytes")

    def __init__(self) -> None:
        self.times = self.total_bytes = 0
        self.smallest_bytes = -1


def of_image(image: ImageRead) -> Scores:
    """Return the scores that dive gives to an archive."""
    empty = Changeset("", 0, {})
    return scores([empty if at in image.linked else layer for at, layer in enumerate(image.stack)])


def scores(stack: Sequence[Changeset]) -> Scores:
    """Return the scores that dive gives to these layers, from the base up."""
    found: dict[str, _Data] = {}
    stacked: _Node | None = None
    for changeset in stack:
        tree = _tree(changeset)
        _visit(tree, stacked or tree, found)
        if stacked is None:
            stacked = _tree(changeset)
        _lay(tree, stacked)
    wasted_bytes = sum(data.total_bytes for data in found.values() if data.times > 1)
    smallest = sum(data.smallest_bytes for data in found.values())
    total = sum(data.total_bytes for data in found.values())
    return Scores(smallest / total if total else 1.0, wasted_bytes)


def _visit(tree: _Node, below: _Node, found: dict[str, _Data]) -> None:
    """Count the leaves of a layer; a whiteout is measured by what lies below the layer."""
    for leaf, node in _leaves(tree, ""):
        path = leaf
        folder, _, name = path.rpartition("/")
        size_bytes = node.size_bytes
        is_whiteout = name.startswith(_WHITEOUT)
        if is_whiteout:
            path = f"{folder}/{name.removeprefix(_WHITEOUT)}"
        data = found.setdefault(path, _Data())
        if is_whiteout:
            removed = _node(below, path)
            if removed is None:
                return
            size_bytes = removed.total_bytes() if removed.is_directory else 0
        data.total_bytes += size_bytes
        if data.smallest_bytes < 0 or size_bytes < data.smallest_bytes:
            data.smallest_bytes = size_bytes
        data.times += 1


def _leaves(node: _Node, path: str) -> Iterator[tuple[str, _Node]]:
    for name in sorted(node.children):
        child = node.children[name]
        if child.children:
            yield from _leaves(child, f"{path}/{name}")
        else:
            yield f"{path}/{name}", child


def _node(root: _Node, path: str) -> _Node | None:
    node: _Node | None = root
    for name in path.strip("/").split("/"):
        node = node.children.get(name) if node is not None else None
    return node


def _tree(changeset: Changeset) -> _Node:
    root = _Node()
    for path, entry in changeset.entries.items():
        node = _add(root, path)
        node.size_bytes, node.is_directory = entry.size_bytes, entry.is_directory
    for path in changeset.whiteouts:
        folder, _, name = path.rpartition("/")
        _add(root, f"{folder}/{_WHITEOUT}{name}")
    for path in changeset.opaque:
        _add(root, path)
    return root


def _add(root: _Node, path: str) -> _Node:
    node = root
    for name in path.strip("/").split("/"):
        if name:
            node = node.child(name)
    return node


def _lay(upper: _Node, lower: _Node) -> None:
    """Lay a layer over those below it, in the order of its names."""
    for name in sorted(upper.children):
        child = upper.children[name]
        if name.startswith(_WHITEOUT):
            if child.children:
                _lay(child, lower.child(name))
            lower.remove(name.removeprefix(_WHITEOUT))
        else:
            own = lower.child(name)
            _lay(child, own)
            own.size_bytes, own.is_directory = child.size_bytes, child.is_directory
