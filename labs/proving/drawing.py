"""What the figures of recorded results share: an axis, its ticks, bars, labels and tables.

A drawing is an inline SVG without a library: it takes the colours of the page around it, and
falls back to ones that can be told on light and on dark where there is no style sheet.
Positions are shares of the width, so that it fits a telephone without shrinking its letters.
What a colour says is told by a shape or a word too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

from .claims import Claim
from .errors import ClaimsFileError
from .recorded import Record
from .show import ARMS

Read = TypeVar("Read")

BAD = "var(--pg-bad, #c8601e)"
GOOD = "var(--pg-good, #1f87a8)"
OTHER = "var(--pg-other, #808080)"
PAPER = "var(--pg-paper, #ffffff)"
ARM_COLOURS = {"bad": BAD, "good": GOOD}

BAR = 12
"""The height of a bar, in pixels."""

LABEL = 18
"""The height of a line of text above a bar, in pixels."""

_EDGE = 0.04
_MOST_TICKS = 6
_XHTML = "http://www.w3.org/1999/xhtml"


@dataclass(frozen=True)
class Axis:
    """What the left and the right edge of a drawing stand for, in seconds or in bytes."""

    start: float
    end: float

    def share(self, value: float) -> float:
        """Return where a value lies, from 0 at the left to 1 at the right edge."""
        return min(1.0, max(0.0, (value - self.start) / (self.end - self.start)))

    def at(self, value: float) -> str:
        """Return where a value lies as a share of the drawing's width, in percent."""
        return f"{100 * self.share(value):.2f}%"

    def inward(self, value: float) -> str:
        """Return the text anchor that keeps a name beside a value within the drawing."""
        return "end" if self.share(value) > 0.6 else "start"

    def ticks(self) -> list[float]:
        """Return at most seven round values between the edges."""
        step = _step((self.end - self.start) / _MOST_TICKS)
        first, last = math.ceil(self.start / step), math.floor(self.end / step)
        return [round(number * step, 6) for number in range(first, last + 1)]


def _step(least: float) -> float:
    """Return the first of 1, 2, 5, 10, … (or its tenths) that is no less than `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)


def of_arms(record: Record, key: str, what: str, arms: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a result carries under `key` for each arm, or for some arms, bad and good first.

    Raises:
        ClaimsFileError: the result has none, or not one of every arm that is asked for; `what`
            names it in the sentence.
    """
    told = record.get(key) or {}
    asked = [arm.replace("-", "_") for arm in arms]
    missing = [arm for arm in asked if not told.get(arm)]
    if missing or not told:
        of_arm = f" of {', '.join(missing)}" if missing else ""
        raise ClaimsFileError(f"The recorded result of {record.get('id')} has no {what}{of_arm}.")
    chosen = asked or list(told)
    order = [*(arm for arm in ARMS if arm in chosen), *(arm for arm in chosen if arm not in ARMS)]
    return {arm: told[arm] for arm in order}


def read_arms(
    record: Record, key: str, what: str, read: Callable[[str, Any], Read], arms: Sequence[str] = ()
) -> dict[str, Read]:
    """Return what `read` makes of each arm and what a result carries for it; see `of_arms`.

    Raises:
        ClaimsFileError: what `of_arms` raises; or an arm lacks what is read, or has it otherwise.
    """
    found = {}
    for arm, told in of_arms(record, key, what, arms).items():
        try:
            found[arm] = read(arm, told)
        except KeyError as error:
            raise ClaimsFileError(
                f"The recorded result of {record.get('id')} has no {error.args[0]} in the {what} "
                f"of {arm}."
            ) from error
        except (TypeError, ValueError) as error:
            raise ClaimsFileError(
                f"The recorded result of {record.get('id')} tells the {what} of {arm} in another "
                f"form than is drawn: {error}."
            ) from error
    return found


def named(arm: str) -> str:
    """Return the name of an arm with its mark, as HTML."""
    return f"{ARMS.get(arm, '·')} {escape(arm.replace('-', ' ').replace('_', ' '))}"


def full_name(claim: Claim, arm: str) -> str:
    """Return the claim, the arm and what the arm is, as plain text."""
    what = {"bad": claim.bad, "good": claim.good, **claim.also}.get(arm, "").replace("`", "")
    return f"{claim.id}, {arm}: {what}" if what else f"{claim.id}, {arm}"


def svg(title: str, told: str, height: int, parts: Iterable[str]) -> str:
    """Return a drawing; `told` says the same in sentences to those who do not see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="100%" height="{height}" '
        f'font-family="inherit" font-size="12" fill="currentColor" overflow="visible">\n'
        f"<title>{escape(title)}</title>\n"
        f"<desc>{escape(told)}</desc>\n" + "\n".join(parts) + "\n</svg>"
    )


def scale(axis: Axis, top: int, floor: int, tell: Callable[[float], str]) -> Iterable[str]:
    """Draw the axis at `floor` with its ticks up to `top`; what `tell` says nothing of has none."""
    yield (
        f'<line x1="0" x2="100%" y1="{floor}" y2="{floor}" stroke="currentColor" '
        f'stroke-opacity="0.6"/>'
    )
    for tick in axis.ticks():
        told = tell(tick)
        if not told:
            continue
        x, share = axis.at(tick), axis.share(tick)
        anchor = "start" if share < _EDGE else "end" if share > 1 - _EDGE else "middle"
        yield (
            f'<line x1="{x}" x2="{x}" y1="{top}" y2="{floor + 4}" '
            f'stroke="currentColor" stroke-opacity="0.2"/>'
        )
        yield f'<text x="{x}" y="{floor + 17}" text-anchor="{anchor}">{told}</text>'


def bar(
    axis: Axis, span: tuple[float, float], y: int, colour: str, *, dotted: bool = False
) -> Iterable[str]:
    """Draw a bar between two values; one of a bad arm is `dotted`, told without colour."""
    yield from _start(axis, span, y, colour)
    yield f'<rect {_box(axis, span, y)} style="fill:{colour}"/>'
    if dotted:
        yield (
            f'<line {_middle(axis, span, y)} stroke="{PAPER}" stroke-width="2" '
            f'stroke-dasharray="2 6"/>'
        )


def striped(axis: Axis, span: tuple[float, float], y: int, colour: str) -> Iterable[str]:
    """Draw a bar of upright stripes within an outline between two values."""
    yield from _start(axis, span, y, colour)
    yield f'<rect {_box(axis, span, y)} fill="none" style="stroke:{colour}"/>'
    yield (
        f'<line {_middle(axis, span, y)} stroke-width="{BAR}" stroke-dasharray="2 3" '
        f'style="stroke:{colour}"/>'
    )


def _start(axis: Axis, span: tuple[float, float], y: int, colour: str) -> Iterable[str]:
    """Draw where a bar begins: that is all to be seen of one without a length."""
    x = axis.at(span[0])
    yield (
        f'<line x1="{x}" x2="{x}" y1="{y}" y2="{y + BAR}" stroke-width="2" '
        f'style="stroke:{colour}"/>'
    )


def _box(axis: Axis, span: tuple[float, float], y: int) -> str:
    width = 100 * (axis.share(span[1]) - axis.share(span[0]))
    return f'x="{axis.at(span[0])}" y="{y}" width="{width:.2f}%" height="{BAR}"'


def _middle(axis: Axis, span: tuple[float, float], y: int) -> str:
    middle = f"{y + BAR / 2:g}"
    return f'x1="{axis.at(span[0])}" x2="{axis.at(span[1])}" y1="{middle}" y2="{middle}"'


def symbol(x: str, y: int, path: str, style: str) -> str:
    """Draw a small path around the middle of a bar, in pixels."""
    return (
        f'<svg x="{x}" y="{y + BAR // 2}" width="1" height="1" overflow="visible">'
        f'<path d="{path}" style="{style}"/></svg>'
    )


def words(x: str, y: int, text: str, gap: int) -> str:
    """Write beside a bar; a line that passes behind leaves the letters legible."""
    return (
        f'<text x="{x}" dx="{gap}" y="{y + BAR - 2}" style="paint-order:stroke;'
        f'stroke:var(--pg-paper, transparent);stroke-width:5;stroke-linejoin:round">{text}</text>'
    )


def label(y: int, text: str, figure: str = "") -> str:
    """Write a line of text, cut with an ellipsis where the drawing is narrow, and a figure whole.

    An SVG cannot cut a text to a width that it does not know, so this is HTML within it.
    """
    paper = "background:var(--pg-paper, transparent)"
    whole = f'<span style="flex:none;{paper}">{escape(figure)}</span>' if figure else ""
    return (
        f'<foreignObject x="0" y="{y}" width="100%" height="{LABEL}">'
        f'<div xmlns="{_XHTML}" style="display:flex;justify-content:space-between;gap:0.8em;'
        f'white-space:nowrap;line-height:{LABEL}px"><span style="overflow:hidden;'
        f'text-overflow:ellipsis;{paper}">{escape(text)}</span>{whole}</div></foreignObject>'
    )


def figure(
    kind: str, arms: Mapping[str, tuple[str, str]], caption: str, legend: str, numbers: str
) -> str:
    """Return an HTML figure: a heading and a drawing for each arm, and what explains them.

    `arms` has for each arm what its heading says behind its name, and its drawing.
    """
    drawings = "\n".join(
        f'<p class="pg-arm pg-{escape(arm)}">{named(arm)}'
        f"{f'<span>: {escape(told)}</span>' if told else ''}</p>\n{drawing}"
        for arm, (told, drawing) in arms.items()
    )
    return (
        f'<figure class="pg-figure pg-{kind}">\n{drawings}\n'
        f"<figcaption>{caption}</figcaption>\n{legend}{numbers}\n</figure>"
    )


def legend(marks: Mapping[str, str]) -> str:
    """Return the list of what each mark means; a mark is drawn in 28 by 14 pixels."""
    items = "\n".join(
        f'<li><svg width="28" height="14" aria-hidden="true">{mark}</svg> {name}</li>'
        for name, mark in marks.items()
    )
    return f'<ul class="pg-legend">\n{items}\n</ul>\n'


Rows = Sequence[tuple[str, Sequence[str]]]


def numbers(summary: str, caption: str, heads: Sequence[str], groups: Mapping[str, Rows]) -> str:
    """Return the same numbers as a table to be unfolded.

    `groups` has rows by the name of their group, which stands above them unless it is empty; a
    row is its head and its cells, and both are HTML.
    """
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    bodies = "\n".join(_group(name, rows, len(heads)) for name, rows in groups.items())
    return (
        f"<details><summary>{summary}</summary>\n"
        f"<table><caption>{caption}</caption>\n"
        f"<thead><tr>{columns}</tr></thead>\n{bodies}</table></details>"
    )


def _group(name: str, rows: Rows, columns: int) -> str:
    head = f'<tr><th scope="rowgroup" colspan="{columns}">{name}</th></tr>\n' if name else ""
    told = "\n".join(
        f'<tr><th scope="row">{row}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for row, cells in rows
    )
    return f"<tbody>\n{head}{told}\n</tbody>"
