"""An audit within an exercise: those checks alone that the exercise asks for."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..claims import Verdict
from . import archive_checks, run_checks, subject, telling
from .catalogue import ARCHIVE
from .findings import Finding, Report, by_weight

if TYPE_CHECKING:
    from ..image import Image
    from ..lab import Lab
    from .cage import Start

GRACE_SECONDS = 5.0
"""How long a stop may take here: less than in a lab, since a reader tries again and again."""

WATCH_SECONDS = 4.0
"""For how long it is watched for what it writes."""


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

    Raises:
        ProvingError: the engine does not have the image any more.
    """
    of_archive = {check.id for check in ARCHIVE}
    seen = run_checks.run(
        lab,
        str(image.tag),
        start,
        writes_seconds=WATCH_SECONDS,
        grace_seconds=GRACE_SECONDS,
        only=[one for one in checks if one not in of_archive],
    )
    return Report(image.name, seen.findings, seen.facts, seen.seconds)


def left(report: Report) -> list[Finding]:
    """Return what is left to do, in the order of the scorecard: what does not hold comes first.

    What could not be measured is no pass, and comes after it.
    """
    return [
        *by_weight(report.of(Verdict.DOES_NOT_HOLD)),
        *by_weight(report.of(Verdict.COULD_NOT_BE_MEASURED)),
    ]


def told(finding: Finding) -> str:
    """Return a finding for a reader: which check, its verdict, its own figure and its places."""
    places = "; ".join(telling.shortened(finding.places, 2))
    figure = telling.answer(finding)
    return f"`{finding.check.id}` {finding.verdict}. {figure}{f' ({places})' if places else ''}"
