"""As much of some files as fits on a slide: the deciding lines, and what stands around them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

LETTER = 0.605
"""The width of a letter by the font's size, in the widest of the usual fonts for code."""

LINE = 1.35
SIZES = (24, 22, 20, 18)
_EXCERPT_SIZE = 18


@dataclass(frozen=True)
class File:
    """A file to be shown: its lines, and which of them decide, counted from 1."""

    name: str
    language: str
    lines: tuple[str, ...]
    deciding: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shown:
    """What is shown of a file: a text, and which of its lines are marked, counted from 1."""

    file: File
    text: str
    marked: tuple[int, ...]


def fit(files: Sequence[File], width: int, height: int) -> tuple[int, list[Shown]]:
    """Return the size of the letters in pixels, and what is shown of each file.

    The largest size is taken at which all of it fits; where none is small enough, lines that
    are far from the deciding ones are left out, and a comment counts them.
    """
    for size in SIZES:
        if _all_rows(files, size, width) <= _most(size, height):
            return size, [Shown(one, "\n".join(one.lines), one.deciding) for one in files]
    size = _EXCERPT_SIZE
    kept = _keep(files, size, width, _most(size, height))
    return size, [_excerpt(file, kept[number]) for number, file in enumerate(files)]


def fits(files: Sequence[File], width: int, height: int) -> bool:
    """Tell whether all lines fit, in letters of some size."""
    return _all_rows(files, SIZES[-1], width) <= _most(SIZES[-1], height)


def _all_rows(files: Sequence[File], size: int, width: int) -> int:
    return sum(_rows(line, size, width) for file in files for line in file.lines)


def _most(size: int, height: int) -> int:
    return int(height / (size * LINE))


def _rows(line: str, size: int, width: int) -> int:
    """Return how many rows a line takes, which is broken at its blanks as a browser does."""
    letters = int(width / (size * LETTER))
    return max(1, len(textwrap.wrap(line, letters, tabsize=8, replace_whitespace=False)))


def _keep(files: Sequence[File], size: int, width: int, most: int) -> list[set[int]]:
    """Return the numbers of the lines to keep: those that are next to a deciding one come first."""
    candidates = sorted(
        (_distance(file, line), place, line)
        for place, file in enumerate(files)
        for line in range(1, len(file.lines) + 1)
    )
    kept: list[set[int]] = [set() for _ in files]
    for _, place, line in candidates:
        kept[place].add(line)
        if sum(_taken(file, kept[n], size, width) for n, file in enumerate(files)) > most:
            kept[place].discard(line)
    return kept


def _distance(file: File, line: int) -> int:
    """Return how far a line is from a deciding one; what stands before it counts twice."""
    if not file.deciding:
        return line + 3
    return min(line - one if line >= one else 2 * (one - line) for one in file.deciding)


def _taken(file: File, kept: set[int], size: int, width: int) -> int:
    rows = sum(_rows(file.lines[line - 1], size, width) for line in kept)
    return rows + len(_gaps(file, kept))


def _gaps(file: File, kept: set[int]) -> list[tuple[int, int]]:
    """Return each run of lines that are left out, by its first and its last one."""
    gaps: list[tuple[int, int]] = []
    for line in range(1, len(file.lines) + 1):
        if line in kept:
            continue
        if gaps and gaps[-1][1] == line - 1:
            gaps[-1] = (gaps[-1][0], line)
        else:
            gaps.append((line, line))
    return gaps


def _excerpt(file: File, kept: set[int]) -> Shown:
    gaps = dict(_gaps(file, kept))
    text: list[str] = []
    marked: list[int] = []
    for number, line in enumerate(file.lines, 1):
        if number in kept:
            text.append(line)
            if number in file.deciding:
                marked.append(len(text))
        elif number in gaps:
            count = gaps[number] - number + 1
            text.append(f"# ⋮ {count} line{'s' if count > 1 else ''} left out here")
    return Shown(file, "\n".join(text), tuple(marked))
