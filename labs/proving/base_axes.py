"""Bases side by side, drawn from a recorded result: bytes, packages, executables and a shell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from . import drawing
from .claims import Claim, Value, humanize
from .drawing import BAR, LABEL, Axis
from .errors import ClaimsFileError
from .recorded import Record

_LANE = LABEL + BAR + 4
_AXES = {
    "transfer_bytes": ("Bytes to download", "B"),
    "packages": ("Packages", "count"),
    "executables": ("Executable files", "count"),
}
_SHELL = "has_shell"

Bases = Mapping[str, Mapping[str, Value]]


def base_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return the four axes of each arm as an HTML figure: three bars, and whether a shell starts.

    Raises:
        ClaimsFileError: the result has not all four figures, or none of one of the `arms`.
    """
    found: Bases = drawing.of_arms(record, "arms", "figures", arms)
    for arm, figures in found.items():
        if missing := [key for key in (*_AXES, _SHELL) if key not in figures]:
            raise ClaimsFileError(
                f"The recorded result of {claim.id} has no {', '.join(missing)} of {arm}."
            )
    return drawing.figure(
        "base-axes",
        {arm: (_shell(figures), _drawing(claim, arm, found)) for arm, figures in found.items()},
        f"Bases, measured for claim {escape(claim.id)}. Each kind of bar has a scale of its own, "
        "the same for all images: the longest is the most that was found.",
        "",
        _numbers(found),
    )


def _shell(figures: Mapping[str, Value]) -> str:
    return "a shell starts" if figures[_SHELL] else "no shell starts"


def _told(key: str, value: Value) -> str:
    return humanize(value, _AXES[key][1])


def _drawing(claim: Claim, arm: str, found: Bases) -> str:
    figures = found[arm]
    said = [f"{name}: {_told(key, figures[key])}." for key, (name, _) in _AXES.items()]
    title = f"A base. {drawing.full_name(claim, arm)}"
    told = " ".join([*said, f"{_shell(figures).capitalize()}."])
    return drawing.svg(title, told, len(_AXES) * _LANE, _bars(arm, found))


def _bars(arm: str, found: Bases) -> Iterable[str]:
    colour = drawing.ARM_COLOURS.get(arm, drawing.OTHER)
    for number, (key, (name, _)) in enumerate(_AXES.items()):
        value = float(found[arm][key])
        axis = Axis(0, max(1.0, *(float(figures[key]) for figures in found.values())))
        yield drawing.label(number * _LANE, name, _told(key, found[arm][key]))
        y = number * _LANE + LABEL
        yield from drawing.bar(axis, (0, value), y, colour, dotted=arm == "bad")


def _numbers(found: Bases) -> str:
    rows = [
        (
            drawing.named(arm),
            [*(_told(key, figures[key]) for key in _AXES), "yes" if figures[_SHELL] else "no"],
        )
        for arm, figures in found.items()
    ]
    heads = ("Base", *(name for name, _ in _AXES.values()), "Shell")
    return drawing.numbers("The bases in numbers", "What each base brings", heads, {"": rows})
