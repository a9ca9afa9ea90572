"""The reader's turn: every start fails with its reason, every solution passes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from proving import exercises
from proving.exercises import Answer, Outcome
from proving.lab import Lab
from proving.paths import LABS

SLUG = "09-process-management"


@pytest.fixture
def turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's working copy of the exercises, from which the check is run."""
    shutil.copytree(LABS / "exercises", tmp_path / "exercises")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "exercises" / SLUG


def answer(folder: str) -> Answer:
    """Check a folder of the exercise in a lab of its own."""
    with Lab(SLUG) as lab:
        return exercises.check(lab, folder)


pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("nothing_left")]


def test_the_start_fails_with_its_reason(turn):
    """TERM does not reach the application: the answer names PID 1."""
    found = answer("start")

    assert Outcome.FAILED == found.outcome
    assert "PID 1 is `/bin/sh -c /app/entrypoint.sh`" in found.sentence


def test_the_solution_passes(turn):
    """A graceful stop, and no zombies."""
    assert Outcome.PASSED == answer("solution").outcome


def test_half_a_solution_gets_a_hint(turn):
    """With the signals mended alone, the shell that was reaping is gone: zombies show."""
    dockerfile, script = turn / "start" / "Dockerfile", turn / "start" / "entrypoint.sh"
    text = dockerfile.read_text(encoding="utf-8")
    dockerfile.write_text(text.replace("CMD /app/entrypoint.sh", 'CMD ["/app/entrypoint.sh"]'))
    text = script.read_text(encoding="utf-8")
    script.write_text(text.replace("python /app/app.py", "exec python /app/app.py"))
    found = answer("start")

    assert Outcome.HINT == found.outcome
    assert "zombies" in found.sentence


def test_a_dockerfile_that_does_not_build_is_an_answer(turn):
    """The reader sees the step that broke, not a traceback."""
    dockerfile = turn / "start" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text(encoding="utf-8") + "RUN false\n")
    found = answer("start")

    assert Outcome.FAILED == found.outcome
    assert "RUN false" in found.sentence
