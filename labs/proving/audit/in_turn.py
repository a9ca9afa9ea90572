"""An audit within an exercise: those checks alone that the exercise asks for."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from ..claims import Verdict
from . import archive_checks, run_checks, subject, telling
from .cage import Start
from .catalogue import ARCHIVE
from .findings import Finding, Report, by_weight

if TYPE_CHECKING:
    from ..image import Image
    from ..lab import Lab

WATCH_SECONDS = 4.0
"""For how long it is watched for what it writes."""

PATIENCE_SECONDS = 40.0
"""How long a start may take: a room's machines are busy."""


def read(lab: Lab, image: Image, checks: Collection[str]) -> Report:
    """Return what those of the checks find that an image's archive answers.

    Raises:
        CouldNotMeasure: the archive cannot be read.
    """
    began = time.monotonic()
    found, facts = archive_checks.check(subject.of_engine(lab.engine, str(image.tag)))
    named = tuple(one for one in found if one.check.id in checks)
    return Report(image.name, named, facts, time.monotonic() - began)


def run(lab: Lab, image: Image, checks: Collection[str], start: Start | None = None) -> Report:
    """Return what those of the checks find that a run in a cage answers.

    Where nothing but what a busy machine may have done is left, that is asked once more.

    Raises:
        ProvingError: the engine does not have the image any more.
    """
    of_archive = {check.id for check in ARCHIVE}
    how = replace(start or Start(), patience_seconds=PATIENCE_SECONDS)

    def ask(names: Collection[str]) -> Report:
        seen = run_checks.run(
            lab,
            str(image.tag),
            how,
            writes_seconds=WATCH_SECONDS,
            grace_seconds=lab.grace_seconds,
            only=names,
        )
        return Report(image.name, seen.findings, seen.facts, seen.seconds)

    first = ask([one for one in checks if one not in of_archive])
    open_ones = left(first)
    if not (open_ones and all(map(_is_doubtful, open_ones)) and first.facts.get("speaks_http_on")):
        return first
    again = {one.check.id: one for one in ask([one.check.id for one in open_ones]).findings}
    findings = tuple(again.get(one.check.id, one) for one in first.findings)
    return replace(first, findings=findings)


def _is_doubtful(finding: Finding) -> bool:
    """Tell whether a busy machine may have decided it.

    That is what could not be measured, but for a log that is empty; and a path that seems to be
    ready before another one, since both are asked at once.
    """
    if finding.verdict is Verdict.COULD_NOT_BE_MEASURED:
        return finding.check.id != "logs"
    return finding.check.id == "readiness" and "answered_seconds" in finding.values


def left(report: Report) -> list[Finding]:
    """Return what is left to do, in the order of the scorecard: what does not hold comes first.

    What could not be measured is no pass, and comes after it.
    """
    return [
        *by_weight(report.of(Verdict.DOES_NOT_HOLD)),
        *by_weight(report.of(Verdict.COULD_NOT_BE_MEASURED)),
    ]


def unasked(report: Report) -> str:
    """Return which checks were not applicable in a run, and why: a sentence or two, or nothing.

    Of an image that answers no HTTP in time it cannot be asked when it is ready. An exercise asks
    for checks that its image has to pass, so that is no pass either.
    """
    found = by_weight(report.of(Verdict.NOT_APPLICABLE))
    if not found:
        return ""
    names = " and ".join(f"`{one.check.id}`" for one in found)
    return f"{names} had nothing to look at. {found[0].figure}"


def told(finding: Finding) -> str:
    """Return a finding for a reader: which check, its verdict, its own figure and its places."""
    places = "; ".join(telling.shortened(finding.places, 2))
    figure = telling.answer(finding)
    return f"`{finding.check.id}` {finding.verdict}. {figure}{f' ({places})' if places else ''}"
