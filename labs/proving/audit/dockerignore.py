"""Which paths of a build context its ignore file leaves out, by the rules of the engine itself.

The rules are those of Docker's documentation of `.dockerignore` and of `moby/patternmatcher`, which
decides for both builders. Patterns are matched by RE2, whose time is linear: strangers write them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CouldNotMeasure
from .text import printable

_ESCAPED = frozenset(".+()|{}$^")
MOST_PATTERNS = 5000
"""More lines than this are refused."""


@dataclass(frozen=True)
class _Pattern:
    regexp: Any
    is_exception: bool


class Ignored:
    """What the patterns of an ignore file leave out."""

    def __init__(self, patterns: Sequence[_Pattern]) -> None:
        self._patterns = tuple(patterns)

    @property
    def has_exceptions(self) -> bool:
        """Whether a pattern takes something in again, perhaps below a folder that is left out."""
        return any(pattern.is_exception for pattern in self._patterns)

    def at(self, path: str, above: Sequence[bool] = ()) -> tuple[bool, tuple[bool, ...]]:
        """Tell whether a path is left out, and which of the patterns have matched it.

        `above` is the second of these answers for the folder that the path lies in: what matches a
        folder matches all that is in it.
        """
        text = path.encode("utf-8", "surrogateescape")
        left_out, matched = False, []
        for number, pattern in enumerate(self._patterns):
            match = bool(above) and above[number]
            if not match and pattern.is_exception == left_out:
                match = pattern.regexp.fullmatch(text) is not None
            matched.append(match)
            if match:
                left_out = not pattern.is_exception
        return left_out, tuple(matched)

    def leaves_out(self, path: str) -> bool:
        """Tell whether a path is left out, by itself or with a folder that it lies in."""
        parts = path.split("/")
        left_out = False
        matched: tuple[bool, ...] = ()
        for number in range(len(parts)):
            left_out, matched = self.at("/".join(parts[: number + 1]), matched)
        return left_out


def parse(text: str, what: str = ".dockerignore") -> Ignored:
    """Return what an ignore file says.

    Raises:
        CouldNotMeasure: it has a pattern that is none, or far too many.
    """
    patterns = []
    for line in text.removeprefix("\ufeff").split("\n"):
        pattern = line.strip()
        if not pattern or line.startswith("#"):
            continue
        is_exception = pattern.startswith("!")
        if is_exception:
            pattern = pattern[1:].strip()
        pattern = posixpath.normpath(pattern) if pattern else ""
        if len(pattern) > 1:
            pattern = "/" + pattern.lstrip("/") if pattern.startswith("//") else pattern
            pattern = pattern.removeprefix("/")
        if not pattern:
            raise _refused(what, line)
        patterns.append(_Pattern(_compiled(pattern, what, line), is_exception))
        if len(patterns) > MOST_PATTERNS:
            raise CouldNotMeasure(f"{what} has more than {MOST_PATTERNS} patterns: shorten it.")
    return Ignored(patterns)


def _refused(what: str, line: str) -> CouldNotMeasure:
    return CouldNotMeasure(
        f"{what} has a pattern that the engine refuses: {printable(line.strip(), 80)!r}. "
        "Correct it."
    )


def _compiled(pattern: str, what: str, line: str) -> Any:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = True
    options.log_errors = False
    try:
        return re2.compile(_expression(pattern).encode("utf-8", "surrogateescape"), options)
    except re2.error as error:
        raise _refused(what, line) from error


def _expression(pattern: str) -> str:
    """Return a pattern as a regular expression, character by character as the engine does it."""
    if pattern.startswith("**") and not set(pattern[2:]) & set("*?[]\\"):
        rest = _literal(pattern[2:])
        return f"(.*)({rest})" if not rest.startswith("/") else f"(.*/)?({rest[1:]})"
    told, at = "", 0
    while at < len(pattern):
        sign = pattern[at]
        if pattern.startswith("**", at):
            at += 3 if pattern.startswith("/", at + 2) else 2
            told += "(.*/)?" if at < len(pattern) else ".*"
            continue
        if sign == "*":
            told += "[^/]*"
        elif sign == "?":
            told += "[^/]"
        elif sign == "\\" and at + 1 < len(pattern):
            at += 1
            told += _literal(pattern[at])
        else:
            told += sign if sign in "[]" or _in_class(pattern, at) else _literal(sign)
        at += 1
    return told


def _in_class(pattern: str, at: int) -> bool:
    """Tell whether a character stands in brackets, where it means what it means there."""
    opened = pattern.rfind("[", 0, at)
    return opened > pattern.rfind("]", 0, at)


def _literal(text: str) -> str:
    return "".join(f"\\{sign}" if sign in _ESCAPED or sign in "\\*?[]" else sign for sign in text)
