#!/usr/bin/env python3
"""The guide's sessions. Plain `nox` proves all of it; `nox -s guide` is for reading and running.

All sessions share one virtual environment, made once under a lock: a full one takes most of a
minute and 700 MB.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import venv
from pathlib import Path
from xml.etree import ElementTree as ET

import nox
from nox.command import CommandFailed

if sys.platform == "win32":
    sys.exit(
        "The guide does not run on Windows itself. Work within WSL 2: `wsl --install` in a "
        "PowerShell makes one, and the guide's commands run in its terminal."
    )

import fcntl

HERE = Path(__file__).parent
SHARED = HERE / ".nox" / "shared"
PYTHON = SHARED / "bin" / "python"
REPORTS = HERE / "reports"
SITE = HERE / "_build" / "html"

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "none"
nox.options.error_on_external_run = False

SPHINX_FLAGS = (
    "-n",  # a reference that leads nowhere is an error
    "-W",  # so is any other warning
    "--keep-going",  # and all of them are told at once
    "-q",
)
SIDE_BY_SIDE = (
    "-n=logical",  # a process for each processor; `-- -n 0` runs them one after the other
    "--maxprocesses=4",  # each of them imports all tests
    "--dist=worksteal",  # neighbours mostly stay together, and share what their module has made
)
FILES_SIDE_BY_SIDE = (
    "-n=2",  # they mostly wait for containers, and must not wait for each other
    "--dist=loadfile",  # what a file builds twice would else be built at the same time
)
ENDING = {"interrupt_timeout": 20, "terminate_timeout": 20}  # time to clean the engine up


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types: ruff and mypy."""
    with _counted("lint"):
        _prepare(session)
        _python(session, "ruff", "check", ".")
        _python(session, "ruff", "format", "--check", ".")
        _python(session, "mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the unit tests; no engine and no browser needed."""
    report = _report("tests")
    _prepare(session)
    _pytest(session, report, "not engine and not browser", *SIDE_BY_SIDE)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site with strict flags and read it in a real browser."""
    report = _report("browser")
    with _counted("site"):
        _prepare(session)
        _python(session, "sphinx", *SPHINX_FLAGS, "-b", "html", ".", str(SITE))
    _python(session, "proving.browser")
    _pytest(session, report, "browser", *SIDE_BY_SIDE)


@nox.session
def labs(session: nox.Session) -> None:
    """Prove every claim on a real engine; `-- 09` or `-- P1` for one, `--repeat N`."""
    _prove(session, "labs")


@nox.session
def teeth(session: nox.Session) -> None:
    """Exchange the arms of every claim: each must fail, for its own reason."""
    _prove(session, "teeth")


@nox.session
def faults(session: nox.Session) -> None:
    """Break things on a real engine: each ends in a sentence, and nothing is left behind.

    Tests that bear it run beside each other first; those that are chosen behind `--` run in turn.
    """
    beside = None if session.posargs else _report("beside")
    report = _report("faults")
    _prepare(session, engine=True)
    _python(session, "proving.prepare")
    if beside is None:
        _pytest(session, report, "engine")
        return
    try:
        _pytest(session, beside, "engine and beside", *FILES_SIDE_BY_SIDE)
    finally:
        _pytest(session, report, "engine and not beside")


@nox.session(default=False)
def guide(session: nox.Session) -> None:
    """Serve the site and JupyterLab on this machine; `-- --check` tries it and ends."""
    _prepare(session, engine=True)
    _python(session, "proving.guide", *session.posargs)


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Measure the guide's checklist on an image or a folder of yours: `-- IMAGE`, `-- --help`."""
    _program(session, "audit", engine=True)


@nox.session(default=False)
def preflight(session: nox.Session) -> None:
    """Tell whether this machine can run the labs, by one image; `-- --decode CODE`, `--json`."""
    _program(session, "preflight")


@nox.session(default=False)
def progress(session: nox.Session) -> None:
    """Show what you have proved and passed on this machine; `-- --export FILE`."""
    _program(session, "progress")


@nox.session(default=False)
def hub(session: nox.Session) -> None:
    """Open a room on this machine, an engine for everybody; `-- --seats 8`, `--who`, `--clear`."""
    # its seats stop, and are removed, in order
    _program(session, "hub", engine=True, interrupt_timeout=150)


def _program(session: nox.Session, name: str, *, engine: bool = False, **options: object) -> None:
    """Run a program of the guide's that has exit statuses of its own."""
    _prepare(session, engine=engine)
    status = _Status()
    quiet = {"log": False, "stderr": sys.stderr}  # options may hold secrets; stdout has the report
    _python(session, "proving", name, *session.posargs, success_codes=status, **quiet, **options)
    if status.seen:
        sys.exit(status.seen)


class _Status:
    """Exit statuses that are all right to nox, which else would make a 1 of each: the last one."""

    seen = 0

    def __contains__(self, status: int) -> bool:
        self.seen = status
        return True


@nox.session(default=False)
def kit(session: nox.Session) -> None:
    """Make one archive of all that a room needs without a network; `-- --load`, `-- --serve`."""
    if session.posargs[:1] == ["--load"] and session.posargs[1:]:
        os.environ["PROVING_KIT"] = session.posargs[1]  # the environment comes from it, too
    _prepare(session)
    _python(session, "proving.kit.command", *session.posargs)


@nox.session(default=False)
def engines(session: nox.Session) -> None:
    """Prove every claim on newer engines too, nested in containers; `-- trixie P1` for one."""
    report = _report("engines")
    _prepare(session, engine=True)
    _python(session, "proving.engines", *session.posargs, f"--junit={report}")


@nox.session(default=False)
def record(session: nox.Session) -> None:
    """Run the labs and write them back with their outputs, after a clean run only."""
    _prepare(session, engine=True)
    _python(session, "proving.prove", "record", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Tell where the labs' time goes; `-- 09` for one chapter, `-- audit` for the audit's."""
    _prepare(session, engine=True)
    _python(session, "proving.bench", *session.posargs)


@nox.session(default=False)
def deck(session: nox.Session) -> None:
    """Make slides of the chapters for a room, with notes and a print; `-- half-day` for one."""
    _prepare(session)
    _python(session, "proving.deck", *session.posargs)


@nox.session(default=False)
def reset(session: nox.Session) -> None:
    """Restore the working copy of the labs; asks before it throws edits away."""
    _prepare(session)
    _python(session, "proving.workcopy", *session.posargs)


@nox.session(default=False)
def clean(session: nox.Session) -> None:
    """Leave no trace of runs, bases and the private engine; `hub -- --clear` removes a room."""
    _prepare(session)
    _python(session, "proving.clean", *session.posargs)


def _prepare(session: nox.Session, *, engine: bool = False) -> None:
    """Make the shared environment, once for all sessions and all runs at the same time.

    What `PROVING_KIT` names is taken before that; afterwards its images are loaded, for a session
    that needs an engine.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - the requirements would end in a traceback
        session.error("This is Python {}.{}; you need 3.11 or newer.".format(*sys.version_info))
    if not os.access(HERE, os.W_OK) or (SHARED.exists() and not os.access(SHARED, os.W_OK)):
        session.error(f"{SHARED} cannot be written: another user, root perhaps, has made it.")
    kit = os.environ.get("PROVING_KIT")
    SHARED.parent.mkdir(exist_ok=True)
    with (SHARED.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kit:  # there may be no environment yet: by this Python alone
            environment = {"PYTHONPATH": str(HERE / "labs")}
            take = (sys.executable, "-m", "proving.kit.sources", kit)
            session.run(*take, env=environment, external=True)
        _make_environment(session)
    if kit and engine:
        _python(session, "proving.kit.command", "--load")


def _make_environment(session: nox.Session) -> None:
    requirements = HERE / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = SHARED / "made-of"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    session.log("Making the shared environment: this takes about a minute, once.")
    shutil.rmtree(SHARED, ignore_errors=True)
    venv.create(SHARED, with_pip=True)
    _install(session, requirements)
    stamp.write_text(wanted)


def _install(session: nox.Session, requirements: Path) -> None:
    """Install from the kit that was taken, and from pip's own index where that has not all."""
    command = (PYTHON, "-m", "pip", "install", "--quiet", "--no-compile", "-r", requirements)
    wheels = HERE / ".engine" / "kit" / "wheels"
    if wheels.is_dir():
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
        try:
            session.run(*command, env=offline, external=True)
        except CommandFailed:
            session.log("The kit has no wheels for this Python: pip asks its own index.")
        else:
            return
    session.run(*command, external=True)


def _python(session: nox.Session, module: str, *arguments: str, **options: object) -> None:
    environment = {"PYTHONPATH": str(HERE / "labs"), "PYTHONDONTWRITEBYTECODE": ""}
    options = {**ENDING, **options}
    session.run(PYTHON, "-m", module, *arguments, env=environment, external=True, **options)


def _pytest(session: nox.Session, report: Path, markers: str, *more: str) -> None:
    options = ("-q", "-m", markers, f"--junitxml={report}", *more)
    _python(session, "pytest", *options, *session.posargs)


def _prove(session: nox.Session, what: str) -> None:
    report = _report(what)
    _prepare(session, engine=True)
    _python(session, "proving.prove", what, *session.posargs, f"--junit={report}")


_reports: list[Path] = []


def _report(name: str) -> Path:
    """Announce a report: where none is written in the end, its session has failed."""
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / f"{name}.xml"
    path.unlink(missing_ok=True)
    _reports.append(path)
    return path


class _counted:
    """Count a block as one test of the sum."""

    def __init__(self, name: str) -> None:
        self.path = _report(name)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        suite = ET.Element("testsuite", tests="1", failures=str(int(kind is not None)))
        ET.ElementTree(suite).write(self.path)


@atexit.register
def _sum() -> None:
    """Print the sum of all sessions as the last line; a session without a report has failed."""
    if not _reports:
        return
    passed = failed = 0
    for path in _reports:
        try:
            suites = list(ET.parse(path).iter("testsuite"))  # noqa: S314 - we wrote it
        except (OSError, ET.ParseError):
            failed += 1
            continue
        for suite in suites:
            bad = sum(int(suite.get(kind, 0)) for kind in ("failures", "errors"))
            passed += int(suite.get("tests", 0)) - bad - int(suite.get("skipped", 0))
            failed += bad
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed", flush=True)


if __name__ == "__main__":
    os.chdir(HERE)
    nox.main()
