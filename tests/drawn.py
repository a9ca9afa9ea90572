"""Reading the drawings of a figure, for the tests of all figures."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"
XHTML = "{http://www.w3.org/1999/xhtml}"


def drawings(html: str) -> list[ET.Element]:
    """Return the drawing of each arm; one that is not well formed is an error."""
    found = re.findall(r"<svg xmlns.*?\n</svg>(?=\n<p|\n<fig)", html, re.DOTALL)
    return [ET.fromstring(svg) for svg in found]  # noqa: S314 - we drew it


def labels(drawing: ET.Element) -> list[list[str]]:
    """Return the words of each line of text that stands above a bar."""
    return [[span.text or "" for span in line] for line in drawing.iter(f"{XHTML}div")]


def words(drawing: ET.Element) -> list[str]:
    """Return what is written beside bars and below the axis, in the order it is drawn."""
    return [text.text or "" for text in drawing.iter(f"{SVG}text")]


def spans(drawing: ET.Element) -> list[tuple[float, float, str]]:
    """Return where each box begins and ends, in percent of the width, and its style."""
    return [
        (
            float(box.get("x", "0").rstrip("%")),
            float(box.get("x", "0").rstrip("%")) + float(box.get("width", "0").rstrip("%")),
            box.get("style", ""),
        )
        for box in drawing.iter(f"{SVG}rect")
    ]


def colours(html: str) -> set[str]:
    """Return the colours that a figure falls back to where there is no style sheet."""
    return set(re.findall(r"#[0-9a-f]{6}", html))


FALLBACKS = {"#c8601e", "#1f87a8", "#808080", "#ffffff"}
