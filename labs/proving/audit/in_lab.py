"""An audit within a lab, which owns what it starts and displays the scorecard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import archive_checks, html, run_checks, subject, telling
from .audit import Options, start_of
from .findings import Report

if TYPE_CHECKING:
    from ..lab import Lab


def audited(lab: Lab, reference: str, options: Options, *, called: str = "") -> Report:
    """Return what all checks find on an image of the lab's engine, which pulls it if it must.

    `called` is what the report names it.

    Raises:
        CouldNotMeasure: the engine does not have it, or its archive cannot be read.
        EngineError: the engine went away.
    """
    began = time.monotonic()
    about = subject.of_engine(lab.engine, reference)
    findings, facts = archive_checks.check(about)
    if options.run:
        seen = run_checks.run(
            lab,
            about.reference,
            start_of(options),
            writes_seconds=options.watch_seconds,
            grace_seconds=lab.grace_seconds,
        )
        findings, facts = [*findings, *seen.findings], {**facts, **seen.facts}
    return Report(called or about.name, tuple(findings), facts, time.monotonic() - began)


def bundle(report: Report) -> dict[str, str]:
    """Return what a notebook displays of a report: its scorecard, and one line without HTML."""
    return {"text/html": html.card(report), "text/plain": telling.tally(report)}
