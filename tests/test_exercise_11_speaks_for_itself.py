"""Chapter 11, the second exercise: an image that an audit can measure without being told a word."""

import re
import runpy

import pytest
from audits import FOREIGN, HOLDS, UNKNOWN, finding
from exercised import answer, mend, on_engine
from proving.audit.catalogue import CHECKS
from proving.audit.findings import Report
from proving.exercises import Outcome
from proving.paths import LABS

SLUG, NAME = "11-checklist", "11-speaks-for-itself"
CHECK = runpy.run_path(str(LABS / "exercises" / NAME / "check.py"))
VOLUME = "VOLUME /var/lib/visitors\n"


def keep_lines_back(app):
    """Leave it to Python when a line is written."""
    mend(app, ("values, flush=True", "values"), ('"gone", flush=True', '"gone"'))


def test_the_checks_are_the_audits():
    """Each is asked of the source that answers it; page and notebook tell how many there are."""
    read, ran = CHECK["READ"], CHECK["RUN"]

    assert {"archive"} == {CHECKS[one].source for one in read}
    assert {"run"} == {CHECKS[one].source for one in ran}
    assert 7 == len(read) + len(ran) == CHECK["CHECKS"]
    page = (LABS.parent / "chapters" / f"{SLUG}.md").read_text("utf-8")
    assert "seven checks are measured" in re.sub(r"\s+", " ", page)


def test_an_image_that_comes_up_and_speaks_no_http_is_told_as_that():
    """All that can be seen of it may hold; its start is not what is missing."""
    why = "It listens on no port."
    silent = [finding(one, FOREIGN, why) for one in ("drains", "readiness")]
    findings = (finding("stops", HOLDS, "Well."), *silent)
    found = CHECK["_not_up"](Report("an image", findings, {"comes_up": "it has run on"}))

    assert Outcome.HINT == found.outcome
    assert f"`drains` and `readiness` had nothing to look at. {why}" in found.sentence
    assert "0 of" not in found.sentence


def test_an_image_that_does_not_come_up_is_told_with_its_reason():
    """It is that of the first check which could not be measured, where nothing else is known."""
    missing = [finding(one, UNKNOWN, "It ended.") for one in CHECK["RUN"]]
    found = CHECK["_not_up"](Report("an image", tuple(missing)))

    assert "could not measure 5 of 5 checks of a run: It ended. It comes up with" in found.sentence


@on_engine
def test_the_start_cannot_be_measured():
    """The answer has the application's own words, and how it does come up."""
    found = answer(SLUG, "start", NAME)

    assert Outcome.HINT == found.outcome, found.sentence
    assert "could not measure 5 of 5 checks" in found.sentence
    assert "BOOK is not set" in found.sentence


@on_engine
def test_the_solution_passes():
    """All is measured, and the book goes on in a second container."""
    found = answer(SLUG, "solution", NAME)

    assert Outcome.PASSED == found.outcome, found.sentence
    assert "7 checks, and all of them hold" in found.sentence
    assert "visitor 2" in found.sentence


@on_engine
def test_settings_alone_do_not_bring_it_up(turns):
    """The place that they name is missing, which the application's last words say."""
    mend(
        turns / NAME / "start" / "Dockerfile",
        ("USER", "ENV BOOK=/var/lib/visitors/book PORT=8000\nUSER"),
    )

    found = answer(SLUG, "start", NAME)

    assert Outcome.HINT == found.outcome, found.sentence
    assert "could not measure 5 of 5 checks" in found.sentence
    assert "No such file or directory" in found.sentence


@on_engine
def test_a_request_that_is_cut_is_the_first_to_be_fixed(turns):
    """Once it comes up; what was logged nowhere is told after all that does not hold."""
    folder = turns / NAME
    (folder / "solution" / "app.py").write_bytes((folder / "start" / "app.py").read_bytes())

    found = answer(SLUG, "solution", NAME)

    assert Outcome.HINT == found.outcome, found.sentence
    assert "of 7 checks 3 are left" in found.sentence
    assert "`drains` does not hold." in found.sentence


@on_engine
def test_lines_that_are_kept_back_are_no_log(turns):
    """Nothing is logged while it runs: the check could not be measured, and that is no pass."""
    keep_lines_back(turns / NAME / "solution" / "app.py")

    found = answer(SLUG, "solution", NAME)

    assert Outcome.HINT == found.outcome, found.sentence
    assert "of 7 checks 1 is left" in found.sentence
    assert "`logs` could not be measured. It has logged nothing" in found.sentence


@on_engine
@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ([(VOLUME, "")], "`read-only-root` does not hold."),
        (
            [(VOLUME, ""), ("/var/lib/visitors/book", "/tmp/book")],
            "has greeted visitor 1: the book is in none of them",
        ),
        ([("RUN install -d -o 10001 -g 10001", "RUN install -d -m 777")], "`world-writable`"),
    ],
)
def test_a_book_in_the_wrong_place_is_told(turns, edits, told):
    """In the container's layer, in a passing place, or in one that everybody may write."""
    mend(turns / NAME / "solution" / "Dockerfile", *edits)

    found = answer(SLUG, "solution", NAME)

    assert Outcome.HINT == found.outcome, found.sentence
    assert told in found.sentence


@on_engine
def test_another_way_passes_too(turns):
    """Python can be told not to keep lines back, and threads that are waited for need no order."""
    folder = turns / NAME / "solution"
    keep_lines_back(folder / "app.py")
    mend(folder / "Dockerfile", ("PORT=8000", "PORT=8000 PYTHONUNBUFFERED=1"))
    mend(
        folder / "app.py",
        ("    threading.Thread(target=server.shutdown).start()\n", "    sys.exit(0)\n"),
    )

    found = answer(SLUG, "solution", NAME)

    assert Outcome.PASSED == found.outcome, found.sentence


@on_engine
def test_a_server_without_a_book_fails(turns):
    """What the application does is no part of the task."""
    mend(
        turns / NAME / "solution" / "app.py",
        ('self.answer(f"You are visitor {enter()}.\\n")', 'self.answer("Welcome.\\n")'),
    )

    found = answer(SLUG, "solution", NAME)

    assert Outcome.FAILED == found.outcome, found.sentence
    assert "it counts no visitors" in found.sentence
