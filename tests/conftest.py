"""What several tests share: recorded answers of real engines, and an engine where one is needed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["PROVING_PROGRESS"] = "none"  # what tests prove is nobody's progress

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let all ten images be audited that people make (`test_audit_images.py`), and not only two."""
    parser.addoption("--every-image", action="store_true", help="audit all ten images")


@pytest.fixture
def answer() -> Callable[[str], Any]:
    """Return what a real engine answered: JSON as data, anything else as text."""

    def read(name: str) -> Any:
        text = (FIXTURES / name).read_text(encoding="utf-8")
        return json.loads(text) if name.endswith(".json") else text

    return read


@pytest.fixture
def engine() -> Any:
    """Return an engine, started where none runs."""
    from proving import engine

    return engine.find()


@pytest.fixture(scope="module")
def one_cluster() -> Iterator[None]:
    """Have one cluster for all tests of a module, since each would take a while to start."""
    from proving import cluster, engine

    with cluster.for_run(engine.find, True):
        yield


@pytest.fixture
def nothing_left(engine: Any) -> Iterator[None]:
    """Demand that the engine afterwards has what it had before, but for bases that were made.

    Tests that run beside others cannot tell whose it is: what they leave is found when all of them
    are over, by `test_faults.test_nothing_is_left_of_what_ran_before`.
    """
    from proving import bases, leftovers, prepare

    bases.ready(engine, prepare.roles_of_labs())
    if "PYTEST_XDIST_WORKER" in os.environ:
        yield
        return
    before = leftovers.inventory(engine.docker)
    yield
    after = leftovers.inventory(engine.docker)

    assert before == after


@pytest.fixture
def siblings(tmp_path: Path) -> tuple[Path, Path]:
    """Two build contexts of images that share a parent beside their base."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(
            "ARG SLIM=debian:13-slim\nFROM ${SLIM}\n"
            f"RUN echo a parent > /parent\nRUN echo {name} > /own\n",
            encoding="utf-8",
        )
    return tmp_path / "one", tmp_path / "two"


@pytest.fixture
def turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's working copy of the exercises, from which the check is run."""
    from proving.paths import LABS

    shutil.copytree(LABS / "exercises", tmp_path / "exercises")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "exercises"
