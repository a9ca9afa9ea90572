"""A private copy of a build context: what an edit may do to it, and that it goes as it came."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from proving import workspace as workspaces
from proving.errors import BuildError, NotApplicable, ProvingError
from proving.workspace import Workspace


class StandInImage:
    """An image that is built by saying so."""

    def __init__(self, lab: StandInLab, options: dict[str, Any]) -> None:
        self.tag = f"image-{len(lab.images)}"
        self._lab, self.options = lab, options

    def build(self) -> StandInImage:
        """Build it, or fail as the lab was told."""
        if self._lab.breaks:
            raise BuildError("It does not build.")
        return self

    def build_by_classic_builder(self, labels: dict[str, str]) -> bool:
        """Build it where the engine has that builder."""
        self.options["labels"] = labels
        return self._lab.has_classic_builder


class StandInLab:
    """A lab without an engine, with its window: it notes what happens."""

    run = "r"

    def __init__(self) -> None:
        self.window = self
        self.engine = SimpleNamespace(docker="the client")
        self.has_classic_builder = True
        self.images: list[StandInImage] = []
        self.dockerfiles: list[str] = []
        self.left_with: list[str] | None = None
        self.breaks = False

    def enter(self, dockerfile: str) -> None:
        """Open the window."""
        self.dockerfiles.append(dockerfile)

    note = enter

    def leave(self, tags: list[str]) -> None:
        """Close the window."""
        self.left_with = list(tags)

    def image_of(self, key: str, context: Path, dockerfile: Path, **options: Any) -> StandInImage:
        """Return an image that is not built yet."""
        told = {"key": key, "context": context, "dockerfile": dockerfile, **options}
        self.images.append(StandInImage(self, told))
        return self.images[-1]


@pytest.fixture
def arm(tmp_path: Path) -> Path:
    """A claim's arm with a Dockerfile of its own, and the context that the arms share."""
    files = {
        "good/Dockerfile": "FROM base\nCOPY . /app\n",
        "good/Dockerfile.dockerignore": "data\n",
        "good/notes.txt": "not of the context\n",
        "context/app.py": 'GREETING = "Hello"\nSAID = ["Hello", "Hello"]\n',
        "context/templates/index.html": "<p>\n",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def lab() -> StandInLab:
    """A lab without an engine."""
    return StandInLab()


@pytest.fixture
def workspace(arm: Path, lab: Any) -> Workspace:
    """A workspace of the arm, not yet entered."""
    return Workspace(lab, "L0", arm / "good" / "Dockerfile", arm / "context")


def test_the_copy_has_the_context_and_the_dockerfile_beside_it(workspace):
    """The Dockerfile and its .dockerignore lie outside of what is sent, as they do in the lab."""
    with workspace as work:
        sent = {
            file.relative_to(work.context).as_posix()
            for file in work.context.rglob("*")
            if file.is_file()
        }
        dockerfile = work.path("Dockerfile")
        beside = {file.name for file in dockerfile.parent.iterdir() if file.is_file()}

    assert {"app.py", "templates/index.html"} == sent
    assert {"Dockerfile", "Dockerfile.dockerignore"} == beside


def test_a_dockerfile_in_the_context_is_the_one(arm, lab):
    """A reader's folder is its own context: an edit reaches the Dockerfile that is built."""
    (arm / "good" / ".dockerignore").write_text("data\n", encoding="utf-8")
    with Workspace(lab, "start", arm / "good" / "Dockerfile", arm / "good") as work:
        found, ignored = work.path("Dockerfile"), work.path(".dockerignore").is_file()

        assert work.context / "Dockerfile" == found
    assert ignored


def test_the_original_stays_as_it_is(arm, workspace):
    """All edits are the copy's."""
    before = {file: file.read_bytes() for file in arm.rglob("*") if file.is_file()}
    with workspace as work:
        work.edit("Dockerfile", "COPY . /app", "COPY . /srv")
        work.salt("app.py")
        work.change_a_byte("templates/index.html")
        work.write("data/new", b"new")

    assert before == {file: file.read_bytes() for file in arm.rglob("*") if file.is_file()}


def test_an_edit_replaces_a_text_that_is_there_once(workspace):
    """A developer changes one line."""
    with workspace as work:
        work.edit("app.py", 'GREETING = "Hello"', 'GREETING = "Good day"')
        text = work.path("app.py").read_text(encoding="utf-8")

    assert 'GREETING = "Good day"\nSAID = ["Hello", "Hello"]\n' == text


@pytest.mark.parametrize(("old", "times"), [("Goodbye", 0), ('"Hello"', 3)])
def test_an_edit_that_is_not_clear_is_refused(old, times, workspace):
    """Otherwise the build after it would measure another change, or none."""
    with workspace as work:
        before = work.path("app.py").read_bytes()
        with pytest.raises(ProvingError, match=rf"app.py has .* {times} times"):
            work.edit("app.py", old, "Good day")

        assert before == work.path("app.py").read_bytes()


def test_salt_is_a_comment_that_was_never_there(arm, lab):
    """Two workspaces have different salt, at the end of the file."""
    texts = []
    for _ in range(2):
        with Workspace(lab, "L0", arm / "good" / "Dockerfile", arm / "context") as work:
            work.salt("app.py")
            texts.append(work.path("app.py").read_text(encoding="utf-8"))
    original = (arm / "context" / "app.py").read_text(encoding="utf-8")

    assert texts[0] != texts[1]
    for text in texts:
        added = text.removeprefix(original)
        assert added != text
        assert added.startswith("# salt ")
        assert added.endswith("\n")


def test_a_touch_changes_the_time_alone(workspace):
    """A checkout has newer files with the same contents and modes."""
    with workspace as work:
        file = work.path("app.py")
        before, content = file.stat(), file.read_bytes()
        work.touch("app.py")
        after = file.stat()

        assert 86_400 == round(after.st_mtime - before.st_mtime)
        assert (before.st_mode, content) == (after.st_mode, file.read_bytes())


def test_a_changed_byte_is_one_byte(workspace):
    """The length and all other bytes stay."""
    with workspace as work:
        before = work.path("app.py").read_bytes()
        work.change_a_byte("app.py")
        after = work.path("app.py").read_bytes()

    assert len(before) == len(after)
    assert [len(before) - 1] == [
        n for n, pair in enumerate(zip(before, after, strict=True)) if len({*pair}) > 1
    ]


def test_a_written_file_has_its_folders(workspace):
    """A lab puts data beside the application."""
    with workspace as work:
        work.write("data/2026/measured.bin", b"\x00\x01")

        assert b"\x00\x01" == (work.context / "data/2026/measured.bin").read_bytes()


def test_a_build_is_of_what_the_workspace_holds_now(lab, workspace):
    """Its options are passed on, and the window hears of commands that an edit has brought."""
    with workspace as work:
        work.edit("Dockerfile", "COPY . /app", "RUN make")
        image = work.build(
            arguments={"RELEASE": "2"},
            hosts={"a.test": "::1"},
            secrets={"a": b"1"},
            target="test",
            no_cache=True,
        )
        expected = {
            "key": "L0",
            "context": work.context,
            "dockerfile": work.path("Dockerfile"),
            "arguments": {"RELEASE": "2"},
            "hosts": {"a.test": "::1"},
            "secrets": {"a": b"1"},
            "provenance": False,
            "target": "test",
            "no_cache": True,
        }

    assert expected == image.options
    assert ["FROM base\nCOPY . /app\n", "FROM base\nRUN make\n"] == lab.dockerfiles


def test_stages_of_the_classic_builder_go_when_it_closes(lab, workspace, monkeypatch):
    """They have no name, and carry the run's label; only BuildKit leaves none of them."""
    gone: list[tuple[str, str]] = []
    monkeypatch.setattr(
        workspaces.leftovers, "remove_nameless", lambda client, run: gone.append((client, run))
    )
    with workspace as work:
        work.build()
    after_buildkit = list(gone)
    with workspace as work:
        image = work.build_by_classic_builder(target="test")

    assert [] == after_buildkit
    assert [("the client", "r")] == gone
    assert {"proving-ground.run": "r"} == image.options["labels"]
    assert "test" == image.options["target"]
    assert image.tag in lab.left_with


def test_an_engine_without_the_classic_builder_is_told(lab, workspace, monkeypatch):
    """What needs it is not applicable there, which is neither a pass nor a failure."""
    monkeypatch.setattr(workspaces.leftovers, "remove_nameless", lambda client, run: 0)
    lab.has_classic_builder = False
    with workspace as work, pytest.raises(NotApplicable, match="no classic builder"):
        work.build_by_classic_builder()


def test_what_was_built_goes_when_it_closes(lab, workspace):
    """Images that a build has broken off at among them: they may be there in part."""
    with workspace as work:
        folder = work.context.parent
        work.build()
        lab.breaks = True
        with pytest.raises(BuildError):
            work.build()

    assert ["image-0", "image-1"] == lab.left_with
    assert not folder.exists()


def test_the_copy_goes_where_the_engine_fails_too(lab, workspace, monkeypatch):
    """The engine's failure is told, and no folder is left behind."""

    def fail(_tags: list[str]) -> None:
        raise ProvingError("The engine is gone.")

    monkeypatch.setattr(lab, "leave", fail)
    folders = []
    with pytest.raises(ProvingError, match="gone"), workspace as work:
        folders.append(work.context)

    assert not folders[0].exists()


@pytest.mark.parametrize("broken", ["window", "context"])
def test_no_copy_is_left_of_a_workspace_that_does_not_open(
    broken, arm, lab, workspace, monkeypatch, tmp_path
):
    """Where it fails before the first line of the `with`, nobody would close it."""

    def fail(_dockerfile: str) -> None:
        raise ProvingError("The engine is gone.")

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    if broken == "window":
        monkeypatch.setattr(lab, "enter", fail)
    else:
        shutil.rmtree(arm / "context")
    with pytest.raises((ProvingError, FileNotFoundError)), workspace:
        pass

    assert [] == list(temporary.iterdir())
    with pytest.raises(ProvingError, match="`with`"):
        workspace.path("app.py")


def test_a_closed_workspace_says_so(workspace):
    """A cell that is run again without its `with` is told what to do."""
    with workspace as work:
        pass
    for use in (lambda: work.context, lambda: work.path("app.py"), work.build):
        with pytest.raises(ProvingError, match="`with`"):
            use()
