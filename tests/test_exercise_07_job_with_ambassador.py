"""A Job with an ambassador: it is tried again, it ends, and it says the truth about both."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from exercised import answer, in_cluster, mend
from proving.errors import ProvingError
from proving.exercises import Answer, Outcome
from proving.kube import NotFound
from proving.paths import LABS

CHAPTER, NAME = "07-pods", "07-job-with-ambassador"
REPORT = '["python", "/app/report.py"]'
KEEPS_STATUS = (
    '["sh", "-c", "python /app/report.py; status=$?; python /app/ambassador.py --quit; '
    'exit $status"]'
)
LOSES_STATUS = '["sh", "-c", "python /app/report.py; python /app/ambassador.py --quit"]'


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    """The functions of the exercise's check."""
    return runpy.run_path(str(LABS / "exercises" / NAME / "check.py"))


def part(check: dict[str, Any], name: str, **told: Any) -> Any:
    """Return what is seen of a container."""
    return check["Part"](name, **told)


def judged(check: dict[str, Any], ambassador: Any, report: Any, **seen: Any) -> Answer:
    """Judge a Job by its two containers and by what else was seen of it."""
    found: Answer = check["judge"](check["Seen"](parts=(ambassador, report), **seen))
    return found


class TestJudging:
    """What is told of a Job, by what became of it."""

    def test_nobody_tries_again(self, check):
        """The first try has failed, and what runs on keeps the pod from its end."""
        runs, failed = part(check, "ambassador", runs=True), part(check, "report", status=1)
        found = judged(check, runs, failed, failures=1, said="the store was asleep")

        assert Outcome.FAILED == found.outcome
        assert "failed (“the store was asleep”), and nobody tries again" in found.sentence
        assert "ambassador keeps it from its end" in found.sentence

    def test_a_job_without_an_end(self, check):
        """The work is done, and one container does not know."""
        runs = part(check, "ambassador", runs=True)
        done = part(check, "report", status=0, restarts=1)
        found = judged(check, runs, done, delivered=1, failures=1)

        assert Outcome.HINT == found.outcome
        assert "Who could tell ambassador" in found.sentence

    def test_an_end_that_is_started_again(self, check):
        """A bound of time ends the ambassador, and ends it badly."""
        timed = part(check, "ambassador", status=124, restarts=1, waits="CrashLoopBackOff")
        done = part(check, "report", status=0, restarts=1)
        found = judged(check, timed, done, delivered=1, failures=2)

        assert Outcome.HINT == found.outcome
        assert "started again. Can it be told to end well?" in found.sentence

    def test_tries_that_never_end(self, check):
        """Nothing was to be seen for as long as it was watched, and that is told."""
        runs = [part(check, name, runs=True) for name in ("ambassador", "report")]
        found = judged(check, *runs, said="nobody takes it on localhost")

        assert Outcome.FAILED == found.outcome
        assert f"For {check['MOST_SECONDS']:.0f} s no container has ended" in found.sentence
        assert "the store has no report (“nobody takes it on localhost”)" in found.sentence

        again = part(check, "report", runs=True, status=1, restarts=1)
        assert "nobody tries again" not in judged(check, runs[0], again, failures=1).sentence

    def test_a_lost_exit_status(self, check):
        """The Job believes that all is well."""
        ended = [part(check, name, status=0) for name in ("ambassador", "report")]
        found = judged(check, *ended, is_over=True, said="the store was asleep")

        assert Outcome.HINT == found.outcome
        assert "counts as done, and the store has no report" in found.sentence

    def test_an_ambassador_that_ends_too_early(self, check):
        """It was told so after the try that had failed."""
        gone = part(check, "ambassador", status=0)
        failed = part(check, "report", status=1, restarts=1)
        found = judged(check, gone, failed, failures=2, said="nobody takes it")

        assert Outcome.HINT == found.outcome
        assert "In this pod ambassador ended well" in found.sentence

    def test_an_ambassador_somewhere_else(self, check):
        """The report's localhost is that of its own pod."""
        failed = part(check, "report", status=1, restarts=1)
        seen = check["Seen"](parts=(failed,), failures=2, containers=1, said="nobody takes it")
        found = check["judge"](seen)

        assert Outcome.HINT == found.outcome
        assert "its own localhost" in found.sentence

    def test_an_init_container_without_an_end(self, check):
        """An old server does not know its policy; the hint says which one this is."""
        waits = [part(check, "report", waits="PodInitializing")]
        seen = check["Seen"](parts=tuple(waits), preparing=("ambassador",), server="1.20.2")
        found = check["judge"](seen)

        assert Outcome.HINT == found.outcome
        assert "never started: ambassador goes on" in found.sentence
        assert "1.20.2" in found.sentence

    def test_a_job_that_is_given_up(self, check):
        """By a deadline, before and after the delivery."""
        ended = [part(check, name, status=143) for name in ("ambassador", "report")]
        for delivered, told in ((0, "before its report was delivered"), (1, "counts as failed")):
            found = judged(check, *ended, delivered=delivered, given_up="DeadlineExceeded")

            assert Outcome.HINT == found.outcome
            assert told in found.sentence
            assert "DeadlineExceeded" in found.sentence

    def test_a_deadline_for_an_ambassador(self, check):
        """What runs on is ended, and that is a failure."""
        runs, done = part(check, "ambassador", runs=True), part(check, "report", status=0)
        found = judged(check, runs, done, delivered=1, given_up="DeadlineExceeded")

        assert Outcome.HINT == found.outcome
        assert "ambassador had to be ended" in found.sentence

    def test_a_report_that_comes_twice(self, check):
        """The try that had delivered it was no good one."""
        ended = [part(check, name, status=0) for name in ("ambassador", "report")]
        found = judged(check, *ended, delivered=2, is_over=True)

        assert Outcome.HINT == found.outcome
        assert "2 times" in found.sentence

    def test_both_programs_in_one_container(self, check):
        """It works, and is no pod of two."""
        seen = check["Seen"](delivered=1, is_over=True, parts=(part(check, "report", status=0),))
        found = check["judge"](check["replace"](seen, containers=1))

        assert Outcome.HINT == found.outcome
        assert "both programs are in one container" in found.sentence

    @pytest.mark.parametrize(
        ("delivered", "told"),
        [(0, "has no report."), (1, "has its report."), (2, "has got its report 2 times.")],
    )
    def test_a_job_that_is_removed_too_soon(self, check, delivered, told):
        """Nobody can tell how it has ended, whatever the store has."""
        runs = [part(check, name, runs=True) for name in ("ambassador", "report")]
        found = judged(check, *runs, is_gone=True, delivered=delivered)

        assert Outcome.HINT == found.outcome
        assert f"before its end could be seen, and the store {told} When" in found.sentence
        assert "`ttlSecondsAfterFinished`" in found.sentence

    def test_a_job_that_is_over_passes(self, check):
        """With what it took to get there."""
        gone = part(check, "ambassador", status=0)
        done = part(check, "report", status=0, restarts=1)
        found = judged(check, gone, done, delivered=1, is_over=True, seconds=6.0, pods=1)

        assert Outcome.PASSED == found.outcome
        assert "over after 6 s and 1 pod: ambassador ended with status 0" in found.sentence

    def test_another_program_has_failed(self, check, turns):
        """Before anything is built or started."""
        file = turns / NAME / "start" / "report.py"
        file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        found = check["check_folder"](None, file.parent)

        assert Outcome.FAILED == found.outcome
        assert "report.py must stay" in found.sentence


class Clock:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class TestWatching:
    """For how long a Job is watched, by what is seen from which second on."""

    @pytest.fixture
    def watched(self, check, monkeypatch) -> Any:
        """Return how to watch a Job; what is returned are its last look and the seconds it took."""

        def watch(stages: dict[float, Any]) -> tuple[Any, float]:
            clock = Clock()
            played = {
                "time": clock,
                "look": lambda *_: stages[max(at for at in stages if at <= clock.now)],
                "_said": lambda *_: "",
            }
            for name, value in played.items():
                monkeypatch.setitem(check["watch"].__globals__, name, value)
            return check["watch"](None), clock.now

        return watch

    @staticmethod
    def seen(check: dict[str, Any], ambassador: Any, report: Any, **told: Any) -> Any:
        """Return a look at a Job's two containers."""
        return check["Seen"](parts=(ambassador, report), **told)

    def test_a_pause_between_two_tries_is_waited_for(self, check, watched):
        """`until python report.py; do sleep 10; done` changes nothing meanwhile, and is right."""
        runs = [part(check, name, runs=True) for name in ("ambassador", "report")]
        ended = [part(check, name, status=0) for name in ("ambassador", "report")]
        asked = self.seen(check, *runs, asked=True)
        over = self.seen(check, *ended, asked=True, delivered=1, is_over=True)

        found, _ = watched({0: self.seen(check, *runs), 2: asked, 13: over})

        assert over == found

    def test_a_pause_before_a_further_try_is_waited_for(self, check, watched):
        """The report has ended once, and its container is there again and sleeps."""
        runs = part(check, "ambassador", runs=True)
        again = part(check, "report", runs=True, status=1, restarts=1)
        ended = [part(check, name, status=0) for name in ("ambassador", "report")]
        over = self.seen(check, *ended, delivered=1, is_over=True)

        found, _ = watched({0: self.seen(check, runs, again, failures=1), 10: over})

        assert over == found

    @pytest.mark.parametrize(("status", "delivered"), [(1, 0), (0, 1)])
    def test_what_keeps_a_pod_from_its_end_is_told_soon(self, check, watched, status, delivered):
        """The report has ended for good, and the ambassador does not know."""
        runs, gone = part(check, "ambassador", runs=True), part(check, "report", status=status)
        last = self.seen(check, runs, gone, delivered=delivered, asked=True)

        found, seconds = watched({0: last})

        assert last == found
        assert seconds < check["STILL_SECONDS"] + 2

    def test_an_init_container_that_goes_on_is_told_soon(self, check, watched):
        """The store was never asked; one that has asked it may do so again."""
        waits = (part(check, "report", waits="PodInitializing"),)
        last = check["Seen"](parts=waits, preparing=("ambassador",))

        assert watched({0: last})[1] < check["STILL_SECONDS"] + 2
        assert watched({0: check["replace"](last, asked=True)})[1] >= check["MOST_SECONDS"]


class PlayedNamespace:
    """A namespace with a Job, pods of it from the same second, and a store with its log."""

    has_job = True

    def __init__(
        self, *pods: dict[str, Any], told: str = "ready\nthe store was asleep, try again\ntaken\n"
    ) -> None:
        self._pods, self._told = pods, told

    def list(self, _kind: str) -> list[dict[str, Any]]:
        containers = [{"name": "ambassador"}, {"name": "report"}]
        job = {"spec": {"template": {"spec": {"containers": containers}}}}
        return [job] if self.has_job else []

    def pods(self) -> list[dict[str, Any]]:
        return list(self._pods)

    def logs(self, pod: str, _container: str = "", *, previous: bool = False) -> str:
        if pod == "store":
            return self._told
        raise NotFound(f"{pod} has no log{' before' * previous}.")


def pod(name: str, phase: str, **ends: int) -> dict[str, Any]:
    """Return a pod of a Job as the API gives it, with the exit status of each container."""
    statuses = [
        {"name": container, "restartCount": 0, "state": {"terminated": {"exitCode": status}}}
        for container, status in ends.items()
    ]
    labels = {"job-name": "report"}
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-11-28T12:00:00Z", "labels": labels},
        "spec": {"containers": [{"name": container} for container in ends]},
        "status": {"phase": phase, "containerStatuses": statuses},
    }


def test_of_two_pods_the_one_that_has_not_failed_is_the_last(check):
    """They may be of the same second, and the API has them by their names."""
    done = pod("report-a", "Succeeded", ambassador=0, report=0)
    failed = pod("report-b", "Failed", ambassador=0, report=1)

    seen = check["look"](PlayedNamespace(done, failed), check["Seen"]())

    assert (1, 1, 2) == (seen.delivered, seen.failures, seen.pods)
    assert seen.asked
    assert [0, 0] == [one.status for one in seen.parts]


def test_a_try_before_the_ambassador_listens_is_not_counted(check):
    """In a slow room the report gives up first; the try after that is the one sent away."""
    look, asleep = check["look"], "ready\nthe store was asleep, try again\n"
    again = pod("report-a", "Running", report=1)
    first = look(PlayedNamespace(again, told="ready\n"), check["Seen"]())
    again["status"]["containerStatuses"][0]["restartCount"] = 1
    second = look(PlayedNamespace(again, told=asleep), first)
    again["status"]["containerStatuses"][0]["restartCount"] = 2
    third = look(PlayedNamespace(again, told=asleep), second)

    assert [1, 2, 3] == [one.failures for one in (first, second, third)]
    assert [False, False, True] == [one.is_settled for one in (first, second, third)]


def test_an_ambassador_that_never_listens_is_told_soon(check):
    """Two tries have not come to the store, and a third one would not either."""
    again = pod("report-a", "Running", report=1)
    again["status"]["containerStatuses"][0]["restartCount"] = 1

    assert check["look"](PlayedNamespace(again, told="ready\n"), check["Seen"]()).is_settled


def test_of_a_job_that_is_gone_the_last_look_is_kept(check):
    """Its pods go with it, and the store still tells what it has taken."""
    space = PlayedNamespace()
    space.has_job = False
    before = check["Seen"](parts=(part(check, "report", runs=True),), asked=True)
    seen = check["look"](space, before)

    assert seen == check["replace"](before, is_gone=True, delivered=1)
    assert seen.is_settled


def test_a_container_that_has_no_log_says_nothing(check):
    """Which is no reason to break off."""
    assert "" == check["_log"](PlayedNamespace(), "report-a")
    assert issubclass(NotFound, ProvingError)


@in_cluster
def test_the_start_fails_with_its_reason():
    """Nobody tries again, since the ambassador runs on."""
    found = answer(CHAPTER, "start", NAME)

    assert Outcome.FAILED == found.outcome
    assert "nobody tries again" in found.sentence
    assert "the store was asleep" in found.sentence


@in_cluster
def test_the_solution_passes():
    """It is tried again beside an ambassador that ends with it."""
    found = answer(CHAPTER, "solution", NAME)

    assert Outcome.PASSED == found.outcome
    assert "report ended with status 0 after 1 restart" in found.sentence


@in_cluster
def test_a_pod_for_every_try_passes(turns):
    """Where each ends with the status of its report."""
    mend(job_of(turns), (REPORT, KEEPS_STATUS))
    found = answer(CHAPTER, "start", NAME)

    assert Outcome.PASSED == found.outcome
    assert "2 pods" in found.sentence


@in_cluster
def test_a_lost_exit_status_gets_a_hint(turns):
    """The last command has ended well, and so has the Job."""
    mend(job_of(turns), ("Never", "OnFailure"), (REPORT, LOSES_STATUS))
    found = answer(CHAPTER, "start", NAME)

    assert Outcome.HINT == found.outcome
    assert "the store has no report" in found.sentence


def job_of(turns: Path) -> Path:
    """Return the manifest that the reader edits."""
    return turns / NAME / "start" / "job.yaml"
