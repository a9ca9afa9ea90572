"""The second turn of chapter 1: entries that outlive a container, and that many share."""

import runpy
import shutil

import pytest
from exercised import answer, mend, on_engine
from proving.exercises import Outcome
from proving.paths import LABS

QUALITIES, STATE = "01-qualities", "01-state-outside"

IN_SQLITE = """
import sqlite3


def book() -> sqlite3.Connection:
    found = sqlite3.connect(BOOK, timeout=30)
    found.execute("CREATE TABLE IF NOT EXISTS entries (entry TEXT)")
    return found


def kept() -> list[str]:
    with book() as found:
        return [row[0] for row in found.execute("SELECT entry FROM entries")]


def add(entry: str) -> None:
    with book() as found:
        found.execute("INSERT INTO entries VALUES (?)", (entry,))


class Page("""


def checked(folder):
    """Check a folder of this exercise."""
    return answer(QUALITIES, folder, STATE)


def judged(*shown):
    """Judge by which of the entries that two containers were given each of them shows."""
    check = runpy.run_path(str(LABS / "exercises" / STATE / "check.py"))
    east, west = (set(some) for some in check["AT_ONCE"])
    sets = {"east": east, "west": west, "all": east | west, "most": (east | west) - {min(east)}}
    return check["_judge"]([sets[name] for name in shown], "10001")


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (("east", "west"), "one shows 20 of them and the other 20"),
        (("west", "west"), "20 of them are lost"),
        (("most", "most"), "1 of them are lost"),
    ],
)
def test_what_two_containers_show_decides(shown, told):
    """Each has its own, or both have what the last one has written."""
    found = judged(*shown)

    assert Outcome.HINT == found.outcome
    assert told in found.sentence


def test_all_entries_in_both_is_what_passes():
    """Whoever keeps them."""
    assert Outcome.PASSED == judged("all", "all").outcome


@on_engine
def test_the_start_gets_a_hint():
    """It works, and its entries go with its container: the answer names the files."""
    found = checked("start")

    assert Outcome.HINT == found.outcome
    assert "of 3 entries the one in its place shows 0" in found.sentence
    assert "/app/book.pid and /app/book.txt" in found.sentence


@on_engine
def test_the_solution_passes():
    """In the volume, and read where it is asked for."""
    found = checked("solution")

    assert Outcome.PASSED == found.outcome
    assert "took 40 entries at the same time" in found.sentence


@on_engine
def test_what_the_volume_is_asked_for_gets_a_hint_each(turns):
    """It belongs to root; then the process number in it outlives the process, too."""
    dockerfile = turns / STATE / "start" / "Dockerfile"
    mend(dockerfile, ("BOOK=/app", "BOOK=/data"), ("PID_FILE=/app", "PID_FILE=/data"))
    foreign = checked("start")
    mend(dockerfile, ("mkdir /app && chown 10001:10001 /app", "install -o 10001 -d /data"))
    stale = checked("start")

    assert [Outcome.HINT, Outcome.HINT] == [foreign.outcome, stale.outcome]
    assert "It runs as user 10001:10001, and the volume belongs to user 0." in foreign.sentence
    assert "already running as process 1, says /data/book.pid" in stale.sentence


@on_engine
def test_to_become_root_gets_a_hint(turns):
    """Root may write to the volume, and does not start on a node that is asked for others."""
    dockerfile = turns / STATE / "start" / "Dockerfile"
    mend(dockerfile, ("BOOK=/app", "BOOK=/data"), ("USER 10001:10001\n", ""))
    found = checked("start")

    assert Outcome.HINT == found.outcome
    assert "its user has become 'root'" in found.sentence


@on_engine
def test_half_a_solution_gets_the_next_hint(turns):
    """The number of the process is still beside the code; then the entries still in memory."""
    folder = turns / STATE / "solution"
    shutil.copy(turns / STATE / "start" / "book.py", folder)
    mend(
        folder / "Dockerfile",
        ("mkdir /data && chown 10001:10001 /data", "install -o 10001 -d /app /data"),
        ("PID_FILE=/tmp", "PID_FILE=/app"),
    )
    locked = checked("solution")
    mend(folder / "Dockerfile", ("PID_FILE=/app", "PID_FILE=/tmp"))
    many = checked("solution")

    assert [Outcome.HINT, Outcome.HINT] == [locked.outcome, many.outcome]
    assert "with a read-only root file system" in locked.sentence
    assert "it had written /app/book.pid into" in locked.sentence
    assert "one shows 20 of them and the other 20" in many.sentence


@on_engine
def test_another_way_passes_too(turns):
    """A database in the volume, and no file that says what the engine knows."""
    book = turns / STATE / "solution" / "book.py"
    text = book.read_text(encoding="utf-8")
    before, after = text[: text.index("if PID_FILE.exists")], text[text.index("\n\nclass Page(") :]
    book.write_text(before + after.replace("\n\nclass Page(", IN_SQLITE, 1), encoding="utf-8")
    mend(
        book,
        ("BOOK.read_text().splitlines() if BOOK.exists() else []", "kept()"),
        ('with BOOK.open("a") as book:\n            book.write(f"{entry}\\n")', "add(entry)"),
    )

    assert Outcome.PASSED == checked("solution").outcome


@on_engine
def test_a_book_that_forgets_has_failed(turns):
    """Nothing to keep is no way to keep it."""
    book = turns / STATE / "solution" / "book.py"
    mend(book, ('with BOOK.open("a") as book:\n            book.write(f"{entry}\\n")', "pass"))
    found = checked("solution")

    assert Outcome.FAILED == found.outcome
    assert "does not show 3 of them" in found.sentence
