"""What a node has downloaded after each of several services, drawn from a recorded result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from . import drawing
from .claims import Claim, humanize
from .drawing import Axis
from .errors import ClaimsFileError
from .recorded import Record

DOWNLOADED_AFTER = "downloaded_after"
"""Under which key a measurement has, for each service, all bytes downloaded so far."""

_TOP, _HEIGHT = 22, 190
_FLOOR = _TOP + _HEIGHT
_WIDTH = 3
_DASHES = {"bad": "7 4"}

Steps = Mapping[str, Sequence[float]]


def parent_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return the downloads of each arm as stairs in one HTML figure, a step for each service.

    Raises:
        ClaimsFileError: the result has none of them, or none of one of the `arms`, or of less than
            two services, or of other services in one arm than in another.
    """
    found: Steps = drawing.of_arms(record, DOWNLOADED_AFTER, "downloads", arms)
    counts = {len(steps) for steps in found.values()}
    if len(counts) != 1 or counts <= {0, 1}:
        raise ClaimsFileError(
            f"The recorded result of {claim.id} does not have downloads of the same services, "
            "two or more, in each arm."
        )
    title = f"Downloads of a node. {'; '.join(drawing.full_name(claim, arm) for arm in found)}"
    return (
        '<figure class="pg-figure pg-common-parent">\n'
        f"{drawing.svg(title, _in_words(found), _FLOOR + 38, _parts(found))}\n"
        f"<figcaption>What a node that had nothing has downloaded after each service, measured for "
        f"claim {escape(claim.id)}.</figcaption>\n"
        f"{drawing.legend(_marks(found))}{_numbers(found)}\n</figure>"
    )


def _in_words(found: Steps) -> str:
    return " ".join(
        f"{arm.replace('_', ' ').capitalize()}: "
        + ", ".join(f"{_told(value)} after {number}" for number, value in enumerate(steps, start=1))
        + "."
        for arm, steps in found.items()
    )


def _told(value: float) -> str:
    return humanize(value, "B")


def _parts(found: Steps) -> Iterable[str]:
    count = len(next(iter(found.values())))
    heights = Axis(0, max(1.0, *(steps[-1] for steps in found.values())))
    yield from _grid(heights)
    yield from _services(Axis(0, count))
    for arm, steps in found.items():
        yield _stairs(arm, steps, heights)
    # above the stairs, which on a telephone begin where the numbers stand
    yield from _heights_told(heights)
    for steps in found.values():
        yield _words("100%", _y(heights, steps[-1]) - 7, _told(steps[-1]), "end", "bold")


def _y(heights: Axis, value: float) -> float:
    return round(_FLOOR - _HEIGHT * heights.share(value), 1)


def _grid(heights: Axis) -> Iterable[str]:
    """Draw a line for each round number of bytes."""
    for tick in heights.ticks():
        y, opacity = _y(heights, tick), 0.2 if tick else 0.6
        yield (
            f'<line x1="0" x2="100%" y1="{y:g}" y2="{y:g}" stroke="currentColor" '
            f'stroke-opacity="{opacity}"/>'
        )


def _heights_told(heights: Axis) -> Iterable[str]:
    """Write the round numbers of bytes on their lines, at the left."""
    for tick in heights.ticks():
        if tick:
            yield _words("0.8%", _y(heights, tick) - 3, _told(tick), "start", "normal")


def _services(axis: Axis) -> Iterable[str]:
    for number in range(1, int(axis.end) + 1):
        yield _words(axis.at(number - 0.5), _FLOOR + 16, str(number), "middle", "normal")
    yield _words("50%", _FLOOR + 34, "services pulled", "middle", "normal")


def _stairs(arm: str, steps: Sequence[float], heights: Axis) -> str:
    """Draw the steps of an arm; those of a bad arm are dashed, told without colour."""
    axis, colour = Axis(0, len(steps)), drawing.ARM_COLOURS.get(arm, drawing.OTHER)
    lines, before = [], 0.0
    for number, value in enumerate(steps):
        left, right, y = axis.at(number), axis.at(number + 1), _y(heights, value)
        lines += [
            f'<line x1="{left}" x2="{left}" y1="{_y(heights, before):g}" y2="{y:g}"/>',
            f'<line x1="{left}" x2="{right}" y1="{y:g}" y2="{y:g}"/>',
        ]
        before = value
    return (
        f'<g style="stroke:{colour}" stroke-width="{_WIDTH}" stroke-linecap="square"'
        f"{_dashed(arm)}>\n" + "\n".join(lines) + "\n</g>"
    )


def _dashed(arm: str) -> str:
    return f' stroke-dasharray="{_DASHES[arm]}"' if arm in _DASHES else ""


def _words(x: str, y: float, text: str, anchor: str, weight: str) -> str:
    return (
        f'<text x="{x}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}" '
        'style="paint-order:stroke;stroke:var(--pg-paper, transparent);stroke-width:4;'
        f'stroke-linejoin:round">{text}</text>'
    )


def _marks(found: Steps) -> Mapping[str, str]:
    return {
        drawing.named(arm): (
            f'<line x1="0" x2="28" y1="7" y2="7" stroke-width="{_WIDTH}"{_dashed(arm)} '
            f'style="stroke:{drawing.ARM_COLOURS.get(arm, drawing.OTHER)}"/>'
        )
        for arm in found
    }


def _numbers(found: Steps) -> str:
    count = len(next(iter(found.values())))
    rows = [
        (str(number + 1), [_told(steps[number]) for steps in found.values()])
        for number in range(count)
    ]
    heads = ("Services", *(drawing.named(arm) for arm in found))
    return drawing.numbers(
        "The downloads in numbers", "What the node has downloaded after each", heads, {"": rows}
    )
