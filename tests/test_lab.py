"""What a lab makes of arms that were not measured, without an engine."""

from __future__ import annotations

from typing import Any

import pytest
from proving import claims, lab
from proving.claims import Verdict
from proving.errors import CouldNotMeasure, NotApplicable
from proving.lab import Lab, NotMeasured


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what a record of M4 says of these arms."""
    unopened = Lab.__new__(Lab)
    unopened.exchanged, unopened._began = False, {}
    monkeypatch.setattr(Lab, "_environment", lambda _self, _claim: {})

    def judge(**arms: Any) -> tuple[str, str]:
        record = unopened._record(claims.get("M4"), arms)
        return record["verdict"], record["reason"]

    return judge


def raising(error: Exception) -> Any:
    """Return a measurement that ends so."""

    def job() -> Any:
        raise error

    return job


def test_an_arm_that_this_engine_has_not_is_not_applicable(judged):
    """Whatever the other arm came to."""
    bad = lab._measured(raising(NotApplicable("This engine has no classic builder.")))

    assert NotMeasured("This engine has no classic builder.", applicable=False) == bad
    assert (Verdict.NOT_APPLICABLE, "bad: This engine has no classic builder.") == judged(
        bad=bad, good={"ran": "release"}
    )


def test_an_arm_that_failed_is_not_excused_by_one_that_is_not_there(judged):
    """What could not be measured is told first."""
    bad = lab._measured(raising(NotApplicable("none")))
    good = lab._measured(raising(CouldNotMeasure("It does not answer.")))

    assert (Verdict.COULD_NOT_BE_MEASURED, "good: It does not answer.") == judged(
        bad=bad, good=good
    )
