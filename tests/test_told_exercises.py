"""What the guide's pages tell of the exercises: none is left out, nor taken for another."""

from __future__ import annotations

import json
import re
import runpy

import pytest
from proving import claims
from proving.paths import LABS, ROOT

CHAPTERS = sorted(path.stem for path in LABS.glob("[0-9]*.ipynb"))
TITLES = ("Your turn", "Your turn again")


def rows(page: str) -> list[list[str]]:
    """Return the cells of the rows of a page that begin with a chapter's number."""
    text = (ROOT / "guide" / page).read_text(encoding="utf-8")
    lines = re.findall(r"^\| (\d+ \| .+) \|$", text, re.MULTILINE)
    return [line.split(" | ") for line in lines]


def installs(exercise: str) -> bool:
    """Tell whether a Dockerfile of an exercise, as it is or as it is solved, installs packages."""
    files = (LABS / "exercises" / exercise).rglob("Dockerfile")
    return any(re.search("(apt-get|pip) install", file.read_text("utf-8")) for file in files)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_an_exercise_has_what_contributors_are_asked_for(chapter):
    """Two folders and a check, a section of the chapter's page, and a cell of its notebook."""
    page = (ROOT / "chapters" / f"{chapter}.md").read_text(encoding="utf-8")
    cells = json.loads((LABS / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = {"".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}

    for title, exercise in zip(TITLES, claims.exercises_of(chapter), strict=True):
        folder = LABS / "exercises" / exercise
        section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        own = "" if exercise == chapter else f', "{exercise}"'
        assert all((folder / name).is_dir() for name in ("start", "solution"))
        assert {"check", "check_folder"} & runpy.run_path(str(folder / "check.py")).keys()
        assert ":::{dropdown} A hint" in section
        assert f"/labs/exercises/{exercise}/solution/" in section
        assert f'lab.exercise("start"{own})' in code


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_trainers_are_told_what_goes_wrong_in_each_exercise(chapter):
    """In the second one of a chapter as well as in the first."""
    second = claims.exercises_of(chapter)[1:]
    told = [what for number, what, _ in rows("trainers-labs.md") if int(number) == int(chapter[:2])]

    assert bool(second) == any(what.startswith("exercise again: ") for what in told)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_which_exercises_need_packages(chapter):
    """A room without a network is not sent into one that installs them."""
    found = [row[1:] for row in rows("how-to-run.md") if int(row[0]) == int(chapter[:2])]
    ((without, with_packages),) = (row for row in found if len(row) == 2)

    for title, exercise in zip(TITLES, claims.exercises_of(chapter), strict=True):
        told, other = (with_packages, without) if installs(exercise) else (without, with_packages)
        quoted = f'"{title}"'
        assert quoted in told or told.startswith("all of it"), exercise
        assert quoted not in other, exercise
