"""One application through the guide's steps, drawn from a recorded result.

There is a small drawing for each figure, with a bar for each version: what it was at first, what
it is in the end, and at which step it changed. A table tells which checks hold of which version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from . import drawing
from .claims import Claim, Value, Verdict
from .errors import ClaimsFileError
from .recorded import Record
from .show import SYMBOLS, figure_text

_HEIGHT, _TOP, _WIDTH = 64, 18, 7.0
_LEAST = 1.5

SHOWN: Mapping[str, str] = {
    "open": "good",
    "transfer_bytes": "bases",
    "hidden_bytes": "layers",
    "packages": "stages",
    "run_again": "cache",
    "secrets": "settings",
    "processes": "function",
    "stop_seconds": "processes",
    "lost": "processes",
}
"""The figures that are drawn, and the step whose chapter is about each; the last is about all."""

Steps = Mapping[str, Mapping[str, Value]]


def order(claim: Claim, told: Iterable[str]) -> tuple[str, ...]:
    """Return the versions that a result tells of, from the first Dockerfile to the last."""
    found = set(told)
    return tuple(name for name in ("bad", *claim.also, "good") if name in found)


def short(claim: Claim, step: str) -> str:
    """Return what stands below a bar: the number of the step's chapter, or the first and the last.

    It is the first number in what the claim's row says of the version.
    """
    if step == "bad":
        return "first"
    words = (claim.good if step == "good" else claim.also[step]).replace(":", " ").split()
    return next((word for word in words if word.isdigit()), step)


def falling_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return a small drawing for each figure as an HTML figure, for all versions or for some.

    Raises:
        ClaimsFileError: the result lacks a version, or a figure of one.
    """
    found: Steps = drawing.of_arms(record, "arms", "figures", arms)
    steps = order(claim, found)
    for step in steps:
        if missing := [name for name in SHOWN if name not in found[step]]:
            raise ClaimsFileError(
                f"The recorded result of {claim.id} has no {', '.join(missing)} of {step}."
            )
    cells = "\n".join(_cell(claim, name, found, steps) for name in SHOWN)
    return (
        f'<figure class="pg-figure pg-steps">\n<div class="pg-multiples">\n{cells}\n</div>\n'
        f"<figcaption>{_caption(claim)}</figcaption>\n"
        f"{_legend()}{_numbers(claim, found, steps)}\n</figure>"
    )


def _caption(claim: Claim) -> str:
    return (
        f"One application from its first Dockerfile to its last, measured for claim "
        f"{escape(claim.id)}. Below each bar stands the chapter whose advice the version has taken "
        "last. Each drawing has a scale of its own, from nothing to the most that was found."
    )


def _told(claim: Claim, name: str, value: Value) -> str:
    return figure_text(value, claim.figures[name].unit)


def _cell(claim: Claim, name: str, found: Steps, steps: Sequence[str]) -> str:
    first, last = (_told(claim, name, found[step][name]) for step in (steps[0], steps[-1]))
    head = (
        f'<p class="pg-arm">{escape(claim.figures[name].label)}'
        f"<span>: {escape(first)} → {escape(last)}</span></p>"
    )
    title = f"{claim.figures[name].label}, version by version"
    said = [f"{_named(claim, step)}: {_told(claim, name, found[step][name])}." for step in steps]
    bars = _bars(claim, name, found, steps)
    height = _TOP + _HEIGHT + 18
    return f"<div>\n{head}\n{drawing.svg(title, ' '.join(said), height, bars)}\n</div>"


def _named(claim: Claim, step: str) -> str:
    if step == "bad":
        return "First Dockerfile"
    return f"After chapter {short(claim, step)}"


def _bars(claim: Claim, name: str, found: Steps, steps: Sequence[str]) -> Iterable[str]:
    values = [float(found[step][name]) for step in steps]
    top = max(1e-9, *values)
    floor = _TOP + _HEIGHT
    share = 100 / len(steps)
    turn = steps.index(SHOWN[name]) if SHOWN[name] in steps else len(steps) - 1
    for number, (step, value) in enumerate(zip(steps, values, strict=True)):
        middle = (number + 0.5) * share
        height = max(_LEAST, _HEIGHT * value / top)
        yield _bar(middle, floor, height, done=number >= turn)
        yield (
            f'<text x="{middle:.2f}%" y="{floor + 14}" text-anchor="middle" font-size="11">'
            f"{escape(short(claim, step) if number else '–')}</text>"
        )
    yield (
        f'<line x1="0" x2="100%" y1="{floor}" y2="{floor}" stroke="currentColor" '
        'stroke-opacity="0.6"/>'
    )


_HOLLOW = f"fill:{drawing.BAD};fill-opacity:0.15;stroke:{drawing.BAD};stroke-width:1.5"


def _bar(middle: float, floor: int, height: float, *, done: bool) -> str:
    """Draw a bar: whole from the step on whose subject it is, and before that an outline."""
    box = (
        f'x="{middle - _WIDTH / 2:.2f}%" y="{floor - height:.1f}" width="{_WIDTH}%" '
        f'height="{height:.1f}"'
    )
    if done:
        return f'<rect {box} style="fill:{drawing.GOOD}"/>'
    return f'<rect {box} style="{_HOLLOW}"/>'


def _legend() -> str:
    hollow = f'<rect x="8" y="1" width="12" height="12" style="{_HOLLOW}"/>'
    whole = f'<rect x="8" y="1" width="12" height="12" style="fill:{drawing.GOOD}"/>'
    return drawing.legend({"before the step that is about it": hollow, "from that step on": whole})


def _numbers(claim: Claim, found: Steps, steps: Sequence[str]) -> str:
    rows = [
        (
            escape(claim.figures[name].label),
            [escape(_told(claim, name, found[step][name])) for step in steps],
        )
        for name in SHOWN
    ]
    heads = ["Figure", *(escape(short(claim, step)) for step in steps)]
    return (
        '<div class="pg-wide">'
        + drawing.numbers(
            "The same in numbers",
            "Each figure at first, and after each chapter's step",
            heads,
            {"": rows},
        )
        + "</div>"
    )


def verdicts_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return which checks of the audit hold of which version, as a table.

    Raises:
        ClaimsFileError: the result carries no verdicts, or none of a version.
    """
    found: Mapping[str, Mapping[str, Any]] = drawing.of_arms(record, "verdicts", "verdicts", arms)
    steps = order(claim, found)
    heads = "".join(
        f'<th scope="col"><span class="pg-turned">{escape(short(claim, step))}</span></th>'
        for step in steps
    )
    rows = "\n".join(
        f'<tr><th scope="row"><code>{escape(check)}</code></th>'
        + "".join(_verdict(found[step].get(check, "")) for step in steps)
        + "</tr>"
        for check in found[steps[0]]
    )
    key = ", ".join(f"{SYMBOLS[one]} {one}" for one in Verdict)
    return (
        '<figure class="pg-figure pg-verdicts">\n'
        f"<table><caption>The checks of the audit, at first and after each chapter's step: {key}"
        f'</caption>\n<thead><tr><th scope="col">Check</th>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table>\n</figure>"
    )


def _verdict(told: str) -> str:
    symbol = SYMBOLS[Verdict(told)] if told else ""
    return (
        f'<td data-verdict="{escape(told)}"><span aria-hidden="true">{symbol}</span>'
        f'<span class="pg-aloud">{escape(told or "not asked")}</span>'
        "</td>"
    )
