"""Where a secret was found: a row of places for each arm, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, labels, spans, words
from proving.claims import Claim
from proving.errors import ClaimsFileError
from proving.leak_matrix import leak_figure

CLAIM = Claim("R5", "08-some-lab", "advice", "by ARG", "as a secret", also={"env": "by `ENV`"})
RUN = "history: RUN |1 TOKEN=•••• make <all>"


def searched(*found):
    return {"found": [{"kind": kind, "told": told} for kind, told in found], "layers": 2}


RECORD = {
    "id": "R5",
    "arms": {
        "env": {"inspected": True},
        "good": {"inspected": False},
        "bad": {"inspected": False},
    },
    "leaks": {
        "env": searched(
            ("history", "history: ENV TOKEN=••••"), ("configuration", "config.Env: TOKEN=••••")
        ),
        "good": searched(),
        "bad": searched(("history", RUN), ("files", "layer 2: /a"), ("files", "layer 2: /b")),
    },
}
NAMES = ("history", "config", "layers", "inspect")


def filled(drawing):
    """Return which of the boxes are full."""
    return ["fill:none" not in style for _, _, style in spans(drawing)]


def test_each_place_has_a_box_and_a_mark():
    """A full box where the secret was found, an outline where it was not; bad and good first."""
    bad, good, env = drawings(leak_figure(CLAIM, RECORD))

    assert [True, False, True, False] == filled(bad)
    assert [False, False, False, False] == filled(good)
    assert [True, True, False, True] == filled(env)
    assert [f"○ {name}" for name in NAMES] == words(good)
    assert ["● history", "○ config", "● layers", "○ inspect"] == words(bad)


def test_the_columns_are_the_same_for_all_arms():
    """They stand below one another, within the drawing."""
    edges = [
        [span[:2] for span in spans(drawing)] for drawing in drawings(leak_figure(CLAIM, RECORD))
    ]

    assert edges[0] == edges[1] == edges[2]
    assert [0, 25, 50, 75] == [left for left, _ in edges[0]]
    assert edges[0][-1][1] <= 100


def test_every_place_is_named():
    """In the drawing, to those who hear it, and in the table; the text is escaped."""
    html = leak_figure(CLAIM, RECORD, ["bad"])
    (bad,) = drawings(html)

    assert [[RUN], ["layer 2: /a"], ["layer 2: /b"]] == labels(bad)
    assert f"Found in history and layers. {RUN}. layer 2: /a." in bad.findtext(f"{SVG}desc")
    assert "<span>: found in history and layers</span>" in html
    assert "<span>: found in history, config and inspect</span>" in leak_figure(CLAIM, RECORD)
    assert "make &lt;all&gt;<br>layer 2: /a<br>layer 2: /b</td>" in html
    assert "<td>yes</td><td>no</td><td>yes</td><td>no</td>" in html


def test_an_arm_without_a_finding_says_so():
    """In its heading, to those who hear it, and in the table."""
    html = leak_figure(CLAIM, RECORD, ["good"])
    (good,) = drawings(html)

    assert "<span>: found nowhere</span>" in html
    assert "Found nowhere." == good.findtext(f"{SVG}desc")
    assert "<td>no</td><td>no</td><td>no</td><td>no</td><td>nowhere in the image</td>" in html


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """Letters take the page's own colour."""
    assert colours(leak_figure(CLAIM, RECORD)) <= FALLBACKS


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"id": "R5"}, "has no search for a secret."),
        ({**RECORD, "leaks": {"bad": {"layers": 2}}}, "does not tell where bad was searched"),
        ({**RECORD, "arms": {}}, "does not tell where"),
    ],
)
def test_a_record_without_a_search_is_told_in_a_sentence(record, sentence):
    """Most claims are not about secrets."""
    with pytest.raises(ClaimsFileError, match=sentence):
        leak_figure(CLAIM, record)
