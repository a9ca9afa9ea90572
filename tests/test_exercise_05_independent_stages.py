"""Chapter 5, once more: stages in a chain, and what an edit of one has made again."""

from __future__ import annotations

from exercised import answer, mend, on_engine
from proving.exercises import Outcome

CHAPTER, EXERCISE = "05-multi-stage", "05-independent-stages"


@on_engine
def test_the_start_gets_a_hint():
    """A misprint in what the service does not have stops it: the step and the line are told."""
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.HINT == found.outcome, found.sentence
    assert "python make_manual.py" in found.sentence
    assert "step 2 is numbered 7." in found.sentence


@on_engine
def test_the_solution_passes():
    """Three stages that begin at the base, and one that takes what two of them have made."""
    found = answer(CHAPTER, "solution", EXERCISE)

    assert Outcome.PASSED == found.outcome, found.sentence


@on_engine
def test_the_whole_folder_in_each_stage_gets_a_hint(turns):
    """The chain is taken apart, and each stage still begins with all files."""
    mend(
        turns / EXERCISE / "start" / "Dockerfile",
        ("FROM manual AS pages", "FROM library AS pages"),
    )
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.HINT == found.outcome, found.sentence
    assert "the library and the pages were made again" in found.sentence
    assert "COPY . ." in found.sentence


@on_engine
def test_a_shorter_chain_gets_a_hint(turns):
    """In whichever order the two stand, an edit of the lower one makes the upper one again."""
    dockerfile = turns / EXERCISE / "solution" / "Dockerfile"
    mend(dockerfile, ("FROM ${PYTHON} AS pages", "FROM library AS pages"))
    upwards = answer(CHAPTER, "solution", EXERCISE)
    mend(
        dockerfile,
        ("FROM library AS pages", "FROM ${PYTHON} AS pages"),
        ("FROM ${PYTHON} AS manual", "FROM library AS manual"),
    )
    beside = answer(CHAPTER, "solution", EXERCISE)

    assert [Outcome.HINT, Outcome.HINT] == [upwards.outcome, beside.outcome]
    assert "after an edit of tide.c the pages were made again" in upwards.sentence
    assert "also made the library" in beside.sentence


@on_engine
def test_another_last_stage_has_failed(turns):
    """What comes last is what is built without a target, and that is no service here."""
    dockerfile = turns / EXERCISE / "solution" / "Dockerfile"
    text = dockerfile.read_text(encoding="utf-8")
    before, manual, rest = text.partition("FROM ${PYTHON} AS manual\n")
    stage, _, service = rest.partition("\n\n")
    dockerfile.write_text(f"{before}{service}\n{manual}{stage}\n", encoding="utf-8")
    found = answer(CHAPTER, "solution", EXERCISE)

    assert Outcome.FAILED == found.outcome, found.sentence
    assert "did not run make_library.sh and make_pages.py" in found.sentence


@on_engine
def test_a_manual_that_is_left_out_has_failed(turns):
    """A misprint in nothing stops nothing, and was not asked for."""
    dockerfile = turns / EXERCISE / "solution" / "Dockerfile"
    mend(dockerfile, ("AS manual", "AS book"))
    found = answer(CHAPTER, "solution", EXERCISE)

    assert Outcome.FAILED == found.outcome, found.sentence
    assert found.sentence.startswith("`docker build --target=manual .` has failed")


@on_engine
def test_an_edited_source_is_told(turns):
    """The check edits it; without a build it says what must stay."""
    mend(turns / EXERCISE / "start" / "make_manual.py", ("sys.exit(", "print("))
    found = answer(CHAPTER, "start", EXERCISE)

    assert Outcome.FAILED == found.outcome, found.sentence
    assert found.sentence.startswith("make_manual.py must stay")
