"""The timeline of a stop: what is drawn, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings
from proving.claims import Claim
from proving.errors import ClaimsFileError
from proving.stop_timeline import stop_figure, timelines

CLAIM = Claim("P0", "09-some-lab", "advice", "the <bad> arm", "the good arm")


def request(began, ended, outcome):
    return {"began": began, "ended": ended, "outcome": outcome}


def record(**arms):
    return {"id": "P0", "timelines": arms}


STOP = record(
    good={"term_at": 0.0, "kill_at": None, "died_at": 0.5, "grace_seconds": 10},
    bad={
        "term_at": 0.0,
        "kill_at": 10.0,
        "died_at": 10.1,
        "grace_seconds": 10,
        "requests": [
            request(-0.5, 0.2, "answered"),
            request(-0.4, 0.3, "cut"),
            request(0.5, 0.5, "refused"),
            request(0.6, 0.6, "refused"),
        ],
    },
)


def test_bad_comes_before_good_whatever_the_record_says():
    """Arms have one order everywhere."""
    assert ["bad", "good"] == [line.arm for line in timelines(STOP)]


def test_some_arms_can_be_asked_for():
    """A variant that is killed after the grace period would squeeze the others."""
    assert ["good"] == [line.arm for line in timelines(STOP, ["good"])]
    with pytest.raises(ClaimsFileError, match="no timeline of worse"):
        timelines(STOP, ["good", "worse"])


def test_each_drawing_is_well_formed_named_and_described():
    """Whoever does not see it hears the same numbers."""
    bad, good = drawings(stop_figure(CLAIM, STOP))

    assert "img" == bad.get("role")
    assert "Timeline of a stop. P0, bad: the <bad> arm" == bad.findtext(f"{SVG}title")
    assert (
        "TERM is sent at 0 seconds, with a grace period of 10 seconds. KILL is sent after 10.0 s. "
        "The process ends after 10.1 s. Requests: 1 answered, 1 cut, 2 refused."
        == bad.findtext(f"{SVG}desc")
    )
    assert "KILL is not sent. The process ends after 0.50 s." in good.findtext(f"{SVG}desc")


def test_both_drawings_share_one_axis():
    """TERM stands at the same place in both, so that lengths compare."""
    places = [
        [text.get("x") for text in drawing.iter(f"{SVG}text") if text.text == "TERM"]
        for drawing in drawings(stop_figure(CLAIM, STOP))
    ]

    assert places[0] == places[1]


def test_every_number_is_in_a_table_too():
    """The text alternative has a row for each arm."""
    html = stop_figure(CLAIM, STOP)

    assert '<th scope="col">refused</th>' in html
    assert "<td>10 s</td><td>10.0 s</td><td>10.1 s</td><td>1</td><td>1</td><td>2</td>" in html
    assert "<td>10 s</td><td>not sent</td><td>0.50 s</td><td>0</td><td>0</td><td>0</td>" in html


def test_outcomes_differ_in_shape_and_not_in_colour_alone():
    """Answered is solid, cut is dashed and ends in a stop, refused is a stop alone."""
    bad, _ = drawings(stop_figure(CLAIM, STOP))
    paths = [(path.get("stroke-dasharray"), path.get("d")) for path in bad.iter(f"{SVG}path")]

    assert [None, "4 2", None, None] == [dashes for dashes, _ in paths]
    assert ["h" in d for _, d in paths] == [True, True, False, False]
    assert 2 == paths[3][1].count("M")


def test_without_requests_nothing_is_said_about_them():
    """P1 stops a worker that serves nobody."""
    html = stop_figure(CLAIM, record(bad={"died_at": 1.0, "grace_seconds": 10}))

    assert "refused" not in html
    assert "pg-legend" not in html


def test_requests_that_overlap_lie_on_lanes_of_their_own():
    """Two at once take two lanes, and the third has the first again."""
    requests = [request(-3.0, -2.0, "answered"), request(-0.5, 0.1, "answered")]
    requests += [request(-0.4, 0.2, "answered"), request(0.15, 0.3, "answered")]
    (svg,) = drawings(stop_figure(CLAIM, record(bad={"died_at": 0.3, "requests": requests})))

    heights = {
        line.split()[1].split("h")[0]
        for path in svg.iter(f"{SVG}path")
        for line in path.get("d").split("M")[1:]
    }
    assert 2 == len(heights)


def test_a_kill_at_once_keeps_its_name_apart_from_term():
    """Without a grace period both happen at the same moment."""
    (svg,) = drawings(stop_figure(CLAIM, record(bad={"kill_at": 0.0, "died_at": 0.1})))

    anchors = {text.text: text.get("text-anchor") for text in svg.iter(f"{SVG}text")}
    assert ("end", "start") == (anchors["TERM"], anchors["KILL"])


def test_a_process_that_was_not_seen_to_end_is_drawn_to_the_edge():
    """The engine may have died first."""
    html = stop_figure(CLAIM, record(bad={"died_at": None, "grace_seconds": 10}))

    assert "The process is not seen to end." in html
    assert 'width="100.00%"' in html


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """A notebook has none of the site's variables, and letters take the page's own colour."""
    html = stop_figure(CLAIM, STOP)

    assert colours(html) <= FALLBACKS
    assert 'fill="currentColor"' in html
    assert "<bad>" not in html


@pytest.mark.parametrize("empty", [{}, {"timelines": {}}, {"timelines": None}])
def test_a_record_without_a_timeline_is_told_in_a_sentence(empty):
    """Most claims are not about time."""
    with pytest.raises(ClaimsFileError, match="has no timeline"):
        stop_figure(CLAIM, {"id": "P0", **empty})
