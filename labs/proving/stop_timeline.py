"""The timeline of a stop, drawn from a recorded result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from . import drawing
from .claims import Claim, humanize
from .drawing import BAR, Axis
from .recorded import Record
from .show import MISSING

OUTCOMES = ("answered", "cut", "refused")

_COLOURS = {"answered": drawing.GOOD, "cut": drawing.BAD, "refused": drawing.BAD}
_LANE = 7
_UNITS = 10_000
_PROCESS = 40


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


def timelines(record: Record, arms: Sequence[str] = ()) -> tuple[Timeline, ...]:
    """Return the timelines that a result carries, bad and good first, or those of some arms.

    Raises:
        ClaimsFileError: the result has none, not one of every arm that is asked for, or one
            without what is to be drawn.
    """
    return tuple(drawing.read_arms(record, "timelines", "timeline", _timeline, arms).values())


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
    loaded = any(line.requests for line in lines)
    return drawing.figure(
        "timeline",
        {line.arm: ("", _drawing(claim, line, axis)) for line in lines},
        _caption(claim, axis, loaded),
        _legend() if loaded else "",
        _words(lines, loaded),
    )


def _axis(lines: Sequence[Timeline]) -> Axis:
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
    return Axis(min(start, -0.12 * (end - start)), end + 0.04 * (end - start))


def _caption(claim: Claim, axis: Axis, loaded: bool) -> str:
    what = (
        "Each thin line is a request, from its beginning to its end. "
        if loaded
        else "The wide bar is the life of process 1. "
    )
    return (
        f"Timeline of a stop, measured for claim {escape(claim.id)}: seconds after TERM. {what}"
        f"The picture begins {humanize(abs(axis.start), 's')} before TERM."
    )


def _drawing(claim: Claim, line: Timeline, axis: Axis) -> str:
    lanes = _lanes(line.requests, axis)
    top = _PROCESS + BAR + 26
    floor = top + len(lanes) * _LANE + (6 if lanes else 0)
    parts = [
        *drawing.scale(axis, _PROCESS - 4, floor, lambda tick: f"{_signed(tick)} s"),
        *_grace(line, axis),
        *_process(line, axis),
        *_requests(lanes, axis, top),
        *_moments(line, axis, floor),
    ]
    title = f"Timeline of a stop. {drawing.full_name(claim, line.arm)}"
    return drawing.svg(title, _sentence(line), floor + 20, parts)


def _signed(second: float) -> str:
    return f"{second:g}".replace("-", "−")


def _grace(line: Timeline, axis: Axis) -> Iterable[str]:
    """The span that the process is given, as a bracket under its bar."""
    if not line.grace_seconds:
        return
    y = _PROCESS + BAR + 5
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


def _process(line: Timeline, axis: Axis) -> Iterable[str]:
    end = axis.end if line.died_at is None else line.died_at
    colour = drawing.ARM_COLOURS.get(line.arm, drawing.OTHER)
    return drawing.bar(axis, (axis.start, end), _PROCESS, colour, dotted=line.arm == "bad")


def _moments(line: Timeline, axis: Axis, floor: int) -> Iterable[str]:
    """TERM and KILL above, the end below them, so that no two names meet."""
    close = line.kill_at is not None and abs(axis.share(line.kill_at) - axis.share(0)) < 0.15
    beside = "end" if close else "middle"
    yield from _moment("TERM", 0.0, axis, span=(12, floor), anchor=beside)
    if line.kill_at is not None:
        beside = "start" if close else axis.inward(line.kill_at)
        yield from _moment("KILL", line.kill_at, axis, span=(12, floor), anchor=beside)
    if line.died_at is not None:
        told = f"ended after {humanize(line.died_at, 's')}"
        beside = axis.inward(line.died_at)
        yield from _moment(told, line.died_at, axis, span=(28, _PROCESS + BAR), anchor=beside)


def _moment(
    name: str, value: float, axis: Axis, *, span: tuple[int, int], anchor: str
) -> Iterable[str]:
    x, (y, floor) = axis.at(value), span
    gap = {"start": 5, "middle": 0, "end": -5}[anchor]
    yield (
        f'<line x1="{x}" x2="{x}" y1="{y + 3}" y2="{floor}" stroke="currentColor" '
        f'stroke-width="1.5"/>'
    )
    yield (
        f'<text x="{x}" dx="{gap}" y="{y}" text-anchor="{anchor}" font-weight="600">{name}</text>'
    )


def _lanes(requests: Iterable[Request], axis: Axis) -> list[list[Request]]:
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


def _requests(lanes: Sequence[Sequence[Request]], axis: Axis, top: int) -> Iterable[str]:
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


def _paths(lanes: Sequence[Sequence[Request]], axis: Axis, outcome: str) -> tuple[str, str]:
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
    return drawing.legend(
        {
            outcome: f'<g fill="none" style="stroke:{_COLOURS[outcome]}">{mark}</g>'
            for outcome, mark in marks.items()
        }
    )


def _words(lines: Sequence[Timeline], loaded: bool) -> str:
    """The same numbers as a table, for those who do not see the drawing."""
    counted = OUTCOMES if loaded else ()
    rows = [
        (
            drawing.named(line.arm),
            [
                f"{line.grace_seconds:g} s",
                _after(line.kill_at, "not sent"),
                _after(line.died_at, MISSING),
                *(str(line.counted(outcome)) for outcome in counted),
            ],
        )
        for line in lines
    ]
    return drawing.numbers(
        "The timeline in numbers",
        "Seconds after TERM, and requests by their outcome",
        ("Arm", "Grace period", "KILL", "Process ended", *counted),
        {"": rows},
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
