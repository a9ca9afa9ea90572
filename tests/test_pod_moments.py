"""Pods at several moments: a frame for each, a box for each container, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, labels, spans, words
from proving.claims import Claim
from proving.errors import ClaimsFileError
from proving.pod_moments import moments_figure

CLAIM = Claim("K5", "07-some-lab", "advice", "a bare pod", "a Deployment")


def moment(after, *pods):
    return {"after": after, "pods": [list(map(list, pod)) for pod in pods]}


WEB = ("web", True, 0)
RECORD = {
    "id": "K5",
    "moments": {
        "good": [
            moment("The <app> has ended", [WEB, ("app", True, 1)]),
            moment("Two are wanted", [WEB, ("app", True, 1)], [WEB, ("app", True, 0)]),
        ],
        "bad": [
            moment("The <app> has ended", [WEB, ("app", False, 0)]),
            moment("A pod was deleted"),
        ],
    },
}
FRAME = "fill:none;stroke:currentColor;stroke-opacity:0.4"


def boxes(drawing):
    """Return of each container's box whether it is full."""
    return ["fill:none" not in style for _, _, style in spans(drawing) if style != FRAME]


def test_each_pod_has_a_frame_and_each_container_a_box():
    """A full one for a container that runs, an outline for one that has ended; bad first."""
    bad, good = drawings(moments_figure(CLAIM, RECORD))

    assert [True, False] == boxes(bad)
    assert [True] * 6 == boxes(good)
    assert [1, 3] == [sum(style == FRAME for *_, style in spans(one)) for one in (bad, good)]
    assert ["● web", "○ app"] == words(bad)
    assert ["● web", "↻ app", "● web", "↻ app", "● web", "● app"] == words(good)


def test_pods_stand_beside_one_another_in_columns_that_all_arms_share():
    """Nothing reaches beyond the drawing or over another pod."""
    bad, good = drawings(moments_figure(CLAIM, RECORD))
    frames = [span[:2] for one in (bad, good) for span in spans(one) if span[2] == FRAME]

    assert [(0, 48), (0, 48), (0, 48), (50, 98)] == frames
    assert all(left < right <= 98 for left, right, _ in spans(good))


def test_each_moment_says_what_has_happened_and_how_many_pods_are_there():
    """Above its pods; the heading has the last one's number."""
    html = moments_figure(CLAIM, RECORD)
    bad, good = drawings(html)

    assert [["The <app> has ended", "1 pod"], ["A pod was deleted", "no pods"]] == labels(bad)
    assert ["Two are wanted", "2 pods"] == labels(good)[1]
    assert "<span>: no pods</span>" in html
    assert "<span>: 2 pods</span>" in html


def test_the_same_is_told_in_words():
    """To those who hear it, and in the table; names are escaped."""
    html = moments_figure(CLAIM, RECORD)
    bad, good = drawings(html)

    told = "The <app> has ended: 1 pod: web runs, app has ended. A pod was deleted: no pods."
    assert told == bad.findtext(f"{SVG}desc")
    assert "app runs, restarted once; web runs, app runs." in good.findtext(f"{SVG}desc")
    assert '<th scope="row">The &lt;app&gt; has ended</th><td>1</td>' in html
    assert "<td>0</td><td>none</td>" in html


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """Letters take the page's own colour."""
    assert colours(moments_figure(CLAIM, RECORD)) <= FALLBACKS


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"id": "K5"}, "has no pods at several moments."),
        ({"id": "K5", "moments": {"bad": [{"pods": []}]}}, "has no after in the pods .* of bad"),
        ({"id": "K5", "moments": {"bad": [{"after": "", "pods": [["web"]]}]}}, "in another form"),
    ],
)
def test_a_record_without_pods_is_told_in_a_sentence(record, sentence):
    """Most claims are not about pods."""
    with pytest.raises(ClaimsFileError, match=sentence):
        moments_figure(CLAIM, record)
