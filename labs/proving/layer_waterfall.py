"""The layers of an image as a waterfall, drawn from a recorded result: bytes kept and wasted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from . import drawing
from .claims import Claim, humanize
from .drawing import BAR, LABEL, Axis
from .recorded import Record

_LANE = LABEL + BAR + 6
_MOST_OF_A_BASE = 0.15
_CUT = "M-5 10L1 -10M-1 10L5 -10"


@dataclass(frozen=True)
class Layer:
    """A layer by the instruction that made it; the layers of a base are one, named `base`.

    `wasted_bytes` are those of its `unpacked_bytes` that a later layer hides or writes again.
    """

    name: str
    unpacked_bytes: int
    transfer_bytes: int
    wasted_bytes: int

    @property
    def kept_bytes(self) -> int:
        """The unpacked bytes that are seen in the image."""
        return self.unpacked_bytes - self.wasted_bytes

    @property
    def told(self) -> str:
        """Its unpacked bytes, and how many of them are wasted, in words."""
        told = humanize(self.unpacked_bytes, "B")
        return f"{told}, {humanize(self.wasted_bytes, 'B')} wasted" if self.wasted_bytes else told


@dataclass(frozen=True)
class Stack:
    """The layers of one arm's image: its base, if it has one, and what its Dockerfile added."""

    arm: str
    base: Layer | None
    added: tuple[Layer, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers from the base up."""
        return (self.base, *self.added) if self.base else self.added

    @property
    def added_bytes(self) -> int:
        """The unpacked bytes that the Dockerfile added."""
        return sum(layer.unpacked_bytes for layer in self.added)

    @property
    def whole(self) -> Layer:
        """The sum of all layers."""
        return _folded("image", self.layers)


def stacks(record: Record, arms: Sequence[str] = ()) -> tuple[Stack, ...]:
    """Return the layers that a result carries, bad and good first, or those of some arms.

    Raises:
        ClaimsFileError: the result has none, not those of every arm that is asked for, or some
            without what is to be drawn.
    """
    return tuple(drawing.read_arms(record, "layers", "layers", _stack, arms).values())


def _stack(arm: str, told: Sequence[Mapping[str, Any]]) -> Stack:
    layers = [
        Layer(
            " ".join(layer["created_by"].split()) or "an instruction that is not recorded",
            int(layer["unpacked_bytes"]),
            int(layer["transfer_bytes"]),
            int(layer["wasted_bytes"]),
        )
        for layer in told
    ]
    base = [one for one, layer in zip(layers, told, strict=True) if layer["from_base"]]
    added = [one for one, layer in zip(layers, told, strict=True) if not layer["from_base"]]
    return Stack(arm, _folded("base", base) if base else None, tuple(added))


def _folded(name: str, layers: Sequence[Layer]) -> Layer:
    return Layer(
        name,
        sum(layer.unpacked_bytes for layer in layers),
        sum(layer.transfer_bytes for layer in layers),
        sum(layer.wasted_bytes for layer in layers),
    )


@dataclass(frozen=True)
class _Plan:
    """What all drawings of a figure share: the axis counts bytes from the end of the base.

    No part of a base is drawn longer than `most_of_a_base` bytes: a base is often larger than all
    that is added to it.
    """

    axis: Axis
    most_of_a_base: float
    based: bool

    def is_cut(self, base_bytes: int) -> bool:
        return base_bytes > self.most_of_a_base

    def cuts(self, stack: Stack) -> bool:
        base = stack.base
        return base is not None and (self.is_cut(base.kept_bytes) or self.is_cut(base.wasted_bytes))


def _plan(found: Sequence[Stack]) -> _Plan:
    bases = [stack.base for stack in found if stack.base]
    added = max([1, *(stack.added_bytes for stack in found), *(_least(base) for base in bases)])
    most = _MOST_OF_A_BASE * added
    stubs = [min(most, base.kept_bytes) + min(most, base.wasted_bytes) for base in bases]
    return _Plan(Axis(-max([0.0, *stubs]), 1.02 * added), most, bool(bases))


def _least(base: Layer) -> float:
    """What the axis shows at least: a few bytes on a base are not drawn as if they were many."""
    return base.unpacked_bytes / 10


def layer_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return a waterfall of layers as an HTML figure: a drawing for each arm, and its words.

    Raises:
        ClaimsFileError: the result carries no layers, or none of one of the `arms` asked for.
    """
    found = stacks(record, arms)
    plan = _plan(found)
    return drawing.figure(
        "layers",
        {stack.arm: (stack.whole.told, _drawing(claim, stack, plan)) for stack in found},
        _caption(claim, found, plan),
        _legend(found, plan),
        _numbers(found),
    )


def _caption(claim: Claim, found: Sequence[Stack], plan: _Plan) -> str:
    parts = [
        f"Layers of the image, measured for claim {escape(claim.id)}: unpacked bytes"
        + (", counted from the end of the base." if plan.based else "."),
        "Each layer begins where the one before it ends.",
        "Wasted are the bytes that a later layer hides or writes again: they are carried along.",
    ]
    if any(plan.cuts(stack) for stack in found):
        parts.append("The bar of the base is cut short, and is not to scale.")
    return " ".join(parts)


def _drawing(claim: Claim, stack: Stack, plan: _Plan) -> str:
    floor = len(stack.layers) * _LANE + 4
    title = f"Layers of an image. {drawing.full_name(claim, stack.arm)}"
    parts = [
        *drawing.scale(plan.axis, 0, floor, lambda tick: _tick(tick, plan.based)),
        *_bars(stack, plan),
    ]
    return drawing.svg(title, _sentence(stack), floor + 20, parts)


def _tick(tick: float, based: bool) -> str:
    if tick <= 0:
        return "" if tick else "0"
    return f"{'+' if based else ''}{humanize(tick, 'B')}"


def _bars(stack: Stack, plan: _Plan) -> Iterable[str]:
    top, end = 0, 0.0
    if stack.base:
        yield from _base(stack.base, plan)
        top = _LANE
    for layer in stack.added:
        y = top + LABEL
        if top:
            yield _step_down(plan.axis.at(end), top - 6, y)
        yield drawing.label(top, layer.name, layer.told)
        kept_to = end + layer.kept_bytes
        yield from drawing.bar(plan.axis, (end, kept_to), y, drawing.GOOD)
        end = kept_to + layer.wasted_bytes
        if layer.wasted_bytes:
            yield from drawing.striped(plan.axis, (kept_to, end), y, drawing.BAD)
        top += _LANE


def _base(base: Layer, plan: _Plan) -> Iterable[str]:
    """The base ends at 0; what is too long of it is cut, and the cut is seen and told."""
    y = LABEL
    wasted_from = -min(base.wasted_bytes, plan.most_of_a_base)
    kept_from = wasted_from - min(base.kept_bytes, plan.most_of_a_base)
    cut = plan.is_cut(base.kept_bytes) or plan.is_cut(base.wasted_bytes)
    yield drawing.label(0, f"{base.name} (cut, not to scale)" if cut else base.name, base.told)
    yield from drawing.bar(plan.axis, (kept_from, wasted_from), y, drawing.OTHER)
    if base.wasted_bytes:
        yield from drawing.striped(plan.axis, (wasted_from, 0), y, drawing.BAD)
    if plan.is_cut(base.kept_bytes):
        yield _cut(plan.axis.at((kept_from + wasted_from) / 2), y)
    if plan.is_cut(base.wasted_bytes):
        yield _cut(plan.axis.at(wasted_from / 2), y)


def _cut(x: str, y: int) -> str:
    return drawing.symbol(x, y, _CUT, f"fill:none;stroke:{drawing.PAPER};stroke-width:3")


def _step_down(x: str, top: int, floor: int) -> str:
    """Lead the eye from the end of one bar to the beginning of the next."""
    return (
        f'<line x1="{x}" x2="{x}" y1="{top}" y2="{floor}" stroke="currentColor" '
        f'stroke-opacity="0.6" stroke-dasharray="2 2"/>'
    )


def _legend(found: Sequence[Stack], plan: _Plan) -> str:
    def bar(colour: str) -> str:
        return f'<path d="M1 7h26" stroke-width="{BAR}" style="stroke:{colour}"/>'

    marks = {"base": bar(drawing.OTHER)} if plan.based else {}
    marks["kept"] = bar(drawing.GOOD)
    marks["wasted"] = (
        f'<g fill="none" style="stroke:{drawing.BAD}">'
        f'<rect x="1" y="1" width="26" height="{BAR}"/>'
        f'<path d="M1 7h26" stroke-width="{BAR}" stroke-dasharray="2 3"/></g>'
    )
    if any(plan.cuts(stack) for stack in found):
        marks["cut short"] = (
            f'{bar(drawing.OTHER)}<path transform="translate(14 7)" d="{_CUT}" '
            f'style="fill:none;stroke:{drawing.PAPER};stroke-width:3"/>'
        )
    return drawing.legend(marks)


def _numbers(found: Sequence[Stack]) -> str:
    groups = {
        drawing.named(stack.arm): [
            (escape(layer.name), [humanize(value, "B") for value in _values(layer)])
            for layer in (*stack.layers, stack.whole)
        ]
        for stack in found
    }
    return drawing.numbers(
        "The layers in numbers",
        "Bytes of each layer: unpacked, compressed as a node downloads them, and wasted",
        ("Layer", "Unpacked", "Transfer", "Wasted"),
        groups,
    )


def _values(layer: Layer) -> tuple[int, int, int]:
    return layer.unpacked_bytes, layer.transfer_bytes, layer.wasted_bytes


def _sentence(stack: Stack) -> str:
    layers = [f"{layer.name}: {layer.told}." for layer in stack.layers]
    return " ".join([f"All of it: {stack.whole.told}.", *layers])
