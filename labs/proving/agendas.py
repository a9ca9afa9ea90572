"""Agendas of workshops: which sections, labs and exercises, and how many minutes for each.

An agenda is a file of `workshop/agendas`; its minutes must add up, the breaks included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from . import claims, recorded
from .errors import ProvingError
from .paths import ROOT

FOLDER = ROOT / "workshop" / "agendas"
SHOWN = ("text", "files", "question", "card", "figure", "table", "code", "why")
"""What a section can be shown by; without a word of it, an agenda shows all of it."""

_PLAIN = ("opening", "break", "closing")
_OF_CHAPTER = ("lab", "exercise", "questions")
_WORDS = {
    "opening": "Welcome",
    "break": "Break",
    "closing": "To take home",
    "lab": "Lab",
    "exercise": "Your turn",
    "questions": "Questions",
}


class AgendaError(ProvingError):
    """An agenda says something that cannot be held; the sentence names the place in its file."""


_ORDER = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


@dataclass(frozen=True)
class Item:
    """One entry of an agenda.

    `section` is a claim's id or the slug of a heading; `exercise` is the name of one, whose
    chapter bears its number; `cut` tells what goes first when it is late, 1 before 2; `where` is
    the place in the agenda's file, for errors.
    """

    kind: str
    minutes: int
    where: str
    chapter: str = ""
    section: str = ""
    show: tuple[str, ...] = SHOWN
    claims: tuple[str, ...] = ()
    cut: int | None = None
    exercise: str = ""

    @property
    def is_again(self) -> bool:
        """Whether it is a chapter's second exercise, which has a section of its own."""
        return bool(self.exercise) and self.exercise != self.chapter

    @property
    def word(self) -> str:
        """What kind of entry of a chapter it is, in a word or two."""
        return f"{_WORDS[self.kind]}{' again' if self.is_again else ''}"

    @property
    def late(self) -> str:
        """What becomes of it when it is late, or nothing where it stays."""
        if self.cut is None:
            return ""
        return (
            f"goes {_ORDER[self.cut - 1] if self.cut <= len(_ORDER) else f'as number {self.cut}'}"
        )

    def words(self, title: str) -> str:
        """Return what it is in a few words; `title` is that of its chapter or section."""
        if self.kind in _OF_CHAPTER:
            some = f" ({', '.join(self.claims)})" if self.claims else ""
            return f"{self.word}: {title}{some}"
        return _WORDS.get(self.kind, title)


@dataclass(frozen=True)
class Day:
    """A day of an agenda; `starts` is a time of day."""

    starts: datetime
    minutes: int
    items: tuple[Item, ...]

    def times(self) -> Iterator[tuple[datetime, Item]]:
        """Yield each item with the time of day at which it begins."""
        now = self.starts
        for item in self.items:
            yield now, item
            now += timedelta(minutes=item.minutes)


@dataclass(frozen=True)
class Agenda:
    """A workshop's agenda."""

    name: str
    title: str
    about: str
    minutes: int
    days: tuple[Day, ...]

    def items(self) -> list[Item]:
        """Return all items of all days."""
        return [item for day in self.days for item in day.items]


def names(folder: Path = FOLDER) -> list[str]:
    """Return the names of all agendas, the shortest first."""
    found = [load(path.stem, folder) for path in folder.glob("*.yaml")]
    return [agenda.name for agenda in sorted(found, key=lambda agenda: agenda.minutes)]


def load(name: str, folder: Path = FOLDER, root: Path = ROOT) -> Agenda:
    """Return an agenda whose minutes add up, and whose chapters, labs and claims exist.

    Its name is that of its file, with or without `.yaml`. Whether its sections exist is known only
    when the chapters have been read.

    Raises:
        AgendaError: there is no such agenda, or it cannot be held.
    """
    name = name.removesuffix(".yaml")
    path = folder / f"{name}.yaml"
    there = sorted(one.stem for one in folder.glob("*.yaml"))
    if name not in there:
        raise AgendaError(
            f"There is no agenda {name!r} in {folder.name}; there are {', '.join(there)}."
        )
    content = _content(path)
    reader = _Reader(path.name, root)
    told = reader.mapping(content, "the file", ("title", "about", "minutes", "days"))
    agenda = Agenda(
        name,
        reader.text(told, "title", "the file"),
        reader.text(told, "about", "the file"),
        reader.minutes(told.get("minutes"), "the file"),
        tuple(reader.day(day, n) for n, day in enumerate(reader.list(told, "days", "the file"), 1)),
    )
    _add_up(agenda, path.name)
    _exist(agenda, path.name, root)
    return agenda


def _content(path: Path) -> Any:
    """Return what a YAML file holds; the sentence of an error has the line and the column."""
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = error.problem or error.context
    except yaml.reader.ReaderError as error:
        lines = f"{text[: error.position]}|".splitlines()
        place, what = f", line {len(lines)}, column {len(lines[-1])}", error.reason
    except (OSError, ValueError) as error:
        place, what = "", str(error)
    raise AgendaError(f"{path.name}{place}: this cannot be read as YAML: {what}.")


@dataclass(frozen=True)
class _Reader:
    """Reads an agenda's file; every error names the place."""

    file: str
    root: Path = ROOT

    def chapter_of(self, exercise: str) -> str:
        """Return the chapter whose number an exercise bears, or nothing where none does."""
        number = exercise.partition("-")[0]
        found = sorted((self.root / "chapters").glob(f"{number}-*.md")) if exercise else []
        return found[0].stem if found else ""

    def error(self, where: str, what: str) -> AgendaError:
        return AgendaError(f"{self.file}, {where}: {what}")

    def mapping(self, found: Any, where: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(found, dict):
            raise self.error(where, f"{', '.join(keys)} are wanted here, not {found!r}.")
        if unknown := [str(key) for key in found if key not in keys]:
            raise self.error(where, f"{unknown[0]!r} is not known; known are {', '.join(keys)}.")
        return found

    def text(self, told: Mapping[str, Any], key: str, where: str) -> str:
        if not isinstance(told.get(key), str):
            raise self.error(where, f"{key!r} must be a text.")
        return str(told[key])

    def list(self, told: Mapping[str, Any], key: str, where: str) -> list[Any]:
        found = told.get(key)
        if not isinstance(found, list) or not found:
            raise self.error(where, f"{key!r} must be a list that is not empty.")
        return found

    def minutes(self, found: Any, where: str) -> int:
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise self.error(where, f"minutes must be a whole number above 0, not {found!r}.")
        return found

    def cut(self, told: Mapping[str, Any], where: str) -> int | None:
        return None if told.get("cut") is None else self.minutes(told["cut"], f"{where}, cut")

    def day(self, content: Any, number: int) -> Day:
        where = f"day {number}"
        told = self.mapping(content, where, ("starts", "minutes", "parts"))
        starts = self.text(told, "starts", where)
        try:
            at = datetime.strptime(starts, "%H:%M")
        except ValueError as error:
            said = f"'starts' must be a time of day such as \"09:00\", not {starts!r}."
            raise self.error(where, said) from error
        parts = self.list(told, "parts", where)
        items = [
            item
            for n, part in enumerate(parts, 1)
            for item in self.part(part, f"{where}, part {n}")
        ]
        return Day(at, self.minutes(told.get("minutes"), where), tuple(items))

    def part(self, content: Any, where: str) -> Iterator[Item]:
        kinds = (*_PLAIN, "chapter", *_OF_CHAPTER)
        keys = (*kinds, "minutes", "sections", "claims", "cut")
        told = self.mapping(content, where, keys)
        found = [kind for kind in kinds if kind in told]
        if len(found) != 1:
            raise self.error(where, f"it must have exactly one of {', '.join(kinds)}.")
        kind = found[0]
        if kind in _PLAIN:
            yield Item(kind, self.minutes(told[kind], where), where)
            return
        chapter = self.text(told, kind, where)
        if kind == "chapter":
            yield from self.sections(told, chapter, where)
            return
        some = tuple(str(one) for one in told.get("claims", ()))
        exercise = chapter if kind == "exercise" else ""
        yield Item(
            kind,
            self.minutes(told.get("minutes"), where),
            where,
            self.chapter_of(exercise) or chapter,
            claims=some,
            cut=self.cut(told, where),
            exercise=exercise,
        )

    def sections(self, told: Mapping[str, Any], chapter: str, where: str) -> Iterator[Item]:
        sections = told.get("sections")
        if not isinstance(sections, dict) or not sections:
            raise self.error(where, "'sections' must name sections, each with its minutes.")
        for section, wanted in sections.items():
            here = f"{where}, section {section}"
            options = wanted if isinstance(wanted, dict) else {"minutes": wanted}
            self.mapping(options, here, ("minutes", "show", "cut"))
            show = tuple(options.get("show", SHOWN))
            if unknown := [str(word) for word in show if word not in SHOWN]:
                raise self.error(here, f"{unknown[0]!r} cannot be shown; {', '.join(SHOWN)} can.")
            minutes = self.minutes(options.get("minutes"), here)
            cut = self.cut(options, here)
            yield Item("section", minutes, here, chapter, str(section), show, cut=cut)


def _add_up(agenda: Agenda, file: str) -> None:
    for number, day in enumerate(agenda.days, 1):
        _equal(sum(item.minutes for item in day.items), day.minutes, f"{file}, day {number}")
    _equal(sum(day.minutes for day in agenda.days), agenda.minutes, f"{file}, all days")
    first = agenda.title.split()[0]
    if first.isdigit():
        _equal(agenda.minutes, int(first), f"{file}, against its title")


def _equal(found: int, wanted: int, where: str) -> None:
    if found != wanted:
        over = f"{abs(found - wanted)} too {'many' if found > wanted else 'few'}"
        raise AgendaError(
            f"{where}: the minutes do not add up. They are {found} with the breaks, "
            f"and {wanted} were announced: {over}."
        )


def _exist(agenda: Agenda, file: str, root: Path) -> None:
    known = claims.load(root / "labs" / "claims.toml")
    for item in agenda.items():
        if item.chapter:
            _chapter_exists(item, file, root)
        for claim_id in item.claims:
            if claim_id not in known or known[claim_id].chapter != item.chapter:
                said = f"{item.chapter} has no claim {claim_id!r}."
                raise AgendaError(f"{file}, {item.where}: {said}")
        if item.kind == "lab":
            _lab_has_time(item, file, root)


def _chapter_exists(item: Item, file: str, root: Path) -> None:
    wanted = {
        "lab": ("lab", root / "labs" / f"{item.chapter}.ipynb"),
        "exercise": ("exercise", root / "labs" / "exercises" / item.exercise),
    }
    noun, path = wanted.get(item.kind, ("chapter", root / "chapters" / f"{item.chapter}.md"))
    if not path.exists():
        there = sorted(one.stem for one in path.parent.glob(f"[0-9]*{path.suffix}"))
        said = (
            f"there is no {noun} {item.exercise or item.chapter!r}; there are {', '.join(there)}."
        )
        raise AgendaError(f"{file}, {item.where}: {said}")


def seconds_of(item: Item, root: Path = ROOT) -> float:
    """Return how long the claims of a lab took in its recorded run, one after the other."""
    lab = recorded.load(root / "labs" / f"{item.chapter}.ipynb")
    if not item.claims:
        return lab.seconds or 0.0
    return sum(
        float(lab.results[one].get("seconds", 0)) for one in item.claims if one in lab.results
    )


def _lab_has_time(item: Item, file: str, root: Path) -> None:
    seconds = seconds_of(item, root)
    if seconds > item.minutes * 60:
        raise AgendaError(
            f"{file}, {item.where}: the lab has {item.minutes} minutes, "
            f"and its recorded run took {seconds / 60:.1f}. Name fewer claims, or give it more."
        )
