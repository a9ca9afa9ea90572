"""The slides of each entry of an agenda, with the time of day and the notes for the speaker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import escape

from docutils import nodes

from . import sections, show
from .agendas import Agenda, AgendaError, Day, Item, seconds_of
from .slides import Slide, Source, in_batches, lines, numbered, room

QUESTIONS = "guide/trainers-questions"
YOUR_TURN, AGAIN = "your-turn", "your-turn-again"
_ROW_LETTERS = 62
_ADVICE_LETTERS = 70


@dataclass(frozen=True)
class Maker:
    """Makes the slides of an agenda; `page` gives the doctree of a page, without its links."""

    agenda: Agenda
    source: Source
    page: Callable[[str], nodes.document]

    def slides(self) -> Iterator[Slide]:
        """Yield all slides, each with its time and its share of the minutes.

        Raises:
            AgendaError: a section is not there, or has nothing of what should be shown.
        """
        for number, day in enumerate(self.agenda.days, 1):
            for at, item in day.times():
                found = list(self._of(item, day, number))
                if not found:
                    raise self._error(item, "it has nothing of what should be shown.")
                yield from timed(found, item, at, self.title(item))

    def title(self, item: Item) -> str:
        """Return the title of an entry's section, or of its chapter."""
        if item.kind == "section":
            return self._find(item)[0]
        return self.chapter(item.chapter) if item.chapter else ""

    def chapter(self, slug: str) -> str:
        """Return the title of a chapter."""
        title = next(iter(self.page(f"chapters/{slug}").findall(nodes.title)))
        return str(title.astext())

    def _error(self, item: Item, what: str) -> AgendaError:
        return AgendaError(f"{self.agenda.name}.yaml, {item.where}: {what}")

    def _find(self, item: Item) -> tuple[str, list[sections.Piece]]:
        try:
            return sections.find(self.page(f"chapters/{item.chapter}"), item.section)
        except sections.SectionError as error:
            raise self._error(item, str(error)) from error

    def _of(self, item: Item, day: Day, number: int) -> Iterator[Slide]:
        if item.kind == "opening":
            yield from self._opening(day, number)
        elif item.kind == "break":
            yield _break(item, day)
        elif item.kind == "closing":
            yield from self._closing(day)
        elif item.kind == "lab":
            yield from self._lab(item)
        elif item.kind == "exercise":
            yield from self._exercise(item)
        elif item.kind == "questions":
            yield from self._questions(item)
        else:
            title, pieces = self._find(item)
            shown = [piece for piece in pieces if piece.kind in item.show]
            for slide in self.source.slides(shown, title):
                footer = f"{self.chapter(item.chapter)} · {title}"
                yield replace(slide, footer=footer)

    def _opening(self, day: Day, number: int) -> Iterator[Slide]:
        which = f", day {number} of {len(self.agenda.days)}" if len(self.agenda.days) > 1 else ""
        title = f"{self.agenda.title}{which}"
        about = f'<p class="about">{escape(self.agenda.about)}</p>'
        told = (
            f'<p class="do">{day.minutes} minutes, the breaks included. Every figure was measured, '
            "and can be measured again on your machine.</p>"
        )
        yield Slide("opening", title, about + told, "<p>Say who you are, and who they are.</p>")
        rows = _rows_of_day(day, self.title)
        batches = list(
            in_batches(rows, room("a") - 30, lambda row: lines(row[1], _ROW_LETTERS) * 36 + 16)
        )
        for place, batch in enumerate(batches):
            cells = "".join(
                f'<tr><th scope="row">{at}</th><td>{escape(what)}</td><td>{minutes} min</td></tr>'
                for at, what, minutes in batch
            )
            body = f'<table class="agenda"><tbody>{cells}</tbody></table>'
            name = numbered("What we do", place, len(batches))
            yield Slide("agenda", name, body, "<p>Tell when the breaks are.</p>")

    def _closing(self, day: Day) -> Iterator[Slide]:
        claims = [claim for item in day.items for claim in self._claims(item)]
        batches = list(
            in_batches(
                [self.source.claims[one] for one in dict.fromkeys(claims)],
                room("a"),
                lambda claim: lines(claim.advice, _ADVICE_LETTERS) * 43 + 18,
            )
        )
        for place, batch in enumerate(batches):
            points = "".join(
                f'<li class="sub" data-mark="{claim.id}">{show.prose_html(claim.advice)}</li>'
                for claim in batch
            )
            name = numbered("To take home", place, len(batches))
            body = f'<ul class="points take">{points}</ul>'
            yield Slide("closing", name, body, "<p>Which of these will you change first?</p>")

    def _claims(self, item: Item) -> list[str]:
        if item.kind == "lab":
            return list(item.claims)
        if item.kind != "section":
            return []
        return [piece.node["claim"] for piece in self._find(item)[1] if piece.kind == "card"]

    def _lab(self, item: Item) -> Iterator[Slide]:
        chapter = self.chapter(item.chapter)
        known = self.source.claims
        ids = item.claims or [one.id for one in known.values() if one.chapter == item.chapter]
        took = show.duration_text(seconds_of(item))
        title = f"Lab: {chapter}"
        how = (
            '<p class="do">Open the chapter, follow “Open this lab”, and run its cells: '
            f"the set-up, and then those of {escape(', '.join(ids))}.</p>"
        )
        shown = [known[one] for one in ids]
        height = room(title) - 140
        batches = list(
            in_batches(shown, height, lambda one: lines(one.advice, _ADVICE_LETTERS) * 43 + 18)
        )
        for place, batch in enumerate(batches):
            points = "".join(
                f'<li class="sub" data-mark="{claim.id}">{show.prose_html(claim.advice)}</li>'
                for claim in batch
            )
            body = f'{how}<ul class="points take">{points}</ul>'
            notes = (
                f"<p>Recorded, these claims took {took}, the bases being there already.</p>"
                "<p>What goes wrong, and its cure: the page “What goes wrong in a lab”.</p>"
            )
            yield Slide("lab", numbered(title, place, len(batches)), body, notes, footer=chapter)

    def _exercise(self, item: Item) -> Iterator[Slide]:
        chapter = self.chapter(item.chapter)
        slug = AGAIN if item.is_again else YOUR_TURN
        try:
            section = sections.section_of(self.page(f"chapters/{item.chapter}"), slug)
        except sections.SectionError as error:
            raise self._error(item, str(error)) from error
        texts = [piece.node for piece in sections.all_pieces(section) if piece.kind == "text"]
        solution = "".join(self.source.render(one.deepcopy()) for one in sections.folded(section))
        title = f"{item.word}: {chapter}"
        for slide in self.source.points(texts, title, whole=True):
            yield replace(slide, kind="exercise", notes=slide.notes + solution, footer=chapter)

    def _questions(self, item: Item) -> Iterator[Slide]:
        chapter = self.chapter(item.chapter)
        try:
            section = sections.section_of(self.page(QUESTIONS), f"questions-{item.chapter}")
        except sections.SectionError as error:
            said = f"{QUESTIONS}.md has no questions about it."
            raise self._error(item, said) from error
        asked = [
            (
                entry.children[0].astext(),
                "".join(map(self.source.render, entry.children[-1].children)),
            )
            for entry in section.findall(nodes.definition_list_item)
        ]
        title = f"Questions: {chapter}"
        batches = list(in_batches(asked, room(title), lambda one: lines(one[0], 66) * 45 + 26))
        for place, batch in enumerate(batches):
            body = "".join(f"<li>{escape(text)}</li>" for text, _ in batch)
            notes = "".join(f"<p><strong>{escape(text)}</strong></p>{told}" for text, told in batch)
            name = numbered(title, place, len(batches))
            body = f'<ul class="points">{body}</ul>'
            yield Slide("questions", name, body, notes, footer=chapter)


def _break(item: Item, day: Day) -> Slide:
    until = next(at for at, one in day.times() if one is item) + timedelta(minutes=item.minutes)
    body = f'<p class="asked">We go on at {until:%H:%M}.</p>'
    return Slide("break", f"Break: {item.minutes} minutes", body, "<p>Open the windows.</p>")


def _rows_of_day(day: Day, title: Callable[[Item], str]) -> list[tuple[str, str, int]]:
    """Return time, words and minutes of each entry; the sections of a chapter are one entry."""
    rows: list[tuple[str, str, int]] = []
    last = ""
    for at, item in day.times():
        chapter = item.chapter if item.kind == "section" else ""
        if chapter and chapter == last:
            rows[-1] = (*rows[-1][:2], rows[-1][2] + item.minutes)
        else:
            whole = replace(item, kind="chapter") if chapter else item
            rows.append((f"{at:%H:%M}", whole.words(title(whole)), item.minutes))
        last = chapter
    return rows


def timed(found: Sequence[Slide], item: Item, at: datetime, title: str) -> Iterator[Slide]:
    """Yield the slides with the seconds that each has: together those of the entry."""
    whole = sum(slide.weight for slide in found)
    ends = at + timedelta(minutes=item.minutes)
    passed = 0
    weight = 0
    for slide in found:
        weight += slide.weight
        until = round(item.minutes * 60 * weight / whole)
        now = at + timedelta(seconds=passed)
        told = (
            f"<p><strong>{now:%H:%M}</strong>: "
            f"{(until - passed) // 60}:{(until - passed) % 60:02} min for this slide. "
            f"“{escape(item.words(title))}” has {item.minutes} min and ends at {ends:%H:%M}."
        )
        if item.late:
            told += f" When it is late, this {item.late}, which saves {item.minutes} min."
        notes = f"{told}</p>{slide.notes}"
        yield replace(slide, clock=f"{now:%H:%M}", seconds=until - passed, notes=notes)
        passed = until
