"""The built site in a real browser: legible to all, at every width, and with nothing from afar.

`sphinx-build -b html . _build/html` comes first; PROVING_SITE names another folder.
"""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, sync_playwright
from proving import browser as browsers
from proving import claims
from proving.serve import PROGRESS_PAGE, with_progress

pytestmark = pytest.mark.browser

SITE = Path(os.environ.get("PROVING_SITE", Path(__file__).parents[1] / "_build" / "html"))
CHAPTER = "chapters/09-process-management.html"
LAB = "labs/09-process-management.html"
PAGES = [
    "index.html",
    "chapters/01-qualities.html",
    "chapters/02-base-images.html",
    "chapters/05-multi-stage.html",
    "chapters/06-one-function.html",
    "chapters/07-pods.html",
    "chapters/10-health-probes.html",
    "chapters/11-checklist.html",
    "chapters/08-runtime-configuration.html",
    "chapters/03-layers-and-cache.html",
    "chapters/04-layer-size.html",
    CHAPTER,
    "labs/03-layers-and-cache.html",
    "labs/04-layer-size.html",
    "labs/11-checklist.html",
    LAB,
    "guide/claims.html",
    "guide/glossary.html",
    "guide/status.html",
    "guide/how-to-run.html",
    "guide/trainers.html",
    "guide/trainers-labs.html",
    "guide/workshop-participants.html",
    PROGRESS_PAGE,
    "open/09-process-management.html",
]
PHONE = {"width": 360, "height": 740}
BADLY = ("serious", "critical")
WRONG = {"resultTypes": ["violations"]}  # the others, which nobody reads, are not written out


class Quiet(SimpleHTTPRequestHandler):
    """Serve files, with the site's own page where there is none, and keep no log."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if not self.path.endswith(PROGRESS_PAGE):
            super().do_GET()
            return
        page = with_progress((SITE / PROGRESS_PAGE).read_text("utf-8"), "/site/").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def send_error(self, code, *_):
        page = (SITE / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def translate_path(self, path):
        return super().translate_path(path.removeprefix("/site"))


@pytest.fixture(scope="module")
def address():
    """The site under `/site/` of a server of this test's own, as the local server has it."""
    assert (SITE / "index.html").is_file(), f"There is no site in {SITE}: build it first."
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/site/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium():
    """A Chromium: the one that is found, or else playwright's own."""
    # Chromium refuses to run as root within its sandbox.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=browsers.find(), args=flags)
        except Error as error:
            pytest.fail(f"No Chromium can be started; name one by CHROMIUM. {error.message[:200]}")
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address):
    """Open a page in a context of its own; whatever it asks of another host is a failure."""
    contexts, asked = [], []

    def open_page(name, *, shown_all=True, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(f"error: {error}"))
        page.goto(address + name, wait_until="load")
        if shown_all and options.get("java_script_enabled", True):
            skip = "document.querySelectorAll('form:not([hidden]) .pg-skip')"
            page.evaluate(f"{skip}.forEach((button) => button.click())")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_violation(visit, name, scheme):
    """Contrast, names, headings and roles, in both colour schemes, with everything unfolded."""
    page = visit(name, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")

    found = Axe().run(page, options=WRONG).response["violations"]
    told = [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in BADLY
        for node in one["nodes"]
    ]
    assert "" == "\n".join(told)


def test_axe_finds_no_serious_violation_before_a_prediction(visit):
    """The question is a form with a label, and the card behind it is covered."""
    page = visit(CHAPTER, shown_all=False)

    found = Axe().run(page, options=WRONG).response["violations"]
    assert [one["id"] for one in found if one["impact"] in BADLY] == []


@pytest.mark.parametrize("name", [*PAGES, "404.html"])
def test_a_telephone_scrolls_no_page_sideways(visit, name):
    """At 360 pixels, with everything unfolded."""
    page = visit(name, viewport=PHONE)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def cards_of_chapter():
    """Return how many claims the chapter has: each has a card."""
    return sum(claim.chapter == "09-process-management" for claim in claims.load().values())


def test_without_javascript_every_card_is_there(visit):
    """And no question that nobody would answer."""
    page = visit(CHAPTER, java_script_enabled=False)

    cards = page.locator(".pg-claim")
    assert cards_of_chapter() == cards.count()
    assert all(card.is_visible() for card in cards.all())
    assert 0 == page.locator(".pg-predict:visible").count()
    assert page.locator(".pg-timeline svg[role=img]").first.is_visible()


def test_a_prediction_is_answered_and_uncovers_the_card(visit):
    """The reader is told how far off the guess was."""
    page = visit(CHAPTER, shown_all=False)
    card, form = page.locator("#claim-P1"), page.locator("form[data-card=claim-P1]")
    assert not card.is_visible()

    form.locator("input").fill("1")
    form.get_by_role("button", name="Commit").press("Enter")

    assert card.is_visible()
    answer = form.locator("output").inner_text()
    assert answer.startswith("You said 1; ")
    assert answer.endswith("times as much.")


def test_what_tells_the_answer_below_a_question_is_covered_with_the_card(visit):
    """The figure of the claim, and the number that is asked for where the text quotes it."""
    page = visit(CHAPTER, shown_all=False)
    figure = page.locator("[data-figure-of=claim-P8] figure").first
    number = page.locator('a[title^="P8.bad.lost:"] .pg-measured').first
    assert not figure.is_visible()
    assert not number.is_visible()

    page.locator("form[data-card=claim-P8] .pg-skip").click()

    assert figure.is_visible()
    assert number.is_visible()


def test_a_link_to_a_card_uncovers_it(visit):
    """Whoever follows a figure wants to see how it was measured."""
    page = visit(f"{CHAPTER}#claim-P2", shown_all=False)

    assert page.locator("#claim-P2").is_visible()
    assert not page.locator("form[data-card=claim-P2]").is_visible()
    page.locator('a[href="#claim-P1"]').first.click()
    assert page.locator("#claim-P1").is_visible()


def test_a_figure_on_the_front_page_leads_to_its_card(visit):
    """From a headline to the measurement in one step."""
    page = visit("index.html")
    page.locator('a[href$="#claim-P1"]').first.click()
    page.wait_for_load_state()

    assert page.url.endswith(f"{CHAPTER}#claim-P1")
    assert page.locator("#claim-P1").is_visible()


def test_the_lab_can_be_opened_from_its_chapter(visit):
    """Where the site stands alone, the address has a page that tells how."""
    page = visit(CHAPTER)
    page.get_by_role("link", name="Open this lab").click()
    page.wait_for_load_state()

    assert page.url.endswith("open/09-process-management.html")
    assert page.get_by_role("link", name="How to start the guide").is_visible()


def test_the_lab_page_shows_the_recorded_cards(visit):
    """The same card as in the chapter, out of the notebook's own output."""
    page = visit(LAB)

    assert cards_of_chapter() == page.locator(".pg-card[data-verdict]").count()


@pytest.mark.parametrize("name", ["P1", "Q1", "H5"])
def test_every_claim_has_an_address(visit, name):
    """Proved or not: others may link to it for good."""
    page = visit(f"guide/claims.html#{name}")

    assert page.locator(f"tr#{name}").is_visible()


@pytest.mark.parametrize("name", ["no-such-page.html", "chapters/none/of/these.html"])
def test_an_address_without_a_page_has_a_legible_one(visit, name):
    """Its style sheet is found from any depth."""
    page = visit(name)

    assert "This page is not here" == page.locator("h1").first.inner_text().rstrip("#")
    assert page.evaluate("document.styleSheets.length") >= 2
    page.get_by_role("link", name="The front page").click()
    assert page.url.endswith("/site/index.html")


def test_the_keyboard_reaches_and_shows_every_stop(visit):
    """What has the focus is outlined."""
    page = visit(CHAPTER, shown_all=False)
    page.locator("form[data-card=claim-P1] input").focus()
    page.keyboard.press("Tab")

    told = "getComputedStyle(document.activeElement)"
    assert "Commit" == page.evaluate("document.activeElement.textContent")
    assert page.evaluate(f"{told}.outlineStyle") == "solid"


def test_paper_has_the_cards_and_no_questions(visit):
    """Also those that were not uncovered."""
    page = visit(CHAPTER, shown_all=False)
    page.emulate_media(media="print")

    assert page.locator("#claim-P1").is_visible()
    assert not page.locator("form[data-card=claim-P1]").is_visible()
