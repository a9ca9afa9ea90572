"""The scorecard of an audit on a terminal, legible at 80 columns, with colour and without."""

from __future__ import annotations

from typing import IO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..claims import Verdict
from ..show import duration_text, verdict_text
from .findings import Finding, Report
from .telling import (
    answer,
    by_chapter,
    facts_of,
    harmless,
    layers_of,
    lines_of,
    shortened,
    tally,
    title_of,
)

# These shades of the colours that stand for bad and good everywhere are told from black and white.
STYLES = {
    Verdict.DOES_NOT_HOLD: "bold color(166)",
    Verdict.HOLDS: "color(31)",
    Verdict.COULD_NOT_BE_MEASURED: "bold",
    Verdict.NOT_APPLICABLE: "dim",
}
LAYERS = 12
"""How many layers are shown."""

VERDICT_WIDTH = max(len(verdict_text(verdict)) for verdict in Verdict)


def console(stream: IO[str] | None = None, *, width: int | None = None) -> Console:
    """Return a console that takes texts literally: neither markup nor emoji codes mean anything.

    It has no colour where the stream is no terminal, or NO_COLOR is set.
    """
    return Console(
        file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False
    )


def scorecard(report: Report) -> RenderableType:
    """Return the scorecard of a report, for a console of `rich`.

    It has the facts, how many checks came to what, what to fix first, and all checks by chapter.
    """
    report = harmless(report)
    parts: list[RenderableType] = [
        Text.assemble("The audit of ", (report.subject, "bold"), overflow="fold"),
        Text(f"Took {duration_text(report.seconds)}.", style="dim"),
        *_facts(report),
        Text(),
        Text(f"{tally(report)}."),
        *_first(report),
        *_layers(report),
    ]
    for chapter, findings in by_chapter(report.findings).items():
        parts += [Text(), Text(f"Chapter {title_of(chapter)}", style="bold"), _checks(findings)]
    return Group(*parts)


def _facts(report: Report) -> list[RenderableType]:
    facts = facts_of(report)
    if not facts:
        return []
    grid = Table.grid(padding=(0, 2))
    grid.add_column(max_width=28, overflow="fold")
    grid.add_column(overflow="fold", ratio=1)
    for term, fact in facts:
        grid.add_row(Text(term), Text(fact))
    return [Text(), grid]


def _first(report: Report) -> list[RenderableType]:
    first = report.first()
    if not first:
        return []
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right")
    grid.add_column(overflow="fold")
    for number, finding in enumerate(first, 1):
        told = Text.assemble(
            (finding.check.id, STYLES[Verdict.DOES_NOT_HOLD]), f": {_why(finding)}"
        )
        grid.add_row(f"{number}.", told)
    return [Text(), Text("To fix first", style="bold"), Padding(grid, (0, 0, 0, 1))]


def _layers(report: Report) -> list[RenderableType]:
    layers = layers_of(report)
    if not layers:
        return []
    grid = Table.grid(padding=(0, 2), expand=True)
    for _ in ("unpacked", "transfer"):
        grid.add_column(justify="right", no_wrap=True, min_width=8)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_row(*(Text(title, style="dim") for title in ("unpacked", "transfer", "layer")))
    for layer in layers[:LAYERS]:
        grid.add_row(Text(layer.unpacked), Text(layer.transfer), Text(layer.created_by))
    if len(layers) > LAYERS:
        grid.add_row("", "", Text(f"and {len(layers) - LAYERS} more, above them", style="dim"))
    return [Text(), Text("Its layers, the lowest first", style="bold"), grid]


def _why(finding: Finding) -> str:
    return finding.advice or answer(finding)


def _checks(findings: list[Finding]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=VERDICT_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for finding in findings:
        style = STYLES[finding.verdict]
        grid.add_row(Text(verdict_text(finding.verdict), style=style), _check(finding))
    return Padding(grid, (0, 0, 0, 1))


def _check(finding: Finding) -> Text:
    """Return a check in a few lines: name and claims, the question, its answer, and what to do."""
    told = Text.assemble((finding.check.id, "bold"))
    told.append(f"  {' '.join(finding.check.claims)}\n", style="dim")
    told.append(f"{finding.check.question}\n", style="dim")
    told.append(answer(finding))
    if finding.verdict is not Verdict.HOLDS:
        for place in (*lines_of(finding), *shortened(finding.places)):
            told.append(f"\n  {place}")
    if finding.advice:
        told.append("\n→ ", style=STYLES[finding.verdict])
        told.append(finding.advice)
    return told
