"""The second turn of chapter 9: a pool of workers that is stopped, and one that loses a worker."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
from exercised import answer, mend, on_engine
from proving.container import Process, Stop
from proving.exercises import Answer, Outcome
from proving.paths import LABS

SLUG, POOL = "09-process-management", "09-worker-pool"

PYTHON_POOL = """\
import os
import signal
import subprocess

workers = [subprocess.Popen(["python", "/app/worker.py", str(one)]) for one in (1, 2, 3)]


def tell(*_):
    for worker in workers:
        worker.terminate()


signal.signal(signal.SIGTERM, tell)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
tell()
raise SystemExit(max(abs(worker.wait()) for worker in workers))
"""


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    """What the exercise's check consists of."""
    return runpy.run_path(str(LABS / "exercises" / POOL / "check.py"))


def logged(*lines: str) -> str:
    """Return a log of workers that are the processes 11, 12 and 13."""
    return "".join(f"worker {line[0]} (process 1{line[0]}) {line[2:]}\n" for line in lines)


class TestHowItStops:
    """What is told of a stop, by the log and by the processes of before."""

    BEGAN = ("1 began invoice 1", "2 began invoice 1", "3 began invoice 1")
    FINISHED = tuple(line.replace("began", "finished") for line in BEGAN)
    TOLD = ("1 was told to stop", "2 was told to stop", "3 was told to stop")

    @staticmethod
    def processes(*parents: int) -> list[Process]:
        """Return an init, a script, and three workers of these parents."""
        own = [Process(1, 0, "S", "tini", "tini -- pool"), Process(7, 1, "S", "sh", "sh pool")]
        workers = enumerate(parents, 1)
        return own + [Process(10 + n, p, "S", "python", f"worker {n}") for n, p in workers]

    def judged(
        self, check: dict[str, Any], *lines: str, status: int = 0, killed: bool = False
    ) -> Answer:
        """Judge the stop of a pool that has logged these lines."""
        stop = Stop(0.5, status, killed, 15, 0.0, 0.5)
        found: Answer = check["judge_stop"](
            stop, self.processes(7, 7, 7), check["read"](logged(*lines))
        )
        return found

    def test_every_worker_that_was_cut_is_counted(self, check):
        """One has finished its invoice, and two have not."""
        found = self.judged(check, *self.BEGAN, self.FINISHED[0], status=143)

        assert Outcome.HINT == found.outcome
        assert "none of its 3 workers" in found.sentence
        assert "2 invoices were begun and never finished" in found.sentence
        assert "Their parent is `sh pool` (PID 7)." in found.sentence

    def test_to_tell_the_workers_is_not_to_wait_for_them(self, check):
        """They have heard, and had no time."""
        found = self.judged(check, *self.BEGAN, *self.TOLD)

        assert Outcome.HINT == found.outcome
        assert "all of its 3 workers were told" in found.sentence
        assert "Does that one wait until they have ended?" in found.sentence

    def test_a_status_of_its_own_gets_a_hint(self, check):
        """All is done, and whoever looks at the status takes it for a failure."""
        found = self.judged(check, *self.BEGAN, *self.TOLD, *self.FINISHED, status=143)

        assert Outcome.HINT == found.outcome
        assert "every invoice was finished" in found.sentence
        assert "exit status is 143" in found.sentence

    def test_a_parent_that_runs_on_gets_a_hint(self, check):
        """The workers have ended, and the grace period was waited for all the same."""
        found = self.judged(check, *self.BEGAN, *self.TOLD, *self.FINISHED, status=137, killed=True)

        assert Outcome.HINT == found.outcome
        assert "The engine had to kill it" in found.sentence
        assert "What still runs" in found.sentence

    def test_workers_that_began_again_are_not_looked_for_among_the_first(self, check):
        """A pool that starts workers again when they stop has new processes."""
        again = "worker 1 (process 21) began invoice 1\n"
        work = check["read"](logged(*self.BEGAN, *self.TOLD, *self.FINISHED) + again)
        stop = Stop(5.0, 137, True, 15, 0.0, 5.0)
        found = check["judge_stop"](stop, self.processes(7, 7, 7), work)

        assert "1 invoice was begun and never finished" in found.sentence
        assert "Their parent is `sh pool` (PID 7). What still runs" in found.sentence


class TestWhenAWorkerDies:
    """What is told of a pool that has lost a worker."""

    @staticmethod
    def judged(check: dict[str, Any], **death: Any) -> Answer:
        """Judge such an end after one that was right."""
        right = check["Death"](1, exit_status=1, cut=0)
        found: Answer = check["judge_deaths"](
            [right, check["Death"](worker=3, **{"cut": 0, **death})], "It stops."
        )
        return found

    def test_a_status_of_0_hides_it(self, check):
        """The container has ended as if its work were done."""
        found = self.judged(check, exit_status=0)

        assert Outcome.HINT == found.outcome
        assert "worker 3 was killed, the container ended with exit status 0" in found.sentence

    def test_another_worker_in_its_place_hides_it(self, check):
        """Nobody outside sees it die again and again."""
        found = self.judged(check, exit_status=None, replaced=True)

        assert Outcome.HINT == found.outcome
        assert "started another by itself" in found.sentence

    def test_the_others_must_not_be_cut(self, check):
        """They had no fault."""
        found = self.judged(check, exit_status=137, cut=2)

        assert Outcome.HINT == found.outcome
        assert "2 invoices were cut" in found.sentence

    def test_a_pool_that_ends_with_its_worker_passes(self, check):
        """Its statuses are told."""
        found = self.judged(check, exit_status=137)

        assert Outcome.PASSED == found.outcome
        assert "exit status 1, 137" in found.sentence


@on_engine
def test_the_start_gets_a_hint():
    """TERM ends the script, and with it all invoices that were begun."""
    found = answer(SLUG, "start", POOL)

    assert Outcome.HINT == found.outcome
    assert "none of its 3 workers" in found.sentence
    assert "3 invoices were begun and never finished" in found.sentence
    assert "`/bin/bash /app/pool.sh`" in found.sentence


@on_engine
def test_the_solution_passes():
    """All invoices are finished, whether the pool is stopped or a worker dies."""
    found = answer(SLUG, "solution", POOL)

    assert Outcome.PASSED == found.outcome
    assert "the container ended with exit status 1." in found.sentence


@on_engine
def test_to_hand_over_to_one_worker_gets_a_hint(turns):
    """It is what helped with one program: here one of three hears."""
    mend(
        turns / POOL / "start" / "pool.sh",
        ("1 2 3", "1 2"),
        ("done\nwait", "done\nexec python /app/worker.py 3"),
    )
    found = answer(SLUG, "start", POOL)

    assert Outcome.HINT == found.outcome
    assert "of its 3 workers only 3 was told to stop" in found.sentence
    assert "2 invoices were begun" in found.sentence
    assert "Their parent is `python /app/worker.py 3`" in found.sentence


@on_engine
def test_a_pool_that_waits_for_all_gets_a_hint(turns):
    """It stops as it should, and does not notice that it has lost a worker."""
    mend(
        turns / POOL / "start" / "pool.sh",
        ("done\nwait", "done\ntrap 'kill -TERM $(jobs -p)' TERM\nwait || wait"),
    )
    found = answer(SLUG, "start", POOL)

    assert Outcome.HINT == found.outcome
    assert "with exit status 0" in found.sentence
    assert "still running" in found.sentence
    assert "with 2 of 3 workers" in found.sentence


@on_engine
def test_another_way_passes_too(turns):
    """A pool in Python, which is PID 1 by itself."""
    folder = turns / POOL / "start"
    (folder / "pool.py").write_text(PYTHON_POOL, encoding="utf-8")
    mend(
        folder / "Dockerfile",
        ("COPY pool.sh", "COPY pool.py"),
        ('ENTRYPOINT ["tini", "--"]\n', ""),
        ('["/app/pool.sh"]', '["python", "/app/pool.py"]'),
    )

    assert Outcome.PASSED == answer(SLUG, "start", POOL).outcome


@on_engine
def test_other_workers_have_failed(turns):
    """An invoice that takes no time is never cut."""
    mend(turns / POOL / "start" / "worker.py", ("sleep(1)", "sleep(0)"))
    found = answer(SLUG, "start", POOL)

    assert Outcome.FAILED == found.outcome
    assert "worker.py must stay" in found.sentence
