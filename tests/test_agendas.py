"""Agendas: their minutes add up, and what cannot be held is told in a sentence."""

from pathlib import Path

import pytest
import yaml
from proving import agendas, deck
from proving.agendas import AgendaError
from proving.paths import ROOT

NAMES = sorted(path.stem for path in agendas.FOLDER.glob("*.yaml"))


@pytest.fixture
def changed(tmp_path: Path):
    """Load an agenda of one day after a change to it."""

    def load(change, root=ROOT):
        parts = [
            {"opening": 5},
            {"chapter": "09-process-management", "sections": {"P1": 10, "P2": {"minutes": 5}}},
            {"lab": "09-process-management", "claims": ["P1"], "minutes": 5},
            {"break": 5},
        ]
        day = {"starts": "09:00", "minutes": 30, "parts": parts}
        agenda = {"title": "30 minutes", "about": "A test.", "minutes": 30, "days": [day]}
        change(agenda, day, parts)
        (tmp_path / "one.yaml").write_text(yaml.safe_dump(agenda, sort_keys=False), "utf-8")
        return agendas.load("one", tmp_path, root)

    return load


@pytest.mark.parametrize("name", NAMES)
def test_every_agenda_can_be_held(name):
    """Its minutes add up, its chapters, labs and claims exist, and every day has a break."""
    agenda = agendas.load(name)

    assert agenda.minutes == sum(item.minutes for item in agenda.items())
    assert all(any(item.kind == "break" for item in day.items) for day in agenda.days)
    assert any(item.cut for item in agenda.items())
    assert not any("number" in item.late for item in agenda.items())


def test_there_are_agendas_for_ninety_minutes_half_a_day_and_two_days():
    """They are told with the shortest first."""
    assert ["90-minutes", "half-day", "two-days"] == agendas.names()


def test_an_item_begins_when_the_one_before_it_has_ended(changed):
    """Times of day are counted from the beginning of the day, the breaks included."""
    day = changed(lambda *_: None).days[0]

    assert ["09:00", "09:05", "09:15", "09:20", "09:25"] == [f"{at:%H:%M}" for at, _ in day.times()]


def test_a_second_exercise_belongs_to_the_chapter_of_its_number(tmp_path, changed):
    """It is told as such, and its slides come from a section of its own."""
    for path in ("labs/exercises/09-another", "chapters"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "chapters" / "09-process-management.md").touch()
    (tmp_path / "labs" / "claims.toml").symlink_to(ROOT / "labs" / "claims.toml")

    def only_exercises(_agenda, _day, parts):
        parts[:] = [{"exercise": "09-another", "minutes": 30}]

    item = changed(only_exercises, root=tmp_path).items()[0]

    assert ("09-process-management", "09-another") == (item.chapter, item.exercise)
    assert "Your turn again: Processes" == item.words("Processes")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda agenda, day, parts: parts.append({"break": 5}), "35 .* 30 .* 5 too many"),
        (lambda agenda, day, parts: parts.pop(), "25 .* 30 .* 5 too few"),
        (lambda agenda, day, parts: agenda.update(minutes=40), "all days: .* do not add up"),
        (lambda agenda, day, parts: agenda.update(title="90 minutes"), "against its title"),
        (lambda agenda, day, parts: day.update(starts="nine"), "day 1: .*time of day"),
        (lambda agenda, day, parts: day.update(lunch=3), "day 1: 'lunch' is not known"),
        (lambda agenda, day, parts: parts[3].update({"break": 2.5}), "part 4: .*whole number"),
        (lambda agenda, day, parts: parts[3].update(opening=1), "part 4: .*exactly one of"),
        (lambda agenda, day, parts: parts[1].update(chapter="99-x"), "no chapter '99-x'"),
        (lambda agenda, day, parts: parts[2].update(lab="99-x"), "no lab '99-x'; there are 01-"),
        (lambda agenda, day, parts: parts[2].update(claims=["S1"]), "has no claim 'S1'"),
        (lambda agenda, day, parts: _hurry(parts), "lab has 1 minutes, and .* took"),
        (lambda agenda, day, parts: parts[2].update(exercise="99"), "exactly one of"),
        (
            lambda agenda, day, parts: parts[1]["sections"]["P2"].update(show=["song"]),
            "section P2: 'song' cannot be shown",
        ),
        (lambda agenda, day, parts: parts[1].update(sections=[]), "must name sections"),
        (lambda agenda, day, parts: agenda.update(days=[]), "'days' must be a list"),
    ],
)
def test_what_cannot_be_held_is_told_with_its_place(changed, change, words):
    """The sentence names the file, the place and the difference."""
    with pytest.raises(AgendaError, match=words):
        changed(change)


def _hurry(parts):
    """Give all claims of the lab one minute; what it loses, the break gets."""
    parts[2].update(minutes=1, claims=[])
    parts[3]["break"] = 9


def test_an_unknown_agenda_is_told_with_those_there_are(capsys):
    """The command ends with status 1, and makes nothing."""
    assert deck.main(["full-moon"]) == 1
    assert "no agenda 'full-moon'" in (told := capsys.readouterr().err)
    assert all(name in told for name in NAMES)


@pytest.mark.parametrize("name", ["../agendas/half-day", "workshop/agendas/half-day.yaml", ""])
def test_a_path_is_no_name_of_an_agenda(name):
    """A deck's folder bears the name, and lies beside those of the other decks."""
    with pytest.raises(AgendaError, match="there are 90-minutes, half-day, two-days"):
        agendas.load(name)


def test_an_agenda_may_be_named_by_its_file():
    """As a shell completes it; it is the same agenda."""
    assert agendas.load("half-day") == agendas.load("half-day.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: [\n", "line 2, column 1: .* found '<stream end>'"),
        ("title: A test\nabout: a: b\n", "line 2, column 9: .* mapping values are not allowed"),
        ("title: A test\n\tabout: x\n", "line 2, column 1: .* cannot start any token"),
        ("title: A test\nabout: *it\n", "line 2, column 8: .* undefined alias 'it'"),
        ("title: A test\nabout: a\x01b\n", "line 2, column 9: .* special characters"),
        ("title: A test\nabout: 2026-99-99\n", "one.yaml: .* month must be in"),
    ],
)
def test_a_file_that_is_no_yaml_is_told(tmp_path, text, words):
    """A slip of the keyboard ends in one sentence, with its line and its column."""
    (tmp_path / "one.yaml").write_text(text, "utf-8")

    with pytest.raises(AgendaError, match=words) as told:
        agendas.load("one", tmp_path)

    assert "\n" not in str(told.value)


def test_a_file_that_is_no_text_is_told(tmp_path):
    """Such as one that an office program has saved."""
    (tmp_path / "one.yaml").write_bytes(b"\xd0\xcf\x11\xe0")

    with pytest.raises(AgendaError, match=r"one\.yaml: this cannot be read as YAML: .*utf-8"):
        agendas.load("one", tmp_path)


def test_every_chapter_has_questions_with_answers():
    """A question is a line, and its answer the line behind it."""
    page = (ROOT / "guide" / "trainers-questions.md").read_text("utf-8")

    for notebook in (ROOT / "labs").glob("[0-9]*.ipynb"):
        _, found, rest = page.partition(f"(questions-{notebook.stem})=")
        assert found, notebook.stem
        assert rest.partition("\n(questions-")[0].count("?\n: ") >= 2
