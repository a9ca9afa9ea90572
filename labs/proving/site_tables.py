"""The tables of the site: every claim, every lab, and a claim on every engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes

from . import recorded, show
from .audit.catalogue import CHECKS
from .claims import Arms, Claim
from .errors import ClaimsFileError
from .site_results import ProvingDirective, Results, TableDirective

if TYPE_CHECKING:
    from docutils.nodes import Node


class ClaimsTableDirective(TableDirective):
    """Every claim by chapter, with its verdict and an anchor that stays."""

    def show(self, results: Results) -> list[Node]:
        """Return a section for each chapter."""
        self.env.get_domain("proving").data["table"] = self.env.docname
        slugs = dict.fromkeys(claim.chapter for claim in results.claims.values())
        return [self._chapter(results, slug) for slug in slugs]

    def _chapter(self, results: Results, slug: str) -> nodes.section:
        chapter = Path(self.env.srcdir) / "chapters" / f"{slug}.md"
        number, _, name = slug.partition("-")
        title = f"{int(number)} · {name.replace('-', ' ').capitalize()}"
        heading = nodes.title("", title)
        section = nodes.section("", heading, ids=[slug], names=[slug])
        if chapter.is_file():
            link = link_to("doc", f"/chapters/{slug}", "Read the chapter", domain="std")
            section += nodes.paragraph("", "", link)
        rows = [
            row(
                [
                    [nodes.paragraph("", "", self._name(results, claim))],
                    [nodes.paragraph("", "", *prose(claim.advice)), *_arms_paragraphs(claim)],
                    [nodes.paragraph("", show.verdict_text(results.verdict(claim)))],
                ],
                ids=[claim.id],
                classes=["pg-" + results.verdict(claim).replace(" ", "-")],
            )
            for claim in results.claims.values()
            if claim.chapter == slug
        ]
        section += table(("Claim", "Advice", "Verdict"), (10, 65, 25), rows, "pg-claims")
        return section

    @staticmethod
    def _name(results: Results, claim: Claim) -> Node:
        if claim.id not in results.records:
            return nodes.Text(claim.id)
        return link_to("claim", claim.id, claim.id)


def _arms_paragraphs(claim: Claim) -> Iterator[nodes.paragraph]:
    for (arm, mark), what in zip(show.ARMS.items(), (claim.bad, claim.good), strict=True):
        name = nodes.inline("", f"{mark} {arm}", classes=[f"pg-{arm}"])
        yield nodes.paragraph("", "", name, nodes.Text(" "), *prose(what), classes=["pg-what"])


class ChecklistDirective(TableDirective):
    """The guide as a checklist: each claim, its verdict, and the checks of the audit about it."""

    def show(self, results: Results) -> list[Node]:
        """Return a table for each chapter, under a heading that leads to it."""
        slugs = dict.fromkeys(claim.chapter for claim in results.claims.values())
        return [node for slug in slugs for node in self._chapter(results, slug)]

    def _chapter(self, results: Results, slug: str) -> list[Node]:
        rows = [
            row(
                [
                    [nodes.paragraph("", "", link_to("claim", claim.id, claim.id))],
                    [nodes.paragraph("", "", *prose(claim.advice))],
                    [nodes.paragraph("", show.verdict_text(results.verdict(claim)))],
                    _measured_by(claim),
                ],
                classes=["pg-" + results.verdict(claim).replace(" ", "-")],
            )
            for claim in results.claims.values()
            if claim.chapter == slug
        ]
        number, _, name = slug.partition("-")
        title = f"{int(number)} · {name.replace('-', ' ').capitalize()}"
        link = link_to("doc", f"/chapters/{slug}", title, domain="std")
        heads = ("Claim", "Advice", "Here", "On yours, by the check of the audit")
        return [
            nodes.paragraph("", "", link, classes=["pg-checklist-chapter"]),
            table(heads, (9, 38, 17, 36), rows, "pg-checklist"),
        ]


def _measured_by(claim: Claim) -> list[Node]:
    """Return the checks of the audit that are about a claim, or why there is none."""
    found = [check for check in CHECKS.values() if claim.id in check.claims]
    if not found:
        why = "only in a cluster" if claim.needs_cluster else "by its lab alone, from both arms"
        return [nodes.paragraph("", f"Not by the audit: {why}.", classes=["pg-what"])]
    return [
        nodes.paragraph("", "", nodes.literal("", check.id), nodes.Text(f" {check.question}"))
        for check in found
    ]


class StatusTableDirective(TableDirective):
    """Each lab: recorded when, on what, how long it took, and whether that still stands."""

    def show(self, results: Results) -> list[Node]:
        """Return one table, or a sentence where no lab exists."""
        if not results.labs:
            return [nodes.paragraph("", "No lab has been recorded yet.")]
        rows = [row(self._cells(results, lab)) for lab in results.labs.values()]
        heads = ("Lab", "Recorded", "On", "Took", "Claims", "State")
        return [table(heads, (22, 14, 26, 10, 12, 16), rows, "pg-status")]

    @staticmethod
    def _cells(results: Results, lab: recorded.RecordedLab) -> list[list[Node]]:
        holding = sum(record["verdict"] == "holds" for record in lab.results.values())
        name = link_to("doc", f"/labs/{lab.slug}", lab.title, domain="std")
        if lab.recorded_at is None:
            state = "○ never recorded"
        else:
            doubt = results.doubt_about(lab)
            state = f"▲ stale: {doubt}" if doubt else "● as recorded"
        told = (
            show.date_text(lab.recorded_at) if lab.recorded_at else show.MISSING,
            show.where_text(lab.environment) if lab.environment else show.MISSING,
            show.duration_text(lab.seconds),
            f"{holding} of {len(lab.results)} hold",
            state,
        )
        cells: list[list[Node]] = [[nodes.paragraph("", text)] for text in told]
        return [[nodes.paragraph("", "", name)], *cells]


class EnginesDirective(ProvingDirective):
    """A claim on every engine that it was recorded on.

    Told are the first two figures of its bad and good arms, or those that `:figures:` names.
    """

    option_spec: ClassVar = {"figures": directives.unchanged_required}

    def show(self, results: Results, claim: Claim) -> list[Node]:
        """Return a table, or a sentence where no other engine has been recorded."""
        self.env.note_dependency(str(results.engines_file))
        if not results.engines:
            return [nodes.paragraph("", "No other engine has been recorded yet.")]
        told = _figures_told(claim, self.options.get("figures", "").split())
        here: Mapping[str, Any] = results.records.get(claim.id, {})
        rows = [
            _engine_row(
                here.get("environment", {}),
                results.verdict(claim),
                _figures(claim, here.get("arms", {}), told),
                here.get("measured_at"),
                results.doubt(claim),
            )
        ]
        for engine in results.engines.values():
            chapter = engine.chapter_of(claim.id)
            there = chapter.claims[claim.id] if chapter else None
            rows.append(
                _engine_row(
                    chapter.engine if chapter else engine.engine,
                    there.verdict if there else show.NOT_PROVED,
                    _figures(claim, there.arms if there else {}, told),
                    chapter.recorded_at if chapter else None,
                    results.doubt_there(claim, engine) if chapter else "",
                )
            )
        heads = ("Engine", "Image store", "Verdict", "Figures", "Recorded")
        return [table(heads, (20, 20, 14, 30, 16), rows, "pg-status", "pg-engines")]


def _figures_told(claim: Claim, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the figures to be told of each arm, by the arm's name."""
    if not names:
        return {arm: list(claim.figures)[:2] for arm in show.ARMS}
    told: dict[str, list[str]] = {}
    for name in names:
        arm, _, figure = name.partition(".")
        if arm not in {*show.ARMS, *claim.also} or figure not in claim.figures:
            raise ClaimsFileError(f"{claim.id}.{name} is no figure of an arm.")
        told.setdefault(arm, []).append(figure)
    return told


def _figures(claim: Claim, arms: Arms, told: Mapping[str, Sequence[str]]) -> list[Node]:
    """Return a paragraph for each arm, its figures with their labels."""
    paragraphs: list[Node] = []
    for arm, names in told.items():
        mark = f"{show.ARMS[arm]} " if arm in show.ARMS else ""
        name = nodes.inline("", mark + arm.replace("_", " "), classes=[f"pg-{arm}"])
        figures = [(claim.figures[figure], arms.get(arm, {}).get(figure)) for figure in names]
        text = "; ".join(
            f"{figure.label}: {show.figure_text(value, figure.unit)}" for figure, value in figures
        )
        paragraphs.append(nodes.paragraph("", "", name, nodes.Text(f" {text}")))
    return paragraphs


def _engine_row(
    engine: Mapping[str, Any], verdict: str, figures: list[Node], at: str | None, doubt: str
) -> nodes.row:
    name = f"{engine.get('engine', '')} {engine.get('engine_version', '')}".strip()
    texts = (name, engine.get("store"), show.verdict_text(verdict))
    cells: list[list[Node]] = [[nodes.paragraph("", str(text or show.MISSING))] for text in texts]
    when: list[Node] = [nodes.paragraph("", show.date_text(at) if at else show.MISSING)]
    if doubt:
        when.append(nodes.paragraph("", f"▲ Stale result. {doubt}", classes=["pg-stale"]))
    return row([*cells, figures, when], classes=["pg-" + verdict.replace(" ", "-")])


def link_to(
    kind: str, target: str, text: str, *, domain: str = "proving", classes: Sequence[str] = ()
) -> addnodes.pending_xref:
    """Return a link that is resolved once every page was read; what it misses is a warning."""
    return addnodes.pending_xref(
        "",
        nodes.inline("", text, classes=list(classes)),
        refdomain=domain,
        reftype=kind,
        reftarget=target,
        refexplicit=True,
        refwarn=True,
    )


def prose(text: str) -> list[Node]:
    """Return a line of the claims file as nodes: `code` between backticks."""
    parts = re.split(r"`([^`]+)`", text)
    return [
        nodes.literal("", part) if number % 2 else nodes.Text(part)
        for number, part in enumerate(parts)
        if part
    ]


def row(cells: Iterable[Sequence[Node]], **attributes: Any) -> nodes.row:
    """Return a row of a table."""
    return nodes.row("", *(nodes.entry("", *cell) for cell in cells), **attributes)


def table(
    heads: Sequence[str], widths: Sequence[int], rows: Sequence[nodes.row], *names: str
) -> nodes.table:
    """Return a table; the widths are shares, `names` the classes of its style."""
    specs = [nodes.colspec(colwidth=width) for width in widths]
    head = nodes.thead("", row([[nodes.paragraph("", head)] for head in heads]))
    group = nodes.tgroup("", *specs, head, nodes.tbody("", *rows), cols=len(heads))
    return nodes.table("", group, classes=list(names))
