"""What all figures share: the axis, the arms that are drawn, and the parts of a drawing."""

import xml.etree.ElementTree as ET

import pytest
from proving import drawing
from proving.claims import Claim
from proving.drawing import Axis
from proving.errors import ClaimsFileError

RECORD = {"id": "L0", "things": {"other_one": 3, "good": 2, "bad": 1}}


def texts(parts):
    return [(part.get("text-anchor"), part.text) for part in parsed(parts) if part.tag == "text"]


def parsed(parts):
    return list(ET.fromstring(f"<svg>{''.join(parts)}</svg>"))  # noqa: S314 - we drew it


@pytest.mark.parametrize(
    ("start", "end", "ticks"),
    [
        (0.0, 0.2, [0, 0.05, 0.1, 0.15, 0.2]),
        (-1.0, 10.5, [0, 2, 4, 6, 8, 10]),
        (-12e6, 33e6, [-10e6, 0, 10e6, 20e6, 30e6]),
    ],
)
def test_ticks_are_round_and_few(start, end, ticks):
    """At most seven of them, so that their names fit a telephone."""
    assert ticks == Axis(start, end).ticks()


def test_what_lies_outside_of_the_axis_is_drawn_at_its_edge():
    """A drawing never leaves its frame."""
    axis = Axis(-2, 8)

    assert ["0.00%", "20.00%", "100.00%"] == [axis.at(value) for value in (-5, 0, 9)]


def test_the_name_of_a_tick_at_an_edge_stays_within_the_drawing():
    """Half of it would be cut off, and a telephone would scroll sideways."""
    told = texts(drawing.scale(Axis(0, 10), 0, 20, lambda tick: f"{tick:g}"))

    assert [("start", "0"), ("middle", "2"), ("end", "10")] == [told[0], told[1], told[-1]]


def test_a_tick_of_which_nothing_is_told_is_left_out():
    """Below the base, the waterfall of layers has no numbers."""
    told = texts(drawing.scale(Axis(-4, 4), 0, 20, lambda tick: "" if tick < 0 else f"{tick:g}"))

    assert ["0", "2", "4"] == [text for _, text in told]


def test_a_bar_without_a_length_is_still_seen():
    """What took no time and what has no bytes is a stroke."""
    stroke, box = parsed(drawing.bar(Axis(0, 10), (5, 5), 0, drawing.GOOD))

    assert ("50.00%", "50.00%", "2") == tuple(stroke.get(k) for k in ("x1", "x2", "stroke-width"))
    assert "0.00%" == box.get("width")


def test_arms_have_one_order_and_can_be_picked():
    """By the name of the record, or by that of the folder."""
    assert ["bad", "good", "other_one"] == list(drawing.of_arms(RECORD, "things", "thing"))
    assert {"good": 2, "other_one": 3} == drawing.of_arms(
        RECORD, "things", "thing", ["other-one", "good"]
    )


@pytest.mark.parametrize(
    ("key", "arms", "told"),
    [
        ("things", ["good", "worse"], "The recorded result of L0 has no thing of worse."),
        ("others", [], "The recorded result of L0 has no thing."),
        ("others", ["bad"], "The recorded result of L0 has no thing of bad."),
    ],
)
def test_what_was_not_recorded_is_told_in_a_sentence(key, arms, told):
    """Which result, and of which arm."""
    with pytest.raises(ClaimsFileError) as caught:
        drawing.of_arms(RECORD, key, "thing", arms)

    assert told == str(caught.value)


def test_what_an_arm_lacks_is_told_in_a_sentence():
    """Its name and the arm's; what has another form is told with the reason."""
    record = {
        "id": "L0",
        "things": {"good": {"size": "3"}, "bad": {"size": "?"}, "worse": {"a": 1}},
    }

    def read(arm, thing):
        return f"{arm} {int(thing['size'])}"

    def told(arm):
        with pytest.raises(ClaimsFileError) as caught:
            drawing.read_arms(record, "things", "thing", read, [arm])
        return str(caught.value)

    assert {"good": "good 3"} == drawing.read_arms(record, "things", "thing", read, ["good"])
    assert "The recorded result of L0 has no size in the thing of worse." == told("worse")
    assert told("bad").startswith(
        "The recorded result of L0 tells the thing of bad in another form than is drawn: invalid"
    )


def test_a_drawing_is_named_by_what_its_arm_is():
    """In plain text: a screen reader reads no backticks."""
    claim = Claim("L0", "03-x", "advice", "`COPY . .` first", "good", also={"other_one": "more"})

    names = [drawing.full_name(claim, arm) for arm in ("bad", "other_one", "unknown")]
    assert ["L0, bad: COPY . . first", "L0, other_one: more", "L0, unknown"] == names


def test_text_of_a_record_cannot_become_markup():
    """Instructions hold `<`, `>` and `&` all the time."""
    (line,) = parsed([drawing.label(0, "RUN a && b > <c>", "1 & 2")])

    assert ["RUN a && b > <c>", "1 & 2"] == [span.text for span in line[0]]
