"""Where a secret was found, drawn from a recorded result: a row of places for each arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from . import drawing
from .claims import Claim
from .drawing import BAR, LABEL, Axis
from .errors import ClaimsFileError
from .recorded import Record

LEAKS = "leaks"
"""Under which key a result has what is drawn here."""

HISTORY, CONFIGURATION, FILES = "history", "configuration", "files"
"""The kinds of places in an image that are drawn."""

_INSPECTED = "inspect"
_COLUMNS = {
    HISTORY: ("history", "History"),
    CONFIGURATION: ("config", "Configuration"),
    FILES: ("layers", "Files of layers"),
    _INSPECTED: ("inspect", "<code>docker inspect</code> of the container"),
}
"""The places, in the order of the columns: in a drawing, and in the table."""

_GAP = 1.5
_COLUMN = Axis(0, len(_COLUMNS))

Found = Mapping[str, Sequence[str]]
"""The kinds of places that have the secret, with the texts that tell where."""


def leak_figure(claim: Claim, record: Record, arms: Sequence[str] = ()) -> str:
    """Return the places of each arm as an HTML figure: a filled box where the secret was found.

    Raises:
        ClaimsFileError: the result tells nothing of leaks, or not of one of the `arms`.
    """
    searched: Mapping[str, Any] = drawing.of_arms(record, LEAKS, "search for a secret", arms)
    found = {arm: _found(claim, record, arm, told) for arm, told in searched.items()}
    return drawing.figure(
        "leak-matrix",
        {arm: (_heading(places), _drawing(claim, arm, places)) for arm, places in found.items()},
        f"Where the secret was found, measured for claim {escape(claim.id)}. The secret itself is "
        "masked. What was searched are the image's history, its configuration (config), every "
        "byte of every layer, and what <code>docker inspect</code> tells of the running container.",
        _legend(),
        _numbers(found),
    )


def _found(claim: Claim, record: Record, arm: str, searched: Mapping[str, Any]) -> Found:
    """Return the places of an arm; whether `inspect` tells the secret is among its figures."""
    try:
        inspected = record["arms"][arm]["inspected"]
        leaks = [(str(leak["kind"]), str(leak["told"])) for leak in searched["found"]]
    except (KeyError, TypeError) as error:
        raise ClaimsFileError(
            f"The recorded result of {claim.id} does not tell where {arm} was searched: {error!r}."
        ) from error
    places = {kind: [told for found, told in leaks if found == kind] for kind, _ in leaks}
    return {**places, _INSPECTED: ["inspect: the container's environment"]} if inspected else places


def _heading(places: Found) -> str:
    told = [_COLUMNS[kind][0] for kind in _COLUMNS if kind in places]
    if not told:
        return "found nowhere"
    *first, last = told
    return f"found in {', '.join(first)} and {last}" if first else f"found in {last}"


def _lines(places: Found) -> list[str]:
    return [line for kind, lines in places.items() if kind != _INSPECTED for line in lines]


def _drawing(claim: Claim, arm: str, places: Found) -> str:
    lines = _lines(places)
    title = f"Where a secret was found. {drawing.full_name(claim, arm)}"
    told = " ".join([f"{_heading(places).capitalize()}.", *(f"{line}." for line in lines)])
    height = LABEL + BAR + 6 + LABEL * len(lines)
    return drawing.svg(title, told, height, _parts(arm, places, lines))


def _parts(arm: str, places: Found, lines: Sequence[str]) -> Iterable[str]:
    colour = drawing.ARM_COLOURS.get(arm, drawing.OTHER)
    for number, (kind, (name, _)) in enumerate(_COLUMNS.items()):
        mark = "●" if kind in places else "○"
        x = _COLUMN.at(number)
        yield f'<text x="{x}" y="{LABEL - 5}">{mark} {name}</text>'
        yield _box(number, colour, filled=kind in places)
    for number, line in enumerate(lines):
        yield drawing.label(LABEL + BAR + 4 + number * LABEL, line)


def _box(number: int, colour: str, *, filled: bool) -> str:
    """Draw a place: a full box, or an outline where nothing was found."""
    width = 100 / len(_COLUMNS) - _GAP
    style = f"fill:{colour}" if filled else "fill:none"
    return (
        f'<rect x="{_COLUMN.at(number)}" y="{LABEL}" width="{width:.2f}%" height="{BAR}" '
        f'style="{style};stroke:{colour}"/>'
    )


def _legend() -> str:
    box = '<rect x="1" y="1" width="26" height="12" style="{}"/>'
    other = drawing.OTHER
    return drawing.legend(
        {
            "● found there": box.format(f"fill:{other};stroke:{other}"),
            "○ searched, and not found": box.format(f"fill:none;stroke:{other}"),
        }
    )


def _numbers(found: Mapping[str, Found]) -> str:
    rows = [
        (
            drawing.named(arm),
            [
                *("yes" if kind in places else "no" for kind in _COLUMNS),
                "<br>".join(escape(line) for line in _lines(places)) or "nowhere in the image",
            ],
        )
        for arm, places in found.items()
    ]
    heads = ("Arm", *(name for _, name in _COLUMNS.values()), "Where")
    return drawing.numbers("The places in words", "Where the secret was found", heads, {"": rows})
