"""A roll-out that loses no request: each reason of a loss is told in its turn, with its figures."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from exercised import answer, in_cluster, mend
from proving import manifests
from proving.exercises import Answer, Outcome
from proving.paths import LABS
from proving.probes import Request, Sample

CHAPTER, NAME = "10-health-probes", "10-lossless-roll-out"
GRACE = "terminationGracePeriodSeconds: "


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    """The functions of the exercise's check."""
    return runpy.run_path(str(LABS / "exercises" / NAME / "check.py"))


def judged(check: dict[str, Any], **seen: Any) -> Answer:
    """Judge a roll-out by what was seen of it."""
    found: Answer = check["judge"](check["Seen"](sent=300, lost_at=(0.5, 3.0), **seen))
    return found


class TestJudging:
    """What is told of the requests that were lost, in the order of a roll-out."""

    def test_pods_that_are_not_ready(self, check):
        """Whatever else was lost meanwhile."""
        causes = {"status 503": 40, "refused": 5}
        found = judged(check, causes=causes, loading=40, nobody_seconds=3.0)

        assert Outcome.HINT == found.outcome
        assert "Of 300 requests 45 were lost, between 0.5 and 3.0 s after" in found.sentence
        assert "(status 503: 40, refused: 5)" in found.sentence
        assert "40 of them had come to new pods" in found.sentence

    def test_nobody_there(self, check):
        """All old pods end before a new one is ready."""
        found = judged(check, causes={"refused": 30}, nobody_seconds=3.4)

        assert Outcome.HINT == found.outcome
        assert "For about 3.4 s its Service had no pod" in found.sentence

    def test_no_pause(self, check):
        """Pods that have stopped listening are still sent requests."""
        found = judged(check, causes={"refused": 9, "cut": 4})

        assert Outcome.HINT == found.outcome
        assert "What could be before TERM?" in found.sentence

    def test_a_pause_that_could_not_be_run(self, check):
        """The image has no such program, and the cluster tells of it."""
        found = judged(check, causes={"refused": 9}, pauses=True, hook="no such program: wait")

        assert Outcome.HINT == found.outcome
        assert "did not end well: “no such program: wait”" in found.sentence

    def test_a_pause_that_could_not_be_run_is_no_matter_of_luck(self, check):
        """Nothing was lost, and the pods have got TERM at once all the same."""
        found = judged(check, pauses=True, hook='exec: "wait": executable file not found in $PATH')

        assert Outcome.HINT == found.outcome
        assert "Of 300 requests none was lost, this time." in found.sentence
        assert 'did not end well: “exec: "wait": executable file' in found.sentence

    def test_a_pause_that_was_cut_and_has_cost_nothing_passes(self, check):
        """The grace period was over, and so was every answer."""
        found = judged(check, pauses=True, hook="command 'sleep 60' exited with 137: ")

        assert Outcome.PASSED == found.outcome

    def test_a_grace_period_that_is_too_short(self, check):
        """The pods are killed before their last answers are whole."""
        hook = "command 'sleep 10' exited with 137: "
        seen = {"pauses": True, "hook": hook, "longest_seconds": 4.0, "grace_seconds": 1}
        found = judged(check, causes={"cut": 7, "refused": 1}, **seen)

        assert Outcome.HINT == found.outcome
        assert "7 of them had been taken by pods that were then killed" in found.sentence
        assert "up to 4.0 s" in found.sentence
        assert "a grace period of 1 s" in found.sentence

    def test_a_pause_that_is_too_short(self, check):
        """It was over before the news of the end."""
        found = judged(check, causes={"refused": 2}, pauses=True)

        assert Outcome.HINT == found.outcome
        assert "How long is it" in found.sentence

    def test_no_loss_passes(self, check):
        """With the figures of the run."""
        found = judged(check, longest_seconds=4.0)

        assert Outcome.PASSED == found.outcome
        assert "replaced under load, and of 300 requests none was lost" in found.sentence
        assert "the longest answer took 4.0 s" in found.sentence

    def test_several_roll_outs_are_told(self, check):
        """Where nothing but luck was between the pods and a loss."""
        found = judged(check, roll_outs=3)

        assert Outcome.PASSED == found.outcome
        assert "replaced under load 3 times, and of 300 requests" in found.sentence


class TestSeeing:
    """What is counted."""

    def test_seconds_without_an_endpoint(self, check):
        """From the begin on, between a sample without one and the next."""
        samples = [Sample(at, (), count) for at, count in ((1, 0), (2, 2), (3, 0), (4, 0), (6, 1))]

        assert 3.0 == check["nobody_seconds"](samples, 2.0)

    @pytest.mark.parametrize(
        ("message", "told"),
        [
            ("PreStopHook failed", "PreStopHook failed"),
            (
                'Exec lifecycle hook ([sleep 10]) for Container "web" in Pod "web-1_space(1)" '
                "failed - error: command 'sleep 10' exited with 137: ",
                "command 'sleep 10' exited with 137: ",
            ),
            (
                'Exec lifecycle hook ([wait 10]) for Container "web" in Pod "web-1_space(1)" '
                'failed - error: rpc error: failed to start exec "98e2": exec failed: exec: '
                '"wait": executable file not found in $PATH: unknown, message: ""',
                'exec: "wait": executable file not found in $PATH',
            ),
        ],
    )
    def test_a_hook_that_has_failed(self, check, message, told):
        """Without the names that the cluster has made up, where there are any."""
        events = [{"reason": "Pulled"}, {"reason": "FailedPreStopHook", "message": message}]

        assert told == check["_failed_hook"](SimpleNamespace(list=lambda _: events))
        assert "" == check["_failed_hook"](SimpleNamespace(list=lambda _: events[:1]))

    def test_requests_before_the_roll_out_are_none_of_it(self, check):
        """Pods that were still starting have refused them."""
        early, late = (
            Request("/", began, began + 1, 503, "still loading", "status 503") for began in (1, 5)
        )

        assert [late] == check["_lost"]([early, late], 4)

    def test_the_longest_answer_is_that_of_a_request_that_was_answered(self, check):
        """One that was lost has no answer."""
        requests = [
            Request("/", 1, 4, 200, "done", ""),
            Request("/", 1, 9, 0, "", "no answer in time"),
        ]

        assert 3.0 == check["_longest_seconds"](requests)
        assert 0.0 == check["_longest_seconds"]([])

    @pytest.mark.parametrize(
        ("edit", "told"),
        [
            (("replicas: 2", "replicas: 3"), "There is room for 2 pods"),
            (("localhost/exercise:1", "localhost/apps/probed:1"), "run another image"),
        ],
    )
    def test_other_pods_are_refused(self, check, turns, edit, told):
        """More pods, or others, were not asked for."""
        file = turns / NAME / "start" / "web.yaml"
        mend(file, edit)

        assert told in check["_another"](manifests.read(file))

    def test_another_shop_has_failed(self, check, turns):
        """Before anything is built or started."""
        file = turns / NAME / "start" / "shop.py"
        mend(file, ("SLOW_SECONDS = 4.0", "SLOW_SECONDS = 0.0"))
        found = check["check_folder"](None, file.parent)

        assert Outcome.FAILED == found.outcome
        assert "shop.py must stay" in found.sentence


@in_cluster
def test_the_start_gets_a_hint():
    """New pods are sent requests while they load."""
    found = answer(CHAPTER, "start", NAME)

    assert Outcome.HINT == found.outcome
    assert "were still loading" in found.sentence


@in_cluster
def test_the_solution_passes():
    """Nothing is lost."""
    found = answer(CHAPTER, "solution", NAME)

    assert Outcome.PASSED == found.outcome
    assert "none was lost" in found.sentence


@in_cluster
def test_a_pause_within_too_short_a_grace_period_gets_a_hint(turns):
    """Nobody is refused any more, and answers are cut."""
    mend(manifest_of(turns), (f"{GRACE}20", f"{GRACE}1"))
    found = answer(CHAPTER, "solution", NAME)

    assert Outcome.HINT == found.outcome
    assert "then killed in the middle" in found.sentence


def manifest_of(turns: Path) -> Path:
    """Return the manifest of the solution, to be worsened."""
    return turns / NAME / "solution" / "web.yaml"
