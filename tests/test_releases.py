"""What chapter 6 reads of a load, without an engine."""

import pytest
from proving import releases
from proving.lab import NotMeasured
from proving.traffic import Outcome, Report, Request


def request(began, ended, *, outcome=Outcome.ANSWERED, status=200, ending=b""):
    return Request("id", began, began, ended, outcome, status, 0, "", ending)


def report(*requests):
    return Report(tuple(requests))


@pytest.mark.parametrize(
    ("status", "ending", "told"),
    [
        (200, b"Welcome: release 1\n", "old"),
        (200, b"Welcome: release 2\n", "new"),
        (200, b"Welcome: release 1.1\n", "failed"),
        (200, b"Welcome to nginx!", "failed"),
        (502, b"Welcome: release 2\n", "failed"),
    ],
)
def test_an_answer_tells_its_release(status, ending, told):
    """A page of another server is no answer of the application, whatever its status."""
    assert told == releases.answer_of(request(0, 1, status=status, ending=ending))


def test_a_cut_answer_is_a_failure():
    """The words may have come, and the end did not."""
    cut = request(0, 1, outcome=Outcome.CUT, ending=b"release 2\n")

    assert "failed" == releases.answer_of(cut)


def test_a_server_is_away_until_it_has_answered_a_later_request():
    """Failures meanwhile are of the same span, whatever became of each."""
    told = report(
        request(0, 1),
        request(1, 1, outcome=Outcome.REFUSED),
        request(2, 9, outcome=Outcome.TIMED_OUT),
        request(3, 4),
        request(3.5, 3.6, outcome=Outcome.REFUSED),
        request(5, 6, status=503),
        request(6, 7),
    )

    assert [(1, 4), (5, 7)] == releases.away(told)


def test_a_server_that_does_not_come_back_is_away_to_the_end():
    """The load's last request has no successor."""
    told = report(request(0, 1), request(1, 4, outcome=Outcome.CUT), request(2, 3, status=502))

    assert [(1, 4)] == releases.away(told)


def test_a_server_that_answers_each_request_is_never_away():
    """Slow is not away."""
    assert [] == releases.away(report(request(0, 9), request(1, 2)))


def test_answers_are_counted_in_steps_after_the_beginning():
    """By the moment at which an answer had come; seconds are relative."""
    told = report(
        request(99.0, 99.9, ending=b"release 1"),
        request(99.0, 100.1, ending=b"release 1"),
        request(99.0, 100.2, status=502),
        request(99.0, 100.6, ending=b"release 2"),
    )

    assert {
        "start": -0.25,
        "step_seconds": 0.25,
        "old": [1, 1, 0, 0],
        "new": [0, 0, 0, 1],
        "failed": [0, 1, 0, 0],
        "away": [[0.5, 0.75]],
        "over": 2.0,
    } == releases.drawn(told, [(100.5, 100.75)], began_at=100.0, over_at=102.0)


def test_an_arm_has_its_figures_together():
    """What is missing of one half is told, and an arm may have one half only."""
    gone = NotMeasured("The engine went away.")
    found = releases.both(
        {"bad": {"a": 1}, "good": {"a": 2}, "naive": {"a": 3}, "lost": gone},
        {"bad": {"b": 4}, "good": gone, "lost": {"b": 5}},
    )

    assert {"bad": {"a": 1, "b": 4}, "good": gone, "naive": {"a": 3}, "lost": gone} == found
