"""The card of a claim: what it says, and that it says it without style sheet or script."""

from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from proving import show
from proving.claims import Claim, Figure

CLAIM = Claim(
    id="P0",
    chapter="09-some-lab",
    advice="An `invented` piece of advice",
    bad="the <bad> arm",
    good="the good arm",
    figures={
        "stop_seconds": Figure("Time to stop", "s"),
        "exit_status": Figure("Exit status", "status"),
        "pid_1": Figure("Process 1", "text"),
    },
    also={"other-one": "a third arm"},
)
RECORD = {
    "id": "P0",
    "verdict": "holds",
    "reason": "All 1 checks hold.",
    "arms": {
        "bad": {"stop_seconds": 10.21, "exit_status": 137, "pid_1": "<sh>"},
        "good": {"stop_seconds": 0.03, "exit_status": 0, "pid_1": "app"},
        "other-one": {"stop_seconds": 3.0},
    },
    "checks": [{"sentence": "bad: time", "holds": True, "expected": "≥ 10 s", "found": "10.2 s"}],
    "settings": {"grace_seconds": 10},
    "environment": {
        "engine": "Docker Engine",
        "engine_version": "0.0",
        "store": "overlay2",
        "architecture": "arm64",
        "cores": 1,
        "bases": {"SLIM": {"reference": "r", "road": "pulled", "identity": "i", "public": "p"}},
    },
    "measured_at": "2001-02-03T04:05:06Z",
    "seconds": 61.0,
}


class Page(HTMLParser):
    """The text of a piece of HTML, its tags, and whether they are well nested."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data.split()

    @property
    def text(self):
        return " ".join(self.words)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (10.21, "s", "10.2 s"),
        (0.031, "s", "0.03 s"),
        (3_400_000, "B", "3.4 MB"),
        (1234, "count", "1,234"),
        (137, "status", "137 (killed by SIGKILL)"),
        (143, "status", "143 (ended by SIGTERM)"),
        (128, "status", "128"),
        (255, "status", "255"),
        (True, "yesno", "yes"),
        ("running", "text", "running"),
        (None, "s", "–"),
    ],
)
def test_figures_are_told_as_people_read_them(value, unit, expected):
    """A status above 128 names its signal; one that is no signal's stays a number."""
    assert expected == show.figure_text(value, unit)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(4.4, "4 s"), (61, "1 min 1 s"), (3600, "60 min 0 s"), (None, "–")]
)
def test_durations_are_told_in_minutes(seconds, expected):
    """A status page with 95.1 s would make the reader count."""
    assert expected == show.duration_text(seconds)


def test_the_card_tells_verdict_figures_checks_and_where():
    """All of it is in the text, so that it survives without a style sheet."""
    text = Page(show.card_html(CLAIM, RECORD)).text

    assert "P0 · An invented piece of advice ● holds" in text
    assert "Time to stop 10.2 s 0.03 s" in text
    assert "137 (killed by SIGKILL)" in text
    assert "● bad: time: expected ≥ 10 s, found 10.2 s" in text
    assert "Measured on 3 February 2001, Docker Engine 0.0, overlay2, arm64, 1 core" in text
    assert "Grace 10 s" in text
    assert "Took 1 min 1 s" in text
    assert "Base SLIM (p) pulled, r, i" in text


def test_settings_are_told_in_their_unit():
    """The unit is in a setting's name, and `5000000` says less than `5 MB`."""
    told = [
        show.setting_text(*setting)
        for setting in (("grace_seconds", 10), ("data_bytes", 5_000_000), ("packages", 3))
    ]

    assert ["10 s", "5 MB", "3"] == told


def test_the_card_is_a_table_with_scoped_headings():
    """A screen reader can tell the arm and the figure of every cell."""
    page = Page(show.card_html(CLAIM, RECORD))
    scopes = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]

    assert None not in scopes
    assert 2 == sum(tag == "caption" for tag, _ in page.tags)
    assert {"✗ bad", "✓ good"} <= {f"{a} {b}" for a, b in pairwise(page.words)}


def test_bars_share_one_scale_and_are_left_to_sighted_readers():
    """The longest of the two fills its bar; the number is in the cell already."""
    meters = [attrs for tag, attrs in Page(show.card_html(CLAIM, RECORD)).tags if tag == "meter"]

    assert [("10.21", "10.21"), ("0.03", "10.21")] == [(m["value"], m["max"]) for m in meters]
    assert {"true"} == {m["aria-hidden"] for m in meters}


def test_nothing_of_a_claim_or_record_becomes_markup():
    """Names of processes come out of containers."""
    html = show.card_html(CLAIM, RECORD)

    assert "<sh>" not in html
    assert "&lt;sh&gt;" in html
    assert "the &lt;bad&gt; arm" in html
    assert "<code>invented</code>" in html


def test_further_arms_stand_in_a_table_of_their_own():
    """With what they are, and only with the figures that they have."""
    text = Page(show.card_html(CLAIM, RECORD)).text

    assert "Also measured Variant Time to stop other one a third arm 3.0 s" in text


def test_mine_stands_beside_the_recorded_result():
    """Both are dated, and the bars of a row share their scale."""
    mine = {**RECORD, "arms": {**RECORD["arms"], "bad": {"stop_seconds": 20.0}}}
    page = Page(show.card_html(CLAIM, mine, recorded=RECORD))

    assert "Mine Recorded" in page.text
    assert "Time to stop 20.0 s 0.03 s 10.2 s 0.03 s" in page.text
    assert "Recorded on 3 February 2001" in page.text
    assert {"20"} == {attrs["max"] for tag, attrs in page.tags if tag == "meter"}


def test_a_claim_that_does_not_hold_says_why():
    """The reason and the check that failed are in words, not in a colour."""
    check = {**RECORD["checks"][0], "holds": False, "found": "1.0 s"}
    failed = {**RECORD, "verdict": "does not hold", "reason": "bad: too soon.", "checks": [check]}

    text = Page(show.card_html(CLAIM, failed)).text

    assert "▲ does not hold" in text
    assert "bad: too soon." in text
    assert "▲ bad: time: expected ≥ 10 s, found 1.0 s (does not hold)" in text


def test_a_record_that_measured_nothing_has_a_card():
    """The engine may have died before the first figure."""
    empty = {"id": "P0", "verdict": "could not be measured", "reason": "No engine.", "arms": {}}

    text = Page(show.card_html(CLAIM, empty)).text

    assert "○ could not be measured" in text
    assert "No engine." in text
    assert "Measured on an unknown day, an unknown engine" in text
    assert "could not be measured" in show.card_text(CLAIM, empty)


def test_a_figure_that_nobody_declared_is_shown_by_its_name():
    """Measuring more than the claim asks for loses nothing."""
    more = {**RECORD, "arms": {"bad": {"log_bytes": 3}, "good": {}}}

    assert "log bytes 3 –" in Page(show.card_html(CLAIM, more)).text


def test_a_claim_without_a_result_is_not_proved_yet():
    """An honest box, not an empty table."""
    assert "○ not proved yet" in Page(show.not_proved_html(CLAIM)).text


def test_the_terminal_shows_the_same_card_in_columns():
    """Columns line up, and the recorded result has its own."""
    lines = show.card_text(CLAIM, RECORD, recorded=RECORD).splitlines()

    assert "P0 · An `invented` piece of advice: ● holds" == lines[0]
    assert ["bad", "good", "other-one", "bad,", "recorded", "good,", "recorded"] == lines[2].split()
    assert lines[2].index("good") == lines[3].index("0.03 s")
    assert "Measured on 3 February 2001, Docker Engine 0.0, overlay2, arm64, 1 core" == lines[-1]


def test_a_cluster_is_told_with_the_engine():
    """Its version first, since it is what the claim is about."""
    told = {
        "engine": "Docker Engine",
        "engine_version": "28.5.2",
        "cluster": {"kubernetes": "1.20.2", "found": "a node of one container"},
    }

    assert show.where_text(told).startswith("Kubernetes 1.20.2, Docker Engine 28.5.2")
    assert ("Cluster", "Kubernetes 1.20.2, a node of one container") in show._facts(
        {"environment": told}
    )


def test_further_arms_stand_in_the_order_of_the_claim():
    """A record that went through a notebook has them in the order of their names."""
    claim = replace(CLAIM, also={"second": "a step", "first": "another one"})
    arms = {"first": {"exit_status": 1}, "second": {"exit_status": 2}, "third": {"exit_status": 3}}

    page = show.card_html(claim, {**RECORD, "arms": {**RECORD["arms"], **arms}})

    places = [page.index(f">{told}<") for told in ("a step", "another one")]
    assert places == sorted(places)


def test_a_figure_that_is_told_of_one_arm_stands_beside_nothing_of_the_other():
    """A bound that a probe sets is none of the arm without one, though it was measured there."""
    told = replace(CLAIM, figures={"pid_1": Figure("Process 1", "text", arms=("good",))})
    html, text = show.card_html(told, RECORD), show.card_text(told, RECORD)
    (line,) = [line.split() for line in text.splitlines() if line.startswith("Process 1")]

    assert "&lt;sh&gt;" not in html
    assert '<td class="pg-good">app</td>' in html
    assert ["Process", "1", show.MISSING, "app", show.MISSING] == line
