"""What a lab makes of arms that were not measured, without an engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from proving import claims, lab
from proving.claims import Verdict
from proving.engine import Engine
from proving.errors import BuildError, CouldNotMeasure, NotApplicable
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


LOST = "#9 ERROR: failed to compute cache key: failed to get state for index 0 on [2/3] RUN make\n"


class Builds:
    """Stands in for an image whose builds fail with these outputs of the builder, one by one."""

    def __init__(self, *failures: str) -> None:
        self.left = list(failures)
        self.built = 0

    def build(self) -> Builds:
        """Build it, or fail."""
        self.built += 1
        if self.left:
            raise BuildError("It does not build.", progress=self.left.pop(0))
        return self


def test_a_build_that_lost_a_step_is_done_once_more():
    """Two builds at once had shared the step, and the builder forgot one of them."""
    image: Any = Builds(LOST)

    assert image is lab._built(image)
    assert 2 == image.built


@pytest.mark.parametrize(
    ("failures", "built"),
    [
        ([LOST, LOST], 2),
        (["#9 ERROR: executor failed running [/bin/sh -c make]: exit code: 2\n"], 1),
        (["#9 0.312 failed to get state for index 0\n#9 ERROR: exit code: 1\n"], 1),
    ],
)
def test_any_other_failure_of_a_build_is_told_at_once(failures, built):
    """A step of the reader's own may say anything, and the second failure counts."""
    image: Any = Builds(*failures)
    with pytest.raises(BuildError):
        lab._built(image)

    assert built == image.built


def test_what_a_run_has_made_carries_its_label_and_is_removed():
    """Also where the measurement in it fails; no two have one name."""
    made, removed = [], []

    def create(name: str, **options: Any) -> Any:
        made.append((name, options))
        return SimpleNamespace(remove=lambda: removed.append(name))

    opened = Lab.__new__(Lab)
    opened.engine, opened.run = Engine("unix:///nowhere", "a test"), "r"
    with pytest.raises(CouldNotMeasure), opened.own(create, driver="x") as one:
        raise CouldNotMeasure("It does not answer.")
    with opened.own(create) as other:
        assert [one] == removed

    assert [one, other] == removed
    assert one.startswith("proving-ground-run-r-")
    assert one != other
    label = {"proving-ground.run": "r"}
    assert [(one, {"labels": label, "driver": "x"}), (other, {"labels": label})] == made
