"""Check the reader's pool of workers: how does it stop, and what becomes of it if a worker dies?"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from proving import leftovers
from proving.container import Container, Process, Stop
from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, changed
from proving.helper import help_by
from proving.image import Image
from proving.lab import Lab
from proving.system import last_lines

WORKER, WORKERS = "worker.py", (1, 2, 3)
START_SECONDS = 20.0
GRACE_SECONDS = 5.0
"""Shorter than that of the labs, and long enough for an invoice, which takes a second."""

END_SECONDS = 8.0
"""How long the pool may take to end when one of its workers was killed."""

_LINE = re.compile(r"^worker (\d+) \(process (\d+)\) (began|finished|was told)", re.MULTILINE)


@dataclass(frozen=True)
class Work:
    """What a pool has logged: its workers' numbers by their processes, and what became of invoices.

    `told` has the processes that were told to stop, `cut` those that have begun an invoice and not
    finished it.
    """

    workers: dict[int, int]
    finished: int
    told: frozenset[int]
    cut: frozenset[int]


@dataclass(frozen=True)
class Death:
    """What became of a pool when a worker was killed: its status where it has ended, else None.

    `cut` counts the others' invoices that were not finished, and `left` the others that still run.
    """

    worker: int
    exit_status: int | None
    cut: int
    replaced: bool = False
    left: int = 0
    parent: str = ""


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge by what the workers log and by how the container ends: any such pool passes."""
    if changed(folder, Path(__file__).parent / "start", [WORKER]):
        return Answer(
            Outcome.FAILED,
            f"{WORKER} must stay as the exercise has it, for it finishes what it has begun. "
            "What is to be mended is the pool.",
        )
    image = lab.build(folder)
    try:
        answer = _stopped(lab, image)
        return answer if answer.outcome != Outcome.PASSED else _bereft(lab, image, answer.sentence)
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))


def _stopped(lab: Lab, image: Image) -> Answer:
    with lab.start(image) as app:
        _all_at_work(app)
        processes = app.processes()
        stop = app.stop_gracefully(GRACE_SECONDS)
        return judge_stop(stop, processes, read(app.log_text()))


def _bereft(lab: Lab, image: Image, so_far: str) -> Answer:
    """Kill the first worker of a pool, and the last one of another."""
    ends = (WORKERS[0], WORKERS[-1])
    with ThreadPoolExecutor(len(ends)) as pool:
        deaths = tuple(pool.map(lambda number: _death(lab, image, number), ends))
    return judge_deaths(deaths, so_far)


def read(log: str) -> Work:
    """Read what a pool has logged."""
    workers: dict[int, int] = {}
    told, cut, finished = set(), set(), 0
    for number, process, what in _LINE.findall(log):
        pid = int(process)
        workers[pid] = int(number)
        if what == "began":
            cut.add(pid)
        elif what == "finished":
            cut.discard(pid)
            finished += 1
        else:
            told.add(pid)
    return Work(workers, finished, frozenset(told), frozenset(cut))


def _all_at_work(app: Container) -> Work:
    """Wait until each worker has begun an invoice.

    Raises:
        ContainerError: the container ends before, or one of them does not begin.
    """
    until = time.monotonic() + START_SECONDS
    while True:
        running = app.state().status == "running"
        work = read(log := app.log_text())
        if set(work.workers.values()) >= set(WORKERS):
            return work
        if not running or time.monotonic() > until:
            what = "runs" if running else f"ended with exit status {app.state().exit_status}"
            raise ContainerError(
                f"Of the workers {_list(WORKERS)}, those that have begun an invoice are "
                f"{_list(work.workers.values()) or 'none'}, and the container {what}. "
                f"Its last lines:\n{last_lines(log) or '    (it has logged nothing)'}"
            )
        time.sleep(0.05)


def judge_stop(stop: Stop, processes: Sequence[Process], work: Work) -> Answer:
    """Judge how a pool has stopped; the processes are those of before."""
    workers = {one.pid for one in processes} & work.workers.keys()
    untold = workers - work.told
    seen = f"{_told(work)}, and {_invoices(len(work.cut))} begun and never finished"
    whose = _parents(processes, untold or workers)
    after = f"{stop.seconds:.1f} s after {signal.Signals(stop.signal).name.removeprefix('SIG')}"
    if stop.killed:
        first = "" if "(PID 1)" in whose else f" PID 1 is `{_args(processes, 1)}`."
        question = "Who tells the workers?" if untold else "What still runs, and who ends that?"
        return Answer(
            Outcome.HINT, f"The engine had to kill it {after}: {seen}.{first} {whose} {question}"
        )
    if work.cut:
        question = (
            "Does that one tell them, and does it wait until they have ended?"
            if untold
            else "Does that one wait until they have ended?"
        )
        return Answer(
            Outcome.HINT,
            f"It ended {after} with exit status {stop.exit_status}: {seen}. {whose} {question}",
        )
    if stop.exit_status:
        return Answer(
            Outcome.HINT,
            f"It ended {after}, and every invoice was finished. But its exit status is "
            f"{stop.exit_status}, which tells of a failure. Whose status is that?",
        )
    return Answer(
        Outcome.PASSED,
        f"It ended {after} with exit status 0, and all {work.finished} "
        "invoices that were begun were finished.",
    )


def _told(work: Work) -> str:
    told = {work.workers[pid] for pid in work.told}
    if not told:
        return f"none of its {len(WORKERS)} workers says that it was told to stop"
    if told >= set(WORKERS):
        return f"all of its {len(WORKERS)} workers were told to stop"
    return f"of its {len(WORKERS)} workers only {_list(told)} was told to stop"


def _invoices(count: int) -> str:
    return f"{count} {'invoice was' if count == 1 else 'invoices were'}"


def _list(numbers: Collection[int]) -> str:
    return ", ".join(map(str, sorted(set(numbers))))


def _args(processes: Sequence[Process], pid: int) -> str:
    return next((process.args for process in processes if process.pid == pid), "?")


def _parents(processes: Sequence[Process], workers: Collection[int]) -> str:
    """Tell whose children these workers are."""
    parents = {process.ppid for process in processes if process.pid in workers}
    told = " and ".join(f"`{_args(processes, pid)}` (PID {pid})" for pid in sorted(parents))
    return f"Their parent is {told}."


def _death(lab: Lab, image: Image, number: int) -> Death:
    """Kill a worker, as the kernel does where memory is short, and see what becomes of the pool."""
    with lab.start(image) as app:
        before = _all_at_work(app).workers
        victim = next(pid for pid, worker in before.items() if worker == number)
        parent = next(process.ppid for process in app.processes() if process.pid == victim)
        _kill(lab, app, victim)
        until = time.monotonic() + END_SECONDS
        while (running := app.state().status == "running") and time.monotonic() < until:
            if read(app.log_text()).workers.keys() - before:
                return Death(number, None, 0, replaced=True)
            time.sleep(0.1)
        if running:
            now = app.processes()
            left = [one for one in now if one.pid in before.keys() - {victim} and not one.is_zombie]
            return Death(number, None, 0, left=len(left), parent=_args(now, parent))
        cut = read(app.log_text()).cut - {victim}
        return Death(number, app.state().exit_status, len(cut))


def _kill(lab: Lab, app: Container, pid: int) -> None:
    helped = help_by(
        lab.engine,
        lab.helper_image,
        ["sh", "-c", 'kill -KILL "$0"', str(pid)],
        leftovers.label(lab.run),
        pid_mode=f"container:{app.get_container_id()}",
        network_mode="none",
    )
    if not helped.well:
        raise CouldNotMeasure(f"A worker of the pool could not be killed: {helped.fault}.")


def judge_deaths(deaths: Sequence[Death], so_far: str) -> Answer:
    """Judge what became of pools that have lost a worker."""
    for death in deaths:
        if hint := _hint(death):
            killed = f"But when worker {death.worker} was killed, {hint}"
            return Answer(Outcome.HINT, f"{so_far} {killed}")
    statuses = _list([death.exit_status for death in deaths if death.exit_status])
    return Answer(
        Outcome.PASSED,
        f"{so_far} When a worker was killed, the others finished theirs, and the container ended "
        f"with exit status {statuses}.",
    )


def _hint(death: Death) -> str:
    if death.replaced:
        return (
            "the pool started another by itself: the container runs, and a worker that dies again "
            "and again is seen by nobody else. Who should start it again?"
        )
    if death.exit_status is None:
        return (
            f"the container was still running {END_SECONDS:.0f} s later, with {death.left} of "
            f"{len(WORKERS)} workers, and nobody outside can tell. For whose end does "
            f"`{death.parent}` wait?"
        )
    if death.exit_status == 0:
        return (
            "the container ended with exit status 0, as if all were well. Which status should "
            "somebody see who looks at the container alone?"
        )
    if death.cut:
        return (
            f"the container ended with exit status {death.exit_status}, and "
            f"{_invoices(death.cut)} cut that the others had begun. Who tells them then, and waits?"
        )
    return ""
