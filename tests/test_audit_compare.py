"""Two reports side by side: what is better, what is worse, and what cannot be compared."""

from __future__ import annotations

import io
import json

import pytest
from audits import BETTER, FAILS, FOREIGN, HOLDS, HOSTILE, REPORT, UNKNOWN, finding
from proving.audit import compare, formats
from proving.audit.catalogue import CHECKS
from proving.audit.compare import Change, Outcome
from proving.audit.scorecard import console


def outcome(image, other):
    """Return how two findings of one check compare."""
    return Change(CHECKS["stops"], image, other).outcome


def failing(**values):
    """Return a fault of so much."""
    return finding("stops", FAILS, "It fails.", "Mend it.", **values)


@pytest.mark.parametrize(
    ("image", "other", "expected"),
    [
        (HOLDS, FAILS, Outcome.BETTER),
        (FAILS, HOLDS, Outcome.WORSE),
        (HOLDS, HOLDS, Outcome.SAME),
        (FAILS, FAILS, Outcome.SAME),
        (FOREIGN, FOREIGN, Outcome.SAME),
        (HOLDS, FOREIGN, Outcome.NOT_COMPARABLE),
        (FAILS, FOREIGN, Outcome.NOT_COMPARABLE),
        (HOLDS, UNKNOWN, Outcome.NOT_COMPARABLE),
        (UNKNOWN, FAILS, Outcome.NOT_COMPARABLE),
        (UNKNOWN, UNKNOWN, Outcome.NOT_COMPARABLE),
    ],
)
def test_verdicts_decide(image, other, expected):
    """What could not be measured is neither better nor worse, and never the same."""
    assert expected == outcome(finding("stops", image, ""), finding("stops", other, ""))


@pytest.mark.parametrize(
    ("image", "other", "expected"),
    [
        ({"wasted_bytes": 10_000}, {"wasted_bytes": 20_000}, Outcome.BETTER),
        ({"wasted_bytes": 20_000}, {"wasted_bytes": 10_000}, Outcome.WORSE),
        ({"wasted_bytes": 10_000}, {"wasted_bytes": 10_100}, Outcome.SAME),
        ({"stop_seconds": 10.1}, {"stop_seconds": 10.5}, Outcome.SAME),
        ({"stop_seconds": 0.1}, {"stop_seconds": 0.4}, Outcome.SAME),
        ({"stop_seconds": 30.0}, {"stop_seconds": 10.0}, Outcome.WORSE),
        ({"files": 3}, {"files": 4}, Outcome.BETTER),
        ({"exit_status": 137}, {"exit_status": 143}, Outcome.SAME),
        ({"uid": 0}, {"uid": 1000}, Outcome.SAME),
        ({"steps": True}, {"steps": False}, Outcome.SAME),
        ({"first_words": "a"}, {"first_words": "b"}, Outcome.SAME),
        ({"files": 3}, {"others": 9}, Outcome.SAME),
        ({"files": 3, "bytes": 9}, {"files": 3, "bytes": 1}, Outcome.SAME),
        ({}, {}, Outcome.SAME),
    ],
)
def test_two_faults_are_compared_by_their_size(image, other, expected):
    """The first of their values decides, where it is so much of something, beyond the noise."""
    assert expected == outcome(failing(**image), failing(**other))


def test_a_check_that_one_side_lacks_cannot_be_compared():
    """It may have been left out there by --no-run."""
    assert Outcome.NOT_COMPARABLE == outcome(None, failing())
    assert Outcome.NOT_COMPARABLE == outcome(failing(), None)


def test_every_check_of_either_side_is_compared():
    """None is lost, and each has one outcome."""
    told = {one.check.id: one.outcome for one in compare.changes(BETTER, REPORT)}

    assert {
        "hidden-bytes": Outcome.BETTER,
        "secrets": Outcome.BETTER,
        "user": Outcome.WORSE,
        "stops": Outcome.SAME,
        "drains": Outcome.NOT_COMPARABLE,
        "writes": Outcome.WORSE,
        "reaps": Outcome.SAME,
        "logs": Outcome.NOT_COMPARABLE,
        "shared-base": Outcome.NOT_COMPARABLE,
    } == told


def test_the_other_way_round_better_is_worse():
    """A comparison has no side that it prefers."""
    opposite = {Outcome.BETTER: Outcome.WORSE, Outcome.WORSE: Outcome.BETTER}
    there = {one.check.id: one.outcome for one in compare.changes(BETTER, REPORT)}
    back = {one.check.id: one.outcome for one in compare.changes(REPORT, BETTER)}

    assert {name: opposite.get(one, one) for name, one in there.items()} == back


def test_the_terminal_shows_the_figures_of_both():
    """Side by side, under what is better and what is worse."""
    stream = io.StringIO()
    console(stream, width=160).print(compare.comparison(BETTER, REPORT))
    text = stream.getvalue()

    assert text.index("Better") < text.index("1.2 MB of 90 MB") < text.index("Worse")
    assert text.index("Worse") < text.index("It runs as root.") < text.index("The same")
    assert text.index("Not comparable") < text.index("not asked")
    assert "30 MB" in text
    assert "41.3 MB" in text
    assert "2 better, 2 worse, 2 the same, 3 not comparable" in text


def test_data_has_both_reports_and_the_sums():
    """A program gets what a person sees, and the reports themselves."""
    data = json.loads(formats.text_of(compare.comparison_data(BETTER, REPORT)))
    changes = {one["check"]: one for one in data["changes"]}

    assert {"better": 2, "worse": 2, "the same": 2, "not comparable": 3} == data["summary"]
    assert ("my/web:1.5", "my/web:1.4") == (data["report"]["subject"], data["other"]["subject"])
    assert "1 secret in layer 4." == changes["secrets"]["other"]["figure"]
    assert "holds" == changes["secrets"]["image"]["verdict"]
    assert changes["logs"]["other"] is None


def test_a_hostile_image_may_be_compared_too():
    """Its words reach neither side of the terminal, nor the data."""
    text = formats.text_of(compare.comparison_data(HOSTILE, REPORT))

    assert "\\u001b" not in text
    assert "\\u009b" not in text
