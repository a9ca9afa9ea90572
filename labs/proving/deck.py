"""Decks for a room: `nox -s deck -- half-day` makes slides, their print and the speaker's notes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from . import agendas, deck_browser
from .errors import ProvingError
from .paths import ROOT

FOLDER = ROOT / "_build" / "decks"
_PAGES = ("index.md", "chapters/*.md", "guide/trainers-questions.md")


def build(names: Sequence[str], folder: Path = FOLDER) -> list[Path]:
    """Write the slides of some agendas and return the folder of each.

    Raises:
        ProvingError: an agenda cannot be held, or the chapters cannot be read.
    """
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    names = list(dict.fromkeys(agendas.load(name).name for name in names))
    told = StringIO()
    work = folder / ".sphinx"
    settings = {"proving_agendas": names, "include_patterns": list(_PAGES), "nitpicky": False}
    try:
        with patch_docutils(ROOT), docutils_namespace():  # so that it leaves nothing registered
            app = Sphinx(
                ROOT, ROOT, work, work / "doctrees", "deck", settings, status=None, warning=told
            )
            app.build(force_all=True)
    except SphinxError as error:
        raise ProvingError(f"The chapters cannot be read: {error}") from error
    return [folder / name for name in names]


def print_all(decks: Sequence[Path]) -> list[str]:
    """Print decks as PDF, once each of their slides fits; return a sentence for each.

    Raises:
        ProvingError: there is no browser, or a slide does not fit.
    """
    told = []
    with deck_browser.chromium() as chromium:
        page = chromium.new_page()
        for deck in decks:
            if wrong := deck_browser.look(page, deck):
                raise ProvingError("\n".join([f"{deck.name} cannot be shown:", *wrong]))
            pdf = deck_browser.print_slides(page, deck)
            notes = deck_browser.print_notes(page, deck)
            pages = deck_browser.pages_of(pdf)
            told.append(f"{deck.name}: {pages} slides in {deck / 'index.html'}, {pdf} and {notes}.")
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `python -m proving.deck [AGENDA…]` and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="nox -s deck --", description="Make slides of the chapters."
    )
    parser.add_argument("agendas", nargs="*", metavar="AGENDA", help="such as half-day; or all")
    parser.add_argument(
        "--no-pdf",
        action="store_true",
        help="make index.html and notes.html, no PDFs, and try no slide in a browser",
    )
    options = parser.parse_args(arguments)
    try:
        decks = build(options.agendas or agendas.names())
        for deck in decks:
            print(f"{deck.name}: the slides are in {deck / 'index.html'}.")
        for sentence in [] if options.no_pdf else print_all(decks):
            print(sentence)
    except ProvingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
