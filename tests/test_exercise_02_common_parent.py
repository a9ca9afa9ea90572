"""The second turn of chapter 2: what three services share, and what none of them needs."""

import runpy
from types import SimpleNamespace

import pytest
from exercised import answer, mend, on_engine
from proving.exercises import Outcome
from proving.paths import LABS

BASES, PARENT = "02-base-images", "02-common-parent"


def checked(folder):
    """Check a folder of this exercise."""
    return answer(BASES, folder, PARENT)


@pytest.mark.parametrize(
    ("shared_bytes", "lists_bytes", "told"),
    [
        (36_000_000, 0, ""),
        (48_000_000, 9_000_000, "9 MB of package lists"),
        (48_000_000, 0, "48 MB in 2 packages"),
    ],
)
def test_what_the_parent_has_too_much_of_is_told(shared_bytes, lists_bytes, told):
    """Lists that nobody needs, or a base that is made for more."""
    check = runpy.run_path(str(LABS / "exercises" / PARENT / "check.py"))
    contents = SimpleNamespace(
        transfer_bytes=shared_bytes + 500,
        packages=("curl", "jq"),
        bytes_below=lambda folder: lists_bytes,
    )
    found = check["_too_much_shared"]([SimpleNamespace(contents=contents, own_bytes=500)])

    assert told in found
    assert bool(told) == bool(found)


@on_engine
def test_the_start_gets_a_hint():
    """Two of three stand beside the parent."""
    found = checked("start")

    assert Outcome.HINT == found.outcome
    assert "hours and orders stand beside the parent, and bring" in found.sentence


@on_engine
def test_the_solution_passes():
    """On one parent that has what all need."""
    found = checked("solution")

    assert Outcome.PASSED == found.outcome
    assert "The parent is downloaded once" in found.sentence


@on_engine
def test_a_heavy_parent_gets_a_hint_and_pared_down_another(turns):
    """All share a full distribution; then they hide what they download."""
    dockerfile = turns / PARENT / "solution" / "Dockerfile"
    mend(
        dockerfile,
        ("ARG SLIM=debian:13-slim", "ARG DISTRIBUTION=debian:13"),
        ("FROM ${SLIM}", "FROM ${DISTRIBUTION}"),
    )
    heavy = checked("solution")
    dockerfile.write_text(
        dockerfile.read_text(encoding="utf-8")
        + "RUN rm -rf /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info\n",
        encoding="utf-8",
    )
    hidden = checked("solution")

    assert [Outcome.HINT, Outcome.HINT] == [heavy.outcome, hidden.outcome]
    assert "manuals and translations" in heavy.sentence
    assert "of the base are hidden by a later layer" in hidden.sentence


@on_engine
def test_a_parent_with_what_one_needs_gets_a_hint(turns):
    """All in one place is simple, and more than two of three asked for."""
    folder = turns / PARENT / "solution"
    mend(folder / "Dockerfile", ("curl jq", "curl jq sqlite3"))
    orders = folder / "orders" / "Dockerfile"
    lines = orders.read_text(encoding="utf-8").splitlines(keepends=True)
    orders.write_text("".join(lines[:2] + lines[5:]), encoding="utf-8")
    found = checked("solution")

    assert Outcome.HINT == found.outcome
    assert "menu and hours have sqlite3, which only orders calls" in found.sentence


@on_engine
def test_an_empty_parent_gets_a_hint(turns):
    """All stand on it, and install the same each: one layer by the luck of the build cache."""
    folder = turns / PARENT / "solution"
    parent = folder / "Dockerfile"
    lines = parent.read_text(encoding="utf-8").splitlines(keepends=True)
    parent.write_text("".join(lines[:3]), encoding="utf-8")
    for name in ("menu", "hours"):
        mend(
            folder / name / "Dockerfile",
            ("FROM ${PARENT}\n", "FROM ${PARENT}\n" + "".join(lines[3:])),
        )
    mend(folder / "orders" / "Dockerfile", ("recommends sqlite3", "recommends curl jq sqlite3"))
    found = checked("solution")

    assert Outcome.HINT == found.outcome
    assert "All stand on the parent, yet orders brings" in found.sentence


@on_engine
def test_a_service_that_does_less_has_failed(turns):
    """Neither an edited script nor a package that is not there."""
    script = turns / PARENT / "start" / "menu" / "menu.sh"
    mend(script, ("jq --raw-output", "cat #"))
    edited = checked("start")
    mend(turns / PARENT / "solution" / "Dockerfile", ("curl jq", "curl"))
    missing = checked("solution")

    assert [Outcome.FAILED, Outcome.FAILED] == [edited.outcome, missing.outcome]
    assert edited.sentence.startswith("menu/menu.sh must stay")
    assert "menu prints" in missing.sentence
    assert "jq: not found" in missing.sentence
