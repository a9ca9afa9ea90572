"""The card of a claim, the same in a notebook, in a chapter and on a terminal.

Notebooks strip style sheets and scripts, so the HTML is a plain table that reads well without
either; the site's style sheet only makes it look better.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from .claims import Claim, Figure, Value, Verdict, humanize
from .recorded import Record

SYMBOLS = {
    Verdict.HOLDS: "●",
    Verdict.DOES_NOT_HOLD: "▲",
    Verdict.NOT_APPLICABLE: "–",
    Verdict.COULD_NOT_BE_MEASURED: "○",
}
NOT_PROVED = "not proved yet"
ARMS = {"bad": "✗", "good": "✓"}
"""The two arms that every claim has, each with the mark that tells it without colour."""

MISSING = "–"
_METERED = ("s", "B", "count")
_SIGNAL_STATUS = 128


def figure_text(value: Value | None, unit: str) -> str:
    """Return a figure for people: `10.2 s`, `3.4 MB`, `137 (killed by SIGKILL)`.

    An exit status above 128 is 128 and the number of the signal that ended the process, as the
    engine reports it.
    """
    if value is None:
        return MISSING
    text = humanize(value, unit)
    if unit != "status" or not isinstance(value, int) or value <= _SIGNAL_STATUS:
        return text
    try:
        name = signal.Signals(value - _SIGNAL_STATUS).name
    except ValueError:
        return text
    return f"{text} ({'killed by' if name == 'SIGKILL' else 'ended by'} {name})"


def setting_text(name: str, value: Value) -> str:
    """Return a setting of a lab, such as its grace period, for people; the unit is in its name."""
    if not _is_number(value):
        return str(value)
    if name.endswith("_seconds"):
        return f"{value:g} s"
    return humanize(value, "B") if name.endswith("_bytes") else str(value)


def verdict_text(verdict: str) -> str:
    """Return a verdict in words, with the symbol that stands for it everywhere."""
    try:
        return f"{SYMBOLS[Verdict(verdict)]} {verdict}"
    except ValueError:
        return f"○ {verdict}"


def date_text(stamp: str | None) -> str:
    """Return the day of an ISO 8601 time stamp as `24 November 2026`, in UTC."""
    if not stamp:
        return "an unknown day"
    day = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    return f"{day.day} {day:%B %Y}"


def duration_text(seconds: float | None) -> str:
    """Return how long something took, as `45 s` or `2 min 5 s`."""
    if seconds is None:
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def where_text(environment: Mapping[str, Any] | None) -> str:
    """Return on what something was measured, in one line."""
    told = environment or {}
    engine = f"{told.get('engine', '')} {told.get('engine_version', '')}".strip()
    cores = told.get("cores")
    cluster = told.get("cluster") or {}
    parts = [
        cluster and f"Kubernetes {cluster['kubernetes']}",
        engine,
        told.get("store"),
        told.get("architecture"),
        cores and _counted(cores, "core"),
    ]
    return ", ".join(str(part) for part in parts if part) or "an unknown engine"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def prose_html(text: str) -> str:
    """Return a line of the claims file as HTML: escaped, with `code` between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def card_html(claim: Claim, record: Record, recorded: Record | None = None) -> str:
    """Return the card of a claim as HTML.

    `recorded` is the committed result of the same claim; where it is given, its figures stand
    beside those of `record`, which then are the reader's own.
    """
    parts = [
        _figures_table(claim, record, recorded),
        _also_table(claim, record),
        f'<p class="pg-reason">{escape(_reason(record))}</p>' if _reason(record) else "",
        _checks_html(record),
        _where_html("Measured", record),
        _where_html("Recorded", recorded) if recorded else "",
    ]
    return (
        f'<div class="pg-card" data-claim="{escape(claim.id)}" '
        f'data-verdict="{escape(str(record.get("verdict", "")))}">\n'
        + "\n".join(part for part in parts if part)
        + "\n</div>"
    )


def not_proved_html(claim: Claim) -> str:
    """Return the box that stands where a claim has no recorded result."""
    return (
        f'<div class="pg-card" data-claim="{escape(claim.id)}" data-verdict="{NOT_PROVED}">\n'
        f"<p><strong>{escape(claim.id)} · {prose_html(claim.advice)}</strong> "
        f'<span class="pg-verdict">○ {NOT_PROVED}</span></p>\n'
        f"<p>No lab has measured this claim yet, so there is no figure to show.</p>\n"
        "</div>"
    )


def _reason(record: Record) -> str:
    return "" if record.get("verdict") == Verdict.HOLDS else str(record.get("reason", ""))


def figures_of(claim: Claim, record: Record) -> dict[str, Figure]:
    """Return the claim's figures, and after them what was measured without being declared."""
    measured = {name for arm in record.get("arms", {}).values() for name in arm}
    extra = {name: Figure(name.replace("_", " "), "text") for name in sorted(measured)}
    return {**claim.figures, **{k: v for k, v in extra.items() if k not in claim.figures}}


def _figures_table(claim: Claim, record: Record, recorded: Record | None) -> str:
    verdict = str(record.get("verdict", ""))
    caption = (
        f"<caption><strong>{escape(claim.id)} · {prose_html(claim.advice)}</strong> "
        f'<span class="pg-verdict">{escape(verdict_text(verdict))}</span></caption>'
    )
    columns = [(arm, record) for arm in ARMS]
    if recorded:
        columns += [(arm, recorded) for arm in ARMS]
    rows = "\n".join(
        _figure_row(name, figure, columns) for name, figure in figures_of(claim, record).items()
    )
    return f"<table>{caption}\n{_head(claim, bool(recorded))}\n<tbody>\n{rows}\n</tbody></table>"


def figures_html(claim: Claim, record: Record, names: Sequence[str]) -> str:
    """Return a table with some figures of a claim, by their names, and no more of its card."""
    figures = figures_of(claim, record)
    columns = [(arm, record) for arm in ARMS]
    rows = "\n".join(_figure_row(name, figures[name], columns) for name in names)
    return f"<table>\n{_head(claim, False)}\n<tbody>\n{rows}\n</tbody></table>"


def _head(claim: Claim, compared: bool) -> str:
    described = {"bad": claim.bad, "good": claim.good}
    arms = "".join(
        f'<th scope="col" class="pg-{arm}">{mark} {arm}'
        f'<br><span class="pg-what">{prose_html(described[arm])}</span></th>'
        for arm, mark in ARMS.items()
    )
    if not compared:
        return f'<thead><tr><th scope="col" style="text-align:left">Figure</th>{arms}</tr></thead>'
    again = "".join(
        f'<th scope="col" class="pg-{arm}">{mark} {arm}</th>' for arm, mark in ARMS.items()
    )
    return (
        '<thead><tr><td></td><th scope="colgroup" colspan="2">Mine</th>'
        '<th scope="colgroup" colspan="2">Recorded</th></tr>\n'
        f'<tr><th scope="col" style="text-align:left">Figure</th>{arms}{again}</tr></thead>'
    )


def _figure_row(name: str, figure: Figure, columns: Sequence[tuple[str, Record]]) -> str:
    values = [_value(record, arm, name, figure) for arm, record in columns]
    top = max((v for v in values if _is_number(v)), default=0) if figure.unit in _METERED else 0
    cells = "".join(
        f'<td class="pg-{arm}">{_figure_cell(value, figure.unit, top)}</td>'
        for (arm, _), value in zip(columns, values, strict=True)
    )
    label = prose_html(figure.label)
    return f'<tr><th scope="row" style="text-align:left">{label}</th>{cells}</tr>'


def _value(record: Record, arm: str, name: str, figure: Figure) -> Any:
    """Return what was measured of an arm, where a card tells it of that arm."""
    return record.get("arms", {}).get(arm, {}).get(name) if figure.is_told_of(arm) else None


def _figure_cell(value: Value | None, unit: str, top: float) -> str:
    told = escape(figure_text(value, unit))
    if not _is_number(value) or top <= 0:
        return told
    # The number stands beside the bar, so that the bar is left out of what is read aloud.
    return f'{told} <meter aria-hidden="true" min="0" max="{top:g}" value="{value:g}"></meter>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _also_arms(claim: Claim, record: Record) -> dict[str, Mapping[str, Value]]:
    """Return what was measured of further arms, in the order in which the claim names them."""
    arms = {arm: told for arm, told in record.get("arms", {}).items() if arm not in ARMS}
    return {arm: arms[arm] for arm in dict.fromkeys([*claim.also, *arms]) if arm in arms}


_SEEN_AT_ONCE = 12
"""How many figures stand side by side without a place of their own to be scrolled in."""


def _also_table(claim: Claim, record: Record) -> str:
    arms = _also_arms(claim, record)
    if not arms:
        return ""
    figures = {
        name: figure
        for name, figure in figures_of(claim, record).items()
        if any(name in told for told in arms.values())
    }
    head = "".join(f'<th scope="col">{prose_html(one.label)}</th>' for one in figures.values())
    rows = "\n".join(
        f'<tr><th scope="row" style="text-align:left">{_arm_html(claim, arm)}</th>'
        + "".join(
            f'<td data-label="{escape(figure.label)}">'
            f"{escape(figure_text(_value(record, arm, name, figure), figure.unit))}</td>"
            for name, figure in figures.items()
        )
        + "</tr>"
        for arm in arms
    )
    table = (
        '<table class="pg-also"><caption>Also measured</caption>\n'
        f'<thead><tr><th scope="col" style="text-align:left">Variant</th>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table>"
    )
    if len(figures) <= _SEEN_AT_ONCE:
        return table
    return (
        '<div class="pg-wide" style="overflow-x:auto" tabindex="0" role="region" '
        f'aria-label="Also measured">\n{table}\n</div>'
    )


def _arm_html(claim: Claim, arm: str) -> str:
    what = claim.also.get(arm)
    name = escape(arm.replace("-", " ").replace("_", " "))
    return (
        f'{name}<br><small class="pg-what" style="font-weight:normal">{prose_html(what)}</small>'
        if what
        else name
    )


def _checks_html(record: Record) -> str:
    checks = record.get("checks", [])
    if not checks:
        return ""
    items = "\n".join(f"<li>{escape(check_text(check))}</li>" for check in checks)
    failed = sum(not check["holds"] for check in checks)
    told = f"{failed} of {len(checks)} do not" if failed else f"all {len(checks)} do"
    state = " open" if failed else ""
    summary = f"<summary>What must hold: {told}</summary>"
    return f"<details{state}>{summary}\n<ul>\n{items}\n</ul></details>"


def check_text(check: Mapping[str, Any]) -> str:
    """Return what had to hold and what was found, with a mark that tells whether it does."""
    mark = "●" if check["holds"] else "▲"
    state = "" if check["holds"] else " (does not hold)"
    expected, found = check["expected"], check["found"]
    return f"{mark} {check['sentence']}: expected {expected}, found {found}{state}"


def _where_html(word: str, record: Record) -> str:
    told = record.get("environment", {})
    summary = f"{word} on {date_text(record.get('measured_at'))}, {where_text(told)}"
    items = "\n".join(
        f"<dt>{escape(term)}</dt><dd>{escape(fact)}</dd>" for term, fact in _facts(record)
    )
    return f"<details><summary>{escape(summary)}</summary>\n<dl>\n{items}\n</dl></details>"


def _facts(record: Record) -> Iterable[tuple[str, str]]:
    """What decided the figures, as terms and their facts, in the order that people ask."""
    told = record.get("environment", {})
    named = {
        "Engine": f"{told.get('engine', '')} {told.get('engine_version', '')}".strip(),
        "Engine API": told.get("api_version"),
        "Builder": told.get("builder"),
        "Image store": told.get("store"),
        "Architecture": told.get("architecture"),
        "Cores": told.get("cores"),
        "Operating system": told.get("operating_system"),
        "Control groups": told.get("cgroup") and f"version {told['cgroup']}",
        "Transfer bytes": told.get("transfer"),
        "Measured at": record.get("measured_at"),
        "Took": record.get("seconds") is not None and duration_text(record["seconds"]),
    }
    for name, setting in record.get("settings", {}).items():
        term = re.sub("_(seconds|bytes)$", "", name).replace("_", " ").capitalize()
        named[term] = setting_text(name, setting)
    if cluster := told.get("cluster"):
        named["Cluster"] = f"Kubernetes {cluster['kubernetes']}, {cluster['found']}"
    for role, base in told.get("bases", {}).items():
        identity = ", ".join(str(base[key]) for key in ("reference", "identity") if base.get(key))
        road = f"{base['road']}, " if base.get("road") else ""
        named[f"Base {role} ({base.get('public', 'no public image')})"] = f"{road}{identity}"
    return [(term, str(fact)) for term, fact in named.items() if fact]


def card_text(claim: Claim, record: Record, recorded: Record | None = None) -> str:
    """Return the card of a claim as plain text for a terminal; see `card_html`."""
    columns = [(arm, arm, record) for arm in record.get("arms", {})]
    if recorded:
        columns += [(f"{arm}, recorded", arm, recorded) for arm in ARMS]
    rows = [["", *(title for title, _, _ in columns)]]
    for name, figure in figures_of(claim, record).items():
        values = (_value(one, arm, name, figure) for _, arm, one in columns)
        rows.append([figure.label, *(figure_text(value, figure.unit) for value in values)])
    lines = [
        f"{claim.id} · {claim.advice}: {verdict_text(str(record.get('verdict', '')))}",
        *([_reason(record)] if _reason(record) else []),
        "",
        *_aligned(rows),
        "",
        *(check_text(check) for check in record.get("checks", [])),
        f"Measured on {date_text(record.get('measured_at'))}, "
        f"{where_text(record.get('environment'))}",
    ]
    return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
