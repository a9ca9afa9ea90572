"""The runner: what of a notebook it runs, what an interruption keeps, what a change throws away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from proving import claims, prove
from proving.claims import Verdict
from proving.paths import LABS
from proving.prove import Proof

HOLDS, NOT = Verdict.HOLDS, Verdict.DOES_NOT_HOLD


class Runs:
    """Stands in for the runs of a notebook: each gives its verdict, or Ctrl-C comes."""

    def __init__(self, *verdicts: Verdict | None) -> None:
        self.left = list(verdicts)

    def __call__(
        self, _notebook: Path, only: str, *, told: Callable[[Proof], None], **_: Any
    ) -> tuple[list[Proof], Any]:
        """Run a claim."""
        verdict = self.left.pop(0)
        if verdict is None:
            raise KeyboardInterrupt
        proof = Proof(claims.get(only), verdict, "measured", {}, 1.0)
        told(proof)
        return [proof], None


@pytest.fixture(autouse=True)
def reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of reports of our own, and sources that do not change."""
    monkeypatch.setattr(prove, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(prove.claims, "decides", lambda _notebook: "sha256:1")
    return tmp_path / "reports"


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch, reports: Path) -> Path:
    """A series of three rounds that Ctrl-C ended in the second one, after a round that failed."""
    monkeypatch.setattr(prove, "run_notebook", Runs(NOT, None))
    with pytest.raises(KeyboardInterrupt):
        prove.series(["P1"], 3, None)
    (kept,) = reports.iterdir()
    return kept


def test_an_interrupted_series_goes_on_where_it_stopped(interrupted, monkeypatch, capsys):
    """The round that was done counts, with its verdict, and is not run again."""
    runs = Runs(HOLDS, HOLDS)
    monkeypatch.setattr(prove, "run_notebook", runs)
    failed = prove.series(["P1"], 3, None)
    told = capsys.readouterr()

    assert 1 == failed
    assert [] == runs.left
    assert "Going on after 1 of 3 rounds." in told.err
    assert "held 2 times of 3" in told.out
    assert not interrupted.exists()


@pytest.mark.usefixtures("interrupted")
def test_a_change_of_what_decides_begins_a_series_anew(monkeypatch, capsys):
    """Rounds of other sources say nothing of these."""
    runs = Runs(HOLDS, HOLDS, HOLDS)
    monkeypatch.setattr(prove, "run_notebook", runs)
    monkeypatch.setattr(prove.claims, "decides", lambda _notebook: "sha256:2")
    failed = prove.series(["P1"], 3, None)
    told = capsys.readouterr()

    assert 0 == failed
    assert [] == runs.left
    assert "Going on" not in told.err
    assert "held 3 times of 3" in told.out


def test_a_kept_series_that_is_broken_begins_anew(interrupted, monkeypatch):
    """A file that was cut off is no round."""
    interrupted.write_text('{"rounds": ', encoding="utf-8")
    runs = Runs(HOLDS, HOLDS, HOLDS)
    monkeypatch.setattr(prove, "run_notebook", runs)

    assert 0 == prove.series(["P1"], 3, None)
    assert [] == runs.left


def test_what_is_not_applicable_neither_passes_nor_fails(monkeypatch, capsys, tmp_path):
    """An engine without the classic builder has no claim about it, and is not to blame."""
    monkeypatch.setattr(prove, "select", lambda _words: [(Path("05-lab.ipynb"), "P1")] * 2)
    runs = Runs(HOLDS, Verdict.NOT_APPLICABLE)
    monkeypatch.setattr(
        prove,
        "run_notebooks",
        lambda chosen, told: [runs(*one, told=told)[0][0] for one in chosen],
    )
    report = tmp_path / "labs.xml"
    failed = prove.labs([], junit=report)

    assert 0 == failed
    assert "1 passed, 0 failed, 1 not applicable" in capsys.readouterr().out
    assert 'failures="0" skipped="1"' in report.read_text(encoding="utf-8")


def test_what_is_not_applicable_has_no_teeth_to_show():
    """There is nothing to exchange."""
    proof = Proof(claims.get("M4"), Verdict.NOT_APPLICABLE, "no classic builder", {}, 1.0)

    assert "" == prove.toothless(proof)


@pytest.mark.parametrize(
    ("only", "exchanged", "expected"),
    [(None, False, 3), (None, True, 0), ("P1", False, 0)],
    ids=["whole", "teeth", "one claim"],
)
def test_the_exercises_are_run_with_a_whole_notebook_alone(monkeypatch, only, exchanged, expected):
    """An exchange of a claim's arms says nothing of them, and they take their time."""
    run: list[str] = []

    def finished(works, told):
        run.extend(cell.source for work in works for cell in work.lane.cells)
        for work in works:
            told(work, None)

    monkeypatch.setattr(
        prove.lanes,
        "run_all",
        finished,
    )
    monkeypatch.setattr(prove.engine, "find", lambda **_: SimpleNamespace(docker=None))
    monkeypatch.setattr(prove.leftovers, "remove", lambda *_: None)
    proofs, _ = prove.run_notebook(LABS / "09-process-management.ipynb", only, exchanged=exchanged)

    assert expected == sum("lab.exercise(" in source for source in run)
    assert any('"P1"' in source for source in run)
    assert {Verdict.COULD_NOT_BE_MEASURED} == {proof.verdict for proof in proofs}


def lanes_of(monkeypatch, *words):
    """Return the claims of each lane that a run of several chapters has, batch by batch."""
    batches = []

    def finished(works, told):
        batches.append([(work.lane.lab, work.lane.name, work.lane.claims) for work in works])
        for work in works:
            told(work, None)

    monkeypatch.setattr(prove.lanes, "run_all", finished)
    prove.run_notebooks(prove.select(words))
    return batches


def test_chapters_together_prove_what_is_in_a_cluster_beside_the_rest(monkeypatch):
    """A chapter that is all in a cluster has the lanes that it has alone."""
    (batch,) = lanes_of(monkeypatch, "05", "07")

    assert [
        ("05-multi-stage", "", {"M1", "M2", "M3", "M4"}),
        ("05-multi-stage", "beside", {"M1K"}),
        ("07-pods", "", {"K1", "K4", "K6"}),
        ("07-pods", "beside", {"K2", "K3", "K5"}),
    ] == batch


def test_a_chapter_that_keeps_all_cores_busy_runs_by_itself(monkeypatch):
    """Whatever stands before it has ended, and what comes after waits for it."""
    batches = lanes_of(monkeypatch, "05", "11", "M1")

    assert [
        ["05-multi-stage"],
        ["11-checklist"],
        ["05-multi-stage (M1)"],
    ] == [[lab for lab, _, _ in batch] for batch in batches]
