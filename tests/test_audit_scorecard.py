"""The scorecard on a terminal and as HTML: complete, legible, and never steered by an image."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pytest
from audits import BETTER, FAILS, HOSTILE, REPORT, finding
from proving.audit import html
from proving.audit.compare import comparison
from proving.audit.findings import Report
from proving.audit.scorecard import console, scorecard

TERMINAL = {"TERM": "xterm-256color", "COLORTERM": ""}


def told(renderable, *, width=80, terminal=False):
    """Return what a console writes."""
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    console(stream, width=width).print(renderable)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Have a terminal of 256 colours, and nothing that forces or forbids colour."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in TERMINAL.items():
        monkeypatch.setenv(name, value)


def test_each_finding_is_told_whole():
    """Its verdict in words, its figure, its claims and its advice all stand there."""
    text = " ".join(told(scorecard(REPORT), width=200).split())

    for one in REPORT.findings:
        head = f"{one.verdict} {one.check.id} {' '.join(one.check.claims)}"
        assert f"{head} {one.check.question} {one.figure}" in text
        assert one.advice in text


def test_what_to_fix_first_stands_before_the_chapters():
    """Three faults at most, by their weight, then the chapters in the guide's order."""
    text = told(scorecard(REPORT))
    heads = [line.strip() for line in text.splitlines() if line.startswith("Chapter")]
    first = text[text.index("To fix first") : text.index("Chapter")]

    assert ["secrets", "stops", "hidden-bytes"] == re.findall(r"\d\. ([a-z-]+):", first)
    assert sorted(heads) == heads
    assert "Chapter 9 · Process management" in heads
    assert "Chapter 1 · Qualities of a good image" in heads


@pytest.mark.parametrize("report", [REPORT, HOSTILE])
@pytest.mark.parametrize("width", [80, 60])
def test_no_line_is_wider_than_the_terminal(report, width):
    """Long paths and names are folded."""
    for text in (
        told(scorecard(report), width=width),
        told(comparison(report, BETTER), width=width),
    ):
        assert width >= max(map(len, text.splitlines()))


def test_colour_is_for_terminals_alone(monkeypatch):
    """A file has no escape; a terminal has colours, unless NO_COLOR is set."""
    plain = told(scorecard(REPORT))
    coloured = told(scorecard(REPORT), terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    colourless = told(scorecard(REPORT), terminal=True)

    assert "\x1b" not in plain
    assert "\x1b[1;38;5;166m" in coloured
    assert "\x1b[1mstops\x1b[0m\x1b[2m" in coloured
    assert "38;5" not in colourless
    assert plain == re.sub(r"\x1b\[[0-9;]*m", "", coloured)


@pytest.mark.parametrize("renderable", [scorecard(HOSTILE), comparison(HOSTILE, REPORT)])
def test_no_escape_or_markup_of_an_image_reaches_the_terminal(renderable):
    """What an image says is shown as text: no escape, no markup, no emoji code means anything."""
    text = told(renderable, terminal=True)
    ours = re.sub(r"\x1b\[[0-9;]*m", "", text)

    assert "\x1b" not in ours
    assert [] == [c for c in ours if c != "\n" and not c.isprintable()]
    assert "[bold" in ours
    assert ":warning:" in ours


def test_an_audit_without_a_check_says_so():
    """Nothing to fix, no chapters, and no crash."""
    text = told(scorecard(Report("x", ())))

    assert "No check was made." in text
    assert "To fix first" not in text


class Page(HTMLParser):
    """The tags of a page in their order, its text, and whether it is well nested."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.words, self._open = [], [], [], []
        self.feed(source)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        if tag not in ("br", "meta"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words += data.split()


@pytest.mark.parametrize("report", [REPORT, HOSTILE])
def test_the_card_is_well_nested_html_with_all_its_words(report):
    """Every finding is a row that tells its verdict as data and in words."""
    page = Page(html.card(report))
    rows = [one["data-verdict"] for one in page.attributes if "data-verdict" in one]

    assert sorted(str(one.verdict) for one in report.findings) == sorted(rows)
    for one in report.findings:
        assert one.check.id in page.words
        assert set(one.check.claims) <= set(page.words)


def test_no_tag_of_an_image_reaches_a_page():
    """The page of a hostile image has the tags of any other page."""
    tags = set(Page(html.page(HOSTILE, "https://example.org")).tags) - {"code"}

    assert tags <= set(Page(html.page(REPORT, "https://example.org")).tags)
    assert "script" not in tags


def test_advice_has_code_where_it_says_so():
    """Between backticks, and escaped there too."""
    told = html.card(Report("x", (finding("user", FAILS, "root", "Write `<b>` & build."),)))

    assert "Write <code>&lt;b&gt;</code> &amp; build." in told


def test_claims_of_a_card_are_links_where_there_is_a_site():
    """A link leads to the card of the claim in its chapter."""
    with_site = Page(html.card(REPORT, "https://example.org/site"))
    links = [one["href"] for one in with_site.attributes if "href" in one]

    assert "https://example.org/site/chapters/04-layer-size.html#claim-S1" in links
    assert "a" not in Page(html.card(REPORT)).tags


def test_a_page_loads_nothing():
    """It can be read years later, on a machine without a network."""
    source = html.page(REPORT)

    assert not re.search(r"\b(src|href|url)\b", source)
    assert source.startswith("<!doctype html>")
