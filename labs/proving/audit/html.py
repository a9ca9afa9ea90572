"""The scorecard of an audit as HTML: a card as the claims have it, in a notebook or on a page.

Notebooks strip style sheets and scripts, so these are plain tables that read well without either.
"""

from __future__ import annotations

from html import escape

from ..show import duration_text, prose_html, verdict_text
from .findings import Check, Finding, Report
from .telling import (
    answer,
    by_chapter,
    facts_of,
    harmless,
    layers_of,
    lines_of,
    link,
    shortened,
    tally,
    title_of,
)

_LEFT = ' style="text-align:left"'
_STYLE = """
:root { color-scheme: light dark; --bad: #b4480c; --good: #0b6f8c; --line: #d5dade; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff9f68; --good: #6cc7e0; --line: #3b4045; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 60em; line-height: 1.45;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
table { width: 100%; border-collapse: collapse; margin: 1em 0 2em; }
caption { text-align: left; font-size: 1.15em; font-weight: 700; padding: 0.4em 0; }
th, td { text-align: left; vertical-align: top; padding: 0.4em 0.6em 0.4em 0;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
h1 { font-size: 1.6em; overflow-wrap: anywhere; }
td, th { min-width: 6em; }
td code, tbody th { overflow-wrap: anywhere; }
tbody th { font-weight: 500; }
.pg-verdict { font-weight: 700; }
[data-verdict="holds"] .pg-verdict { color: var(--good); }
[data-verdict="does not hold"] .pg-verdict { color: var(--bad); }
dl { display: grid; grid-template-columns: minmax(8em, max-content) 1fr; gap: 0.15em 1em; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 46em) {
  table, caption, tbody, tr, th, td { display: block; border: 0; padding: 0.1em 0; }
  thead, td:empty { display: none; }
  tr { padding: 0.5em 0; border-bottom: 1px solid var(--line); }
  td::before { content: attr(data-label) ": "; }
}
"""


def card(report: Report, site: str = "") -> str:
    """Return the scorecard of a report as HTML; claims are links where a `site` is given."""
    report = harmless(report)
    title = f"<p><strong>The audit of {escape(report.subject)}</strong></p>"
    return f'<div class="pg-card pg-audit">\n{title}\n{_told(report, site)}\n</div>'


def page(report: Report, site: str = "") -> str:
    """Return the scorecard as a page of its own, which loads nothing."""
    report = harmless(report)
    title = f"The audit of {escape(report.subject)}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n{_told(report, site)}\n</main>\n</body>\n</html>\n"
    )


def _told(report: Report, site: str) -> str:
    parts = [
        _facts(report),
        f"<p>{escape(tally(report))}. It took {duration_text(report.seconds)}.</p>",
        _first(report),
        _layers(report),
        *(
            _chapter(title_of(chapter), findings, site)
            for chapter, findings in by_chapter(report.findings).items()
        ),
    ]
    return "\n".join(filter(None, parts))


def _facts(report: Report) -> str:
    items = "\n".join(
        f"<dt>{escape(term)}</dt><dd>{escape(fact)}</dd>" for term, fact in facts_of(report)
    )
    return f"<dl>\n{items}\n</dl>" if items else ""


def _first(report: Report) -> str:
    items = "\n".join(
        f"<li><strong>{escape(one.check.id)}</strong>: {prose_html(one.advice or answer(one))}</li>"
        for one in report.first()
    )
    return f"<p><strong>To fix first</strong></p>\n<ol>\n{items}\n</ol>" if items else ""


def _layers(report: Report) -> str:
    rows = "\n".join(
        f'<tr><th scope="row"{_LEFT}>{escape(layer.created_by)}</th>'
        f'<td data-label="Unpacked"{_LEFT}>{escape(layer.unpacked)}</td>'
        f'<td data-label="Transfer"{_LEFT}>{escape(layer.transfer)}</td></tr>'
        for layer in layers_of(report)
    )
    if not rows:
        return ""
    return (
        '<table class="pg-also"><caption>Its layers, the lowest first</caption>\n'
        f"{_head(('Layer', 60), ('Unpacked', 20), ('Transfer', 20))}\n"
        f"<tbody>\n{rows}\n</tbody></table>"
    )


def _chapter(title: str, findings: list[Finding], site: str) -> str:
    rows = "\n".join(_row(finding, site) for finding in findings)
    return (
        f'<table class="pg-also"><caption>Chapter {escape(title)}</caption>\n'
        f"{_head(('Check', 25), ('Verdict', 19), ('Found', 28), ('What to do', 28))}\n"
        f"<tbody>\n{rows}\n</tbody></table>"
    )


def _head(*columns: tuple[str, int]) -> str:
    """Return the head of a table: its columns, and their widths in hundredths of it."""
    cells = "".join(
        f'<th scope="col" style="text-align:left;width:{width}%">{title}</th>'
        for title, width in columns
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _row(finding: Finding, site: str) -> str:
    check = finding.check
    verdict = escape(finding.verdict)
    places = "".join(f"<br>{escape(one)}" for one in lines_of(finding))
    places += "".join(
        f'<br><code style="overflow-wrap:anywhere">{escape(one)}</code>'
        if one in finding.places
        else f"<br>{escape(one)}"
        for one in shortened(finding.places)
    )
    return (
        f'<tr data-verdict="{verdict}">'
        f'<th scope="row"{_LEFT}>{escape(check.question)}'
        f'<br><small class="pg-what" style="font-weight:normal">{escape(check.id)} · '
        f"{_claims(check, site)}</small></th>"
        f'<td data-label="Verdict"{_LEFT}><span class="pg-verdict">'
        f"{escape(verdict_text(finding.verdict))}</span></td>"
        f'<td data-label="Found"{_LEFT}>{prose_html(answer(finding))}{places}</td>'
        f'<td data-label="What to do"{_LEFT}>{prose_html(finding.advice)}</td></tr>'
    )


def _claims(check: Check, site: str) -> str:
    return " ".join(
        f'<a href="{escape(address)}">{escape(one)}</a>' if address else escape(one)
        for one, address in ((one, link(site, one)) for one in check.claims)
    )
