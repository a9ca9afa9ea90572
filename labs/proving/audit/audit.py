"""An audit from beginning to end: what it asks, of whom, and that every question gets an answer."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..claims import Verdict
from .catalogue import CHECKS
from .context import Building, is_context
from .findings import Check, Finding, Report

if TYPE_CHECKING:
    from .cage import Start
    from .subject import Subject

ARCHIVE, RUN, CONTEXT = "archive", "run", "context"


@dataclass(frozen=True)
class Options:
    """How to start the image and how to know that it is up; `run` tells whether to start it at all.

    Without a `command` it is the image's own, without a `port` those that it exposes.
    `volumes` are paths in the container that get an empty volume.
    It is up when `ready_path` answers, when a line of its log matches `ready_log`, when it has run
    for `ready_seconds`, or else by its ports; it is waited for `patience_seconds`.
    For `watch_seconds` it is watched for what it writes.
    `building` says how a folder is built.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    port: int | None = None
    volumes: tuple[str, ...] = ()
    ready_path: str | None = None
    ready_log: str | None = None
    ready_seconds: float | None = None
    patience_seconds: float = 15.0
    watch_seconds: float = 15.0
    run: bool = True
    building: Building = field(default_factory=Building)


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

    def __call__(self, subject: Subject, options: Options, progress: Progress, /) -> Found:
        """Answer the checks of this source about an image.

        Raises:
            ProvingError: nothing of it can be told.
        """


def find(text: str, progress: Progress) -> Subject:
    """Return the image that a text names, pulled where the engine has to.

    Raises:
        ProvingError: it names none, or there is no engine.
    """
    from .. import engine
    from . import subject

    if subject.is_archive(text):
        return subject.of_file(text)
    found = engine.find()  # which may ask the person something
    with progress.task(f"Asking the engine for {text}"):
        return subject.of_engine(found, text)


def sources(options: Options) -> dict[str, Source]:
    """Return where the answers come from, by the name that checks have for it."""
    return {ARCHIVE: read_archive, **({RUN: run_in_cages} if options.run else {})}


def build_again(subject: Subject, _options: Options, progress: Progress) -> Found:
    """Answer what a folder answers when its image is built, and built again after an edit."""
    from . import context_checks
    from .builds import Built

    if not isinstance(subject, Built):
        return Found(())
    findings, facts = context_checks.check(subject, progress)
    return Found(tuple(findings), facts)


def read_archive(subject: Subject, _options: Options, progress: Progress) -> Found:
    """Answer what an image's archive answers."""
    from . import archive_checks

    with progress.task(f"Reading {subject.name}", subject.archive_bytes or None) as advance:
        read = 0

        def on_bytes(so_far: int) -> None:
            nonlocal read
            advance(so_far - read)
            read = so_far

        findings, facts = archive_checks.check(subject, on_bytes=on_bytes)
    return Found(tuple(findings), facts)


def run_in_cages(subject: Subject, options: Options, progress: Progress) -> Found:
    """Answer what an image shows when it runs; an archive in a file is not run."""
    from ..lab import Lab
    from . import run_checks

    if subject.engine is None:
        why = "An archive is not run: load it by `docker load`, and name the image."
        return Found(tuple(_unanswered(RUN, why)))
    with redirect_stdout(io.StringIO()):  # a lab greets its reader there, where the report goes
        lab = Lab("audit")
    with lab, progress.task(f"Running {subject.name}", len(_of(RUN))) as advance:
        seen = run_checks.run(
            lab,
            subject.reference,
            start_of(options),
            writes_seconds=options.watch_seconds,
            tell=lambda _: advance(1),
        )
    return Found(seen.findings, seen.facts)


def start_of(options: Options) -> Start:
    """Return how an image is started in a cage, and how to tell that it is up."""
    from .cage import Start

    return Start(
        command=options.command,
        environment=options.environment,
        port=options.port,
        path=options.ready_path or "",
        log_line=options.ready_log or "",
        up_seconds=options.ready_seconds,
        volumes=options.volumes,
        patience_seconds=options.patience_seconds,
    )


def audit(text: str, options: Options, progress: Progress) -> Report:
    """Audit the image that a text names, or that a folder builds.

    The findings are in the order of the catalogue.
    A check that a source was asked for and did not answer "could not be measured".

    Raises:
        ProvingError: it could not be audited.
    """
    began = time.monotonic()
    findings: dict[str, Finding] = {}
    facts: dict[str, Any] = {}
    with ExitStack() as made:
        asked = sources(options)
        if is_context(text):
            from . import builds

            subject: Subject = made.enter_context(builds.opened(text, options.building, progress))
            asked = {CONTEXT: build_again, **asked}
        else:
            subject = find(text, progress)
        for name, source in asked.items():
            found = source(subject, options, progress)
            facts |= found.facts
            answers = (*_unanswered(name, "The audit has found no answer."), *found.findings)
            findings |= {one.check.id: one for one in answers}
    order = list(CHECKS)
    return Report(
        subject.name,
        tuple(sorted(findings.values(), key=lambda one: order.index(one.check.id))),
        facts,
        time.monotonic() - began,
    )


def _of(source: str) -> list[Check]:
    return [check for check in CHECKS.values() if check.source == source]


def _unanswered(source: str, why: str) -> list[Finding]:
    return [Finding(check, Verdict.COULD_NOT_BE_MEASURED, why) for check in _of(source)]
