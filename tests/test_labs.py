"""The committed labs: recorded by a clean run of what lies beside them, and nothing else."""

import json
import re

import pytest
from proving import claims, recorded
from proving.paths import LABS
from proving.prove import notebooks, proved_in

LAB_FILES = notebooks()
EXERCISES = sorted(path for path in (LABS / "exercises").iterdir() if path.is_dir())


@pytest.mark.parametrize("notebook", LAB_FILES, ids=lambda path: path.stem)
def test_the_record_is_what_the_run_gave(notebook):
    """No output was changed after the run, and nothing that decides the results was either."""
    lab = recorded.load(notebook)

    assert lab.intact, "its outputs differ from what was recorded: nox -s record"
    assert not lab.stale(claims.decides), "its sources changed since: nox -s record"


@pytest.mark.parametrize("notebook", LAB_FILES, ids=lambda path: path.stem)
def test_every_claim_is_recorded_and_holds(notebook):
    """A committed lab has a result for each of its claims, measured with the arms in place."""
    results = recorded.load(notebook).results

    assert {claim.id for claim in proved_in(notebook, None)} == set(results)
    for record in results.values():
        assert "holds" == record["verdict"]
        assert not record["exchanged"]


@pytest.mark.parametrize("notebook", LAB_FILES, ids=lambda path: path.stem)
def test_nothing_of_the_machine_is_in_a_record(notebook):
    """A record tells the engine and the bases, and no path of the machine that made it.

    What lies in a container's `/tmp` is none: the chapter's exercises name it themselves.
    """
    text = notebook.read_text(encoding="utf-8")
    turns = [LABS / "exercises" / name for name in claims.exercises_of(notebook.stem)]
    sources = [file.read_text("utf-8") for turn in turns for file in turn.rglob("*.py")]
    sources += [file.read_text("utf-8") for turn in turns for file in turn.rglob("Dockerfile")]

    assert str(LABS.parent) not in text
    for path in set(re.findall(r"/tmp/[\w.-]*", text)):
        assert any(path in source for source in sources), path


@pytest.mark.parametrize("notebook", LAB_FILES, ids=lambda path: path.stem)
def test_cells_name_claims_that_exist(notebook):
    """A cell that names no claim of the chapter would never be run by `-- P1`."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    named = {cell["metadata"]["claim"] for cell in cells if "claim" in cell["metadata"]}

    assert named == {claim.id for claim in proved_in(notebook, None)}


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda path: path.name)
def test_an_exercise_is_whole(exercise):
    """Each has a start, a solution and a check, for a lab that asks for it."""
    (notebook,) = LABS.glob(f"{exercise.name[:3]}*.ipynb")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    asked = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    again = "" if exercise.name == notebook.stem else f', "{exercise.name}"'
    assert f'lab.exercise("start"{again})' in asked
    assert (exercise / "check.py").is_file()
    for folder in ("start", "solution"):
        told = [path.name for path in (exercise / folder).iterdir()]
        assert any(name == "Dockerfile" or name.endswith(".yaml") for name in told)
