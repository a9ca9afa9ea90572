"""The slides of an agenda, made of the chapters' doctrees and of the labs' records.

A slide takes the first sentence of each paragraph; the paragraphs themselves are its notes. What
does not fit on one slide goes on to the next; a file too long for a slide is shown around its
deciding lines, with the number of lines left out. Nothing is left out without a word.

Room is reckoned in pixels of a slide of 1280 × 720, from the sizes that `deck.css` gives to texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, TypeVar

from bs4 import BeautifulSoup, Tag
from docutils import nodes

from . import code_excerpt, sections, show
from .claims import Claim
from .recorded import Record
from .sections import Piece, first_sentences

Render = Callable[[nodes.Node], str]
Thing = TypeVar("Thing")

_WIDTH = 1160
_COLUMN = 556
_ROOM = 628
"""The height of a slide without its margins and its footer."""

_TITLE_LETTERS, _TITLE_LINE, _TITLE_GAP = 54, 50, 22
_POINT_LETTERS, _POINT_LINE, _POINT_GAP = 74, 43, 18
_CELL_LINE, _CELL_GAP, _CELL_LETTER = 34, 18, 12.5
_CARD_FOOT = 62
_CAPTION, _CODE_GAP, _CODE_MARGIN = 30, 26, 26
_LEAD_LINE, _LEAD_GAP, _LEAD_MOST = 37, 16, 150
_FULL, _FEW = 0.8, 0.55
"""How full a slide may be of further sentences, and below what its letters are larger."""

_GRID = ("pg-files",)
_TEXTS = ("text", "why")
_LISTINGS = ("files", "code")
_UNITS = {"s": ", in seconds,", "B": ", in bytes,"}
_ZOOM, _ZOOM_MOST = 1.5, 1.9
_ARM, _LEGEND = 34, 44


@dataclass(frozen=True)
class Slide:
    """A slide: `body` and `notes` are HTML; `seconds` are those that a speaker has for it.

    `weight` is its share of its section's minutes.
    """

    kind: str
    title: str
    body: str
    notes: str
    weight: int = 2
    seconds: int = 0
    clock: str = ""
    footer: str = ""


@dataclass(frozen=True)
class Source:
    """What slides are made of beside the chapters: the claims and what was recorded of them.

    `doubt` tells why a claim's record must not be trusted as it stands, or nothing.
    """

    claims: Mapping[str, Claim]
    records: Mapping[str, Record]
    render: Render
    doubt: Callable[[Claim], str] = lambda _: ""

    def slides(self, pieces: Iterable[Piece], heading: str) -> Iterator[Slide]:
        """Yield the slides of a section; texts that follow one another share slides."""
        texts: list[nodes.Node] = []
        title = heading
        for piece in pieces:
            wanted = piece.heading or heading
            if texts and (wanted != title or piece.kind not in (*_TEXTS, *_LISTINGS)):
                yield from self.points(texts, title)
                texts = []
            title = wanted
            if piece.kind in _TEXTS:
                texts.append(piece.node)
            elif piece.kind in _LISTINGS:
                make = self.files if piece.kind == "files" else self.code
                yield from make(piece, title, texts)
                texts = []
            else:
                yield from self._special(piece, title)
        yield from self.points(texts, title)

    def _special(self, piece: Piece, title: str) -> Iterator[Slide]:
        if piece.kind == "table":
            yield from self.table(piece.node, title)
        elif piece.kind == "question":
            yield question(piece.node["question"], piece.node["unit"])
        elif piece.kind == "card":
            claim = self.claims[piece.node["claim"]]
            yield from card(claim, self.records[claim.id], self.doubt(claim))
        elif piece.kind == "figure":
            yield from figure(piece.node.astext(), title)

    def files(self, piece: Piece, title: str, texts: Sequence[nodes.Node]) -> Iterator[Slide]:
        """Yield the files of the arms side by side, their deciding lines marked.

        The texts before them stand above where there is room. Where an arm has several files
        that do not fit below one another, each has a slide of its own, with its counterpart.
        """
        columns = [_Column.of(column) for column in sections.columns(piece.node)]
        parts = [columns]
        if not all(one.fits(room(title)) for one in columns):
            most = max(len(one.files) for one in columns)
            parts = [[one.part(n) for one in columns if n < len(one.files)] for n in range(most)]
        fits = [one.fits for one in parts[0]]
        lead = self._lead(texts, lambda height: all(fit(height) for fit in fits), room(title))
        if not lead:
            yield from self.points(texts, title)
        for number, part in enumerate(parts):
            body = _lead_html(lead) + self._arms(part, room(title) - _lead_height(lead))
            notes = "".join(point.notes for point in lead) + _files_notes(part, piece.notes)
            yield Slide("files", numbered(title, number, len(parts)), body, notes, weight=3)
            lead = []

    def _lead(
        self, texts: Sequence[nodes.Node], fits: Callable[[int], bool], height: int
    ) -> list[_Point]:
        """Return what can be told above some files without cutting any; nothing if that is none."""
        for count in (3, 2, 1):
            lead = list(self._all_points(texts, count))
            above = _lead_height(lead)
            if above <= _LEAD_MOST and fits(height - above):
                return lead
        return []

    def _arms(self, columns: Sequence[_Column], height: int) -> str:
        shown = []
        for one in columns:
            html = self._listed(one.files, _COLUMN, height - one.head_height)
            shown.append(f'<div class="pg-files {one.arm}">{self.render(one.head)}{html}</div>')
        return f'<div class="arms">{"".join(shown)}</div>'

    def code(self, piece: Piece, title: str, texts: Sequence[nodes.Node]) -> Iterator[Slide]:
        """Yield a slide with one listing, and the texts before it where there is room."""
        listed = _files_of(nodes.container("", piece.node.deepcopy()))

        def fits(height: int) -> bool:
            return code_excerpt.fits(listed, _WIDTH - _CODE_MARGIN, height - _around(listed))

        lead = self._lead(texts, fits, room(title))
        if not lead:
            yield from self.points(texts, title)
        html = self._listed(listed, _WIDTH, room(title) - _lead_height(lead))
        notes = "".join(point.notes for point in lead) + f"<p>{escape(_told(listed))}</p>"
        yield Slide("code", title, _lead_html(lead) + html, notes)

    def _listed(self, files: Sequence[code_excerpt.File], width: int, height: int) -> str:
        size, shown = code_excerpt.fit(files, width - _CODE_MARGIN, height - _around(files))
        html = []
        for one in shown:
            options = {"hl_lines": list(one.marked)}
            block = nodes.literal_block(one.text, one.text, highlight_args=options)
            block["language"] = one.file.language
            if one.file.name:
                html.append(f'<p class="file">{escape(one.file.name)}</p>')
            style = f"font-size: {size}px"
            html.append(f'<div class="listing" style="{style}">{self.render(block)}</div>')
        return "".join(html)

    def points(
        self, texts: Sequence[nodes.Node], title: str, *, whole: bool = False
    ) -> Iterator[Slide]:
        """Yield slides of as many sentences of each paragraph as fit, and of its first at least.

        `whole` has every sentence of every paragraph, each as a point of its own.
        """
        if whole:
            texts = [one for text in texts for one in sections.sentences(text)]
        shown = list(self._all_points(texts, 1))
        for sentences in () if whole else (3, 2):
            more = list(self._all_points(texts, sentences))
            if sum(point.height for point in more) <= room(title) * _FULL:
                shown = more
                break
        batches = list(in_batches(shown, room(title), lambda point: point.height))
        for number, batch in enumerate(batches):
            few = sum(point.height for point in batch) < room(title) * _FEW
            html = "".join(point.html for point in batch)
            body = f'<ul class="points{" few" if few else ""}">{html}</ul>'
            notes = "".join(point.notes for point in batch)
            name = numbered(title, number, len(batches))
            yield Slide("points", name, body, notes, weight=len(batch))

    def _all_points(self, texts: Iterable[nodes.Node], sentences: int) -> Iterator[_Point]:
        for node in texts:
            yield from self._points_of(node, sentences)

    def _points_of(self, node: nodes.Node, count: int) -> Iterator[_Point]:
        if isinstance(node, nodes.paragraph):
            yield self._point(first_sentences(node, count), self.render(node))
        elif isinstance(node, nodes.bullet_list | nodes.enumerated_list):
            for number, item in enumerate(node.children, 1):
                mark = f"{number}." if isinstance(node, nodes.enumerated_list) else "–"
                first = next(iter(item.findall(nodes.paragraph)))
                notes = "".join(self.render(child) for child in item.children)
                yield self._point(first_sentences(first, count), f"<div>{mark} {notes}</div>", mark)
        elif isinstance(node, nodes.definition_list):
            for item in node.children:
                yield self._definition(*item.children)
        else:
            for child in node.children:
                yield from self._points_of(child, count)

    def _definition(self, term: nodes.Node, meaning: nodes.Node) -> _Point:
        first = first_sentences(next(iter(meaning.findall(nodes.paragraph))), 1)
        told = nodes.paragraph("", "", nodes.strong("", term.astext()), nodes.Text(": "))
        told += first.children
        notes = "".join(self.render(child) for child in meaning.children)
        return self._point(told, f"<p>{escape(term.astext())}</p>{notes}")

    def _point(self, told: nodes.Element, notes: str, mark: str = "") -> _Point:
        return _Point(self.render(told), told.astext(), notes, mark)

    def table(self, node: nodes.Element, title: str) -> Iterator[Slide]:
        """Yield slides of a table, whose head is repeated on each."""
        widths = [spec["colwidth"] for spec in node.findall(nodes.colspec)]
        head = next(iter(node.findall(nodes.thead)), None)
        rows = list(next(iter(node.findall(nodes.tbody))).children)
        left = room(title) - (_row_height(head.children[0], widths) if head else 0)
        batches = list(in_batches(rows, left, lambda row: _row_height(row, widths)))
        for number, batch in enumerate(batches):
            part = node.deepcopy()
            body = next(iter(part.findall(nodes.tbody)))
            body.children = []
            body += [row.deepcopy() for row in batch]
            notes = "".join(f"<p>{escape(': '.join(_cells(row)))}</p>" for row in batch)
            name = numbered(title, number, len(batches))
            yield Slide("table", name, self.render(part), notes)


@dataclass(frozen=True)
class _Point:
    """A point of a slide: its paragraph, its text, and the notes that go with it."""

    html_inside: str
    text: str
    notes: str
    mark: str

    @property
    def html(self) -> str:
        """The point as an item of a list."""
        sub = f' class="sub" data-mark="{escape(self.mark)}"' if self.mark else ""
        return f"<li{sub}>{self.html_inside}</li>"

    @property
    def height(self) -> int:
        """Its height in pixels."""
        letters = _POINT_LETTERS - (4 if self.mark else 0)
        return lines(self.text, letters) * _POINT_LINE + _POINT_GAP


@dataclass(frozen=True)
class _Column:
    """The files of an arm, and the line above them."""

    arm: str
    head: nodes.Node
    files: tuple[code_excerpt.File, ...]

    @classmethod
    def of(cls, column: nodes.Element) -> _Column:
        """Return the column that a grid of files has."""
        arm = next(one for one in column["classes"] if one not in _GRID and one[:3] == "pg-")
        return cls(arm, column.children[0], tuple(_files_of(column)))

    @property
    def head_height(self) -> int:
        """The height of the line above the files, in pixels."""
        return lines(self.head.astext(), 48) * 31 + 19

    def fits(self, height: int) -> bool:
        """Tell whether all lines of its files fit into a height."""
        left = height - self.head_height - _around(self.files)
        return code_excerpt.fits(self.files, _COLUMN - _CODE_MARGIN, left)

    def part(self, number: int) -> _Column:
        """Return the column with one of its files."""
        return replace(self, files=self.files[number : number + 1])


def room(title: str) -> int:
    """Return the height in pixels that a slide has below its title."""
    return _ROOM - lines(title, _TITLE_LETTERS) * _TITLE_LINE - _TITLE_GAP


def lines(text: str, letters: float) -> int:
    """Return how many lines a text takes where so many letters fit on one."""
    return max(1, math.ceil(len(text) / letters))


def numbered(title: str, number: int, of: int) -> str:
    """Return a title that tells where one of several slides stands among them."""
    return f"{title} ({number + 1} of {of})" if of > 1 else title


def in_batches(
    things: Sequence[Thing], height: int, height_of: Callable[[Thing], int]
) -> Iterator[list[Thing]]:
    """Yield as many of some things together as the height holds, and one at least.

    They are spread evenly: two slides of three and not one of five and one of one.
    """
    if not things:
        return
    total = sum(map(height_of, things))
    count = math.ceil(total / height)
    share = min(height, total / count + max(map(height_of, things)) / 2)
    batch: list[Thing] = []
    taken = 0
    for thing in things:
        if batch and taken + height_of(thing) > share:
            yield batch
            batch, taken = [], 0
        batch.append(thing)
        taken += height_of(thing)
    yield batch


def question(asked: str, unit: str) -> Slide:
    """Return the slide that asks for a prediction."""
    body = (
        f'<p class="asked">{escape(asked)}</p>\n'
        f'<p class="do">Write down a number{_UNITS.get(unit, "")} before the next slide.</p>'
    )
    notes = "<p>Wait until everybody has written a number down; ask for two or three of them.</p>"
    return Slide("question", "Predict before you look", body, notes)


def card(claim: Claim, record: Record, doubt: str = "") -> Iterator[Slide]:
    """Yield the slides of a claim's figures; what else its card tells is in the notes."""
    stale = '<strong class="stale">▲ stale</strong> ' if doubt else ""
    title = f"{claim.id} · {claim.advice.replace('`', '')}"
    verdict = str(record["verdict"])
    where = (
        f"Measured on {show.date_text(record.get('measured_at'))}, "
        f"{show.where_text(record.get('environment'))}"
    )
    foot = (
        f'<p class="foot"><span class="pg-verdict">{escape(show.verdict_text(verdict))}</span> '
        f"{stale}{escape(where)}</p>"
    )
    notes = (f"<p>▲ {escape(doubt)}</p>" if doubt else "") + _card_notes(claim, record)
    arms = {arm: record.get("arms", {}).get(arm, {}) for arm in show.ARMS}
    figures = show.figures_of(claim, record)
    heights = {
        name: _figure_height(figure.label, [str(told.get(name, "")) for told in arms.values()])
        for name, figure in figures.items()
        if any(name in told for told in arms.values())
    }
    head = max(lines(what, 44) for what in (claim.bad, claim.good)) * 28 + 62
    left = room(title) - head - _CARD_FOOT
    batches = list(in_batches(list(heights), left, heights.__getitem__))
    for number, batch in enumerate(batches):
        table = show.figures_html(claim, record, batch)
        body = f'<div class="pg-card" data-verdict="{escape(verdict)}">{table}{foot}</div>'
        name = numbered(title, number, len(batches))
        yield Slide("card", name, body, notes)


def _figure_height(label: str, told: Sequence[str]) -> int:
    rows = max(lines(text, 30) for text in (label, *told))
    return rows * _CELL_LINE + 30


def _card_notes(claim: Claim, record: Record) -> str:
    figures = show.figures_of(claim, record)
    told = [
        f"<p>{escape(sentence)}</p>" for sentence in map(show.check_text, record.get("checks", []))
    ]
    for arm, measured in record.get("arms", {}).items():
        if arm in show.ARMS:
            continue
        values = "; ".join(
            f"{figures[name].label}: {show.figure_text(value, figures[name].unit)}"
            for name, value in measured.items()
        )
        name = f"{arm.replace('_', ' ')} ({claim.also.get(arm, '')})"
        told.append(f"<p>Also measured, {escape(name)}: {escape(values)}</p>")
    return "".join(told)


def figure(html: str, title: str) -> Iterator[Slide]:
    """Yield the slides of a figure: as many of its drawings on each as stay legible."""
    drawn = BeautifulSoup(html, "html.parser").find("figure")
    if drawn is None:  # nothing was recorded
        return
    caption = drawn.find("figcaption")
    legend = drawn.find("ul", class_="pg-legend")
    room_left = room(title) - (_LEGEND if legend else 0)
    groups = _drawings(drawn)
    batches = list(in_batches(groups, int(room_left / _ZOOM), lambda group: group[1]))
    classes = " ".join(drawn.get_attribute_list("class"))
    for number, batch in enumerate(batches):
        zoom = min(_ZOOM_MOST, room_left / sum(height for _, height in batch))
        inner = "".join(html for html, _ in batch) + (str(legend) if legend else "")
        style = f"zoom: {max(zoom, _ZOOM):.2f}"
        body = f'<figure class="{escape(classes)}" style="{style}">{inner}</figure>'
        notes = f"<p>{escape(caption.get_text(' ', strip=True))}</p>" if caption else ""
        yield Slide("figure", numbered(title, number, len(batches)), body, notes, weight=3)


def _drawings(figure: Tag) -> list[tuple[str, int]]:
    """Return each drawing with the line above it, and their height in pixels."""
    groups: list[tuple[str, int]] = []
    above = ""
    for child in figure.find_all(["p", "svg"], recursive=False):
        if child.name == "p":
            above = str(child)
            continue
        height = int(float(str(child["height"]))) + 10 + (_ARM if above else 0)
        groups.append((above + str(child), height))
        above = ""
    return groups


def _files_of(holder: nodes.Element) -> list[code_excerpt.File]:
    return [_file(block) for block in holder.findall(nodes.literal_block)]


def _file(block: nodes.Element) -> code_excerpt.File:
    parent = block.parent
    caption = parent.next_node(nodes.caption) if parent and parent.get("literal_block") else None
    options: dict[str, Any] = block.get("highlight_args", {})
    return code_excerpt.File(
        caption.astext() if caption else "",
        str(block.get("language", "text")),
        tuple(block.astext().splitlines()),
        tuple(options.get("hl_lines", ())),
    )


def _around(files: Sequence[code_excerpt.File]) -> int:
    return sum(_CODE_GAP + (_CAPTION if file.name else 0) for file in files)


def _lead_html(lead: Sequence[_Point]) -> str:
    told = "".join(f"<li>{point.html_inside}</li>" for point in lead)
    return f'<ul class="lead">{told}</ul>' if lead else ""


def _lead_height(lead: Sequence[_Point]) -> int:
    return sum(lines(one.text, 82) * _LEAD_LINE for one in lead) + (_LEAD_GAP if lead else 0)


def _files_notes(columns: Sequence[_Column], folded: str) -> str:
    told = [f"<p>{escape(one.head.astext())}: {escape(_told(one.files))}</p>" for one in columns]
    return "".join(told) + (f"<p>The chapter also has: {escape(folded)}.</p>" if folded else "")


def _told(files: Sequence[code_excerpt.File]) -> str:
    return "; ".join(f"{one.name or 'a listing'}, {len(one.lines)} lines" for one in files)


def _cells(row: nodes.Node) -> list[str]:
    return [cell.astext().replace("\n", " ") for cell in row.children]


def _row_height(row: nodes.Node, widths: Sequence[int]) -> int:
    total = sum(widths)
    needed = [
        lines(text, max(1, _WIDTH * width / total / _CELL_LETTER - 3))
        for text, width in zip(_cells(row), widths, strict=True)
    ]
    return max(needed) * _CELL_LINE + _CELL_GAP
