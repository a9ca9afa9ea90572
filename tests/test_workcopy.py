"""The reader's working copy: it follows the repository, and no edit is ever lost."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from local_server import LAB, cell, make_guide, write_notebook
from nbformat.sign import NotebookNotary
from proving import workcopy
from proving.errors import ProvingError
from proving.workcopy import CopiedFile, State

NOTEBOOK = f"{LAB}.ipynb"
EXERCISE = "exercises/process-management/start/Dockerfile"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_guide(tmp_path / "root")


@pytest.fixture
def copied(root: Path) -> Path:
    workcopy.prepare(root)
    return root


def edit(path: Path, source: str = "mine = True") -> bytes:
    """Edit a notebook as a reader does and return what it is then."""
    write_notebook(path, cell(source))
    return path.read_bytes()


def run(path: Path) -> bytes:
    """Run a notebook as a reader does, without a change to its sources."""
    notebook: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for each in notebook["cells"]:
        each["execution_count"] = 7
        each["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["mine\n"]}]
    path.write_text(json.dumps(notebook), "utf-8")
    return path.read_bytes()


def new_version(root: Path) -> bytes:
    """Commit a new version of the notebook and return it."""
    return edit(root / "labs" / NOTEBOOK, "version = 2")


def state_of(files: tuple[CopiedFile, ...], path: str = NOTEBOOK) -> CopiedFile:
    (found,) = (file for file in files if file.path == path)
    return found


def test_first_start_copies_everything(root: Path) -> None:
    """Notebooks and exercises are copied, byte by byte and with their modes."""
    script = root / "labs" / "exercises" / "process-management" / "start" / "run"
    script.write_text("#!/bin/sh\n", "utf-8")
    script.chmod(0o755)

    files = workcopy.prepare(root)

    assert {file.state for file in files} == {State.NEW}
    assert [file.path for file in files] == sorted([NOTEBOOK, EXERCISE, f"{EXERCISE[:-10]}run"])
    for file in files:
        committed, copy = root / "labs" / file.path, root / "work" / file.path
        assert copy.read_bytes() == committed.read_bytes()
        assert copy.stat().st_mode == committed.stat().st_mode


def test_second_start_changes_nothing(copied: Path) -> None:
    """A start without changes leaves every file as it is."""
    files = workcopy.prepare(copied)

    assert {file.state for file in files} == {State.CURRENT}


def test_edit_survives_a_restart(copied: Path) -> None:
    """What a reader wrote is there after the next start."""
    mine = edit(copied / "work" / NOTEBOOK)

    files = workcopy.prepare(copied)

    assert state_of(files).state is State.KEPT
    assert (copied / "work" / NOTEBOOK).read_bytes() == mine


def test_untouched_copy_follows_the_repository(copied: Path) -> None:
    """A copy that nobody touched becomes the new version."""
    new = new_version(copied)

    files = workcopy.prepare(copied)

    assert state_of(files).state is State.REFRESHED
    assert (copied / "work" / NOTEBOOK).read_bytes() == new


def test_run_copy_follows_and_the_run_is_kept(copied: Path) -> None:
    """Running is not editing: the copy follows, and the reader's outputs lie under `earlier`."""
    mine = run(copied / "work" / NOTEBOOK)
    new = new_version(copied)

    file = state_of(workcopy.prepare(copied))

    assert file.state is State.RERUN
    assert (copied / "work" / NOTEBOOK).read_bytes() == new
    assert file.beside
    assert (copied / "work" / file.beside).read_bytes() == mine


@pytest.mark.parametrize("path", [NOTEBOOK, EXERCISE])
def test_both_changed_keeps_both(copied: Path, path: str) -> None:
    """Where reader and repository both changed, the new version lies beside the reader's, once."""
    (copied / "work" / path).write_text("mine", "utf-8")
    (copied / "labs" / path).write_text("new", "utf-8")

    first = state_of(workcopy.prepare(copied), path)
    second = state_of(workcopy.prepare(copied), path)

    assert [first.state, second.state] == [State.BOTH_CHANGED, State.KEPT]
    assert (copied / "work" / path).read_text("utf-8") == "mine"
    assert first.beside
    assert (copied / "work" / first.beside).read_text("utf-8") == "new"


def test_version_put_beside_is_never_overwritten(copied: Path) -> None:
    """A reader who goes on in the version put beside keeps it, too."""
    contents = []
    for number in ("2", "3"):
        (copied / "work" / EXERCISE).write_text(f"mine {number}", "utf-8")
        (copied / "labs" / EXERCISE).write_text(f"new {number}", "utf-8")
        beside = state_of(workcopy.prepare(copied), EXERCISE).beside
        assert beside
        contents.append(copied / "work" / beside)

    assert [path.read_text("utf-8") for path in contents] == ["new 2", "new 3"]


def test_copies_put_beside_are_no_labs(copied: Path) -> None:
    """Only notebooks of the guide's own names count as labs."""
    edit(copied / "work" / NOTEBOOK)
    new_version(copied)
    workcopy.prepare(copied)

    assert (copied / "work" / f"{LAB}.new.ipynb").exists()
    assert workcopy.notebooks(copied / "work") == (LAB,)


def test_readers_own_file_in_the_way_is_kept(root: Path) -> None:
    """A file that the reader had before the guide had one of that name stays."""
    (root / "work").mkdir()
    mine = edit(root / "work" / NOTEBOOK)

    file = state_of(workcopy.prepare(root))

    assert file.state is State.BOTH_CHANGED
    assert (root / "work" / NOTEBOOK).read_bytes() == mine


def test_lost_record_of_origins_loses_no_edit(copied: Path) -> None:
    """Without its own notes, the copy is still not written over."""
    mine = edit(copied / "work" / NOTEBOOK)
    (copied / "work" / ".origins.json").write_text("{", "utf-8")

    workcopy.prepare(copied)

    assert (copied / "work" / NOTEBOOK).read_bytes() == mine


@pytest.mark.parametrize("edited", [False, True])
def test_withdrawn_exercise(copied: Path, edited: bool) -> None:
    """What the guide no longer has goes, unless the reader has changed it."""
    copy = copied / "work" / EXERCISE
    if edited:
        copy.write_text("mine", "utf-8")
    (copied / "labs" / EXERCISE).unlink()

    workcopy.prepare(copied)

    assert copy.exists() is edited


def test_committed_notebook_is_trusted_and_an_edited_one_is_not(copied: Path) -> None:
    """Only what the repository wrote is signed, in the folder that the server reads."""
    committed = nbformat.read(copied / "work" / NOTEBOOK, as_version=4)
    edit(copied / "work" / NOTEBOOK)
    workcopy.prepare(copied)
    edited = nbformat.read(copied / "work" / NOTEBOOK, as_version=4)
    notary = NotebookNotary(data_dir=str(copied / "work" / ".jupyter" / "data"))

    assert notary.check_signature(committed)
    assert not notary.check_signature(edited)
    notary.store.close()


def test_folder_that_cannot_be_written_is_a_sentence(root: Path) -> None:
    """A file where the folder should be is told to a person."""
    (root / "work").write_text("in the way", "utf-8")

    with pytest.raises(ProvingError, match=r"working copy in .* could not be written"):
        workcopy.prepare(root)


def test_reset_restores_after_asking_and_keeps_the_edit(copied: Path) -> None:
    """Reset puts the repository's file back; what it replaced lies under `earlier`."""
    mine = edit(copied / "work" / NOTEBOOK)
    asked: list[str] = []

    (file,) = workcopy.reset(root=copied, confirm=lambda question: not asked.append(question))

    assert len(asked) == 1
    assert NOTEBOOK in asked[0]
    assert file.state is State.RESTORED
    assert (copied / "work" / NOTEBOOK).read_bytes() == (copied / "labs" / NOTEBOOK).read_bytes()
    assert file.beside
    assert (copied / "work" / file.beside).read_bytes() == mine


def test_reset_that_is_declined_changes_nothing(copied: Path) -> None:
    """No is no."""
    mine = edit(copied / "work" / NOTEBOOK)

    with pytest.raises(ProvingError, match="as they were"):
        workcopy.reset(root=copied, confirm=lambda _: False)
    assert (copied / "work" / NOTEBOOK).read_bytes() == mine


def test_reset_without_a_terminal_needs_yes(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can be asked, edits stay until --yes is given."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    mine = edit(copied / "work" / NOTEBOOK)

    with pytest.raises(ProvingError, match="--yes"):
        workcopy.reset(root=copied)
    assert (copied / "work" / NOTEBOOK).read_bytes() == mine

    workcopy.reset(root=copied, yes=True)
    assert (copied / "work" / NOTEBOOK).read_bytes() != mine


def test_reset_asks_nothing_where_nothing_would_go(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing or untouched file needs no question."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (copied / "work" / NOTEBOOK).unlink()

    (file,) = workcopy.reset(root=copied)

    assert (file.path, file.state) == (NOTEBOOK, State.NEW)


def test_reset_leaves_the_readers_own_files(copied: Path) -> None:
    """A notebook of the reader's own is none of reset's business."""
    mine = edit(copied / "work" / "scratch.ipynb")

    workcopy.reset(root=copied, yes=True)

    assert (copied / "work" / "scratch.ipynb").read_bytes() == mine


@pytest.mark.parametrize("only", ["09", LAB, "process-management"])
def test_reset_of_one_chapter(copied: Path, only: str) -> None:
    """A chapter is named by its number or its name, and no other is touched."""
    write_notebook(copied / "labs" / "10-other.ipynb", cell("1"))
    workcopy.prepare(copied)
    edit(copied / "work" / NOTEBOOK)
    other = edit(copied / "work" / "10-other.ipynb")

    files = workcopy.reset(only, yes=True, root=copied)

    assert [file.path for file in files] == [NOTEBOOK]
    assert (copied / "work" / "10-other.ipynb").read_bytes() == other


def test_reset_of_a_chapter_takes_its_exercise(copied: Path) -> None:
    """The exercise of a chapter bears its name and is reset with it."""
    (copied / "work" / EXERCISE).write_text("mine", "utf-8")

    files = workcopy.reset(LAB, yes=True, root=copied)

    assert [file.path for file in files] == [EXERCISE]


@pytest.mark.parametrize(
    ("only", "also"), [("process-management", True), ("09", True), ("09-another", False)]
)
def test_reset_of_a_chapter_takes_all_of_its_exercises(copied, only, also) -> None:
    """The second one bears the chapter's number alone; by its own name it is reset by itself."""
    paths = [f"exercises/09-{name}/start/Dockerfile" for name in ("process-management", "another")]
    for path in paths:
        for root in (copied / "labs", copied / "work"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"{root.name}\n", "utf-8")

    files = workcopy.reset(only, yes=True, root=copied)

    assert set(paths if also else paths[1:]) == {
        file.path for file in files if file.path.startswith("exercises/09-")
    }


def test_reset_of_an_unknown_chapter_is_a_sentence(copied: Path) -> None:
    """A name that is not there is told, and nothing is reset."""
    with pytest.raises(ProvingError, match="'77'"):
        workcopy.reset("77", yes=True, root=copied)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [([], 1, "--yes"), (["--yes"], 0, "1 notebook restored."), (["--yes", "77"], 1, "'77'")],
)
def test_command(
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    """The command of the reset session tells what it did, and its exit status whether."""
    original: Callable[..., tuple[CopiedFile, ...]] = workcopy.reset
    monkeypatch.setattr(workcopy, "reset", lambda only, yes: original(only, yes, root=copied))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    edit(copied / "work" / NOTEBOOK)

    found = workcopy.main(arguments)

    output = capsys.readouterr()
    assert found == status
    assert said in output.out + output.err


@pytest.fixture
def command(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Return how to reset a guide with exercises of several files, and what is printed then."""
    for name in ("09-process-management", "09-another"):
        for file in ("start/Dockerfile", "start/app.py", "check.py"):
            path = root / "labs" / "exercises" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name}\n", "utf-8")
    original: Callable[..., tuple[CopiedFile, ...]] = workcopy.reset
    monkeypatch.setattr(workcopy, "reset", lambda only, yes: original(only, yes, root=root))
    monkeypatch.setattr(workcopy, "_stamp", lambda: "now")

    def run(*arguments: str) -> list[str]:
        workcopy.main(arguments)
        printed = capsys.readouterr()
        return (printed.out + printed.err).splitlines()

    return run


def test_a_first_reset_is_told_in_one_line(command) -> None:
    """As long as nothing of the reader's was there, no file is worth a line of its own."""
    assert ["Copied 1 notebook and 3 exercises, which were not there before."] == command()
    assert ["Nothing to reset: the working copy is as shipped."] == command()


def test_files_of_an_exercise_are_told_together(command, root, monkeypatch) -> None:
    """In the question, too, and with the folder that has what was there."""
    command()
    another = root / "work" / "exercises" / "09-another"
    for file in (another / "check.py", another / "start" / "app.py"):
        file.write_text("mine\n", "utf-8")
    (another / "start" / "Dockerfile").unlink()
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (asked,) = command("09")

    assert "edited exercises/09-another (2 files), and there is no terminal" in asked
    assert [
        "exercises/09-another, 2 files: restored; your version is kept "
        "(earlier/now/exercises/09-another)",
        "exercises/09-another/start/Dockerfile: copied",
        "1 exercise restored, 1 exercise copied.",
    ] == command("09", "--yes")


def test_a_single_thing_that_was_missing_is_told_by_its_name(command, root) -> None:
    """There a count would tell less."""
    command()
    (root / "work" / NOTEBOOK).unlink()

    assert [f"{NOTEBOOK}: copied", "1 notebook copied."] == command()


def test_two_versions_side_by_side_are_told_file_by_file() -> None:
    """The reader has to find both."""
    paths = ("exercises/09-another/check.py", "exercises/09-another/start/app.py")
    files = [CopiedFile(path, State.BOTH_CHANGED, f"{path}.new") for path in paths]

    assert [file.sentence() for file in files] == workcopy.sentences(files)
