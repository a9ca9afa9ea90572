"""The timeline of a release: what is drawn, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, labels, spans, words
from proving.claims import Claim
from proving.errors import ClaimsFileError
from proving.release_timeline import release_figure

CLAIM = Claim("F0", "06-some-lab", "advice", "<one>", "two", also={"naive": "two, and lost"})


def release(start, old, new, failed, *, away=(), over=1.5):
    return {
        "start": start,
        "step_seconds": 0.5,
        "old": old,
        "new": new,
        "failed": failed,
        "away": list(away),
        "over": over,
    }


RECORD = {
    "id": "F0",
    "releases": {
        "naive": release(-0.5, [4, 4, 2, 0], [0, 0, 0, 0], [0, 0, 0, 8]),
        "good": release(-0.5, [4, 4, 2, 0], [0, 0, 2, 4], [0, 0, 0, 0]),
        "bad": release(-4.0, [4] * 8 + [0] * 8, [0] * 12 + [4] * 4, [0] * 8 + [3] * 4 + [0] * 4),
    },
}
RECORD["releases"]["bad"]["away"] = [[0.25, 1.0], [1.25, 1.5]]


def columns(drawing):
    """Return the paths of the three rows of columns."""
    return [path.get("d") for path in drawing.iter(f"{SVG}path")]


def test_each_row_has_its_number():
    """Answers by release, failures, and how long nginx was away; bad and good come first."""
    bad, good, naive = drawings(release_figure(CLAIM, RECORD))

    assert [
        ["Answered by the old release", "32"],
        ["Answered by the new release", "16"],
        ["Failed", "12"],
        ["Web server away", "1.0 s"],
    ] == labels(bad)
    assert ["Web server away", "never"] == labels(good)[3]
    assert ["Failed", "8"] == labels(naive)[2]


def test_all_arms_have_the_same_seconds_and_the_same_height():
    """The picture begins two seconds before the release at least, and has room for its name."""
    bad, good, _ = drawings(release_figure(CLAIM, RECORD))

    # from -2 s to 4 s: the release begins at a third, and the bad arm lacks its first four steps
    assert [x for line in good.iter(f"{SVG}line") if (x := line.get("x1")) == "33.33%"]
    assert 4 == columns(bad)[0].count("M")
    assert "M2500 24v-12.0h833V24z" == columns(good)[0].split("z")[0] + "z"
    assert "v-24.0" in columns(drawings(release_figure(CLAIM, RECORD, ["naive"]))[0])[2]


def test_the_web_server_is_away_where_it_was():
    """One bar for each time, at its own seconds, and none where it never was."""
    bad, good, _ = drawings(release_figure(CLAIM, RECORD))

    assert [(37.5, 50.0), (54.17, 58.34)] == [(left, right) for left, right, _ in spans(bad)]
    assert [] == spans(good)


def test_a_row_without_columns_is_empty():
    """A path of nothing is well formed, and draws nothing."""
    _, good, _ = drawings(release_figure(CLAIM, RECORD))

    assert "M0 0" == columns(good)[2]


def test_the_same_is_told_in_words():
    """In the heading, to those who hear it, and in the table."""
    html = release_figure(CLAIM, RECORD, ["bad", "good"])
    bad, good = drawings(html)

    assert "<span>: 12 of 60 requests failed</span>" in html
    assert "A release under load. F0, bad: <one>" == bad.findtext(f"{SVG}title")
    assert (
        "All containers are replaced after 1.5 s. Answered by the old release: 32. "
        "Answered by the new release: 16. Failed: 12. The web server is away for 1.0 s."
        == bad.findtext(f"{SVG}desc")
    )
    assert good.findtext(f"{SVG}desc").endswith("The web server is never away.")
    assert "<td>32</td><td>16</td><td>12</td><td>1.0 s</td><td>1.5 s</td>" in html
    assert "replaced after 1.5 s" in words(bad)


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """Letters take the page's own colour."""
    assert colours(release_figure(CLAIM, RECORD)) <= FALLBACKS


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({}, "The recorded result of F0 has no release."),
        (
            {"releases": {"bad": {"start": 0, "step_seconds": 1, "old": [1], "new": [1]}}},
            "The recorded result of F0 has no failed in the release of bad.",
        ),
    ],
)
def test_a_record_without_a_release_is_told_in_a_sentence(told, sentence):
    """Most claims are not about releases."""
    with pytest.raises(ClaimsFileError) as caught:
        release_figure(CLAIM, {"id": "F0", **told})

    assert sentence == str(caught.value)
