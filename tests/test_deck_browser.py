"""The decks in a real browser: from a file, without a network, legible from the last row."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from proving import agendas, deck, deck_browser

pytestmark = pytest.mark.browser

NAMES = sorted(path.stem for path in agendas.FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """All decks, built once in a folder of this test's own."""
    folder = tmp_path_factory.mktemp("decks")
    return {one.name: one for one in deck.build(NAMES, folder)}


@pytest.fixture(scope="module")
def page():
    """A page of Chromium."""
    with deck_browser.chromium() as chromium:
        yield chromium.new_page()


@pytest.mark.parametrize("name", NAMES)
def test_each_slide_fits_and_is_printed_on_a_page(decks, page, name):
    """No slide is too high, too wide or too small to read, and the print has as many pages."""
    wrong = deck_browser.look(page, decks[name])
    slides = page.evaluate("Reveal.getTotalSlides()")
    pages = deck_browser.pages_of(deck_browser.print_slides(page, decks[name]))

    assert wrong == []
    assert slides == pages


@pytest.mark.parametrize("name", NAMES)
def test_each_slide_has_notes_and_time(decks, page, name):
    """The speaker's clock ends with the agenda; each slide says when it begins."""
    page.goto((decks[name] / "index.html").as_uri())
    told = page.evaluate(
        """[...document.querySelectorAll(".slides > section")].map((slide) =>
          [Number(slide.dataset.timing), slide.querySelector(".notes").textContent])"""
    )

    assert agendas.load(name).minutes * 60 == sum(seconds for seconds, _ in told)
    assert all(len(notes) > 40 and ":" in notes for _, notes in told)


def test_a_deck_works_from_a_stick_without_a_network(decks, page, tmp_path):
    """Copied elsewhere, it asks for files of its own folder alone, and for none that is missing."""
    folder = shutil.copytree(decks["90-minutes"], tmp_path / "stick")
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))

    page.goto((folder / "index.html").as_uri(), wait_until="networkidle")
    with page.expect_popup() as speaker:
        page.keyboard.press("s")
    speaker.value.wait_for_function("document.body.textContent.includes('for this slide')")
    speaker.value.close()

    own = (folder.as_uri(), "about:", "data:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert wrong == []


def test_axe_finds_no_serious_violation(decks, page):
    """Contrast above all: projectors have little of it."""
    page.goto((decks["90-minutes"] / "index.html").as_uri() + "?print-pdf")
    page.wait_for_function("document.querySelectorAll('.pdf-page').length > 0")
    options = {"runOnly": ["color-contrast", "list", "listitem", "td-headers-attr"]}
    found = Axe().run(page, options=options)

    serious = [one for one in found.response["violations"] if one["impact"] != "minor"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []


def test_what_does_not_fit_is_told(decks, page, tmp_path):
    """The measure itself: a slide of too many lines, and one of small letters."""
    folder = shutil.copytree(decks["90-minutes"], tmp_path / "wrong")
    text = (folder / "index.html").read_text("utf-8")
    long = '<div class="body">' + "<p>line</p>" * 40
    small = '<div class="body"><p style="font-size: 12px">small</p>'
    text = text.replace('<div class="body">', long, 1)
    start = text.index('<div class="body">', text.index(long) + len(long))
    text = text[:start] + text[start:].replace('<div class="body">', small, 1)
    (folder / "index.html").write_text(text, "utf-8")

    high, tiny = deck_browser.look(page, folder)

    assert "Slide 1," in high
    assert "too high" in high
    assert "Slide 2," in tiny
    assert "letters of 12.0 pixels" in tiny


def test_the_notes_are_printed(decks, page):
    """As many pages as it takes."""
    assert deck_browser.pages_of(deck_browser.print_notes(page, decks["90-minutes"])) > 1
