"""One application through the guide's steps: what is drawn, and the same in words."""

import re

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, spans, words
from proving import claims
from proving.claims import Claim, Figure
from proving.errors import ClaimsFileError
from proving.step_figures import SHOWN, falling_figure, order, short, verdicts_figure

CLAIM = Claim(
    "A1",
    "11-some-lab",
    "advice",
    "the first",
    "the last, chapter 10",
    also={"layers": "chapter 4: one RUN", "function": "chapters 6 and 7: apart"},
    figures={
        name: Figure(f"The {name}", "B" if name.endswith("bytes") else "count") for name in SHOWN
    },
)


def version(value, **others):
    return dict.fromkeys(SHOWN, value) | others


ARMS = {
    "good": version(1, lost=0),
    "function": version(20),
    "bad": version(100, hidden_bytes=24_000_000),
    "layers": version(50, hidden_bytes=1_000_000),
}
VERDICTS = {
    "bad": {"user": "does not hold", "drains": "could not be measured"},
    "layers": {"user": "holds", "drains": "not applicable"},
    "function": {"user": "holds"},
    "good": {"user": "holds", "drains": "holds"},
}
RECORD = {"id": "A1", "arms": ARMS, "verdicts": VERDICTS}


def cells(html):
    return drawings(html.replace("\n</svg>", "\n</svg>\n<p"))


def test_versions_stand_in_the_order_of_the_steps():
    """Whatever the order of the record; each has the chapter that its row names first."""
    steps = order(CLAIM, ARMS)

    assert ("bad", "layers", "function", "good") == steps
    assert ["first", "4", "6", "10"] == [short(CLAIM, step) for step in steps]


def test_each_figure_has_a_drawing_that_says_the_same_in_words():
    """The heading has the first and the last, the description all of them."""
    html = falling_figure(CLAIM, RECORD)
    hidden = cells(html)[list(SHOWN).index("hidden_bytes")]

    assert len(SHOWN) == len(cells(html))
    assert "The hidden_bytes<span>: 24 MB → 1 B</span>" in html
    assert (
        "First Dockerfile: 24 MB. After chapter 4: 1 MB. After chapter 6: 20 B. "
        "After chapter 10: 1 B."
    ) == hidden.find(f"{SVG}desc").text
    assert ["–", "4", "6", "10"] == words(hidden)


def test_bars_are_hollow_before_their_step_and_whole_from_it_on():
    """So that the step is told without colour too."""
    html = falling_figure(CLAIM, RECORD)
    hidden = cells(html)[list(SHOWN).index("hidden_bytes")]

    assert [True, False, False, False] == ["opacity" in style for *_, style in spans(hidden)]
    assert all(0 <= start < end <= 100 for start, end, _ in spans(hidden))


def test_a_figure_of_nothing_still_has_bars():
    """Nothing lost is drawn as nothing, and no division fails."""
    nothing = {name: version(0) for name in ARMS}

    html = falling_figure(CLAIM, {"id": "A1", "arms": nothing})

    assert len(SHOWN) == len(cells(html))


def test_the_numbers_are_there_as_a_table():
    """A row for each figure, a column for each version."""
    html = falling_figure(CLAIM, RECORD)
    table = re.search(r"<table>.*?</table>", html, re.DOTALL)[0]

    assert 1 + len(SHOWN) == table.count("<tr>")
    assert "<td>24 MB</td><td>1 MB</td><td>20 B</td><td>1 B</td>" in table


def test_colours_come_from_the_page():
    """And have fallbacks that can be told on light and on dark."""
    assert colours(falling_figure(CLAIM, RECORD)) <= FALLBACKS


def test_verdicts_are_told_by_symbol_and_by_word():
    """A check that a version was not asked has an empty cell, and says so."""
    html = verdicts_figure(CLAIM, RECORD)

    assert 3 == html.count("<tr>")
    assert 3 == html.count('<td data-verdict="holds"><span aria-hidden="true">●') - 1
    assert '<span class="pg-aloud">could not be measured</span>' in html
    assert '<span class="pg-aloud">not asked</span>' in html


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"id": "A1", "arms": {}}, "no figures"),
        ({"id": "A1", "arms": {"bad": {"open": 1}}}, "of bad"),
    ],
)
def test_what_was_not_recorded_is_told(record, told):
    """A page that draws it fails a strict build with a sentence."""
    with pytest.raises(ClaimsFileError, match=told):
        falling_figure(CLAIM, record)


def test_the_steps_of_the_guide_are_those_that_are_drawn():
    """Each figure is one of the claim's, and turns at one of its versions."""
    claim = claims.get("A1")

    assert set(SHOWN) <= set(claim.figures)
    assert set(SHOWN.values()) <= {*claim.also, "good"}
    versions = order(claim, ("bad", *claim.also, "good"))
    assert ["first", *"12345689", "10"] == [short(claim, version) for version in versions]
