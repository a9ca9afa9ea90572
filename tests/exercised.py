"""How the exercises' tests check what a reader may have written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from proving import exercises
from proving.exercises import Answer
from proving.lab import Lab


def on_engine(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that builds and runs what a reader may have written."""
    marked: Callable[..., None] = pytest.mark.beside(_on_engine(test))
    return marked


def in_cluster(test: Callable[..., None]) -> Callable[..., None]:
    """Mark such a test that needs a cluster: all of them have the same, and run by themselves."""
    return _on_engine(pytest.mark.usefixtures("one_cluster")(test))


def _on_engine(test: Callable[..., None]) -> Callable[..., None]:
    marked: Callable[..., None] = pytest.mark.engine(
        pytest.mark.usefixtures("nothing_left", "turns")(test)
    )
    return marked


def answer(slug: str, folder: str, exercise: str = "") -> Answer:
    """Check a folder of a chapter's exercise, the first one without a name, in a lab of its own."""
    with Lab(slug) as lab:
        return exercises.check(lab, folder, exercise)


def mend(file: Path, *edits: tuple[str, str]) -> None:
    """Replace texts that a file has exactly once."""
    text = file.read_text(encoding="utf-8")
    for old, new in edits:
        assert 1 == text.count(old), old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
