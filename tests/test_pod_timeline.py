"""The timeline of pods under load: what is drawn, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, labels, words
from proving.claims import Claim
from proving.errors import ClaimsFileError
from proving.pod_timeline import KEY, pod_figure

CLAIM = Claim("H0", "10-some-lab", "advice", "<one>", "two")


def trial(samples, failed=(), *, moments=((0.0, "roll-out"),), start=-2.0, end=8.0, sent=400):
    return {
        "start": start,
        "end": end,
        "sent": sent,
        "moments": [list(moment) for moment in moments],
        "samples": samples,
        "failed": [{"cause": cause, "pod": pod, "at": at} for cause, pod, at in failed],
    }


RECORD = {
    "id": "H0",
    KEY: {
        "good": trial([[-3.0, 2, 2, 0], [1.0, 3, 2, 0], [4.0, 3, 3, 0], [6.0, 2, 2, 0]]),
        "bad": trial(
            [[-1.0, 2, 2, 0], [0.5, 2, 1, 1], [3.0, 2, 2, 3]],
            [
                ("refused", "", [0.1, 0.2, 0.6]),
                ("status 503", "a", [1.0]),
                ("status 503", "b", [2.3]),
            ],
        ),
    },
}


def paths(drawing):
    """Return the areas: pods, endpoints, failures."""
    return [path.get("d") for path in drawing.iter(f"{SVG}path") if "v" in (path.get("d") or "")]


def test_each_row_has_its_number():
    """Ranges of pods and endpoints, and counts of restarts and failures."""
    bad, good = drawings(pod_figure(CLAIM, RECORD))

    assert [
        ["Pods", "2"],
        ["Endpoints", "1 to 2"],
        ["Restarts", "3"],
        ["Failed requests", "5"],
    ] == labels(bad)
    assert [["Pods", "2 to 3"], ["Endpoints", "2 to 3"], ["Restarts", "0"]] == labels(good)[:3]


def test_all_arms_have_one_axis_and_one_height():
    """From -2 s to 8 s; the tallest area is of three pods, the tallest column of two requests."""
    bad, good = drawings(pod_figure(CLAIM, RECORD))

    assert (
        "M0 24v-16.0H3000V24zM3000 24v-24.0H6000V24zM6000 24v-24.0H8000V24z"
        == (paths(good)[0].rpartition("M8000")[0])
    )
    assert "M1000 24v-16.0H2500V24z" == paths(bad)[0].partition("zM")[0] + "z"
    assert "M2000 24v-24.0h500V24zM2500 24v-12.0h500V24z" == paths(bad)[2].rpartition("M3000")[0]


def test_the_picture_begins_shortly_before_second_0():
    """However long the load went on before; the numbers are those of all of it."""
    told = trial([[-20.0, 2, 2, 0]], [("refused", "", [-15.0, 1.0])], start=-20.0)
    (bad,) = drawings(pod_figure(CLAIM, {"id": "H0", KEY: {"bad": told}}))

    # from -2 s to 8 s
    assert [x for line in bad.iter(f"{SVG}line") if (x := line.get("x1")) == "20.00%"]
    assert ["Failed requests", "2"] == labels(bad)[3]
    assert 1 == paths(bad)[2].count("M")


def test_a_restart_is_a_triangle_where_it_was_seen():
    """Two in one sample are two."""
    bad, good = drawings(pod_figure(CLAIM, RECORD))

    def marks(drawing):
        return [s.get("x") for s in drawing.iter(f"{SVG}svg") if s.get("overflow") == "visible"][1:]

    assert ["25.00%", "50.00%", "50.00%"] == marks(bad)
    assert [] == marks(good)


def test_pods_that_go_take_their_restarts_with_them():
    """That is no restart, and no negative one."""
    record = {"id": "H0", KEY: {"bad": trial([[-2.0, 2, 2, 4], [1.0, 1, 1, 0]])}}

    assert ["Restarts", "0"] == labels(drawings(pod_figure(CLAIM, record))[0])[2]


def test_a_name_without_room_is_left_out_of_the_picture_and_not_of_its_words():
    """Roll-outs may follow close upon one another."""
    moments = [(0.0, "first"), (0.5, "second"), (6.0, "third")]
    record = {"id": "H0", KEY: {"bad": trial([[-2.0, 1, 1, 0]], moments=moments)}}
    (bad,) = drawings(pod_figure(CLAIM, record))

    assert {"first", "third"} == {"first", "second", "third"} & set(words(bad))
    assert "0.5 s: second." in bad.findtext(f"{SVG}desc")


def test_the_same_is_told_in_words():
    """In the heading, to those who hear it, and in the table."""
    html = pod_figure(CLAIM, RECORD)
    bad, good = drawings(html)

    assert "<span>: 5 of 400 requests failed</span>" in html
    assert "Pods under load. H0, bad: <one>" == bad.findtext(f"{SVG}title")
    assert (
        "0.0 s: roll-out. Pods: 2. Endpoints: 1 to 2. Restarts: 3, after 0.5 s, 3.0 s, 3.0 s. "
        "Failed requests: 5 of 400, between 0.1 s and 2.3 s. refused: 3. status 503: 2."
        == bad.findtext(f"{SVG}desc")
    )
    assert good.findtext(f"{SVG}desc").endswith("Restarts: 0. Failed requests: 0 of 400.")
    assert (
        "<td>2</td><td>1 to 2</td><td>0.5 s, 3.0 s, 3.0 s</td><td>5 of 400</td>"
        "<td>refused: 3, status 503: 2</td><td>0.1 s and 2.3 s</td>" in html
    )
    assert "<td>none</td><td>0 of 400</td><td>none</td><td>never</td>" in html


def test_the_caption_says_what_second_0_is():
    """A moment that all arms have there, or the beginning of all."""
    start = {"id": "H0", KEY: {"bad": trial([[0.0, 1, 1, 0]], moments=[(3.0, "first answer")])}}

    assert "seconds after the moment “roll-out”" in pod_figure(CLAIM, RECORD)
    assert "seconds after the manifest was applied" in pod_figure(CLAIM, start)


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """Letters take the page's own colour."""
    assert colours(pod_figure(CLAIM, RECORD)) <= FALLBACKS


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({}, "The recorded result of H0 has no timeline of pods."),
        (
            {KEY: {"bad": {"start": 0, "end": 1, "moments": [], "samples": [], "failed": []}}},
            "The recorded result of H0 has no sent in the timeline of pods of bad.",
        ),
    ],
)
def test_a_record_without_a_timeline_is_told_in_a_sentence(told, sentence):
    """Most claims are not about pods."""
    with pytest.raises(ClaimsFileError) as caught:
        pod_figure(CLAIM, {"id": "H0", **told})

    assert sentence == str(caught.value)
