"""The Sphinx extension through which chapters quote recorded results.

| in a page | what it shows |
|---|---|
| directive `claim` | the card of a claim, with an optional prediction before it |
| directive `timeline` | the timeline of a stop |
| directive `build-timeline` | the timeline of a build: which steps ran, which were cached |
| directive `layer-waterfall` | the layers of an image: bytes kept and bytes wasted |
| directive `base-axes` | bases side by side: bytes, packages, executables, a shell |
| directive `common-parent` | what a node has downloaded after each of several services |
| directive `leak-matrix` | where a secret was found |
| directive `what-is-left` | the parts of an image, and which of them a last stage keeps |
| directive `release-timeline` | the timeline of a release: answers, failures, the server away |
| directive `pod-moments` | which pods and containers are there after each event |
| directive `pod-timeline` | the timeline of pods under load: endpoints, restarts, failures |
| directive `step-figures`, `step-verdicts` | an application, step by step: figures, and checks |
| directive `arms` | the files of the two arms side by side, the deciding lines marked |
| directive `step-diff` | what a step changes in an application's files |
| directive `engines` | a claim on every engine that it was recorded on |
| directive `checklist` | every claim, its verdict, and the audit's checks about it |
| directive `claims-table`, `status-table` | every claim and its verdict; every lab and its run |
| directive `agenda`, `lab-times` | the agenda of a workshop; how long each lab took |
| directive `room-trials` | what people at once took of a shared machine, and how many fit |
| role `measured` | a recorded figure inside a sentence, linked to its card |
| role `claim`, `lab` | a link to a claim's card; a link that opens a lab |
| role `count` | how many claims there are, and how many are proved |

What cannot be found is a warning, which fails a strict build, and never a crash.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.domains import Domain
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole, SphinxRole
from sphinx.util.nodes import make_refnode

from . import (
    base_axes,
    build_timeline,
    claims,
    common_parent,
    drawing,
    kubernetes_image,
    layer_waterfall,
    leak_matrix,
    pod_moments,
    pod_timeline,
    recorded,
    recorded_engines,
    release_timeline,
    show,
    site_files,
    site_results,
    site_room,
    site_tables,
    site_trainers,
    step_figures,
    stop_timeline,
    what_is_left,
)
from .claims import Claim
from .errors import ClaimsFileError
from .site_files import ArmsDirective, StepDirective
from .site_results import ProvingDirective, Results, forget, results_in, results_of
from .site_room import RoomTrialsDirective
from .site_tables import (
    ChecklistDirective,
    ClaimsTableDirective,
    EnginesDirective,
    StatusTableDirective,
    link_to,
)
from .site_trainers import AgendaDirective, LabTimesDirective

if TYPE_CHECKING:
    from docutils.nodes import Element, Node, system_message
    from sphinx.application import Sphinx
    from sphinx.builders import Builder
    from sphinx.environment import BuildEnvironment
    from sphinx.util.typing import ExtensionMetadata

_log = logging.getLogger(__name__)

_WHOLE = 24
"""How many letters of a quoted figure stay on one line, also on a telephone."""

_NUMBERS = {"s": "seconds", "B": "bytes", "count": "", "status": "exit status"}
Draw = Callable[[Claim, recorded.Record, Sequence[str]], str]

FIGURES: dict[str, Draw] = {
    "timeline": stop_timeline.stop_figure,
    "build-timeline": build_timeline.build_figure,
    "layer-waterfall": layer_waterfall.layer_figure,
    "base-axes": base_axes.base_figure,
    "common-parent": common_parent.parent_figure,
    "leak-matrix": leak_matrix.leak_figure,
    "what-is-left": what_is_left.left_figure,
    "release-timeline": release_timeline.release_figure,
    "pod-moments": pod_moments.moments_figure,
    "pod-timeline": pod_timeline.pod_figure,
    "step-figures": step_figures.falling_figure,
    "step-verdicts": step_figures.verdicts_figure,
}
"""Every directive that draws a recorded result, or some arms of it, with what draws it."""

_SHOWING = (
    claims,
    drawing,
    kubernetes_image,
    recorded,
    recorded_engines,
    release_timeline,
    show,
    site_files,
    site_results,
    site_room,
    site_tables,
    site_trainers,
    *(sys.modules[draw.__module__] for draw in FIGURES.values()),
)


def _raw(html: str, **attributes: str) -> nodes.raw:
    return nodes.raw("", html, format="html", **attributes)


def _alerted(html: str, doubt: str) -> str:
    return f'<p class="pg-stale">▲ Stale result. {escape(doubt)}</p>\n{html}' if doubt else html


class ClaimDirective(ProvingDirective):
    """The card of a claim; with `:predict:` the reader may first commit to a figure."""

    option_spec: ClassVar = {
        "predict": directives.unchanged_required,
        "question": directives.unchanged_required,
    }

    def show(self, results: Results, claim: Claim) -> list[Node]:
        """Return the card, or a box that says that the claim is not proved yet."""
        self.env.get_domain("proving").data["cards"][claim.id] = self.env.docname
        record = results.records.get(claim.id)
        card = show.card_html(claim, record) if record else show.not_proved_html(claim)
        box = self._prediction(results, claim) if record and "predict" in self.options else ""
        card = _alerted(card, results.doubt(claim))
        told = {"claim": claim.id, **self._asked(claim)} if record else {}
        html = f'{box}<div class="pg-claim" id="claim-{claim.id}">\n{card}\n</div>'
        return [_raw(html, **told)]

    def _asked(self, claim: Claim) -> dict[str, str]:
        """Return what the reader is asked before the card and in which unit, or nothing."""
        if "predict" not in self.options:
            return {}
        arm, _, name = self.options["predict"].partition(".")
        figure = claim.figures.get(name)
        label, unit = (figure.label, figure.unit) if figure else (name, "")
        return {"question": self.options.get("question", f"{label}, {arm} arm?"), "unit": unit}

    def _prediction(self, results: Results, claim: Claim) -> str:
        name = self.options["predict"]
        value = recorded.value(results.records, f"{claim.id}.{name}")
        figure = claim.figures.get(name.partition(".")[2])
        if figure is None or figure.unit not in _NUMBERS:
            raise ClaimsFileError(f"{claim.id}.{name} is no number: it cannot be predicted.")
        asked = self._asked(claim)["question"]
        return (
            f'<form class="pg-predict" hidden data-card="claim-{claim.id}" '
            f'data-asked="{claim.id}.{escape(name)}" '
            f'data-value="{escape(str(value))}" data-unit="{figure.unit}" '
            f'data-told="{escape(show.figure_text(value, figure.unit))}">\n'
            f'<label for="predict-{claim.id}">Predict before you look. {escape(asked)}</label>\n'
            f'<span><input id="predict-{claim.id}" type="number" step="any" required '
            f'autocomplete="off"> {_NUMBERS[figure.unit]}</span>\n'
            '<button type="submit">Commit</button> '
            '<button type="button" class="pg-skip">Just show me</button>\n'
            '<output role="status"></output>\n</form>\n'
        )


class FigureDirective(ProvingDirective):
    """A figure drawn from the recorded result of a claim; `:arms:` picks some arms of it."""

    option_spec: ClassVar = {"arms": directives.unchanged_required}

    def show(self, results: Results, claim: Claim) -> list[Node]:
        """Return the figure, or the same box as a card where nothing was recorded."""
        record = results.records.get(claim.id)
        if record is None:
            return [_raw(show.not_proved_html(claim))]
        figure = type(self).draw(claim, record, self.options.get("arms", "").split())
        figure = _alerted(figure, results.doubt(claim))
        html = f'<div data-figure-of="claim-{claim.id}">\n{figure}\n</div>'
        return [_raw(html, figure=claim.id)]

    draw: ClassVar[Draw]

    @classmethod
    def of(cls, draw: Draw) -> type[FigureDirective]:
        """Return the directive for figures that `draw` returns as HTML."""
        return type("FigureDirective", (cls,), {"draw": staticmethod(draw)})


class MeasuredRole(SphinxRole):
    """A recorded figure inside a sentence: `P1.bad.stop_seconds`, or a ratio of two: `… / …`."""

    def run(self) -> tuple[list[Node], list[system_message]]:
        """Return the figure for people, linked to the card that tells how it was measured."""
        names = [name.strip() for name in self.text.split(" / ")]
        claim_id = names[0].partition(".")[0]
        try:
            results = results_of(self.env, of=())
            claim = results.claim(claim_id)
            self.env.note_dependency(str(results.folder / f"{claim.chapter}.ipynb"))
            text = self._text(results, names)
        except ClaimsFileError as error:
            _log.warning("%s", error, location=self.get_location(), type="proving")
            return [nodes.inline("", f"[{show.NOT_PROVED}]", classes=["pg-missing"])], []
        record = results.records[claim_id]
        stale = " ▲" if results.doubt(claim) else ""
        classes = ["pg-measured", *(["pg-long"] if len(text) > _WHOLE else [])]
        link = link_to("claim", claim_id, text + stale, classes=classes)
        link["title"] = (
            f"{self.text}: measured on {show.date_text(record.get('measured_at'))}, "
            f"{show.where_text(record.get('environment'))}{'; stale' if stale else ''}"
        )
        return [link], []

    @staticmethod
    def _text(results: Results, names: Sequence[str]) -> str:
        values = [recorded.value(results.records, name) for name in names]
        if len(names) == 1:
            return _told(results, names[0], values[0])
        try:
            ratio = float(values[0]) / float(values[1])
        except (ValueError, ZeroDivisionError) as error:
            raise ClaimsFileError(f"{' / '.join(names)} has no value: {error}.") from error
        return f"{ratio:.2g}" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}"


def _told(results: Results, name: str, value: claims.Value) -> str:
    claim_id, *_, last = name.split(".")
    if name.count(".") == 1:
        return show.setting_text(last, value)
    figure = results.claims[claim_id].figures.get(last)
    return show.figure_text(value, figure.unit if figure else "text")


class ClaimRole(ReferenceRole):
    """A link to the card of a claim."""

    def run(self) -> tuple[list[Node], list[system_message]]:
        """Return the link; an unknown claim is told when it is resolved."""
        return [link_to("claim", self.target, self.title)], []


class LabRole(ReferenceRole):
    """A link that opens a lab where JupyterLab runs, and tells how to run it where it does not."""

    def run(self) -> tuple[list[Node], list[system_message]]:
        """Return the link, and warn where there is no such lab."""
        results = results_of(self.env, of=[self.target])
        if self.target not in results.labs:
            told = "There is no lab %r in the folder of labs."
            _log.warning(told, self.target, location=self.get_location(), type="proving")
            return [nodes.inline("", self.title)], []
        return [link_to("lab", self.target, self.title)], []


class CountRole(SphinxRole):
    """How many `claims` there are, how many are `proved`, in how many `chapters`.

    `node-minutes` is how many minutes a cluster's node takes to be built.
    """

    def run(self) -> tuple[list[Node], list[system_message]]:
        """Return the number as text."""
        results = results_of(self.env)
        holding = [c for c in results.claims.values() if results.verdict(c) == "holds"]
        counts = {
            "claims": len(results.claims),
            "proved": len(holding),
            "chapters": len({claim.chapter for claim in results.claims.values()}),
            "node-minutes": kubernetes_image.MINUTES,
        }
        if self.text not in counts:
            told = "Nothing counts %r; there are %s."
            where = self.get_location()
            _log.warning(told, self.text, ", ".join(counts), location=where, type="proving")
            return [nodes.Text("?")], []
        return [nodes.Text(str(counts[self.text]))], []


class ProvingDomain(Domain):
    """Where the cards stand: the page of each, and the page that lists all claims."""

    name = "proving"
    label = "Proving Ground"
    initial_data: ClassVar = {"cards": {}, "table": None}

    def clear_doc(self, docname: str) -> None:
        """Forget what a page held that is read anew or gone."""
        cards = self.data["cards"]
        self.data["cards"] = {claim: page for claim, page in cards.items() if page != docname}
        if self.data["table"] == docname:
            self.data["table"] = None

    def merge_domaindata(self, docnames: Iterable[str], otherdata: dict[str, Any]) -> None:
        """Take over what another process read."""
        pages = set(docnames)
        found = {claim: page for claim, page in otherdata["cards"].items() if page in pages}
        self.data["cards"].update(found)
        if otherdata["table"] in pages:
            self.data["table"] = otherdata["table"]

    def resolve_xref(  # noqa: PLR0917 - the signature is Sphinx's
        self,
        env: BuildEnvironment,
        fromdocname: str,
        builder: Builder,
        typ: str,
        target: str,
        node: addnodes.pending_xref,
        contnode: Element,
    ) -> nodes.reference | None:
        """Return the link to a card, to a row of the claims page, or to a lab's opening page."""
        if typ == "lab":
            uri = builder.get_relative_uri(fromdocname, f"open/{target}")
            return nodes.reference("", "", contnode, refuri=uri, internal=True, classes=["pg-lab"])
        if target not in results_in(Path(env.srcdir)).claims:
            return None
        page, anchor = self.data["cards"].get(target), f"claim-{target}"
        if page is None:
            page, anchor = self.data["table"], target
        if page is None:
            return None
        title = node.get("title")
        return make_refnode(builder, fromdocname, page, anchor, contnode, title)

    def resolve_any_xref(self, *_: Any) -> list[Any]:
        """Resolve nothing: claims are linked by their own roles only."""
        return []


def open_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Give each lab a page that tells how to run it.

    A server that has JupyterLab beside the site answers at this address with the lab itself.
    """
    for lab in results_in(Path(app.srcdir)).labs.values():
        page = f"open/{lab.slug}"

        def uri(target: str, page: str = page) -> str:
            return escape(app.builder.get_relative_uri(page, target))

        body = (
            f"<h1>Open the lab: {escape(lab.title)}</h1>\n"
            "<p>This copy of the guide stands alone: no JupyterLab runs behind it. "
            "Started on your own machine, the guide opens the lab at this address.</p>\n"
            f'<ul><li><a href="{uri("guide/how-to-run")}">How to start the guide</a></li>\n'
            f'<li><a href="{uri(f"labs/{lab.slug}")}">Read the lab with its recorded '
            "outputs</a></li></ul>"
        )
        yield page, {"title": f"Open the lab: {lab.title}", "body": body}, "page.html"


def level_captions(_app: Sphinx, _page: str, _name: str, context: dict[str, Any], _: Any) -> None:
    """Give the captions of the sidebar, which have the role of a heading, a heading's level."""
    tree = context.get("furo_navigation_tree")
    if tree:
        context["furo_navigation_tree"] = tree.replace(
            'role="heading"', 'role="heading" aria-level="2"'
        )


def _own_version() -> int:
    """Return a number that changes with the code whose output the pages hold."""
    sources = [Path(module.__file__ or "") for module in _SHOWING] + [Path(__file__)]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources))
    return int.from_bytes(digest.digest()[:4], "big")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register everything with Sphinx."""
    app.add_domain(ProvingDomain)
    app.add_directive("claim", ClaimDirective)
    for name, draw in FIGURES.items():
        app.add_directive(name, FigureDirective.of(draw))
    app.add_directive("arms", ArmsDirective)
    app.add_directive("step-diff", StepDirective)
    app.add_directive("checklist", ChecklistDirective)
    app.add_directive("engines", EnginesDirective)
    app.add_directive("claims-table", ClaimsTableDirective)
    app.add_directive("status-table", StatusTableDirective)
    app.add_directive("agenda", AgendaDirective)
    app.add_directive("lab-times", LabTimesDirective)
    app.add_directive("room-trials", RoomTrialsDirective)
    app.add_role("measured", MeasuredRole())
    app.add_role("claim", ClaimRole())
    app.add_role("lab", LabRole())
    app.add_role("count", CountRole())
    app.setup_extension("proving.deck_builder")
    app.connect("builder-inited", forget)
    app.connect("html-collect-pages", open_pages)
    app.connect("html-page-context", level_captions, priority=900)  # after the theme's own
    return {"env_version": _own_version(), "parallel_read_safe": True, "parallel_write_safe": True}
