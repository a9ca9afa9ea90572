"""Two reports side by side: what is better in the one than in the other, what is worse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..claims import Value, Verdict
from ..show import SYMBOLS
from .findings import Check, Finding, Report, by_weight
from .formats import FORMAT, as_data
from .scorecard import STYLES
from .telling import answer, facts_of, harmless

_SAME_SHARE = 0.05
"""Up to this share of the greater one, two figures are the same: runs differ by as much."""

_SAME_SECONDS = 0.5


class Outcome(StrEnum):
    """How the image compares with the other one."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "the same"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Change:
    """What a check has found on both sides; None where it was not made."""

    check: Check
    image: Finding | None
    other: Finding | None

    @property
    def outcome(self) -> Outcome:
        """Tell how the image compares with the other one.

        Verdicts decide; where neither side holds, the first of the values does, by its size.
        What could not be measured, or does not apply, on one side alone cannot be compared.
        """
        if self.image is None or self.other is None:
            return Outcome.NOT_COMPARABLE
        mine, theirs = self.image.verdict, self.other.verdict
        if Verdict.COULD_NOT_BE_MEASURED in (mine, theirs):
            return Outcome.NOT_COMPARABLE
        if mine is theirs is Verdict.DOES_NOT_HOLD:
            return _by_size(self.image, self.other)
        if mine is theirs:
            return Outcome.SAME
        if {mine, theirs} == {Verdict.HOLDS, Verdict.DOES_NOT_HOLD}:
            return Outcome.BETTER if mine is Verdict.HOLDS else Outcome.WORSE
        return Outcome.NOT_COMPARABLE


def changes(image: Report, other: Report) -> list[Change]:
    """Return what both reports say of each check, in the guide's order of the checks."""
    mine = {one.check.id: one for one in image.findings}
    theirs = {one.check.id: one for one in other.findings}
    made = {one.check.id: one.check for one in (*image.findings, *other.findings)}
    return [Change(check, mine.get(id_), theirs.get(id_)) for id_, check in made.items()]


def _by_size(image: Finding, other: Finding) -> Outcome:
    """Compare two faults by the first of their values: the less of it, the better."""
    name, mine = next(iter(image.values.items()), ("", None))
    theirs = other.values.get(name)
    if not (_is_amount(name, mine) and _is_amount(name, theirs)):
        return Outcome.SAME
    difference = float(mine) - float(theirs)  # type: ignore[arg-type]
    same = _SAME_SHARE * max(abs(float(mine)), abs(float(theirs)))  # type: ignore[arg-type]
    if name.endswith("_seconds"):
        same = max(same, _SAME_SECONDS)
    if abs(difference) <= same:
        return Outcome.SAME
    return Outcome.BETTER if difference < 0 else Outcome.WORSE


def _is_amount(name: str, value: Value | None) -> bool:
    """Tell whether a value is so much of something: its name ends with a unit or in the plural."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return name.endswith("_count") or (name.endswith("s") and not name.endswith("status"))


def comparison_data(image: Report, other: Report) -> dict[str, Any]:
    """Return a comparison as JSON has it: both reports, and what has changed."""
    image, other = harmless(image), harmless(other)
    found = changes(image, other)
    return {
        "format": FORMAT,
        "kind": "comparison",
        "report": as_data(image),
        "other": as_data(other),
        "summary": {str(outcome): _number(found, outcome) for outcome in Outcome},
        "changes": [
            {
                "check": change.check.id,
                "question": change.check.question,
                "outcome": str(change.outcome),
                "image": _side(change.image),
                "other": _side(change.other),
            }
            for change in found
        ],
    }


def _number(found: Iterable[Change], outcome: Outcome) -> int:
    return sum(change.outcome is outcome for change in found)


def _side(finding: Finding | None) -> dict[str, str] | None:
    if finding is None:
        return None
    return {"verdict": str(finding.verdict), "figure": finding.figure}


_TITLES = {
    Outcome.BETTER: "Better",
    Outcome.WORSE: "Worse",
    Outcome.SAME: "The same",
    Outcome.NOT_COMPARABLE: "Not comparable",
}
_MARKS = {Outcome.BETTER: "+", Outcome.WORSE: "-", Outcome.SAME: "=", Outcome.NOT_COMPARABLE: "?"}
_OUTCOME_STYLES = {
    Outcome.BETTER: STYLES[Verdict.HOLDS],
    Outcome.WORSE: STYLES[Verdict.DOES_NOT_HOLD],
}


def comparison(image: Report, other: Report) -> RenderableType:
    """Return two reports side by side, for a console of `rich`: their facts, then all checks."""
    image, other = harmless(image), harmless(other)
    found = changes(image, other)
    told = ", ".join(f"{_number(found, one)} {one}" for one in Outcome if _number(found, one))
    parts: list[RenderableType] = [
        Text.assemble((image.subject, "bold"), " compared with ", (other.subject, "bold")),
        Text(f"Of {len(found)} checks: {told}." if found else "No check was made."),
        Text(),
        _facts(image, other),
    ]
    for outcome in Outcome:
        chosen = [change for change in found if change.outcome is outcome]
        if chosen:
            parts += [Text(), _changes(outcome, chosen)]
    return Group(*parts)


def _side_by_side(first: str, image: str, other: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    table.add_column(Text(first), width=22, overflow="fold")
    table.add_column(Text(image, overflow="ellipsis", no_wrap=True), ratio=1, overflow="fold")
    table.add_column(Text(other, overflow="ellipsis", no_wrap=True), ratio=1, overflow="fold")
    return table


def _facts(image: Report, other: Report) -> RenderableType:
    table = _side_by_side("Fact", image.subject, other.subject)
    mine, theirs = dict(facts_of(image)), dict(facts_of(other))
    for term in dict.fromkeys((*mine, *theirs)):
        table.add_row(Text(term), Text(mine.get(term, "–")), Text(theirs.get(term, "–")))
    return table


def _changes(outcome: Outcome, chosen: list[Change]) -> RenderableType:
    style = _OUTCOME_STYLES.get(outcome, "bold")
    table = _side_by_side("Check", "This image", "The other")
    for change in _weightiest_first(chosen):
        name = Text.assemble((f"{_MARKS[outcome]} ", style), change.check.id)
        table.add_row(name, _told(change.image), _other(change))
    return Group(Text(_TITLES[outcome], style=style), Padding(table, (0, 0, 0, 1)))


def _weightiest_first(chosen: list[Change]) -> list[Change]:
    either = {change.check.id: change for change in chosen}
    ordered = by_weight(one for change in chosen if (one := change.image or change.other))
    return [either[finding.check.id] for finding in ordered]


def _other(change: Change) -> Text:
    alike = change.image and change.other and _side(change.image) == _side(change.other)
    return Text("the same", style="dim") if alike else _told(change.other)


def _told(finding: Finding | None) -> Text:
    if finding is None:
        return Text("not asked", style="dim")
    told = Text(f"{SYMBOLS[finding.verdict]} {finding.verdict}", style=STYLES[finding.verdict])
    return told.append(f"\n{answer(finding)}", style="not bold default")
