"""Bases side by side: what is drawn, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, labels, spans
from proving.base_axes import base_figure
from proving.claims import Claim
from proving.errors import ClaimsFileError

CLAIM = Claim("B3", "02-some-lab", "advice", "much", "little", also={"scratch": "nothing"})


def base(transfer_bytes, packages, executables, *, has_shell):
    return {
        "transfer_bytes": transfer_bytes,
        "packages": packages,
        "executables": executables,
        "has_shell": has_shell,
    }


RECORD = {
    "id": "B3",
    "arms": {
        "scratch": base(400_000, 0, 1, has_shell=False),
        "good": base(4_000_000, 15, 20, has_shell=True),
        "bad": base(40_000_000, 75, 800, has_shell=True),
    },
}


def test_each_axis_has_a_line_and_its_value():
    """Bytes, packages and executables are bars; bad and good come first."""
    bad, good, scratch = drawings(base_figure(CLAIM, RECORD))

    assert [
        ["Bytes to download", "40 MB"],
        ["Packages", "75"],
        ["Executable files", "800"],
    ] == labels(bad)
    assert ["Packages", "15"] == labels(good)[1]
    assert ["Executable files", "1"] == labels(scratch)[2]


def test_each_axis_has_one_scale_for_all_arms():
    """The most that was found is as long as the drawing is wide."""
    bad, good, scratch = drawings(base_figure(CLAIM, RECORD))

    assert [100, 100, 100] == [right for _, right, _ in spans(bad)]
    assert [10, 20, 2.5] == [right for _, right, _ in spans(good)]
    assert 0 == spans(scratch)[1][1]


def test_the_shell_is_told_in_words():
    """In the heading, to those who hear it, and in the table."""
    html = base_figure(CLAIM, RECORD, ["scratch"])
    (scratch,) = drawings(html)

    assert "<span>: no shell starts</span>" in html
    assert "No shell starts." in scratch.findtext(f"{SVG}desc")
    assert "<td>400 kB</td><td>0</td><td>1</td><td>no</td>" in html


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """Letters take the page's own colour."""
    assert colours(base_figure(CLAIM, RECORD)) <= FALLBACKS


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        ({}, "The recorded result of B3 has no figures."),
        (
            {"bad": {"packages": 1, "executables": 1, "has_shell": True}},
            "The recorded result of B3 has no transfer_bytes of bad.",
        ),
    ],
)
def test_a_record_without_the_axes_is_told_in_a_sentence(arms, sentence):
    """Most claims are not about bases."""
    with pytest.raises(ClaimsFileError) as caught:
        base_figure(CLAIM, {"id": "B3", "arms": arms})

    assert sentence == str(caught.value)
