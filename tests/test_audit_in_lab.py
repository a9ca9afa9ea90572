"""An audit within a lab: what it is asked, and what the notebook shows of it."""

from types import SimpleNamespace

import pytest
from audits import FAILS, HOLDS, finding
from proving.audit import in_lab
from proving.audit.audit import Options

LAB = SimpleNamespace(engine="the engine", grace_seconds=7.0)


@pytest.fixture
def asked(monkeypatch):
    """What the checks are asked, none of which needs an engine here."""
    told = {}
    about = SimpleNamespace(name="my/web:1", reference="sha256:1")

    def run(lab, reference, start, **options):
        told.update(options, lab=lab, reference=reference, start=start)
        return SimpleNamespace(findings=(finding("stops", FAILS, "killed"),), facts={"run": 1})

    monkeypatch.setattr(in_lab.subject, "of_engine", lambda engine, text: about)
    monkeypatch.setattr(
        in_lab.archive_checks, "check", lambda _: ([finding("user", HOLDS, "1000")], {"bytes": 2})
    )
    monkeypatch.setattr(in_lab.run_checks, "run", run)
    return told


def test_both_sources_are_asked_within_the_lab(asked):
    """With the lab's grace period, and as the options say."""
    options = Options(environment={"KEY": "1"}, port=80, ready_path="/up", watch_seconds=3.0)

    report = in_lab.audited(LAB, "my/web:1", options)

    assert ["user", "stops"] == [one.check.id for one in report.findings]
    assert {"bytes": 2, "run": 1} == report.facts
    assert "my/web:1" == report.subject
    assert (LAB, "sha256:1", 3.0, 7.0) == (
        asked["lab"],
        asked["reference"],
        asked["writes_seconds"],
        asked["grace_seconds"],
    )
    assert ({"KEY": "1"}, 80, "/up") == (
        asked["start"].environment,
        asked["start"].port,
        asked["start"].path,
    )


def test_an_image_that_is_not_to_run_is_read_alone(asked):
    """And keeps the name that it is called by."""
    report = in_lab.audited(LAB, "my/web:1", Options(run=False), called="ours")

    assert ["user"] == [one.check.id for one in report.findings]
    assert "ours" == report.subject
    assert not asked


def test_a_notebook_shows_the_scorecard_and_a_line_without_html(asked):
    """As everywhere else that a result is displayed."""
    shown = in_lab.bundle(in_lab.audited(LAB, "my/web:1", Options()))

    assert "The audit of my/web:1" in shown["text/html"]
    assert "Of 2 checks: 1 does not hold, 1 holds" == shown["text/plain"]
