"""What the site tells trainers: the agendas, and how long the labs took."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from . import agendas, show
from .agendas import AgendaError, Day, Item
from .site_results import Results, TableDirective
from .site_tables import link_to, row, table

if TYPE_CHECKING:
    from docutils.nodes import Node

_log = logging.getLogger(__name__)
_NAMED = ("lab", "exercise", "questions")


class AgendaDirective(SphinxDirective):
    """An agenda as a table: when, how long, what, and what goes first when it is late."""

    required_arguments = 1

    def run(self) -> list[Node]:
        """Return a table for each day, and the minutes that can be given back."""
        name = self.arguments[0]
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(agendas.FOLDER / f"{name}.yaml"))
        try:
            agenda = agendas.load(name, root=root)
        except AgendaError as error:
            _log.warning("%s", error, location=self.get_location(), type="proving")
            return []
        text = [agenda.about]
        for number, day in enumerate(agenda.days, 1):
            text += [f"**Day {number}**"] if len(agenda.days) > 1 else []
            text.append(_day(day))
        back = sum(item.minutes for item in agenda.items() if item.cut)
        text.append(f"{agenda.minutes} minutes, of which {back} can be given back.")
        return self.parse_text_to_nodes("\n\n".join(text))


def _day(day: Day) -> str:
    told = ["| at | takes | what | when it is late |", "|---|---|---|---|"]
    for at, item in day.times():
        told.append(f"| {at:%H:%M} | {item.minutes} min | {_what(item)} | {item.late} |")
    return "\n".join(["```{table}", ":class: pg-status pg-columns", "", *told, "```"])


def _what(item: Item) -> str:
    chapter = f"[](/chapters/{item.chapter}.md)"
    if item.kind == "section":
        if item.section[0].isupper():
            return f"{chapter}: {{claim}}`{item.section}`"
        return f"{chapter}: [](/chapters/{item.chapter}.md#{item.section})"
    if item.kind in _NAMED:
        some = ", ".join(f"{{claim}}`{claim}`" for claim in item.claims)
        return f"*{item.word}*: {chapter}" + (f" ({some})" if some else "")
    return f"*{item.words('')}*"


class LabTimesDirective(TableDirective):
    """How long each lab took when it was recorded, and its longest claim."""

    def show(self, results: Results) -> list[Node]:
        """Return a table with a row for each lab."""
        rows = []
        for lab in results.labs.values():
            took = {one: float(told.get("seconds") or 0) for one, told in lab.results.items()}
            longest = max(took, key=lambda one: took[one], default="")
            cells: list[list[Node]] = [
                [
                    nodes.paragraph(
                        "", "", link_to("doc", f"/labs/{lab.slug}", lab.title, domain="std")
                    )
                ],
                [nodes.paragraph("", show.duration_text(lab.seconds))],
                [nodes.paragraph("", show.duration_text(sum(took.values())))],
                [nodes.paragraph("", "", link_to("claim", longest, longest))] if longest else [],
                [
                    nodes.paragraph(
                        "", show.duration_text(took[longest]) if longest else show.MISSING
                    )
                ],
            ]
            rows.append(row(cells))
        heads = ("Lab", "Recorded run", "Claims in turn", "Longest claim", "It alone")
        return [table(heads, (32, 18, 18, 16, 16), rows, "pg-status pg-columns")]
