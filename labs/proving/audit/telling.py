"""What all ways to tell a report share: its words made harmless, its chapters, its facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from .. import claims
from ..claims import Verdict
from ..paths import ROOT
from ..show import setting_text
from .findings import Check, Finding, Report
from .text import printable

SENTENCE = 2000
"""How many characters of a sentence are told, which quotes at most a few names of an image."""

SHOWN = 5
"""How many places of a finding, or parts of a fact, are shown to a person; data has them all."""

ORDER = (
    Verdict.DOES_NOT_HOLD,
    Verdict.COULD_NOT_BE_MEASURED,
    Verdict.HOLDS,
    Verdict.NOT_APPLICABLE,
)
"""The verdicts, the one to look at first in front."""


def harmless(report: Report) -> Report:
    """Return a report whose every text, names of values and facts included, is printable."""
    return replace(
        report,
        subject=printable(report.subject),
        findings=tuple(_harmless_finding(one) for one in report.findings),
        facts=_harmless(report.facts),
    )


def _harmless_finding(finding: Finding) -> Finding:
    return replace(
        finding,
        figure=printable(finding.figure, SENTENCE),
        advice=printable(finding.advice, SENTENCE),
        values=_harmless(finding.values),
        places=tuple(map(printable, finding.places)),
        lines=tuple(replace(one, file=printable(one.file)) for one in finding.lines),
    )


def _harmless(value: Any) -> Any:
    """Return a value as JSON has it, with every text in it made printable."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {printable(str(name)): _harmless(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(one) for one in value]
    if isinstance(value, set | frozenset):
        return [_harmless(one) for one in sorted(value, key=str)]
    return printable(value if isinstance(value, bytes) else str(value))


def chapter_of(check: Check) -> str:
    """Return the chapter of a check's first claim, such as `04-layer-size`; empty for none."""
    known = claims.load()
    return next((known[one].chapter for one in check.claims if one in known), "")


@cache
def title_of(chapter: str) -> str:
    """Return what a chapter is called, by its page: `4 · Layer size`."""
    page = ROOT / "chapters" / f"{chapter}.md"
    if not page.is_file():
        return "Elsewhere"
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def page_of(claim_id: str) -> str:
    """Return where the site tells of a claim: its chapter's page and the card's anchor.

    The answer is empty for a claim that the guide does not have.
    """
    claim = claims.load().get(claim_id)
    return f"chapters/{claim.chapter}.html#claim-{claim.id}" if claim else ""


def link(site: str, claim_id: str) -> str:
    """Return the address of a claim on a site; empty where either is not known."""
    page = page_of(claim_id)
    return f"{site.rstrip('/')}/{page}" if site and page else ""


def answer(finding: Finding) -> str:
    """Return the figure of a finding as a sentence; empty where there is none."""
    figure = finding.figure.strip()
    return figure if not figure or figure.endswith((".", "!", "?", "…")) else f"{figure}."


def message(finding: Finding) -> str:
    """Return what was asked, what was found and what to do, in one line."""
    return " ".join(filter(None, (finding.check.question, answer(finding), finding.advice)))


def lines_of(finding: Finding) -> list[str]:
    """Return the lines that a finding is about, by file: `Dockerfile, lines 3 and 7`."""
    numbers: dict[str, set[int]] = {}
    for line in finding.lines:
        numbers.setdefault(line.file, set()).add(line.number)
    return [f"{file}, {_lines(sorted(found))}" for file, found in numbers.items()]


def _lines(numbers: list[int]) -> str:
    *others, last = (str(number) for number in numbers)
    return f"lines {', '.join(others)} and {last}" if others else f"line {last}"


def by_chapter(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Return findings by chapter, in the guide's order; what to look at first is first in each."""
    chapters: dict[str, list[Finding]] = {}
    for finding in findings:
        chapters.setdefault(chapter_of(finding.check), []).append(finding)
    return {
        chapter: sorted(chapters[chapter], key=lambda one: ORDER.index(one.verdict))
        for chapter in sorted(chapters, key=lambda slug: slug or "~")
    }


_TALLIED = {
    Verdict.DOES_NOT_HOLD: "do not hold",
    Verdict.HOLDS: "hold",
    Verdict.NOT_APPLICABLE: "not applicable",
    Verdict.COULD_NOT_BE_MEASURED: "could not be measured",
}


def tally(report: Report) -> str:
    """Return how many checks came to which verdict, in words."""
    counts = {verdict: len(report.of(verdict)) for verdict in ORDER}
    told = [
        f"{count} {verdict if count == 1 else _TALLIED[verdict]}"
        for verdict, count in counts.items()
        if count
    ]
    return f"Of {len(report.findings)} checks: {', '.join(told)}" if told else "No check was made"


def shortened(parts: Sequence[str], shown: int = SHOWN) -> list[str]:
    """Return the first of many parts, and how many there are beyond."""
    if len(parts) <= shown + 1:
        return list(parts)
    return [*parts[:shown], f"and {len(parts) - shown} more"]


_FOR_PROGRAMS = frozenset(
    (
        "archive_bytes",
        "config_digest",
        "engine_architecture",
        "environment_names",
        "exposes",
        "image_architecture",
        "layout",
        "names",
        "operating_system",
        "transfer_codec",
        "transfer_is_exact",
    )
)
"""Facts that data has and a person need not read."""


def facts_of(report: Report) -> list[tuple[str, str]]:
    """Return a report's facts for people: each one's name, and its value with the unit.

    What is none, nothing or empty is left out.
    """
    told = (
        (_term(name), _fact(name, value))
        for name, value in report.facts.items()
        if value and name not in _FOR_PROGRAMS
    )
    return [(term, fact) for term, fact in told if fact]


@dataclass(frozen=True)
class Layer:
    """A layer for people: what it was made by, and its bytes."""

    created_by: str
    unpacked: str
    transfer: str


def layers_of(report: Report) -> list[Layer]:
    """Return the layers that a report's facts tell of, the lowest first."""
    listed = report.facts.get("layers")
    layers = listed if isinstance(listed, list | tuple) else ()
    return [
        Layer(
            created_by=str(layer.get("created_by") or "not told"),
            unpacked=_fact("unpacked_bytes", layer.get("unpacked_bytes")) or "–",
            transfer=_fact("transfer_bytes", layer.get("transfer_bytes")) or "–",
        )
        for layer in layers
        if isinstance(layer, Mapping)
    ]


def _term(name: str) -> str:
    words = re.sub("_(seconds|bytes)$", "", name).replace("_", " ").replace("-", " ")
    return words[:1].upper() + words[1:]


def _fact(name: str, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        parts = [f"{_term(key)} {_fact(key, one)}" for key, one in value.items()]
        return ", ".join(shortened(parts))
    if isinstance(value, list | tuple):
        if value and all(isinstance(one, Mapping) for one in value):
            return str(len(value))
        return ", ".join(shortened([told for one in value if (told := _fact(name, one))]))
    if isinstance(value, float) and not name.endswith(("_seconds", "_bytes")):
        return f"{value:.4g}"
    return setting_text(name, value)
