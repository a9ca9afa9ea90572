"""The waterfall of layers: what is drawn, and the same in words."""

import pytest
from drawn import FALLBACKS, SVG, colours, drawings, labels, spans, words
from proving.claims import Claim
from proving.errors import ClaimsFileError
from proving.layer_waterfall import layer_figure, stacks

CLAIM = Claim("S1", "04-some-lab", "advice", "later", "at once", also={"small_base": "another"})
MB = 1_000_000


def layer(created_by, unpacked, wasted=0, *, transfer=0, from_base=False):
    return {
        "created_by": created_by,
        "unpacked_bytes": unpacked,
        "transfer_bytes": transfer,
        "wasted_bytes": wasted,
        "from_base": from_base,
    }


BASE = [
    layer("debootstrap", 75 * MB, 2 * MB, transfer=29 * MB, from_base=True),
    layer("", 5 * MB, transfer=1 * MB, from_base=True),
]
BAD = [
    *BASE,
    layer("RUN apt-get update", 20 * MB, 19 * MB, transfer=9 * MB),
    layer("RUN apt-get install\t \\\n a && b", 10 * MB, transfer=4 * MB),
    layer("RUN rm -rf /var/lib/apt/lists/*", 0, transfer=154),
]
GOOD = [*BASE, layer("RUN all at once", 12 * MB, transfer=4 * MB)]
RECORD = {"id": "S1", "layers": {"good": GOOD, "bad": BAD}}


def strokes(drawing):
    """How often the mark of a cut is drawn."""
    return len(list(drawing.iter(f"{SVG}path")))


def test_each_layer_has_a_line_and_the_base_is_one():
    """Named by its instruction, on one line, with its bytes."""
    bad, good = drawings(layer_figure(CLAIM, RECORD))

    assert [
        ["base (cut, not to scale)", "80 MB, 2 MB wasted"],
        ["RUN apt-get update", "20 MB, 19 MB wasted"],
        ["RUN apt-get install \\ a && b", "10 MB"],
        ["RUN rm -rf /var/lib/apt/lists/*", "0 B"],
    ] == labels(bad)
    assert ["RUN all at once", "12 MB"] == labels(good)[-1]


def test_each_bar_starts_where_the_one_before_it_ended():
    """First the bytes kept, then the bytes wasted."""
    bad, _ = drawings(layer_figure(CLAIM, RECORD))

    boxes = spans(bad)
    ends, starts = [box[1] for box in boxes[:-1]], [box[0] for box in boxes[1:]]
    assert pytest.approx(ends, abs=0.02) == starts
    assert ["other", "bad", "good", "bad", "good", "good"] == [
        style.partition("--pg-")[2].partition(",")[0] for _, _, style in boxes
    ]


def test_wasted_bytes_are_striped():
    """Kept and wasted are told without colour too."""
    bad, good = drawings(layer_figure(CLAIM, RECORD))

    stripes = [
        [line for line in one.iter(f"{SVG}line") if line.get("stroke-dasharray") == "2 3"]
        for one in (bad, good)
    ]
    assert [2, 1] == [len(lines) for lines in stripes]


def test_both_arms_share_one_axis_that_begins_at_the_end_of_the_base():
    """A byte has the same length in each."""
    bad, good = drawings(layer_figure(CLAIM, RECORD))

    update, install, at_once = spans(bad)[3], spans(bad)[4], spans(good)[2]
    assert ["0", "+10 MB", "+20 MB", "+30 MB"] == words(bad) == words(good)
    assert pytest.approx((install[1] - install[0]) * 1.2, abs=0.05) == at_once[1] - at_once[0]
    assert pytest.approx((update[1] - update[0]) * 12 / 19, abs=0.05) == at_once[1] - at_once[0]


def test_a_base_that_is_long_is_cut_and_says_so():
    """By a mark in its bar, by words beside it, in the caption and in the legend."""
    html = layer_figure(CLAIM, RECORD)
    bad, _ = drawings(html)

    left, right, _ = spans(bad)[0]
    assert 1 == strokes(bad)
    assert right - left < 15
    assert "The bar of the base is cut short, and is not to scale." in html
    assert " cut short</li>" in html


def test_what_is_wasted_of_a_base_is_to_scale_unless_it_is_cut_too():
    """A child that removes a great part of its parent cannot make it smaller."""
    some, much = layer("", 80 * MB, 4 * MB, from_base=True), layer("", 80 * MB, 50 * MB)
    arms = {"bad": [some, layer("RUN a", 40 * MB)], "good": [{**much, "from_base": True}]}
    bad, good = drawings(layer_figure(CLAIM, {"id": "S1", "layers": arms}))

    (_, wasted, added), (_, cut) = spans(bad), spans(good)
    assert pytest.approx((added[1] - added[0]) / 10, abs=0.05) == wasted[1] - wasted[0]
    assert [1, 2] == [strokes(bad), strokes(good)]
    assert cut[1] - cut[0] < 15


def test_a_small_base_is_drawn_to_scale():
    """Then nothing is said of a cut."""
    html = layer_figure(
        CLAIM, {"id": "S1", "layers": {"bad": [layer("", MB, from_base=True), layer("a", 9 * MB)]}}
    )
    (bad,) = drawings(html)

    base, added = spans(bad)
    assert pytest.approx((added[1] - added[0]) / 9, abs=0.02) == base[1] - base[0]
    assert 0 == strokes(bad)
    assert "cut" not in html


def test_an_image_without_a_base_counts_from_nothing():
    """One that is made from scratch."""
    html = layer_figure(CLAIM, {"id": "S1", "layers": {"bad": [layer("COPY a /", 10 * MB)]}})
    (bad,) = drawings(html)

    assert ["0", "2 MB", "4 MB", "6 MB", "8 MB", "10 MB"] == words(bad)
    assert [["COPY a /", "10 MB"]] == labels(bad)
    assert "base" not in html


@pytest.mark.parametrize("added", [[], [layer("RUN rm -rf /usr", 300)]])
def test_a_few_bytes_on_a_base_are_not_drawn_as_if_they_were_many(added):
    """The axis shows at least a tenth of the base."""
    arms = {"bad": [layer("", 80 * MB, from_base=True), *added]}
    (bad,) = drawings(layer_figure(CLAIM, {"id": "S1", "layers": arms}))

    assert ["0", "+2 MB", "+4 MB", "+6 MB", "+8 MB"] == words(bad)


def test_each_drawing_is_named_and_described():
    """Whoever does not see it hears the same numbers."""
    _, good = drawings(layer_figure(CLAIM, RECORD))

    assert "img" == good.get("role")
    assert "Layers of an image. S1, good: at once" == good.findtext(f"{SVG}title")
    assert (
        "All of it: 92 MB, 2 MB wasted. base: 80 MB, 2 MB wasted. RUN all at once: 12 MB."
        == good.findtext(f"{SVG}desc")
    )


def test_every_number_is_in_a_table_too():
    """With the transfer bytes, which are not drawn, and the sum of all layers."""
    html = layer_figure(CLAIM, RECORD)

    assert "<summary>The layers in numbers</summary>" in html
    assert '<th scope="row">base</th><td>80 MB</td><td>30 MB</td><td>2 MB</td>' in html
    assert (
        '<th scope="row">RUN apt-get install \\ a &amp;&amp; b</th>'
        "<td>10 MB</td><td>4 MB</td><td>0 B</td>" in html
    )
    assert '<th scope="row">image</th><td>110 MB</td><td>43 MB</td><td>21 MB</td>' in html


def test_variants_can_be_asked_for():
    """By the name of the record, or by that of the folder."""
    record = {"id": "S1", "layers": {**RECORD["layers"], "small_base": GOOD}}
    html = layer_figure(CLAIM, record, ["small-base", "good"])

    titles = [drawing.findtext(f"{SVG}title") for drawing in drawings(html)]
    assert ["S1, good: at once", "S1, small_base: another"] == [
        t.partition(". ")[2] for t in titles
    ]
    assert "· small base<span>: 92 MB, 2 MB wasted</span>" in html


def test_a_layer_of_which_no_instruction_is_known_says_so():
    """An image may have lost its history."""
    (stack,) = stacks({"id": "S1", "layers": {"bad": [layer("", 1)]}})

    assert "an instruction that is not recorded" == stack.added[0].name


def test_colours_are_those_of_the_page_with_one_to_fall_back_on():
    """Letters take the page's own colour."""
    html = layer_figure(CLAIM, RECORD)

    assert colours(html) <= FALLBACKS
    assert 'fill="currentColor"' in html


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({}, "The recorded result of S1 has no layers."),
        ({"layers": {"good": GOOD}}, "The recorded result of S1 has no layers of bad."),
        (
            {"layers": {"bad": [{"created_by": "a", "unpacked_bytes": 1}]}},
            "The recorded result of S1 has no transfer_bytes in the layers of bad.",
        ),
    ],
)
def test_a_record_without_layers_is_told_in_a_sentence(told, sentence):
    """Most claims are not about layers."""
    arms = ["bad"] if told else []
    with pytest.raises(ClaimsFileError) as caught:
        layer_figure(CLAIM, {"id": "S1", **told}, arms)

    assert sentence == str(caught.value)
