"""The Sphinx builder that writes decks: slides for reveal.js, and the notes to be printed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Set
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from docutils import nodes
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.highlighting import PygmentsBridge

from . import agendas, sections
from .deck_parts import Maker
from .paths import ROOT
from .site_results import results_in
from .slides import Source

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TEMPLATES = ROOT / "workshop" / "deck"
_REVEAL = (
    "LICENSE",
    "dist/reset.css",
    "dist/reveal.css",
    "dist/reveal.js",
    "dist/theme/fonts/source-sans-pro",
    "plugin/notes/notes.js",
)
"""What a deck needs of reveal.js, which sphinx-revealjs brings along."""


class DeckBuilder(StandaloneHTMLBuilder):
    """Writes a folder for each agenda that `proving_agendas` names, beside its own output."""

    name = "deck"
    search = False

    def get_outdated_docs(self) -> Iterator[str]:
        """Return nothing: every deck is written anew."""
        return iter(())

    def write_documents(self, _docnames: Set[str]) -> None:
        """Write the decks."""
        self.fignumbers = {}
        for name in self.config.proving_agendas:
            self._write(agendas.load(name))

    def copy_assets(self) -> None:
        """Copy nothing of the site's."""

    def finish(self) -> None:
        """Write nothing of what a site needs beside its pages; MyST-NB wants a place for it."""
        (Path(self.outdir) / "_static").mkdir(exist_ok=True)

    def _write(self, agenda: agendas.Agenda) -> None:
        slides = list(Maker(agenda, self._source, self._page).slides())
        folder = Path(self.outdir).parent / agenda.name
        shutil.rmtree(folder, ignore_errors=True)
        _copy_reveal(folder)
        for style in (ROOT / "_static" / "proving.css", TEMPLATES / "deck.css"):
            shutil.copy(style, folder)
        code = PygmentsBridge("html", self.config.pygments_style).get_stylesheet()
        (folder / "code.css").write_text(code, encoding="utf-8")
        for page in ("index.html", "notes.html"):
            html = _templates().get_template(page).render(agenda=agenda, slides=slides)
            (folder / page).write_text(html, encoding="utf-8")

    @cached_property
    def _source(self) -> Source:
        results = results_in(Path(self.srcdir))
        return Source(results.claims, results.records, self._render, results.doubt)

    @cached_property
    def _pages(self) -> dict[str, nodes.document]:
        return {}

    def _page(self, docname: str) -> nodes.document:
        if docname not in self._pages:
            titles = {name: title.astext() for name, title in self.env.titles.items()}
            self._pages[docname] = sections.plain(self.env.get_doctree(docname), titles)
        return self._pages[docname]

    def _render(self, node: nodes.Node) -> str:
        return self.render_partial(node.deepcopy())["fragment"]


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


def _copy_reveal(folder: Path) -> None:
    reveal = resources.files("sphinx_revealjs") / "_static" / "revealjs"
    with resources.as_file(reveal) as source:
        for name in _REVEAL:
            target = folder / "reveal" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (source / name).is_dir() else shutil.copy
            copy(source / name, target)


def setup(app: Sphinx) -> None:
    """Register the builder, and by which variable it is told what to write."""
    app.add_builder(DeckBuilder)
    app.add_config_value("proving_agendas", [], "", [list])
