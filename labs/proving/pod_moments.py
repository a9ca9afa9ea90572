"""Which pods are there after each thing that happened to them, drawn from a recorded result.

A pod is a frame around its containers: a full box for one that runs, an outline for one that has
ended, and a mark of its own for one that runs again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from . import drawing
from .claims import Claim
from .drawing import BAR, LABEL, Axis
from .recorded import Record

MOMENTS = "moments"
"""Under which key a result has what is drawn here."""

_PAD = 4
_POD = LABEL + BAR + _PAD
"""The height of a pod's frame: a line of names, the boxes below it, and some paper."""

_SPACE = 8
"""What is left free below a moment."""

_GAP = 2.0
"""The share of the width between two pods, in percent."""


@dataclass(frozen=True)
class Container:
    """A container of a pod at a moment."""

    name: str
    running: bool
    restarts: int

    @property
    def label(self) -> str:
        """Its name with a mark of its state, short enough for three pods on a telephone."""
        mark = "○" if not self.running else "↻" if self.restarts else "●"
        return f"{mark} {self.name}"

    @property
    def told(self) -> str:
        """The same in words."""
        state = "runs" if self.running else "has ended"
        times = "once" if self.restarts == 1 else f"{self.restarts} times"
        return f"{self.name} {state}{f', restarted {times}' if self.restarts else ''}"


@dataclass(frozen=True)
class Moment:
    """What had happened, and the pods that were there then."""

    after: str
    pods: tuple[tuple[Container, ...], ...]

    @property
    def height(self) -> int:
        """How high it is drawn: the line that tells it, and its pods where there are any."""
        return LABEL + (_POD if self.pods else 0) + _SPACE

    @property
    def counted(self) -> str:
        """How many pods there are, in words."""
        number = len(self.pods)
        return f"{number or 'no'} pod{'' if number == 1 else 's'}"

    @property
    def told(self) -> str:
        """How many pods there are, and what is in each of them, in a sentence."""
        pods = "; ".join(", ".join(one.told for one in pod) for pod in self.pods)
        return f"{self.after}: {self.counted}{f': {pods}' if pods else ''}."


def moments_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return the moments of each arm as an HTML figure, one below the other.

    Raises:
        ClaimsFileError: the result tells nothing of pods, or not of one of the `arms`.
    """
    moments = drawing.read_arms(record, MOMENTS, "pods at several moments", _moments, arms)
    columns = max((len(one.pods) for each in moments.values() for one in each), default=1)
    return drawing.figure(
        "pod-moments",
        {
            arm: (each[-1].counted, _drawing(claim, arm, each, columns))
            for arm, each in moments.items()
        },
        f"The pods and their containers, measured for claim {escape(claim.id)}: a frame is a pod. "
        "The heading counts the pods that are left in the end.",
        _legend(),
        _numbers(moments),
    )


def _moments(_arm: str, told: Sequence[Mapping[str, Any]]) -> tuple[Moment, ...]:
    return tuple(
        Moment(
            str(one["after"]),
            tuple(
                tuple(Container(name, bool(runs), int(count)) for name, runs, count in pod)
                for pod in one["pods"]
            ),
        )
        for one in told
    )


def _drawing(claim: Claim, arm: str, moments: Sequence[Moment], columns: int) -> str:
    title = f"Pods at several moments. {drawing.full_name(claim, arm)}"
    told = " ".join(moment.told for moment in moments)
    height = sum(moment.height for moment in moments)
    return drawing.svg(title, told, height, _parts(arm, moments, columns))


def _parts(arm: str, moments: Sequence[Moment], columns: int) -> Iterable[str]:
    colour = drawing.ARM_COLOURS.get(arm, drawing.OTHER)
    top = 0
    for moment in moments:
        yield drawing.label(top, moment.after, moment.counted)
        for column, pod in enumerate(moment.pods):
            yield from _pod(pod, Axis(0, columns), column, top + LABEL, colour)
        top += moment.height


def _pod(pod: Sequence[Container], axis: Axis, column: int, top: int, colour: str) -> Iterable[str]:
    """Draw a pod's frame, and its containers beside one another within it."""
    width = 100 * axis.share(1) - _GAP
    left = 100 * axis.share(column)
    yield (
        f'<rect x="{left:.2f}%" y="{top}" width="{width:.2f}%" height="{_POD}" rx="4" '
        'style="fill:none;stroke:currentColor;stroke-opacity:0.4"/>'
    )
    each = width / max(len(pod), 1)
    for number, container in enumerate(pod):
        start = left + number * each + _GAP / 2
        fill = colour if container.running else "none"
        yield f'<text x="{start:.2f}%" y="{top + LABEL - 5}">{escape(container.label)}</text>'
        yield (
            f'<rect x="{start:.2f}%" y="{top + LABEL}" width="{each - _GAP:.2f}%" '
            f'height="{BAR}" style="fill:{fill};stroke:{colour}"/>'
        )


def _legend() -> str:
    box = '<rect x="1" y="1" width="26" height="12" style="{}"/>'
    frame = box.format("fill:none;stroke:currentColor;stroke-opacity:0.4")
    other = drawing.OTHER
    return drawing.legend(
        {
            "a pod": frame,
            "● a container that runs": box.format(f"fill:{other};stroke:{other}"),
            "○ a container that has ended": box.format(f"fill:none;stroke:{other}"),
            "↻ a container that runs again": box.format(f"fill:{other};stroke:{other}"),
        }
    )


def _numbers(moments: Mapping[str, Sequence[Moment]]) -> str:
    groups = {
        drawing.named(arm): [
            (
                escape(moment.after),
                [
                    str(len(moment.pods)),
                    "<br>".join(escape(", ".join(one.told for one in pod)) for pod in moment.pods)
                    or "none",
                ],
            )
            for moment in each
        ]
        for arm, each in moments.items()
    }
    heads = ("After", "Pods", "Their containers")
    return drawing.numbers("The pods in words", "Which pods were there", heads, groups)
