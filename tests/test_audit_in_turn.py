"""An audit within an exercise: what is left of the checks, and how a reader is told."""

from audits import finding
from proving.audit import in_turn
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


def test_a_finding_is_told_with_its_figure_and_places():
    """And without its advice, which would be the solution."""
    found = Finding(CHECKS["secrets"], NOT, "1 place", "Revoke it.", {}, ("environment: KEY",))

    assert "`secrets` does not hold. 1 place. (environment: KEY)" == in_turn.told(found)
    assert "`stops` could not be measured. Why." == in_turn.told(finding("stops", MISSING, "Why."))
