"""What is made ready beforehand: the wheels of every list, and the labs' servers, side by side."""

from types import SimpleNamespace

import pytest
from proving import prepare
from proving.errors import ProvingError
from proving.paths import LABS

ENGINE = SimpleNamespace(description=SimpleNamespace(architecture="arm64"))


@pytest.fixture
def made(monkeypatch):
    """What was made ready, in place of making it."""
    made = []
    monkeypatch.setattr(prepare, "_servers_built", lambda: made.append("server"))
    monkeypatch.setattr(
        prepare.wheels, "ready", lambda file, architecture, _: made.append((file, architecture))
    )
    return made


def test_every_list_of_python_packages_in_a_lab_or_a_solution_is_known():
    """A lab that installs by pip has its list in the context of its arms."""
    listed = [path.relative_to(LABS).as_posix() for path in prepare.requirements_of_labs()]

    assert [
        "images/L2/context/requirements.txt",
        "images/L6/context/requirements.txt",
        "exercises/03-layers-and-cache/solution/requirements.txt",
    ] == listed


def test_an_exercise_begins_with_the_packages_that_its_solution_has():
    """So that the wheels of the solution are enough for the reader's turn."""
    for solution in (LABS / "exercises").glob("*/solution/requirements.txt"):
        start = solution.parents[1] / "start" / solution.name

        assert solution.read_text("utf-8") == start.read_text("utf-8")


def test_wheels_and_server_are_made_ready_for_the_engine(made):
    """For its architecture, which need not be that of this machine."""
    prepare.packages(ENGINE)

    files = [(path, "arm64") for path in prepare.requirements_of_labs()]
    assert "server" in made
    assert files == [one for one in made if one != "server"]


def test_the_server_is_built_although_a_wheel_cannot_be_had(made, monkeypatch):
    """One of them is better than none, and the sentence is not lost."""

    def unreachable(*_):
        raise ProvingError("The wheels cannot be had.")

    monkeypatch.setattr(prepare.wheels, "ready", unreachable)
    with pytest.raises(ProvingError, match="The wheels cannot be had"):
        prepare.packages(ENGINE)

    assert ["server"] == made
