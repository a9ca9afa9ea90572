"""What the checks of an image's files and those of its folder share: how they tell a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..claims import Value, Verdict, humanize
from . import secrets
from .catalogue import CHECKS
from .findings import Finding, Line
from .text import printable

MOST_PLACES = 50
"""How many places a finding tells."""


def finding(
    check_id: str,
    verdict: Verdict | bool,
    figure: str,
    advice: str = "",
    *,
    values: Mapping[str, Value] | None = None,
    places: Iterable[str] = (),
    lines: Iterable[Line] = (),
) -> Finding:
    """Return what a check has found, its first places without secrets, and fit to be printed.

    It has advice only where something is to be done, and lines only where it does not hold.
    """
    if isinstance(verdict, bool):
        verdict = Verdict.HOLDS if verdict else Verdict.DOES_NOT_HOLD
    told = advice if verdict in (Verdict.DOES_NOT_HOLD, Verdict.COULD_NOT_BE_MEASURED) else ""
    shown = tuple(printable(secrets.redact(place)) for place in list(places)[:MOST_PLACES])
    lines = tuple(dict.fromkeys(lines)) if verdict is Verdict.DOES_NOT_HOLD else ()
    return Finding(CHECKS[check_id], verdict, figure, told, dict(values or {}), shown, lines)


def sized(size: int) -> str:
    """Return a size in bytes for a person, with its unit."""
    return humanize(size, "B")


def many(count: int, one: str, several: str = "") -> str:
    """Return how many there are, with their name: that of `one`, or of `several`."""
    return f"{count} {one if count == 1 else several or one + 's'}"
