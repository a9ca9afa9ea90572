"""An audit within an exercise: what is left of the checks, and how a reader is told."""

from types import SimpleNamespace

import pytest
from audits import finding
from proving.audit import in_turn, run_checks
from proving.audit.catalogue import CHECKS
from proving.audit.findings import Finding, Report
from proving.claims import Verdict

HOLDS, NOT, MISSING = (
    Verdict.HOLDS,
    Verdict.DOES_NOT_HOLD,
    Verdict.COULD_NOT_BE_MEASURED,
)


def test_what_does_not_hold_is_left_first():
    """In each group the weightiest is first, and what is not applicable is not left."""
    report = Report(
        "an image",
        (
            finding("stops", MISSING, ""),
            finding("user", HOLDS, ""),
            finding("readiness", NOT, ""),
            finding("drains", MISSING, ""),
            finding("secrets", NOT, ""),
            finding("writes", Verdict.NOT_APPLICABLE, ""),
        ),
    )

    assert ["secrets", "readiness", "stops", "drains"] == [
        one.check.id for one in in_turn.left(report)
    ]


def test_what_was_not_asked_is_told_with_its_reason():
    """It is neither left to do nor a pass."""
    why = "No request of HTTP is answered on port 8000."
    foreign = [finding(one, Verdict.NOT_APPLICABLE, why) for one in ("readiness", "drains")]
    held = finding("stops", HOLDS, "It ended.")

    assert "" == in_turn.unasked(Report("an image", (held,)))
    assert f"`drains` and `readiness` had nothing to look at. {why}" == in_turn.unasked(
        Report("an image", (held, *foreign))
    )


def test_a_finding_is_told_with_its_figure_and_places():
    """And without its advice, which would be the solution."""
    found = Finding(CHECKS["secrets"], NOT, "1 place", "Revoke it.", {}, ("environment: KEY",))

    assert "`secrets` does not hold. 1 place. (environment: KEY)" == in_turn.told(found)
    assert "`stops` could not be measured. Why." == in_turn.told(finding("stops", MISSING, "Why."))


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        ([finding("readiness", NOT, "", answered_seconds=2.3)], ["readiness"]),
        ([finding("readiness", NOT, "", ready_paths=0)], None),
        ([finding("drains", MISSING, "")], ["drains"]),
        ([finding("drains", MISSING, ""), finding("stops", NOT, "")], None),
        ([finding("logs", MISSING, "")], None),
        ([finding("logs", HOLDS, "")], None),
    ],
)
def test_what_a_busy_machine_may_have_done_is_asked_once_more(monkeypatch, first, asked):
    """Where something else is left as well, that is told, and nothing is asked again."""
    calls = []

    def play(_lab, _image, _start, *, only, **_):
        calls.append(list(only))
        again = [finding(one, HOLDS, "") for one in only]
        found = first if len(calls) == 1 else again
        return run_checks.Seen(tuple(found), {"speaks_http_on": [8000]})

    monkeypatch.setattr(run_checks, "run", play)
    lab, image = SimpleNamespace(grace_seconds=10), SimpleNamespace(tag="an:image", name="an image")

    report = in_turn.run(lab, image, ["user", *(one.check.id for one in first)])

    assert [one.check.id for one in first] == calls[0]
    assert ([asked] if asked else []) == calls[1:]
    assert bool(in_turn.left(report)) == (asked is None and first[0].verdict is not HOLDS)
