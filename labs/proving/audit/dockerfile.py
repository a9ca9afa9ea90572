"""A Dockerfile as facts: its stages with their instructions, and what they copy.

Nothing is judged by it alone: it says which line a step of a build, or a layer of an image, comes
from.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice

from .. import instructions
from ..errors import CouldNotMeasure
from ..instructions import Instruction, is_heredoc

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:(:[-+])([^}]*))?\}|(\w+))")
_LAYERED = ("RUN", "COPY", "ADD", "WORKDIR")
MOST_INSTRUCTIONS = 2000
"""More than these are refused: an image has at most 127 layers (Docker's `MaxLayers`)."""
LONGEST_SOURCE = 4096
"""No path is longer (Linux's PATH_MAX)."""
UNKNOWN = "**"
"""What stands for a source that is only known when it is built: any file may be it."""


@dataclass(frozen=True)
class Taken:
    """What an instruction takes of the build context: paths or patterns of it; empty is all."""

    instruction: Instruction
    sources: tuple[str, ...]

    def takes(self, path: str) -> bool:
        """Tell whether a file of the context is taken."""
        return any(_is_in(path, source) for source in self.sources)

    def names(self, path: str) -> bool:
        """Tell whether a source is this path, or lies in it: somebody means it."""
        return any(source == path or source.startswith(f"{path}/") for source in self.sources)


def _is_in(path: str, source: str) -> bool:
    if source in ("", UNKNOWN):
        return True
    if not set(source) & set("*?["):
        return path == source or path.startswith(f"{source}/")
    parts, wanted = path.split("/"), source.replace("[^", "[!").split("/")
    return len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted))


@dataclass
class Stage:
    """A stage of a build: its number and name, what it stands on, and its instructions."""

    number: int
    name: str
    base: str
    start: Instruction
    instructions: list[Instruction] = field(default_factory=list)
    parent: Stage | None = None

    @property
    def label(self) -> str:
        """What BuildKit calls it in the names of its steps, where there are several."""
        return self.name or f"stage-{self.number}"

    def counted(self) -> list[Instruction]:
        """Return the instructions that BuildKit counts as steps; a base from outside is one."""
        own = [one for one in self.instructions if one.word in _LAYERED]
        return own if self.parent or self.base == "scratch" else [self.start, *own]

    def chain(self) -> list[Instruction]:
        """Return all instructions above the base from outside, with those of parent stages."""
        return [one for stage in self.line() for one in stage.instructions]

    def line(self) -> list[Stage]:
        """Return the stages that it stands on, the lowest first, and itself."""
        found = [self]
        while (parent := found[-1].parent) is not None:
            found.append(parent)
        return found[::-1]


class Dockerfile:
    """What a Dockerfile says, with these build arguments.

    Raises:
        CouldNotMeasure: it has far too many instructions.
    """

    def __init__(self, text: str, arguments: Mapping[str, str] | None = None) -> None:
        self._arguments = dict(arguments or {})
        self.instructions = list(islice(instructions.read(text), MOST_INSTRUCTIONS + 1))
        if len(self.instructions) > MOST_INSTRUCTIONS:
            raise CouldNotMeasure(
                f"The Dockerfile has more than {MOST_INSTRUCTIONS} instructions: shorten it."
            )
        self.stages: list[Stage] = []
        self._before: dict[str, str] = {}
        for one in self.instructions:
            if one.word == "FROM":
                self.stages.append(self._stage(one, self._before))
            elif self.stages:
                self.stages[-1].instructions.append(one)
            elif one.word == "ARG":
                self._declare(one, self._before)

    def _stage(self, start: Instruction, values: Mapping[str, str]) -> Stage:
        words = start.words
        base = expanded(words[0], values) if words else ""
        named = len(words) > 2 and words[1].upper() == "AS"
        name = words[2].lower() if named else ""
        parent = next((one for one in reversed(self.stages) if one.name == base.lower()), None)
        return Stage(len(self.stages), name, base, start, parent=parent if base else None)

    def _declare(self, one: Instruction, values: dict[str, str]) -> None:
        for word in one.words:
            name, given, value = word.partition("=")
            if one.word == "ARG" and name in self._arguments:
                values[name] = self._arguments[name]
            elif given:
                values[name] = expanded(value.strip("'\""), values)
            elif one.word == "ARG" and name in self._before:
                values[name] = self._before[name]

    def defaults(self) -> dict[str, str]:
        """Return the build arguments that are declared with a default, as it is written."""
        words = (word for one in self.instructions if one.word == "ARG" for word in one.words)
        return {name: value for name, equals, value in (w.partition("=") for w in words) if equals}

    def stage(self, target: str = "") -> Stage | None:
        """Return the stage that is built: the named one, or the last."""
        if not target:
            return self.stages[-1] if self.stages else None
        wanted = target.lower()
        found = [one for one in self.stages if wanted in (one.name, str(one.number))]
        return found[-1] if found else None

    def needed(self, target: str = "") -> list[Stage]:
        """Return the stages that a build of the target runs, in the order of the file."""
        border, found = [self.stage(target)], set()
        while border:
            stage = border.pop()
            if stage is None or stage.number in found:
                continue
            found.add(stage.number)
            border.append(stage.parent)
            border += [self.stage(name) for name in _stages_named(stage) if name]
        return [self.stages[number] for number in sorted(found)]

    def taken(self, target: str = "") -> list[Taken]:
        """Return what the instructions of a build take of its context."""
        return [
            taken
            for stage in self.needed(target)
            for taken in self._taken_by(stage)
            if taken.sources
        ]

    def _taken_by(self, stage: Stage) -> Iterator[Taken]:
        values: dict[str, str] = {}
        for below in stage.line():
            for one in below.instructions:
                if one.word in ("ARG", "ENV"):
                    self._declare(one, values)
                elif below is not stage:
                    continue
                elif one.word in ("COPY", "ADD") and "from" not in dict(one.flags):
                    yield Taken(one, tuple(_sources(one.words[:-1], values)))
                elif one.word == "RUN":
                    yield Taken(one, tuple(_mounted(one)))


def _sources(words: Sequence[str], values: Mapping[str, str]) -> Iterator[str]:
    for word in words:
        if "://" in word or word.startswith("git@") or is_heredoc(word):
            continue
        told = expanded(word.strip("'\""), values)
        yield UNKNOWN if "$" in told or len(told) > LONGEST_SOURCE else _clean(told)


def _clean(path: str) -> str:
    return posixpath.normpath(f"/{path}").strip("/")


def _mounted(run: Instruction) -> Iterator[str]:
    for name, value in run.flags:
        settings = dict(part.partition("=")[::2] for part in value.split(","))
        if name == "mount" and settings.get("type", "bind") == "bind" and "from" not in settings:
            yield _clean(settings.get("source") or settings.get("src") or "")


def _stages_named(stage: Stage) -> Iterator[str]:
    for one in stage.instructions:
        for name, value in one.flags:
            if name == "from":
                yield value
            elif name == "mount":
                yield dict(part.partition("=")[::2] for part in value.split(",")).get("from", "")


def expanded(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its variables replaced, as far as they are known.

    One that is, or would become, longer than any path stays as it is.
    """

    def value(match: re.Match[str]) -> str:
        name, form, other = match[1] or match[4], match[2], match[3] or ""
        if form == ":-":
            return values.get(name) or other
        if form == ":+":
            return other if values.get(name) else ""
        return values.get(name, match[0])

    if len(text) > LONGEST_SOURCE:
        return text
    told = _VARIABLE.sub(value, text)
    return told if len(told) <= LONGEST_SOURCE else text
