"""Figures drawn from recorded results: the timeline of a stop.

The drawing is an inline SVG without a library: it takes the colours of the page around it, and
falls back to ones that can be told on light and on dark where there is no style sheet.
Positions are shares of the width, so that it fits a telephone without shrinking its letters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .claims import Claim, humanize
from .errors import ClaimsFileError
from .recorded import Record
from .show import ARMS, MISSING

OUTCOMES = ("answered", "cut", "refused")

_COLOURS = {
    "bad": "var(--pg-bad, #c8601e)",
    "good": "var(--pg-good, #1f87a8)",
    "answered": "var(--pg-good, #1f87a8)",
    "cut": "var(--pg-bad, #c8601e)",
    "refused": "var(--pg-bad, #c8601e)",
}
_OTHER = "var(--pg-other, #808080)"
_LANE = 7
_UNITS = 10_000
_PROCESS = 40
_BAR = 12
_MOST_TICKS = 6


@dataclass(frozen=True)
class Request:
    """One request of the load, in seconds relative to TERM."""

    began: float
    ended: float
    outcome: str


@dataclass(frozen=True)
class Timeline:
    """What happened to one arm when it was stopped, in seconds relative to TERM."""

    arm: str
    grace_seconds: float
    died_at: float | None
    kill_at: float | None
    requests: tuple[Request, ...]

    def counted(self, outcome: str) -> int:
        """Return how many requests had this outcome."""
        return sum(request.outcome == outcome for request in self.requests)


@dataclass(frozen=True)
class _Axis:
    start: float
    end: float

    def share(self, second: float) -> float:
        """Return where a second lies, from 0 at the left to 1 at the right edge."""
        return min(1.0, max(0.0, (second - self.start) / (self.end - self.start)))

    def at(self, second: float) -> str:
        return f"{100 * self.share(second):.2f}%"

    def ticks(self) -> list[float]:
        step = _step((self.end - self.start) / _MOST_TICKS)
        first, last = math.ceil(self.start / step), math.floor(self.end / step)
        return [round(number * step, 6) for number in range(first, last + 1)]


def _step(least: float) -> float:
    """Return the first of 1, 2, 5, 10, … (or its tenths) that is no less than `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)


def timelines(record: Record, arms: Sequence[str] = ()) -> tuple[Timeline, ...]:
    """Return the timelines that a result carries, bad and good first, or those of some arms.

    Raises:
        ClaimsFileError: the result has none, or not one of every arm that is asked for.
    """
    told = record.get("timelines") or {}
    missing = [arm for arm in arms if arm not in told]
    if missing or not told:
        of_arm = f" of {', '.join(missing)}" if missing else ""
        raise ClaimsFileError(f"The recorded result of {record.get('id')} has no timeline{of_arm}.")
    told = {arm: told[arm] for arm in arms or told}
    order = [*(arm for arm in ARMS if arm in told), *(arm for arm in told if arm not in ARMS)]
    return tuple(_timeline(arm, told[arm]) for arm in order)


def _timeline(arm: str, told: Mapping[str, Any]) -> Timeline:
    return Timeline(
        arm=arm,
        grace_seconds=told.get("grace_seconds") or 0.0,
        died_at=told.get("died_at"),
        kill_at=told.get("kill_at"),
        requests=tuple(Request(**request) for request in told.get("requests", [])),
    )


def stop_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return the timeline of a stop as an HTML figure: a drawing for each arm, and its words.

    Raises:
        ClaimsFileError: the result carries no timeline, or none of one of the `arms` asked for.
    """
    lines = timelines(record, arms)
    axis = _axis(lines)
    described = {"bad": claim.bad, "good": claim.good, **claim.also}
    drawings = "\n".join(
        f'<p class="pg-arm pg-{escape(line.arm)}">{_named(line.arm)}</p>\n'
        f"{_drawing(claim, line, axis, described.get(line.arm, ''))}"
        for line in lines
    )
    loaded = any(line.requests for line in lines)
    return (
        f'<figure class="pg-timeline">\n{drawings}\n'
        f"<figcaption>{_caption(claim, axis, loaded)}</figcaption>\n"
        f"{_legend() if loaded else ''}{_words(lines, loaded)}\n</figure>"
    )


def _named(arm: str) -> str:
    return f"{ARMS.get(arm, '·')} {escape(arm.replace('-', ' '))}"


def _axis(lines: Sequence[Timeline]) -> _Axis:
    """Give every arm the same seconds, and the moment of TERM room for its name."""
    ends = [
        moment
        for line in lines
        for moment in (line.died_at, line.kill_at, *(r.ended for r in line.requests))
        if moment is not None
    ]
    end = max([*ends, 0.2])
    began = min([0.0, *(request.began for line in lines for request in line.requests)])
    start = max(began, -max(1.0, 0.4 * end))
    return _Axis(min(start, -0.12 * (end - start)), end + 0.04 * (end - start))


def _caption(claim: Claim, axis: _Axis, loaded: bool) -> str:
    what = (
        "Each thin line is a request, from its beginning to its end. "
        if loaded
        else "The wide bar is the life of process 1. "
    )
    return (
        f"Timeline of a stop, measured for claim {escape(claim.id)}: seconds after TERM. {what}"
        f"The picture begins {humanize(abs(axis.start), 's')} before TERM."
    )


def _drawing(claim: Claim, line: Timeline, axis: _Axis, what: str) -> str:
    lanes = _lanes(line.requests, axis)
    top = _PROCESS + _BAR + 26
    floor = top + len(lanes) * _LANE + (6 if lanes else 0)
    height = floor + 20
    parts = [
        *_ticks(axis, floor),
        *_grace(line, axis),
        *_process(line, axis),
        *_requests(lanes, axis, top),
        *_moments(line, axis, floor),
    ]
    name = f"{claim.id}, {line.arm}: {what}" if what else f"{claim.id}, {line.arm}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="100%" height="{height}" '
        f'font-family="inherit" font-size="12" fill="currentColor" overflow="visible">\n'
        f"<title>Timeline of a stop. {escape(name)}</title>\n"
        f"<desc>{escape(_sentence(line))}</desc>\n" + "\n".join(parts) + "\n</svg>"
    )


def _ticks(axis: _Axis, floor: int) -> Iterable[str]:
    yield (
        f'<line x1="0" x2="100%" y1="{floor}" y2="{floor}" stroke="currentColor" '
        f'stroke-opacity="0.6"/>'
    )
    for tick in axis.ticks():
        x = axis.at(tick)
        yield (
            f'<line x1="{x}" x2="{x}" y1="{_PROCESS - 4}" y2="{floor + 4}" '
            f'stroke="currentColor" stroke-opacity="0.2"/>'
        )
        yield f'<text x="{x}" y="{floor + 17}" text-anchor="middle">{_signed(tick)} s</text>'


def _signed(second: float) -> str:
    return f"{second:g}".replace("-", "−")


def _grace(line: Timeline, axis: _Axis) -> Iterable[str]:
    """The span that the process is given, as a bracket under its bar."""
    if not line.grace_seconds:
        return
    y = _PROCESS + _BAR + 5
    left, right = axis.at(0), axis.at(line.grace_seconds)
    stroke = 'stroke="currentColor" stroke-dasharray="3 3"'
    yield f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" {stroke}/>'
    if line.grace_seconds <= axis.end:
        yield f'<line x1="{right}" x2="{right}" y1="{y - 4}" y2="{y + 4}" stroke="currentColor"/>'
    more = "" if line.grace_seconds <= axis.end else " →"
    yield (
        f'<text x="{left}" dx="4" y="{y + 13}">'
        f"grace period of {line.grace_seconds:g} s{more}</text>"
    )


def _process(line: Timeline, axis: _Axis) -> Iterable[str]:
    end = 1.0 if line.died_at is None else axis.share(line.died_at)
    colour = _COLOURS.get(line.arm, _OTHER)
    yield (
        f'<rect x="0" y="{_PROCESS}" width="{100 * end:.2f}%" height="{_BAR}" '
        f'style="fill:{colour}"/>'
    )
    if line.arm == "bad":
        # Told by its texture where colours cannot be told.
        yield (
            f'<line x1="0" x2="{100 * end:.2f}%" y1="{_PROCESS + _BAR / 2:g}" '
            f'y2="{_PROCESS + _BAR / 2:g}" stroke="var(--pg-paper, #ffffff)" stroke-width="2" '
            f'stroke-dasharray="2 6"/>'
        )


def _moments(line: Timeline, axis: _Axis, floor: int) -> Iterable[str]:
    """TERM and KILL above, the end below them, so that no two names meet."""
    close = line.kill_at is not None and abs(axis.share(line.kill_at) - axis.share(0)) < 0.15
    beside = "end" if close else "middle"
    yield from _moment("TERM", 0.0, axis, span=(12, floor), anchor=beside)
    if line.kill_at is not None:
        beside = "start" if close else _inward(line.kill_at, axis)
        yield from _moment("KILL", line.kill_at, axis, span=(12, floor), anchor=beside)
    if line.died_at is not None:
        told = f"ended after {humanize(line.died_at, 's')}"
        beside = _inward(line.died_at, axis)
        yield from _moment(told, line.died_at, axis, span=(28, _PROCESS + _BAR), anchor=beside)


def _inward(second: float, axis: _Axis) -> str:
    """Return the text anchor that keeps a name within the drawing."""
    return "end" if axis.share(second) > 0.6 else "start"


def _moment(
    name: str, second: float, axis: _Axis, *, span: tuple[int, int], anchor: str
) -> Iterable[str]:
    x, (y, floor) = axis.at(second), span
    gap = {"start": 5, "middle": 0, "end": -5}[anchor]
    yield (
        f'<line x1="{x}" x2="{x}" y1="{y + 3}" y2="{floor}" stroke="currentColor" '
        f'stroke-width="1.5"/>'
    )
    yield (
        f'<text x="{x}" dx="{gap}" y="{y}" text-anchor="{anchor}" font-weight="600">{name}</text>'
    )


def _lanes(requests: Iterable[Request], axis: _Axis) -> list[list[Request]]:
    """Put requests that overlap in time on lanes of their own."""
    lanes: list[list[Request]] = []
    for request in sorted(requests, key=lambda request: request.began):
        if request.ended < axis.start:
            continue
        free = next((lane for lane in lanes if lane[-1].ended <= request.began), None)
        if free is None:
            lanes.append([request])
        else:
            free.append(request)
    return lanes


def _requests(lanes: Sequence[Sequence[Request]], axis: _Axis, top: int) -> Iterable[str]:
    """One path for each outcome: solid, dashed with a stop at its end, or a stop alone."""
    if not lanes:
        return
    height = len(lanes) * _LANE
    yield (
        f'<svg x="0" y="{top}" width="100%" height="{height}" '
        f'viewBox="0 0 {_UNITS} {height}" preserveAspectRatio="none" overflow="visible">'
    )
    for outcome in OUTCOMES:
        bars, stops = _paths(lanes, axis, outcome)
        dashes = ' stroke-dasharray="4 2"' if outcome == "cut" else ""
        style = f'fill="none" vector-effect="non-scaling-stroke" style="stroke:{_COLOURS[outcome]}"'
        if bars:
            yield f'<path d="{bars}" stroke-width="3"{dashes} {style}/>'
        if stops:
            yield f'<path d="{stops}" stroke-width="2" {style}/>'
    yield "</svg>"


def _paths(lanes: Sequence[Sequence[Request]], axis: _Axis, outcome: str) -> tuple[str, str]:
    bars, stops = [], []
    for number, lane in enumerate(lanes):
        middle = number * _LANE + _LANE / 2
        for request in lane:
            if request.outcome != outcome:
                continue
            left = round(_UNITS * axis.share(request.began))
            right = round(_UNITS * axis.share(request.ended))
            if outcome != "refused":
                bars.append(f"M{left} {middle:g}h{max(right - left, 1)}")
            if outcome != "answered":
                stops.append(f"M{right} {middle - 3:g}v6")
    return "".join(bars), "".join(stops)


def _legend() -> str:
    marks = {
        "answered": '<path d="M1 7h26" stroke-width="3"/>',
        "cut": '<path d="M1 7h25" stroke-width="3" stroke-dasharray="4 2"/>'
        '<path d="M27 2v10" stroke-width="2"/>',
        "refused": '<path d="M14 2v10" stroke-width="2"/>',
    }
    items = "\n".join(
        f'<li><svg width="28" height="14" aria-hidden="true" '
        f'style="stroke:{_COLOURS[outcome]}">{mark}</svg> {outcome}</li>'
        for outcome, mark in marks.items()
    )
    return f'<ul class="pg-legend">\n{items}\n</ul>\n'


def _words(lines: Sequence[Timeline], loaded: bool) -> str:
    """The same numbers as a table, for those who do not see the drawing."""
    counted = OUTCOMES if loaded else ()
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("Arm", "Grace period", "KILL", "Process ended", *counted)
    )
    rows = "\n".join(
        f'<tr><th scope="row">{_named(line.arm)}</th>'
        f"<td>{line.grace_seconds:g} s</td><td>{_after(line.kill_at, 'not sent')}</td>"
        f"<td>{_after(line.died_at, MISSING)}</td>"
        + "".join(f"<td>{line.counted(outcome)}</td>" for outcome in counted)
        + "</tr>"
        for line in lines
    )
    return (
        "<details><summary>The timeline in numbers</summary>\n"
        "<table><caption>Seconds after TERM, and requests by their outcome</caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></details>"
    )


def _after(moment: float | None, without: str) -> str:
    return without if moment is None else humanize(moment, "s")


def _sentence(line: Timeline) -> str:
    parts = [
        f"TERM is sent at 0 seconds, with a grace period of {line.grace_seconds:g} seconds.",
        "KILL is not sent."
        if line.kill_at is None
        else f"KILL is sent after {humanize(line.kill_at, 's')}.",
        "The process is not seen to end."
        if line.died_at is None
        else f"The process ends after {humanize(line.died_at, 's')}.",
    ]
    if line.requests:
        told = ", ".join(f"{line.counted(outcome)} {outcome}" for outcome in OUTCOMES)
        parts.append(f"Requests: {told}.")
    return " ".join(parts)
