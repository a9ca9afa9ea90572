"""A preflight told: a table for a person, JSON by a schema of ours for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..audit.text import printable
from .catalogue import CHECKS, NAMES, Level
from .code import Decoded
from .facts import Facts
from .judge import Finding, Verdict

SCHEMA = Path(__file__).with_name("preflight.schema.json")
"""The JSON Schema (draft 2020-12) of what `json_text` returns."""

FORMAT = "proving-ground.preflight/1"
"""Names the format; its number is raised when what is there already changes its meaning."""

LONGEST = 400
"""How many characters of a line are shown; a builder's last lines are several of these."""

SYMBOLS = {Level.GREEN: "●", Level.AMBER: "◐", Level.RED: "▲", Level.NOT_CHECKED: "○"}
STYLES = {
    Level.GREEN: "green",
    Level.AMBER: "yellow",
    Level.RED: "bold red",
    Level.NOT_CHECKED: "dim",
}

SENTENCES = {
    Level.GREEN: "This machine is ready: all of it works.",
    Level.AMBER: "This machine is ready: it works, slower or with less where it says amber.",
    Level.RED: "This machine is not ready: see to what is red.",
    Level.NOT_CHECKED: "This is no pass yet: something could not be checked.",
}


def table(findings: Iterable[Finding]) -> Table:
    """Return a row for each check: its level, what it is about, what was found, and the cure."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=13, no_wrap=True)
    grid.add_column(min_width=10, max_width=16)
    grid.add_column(overflow="fold", ratio=1)
    for same in _together(findings):
        finding = same[0]
        level = Text(f"{SYMBOLS[finding.level]} {finding.level}", style=STYLES[finding.level])
        title = finding.check.title if len(same) == 1 else f"{len(same)} checks"
        told = _told(finding)
        if len(same) > 1:
            told.append(f"\n{', '.join(one.check.title for one in same)}", style="dim")
        grid.add_row(level, Text(title, style="bold"), told)
    return grid


def _together(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Return the findings, those together that were not made for the same reason."""
    rows: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        alone = "" if finding.level is Level.NOT_CHECKED else finding.check.id
        rows.setdefault((alone, finding.found), []).append(finding)
    return list(rows.values())


def _told(finding: Finding) -> Text:
    told = Text("\n".join(_lines(finding.found)))
    if finding.cure:
        told.append("\n→ ", style=STYLES[finding.level])
        told.append(finding.cure)
    return told


def _lines(text: str) -> list[str]:
    return [printable(line, LONGEST) for line in text.splitlines()]


def report(verdict: Verdict, seconds: float) -> RenderableType:
    """Return the whole preflight, for a console of `rich`."""
    heading = f"Preflight · {_machine(verdict.system, verdict.flavour)} · {seconds:.0f} s"
    return Group(
        Text(heading, style="bold"),
        Text(),
        Padding(table(verdict.findings), (0, 0, 0, 1)),
        Text(),
        Text(SENTENCES[verdict.level], style=STYLES[verdict.level]),
        Text.assemble("Code for the trainer's list: ", (verdict.code, "bold")),
    )


def _machine(system: str, flavour: str) -> str:
    return f"{NAMES[system]} · {NAMES[flavour]}"


def read(decoded: Decoded) -> tuple[Finding, ...]:
    """Return the findings that a code tells: answers in general, and the cures for its machine."""
    return tuple(
        Finding(
            check,
            decoded.outcomes[check.id],
            decoded.outcomes[check.id].says,
            decoded.outcomes[check.id].cure(decoded.system, decoded.flavour),
        )
        for check in CHECKS
    )


def decoded_report(code: str, decoded: Decoded) -> RenderableType:
    """Return what a code says, without the checks that are green, for a console of `rich`."""
    version = f" {decoded.major}" if decoded.major else ""
    verdict = Verdict(read(decoded), decoded.system, decoded.flavour, code)
    others = [finding for finding in verdict.findings if finding.level is not Level.GREEN]
    green = len(verdict.findings) - len(others)
    return Group(
        Text.assemble(
            (code, "bold"), f" · {_machine(decoded.system, decoded.flavour)}{version} · "
        ).append(f"{SYMBOLS[verdict.level]} {verdict.level}", style=STYLES[verdict.level]),
        Padding(table(others), (0, 0, 0, 1)),
        Text(f" {green} of {len(verdict.findings)} are green.", style="dim"),
        Text(),
    )


def as_data(verdict: Verdict, facts: Facts | None, seconds: float | None) -> dict[str, Any]:
    """Return a preflight as JSON has it; of one that was decoded there are no facts."""
    engine = facts.engine if facts else None
    return {
        "format": FORMAT,
        "code": verdict.code,
        "level": str(verdict.level),
        "system": verdict.system,
        "engine_kind": verdict.flavour,
        "engine": None
        if engine is None
        else {
            "name": printable(engine.name),
            "version": printable(engine.version),
            "store": printable(engine.store),
            "architecture": printable(engine.architecture),
            "memory_bytes": engine.memory_bytes,
        },
        "disk_free_bytes": facts.disk_free_bytes if facts else None,
        "seconds": None if seconds is None else round(seconds, 1),
        "checked_at": None if facts is None else datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "checks": [
            {
                "id": finding.check.id,
                "level": str(finding.level),
                "outcome": finding.outcome.id,
                "found": "\n".join(_lines(finding.found)),
                "cure": finding.cure,
            }
            for finding in verdict.findings
        ],
    }


def json_text(data: Any) -> str:
    """Return data as JSON in ASCII alone, so that it can be looked at on any terminal."""
    return json.dumps(data, indent=2) + "\n"
