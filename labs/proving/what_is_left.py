"""What is left of an image, drawn from a recorded result: the parts of it that a last stage keeps.

An image of a single stage is drawn with its parts one after the other, as bytes, and so is the
image of several stages that does the same; what the second one has not is left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from . import drawing
from .claims import Claim, humanize
from .drawing import BAR, LABEL, Axis
from .errors import ClaimsFileError
from .recorded import Record
from .stages import PARTS

_LANE = LABEL + BAR + 6


@dataclass(frozen=True)
class Part:
    """A part of an image: how many of its unpacked bytes the other image has, too."""

    name: str
    unpacked_bytes: int
    kept_bytes: int

    @property
    def left_bytes(self) -> int:
        """The bytes that the other image has not."""
        return self.unpacked_bytes - self.kept_bytes

    @property
    def told(self) -> str:
        """Its bytes, and whether they are left behind, in words."""
        told = humanize(self.unpacked_bytes, "B")
        if not self.left_bytes:
            return told
        if not self.kept_bytes:
            return f"{told}, left behind"
        return f"{told}, {humanize(self.left_bytes, 'B')} left behind"


@dataclass(frozen=True)
class Made:
    """The image of an arm and its parts; of the last stage's own image, nothing is left behind."""

    arm: str
    parts: tuple[Part, ...]

    @property
    def unpacked_bytes(self) -> int:
        """The unpacked bytes of all parts."""
        return sum(part.unpacked_bytes for part in self.parts)

    @property
    def left_bytes(self) -> int:
        """The bytes that are left behind."""
        return sum(part.left_bytes for part in self.parts)


def made(record: Record, arms: Sequence[str] = ()) -> tuple[Made, ...]:
    """Return the parts of images, two by two: of a single stage, and of several stages.

    Without `arms`, they are the bad one and the good one.

    Raises:
        ClaimsFileError: the result has no parts of one of them, or their number is odd.
    """
    names = [arm.replace("-", "_") for arm in arms] or ["bad", "good"]
    if len(names) % 2:
        raise ClaimsFileError(f"{', '.join(names)}: what is left is told of arms two by two.")
    sizes = drawing.read_arms(record, PARTS, "parts", _sizes, names)
    pairs = list(pairwise(names))[::2]
    return tuple(
        one
        for whole, last in pairs
        for one in (_made(whole, sizes[whole], sizes[last]), _made(last, sizes[last], sizes[last]))
    )


def _sizes(_arm: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {str(part["name"]): int(part["unpacked_bytes"]) for part in parts}


def _made(arm: str, own: Mapping[str, int], last: Mapping[str, int]) -> Made:
    return Made(
        arm,
        tuple(
            Part(name, size, min(size, last.get(name, 0))) for name, size in own.items() if size > 0
        ),
    )


def left_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return the parts of images as an HTML figure: those of a single stage, and what is left.

    Raises:
        ClaimsFileError: the result has no parts of one of the arms, or they are no pairs.
    """
    found = made(record, arms)
    axis = Axis(0, 1.02 * max(1, *(one.unpacked_bytes for one in found)))
    return drawing.figure(
        "what-is-left",
        {one.arm: (_heading(one), _drawing(claim, one, axis)) for one in found},
        f"Of what the images are made, measured for claim {escape(claim.id)}: unpacked bytes, each "
        "part from where the one before it ends. What is left behind in a build stage is in no "
        "image.",
        _legend(),
        _numbers(found),
    )


def _heading(one: Made) -> str:
    told = humanize(one.unpacked_bytes, "B")
    if not one.left_bytes:
        return told
    return f"{told}, of which {humanize(one.left_bytes, 'B')} are left behind"


def _drawing(claim: Claim, one: Made, axis: Axis) -> str:
    floor = len(one.parts) * _LANE + 4
    title = f"The parts of an image. {drawing.full_name(claim, one.arm)}"
    parts = [f"{part.name}: {part.told}." for part in one.parts]
    told = " ".join([f"All of it: {_heading(one)}.", *parts])
    drawn = [*drawing.scale(axis, 0, floor, _tick), *_bars(one, axis)]
    return drawing.svg(title, told, floor + 20, drawn)


def _tick(tick: float) -> str:
    return humanize(tick, "B") if tick else "0"


def _bars(one: Made, axis: Axis) -> Iterable[str]:
    end = 0
    for number, part in enumerate(one.parts):
        top = number * _LANE
        y = top + LABEL
        if number:
            yield (
                f'<line x1="{axis.at(end)}" x2="{axis.at(end)}" y1="{top - 6}" y2="{y}" '
                f'stroke="currentColor" stroke-opacity="0.6" stroke-dasharray="2 2"/>'
            )
        yield drawing.label(top, part.name, part.told)
        kept = end + part.kept_bytes
        if part.kept_bytes:
            yield from drawing.bar(axis, (end, kept), y, drawing.GOOD)
        end += part.unpacked_bytes
        if part.left_bytes:
            yield from drawing.striped(axis, (kept, end), y, drawing.BAD)


def _legend() -> str:
    return drawing.legend(
        {
            "in the image of the last stage": (
                f'<path d="M1 7h26" stroke-width="{BAR}" style="stroke:{drawing.GOOD}"/>'
            ),
            "left behind": (
                f'<g fill="none" style="stroke:{drawing.BAD}">'
                f'<rect x="1" y="1" width="26" height="{BAR}"/>'
                f'<path d="M1 7h26" stroke-width="{BAR}" stroke-dasharray="2 3"/></g>'
            ),
        }
    )


def _numbers(found: Sequence[Made]) -> str:
    groups = {
        drawing.named(one.arm): [
            (escape(name), [humanize(value, "B") for value in values])
            for name, *values in (
                *((part.name, part.unpacked_bytes, part.left_bytes) for part in one.parts),
                ("image", one.unpacked_bytes, one.left_bytes),
            )
        ]
        for one in found
    }
    return drawing.numbers(
        "The parts in numbers",
        "Unpacked bytes of each part, and how many of them the image of the last stage has not",
        ("Part", "Unpacked", "Left behind"),
        groups,
    )
