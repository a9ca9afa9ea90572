"""What a last stage keeps of an image: what is drawn, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, labels, spans
from proving.claims import Claim
from proving.errors import ClaimsFileError
from proving.what_is_left import left_figure, made

CLAIM = Claim("M1", "05-some-lab", "advice", "one stage", "two stages")


def parts(**sizes):
    return [{"name": name, "unpacked_bytes": size} for name, size in sizes.items()]


RECORD = {
    "id": "M1",
    "parts": {
        "good": parts(base=0, toolchain=0, sources=0, application=1_000_000),
        "bad": parts(base=40_000_000, toolchain=58_000_000, sources=1000, application=1_000_000),
        "python_bad": parts(base=50_000_000, toolchain=20_000_000, application=20_000),
        "python_good": parts(base=50_000_000, toolchain=0, application=15_000),
    },
}


def test_each_part_has_a_line_with_what_becomes_of_it():
    """Parts that an image has none of have no line; one that is kept has its size alone."""
    bad, good = drawings(left_figure(CLAIM, RECORD))

    assert [
        ["base", "40 MB, left behind"],
        ["toolchain", "58 MB, left behind"],
        ["sources", "1 kB, left behind"],
        ["application", "1 MB"],
    ] == labels(bad)
    assert [["application", "1 MB"]] == labels(good)


def test_each_part_begins_where_the_one_before_it_ends():
    """All drawings have one scale; what is kept is filled, what is left behind is an outline."""
    bad, good = drawings(left_figure(CLAIM, RECORD))
    starts = [round(left) for left, _, _ in spans(bad)]
    application = spans(bad)[3]

    assert [0, 40, 97, 97] == starts
    assert "fill:var(--pg-good" in application[2]
    assert "stroke:var(--pg-bad" in spans(bad)[0][2]
    assert application[1] - application[0] == pytest.approx(spans(good)[0][1], abs=0.02)


def test_arms_are_compared_two_by_two():
    """A part that is only smaller in the last stage is kept in part."""
    found = made(RECORD, ["python-bad", "python-good"])
    base, toolchain, application = found[0].parts

    assert ["python_bad", "python_good"] == [one.arm for one in found]
    assert (50_000_000, 0) == (base.kept_bytes, base.left_bytes)
    assert 0 == toolchain.kept_bytes
    assert "20 kB, 5 kB left behind" == application.told
    assert 0 == found[1].left_bytes


def test_the_same_is_told_in_words_and_as_a_table():
    """To those who do not see the drawing, and to those who want the numbers."""
    html = left_figure(CLAIM, RECORD)
    bad, _ = drawings(html)

    assert "All of it: 99 MB, of which 98 MB are left behind." in bad.findtext(f"{SVG}desc")
    assert '<th scope="row">toolchain</th><td>58 MB</td><td>58 MB</td>' in html
    assert '<th scope="row">image</th><td>1 MB</td><td>0 B</td>' in html


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """Letters take the page's own colour."""
    assert colours(left_figure(CLAIM, RECORD)) <= FALLBACKS


@pytest.mark.parametrize(
    ("record", "arms", "sentence"),
    [
        ({"id": "M3"}, [], "The recorded result of M3 has no parts of bad, good."),
        (RECORD, ["bad"], "bad: what is left is told of arms two by two."),
        (
            {"id": "M1", "parts": {"bad": [{"name": "base"}], "good": parts(base=1)}},
            [],
            "The recorded result of M1 has no unpacked_bytes in the parts of bad.",
        ),
    ],
)
def test_a_record_without_parts_is_told_in_a_sentence(record, arms, sentence):
    """Most claims are not about stages."""
    with pytest.raises(ClaimsFileError) as caught:
        left_figure(CLAIM, record, arms)

    assert sentence == str(caught.value)
