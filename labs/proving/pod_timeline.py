"""The timeline of pods under load: pods, endpoints, restarts and failed requests, as recorded.

All rows have one axis of seconds, which all arms share, as they share the heights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from . import drawing
from .claims import Claim
from .drawing import LABEL, Axis
from .recorded import Record

KEY = "pod_timelines"
"""Under which name a record has the timelines, by arm."""

STEP_SECONDS = 0.5
"""The width of a column of failed requests."""

_BEFORE_SECONDS = 2.0
_BEFORE_SHARE = 0.2
_MOMENTS = 20
_STRIP = 24
_GAP = 6
_UNITS = 10_000
_MARK = "M0 -6L5 4L-5 4z"


@dataclass(frozen=True)
class Seen:
    """What a sample has seen, and when."""

    at: float
    pods: int
    endpoints: int
    restarts: int


@dataclass(frozen=True)
class Failed:
    """The requests that failed for one cause, and when."""

    cause: str
    at: Sequence[float]


@dataclass(frozen=True)
class Trial:
    """A trial of one arm, in seconds after what it is about."""

    arm: str
    start: float
    end: float
    sent: int
    moments: Sequence[tuple[float, str]]
    samples: Sequence[Seen]
    failures: Sequence[Failed]

    @property
    def failed(self) -> int:
        """How many requests have failed."""
        return sum(len(failure.at) for failure in self.failures)

    @property
    def causes(self) -> Mapping[str, int]:
        """How many requests have failed for each cause, the most frequent first."""
        counts: Counter[str] = Counter()
        for failure in self.failures:
            counts[failure.cause] += len(failure.at)
        return dict(counts.most_common())

    @property
    def restarts(self) -> Sequence[float]:
        """When a container was restarted."""
        return [
            two.at
            for one, two in pairwise(self.samples)
            for _ in range(two.restarts - one.restarts)
        ]

    def columns(self) -> Mapping[int, int]:
        """Return how many requests failed in each step that has some."""
        return Counter(int(at // STEP_SECONDS) for failure in self.failures for at in failure.at)


def trials(record: Record, arms: Sequence[str] = ()) -> tuple[Trial, ...]:
    """Return the trials that a result carries, bad and good first, or those of some arms.

    Raises:
        ClaimsFileError: the result has none, not one of every arm that is asked for, or one
            without what is to be drawn.
    """
    return tuple(drawing.read_arms(record, KEY, "timeline of pods", _trial, arms).values())


def _trial(arm: str, told: Mapping[str, Any]) -> Trial:
    return Trial(
        arm=arm,
        start=float(told["start"]),
        end=float(told["end"]),
        sent=int(told["sent"]),
        moments=[(float(at), str(what)) for at, what in told["moments"]],
        samples=[Seen(*sample) for sample in told["samples"]],
        failures=[Failed(one["cause"], one["at"]) for one in told["failed"]],
    )


def pod_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return trials as an HTML figure: four rows for each arm, on one axis.

    Raises:
        ClaimsFileError: the result carries no trial, or none of one of the `arms` asked for.
    """
    found = trials(record, arms)
    end = max(one.end for one in found)
    before = -max(_BEFORE_SECONDS, _BEFORE_SHARE * end)
    axis = Axis(max(before, min(one.start for one in found)), end)
    most = max([1, *(count for one in found for count in one.columns().values())])
    pods = max([1, *(max(seen.pods, seen.endpoints) for one in found for seen in one.samples)])
    return drawing.figure(
        "pods",
        {one.arm: (_headline(one), _drawing(claim, one, axis, most, pods)) for one in found},
        f"Pods under load, measured for claim {escape(claim.id)}: seconds after "
        f"{_zero(found)}. Pods are those that are there, those that are ending included; endpoints "
        f"are those to which the Service passes requests on. A strip of full height is {pods} of "
        f"them. A column is what failed within {STEP_SECONDS:g} s; the tallest is {most}. The "
        "numbers are those of the whole load.",
        "",
        _numbers(found),
    )


def _zero(found: Sequence[Trial]) -> str:
    """Return what happened at second 0, as words behind “seconds after”."""
    named = {what for one in found for at, what in one.moments if abs(at) < STEP_SECONDS}
    return f"the moment “{escape(named.pop())}”" if len(named) == 1 else "the manifest was applied"


def _headline(one: Trial) -> str:
    return f"{one.failed:,} of {one.sent:,} requests failed"


def _drawing(claim: Claim, one: Trial, axis: Axis, most: int, pods: int) -> str:
    lane = LABEL + _STRIP + _GAP
    rows: Sequence[tuple[str, str, Iterable[str]]] = (
        ("Pods", _range(one, _pods), [_steps(one, axis, _pods, pods, drawing.OTHER)]),
        ("Endpoints", _range(one, _endpoints), [_steps(one, axis, _endpoints, pods, drawing.GOOD)]),
        ("Restarts", f"{len(one.restarts)}", _marks(one, axis)),
        ("Failed requests", f"{one.failed:,}", [_columns(one, axis, most)]),
    )
    floor = _MOMENTS + len(rows) * lane
    parts = [
        *drawing.scale(axis, _MOMENTS, floor, lambda tick: f"{tick:g} s".replace("-", "−")),
        *_moments(one, axis, floor),
    ]
    for number, (name, figure, drawn) in enumerate(rows):
        y = _MOMENTS + number * lane
        parts.append(drawing.label(y, name, figure))
        parts.append(f'<svg x="0" y="{y + LABEL}" width="100%" height="{_STRIP}">')
        parts += [*drawn, "</svg>"]
    title = f"Pods under load. {drawing.full_name(claim, one.arm)}"
    return drawing.svg(title, _sentence(one), floor + 20, parts)


def _pods(seen: Seen) -> int:
    return seen.pods


def _endpoints(seen: Seen) -> int:
    return seen.endpoints


def _shown(one: Trial) -> list[Seen]:
    """Return the samples that lie within the drawing, the last one before it included."""
    later = [two.at for _, two in pairwise(one.samples)]
    return [s for s, until in zip(one.samples, [*later, one.end], strict=True) if until > one.start]


def _range(one: Trial, of: Callable[[Seen], int]) -> str:
    """Return between which numbers a row moves."""
    told = [of(seen) for seen in _shown(one)] or [0]
    low, high = min(told), max(told)
    return f"{low}" if low == high else f"{low} to {high}"


def _moments(one: Trial, axis: Axis, floor: int) -> Iterable[str]:
    """What was done, as lines with their names above the rows, as far as there is room."""
    taken = -1.0
    for at, what in sorted(one.moments):
        x = axis.at(at)
        yield (
            f'<line x1="{x}" x2="{x}" y1="3" y2="{floor}" stroke="currentColor" '
            f'stroke-width="1.5"/>'
        )
        if axis.share(at) < taken:
            continue
        anchor = axis.inward(at)
        taken = axis.share(at) + (0.25 if anchor == "start" else 0.0)
        gap = 5 if anchor == "start" else -5
        style = f'text-anchor="{anchor}" font-weight="600"'
        yield f'<text x="{x}" dx="{gap}" y="12" {style}>{escape(what)}</text>'


def _stretched(path: str, colour: str) -> str:
    """Return a path, in units of a ten-thousandth of the width and pixels of the height."""
    return (
        f'<svg width="100%" height="{_STRIP}" viewBox="0 0 {_UNITS} {_STRIP}" '
        f'preserveAspectRatio="none"><path d="{path or "M0 0"}" style="fill:{colour}"/></svg>'
    )


def _units(axis: Axis, at: float) -> int:
    return round(_UNITS * axis.share(at))


def _steps(one: Trial, axis: Axis, of: Callable[[Seen], int], most: int, colour: str) -> str:
    """An area whose height is a number of pods."""
    path = []
    later = [two.at for _, two in pairwise(one.samples)]
    for seen, until in zip(one.samples, [*later, one.end], strict=True):
        left, right = _units(axis, max(seen.at, one.start)), _units(axis, until)
        if of(seen) and right > left:
            height = f"{_STRIP * of(seen) / most:.1f}"
            path.append(f"M{left} {_STRIP}v-{height}H{right}V{_STRIP}z")
    return _stretched("".join(path), colour)


def _columns(one: Trial, axis: Axis, most: int) -> str:
    """A column for each step in which requests failed."""
    path = []
    for step, count in sorted(one.columns().items()):
        if step * STEP_SECONDS < axis.start:
            continue
        left = _units(axis, step * STEP_SECONDS)
        width = max(1, _units(axis, (step + 1) * STEP_SECONDS) - left)
        path.append(f"M{left} {_STRIP}v{-max(2.0, _STRIP * count / most):.1f}h{width}V{_STRIP}z")
    return _stretched("".join(path), drawing.BAD)


def _marks(one: Trial, axis: Axis) -> Iterable[str]:
    """A triangle for each restart."""
    for at in one.restarts:
        yield drawing.symbol(axis.at(at), (_STRIP - drawing.BAR) // 2, _MARK, f"fill:{drawing.BAD}")


def _numbers(found: Sequence[Trial]) -> str:
    rows = [
        (
            drawing.named(one.arm),
            [
                _range(one, _pods),
                _range(one, _endpoints),
                ", ".join(f"{at:.1f} s" for at in one.restarts) or "none",
                f"{one.failed:,} of {one.sent:,}",
                ", ".join(f"{escape(cause)}: {n:,}" for cause, n in one.causes.items()) or "none",
                _when(one),
            ],
        )
        for one in found
    ]
    heads = ("Arm", "Pods", "Endpoints", "Restarts", "Failed requests", "Causes", "Failed between")
    caption = "Pods, and what became of requests to them"
    return drawing.numbers("The pods in numbers", caption, heads, {"": rows})


def _when(one: Trial) -> str:
    moments = [at for failure in one.failures for at in failure.at]
    return f"{min(moments):.1f} s and {max(moments):.1f} s" if moments else "never"


def _sentence(one: Trial) -> str:
    restarts = ", ".join(f"{at:.1f} s" for at in one.restarts)
    told = [
        *(f"{at:.1f} s: {what}." for at, what in sorted(one.moments)),
        f"Pods: {_range(one, _pods)}.",
        f"Endpoints: {_range(one, _endpoints)}.",
        f"Restarts: {len(one.restarts)}{f', after {restarts}' if restarts else ''}.",
        f"Failed requests: {one.failed:,} of {one.sent:,}"
        + (f", between {_when(one)}" if one.failures else "")
        + ".",
        *(f"{cause}: {count:,}." for cause, count in one.causes.items()),
    ]
    return " ".join(told)
