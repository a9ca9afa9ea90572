"""The timeline of a build: what is drawn, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, labels, spans, words
from proving.build_timeline import Step, build_figure, builds
from proving.claims import Claim
from proving.errors import ClaimsFileError

CLAIM = Claim("L6", "03-some-lab", "advice", "`COPY . .` first", "the manifest first")
DIAMOND = "M0 -6L6 0L0 6L-6 0Z"


def step(name, began, seconds=None):
    """A step that ran for some seconds, or one that the cache answered."""
    return {
        "name": name,
        "cached": seconds is None,
        "began_seconds": began,
        "seconds": seconds or 0.0,
    }


BAD = {
    "seconds": 9.4,
    "steps": [
        step("[1/3] FROM docker.io/proving-ground/python:3@sha256:0123456789abcdef", 0.1),
        step("[2/3] COPY . .", 0.3, 0.1),
        step("[3/3] RUN pip install -r a && b", 0.4, 8.0),
    ],
}
GOOD = {"seconds": 0.9, "steps": [step("[1/2] RUN pip install", 0.1), step("[2/2] COPY . .", 0.5)]}
RECORD = {"id": "L6", "builds": {"good": GOOD, "bad": BAD}}


def marks(drawing):
    return [path.get("d") for path in drawing.iter(f"{SVG}path")]


def test_each_step_has_a_lane_with_a_bar_or_a_diamond():
    """Told by shape and by word: what ran has its seconds, what was cached says so."""
    bad, good = drawings(build_figure(CLAIM, RECORD))

    assert [
        ["FROM proving-ground/python:3"],
        ["COPY . ."],
        ["RUN pip install -r a && b"],
        ["the whole build"],
    ] == labels(bad)
    assert ["cached", "0.10 s", "8.0 s", "9.4 s"] == words(bad)[-4:]
    assert (2, [DIAMOND]) == (len(spans(bad)), marks(bad))
    assert (0, [DIAMOND, DIAMOND]) == (len(spans(good)), marks(good))


def test_both_arms_share_one_axis():
    """The good build is short, and looks it."""
    scales = [
        [(text.get("x"), text.text) for text in one.iter(f"{SVG}text") if text.get("text-anchor")]
        for one in drawings(build_figure(CLAIM, RECORD))
    ]

    assert ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"] == [told for _, told in scales[0]]
    assert scales[0] == scales[1]


def test_a_bar_lasts_as_long_as_its_step():
    """8 s of an axis that ends a fifth after the longest build."""
    bad, _ = drawings(build_figure(CLAIM, RECORD))

    left, right, _ = spans(bad)[1]
    assert pytest.approx(100 * 8.0 / (1.22 * 9.4), abs=0.02) == right - left


def test_steps_stand_in_the_order_of_the_dockerfile():
    """BuildKit tells cached steps as it comes to them, and stages side by side."""
    told = [
        step("[stage-1 1/2] FROM base", 0.1),
        step("[build 3/3] RUN make", 0.3, 1.0),
        step("[build 2/3] COPY . .", 0.2, 0.1),
        step("exporting to image", 2.0, 0.1),
        step("[stage-1 2/2] COPY --from=build /app /app", 1.3, 0.1),
    ]
    (build,) = builds({"id": "L6", "builds": {"bad": {"seconds": 2.2, "steps": told}}})

    assert [
        "stage-1: FROM base",
        "stage-1: COPY --from=build /app /app",
        "build: COPY . .",
        "build: RUN make",
        "exporting to image",
    ] == [step.short_name for step in build.steps]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("[ 2/10] RUN a", "RUN a"),
        ("[1/2] FROM docker.io/library/debian:13", "FROM debian:13"),
        ("[1/2] FROM registry:5000/a@sha256:00ff", "FROM registry:5000/a"),
        ("[2/2] RUN pull docker.io/library/a", "RUN pull docker.io/library/a"),
    ],
)
def test_a_short_name_is_the_instruction(name, short):
    """Without its number, and a base without what BuildKit adds to its name."""
    assert short == Step(name, False, 0.0, 0.0).short_name


def test_each_drawing_is_named_and_described():
    """Whoever does not see it hears the same numbers."""
    bad, _ = drawings(build_figure(CLAIM, RECORD))

    assert "img" == bad.get("role")
    assert "Timeline of a build. L6, bad: COPY . . first" == bad.findtext(f"{SVG}title")
    assert (
        "The build takes 9.4 s: 2 steps ran, 1 cached. FROM proving-ground/python:3: cached. "
        "COPY . .: ran for 0.10 s from 0.30 s. "
        "RUN pip install -r a && b: ran for 8.0 s from 0.40 s." == bad.findtext(f"{SVG}desc")
    )


def test_every_number_is_in_a_table_too():
    """A group of rows for each arm, and a row for each step."""
    html = build_figure(CLAIM, RECORD)

    assert "<summary>The timeline in numbers</summary>" in html
    assert '<th scope="rowgroup" colspan="3">✗ bad: built in 9.4 s</th>' in html
    assert (
        '<th scope="row">RUN pip install -r a &amp;&amp; b</th><td>0.40 s</td><td>8.0 s</td>'
        in html
    )
    assert '<th scope="row">RUN pip install</th><td>0.10 s</td><td>cached</td>' in html


def test_some_arms_can_be_asked_for():
    """A variant has a colour that is neither good nor bad."""
    html = build_figure(CLAIM, {"id": "L6", "builds": {**RECORD["builds"], "x": BAD}}, ["x"])

    assert 1 == len(drawings(html))
    assert "--pg-other" in html
    assert "--pg-bad" not in html


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """And the bars of the bad arm are dotted, for those who cannot tell them."""
    html = build_figure(CLAIM, RECORD)
    bad, good = drawings(html)

    dotted = [
        [line for line in one.iter(f"{SVG}line") if line.get("stroke-dasharray") == "2 6"]
        for one in (bad, good)
    ]
    assert colours(html) <= FALLBACKS
    assert [2, 0] == [len(lines) for lines in dotted]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({}, "The recorded result of L6 has no build."),
        ({"builds": {}}, "The recorded result of L6 has no build."),
        ({"builds": {"good": GOOD}}, "The recorded result of L6 has no build of bad."),
        (
            {"builds": {"bad": {"seconds": 1.0, "steps": [{"name": "a", "cached": False}]}}},
            "The recorded result of L6 has no began_seconds in the build of bad.",
        ),
        (
            {"builds": {"bad": {"steps": []}}},
            "The recorded result of L6 has no seconds in the build of bad.",
        ),
    ],
)
def test_a_record_without_a_build_is_told_in_a_sentence(told, sentence):
    """Most claims are not about a build."""
    arms = ["bad"] if told.get("builds") else []
    with pytest.raises(ClaimsFileError) as caught:
        build_figure(CLAIM, {"id": "L6", **told}, arms)

    assert sentence == str(caught.value)
