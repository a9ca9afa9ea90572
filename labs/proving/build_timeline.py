"""The timeline of a build, drawn from a recorded result: which steps ran, and for how long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from . import drawing
from .claims import Claim, humanize
from .drawing import BAR, LABEL, Axis
from .recorded import Record

_STEP = re.compile(r"^\[(?:(?P<stage>[\w.-]+) )?\s*(?P<number>\d+)/\d+\] (?P<instruction>.+)$")
_QUALIFIED = re.compile(r"\bdocker\.io/(?:library/)?|@sha256:[0-9a-f]+")
_LANE = LABEL + BAR + 6
_DIAMOND = "M0 -6L6 0L0 6L-6 0Z"


@dataclass(frozen=True)
class Step:
    """One instruction of a build, in seconds after the build began.

    `name` is BuildKit's, with the stage and the number of the step before the instruction.
    """

    name: str
    cached: bool
    began_seconds: float
    seconds: float

    @property
    def ended_seconds(self) -> float:
        """When the step ended."""
        return self.began_seconds + self.seconds

    @property
    def stage(self) -> str:
        """The name of its stage; what is no instruction of a Dockerfile is a stage of its own."""
        match = _STEP.match(self.name)
        return (match["stage"] or "") if match else self.name

    @property
    def number(self) -> int:
        """Its place in its stage."""
        match = _STEP.match(self.name)
        return int(match["number"]) if match else 0

    @property
    def short_name(self) -> str:
        """The instruction, behind its stage where that has a name; a FROM without its digest."""
        match = _STEP.match(self.name)
        if match is None:
            return self.name
        instruction = match["instruction"]
        if instruction.startswith("FROM "):
            instruction = _QUALIFIED.sub("", instruction)
        return f"{match['stage']}: {instruction}" if match["stage"] else instruction


@dataclass(frozen=True)
class Build:
    """A build of one arm: how many seconds it took, and its steps, stage by stage."""

    arm: str
    seconds: float
    steps: tuple[Step, ...]

    @property
    def ran(self) -> tuple[Step, ...]:
        """The steps that the cache did not answer."""
        return tuple(step for step in self.steps if not step.cached)

    @property
    def ended_seconds(self) -> float:
        """When all was over, by the build's own clock or by that of its last step."""
        return max([self.seconds, *(step.ended_seconds for step in self.steps)])


def builds(record: Record, arms: Sequence[str] = ()) -> tuple[Build, ...]:
    """Return the builds that a result carries, bad and good first, or those of some arms.

    Raises:
        ClaimsFileError: the result has none, not one of every arm that is asked for, or one
            without what is to be drawn.
    """
    return tuple(drawing.read_arms(record, "builds", "build", _build, arms).values())


def _build(arm: str, told: Mapping[str, Any]) -> Build:
    steps = [
        Step(step["name"], step["cached"], float(step["began_seconds"]), float(step["seconds"]))
        for step in told["steps"]
    ]
    return Build(arm, float(told["seconds"]), tuple(_as_written(steps)))


def _as_written(steps: Sequence[Step]) -> list[Step]:
    """Put steps into the Dockerfile's order: BuildKit tells them as it comes to them."""
    stages = list(dict.fromkeys(step.stage for step in steps))
    return sorted(steps, key=lambda step: (stages.index(step.stage), step.number))


def build_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return the timeline of a build as an HTML figure: a drawing for each arm, and its words.

    Raises:
        ClaimsFileError: the result carries no build, or none of one of the `arms` asked for.
    """
    found = builds(record, arms)
    end = max([0.1, *(build.ended_seconds for build in found)])
    axis = Axis(-0.02 * end, 1.2 * end)  # room for a diamond at the left, for words at the right
    return drawing.figure(
        "build",
        {build.arm: (_counted(build), _drawing(claim, build, axis)) for build in found},
        f"Timeline of a build, measured for claim {escape(claim.id)}: seconds after it began. "
        "Each step of the Dockerfile has a lane, with a bar for as long as it ran; "
        "below them is the whole build.",
        _legend(found),
        _numbers(found),
    )


def _counted(build: Build) -> str:
    cached = len(build.steps) - len(build.ran)
    ran = f"{len(build.ran)} step{'' if len(build.ran) == 1 else 's'} ran"
    return f"{ran}, {cached} cached"


def _drawing(claim: Claim, build: Build, axis: Axis) -> str:
    whole = len(build.steps) * _LANE
    floor = whole + _LANE + 4
    parts = [
        *drawing.scale(axis, 0, floor, lambda tick: f"{tick:g} s"),
        *(
            part
            for number, step in enumerate(build.steps)
            for part in _lane(build, step, axis, number * _LANE)
        ),
        *_whole(build, axis, whole),
    ]
    title = f"Timeline of a build. {drawing.full_name(claim, build.arm)}"
    return drawing.svg(title, _sentence(build), floor + 20, parts)


def _lane(build: Build, step: Step, axis: Axis, top: int) -> Iterable[str]:
    """The step's name, and below it a bar with its seconds or a diamond with a word."""
    y = top + LABEL
    colour = drawing.ARM_COLOURS.get(build.arm, drawing.OTHER)
    yield drawing.label(top, step.short_name)
    if step.cached:
        style = f"fill:{drawing.PAPER};stroke:{drawing.OTHER};stroke-width:2"
        yield drawing.symbol(axis.at(step.began_seconds), y, _DIAMOND, style)
        told, end, gap = "cached", step.began_seconds, 11
    else:
        span = (step.began_seconds, step.ended_seconds)
        yield from drawing.bar(axis, span, y, colour, dotted=build.arm == "bad")
        told, end, gap = humanize(step.seconds, "s"), step.ended_seconds, 6
    yield drawing.words(axis.at(end), y, told, gap)


def _whole(build: Build, axis: Axis, top: int) -> Iterable[str]:
    """The whole build as a bracket below its steps: it lasts longer than they do."""
    y = top + LABEL
    yield drawing.label(top, "the whole build")
    for x1, x2, y1, y2 in (
        (0.0, build.seconds, y + BAR // 2, y + BAR // 2),
        (0.0, 0.0, y, y + BAR),
        (build.seconds, build.seconds, y, y + BAR),
    ):
        yield (
            f'<line x1="{axis.at(x1)}" x2="{axis.at(x2)}" y1="{y1}" y2="{y2}" '
            f'stroke="currentColor" stroke-width="1.5"/>'
        )
    yield drawing.words(axis.at(build.seconds), y, humanize(build.seconds, "s"), 6)


def _legend(found: Sequence[Build]) -> str:
    length = 26 / len(found)
    bar = "".join(
        f'<path d="M{1 + number * length:g} 7h{length - 1:g}" stroke-width="{BAR}" '
        f'style="stroke:{drawing.ARM_COLOURS.get(build.arm, drawing.OTHER)}"/>'
        for number, build in enumerate(found)
    )
    diamond = (
        f'<path transform="translate(14 7)" d="{_DIAMOND}" '
        f'style="fill:{drawing.PAPER};stroke:{drawing.OTHER};stroke-width:2"/>'
    )
    return drawing.legend({"ran": bar, "cached": diamond})


def _numbers(found: Sequence[Build]) -> str:
    groups = {
        f"{drawing.named(build.arm)}: built in {humanize(build.seconds, 's')}": [
            (
                escape(step.short_name),
                [
                    humanize(step.began_seconds, "s"),
                    "cached" if step.cached else humanize(step.seconds, "s"),
                ],
            )
            for step in build.steps
        ]
        for build in found
    }
    return drawing.numbers(
        "The timeline in numbers",
        "Seconds after the build began, and seconds that each step ran",
        ("Step", "Began", "Ran"),
        groups,
    )


def _sentence(build: Build) -> str:
    steps = [
        f"{step.short_name}: "
        + (
            "cached."
            if step.cached
            else f"ran for {humanize(step.seconds, 's')} from {humanize(step.began_seconds, 's')}."
        )
        for step in build.steps
    ]
    took = f"The build takes {humanize(build.seconds, 's')}: {_counted(build)}."
    return " ".join([took, *steps])
