"""Check the reader's image: is each container one function, whose end and failure can be seen?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proving.container import Container, Process
from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, changed, request
from proving.image import Image
from proving.lab import Lab
from proving.system import last_lines

PORT, ORDERED = 8000, '"lamp"'
ARGUMENT, SETTING, NOBODY = "report", "SHOP", "http://127.0.0.1:9"
REPORT, NO_REPORT = "2 orders of 74.50 euros", "no report"
END_SECONDS = 8.0
"""How long a report may take, on a machine that has much else to do."""

GRACE_SECONDS = 3.0
"""How long the server may take to end: it has nothing to finish."""

OWN = ("server.py", "report.py")


@dataclass(frozen=True)
class Run:
    """What became of a report: its exit status, or None while it runs on, and what was seen."""

    exit_status: int | None
    log: str
    processes: tuple[Process, ...] = ()
    changed: tuple[str, ...] = ()


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge containers of the one image: that of the server, and those that make a report."""
    if others := changed(folder, Path(__file__).parent / "start", OWN):
        return Answer(
            Outcome.FAILED,
            f"{' and '.join(others)} must stay as the exercise has it. What is to be mended is "
            "how the image starts the two programs.",
        )
    image = lab.build(folder)
    try:
        # where the report of a reader's server asks, there is no shop
        environment, options = {SETTING: NOBODY}, {"network_mode": "bridge"}
        with lab.start(image, environment=environment, options=options) as web:
            return (
                _served(lab, web)
                or judge_functions(web.processes(), web.log_text())
                or judge_report(_report(lab, image, f"http://{web.bridge_address()}:{PORT}"))
                or _judge_ends(_report(lab, image, NOBODY), web)
            )
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))


def _served(lab: Lab, web: Container) -> Answer | None:
    """Return what the server fails to answer, or nothing."""
    status, page = request(lab, web, PORT)
    if status == 200 and ORDERED in page:
        return None
    return Answer(
        Outcome.FAILED,
        f"The server answers with status {status} and {page.strip()[:60]!r}, and not with the "
        "orders.",
    )


def judge_functions(processes: Sequence[Process], log: str) -> Answer | None:
    """Return what else than the server is at work in its container, or nothing.

    A shell or an init that the server descends from is no function of its own.
    """
    servers = [one for one in processes if one.comm.startswith("python") and "server" in one.args]
    if not servers:
        return Answer(
            Outcome.FAILED,
            f"The server answers, and none of its processes is one: {_told(processes)}.",
        )
    parents = {one.pid: one.ppid for one in processes}
    line, pid = set(), servers[0].pid
    while pid in parents and pid not in line:
        line.add(pid)
        pid = parents[pid]
    others = [one for one in processes if one.pid not in line]
    failed = [said for said in log.splitlines() if said.startswith(NO_REPORT)]
    if not others and not failed:
        return None
    beside = f"beside `{servers[0].args}` it runs {_told(others)}. " if others else ""
    hidden = (
        f"Its report has failed (`{failed[-1]}`), and the engine sees a container that is well. "
        if failed
        else ""
    )
    return Answer(
        Outcome.HINT,
        f"The server answers. But its container has a second function: {beside}{hidden}"
        "Who else could start the report, in a container of its own?",
    )


def judge_report(run: Run) -> Answer | None:
    """Return what is wrong with a report that has a shop to ask, or nothing."""
    asked = f"with the argument `{ARGUMENT}`, a container of the image"
    if run.exit_status is None:
        return Answer(
            Outcome.HINT,
            f"The server is alone in its container. But {asked} still runs after "
            f"{END_SECONDS:.0f} s: {_told(run.processes)}. Who reads the arguments that a "
            "container is started with, and when is a report done?",
        )
    if run.exit_status:
        said = last_lines(run.log) or "    (it has logged nothing)"
        return Answer(
            Outcome.FAILED,
            f"The server is alone in its container. But {asked} has ended with exit status "
            f"{run.exit_status}, although the shop could be asked. Its last lines:\n{said}",
        )
    if REPORT not in run.log:
        files = [f"/{path.strip('/')}" for path in run.changed if path.endswith(".log")]
        written = f" It has written {', '.join(files)}, which is gone with it." if files else ""
        return Answer(
            Outcome.HINT,
            f"The server is alone in its container, and {asked} ends. But `docker logs` has no "
            f"report{_instead(run.log)}.{written} Where does the engine read what a program says?",
        )
    return None


def _judge_ends(failed: Run, web: Container) -> Answer:
    """Judge a report that has no shop to ask, and then how the server ends."""
    if hint := judge_failure(failed):
        return Answer(Outcome.HINT, hint)
    first = web.process(1)
    stop = web.stop_gracefully(GRACE_SECONDS)
    shows = f"A report that fails ends with exit status {failed.exit_status}"
    if stop.killed or stop.exit_status:
        end = (
            f"the engine had to kill it after {stop.seconds:.1f} s"
            if stop.killed
            else f"it ended with exit status {stop.exit_status} and not with 0"
        )
        return Answer(
            Outcome.HINT,
            f"{shows}. But at TERM the server did not end by itself: {end}. PID 1 is "
            f"`{first.args}`. By what word does a shell leave its place to the program that it "
            "starts?",
        )
    return Answer(
        Outcome.PASSED,
        f"One image, and one function in each container: the server stops in "
        f"{stop.seconds:.1f} s with exit status 0; the report prints {REPORT!r} and ends. {shows}, "
        "so that a Job tries it again or tells of it.",
    )


def judge_failure(run: Run) -> str:
    """Return what hides a failure of the report, or nothing."""
    works = "The server is alone in its container, and the report is made in another. But"
    if run.exit_status is None:
        return (
            f"{works} where the shop cannot be asked, it still runs after {END_SECONDS:.0f} s: "
            f"{_told(run.processes)}. Who else could try again, and would be seen to?"
        )
    if NO_REPORT not in run.log:
        return (
            f"{works} where the shop cannot be asked, `docker logs` has no word of it"
            f"{_instead(run.log)}. Where does the engine read what a program says?"
        )
    if not run.exit_status:
        return (
            f"{works} where the shop cannot be asked, it says so and ends with exit status 0: "
            "to the engine and to a Job of Kubernetes that is success. Whose exit status is it?"
        )
    return ""


def _report(lab: Lab, image: Image, shop: str) -> Run:
    """Start the image with the argument, and return what became of it.

    Raises:
        ContainerError: it is not started.
    """
    options = {"network_mode": "bridge"}
    job = lab.start(image, command=[ARGUMENT], environment={SETTING: shop}, options=options)
    try:
        with job:
            return _to_its_end(job)
    except ContainerError as error:
        raise ContainerError(
            "The server is alone in its container. But with the argument "
            f"`{ARGUMENT}`, no container of the image starts. {error}"
        ) from error


def _to_its_end(job: Container) -> Run:
    until = time.monotonic() + END_SECONDS
    while (state := job.state()).status == "running":
        if time.monotonic() > until:
            return Run(None, job.log_text(), job.processes())
        time.sleep(0.1)
    return Run(state.exit_status, job.log_text(), changed=job.changed_files())


def _told(processes: Sequence[Process]) -> str:
    """Return the commands of processes, each once, for a sentence."""
    return ", ".join(dict.fromkeys(f"`{one.args or one.comm}`" for one in processes))


def _instead(log: str) -> str:
    """Return what a log has in the place of what was expected, to end a sentence."""
    return f", but {log.strip()[-80:]!r}" if log.strip() else ", and nothing else"
