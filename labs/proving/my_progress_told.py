"""The reader's progress told: on a terminal, in a notebook, and on the guide's own server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from . import claims
from .audit.telling import page_of, title_of
from .audit.text import printable
from .claims import Claim, Verdict
from .my_progress import Entry, Progress, file
from .show import SYMBOLS, date_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

NOT_TRIED = "not tried yet"
_EXERCISES = {"passed": "●", "not yet": "◐", "failed": "▲", NOT_TRIED: "○"}
TURNS = ("your turn", "your turn again")
"""What the first and the second exercise of a chapter are called, as on its page."""

_WIDTH = 12
_WITH_BARS, _WITH_COLUMNS = 73, 59
_LEFT = 'style="text-align:left"'

Link = Callable[[str], str]
"""Makes an address of a path on the site, such as `chapters/04-layer-size.html`."""


@dataclass(frozen=True)
class Chapter:
    """How a chapter stands: each claim that its lab proves, and each exercise, by its id.

    Its exercises are in the order of its page.
    """

    slug: str
    claims: Mapping[str, Entry | None]
    exercises: Mapping[str, Entry | None]

    @property
    def proved(self) -> int:
        """How many of its claims were proved here, ever."""
        return _done(self.claims)

    @property
    def passed(self) -> int:
        """How many of its exercises were passed here, ever."""
        return _done(self.exercises)

    @property
    def turns(self) -> list[tuple[str, Entry | None]]:
        """Its exercises by the titles that they have on its page, or else by their names."""
        entries = self.exercises.items()
        titles = [*TURNS, *list(self.exercises)[len(TURNS) :]]
        return [(title, entry) for title, (_, entry) in zip(titles, entries, strict=False)]

    @property
    def last_at(self) -> str:
        """When something of it was run last; empty where nothing was."""
        entries = [*self.claims.values(), *self.exercises.values()]
        return max((entry.last_at for entry in entries if entry), default="")


def _done(entries: Mapping[str, Entry | None]) -> int:
    return sum(bool(entry and entry.done_at) for entry in entries.values())


def chapters(progress: Progress) -> list[Chapter]:
    """Return how every chapter that has a lab stands, in the guide's order."""
    proved: dict[str, list[Claim]] = {}
    for claim in claims.load().values():
        if claim.proved_by_a_lab:
            proved.setdefault(claim.chapter, []).append(claim)
    return [
        Chapter(
            slug,
            {claim.id: progress.claims.get(claim.id) for claim in listed},
            {name: progress.exercises.get(name) for name in claims.exercises_of(slug)},
        )
        for slug, listed in proved.items()
    ]


def turns_text(told: Sequence[Chapter], title: str) -> str:
    """Return how many of the exercises that are called so were passed, of how many."""
    entries = [entry for chapter in told for name, entry in chapter.turns if name == title]
    return f"{sum(bool(entry and entry.done_at) for entry in entries)} of {len(entries)}"


def claim_text(entry: Entry | None) -> str:
    """Return how a claim stands, in words and with its symbol."""
    if entry is None:
        return f"○ {NOT_TRIED}"
    if entry.done_at:
        return f"{SYMBOLS[Verdict.HOLDS]} proved"
    return f"{SYMBOLS[Verdict(entry.outcome)]} {entry.outcome}"


def exercise_texts(chapter: Chapter) -> list[str]:
    """Return how each exercise of a chapter stands: its symbol, which one it is, and in words."""
    return [_exercise(title, entry) for title, entry in chapter.turns]


def _exercise(title: str, entry: Entry | None) -> str:
    outcome = NOT_TRIED if entry is None else "passed" if entry.done_at else entry.outcome
    return f"{_EXERCISES[outcome]} {title}: {outcome}"


def summary(told: list[Chapter]) -> str:
    """Return the sum of all chapters in a sentence."""
    claims_told = f"{sum(one.proved for one in told)} of {sum(len(one.claims) for one in told)}"
    passed = f"{sum(one.passed for one in told)} of {sum(len(one.exercises) for one in told)}"
    return f"{claims_told} claims proved and {passed} exercises passed on this machine."


def where_text(progress: Progress) -> str:
    """Return where the progress is kept, and what is the matter with it."""
    path = file()
    if path is None:
        return "Nothing is kept: PROVING_PROGRESS is none."
    lost = f" {progress.damaged} lines of it could not be read." if progress.damaged else ""
    return f"Kept in {path}, on this machine alone.{lost}"


def report(progress: Progress) -> RenderableType:
    """Return the progress, for a console of `rich`."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    told = chapters(progress)
    name = f" of {printable(progress.name)}" if progress.name else ""
    parts: list[RenderableType] = [
        Text(f"Progress{name}", style="bold"),
        Text(),
        Padding(_Grid(told), (0, 0, 0, 1)),
        Text(),
        Text(summary(told)),
    ]
    if progress.preflight:
        parts.append(Text(f"Preflight: {progress.preflight}, {date_text(progress.preflight_at)}."))
    parts.append(Text(where_text(progress), style="dim"))
    return Group(*parts)


@dataclass(frozen=True)
class _Grid:
    """A row for each chapter; a narrow terminal has no bars, and a very narrow one no columns."""

    told: Sequence[Chapter]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        from rich.table import Table
        from rich.text import Text

        if options.max_width < _WITH_COLUMNS:
            yield from (Text(_stacked(chapter)) for chapter in self.told)
            return
        bars = options.max_width >= _WITH_BARS
        grid = Table.grid(padding=(0, 2))
        grid.add_column()
        for _ in range(3 if bars else 2):
            grid.add_column(no_wrap=True)
        for chapter in self.told:
            bar = Text(_bar(chapter.proved, len(chapter.claims)), style="cyan")
            grid.add_row(
                Text(title_of(chapter.slug)),
                *([bar] if bars else []),
                Text(f"{chapter.proved} of {len(chapter.claims)}"),
                Text("\n".join(exercise_texts(chapter))),
            )
        yield grid


def _stacked(chapter: Chapter) -> str:
    first = f"{title_of(chapter.slug)}: {chapter.proved} of {len(chapter.claims)}"
    return "\n  ".join([first, *exercise_texts(chapter)])


def _bar(done: int, of: int) -> str:
    filled = round(_WIDTH * done / of) if of else 0
    return "▰" * filled + "▱" * (_WIDTH - filled)


def html(progress: Progress, link: Link) -> str:
    """Return the progress as HTML that reads well without a style sheet: a table and a sentence."""
    told = chapters(progress)
    name = f" of {escape(printable(progress.name))}" if progress.name else ""
    rows = "\n".join(_row(chapter, link) for chapter in told)
    preflight = ""
    if progress.preflight:
        day = date_text(progress.preflight_at)
        preflight = f"<p>Preflight: <code>{escape(progress.preflight)}</code>, {day}.</p>"
    return (
        '<div class="pg-card pg-progress"><table>\n'
        f"<caption><strong>Progress{name}</strong> · {escape(summary(told))}</caption>\n"
        f'<thead><tr><th scope="col" {_LEFT}>Chapter</th><th scope="col" {_LEFT}>Claims proved</th>'
        f'<th scope="col" {_LEFT}>Exercises</th></tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table>\n"
        f'{preflight}<p class="pg-what">{escape(where_text(progress))}</p></div>'
    )


def _row(chapter: Chapter, link: Link) -> str:
    title, day, of = escape(title_of(chapter.slug)), "", len(chapter.claims)
    if chapter.last_at:
        last = date_text(chapter.last_at)
        day = f'<br><small class="pg-what" style="font-weight:normal">{last}</small>'
    page = link(f"chapters/{chapter.slug}.html")
    listed = " ".join(_claim(name, entry, link) for name, entry in chapter.claims.items())
    exercises = "<br>".join(map(escape, exercise_texts(chapter)))
    return (
        f'<tr><th scope="row" {_LEFT}><a href="{page}">{title}</a>{day}</th>'
        f"<td {_LEFT}>{chapter.proved} of {of} "
        f'<meter aria-hidden="true" min="0" max="{of}" value="{chapter.proved}"></meter>'
        f'<br><span class="pg-what">{listed}</span></td>'
        f"<td {_LEFT}>{exercises}</td></tr>"
    )


def _claim(name: str, entry: Entry | None, link: Link) -> str:
    told = claim_text(entry)
    return (
        f'<a href="{link(page_of(name))}" title="{escape(told)}" '
        f'aria-label="{name}: {escape(told[2:])}">{told[0]}&nbsp;{name}</a>'
    )


def show(progress: Progress) -> None:
    """Display the progress in a notebook; print it anywhere else."""
    from . import terminal

    shell = None
    try:
        from IPython import get_ipython
    except ImportError:
        pass
    else:
        shell = get_ipython()
    if shell is None:
        terminal.show(report(progress))
        return
    from IPython.display import display

    text = terminal.text_of(report(progress), width=80)
    display({"text/html": html(progress, _notebook), "text/plain": text}, raw=True)


def _notebook(path: str) -> str:
    """Return the notebook beside this one in which the claims of a chapter's page are proved."""
    return path.removeprefix("chapters/").partition(".html")[0] + ".ipynb"
