"""A Dockerfile's instructions, with the lines and the here-documents that belong to each.

The syntax is that of Docker's "Dockerfile reference". Here-documents came to it with version 1.4
of its syntax, which Docker 23 brings: an older builder takes their lines for instructions.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

_ESCAPE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*[a-z]+\s*=", re.IGNORECASE)
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*'|\\$)+""")
"""A word as a shell reads it, which may have quoted blanks in it."""
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)", re.DOTALL)
_QUOTED = re.compile(r"""\\(.)|["']""")
_DOCUMENTED = ("RUN", "COPY", "ADD")


@dataclass(frozen=True)
class Heredoc:
    """A here-document of an instruction: the word that ends it, and its lines.

    With `<<-` they have no tabs at their beginnings. One that `is_program` names in its first line
    the program that it is for; to BuildKit, a tab before that makes it a comment.
    """

    name: str
    content: str
    is_program: bool = False


@dataclass(frozen=True)
class Instruction:
    """An instruction: its word in capitals, the rest as one line, and the line it begins in.

    Its here-documents come after that, up to its last line.
    """

    word: str
    text: str
    line: int
    heredocs: tuple[Heredoc, ...] = ()
    last_line: int = 0

    def __str__(self) -> str:
        """Return it as BuildKit names its step, with the first line of a script."""
        told = f"{self.word} {self.text}"
        lines = self.script.content.strip().splitlines() if self.script else []
        return f"{told} ({lines[0]}{'...' * (len(lines) > 1)})" if lines else told

    @property
    def flags(self) -> tuple[tuple[str, str], ...]:
        """The options before its arguments: `--from=build` is `("from", "build")`."""
        return tuple(
            (name.lower(), value)
            for name, _, value in (word[2:].partition("=") for word in _leading_flags(self.text))
        )

    @property
    def arguments(self) -> str:
        """What follows its options."""
        rest = self.text
        for word in _leading_flags(self.text):
            rest = rest.lstrip()[len(word) :]
        return rest.strip()

    @property
    def words(self) -> list[str]:
        """Its arguments one by one, in either form."""
        rest = self.arguments
        listed = exec_form(rest)
        if listed is not None:
            return listed
        return _words(rest) if self.heredocs else rest.split()

    @property
    def script(self) -> Heredoc | None:
        """The here-document that is the whole command of a RUN, if one is."""
        is_whole = self.word == "RUN" and len(_words(self.arguments)) == 1
        return self.heredocs[0] if is_whole and self.heredocs else None


def exec_form(arguments: str) -> list[str] | None:
    """Return the words of an instruction in exec form, a list in JSON, or None of another one."""
    if not arguments.startswith("["):
        return None
    try:
        listed = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    return [str(word) for word in listed] if isinstance(listed, list) else None


def is_heredoc(word: str) -> bool:
    """Tell whether a word of a command stands for a here-document."""
    return _HEREDOC.fullmatch(word) is not None


def _leading_flags(text: str) -> list[str]:
    flags = []
    for word in text.split():
        if not word.startswith("--"):
            break
        flags.append(word)
    return flags


def read(text: str) -> Iterator[Instruction]:
    """Give the instructions of a Dockerfile in their order.

    A here-document that nothing ends is none: the builder refuses the file.
    """
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape, ends = _escape_of(lines), _Ends(lines)
    at = 0
    while at < len(lines):
        start = at
        joined, at = _joined(lines, at, escape)
        word, rest = [*joined.split(None, 1), "", ""][:2]
        if word:
            documents, at = _documents(word, rest, ends, at)
            yield Instruction(word.upper(), " ".join(rest.split()), start + 1, documents, at)


class _Ends:
    """Where a word stands alone on a line of a file, and so ends a here-document."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines

    @cached_property
    def _plain(self) -> Mapping[str, list[int]]:
        return self._placed(self.lines)

    @cached_property
    def _indented(self) -> Mapping[str, list[int]]:
        return self._placed([line.lstrip("\t") for line in self.lines])

    @staticmethod
    def _placed(lines: Sequence[str]) -> Mapping[str, list[int]]:
        found = defaultdict(list)
        for number, line in enumerate(lines):
            found[line].append(number)
        return found

    def after(self, at: int, word: str, *, is_indented: bool) -> int | None:
        """Return the first line from one on that is this word, or None."""
        places = (self._indented if is_indented else self._plain).get(word, [])
        place = bisect_left(places, at)
        return places[place] if place < len(places) else None


def _documents(word: str, rest: str, ends: _Ends, at: int) -> tuple[tuple[Heredoc, ...], int]:
    """Return the here-documents of an instruction, and where the next instruction begins."""
    if word.upper() == "ONBUILD":
        word, rest = [*rest.split(None, 1), "", ""][:2]
    if word.upper() not in _DOCUMENTED or "<<" not in rest:
        return (), at
    found = []
    for match in filter(None, map(_HEREDOC.fullmatch, _words(rest))):
        name = _QUOTED.sub(lambda quoted: quoted[1] or "", match[2])
        end = ends.after(at, name, is_indented=bool(match[1]))
        if end is None or not name:
            break
        lines = ends.lines[at:end]
        is_program = bool(lines) and lines[0].startswith("#!")
        if match[1]:
            lines = [line.lstrip("\t") for line in lines]
        found.append(Heredoc(name, "".join(f"{line}\n" for line in lines), is_program))
        at = end + 1
    return tuple(found), at


def _words(text: str) -> list[str]:
    """Return the words of a command; it has none where a quote is left open."""
    return [] if _WORD.sub("", text).strip() else _WORD.findall(text)


def _escape_of(lines: Sequence[str]) -> str:
    for line in lines:
        if match := _ESCAPE.fullmatch(line.strip()):
            return match[1]
        if not _DIRECTIVE.match(line.strip()):
            break
    return "\\"


def _joined(lines: Sequence[str], at: int, escape: str) -> tuple[str, int]:
    """Return an instruction's lines as one, and where the next begins; a comment is none."""
    told: list[str] = []
    while at < len(lines):
        line = lines[at].rstrip()
        is_comment = line.lstrip().startswith("#")
        at += 1
        if is_comment or (told and not line):
            if told:
                continue
            return "", at
        if not line.endswith(escape):
            told.append(line)
            break
        told.append(line.removesuffix(escape))
    return "".join(told), at
