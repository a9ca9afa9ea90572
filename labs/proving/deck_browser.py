"""Decks in a real browser: does each slide fit, can it be read from afar, and its print as PDF."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import browser
from .errors import ProvingError

SIZE = {"width": 1280, "height": 720}
LEAST_PIXELS = 17.9
"""The least size of letters on a slide of 1280 × 720: 18 pixels, less what zooming rounds off."""

_LOOK = Path(__file__).with_suffix(".js")


@contextmanager
def chromium() -> Iterator[Any]:
    """Give a Chromium: the one that is found, or playwright's own.

    Raises:
        ProvingError: none can be started; the sentence says what to do.
    """
    from playwright.sync_api import Error, sync_playwright

    # Chromium refuses to run as root within its sandbox.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=browser.find(), args=flags)
        except Error as error:
            raise ProvingError(
                "No Chromium can be started, so there is no PDF, but there are slides. "
                "Name one by the variable CHROMIUM, have `nox -s docs` install one, or give "
                f"--no-pdf. It said: {error.message.splitlines()[0][:200]}"
            ) from error
        try:
            yield started
        finally:
            started.close()


def look(page: Any, deck: Path) -> list[str]:
    """Return what is wrong with the slides of a deck, a sentence for each."""
    page.set_viewport_size(SIZE)
    page.goto((deck / "index.html").resolve().as_uri())
    page.wait_for_function("Reveal.isReady()")
    page.evaluate("document.fonts.ready")
    found: list[str] = page.evaluate(_LOOK.read_text(encoding="utf-8"), LEAST_PIXELS)
    return found


def print_slides(page: Any, deck: Path) -> Path:
    """Print the slides, one on each page, and return the PDF."""
    page.goto((deck / "index.html").resolve().as_uri() + "?print-pdf")
    page.wait_for_function("document.querySelectorAll('.pdf-page').length > 0")
    page.evaluate("document.fonts.ready")
    pdf = deck / f"{deck.name}.pdf"
    page.pdf(path=pdf, prefer_css_page_size=True, print_background=True)
    return pdf


def print_notes(page: Any, deck: Path) -> Path:
    """Print the speaker's notes, and return the PDF."""
    page.goto((deck / "notes.html").resolve().as_uri())
    pdf = deck / f"{deck.name}-notes.pdf"
    page.pdf(path=pdf, prefer_css_page_size=True)
    return pdf


def pages_of(pdf: Path) -> int:
    """Return how many pages a PDF of Chromium's has: it writes each as an object of its own."""
    content = pdf.read_bytes()
    return content.count(b"/Type /Page\n") + content.count(b"/Type /Page ")
