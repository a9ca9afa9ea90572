"""An audit from beginning to end: what it asks, of whom, and that every question gets an answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from ..claims import Verdict
from .catalogue import CHECKS
from .findings import Finding, Report

ARCHIVE, RUN = "archive", "run"


@dataclass(frozen=True)
class Options:
    """How to start the image and how to know that it is up; `run` tells whether to start it at all.

    Without a `command` it is the image's own, without a `port` those that it exposes.
    `volumes` are paths in the container that get an empty volume.
    It is up when `ready_path` answers, when a line of its log matches `ready_log`, when it has run
    for `ready_seconds`, or else by its ports; it is waited for `patience_seconds`.
    For `watch_seconds` it is watched for what it writes.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    port: int | None = None
    volumes: tuple[str, ...] = ()
    ready_path: str | None = None
    ready_log: str | None = None
    ready_seconds: float | None = None
    patience_seconds: float = 15.0
    watch_seconds: float = 60.0
    run: bool = True


@dataclass(frozen=True)
class Found:
    """What one source of answers has found, and the facts that it tells beside."""

    findings: tuple[Finding, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Progress(Protocol):
    """What is told while an audit is under way."""

    def task(
        self, what: str, total: float | None = None
    ) -> AbstractContextManager[Callable[[float], None]]:
        """Tell that a piece of work goes on, of `total` units where that is known.

        What it gives is called with the number of units that were done since the last time, from
        any thread.
        """


class Source(Protocol):
    """Where answers come from."""

    def __call__(self, subject: str, options: Options, progress: Progress, /) -> Found:
        """Answer the checks of this source about an image, by its name.

        Raises:
            ProvingError: there is no such image, or nothing of it can be told.
        """


def sources(options: Options) -> dict[str, Source]:
    """Return where the answers come from, by the name that checks have for it."""
    modules = {ARCHIVE: "archive_checks", **({RUN: "run_checks"} if options.run else {})}
    return {
        name: import_module(f"{__package__}.{module}").check for name, module in modules.items()
    }


def audit(
    subject: str,
    options: Options,
    progress: Progress,
    asked: Mapping[str, Source] | None = None,
) -> Report:
    """Audit one image and return the report, its findings in the order of the catalogue.

    A check that a source was asked for and did not answer "could not be measured".

    Raises:
        ProvingError: it could not be audited.
    """
    began = time.monotonic()
    findings: dict[str, Finding] = {}
    facts: dict[str, Any] = {}
    for name, source in (sources(options) if asked is None else asked).items():
        found = source(subject, options, progress)
        facts |= found.facts
        findings |= {one.check.id: one for one in (*_unanswered(name), *found.findings)}
    order = list(CHECKS)
    return Report(
        subject,
        tuple(sorted(findings.values(), key=lambda one: order.index(one.check.id))),
        facts,
        time.monotonic() - began,
    )


def _unanswered(source: str) -> list[Finding]:
    return [
        Finding(check, Verdict.COULD_NOT_BE_MEASURED, "The audit has found no answer.")
        for check in CHECKS.values()
        if check.source == source
    ]
