"""What all ways to tell a report share."""

from __future__ import annotations

import unicodedata

import pytest
from audits import ESCAPE, FAILS, HOLDS, HOSTILE, REPORT, finding
from proving.audit import telling
from proving.audit.catalogue import CHECKS
from proving.audit.findings import Report
from proving.paths import ROOT


def strings(value):
    """Return every text in some data, the names included."""
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in strings(one)]
    if isinstance(value, list | tuple):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []


def test_nothing_that_steers_is_left_of_a_hostile_report():
    """Whatever an image says, in whatever place, comes out as text alone."""
    report = telling.harmless(HOSTILE)
    told = [report.subject, *strings(dict(report.facts))]
    for one in report.findings:
        told += [one.figure, one.advice, *one.places, *strings(dict(one.values))]

    steering = [text for text in told if any(unicodedata.category(c)[0] == "C" for c in text)]

    assert [] == steering
    assert 20 < sum("owned" in text for text in told)


def test_harmless_twice_is_harmless_once():
    """A text that was made printable is not changed again."""
    once = telling.harmless(HOSTILE)

    assert once == telling.harmless(once)


def test_what_is_plain_already_stays_as_it_is():
    """Numbers keep their type, and sentences their words."""
    report = telling.harmless(REPORT)

    assert dict(REPORT.facts) == report.facts
    assert REPORT.findings == report.findings


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_each_check_leads_to_a_page_of_the_guide(check):
    """A check belongs to a chapter, and the page has the anchor of the claim's card."""
    chapter = telling.chapter_of(check)
    pages = [page for page in map(telling.page_of, check.claims) if page]

    assert (ROOT / "chapters" / f"{chapter}.md").is_file()
    assert pages
    for page in pages:
        path, _, anchor = page.partition("#claim-")
        text = (ROOT / path).with_suffix(".md").read_text(encoding="utf-8")

        assert f"```{{claim}} {anchor}\n" in text


def test_links_need_a_site():
    """Without the address of a site there is no link, and none to a claim that is not known."""
    assert "https://example.org/chapters/09-process-management.html#claim-P1" == telling.link(
        "https://example.org/", "P1"
    )
    assert "" == telling.link("", "P1") == telling.link("https://example.org", "Z99")


def test_chapters_come_in_the_guides_order_and_faults_first_in_each():
    """A reader meets the chapters as the guide has them, and what fails before what holds."""
    chapters = telling.by_chapter(reversed(REPORT.findings))

    assert sorted(chapters) == list(chapters)
    assert ["stops", "drains", "reaps"] == [
        one.check.id for one in chapters["09-process-management"]
    ]


def test_a_tally_counts_every_check_once():
    """The numbers are those of the verdicts, and a single one reads as one."""
    assert (
        "Of 8 checks: 4 do not hold, 1 could not be measured, 2 hold, 1 not applicable"
        == telling.tally(REPORT)
    )
    assert "No check was made" == telling.tally(Report("x", ()))


@pytest.mark.parametrize(
    ("figure", "expected"),
    [("none", "none."), ("It is.", "It is."), ("", ""), ("3 files and …", "3 files and …")],
)
def test_an_answer_is_a_sentence(figure, expected):
    """Figures need not end in a full stop; what is told does."""
    assert expected == telling.answer(finding("stops", HOLDS, figure))


def test_a_message_asks_answers_and_advises():
    """In one line, for those who see nothing else."""
    assert "Are orphans reaped? 5 stay. Mend it." == telling.message(
        finding("reaps", FAILS, "5 stay", "Mend it.")
    )


def test_facts_have_their_units():
    """A name's unit goes to its value, and a list is one line."""
    facts = dict(telling.facts_of(REPORT))

    assert "41.3 MB" == facts["Transfer"]
    assert "1.25 s" == facts["Read"]
    assert "8080/tcp" == facts["Exposed ports"]
    assert "2" == facts["Layers"]


def test_facts_of_many_parts_are_shortened():
    """A long list says how many it leaves out; what is empty is left out itself."""
    report = Report("x", (), {"a": list(range(20)), "b": None, "c": {"d_bytes": 1000}, "e": True})

    assert [
        ("A", "0, 1, 2, 3, 4, and 15 more"),
        ("C", "D 1 kB"),
        ("E", "yes"),
    ] == telling.facts_of(report)


def test_nobody_hides_one_last_place():
    """To say "and 1 more" takes as much room as the place itself."""
    six = [ESCAPE] * 6

    assert six == telling.shortened(six)
    assert 6 == len(telling.shortened([ESCAPE] * 7))
