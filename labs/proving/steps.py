"""One application, taken through the guide's steps: each version is built, audited and stopped.

The versions are the arms of one claim, in the guide's order: `bad` is the first Dockerfile, `good`
the last, and the claim's row names those between them. Each has a folder that builds by itself.
"""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import claims
from .audit.audit import Options
from .audit.findings import Finding, Report
from .audit.in_lab import audited
from .claims import Value, Verdict
from .errors import CouldNotMeasure
from .lab import NotMeasured
from .traffic import Load, met_by_requests, parse_handlers, stop_under_load

if TYPE_CHECKING:
    from .container import Container
    from .image import Image
    from .lab import Figures, Lab, Measured

VERDICTS = "verdicts"
"""The key under which a step's figures carry the verdict of every check of the audit, by its id."""

OPEN = (Verdict.DOES_NOT_HOLD, Verdict.COULD_NOT_BE_MEASURED)
"""The verdicts that leave a check open: one that could not be measured is no pass."""

_AT_ONCE = 3
"""How many versions are run at once: their waits overlap, and two cores start the containers."""


@dataclass(frozen=True)
class Step:
    """A version of the application: where it lies, and the image that was built of it."""

    name: str
    folder: Path
    image: Image


def order(claim_id: str) -> tuple[str, ...]:
    """Return the versions' names, from the first Dockerfile to the last."""
    return ("bad", *claims.get(claim_id).also, "good")


def folders(claim_id: str) -> dict[str, Path]:
    """Return the folder of every version by its name."""
    return {name: claims.IMAGES / claim_id / name.replace("_", "-") for name in order(claim_id)}


def build(lab: Lab, claim_id: str) -> list[Step]:
    """Build all versions of the application, side by side; `teeth` exchanges their folders.

    Raises:
        BuildError: one does not build.
        BaseImageError: a base cannot be had.
    """
    taken = lab.exchange(claim_id, **folders(claim_id))
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(lab.build, taken.values()))
    return [
        Step(name, folder, image)
        for (name, folder), image in zip(taken.items(), images, strict=True)
    ]


def measure(
    lab: Lab, claim_id: str, built: Sequence[Step], options: Options, *, edited: str, log_file: str
) -> dict[str, Measured]:
    """Return the figures of every version by its name; see `figures`.

    Versions are built again after an edit of the file `edited` while others are run, which is
    mostly waiting. `log_file` is where a version logs that does not log to its output.
    """
    running = threading.Semaphore(_AT_ONCE)

    def run(step: Step) -> Figures:
        with running:
            report = audited(lab, str(step.image.tag), options)
            toll = met_by_requests(lambda: stopped_under_load(lab, step.image, options, log_file))
        return {**figures(report), **toll}

    with ThreadPoolExecutor(1) as pool:
        edits = pool.submit(_run_again, lab, claim_id, built, edited)
        measured = lab.run_together({step.name: _job(run, step) for step in built})
        again = edits.result()
    return {
        name: found if isinstance(found, NotMeasured) else {**found, "run_again": again[name]}
        for name, found in measured.items()
    }


def _job(run: Any, step: Step) -> Any:
    return lambda: run(step)


def figures(report: Report) -> dict[str, Any]:
    """Return what is told of a version: facts, the figures of some checks, and all verdicts.

    Bytes are the audit's: transfer bytes may be estimated from samples.
    """
    found = {finding.check.id: finding for finding in report.findings}
    facts = report.facts
    return {
        "open": sum(finding.verdict in OPEN for finding in report.findings),
        "transfer_bytes": facts["transfer_bytes"],
        "unpacked_bytes": facts["unpacked_bytes"],
        "hidden_bytes": facts["hidden_bytes"],
        "executables": facts["executables"],
        "packages": facts["packages"],
        "privileged_files": _value(found["privileged-files"], "privileged_files"),
        "tools": _value(found["toolchain"], "tools"),
        "secrets": _value(found["secrets"], "secrets"),
        "processes": _value(found["pid-1"], "processes"),
        "written_files": _value(found["writes"], "files"),
        "ready_paths": _value(found["readiness"], "ready_paths"),
        "stop_seconds": _value(found["stops"], "stop_seconds"),
        "exit_status": _value(found["stops"], "exit_status"),
        "left_open": ", ".join(one for one, told in found.items() if told.verdict in OPEN)
        or "none",
        VERDICTS: {one: str(told.verdict) for one, told in found.items()},
    }


def _value(finding: Finding, name: str) -> Value:
    """Return a figure of a finding.

    Raises:
        CouldNotMeasure: the check did not come so far.
    """
    if name not in finding.values:
        raise CouldNotMeasure(f"The check {finding.check.id} has no figure: {finding.figure}")
    return finding.values[name]


def stopped_under_load(lab: Lab, image: Image, options: Options, log_file: str) -> dict[str, Value]:
    """Return how many requests a version had begun when it was stopped, and how many were lost.

    Its log tells what it had begun, on its output or in its `log_file`.

    Raises:
        CouldNotMeasure: it does not come up, or nothing was under way.
    """
    port, path = options.port or 80, options.ready_path or "/"
    with lab.start(image, ports=[port], environment=dict(options.environment)) as app:
        _wait_for(app, port, path, options.patience_seconds)
        with Load(f"http://{app.address(port)}{path}", concurrency=6) as load:
            load.wait_for(answered=12)
            stop = app.stop_gracefully(lab.grace_seconds)
            report = load.finish()
        logged = app.log_text() + _file(app, log_file)
    at = stop.died_at if stop.killed else stop.term_at
    toll = stop_under_load(report, at, parse_handlers(logged))
    return {"in_flight": toll.in_flight, "lost": toll.lost}


def _file(app: Container, path: str) -> str:
    """Return a file of a container, which may have ended; nothing where there is none."""
    from docker.errors import NotFound

    try:
        chunks, _ = app.get_wrapped_container().get_archive(path)
    except NotFound:
        return ""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        file = archive.extractfile(archive.next() or path)
        return file.read().decode(errors="replace") if file else ""


def _wait_for(app: Container, port: int, path: str, seconds: float) -> None:
    until = time.monotonic() + seconds
    while app.get(port, path) != 200:
        if time.monotonic() > until:
            raise CouldNotMeasure(f"{path} was not answered with 200 within {seconds:.0f} s.")
        time.sleep(0.1)


def _run_again(lab: Lab, claim_id: str, built: Sequence[Step], edited: str) -> dict[str, int]:
    """Return how many steps of each version's Dockerfile run again after an edit of one file."""
    found = {}
    for step in built:
        with lab.workspace_of(step.folder, step.folder, key=claim_id) as work:
            work.salt(edited)
            image = work.build()
            found[step.name] = sum(not (one.cached or one.is_base) for one in image.steps)
    return found
