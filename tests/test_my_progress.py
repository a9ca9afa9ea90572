"""The reader's progress: kept whatever happens to the file, and never in the way of a lab."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from proving import claims, exercises, my_progress, my_progress_command, my_progress_told, terminal
from proving.errors import ClaimFailed, ProvingError
from proving.exercises import Answer, Outcome
from proving.lab import RUN_VARIABLE, Lab
from proving.paths import LABS, ROOT

P1, P2 = "P1", "P2"
LAB = "09-process-management"
HOLDS, FAILS = "holds", "does not hold"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a progress that a test may write."""
    path = tmp_path / "data" / "progress.jsonl"
    monkeypatch.setenv(my_progress.VARIABLE, str(path))
    monkeypatch.setattr(my_progress, "_told", set())
    return path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the time be what a test says."""

    def at(minute: int) -> None:
        monkeypatch.setattr(my_progress, "now", lambda: f"2026-11-28T10:{minute:02}:00Z")

    at(0)
    return at


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """Return a validator by the schema of exports."""
    return Draft202012Validator(json.loads(my_progress.SCHEMA.read_text(encoding="utf-8")))


def write(path: Path, *lines: str) -> None:
    """Write a file as something else has left it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


def test_nothing_is_kept_at_first(kept):
    """And the file is not made by looking."""
    assert {} == my_progress.read().claims
    assert not kept.exists()


def test_what_was_proved_once_stays_proved(kept, clock):
    """The last run is told beside it."""
    for minute, verdict in enumerate([FAILS, HOLDS, FAILS]):
        clock(minute)
        my_progress.note_claim(P1, verdict, "26.1.5")
    entry = my_progress.read().claims[P1]

    assert ("2026-11-28T10:01:00Z", FAILS, "2026-11-28T10:02:00Z", "26.1.5") == (
        entry.done_at,
        entry.outcome,
        entry.last_at,
        entry.engine,
    )


def test_only_the_reader_can_read_it(kept):
    """Whatever the umask is."""
    my_progress.note_exercise(LAB, "passed", "26.1.5")

    assert 0o600 == stat.S_IMODE(kept.stat().st_mode)


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[1]",
        "null",
        '{"kind": "claim"}',
        '{"kind": "claim", "at": 3, "id": "P1", "outcome": "holds", "engine": ""}',
        '{"kind": "claim", "at": "2026-11-28", "id": "P1", "outcome": "holds", "engine": ""}',
        '{"kind": "claim", "at": "2026-99-28T10:00:00Z", "id": "P1", "outcome": "holds", '
        '"engine": ""}',
        '{"kind": "claim", "at": "2026-11-28T10:00:00Z", "id": "<b>", "outcome": "holds", '
        '"engine": ""}',
        '{"kind": "claim", "at": "2026-11-28T10:00:00Z", "id": "P1", "outcome": "won", '
        '"engine": ""}',
        '{"kind": "other", "at": "2026-11-28T10:00:00Z"}',
        "[" * 100_000,
        "\x00\x00\x00",
    ],
)
def test_a_damaged_line_costs_itself_alone(kept, line):
    """What comes before and after it is kept, and the damage is told."""
    my_progress.note_claim(P1, HOLDS, "26.1.5")
    with kept.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}")
    my_progress.note_claim(P2, HOLDS, "26.1.5")
    progress = my_progress.read()

    assert {P1, P2} == set(progress.claims)
    assert 1 == progress.damaged
    assert "1 lines of it could not be read" in my_progress_told.where_text(progress)


def test_a_file_that_is_no_text_at_all(kept):
    """It is written on, and not taken for anything."""
    kept.parent.mkdir()
    kept.write_bytes(bytes(range(256)) * 10)
    my_progress.note_claim(P1, HOLDS, "26.1.5")

    assert {P1} == set(my_progress.read().claims)


def test_half_a_line_is_ended_by_the_next(kept):
    """As a full disk or a power cut leaves it."""
    my_progress.note_claim(P1, HOLDS, "26.1.5")
    my_progress.note_claim(P2, HOLDS, "26.1.5")
    kept.write_bytes(kept.read_bytes()[:-20])
    my_progress.note_exercise(LAB, "passed", "26.1.5")
    progress = my_progress.read()

    assert [P1] == list(progress.claims)
    assert [LAB] == list(progress.exercises)


def test_kernels_that_write_at_once(kept):
    """Not one event is lost, nor two mixed."""
    many = (
        "from proving import my_progress\n"
        "import sys\n"
        "for number in range(300):\n"
        "    my_progress.note_claim(f'{sys.argv[1]}{number}', 'holds', 'x' * 80)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(LABS)}
    kernels = [
        subprocess.Popen([sys.executable, "-c", many, letter], env=environment)
        for letter in ("A", "B", "C")
    ]
    assert [0, 0, 0] == [kernel.wait() for kernel in kernels]
    progress = my_progress.read()

    assert (900, 0) == (len(progress.claims), progress.damaged)


@pytest.mark.parametrize("place", ["/dev/full", "/proc/nobody/progress", "{tmp}/file/progress"])
def test_a_file_that_cannot_be_written_is_told_once(kept, tmp_path, monkeypatch, capsys, place):
    """A full disk among others: a lab goes on."""
    if not Path(place).exists() and place == "/dev/full":
        pytest.skip("this system has no disk that is always full")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(my_progress.VARIABLE, place.format(tmp=tmp_path))
    my_progress.note_claim(P1, HOLDS, "26.1.5")
    my_progress.note_claim(P1, HOLDS, "26.1.5")

    assert 1 == capsys.readouterr().err.count("could not be kept")


def test_a_write_that_ends_early_is_told(kept, monkeypatch, capsys):
    """What was written of it is ended by the next line."""
    write_all = os.write
    monkeypatch.setattr(my_progress.os, "write", lambda file, text: write_all(file, text[:9]))
    my_progress.note_claim(P1, HOLDS, "26.1.5")
    monkeypatch.undo()
    os.environ[my_progress.VARIABLE] = str(kept)
    my_progress.note_claim(P2, HOLDS, "26.1.5")
    progress = my_progress.read()
    os.environ[my_progress.VARIABLE] = my_progress.NONE

    assert "disk is full" in capsys.readouterr().err
    assert ([P2], 1) == (list(progress.claims), progress.damaged)


def test_it_lies_in_the_data_folder(monkeypatch, tmp_path):
    """Outside of any checkout, unless it is named or not wanted."""
    monkeypatch.delenv(my_progress.VARIABLE)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    usual = my_progress.file()
    monkeypatch.setenv(my_progress.VARIABLE, my_progress.NONE)

    assert usual is not None
    assert ROOT not in usual.parents
    assert ("proving-ground", "progress.jsonl") == usual.parts[-2:]
    assert my_progress.file() is None
    my_progress.note_claim(P1, HOLDS, "26.1.5")
    assert my_progress.Progress() == my_progress.read()


# -- where it is written -----------------------------------------------------


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab without an engine, whose cards go nowhere."""
    monkeypatch.delenv(RUN_VARIABLE, raising=False)
    opened = Lab.__new__(Lab)
    opened.slug, opened.exchanged, opened._began = "a-test", False, {}
    told = {"engine_version": "26.1.5"}
    monkeypatch.setattr(Lab, "_environment", lambda *_: told)
    opened.engine = type("E", (), {"description": type("D", (), told)})()  # type: ignore[assignment]
    monkeypatch.setattr("proving.lab._display", lambda _: None)
    monkeypatch.setattr("proving.show.card_html", lambda *_: "")
    monkeypatch.setattr("proving.show.card_text", lambda *_: "")
    return opened


def judge(monkeypatch: pytest.MonkeyPatch, lab: Lab, verdict: str) -> None:
    """Have the lab come to a verdict on P1."""
    judgement = claims.Judgement(claims.Verdict(verdict), "So it is.")
    monkeypatch.setattr(claims, "judge", lambda *_: judgement)
    lab.claim(P1, bad={}, good={})


def test_a_lab_notes_what_a_claim_came_to(monkeypatch, kept, lab):
    """Whether it holds or not."""
    judge(monkeypatch, lab, HOLDS)
    with pytest.raises(ClaimFailed):
        judge(monkeypatch, lab, FAILS)
    entry = my_progress.read().claims[P1]

    assert entry.done_at
    assert (FAILS, "26.1.5") == (entry.outcome, entry.engine)


@pytest.mark.parametrize("whose", ["the runner", "teeth"])
def test_the_runner_of_the_labs_notes_nothing(monkeypatch, kept, lab, whose):
    """What a regression run proves, the reader has not."""
    if whose == "teeth":
        lab.exchanged = True
    else:
        monkeypatch.setenv(RUN_VARIABLE, "a-run")
    judge(monkeypatch, lab, HOLDS)

    assert not kept.exists()


@pytest.mark.parametrize(
    ("folder", "outcome", "found"),
    [
        ("start", Outcome.PASSED, True),
        ("start", Outcome.HINT, False),
        ("solution", Outcome.PASSED, None),
    ],
)
def test_an_exercise_counts_in_the_readers_own_folder(
    monkeypatch, kept, lab, folder, outcome, found
):
    """Running the solution is no pass."""
    monkeypatch.setattr(exercises, "check", lambda *_: Answer(outcome, "So it is."))
    lab.exercise(folder)
    entry = my_progress.read().exercises.get("a-test")

    assert found == (None if entry is None else bool(entry.done_at))


def test_each_exercise_of_a_lab_is_kept_by_its_own_name(monkeypatch, kept, lab):
    """Passing the second one says nothing of the first."""
    monkeypatch.setattr(exercises, "check", lambda *_: Answer(Outcome.PASSED, "So it is."))
    lab.exercise("start", "00-another")

    assert ["00-another"] == list(my_progress.read().exercises)


def test_a_lab_goes_on_where_nothing_can_be_kept(monkeypatch, kept, lab, capsys):
    """It is told, and that is all."""
    monkeypatch.setenv(my_progress.VARIABLE, "/proc/nobody/progress")
    judge(monkeypatch, lab, HOLDS)

    assert "All else goes on" in capsys.readouterr().err


# -- in and out --------------------------------------------------------------


@pytest.fixture
def some(kept: Path, clock: Any) -> my_progress.Progress:
    """A progress with something of everything."""
    my_progress.note_name("Ada")
    my_progress.note_preflight("1ETV-9AB2-7HQX")
    my_progress.note_claim(P1, HOLDS, "26.1.5")
    my_progress.note_claim(P2, FAILS, "26.1.5")
    my_progress.note_exercise(LAB, "passed", "26.1.5")
    clock(1)
    my_progress.note_claim(P1, FAILS, "28.5.2")
    my_progress.note_exercise("04-layer-size", "not yet", "28.5.2")
    return my_progress.read()


def test_an_export_follows_its_schema(schema, some):
    """An empty one as well."""
    schema.check_schema(schema.schema)

    assert [] == list(schema.iter_errors(my_progress.export(some)))
    assert [] == list(schema.iter_errors(my_progress.export(my_progress.Progress())))


def test_an_export_has_nothing_else(some, tmp_path):
    """No host, no user, no path: what a trainer may see is listed in the schema."""
    my_progress.write_export(tmp_path / "mine.json")
    text = (tmp_path / "mine.json").read_text(encoding="utf-8")
    told = json.loads(text)

    assert {"format", "exported_at", "name", "preflight", "claims", "exercises"} == set(told)
    for private in (os.uname().nodename, str(Path.home()), str(tmp_path)):
        assert private not in text


def test_an_export_is_taken_in_again(kept, some, tmp_path):
    """Whole, and once: a second time there is nothing new."""
    my_progress.write_export(tmp_path / "mine.json")
    kept.unlink()
    first = my_progress.take_in(tmp_path / "mine.json")

    assert 7 == first
    assert some == my_progress.read()
    assert 0 == my_progress.take_in(tmp_path / "mine.json")


def test_two_machines_are_merged(kept, some, tmp_path, clock):
    """What was proved on either is proved; the name stays the one that was given here."""
    my_progress.write_export(tmp_path / "mine.json")
    my_progress.forget()
    clock(5)
    my_progress.note_name("Ada at home")
    my_progress.note_claim(P2, HOLDS, "26.1.5")
    my_progress.take_in(tmp_path / "mine.json")
    merged = my_progress.read()

    assert [P1, P2] == sorted(name for name, entry in merged.claims.items() if entry.done_at)
    assert (HOLDS, "Ada at home") == (merged.claims[P2].outcome, merged.name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"format": "proving-ground.progress/2"}',
        '{"format": "proving-ground.preflight/1"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_export_is_not_taken_in(kept, tmp_path, text):
    """And nothing is changed."""
    (tmp_path / "other.json").write_text(text, encoding="utf-8")

    with pytest.raises(ProvingError, match="no export"):
        my_progress.take_in(tmp_path / "other.json")
    assert not kept.exists()


def test_another_file_is_not_written_over(some, tmp_path):
    """An earlier export is."""
    path = tmp_path / "mine.json"
    my_progress.write_export(path)
    my_progress.write_export(path)
    path.write_text("a letter", encoding="utf-8")

    with pytest.raises(ProvingError, match="no export of your progress"):
        my_progress.write_export(path)
    assert "a letter" == path.read_text(encoding="utf-8")
    assert ["mine.json"] == [one.name for one in tmp_path.iterdir() if one.name != "data"]


def test_an_export_that_cannot_be_written_is_told(some, tmp_path):
    """With the reason."""
    with pytest.raises(ProvingError, match="Name another file"):
        my_progress.write_export(tmp_path / "nowhere" / "mine.json")


# -- the command -------------------------------------------------------------


def test_the_command_shows_exports_and_forgets(some, kept, tmp_path, capsys):
    """Each option does what it says."""
    path = tmp_path / "mine.json"

    assert 0 == my_progress_command.main([])
    assert "Progress of Ada" in capsys.readouterr().out
    assert 0 == my_progress_command.main(["--name", "Ada  Lovelace", "--export", str(path)])
    assert "Ada Lovelace" == json.loads(path.read_text(encoding="utf-8"))["name"]
    assert 0 == my_progress_command.main(["--json"])
    assert "Ada Lovelace" == json.loads(capsys.readouterr().out)["name"]
    assert 0 == my_progress_command.main(["--forget", "--yes"])
    assert not kept.exists()
    assert 0 == my_progress_command.main(["--import", str(path)])
    assert "Ada Lovelace" == my_progress.read().name


def test_forgetting_is_asked_for(some, kept, monkeypatch, capsys):
    """Where nobody answers, it is kept."""
    monkeypatch.setattr("builtins.input", lambda _: "n")

    assert 1 == my_progress_command.main(["--forget"])
    assert kept.exists()


@pytest.mark.parametrize("arguments", [["--name", "Ada"], ["--import", "FILE"], ["--forget"]])
def test_where_none_is_kept_nothing_is_said_to_be(some, tmp_path, monkeypatch, capsys, arguments):
    """Neither taken in, nor named, nor asked about."""
    path = tmp_path / "mine.json"
    my_progress.write_export(path)
    monkeypatch.setenv(my_progress.VARIABLE, my_progress.NONE)
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("it was asked"))
    status = my_progress_command.main([str(path) if w == "FILE" else w for w in arguments])

    assert 1 == status
    assert my_progress.VARIABLE in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x" * 81, "a\x1b[31m", "a\u202eb"])
def test_a_name_is_one_short_line(name):
    """That steers no terminal."""
    with pytest.raises(SystemExit):
        my_progress_command.main(["--name", name])


# -- how it is shown ---------------------------------------------------------


def test_every_chapter_with_a_lab_is_shown(some):
    """With its claims and exercises, whatever was tried."""
    told = my_progress_told.chapters(some)
    chapter = next(one for one in told if one.slug == LAB)
    proved = {one.chapter for one in claims.load().values() if one.proved_by_a_lab}

    assert proved == {one.slug for one in told}
    assert (1, 1) == (chapter.proved, chapter.passed)
    assert LAB in chapter.exercises


def test_the_page_tells_how_each_stands(some):
    """In words and by symbols, without a style sheet; every claim leads to its card."""
    html = my_progress_told.html(some, "/site/{}".format)

    assert f'href="/site/chapters/{LAB}.html#claim-P1"' in html
    assert "P1: proved" in html
    assert "P2: does not hold" in html
    assert "P3: not tried yet" in html
    assert "◐ your turn: not yet" in html
    assert "<script" not in html


def test_an_exercise_is_told_by_its_title(some):
    """The second of a chapter is not taken for the first, on the page and on a terminal."""
    my_progress.note_exercise("04-daily-release", "passed", "26.1.5")
    progress = my_progress.read()
    told = my_progress_told.chapters(progress)
    chapter = next(one for one in told if one.slug == "04-layer-size")
    told = ["◐ your turn: not yet", "● your turn again: passed"]

    assert told == my_progress_told.exercise_texts(chapter)
    assert "<br>".join(told) in my_progress_told.html(progress, str)


def test_a_third_exercise_is_told_by_its_name():
    """A page has no title of its own for it."""
    chapter = my_progress_told.Chapter(LAB, {}, dict.fromkeys((LAB, "09-b", "09-c")))

    assert "○ 09-c: not tried yet" == my_progress_told.exercise_texts(chapter)[2]


@pytest.mark.parametrize(
    ("width", "bars", "columns"),
    [(100, True, True), (80, True, True), (60, False, True), (44, False, False)],
)
def test_no_word_is_cut_on_a_narrow_terminal(some, width, bars, columns):
    """First the bars go, and then the columns; a line says its exercise on each."""
    told = terminal.text_of(my_progress_told.report(some), width=width)
    lines = told.split("claims proved")[0].splitlines()

    assert max(map(len, lines)) <= width
    assert bars == ("▱" in told)
    assert columns == ("9 · Process management: 1 of" not in told)
    assert sum(len(one.exercises) for one in my_progress_told.chapters(some)) == sum(
        bool(re.search(r"[○◐▲●] your turn( again)?: (not tried yet|not yet|passed)$", line))
        for line in lines
    )


def test_a_name_is_no_markup(kept):
    """On the page, where it is shown."""
    my_progress.note_name("<img src=x>")

    assert "<img" not in my_progress_told.html(my_progress.read(), str)


def test_the_site_has_the_place_for_it():
    """The page of the guide that the server looks for, with the marks between which it writes."""
    from proving import serve

    page = (ROOT / serve.PROGRESS_PAGE).with_suffix(".md").read_text(encoding="utf-8")

    assert serve._PROGRESS.search(page)
