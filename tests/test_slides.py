"""Slides: what goes on them, what goes to the notes, and how much fits."""

from datetime import datetime

import pytest
from docutils import nodes
from proving import (
    agendas,
    claims,
    code_excerpt,
    deck_browser,
    deck_parts,
    recorded,
    sections,
    slides,
)
from proving.code_excerpt import File
from proving.errors import ProvingError
from proving.paths import LABS


def paragraph(*lines):
    """A paragraph with a sentence in each line, as the sources have them."""
    return nodes.paragraph("", "", nodes.Text("\n".join(lines)))


def section(title, *children):
    """A section with the slug that Sphinx would give it."""
    found = nodes.section("", nodes.title("", title), *children)
    found["ids"] = [nodes.make_id(title)]
    return found


def card(claim_id, **more):
    """The card of a claim, as the site's directive leaves it in a page."""
    return nodes.raw("", "", format="html", claim=claim_id, **more)


@pytest.fixture
def chapter():
    """A chapter with a section that proves two claims, and one that explains."""
    document = nodes.document("", None)
    figure = nodes.raw("", "<figure></figure>", format="html", figure="P2")
    document += section(
        "A chapter",
        section("Why", paragraph("It stops.", "Often.")),
        section(
            "Two claims",
            paragraph("One."),
            card("P1"),
            paragraph("About one."),
            paragraph("Two."),
            card("P2", question="How long?", unit="s"),
            section("How it works underneath", paragraph("So."), figure, paragraph("Thus.")),
        ),
    )
    return document


@pytest.fixture(scope="module")
def source():
    """What slides are made of, with nodes rendered as their plain text."""
    records = recorded.results(recorded.load_all(LABS).values())
    return slides.Source(claims.load(), records, lambda node: f"<p>{node.astext()}</p>")


def told(pieces):
    """Return the kinds of some pieces and their texts."""
    return [(piece.kind, piece.node.get("claim") or piece.node.astext()) for piece in pieces]


def test_a_claim_names_what_stands_around_its_card(chapter):
    """The first claim has its lead and what follows, but for the lead of the next one."""
    title, pieces = sections.find(chapter, "P1")

    assert title == "Two claims"
    assert [("text", "One."), ("card", "P1"), ("text", "About one.")] == told(pieces)


def test_a_figure_comes_before_the_explanation_around_it(chapter):
    """The texts of an explanation follow one another, and share a slide."""
    _, pieces = sections.find(chapter, "P2")

    assert ["text", "question", "card", "figure", "why", "why"] == [piece.kind for piece in pieces]


def test_a_slug_names_a_section_and_an_unknown_one_is_told(chapter):
    """The sentence has the sections and the claims that there are."""
    assert sections.find(chapter, "why")[0] == "Why"
    with pytest.raises(sections.SectionError, match="'who'; there are why, two-claims, .* P1, P2"):
        sections.find(chapter, "who")


def test_a_slide_has_first_sentences_and_its_notes_the_whole(source):
    """Where there is room for more than the first sentence, there is more."""
    long = [paragraph("A first sentence. " * 14, "A second one.") for _ in range(3)]

    (short_one,) = source.points([paragraph("One.", "Two.")], "Title")
    long_one = next(source.points(long, "Title"))

    assert "Two." in short_one.body
    assert "A second one." not in long_one.body
    assert "A second one." in long_one.notes


def test_what_does_not_fit_goes_on_to_the_next_slide(source):
    """No paragraph is lost, and the titles count the slides."""
    found = list(source.points([paragraph(f"{n} " + "word " * 50) for n in range(9)], "Title"))

    assert [f"Title ({n} of {len(found)})" for n in range(1, len(found) + 1)] == [
        slide.title for slide in found
    ]
    assert len(found) > 1
    assert all(any(f"<p>{n} " in slide.body for slide in found) for n in range(9))


def test_things_are_spread_evenly():
    """Four things for slides of three are two and two."""
    assert [[1, 1], [1, 1]] == list(slides.in_batches([1, 1, 1, 1], 3, lambda one: one))


def test_a_long_file_is_shown_around_its_deciding_lines():
    """What is left out is counted by a comment, and the marks move with their lines."""
    file = File("Dockerfile", "docker", tuple(f"RUN {n}" for n in range(1, 101)), (50,))

    size, (shown,) = code_excerpt.fit([file], 556, 400)

    lines = shown.text.splitlines()
    assert size == min(code_excerpt.SIZES)
    assert [lines[number - 1] for number in shown.marked] == ["RUN 50"]
    assert lines[0].startswith("# ⋮ ")
    left_out = [int(line.split()[2]) for line in lines if line.startswith("# ⋮")]
    assert sum(left_out) == 100 - sum(line.startswith("RUN") for line in lines)


def test_a_short_file_is_shown_whole_in_large_letters():
    """Nothing is left out that fits."""
    file = File("Dockerfile", "docker", ("FROM base", "CMD app"))

    size, (shown,) = code_excerpt.fit([file], 556, 400)

    assert max(code_excerpt.SIZES) == size
    assert shown.text.splitlines() == ["FROM base", "CMD app"]


@pytest.mark.parametrize("claim_id", claims.load())
def test_the_slides_of_a_card_have_every_figure_once(source, claim_id):
    """Whatever was measured of the two arms is on a slide, and the variants are in the notes."""
    claim, record = source.claims[claim_id], source.records[claim_id]

    found = list(slides.card(claim, record))

    rows = sum(slide.body.count('<th scope="row"') for slide in found)
    measured = {name for arm in ("bad", "good") for name in record["arms"].get(arm, {})}
    assert len(measured) == rows
    variants = record["arms"].keys() - {"bad", "good"}
    assert len(variants) == found[0].notes.count("Also measured")


def test_a_section_that_is_not_there_is_told_with_its_place(source, chapter):
    """The sentence names the agenda, the place in it, and the sections that there are."""
    item = agendas.Item("section", 5, "day 1, part 2", "09-x", "P9")
    day = agendas.Day(datetime(2001, 2, 3, 9), 5, (item,))
    agenda = agendas.Agenda("one", "5 minutes", "A test.", 5, (day,))
    maker = deck_parts.Maker(agenda, source, lambda _: chapter)

    with pytest.raises(agendas.AgendaError, match=r"one.yaml, day 1, part 2: .*'P9'; there are"):
        list(maker.slides())


def test_a_browser_that_is_not_there_is_told(monkeypatch):
    """The sentence says that the slides are there all the same, and what to do for a PDF."""
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")

    with (
        pytest.raises(ProvingError, match="no PDF.*CHROMIUM.*--no-pdf"),
        deck_browser.chromium(),
    ):
        pass


def test_a_stale_record_is_told_on_its_card(source):
    """As on the site: the slide has the mark, and the notes say why."""
    slide = next(slides.card(source.claims["P1"], source.records["P1"], "It has changed."))

    assert "▲ stale" in slide.body
    assert "It has changed." in slide.notes


def test_the_seconds_of_slides_are_those_of_their_entry():
    """The speaker's clock ends with the agenda."""
    day = agendas.load("90-minutes").days[0]
    at, item = next(iter(day.times()))
    three = [slides.Slide("points", "T", "", "", weight=weight) for weight in (1, 1, 5)]

    timed = list(deck_parts.timed(three, item, at, "Title"))

    assert item.minutes * 60 == sum(slide.seconds for slide in timed)
    assert "09:00" == timed[0].clock
    assert all(slide.notes for slide in timed)
