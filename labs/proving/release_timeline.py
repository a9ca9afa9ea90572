"""The timeline of a release under load, drawn from a recorded result: who answered, who was away.

Answers are counted in steps of time, and all arms have the same seconds and the same height.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from . import drawing
from .claims import Claim, humanize
from .drawing import BAR, LABEL, Axis
from .recorded import Record

KEY = "releases"
"""Under which name a record has the timelines, by arm."""

ROWS = {
    "old": ("Answered by the old release", drawing.OTHER),
    "new": ("Answered by the new release", drawing.GOOD),
    "failed": ("Failed", drawing.BAD),
}

_BEFORE_SECONDS = 2.0
_BEFORE_SHARE = 0.2
_MOMENTS = 20
_STRIP = 24
_GAP = 6
_UNITS = 10_000


@dataclass(frozen=True)
class Release:
    """A release of one arm, in seconds after its beginning; `counts` are answers by step."""

    arm: str
    start: float
    step_seconds: float
    counts: Mapping[str, Sequence[int]]
    away: Sequence[tuple[float, float]]
    over: float

    @property
    def end(self) -> float:
        """The end of the last step."""
        return self.start + self.step_seconds * max(len(row) for row in self.counts.values())

    @property
    def away_seconds(self) -> float:
        """For how long the web server gave no answer."""
        return sum(until - since for since, until in self.away)


def releases(record: Record, arms: Sequence[str] = ()) -> tuple[Release, ...]:
    """Return the releases that a result carries, bad and good first, or those of some arms.

    Raises:
        ClaimsFileError: the result has none, not one of every arm that is asked for, or one
            without what is to be drawn.
    """
    return tuple(drawing.read_arms(record, KEY, "release", _release, arms).values())


def _release(arm: str, told: Mapping[str, Any]) -> Release:
    return Release(
        arm=arm,
        start=float(told["start"]),
        step_seconds=float(told["step_seconds"]),
        counts={name: told[name] for name in ROWS},
        away=[(float(since), float(until)) for since, until in told["away"]],
        over=float(told["over"]),
    )


def release_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return releases under load as an HTML figure: four rows for each arm, on one axis.

    Raises:
        ClaimsFileError: the result carries no release, or none of one of the `arms` asked for.
    """
    found = releases(record, arms)
    end = max(one.end for one in found)
    axis = Axis(-max(_BEFORE_SECONDS, _BEFORE_SHARE * end), end)
    most = max(1, *(count for one in found for row in one.counts.values() for count in row))
    return drawing.figure(
        "release",
        {one.arm: (_headline(one), _drawing(claim, one, axis, most)) for one in found},
        f"Releases under load, measured for claim {escape(claim.id)}: seconds after the release "
        f"began. A column is what was answered, or failed, within {found[0].step_seconds:g} s; "
        f"the tallest is {most}. The picture begins {humanize(-axis.start, 's')} before the "
        "release, and the numbers are those of the whole load.",
        "",
        _numbers(found),
    )


def _total(one: Release, row: str) -> int:
    return sum(one.counts[row])


def _headline(one: Release) -> str:
    sent = sum(_total(one, row) for row in ROWS)
    return f"{_total(one, 'failed'):,} of {sent:,} requests failed"


def _away(one: Release) -> str:
    return humanize(one.away_seconds, "s") if one.away else "never"


def _drawing(claim: Claim, one: Release, axis: Axis, most: int) -> str:
    lane = LABEL + _STRIP + _GAP
    floor = _MOMENTS + len(ROWS) * lane + LABEL + BAR + _GAP
    parts = [
        *drawing.scale(axis, _MOMENTS, floor, lambda tick: f"{tick:g} s".replace("-", "−")),
        *_moments(one, axis, floor),
    ]
    for number, (row, (name, _)) in enumerate(ROWS.items()):
        y = _MOMENTS + number * lane
        parts += [
            drawing.label(y, name, f"{_total(one, row):,}"),
            _columns(one, row, axis, most, y + LABEL),
        ]
    y = _MOMENTS + len(ROWS) * lane
    parts.append(drawing.label(y, "Web server away", _away(one)))
    for span in one.away:
        parts += drawing.bar(axis, span, y + LABEL, drawing.BAD, dotted=True)
    title = f"A release under load. {drawing.full_name(claim, one.arm)}"
    return drawing.svg(title, _sentence(one), floor + 20, parts)


def _moments(one: Release, axis: Axis, floor: int) -> Iterable[str]:
    """The beginning of the release and its end, as lines with their names above the rows."""
    beside = axis.inward(one.over)
    for value, told, anchor in (
        (0.0, "release", "end"),
        (one.over, f"replaced after {humanize(one.over, 's')}", beside),
    ):
        x, gap = axis.at(value), 5 if anchor == "start" else -5
        yield (
            f'<line x1="{x}" x2="{x}" y1="3" y2="{floor}" stroke="currentColor" '
            f'stroke-width="1.5"/>'
        )
        style = f'text-anchor="{anchor}" font-weight="600"'
        yield f'<text x="{x}" dx="{gap}" y="12" {style}>{told}</text>'


def _columns(one: Release, row: str, axis: Axis, most: int, top: int) -> str:
    """A column for each step: as one path, which is stretched to the width of the drawing."""
    path = []
    for number, count in enumerate(one.counts[row]):
        since = one.start + number * one.step_seconds
        if not count or since < axis.start:
            continue
        left = round(_UNITS * axis.share(since))
        width = max(1, round(_UNITS * axis.share(since + one.step_seconds)) - left)
        path.append(f"M{left} {_STRIP}v{-max(2.0, _STRIP * count / most):.1f}h{width}V{_STRIP}z")
    return (
        f'<svg x="0" y="{top}" width="100%" height="{_STRIP}" '
        f'viewBox="0 0 {_UNITS} {_STRIP}" preserveAspectRatio="none">'
        f'<path d="{"".join(path) or "M0 0"}" style="fill:{ROWS[row][1]}"/></svg>'
    )


def _numbers(found: Sequence[Release]) -> str:
    rows = [
        (
            drawing.named(one.arm),
            [*(f"{_total(one, row):,}" for row in ROWS), _away(one), humanize(one.over, "s")],
        )
        for one in found
    ]
    heads = (
        "Arm",
        *(name for name, _ in ROWS.values()),
        "Web server away",
        "Containers replaced after",
    )
    caption = "Requests by what became of them, and the web server"
    return drawing.numbers("The releases in numbers", caption, heads, {"": rows})


def _sentence(one: Release) -> str:
    away = (
        f"The web server is away for {_away(one)}." if one.away else "The web server is never away."
    )
    told = [f"{name}: {_total(one, row):,}." for row, (name, _) in ROWS.items()]
    return " ".join([f"All containers are replaced after {humanize(one.over, 's')}.", *told, away])
