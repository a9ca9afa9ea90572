"""Chapter 11, the first exercise: a service of which seven checks of the audit do not hold."""

import re
import runpy

import pytest
from audits import FAILS, FOREIGN, HOLDS, finding
from exercised import answer, mend, on_engine
from proving.audit.catalogue import CHECKS
from proving.audit.findings import Report
from proving.exercises import Outcome
from proving.paths import LABS

SLUG = "11-checklist"
CHECK = runpy.run_path(str(LABS / "exercises" / SLUG / "check.py"))
BAKED_IN = "ENV VOUCHER_SECRET=h4Kc9vQm2TzR7xWp\n"


def test_the_checks_are_the_audits():
    """Each is asked of the source that answers it; page and notebook tell how many there are."""
    read, ran = CHECK["READ"], CHECK["RUN"]

    assert {"archive"} == {CHECKS[one].source for one in read}
    assert {"run"} == {CHECKS[one].source for one in ran}
    assert 7 == len(read) + len(ran)
    page = (LABS.parent / "chapters" / f"{SLUG}.md").read_text("utf-8")
    assert "seven checks" in re.sub(r"\s+", " ", page)


def test_a_check_that_was_not_asked_is_none_that_holds():
    """In its cage it has answered no HTTP in time, and so nobody knows when it is ready."""
    names = [one for one in CHECK["RUN"] if one != "readiness"]
    held = [finding(one, HOLDS, "Well.") for one in names]
    why = "No request of HTTP is answered on port 8000."
    silent = finding("readiness", FOREIGN, why)
    judge = CHECK["_of_the_run"]

    assert judge(Report("an image", (*held, finding("readiness", HOLDS, "Well.")))) is None
    found = judge(Report("an image", (*held, silent)))
    assert Outcome.HINT == found.outcome
    assert f"`readiness` had nothing to look at. {why}" in found.sentence
    assert "Check once more" in found.sentence
    left = judge(Report("an image", (finding("stops", FAILS, "It was killed."), silent)))
    assert "1 of 2 checks is left. To fix first: `stops`" in left.sentence


@on_engine
def test_the_start_is_told_what_to_fix_first():
    """Of what can be read, the secret is the weightiest: it is told where, and not what it is."""
    found = answer(SLUG, "start")

    assert Outcome.HINT == found.outcome, found.sentence
    assert "3 of 3 checks are left" in found.sentence
    assert "To fix first: `secrets` does not hold. 1 place. (environment: VOUCHER_SECRET" in (
        found.sentence
    )
    assert "h4Kc9vQm2TzR7xWp" not in found.sentence


@on_engine
def test_the_solution_passes():
    """The answer has the audit's own figures."""
    found = answer(SLUG, "solution")

    assert Outcome.PASSED == found.outcome, found.sentence
    assert "All 7 checks hold. It ended" in found.sentence
    assert "/readyz" in found.sentence


@on_engine
def test_what_can_only_be_seen_in_a_run_comes_next(turns):
    """With nothing left to be read, the shell that keeps the signal to itself is the first."""
    start = turns / SLUG / "start"
    mend(start / "Dockerfile", (BAKED_IN, ""), ("chmod -R 777 /app", "chown 10001 /app"))
    mend(start / "Dockerfile", ("EXPOSE", "USER 10001\nEXPOSE"))

    found = answer(SLUG, "start")

    assert Outcome.HINT == found.outcome, found.sentence
    assert "Run in a cage, 4 of 4 checks are left" in found.sentence
    assert "`stops` does not hold. SIGTERM did not end it" in found.sentence


@on_engine
def test_a_user_who_may_not_write_the_log_is_told(turns):
    """The first mend brings the next fault to light, and the last line says which."""
    mend(
        turns / SLUG / "start" / "Dockerfile",
        (BAKED_IN, ""),
        ("RUN chmod -R 777 /app", "USER 10001"),
    )

    found = answer(SLUG, "start")

    assert Outcome.FAILED == found.outcome, found.sentence
    assert "shop.log: Permission denied" in found.sentence


@on_engine
def test_a_secret_that_has_only_moved_is_no_solution(turns):
    """It comes up without one then; and whoever has the image has it."""
    mend(
        turns / SLUG / "solution" / "app.py",
        (
            'sys.exit("VOUCHER_SECRET is not set: give it what vouchers are made with.")',
            'os.environ["VOUCHER_SECRET"] = "a" * 16',
        ),
    )

    found = answer(SLUG, "solution")

    assert Outcome.HINT == found.outcome, found.sentence
    assert "1 of 4 checks is left" in found.sentence
    assert "`settings` could not be measured. It comes up without" in found.sentence
    assert "Whose secret" in found.sentence


@on_engine
def test_another_way_passes_too(turns):
    """The script may stay where it gives way, and the log may be sent through its own file."""
    start, solution = turns / SLUG / "start", turns / SLUG / "solution"
    (solution / "start.sh").write_text("#!/bin/sh\nexec python3 app.py 2>&1\n", "utf-8")
    (solution / "start.sh").chmod(0o755)
    mend(
        solution / "Dockerfile",
        ("app.py ./", "app.py start.sh ./"),
        ('CMD ["python3", "app.py"]', "CMD exec ./start.sh"),
    )
    assert start.is_dir()

    found = answer(SLUG, "solution")

    assert Outcome.PASSED == found.outcome, found.sentence


@on_engine
@pytest.mark.parametrize("edit", [("hmac.new(secret", 'hmac.new(b"k"'), ('== "/"', '== "/v"')])
def test_other_vouchers_fail(turns, edit):
    """What the service does is no part of the task."""
    mend(turns / SLUG / "start" / "app.py", edit)

    found = answer(SLUG, "start")

    assert Outcome.FAILED == found.outcome, found.sentence
    assert "no voucher made with that" in found.sentence
