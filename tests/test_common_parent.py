"""What a node downloads with and without a common parent: what is drawn, and the same in words."""

import xml.etree.ElementTree as ET

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, words
from proving.claims import Claim
from proving.common_parent import DOWNLOADED_AFTER, parent_figure
from proving.errors import ClaimsFileError

CLAIM = Claim("B5", "02-some-lab", "advice", "in each", "in one parent")
RECORD = {
    "id": "B5",
    DOWNLOADED_AFTER: {
        "good": [40_000_000, 41_000_000, 42_000_000],
        "bad": [40_000_000, 70_000_000, 100_000_000],
    },
}


def stairs(drawing: ET.Element) -> list[list[tuple[str, str, str, str]]]:
    """Return the lines of each arm's stairs: from where to where."""
    sides = ("x1", "y1", "x2", "y2")
    return [
        [tuple(line.get(side) for side in sides) for line in group.iter(f"{SVG}line")]
        for group in drawing.iter(f"{SVG}g")
    ]


def test_each_service_is_a_step():
    """A step goes up from what was downloaded before, then over the service's share of the width.

    The top of the drawing is the most that was downloaded, the floor is nothing.
    """
    (drawing,) = drawings(parent_figure(CLAIM, RECORD))
    bad, good = stairs(drawing)

    assert [
        ("0.00%", "212", "0.00%", "136"),
        ("0.00%", "136", "33.33%", "136"),
        ("33.33%", "136", "33.33%", "79"),
        ("33.33%", "79", "66.67%", "79"),
        ("66.67%", "79", "66.67%", "22"),
        ("66.67%", "22", "100.00%", "22"),
    ] == bad
    assert ("66.67%", "132.2", "100.00%", "132.2") == good[-1]


def test_the_services_are_counted_and_the_ends_are_told():
    """Below the floor stands which service it is, and above each end how much was downloaded."""
    (drawing,) = drawings(parent_figure(CLAIM, RECORD))
    told = words(drawing)

    assert ["1", "2", "3", "services pulled"] == told[:4]
    assert ["100 MB", "42 MB"] == told[-2:]


def test_the_numbers_at_the_left_are_written_over_the_stairs():
    """On a telephone the first step is not wider than they are."""
    (drawing,) = drawings(parent_figure(CLAIM, RECORD))
    parts = [part.tag.removeprefix(SVG) for part in drawing]
    after = len(parts) - parts[::-1].index("g")

    assert ["20 MB", "40 MB", "60 MB", "80 MB", "100 MB"] == words(drawing)[4:-2]
    assert ["text"] * 7 == parts[after:]


def test_the_arms_differ_without_colour():
    """The bad arm's line is dashed, in the drawing and in the legend."""
    html = parent_figure(CLAIM, RECORD)
    (drawing,) = drawings(html)

    assert ["7 4", None] == [group.get("stroke-dasharray") for group in drawing.iter(f"{SVG}g")]
    assert 2 == html.count('stroke-dasharray="7 4"')


def test_the_same_numbers_are_told_in_words_and_in_a_table():
    """Every step of every arm, also to those who do not see the drawing."""
    html = parent_figure(CLAIM, RECORD)
    (drawing,) = drawings(html)

    assert (
        "Bad: 40 MB after 1, 70 MB after 2, 100 MB after 3. "
        "Good: 40 MB after 1, 41 MB after 2, 42 MB after 3."
    ) == drawing.findtext(f"{SVG}desc")
    assert '<tr><th scope="row">2</th><td>70 MB</td><td>41 MB</td></tr>' in html


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """Letters take the page's own colour."""
    assert colours(parent_figure(CLAIM, RECORD)) <= FALLBACKS


@pytest.mark.parametrize(
    ("downloads", "sentence"),
    [
        ({}, "The recorded result of B5 has no downloads."),
        (
            {"bad": [1, 2], "good": [1]},
            "The recorded result of B5 does not have downloads of the same services, "
            "two or more, in each arm.",
        ),
        (
            {"bad": [1], "good": [1]},
            "The recorded result of B5 does not have downloads of the same services, "
            "two or more, in each arm.",
        ),
    ],
)
def test_a_record_without_comparable_downloads_is_told_in_a_sentence(downloads, sentence):
    """Most claims are not about several services."""
    with pytest.raises(ClaimsFileError) as caught:
        parent_figure(CLAIM, {"id": "B5", DOWNLOADED_AFTER: downloads})

    assert sentence == str(caught.value)
