"""The private copy that the audit builds in, its engine stood in for: what it does and leaves."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from archives import config, legacy, tar
from proving import lab as labs
from proving.audit import audit as auditing
from proving.audit import builds
from proving.audit.audit import Options
from proving.audit.context import Building
from proving.audit.dockerfile import Dockerfile
from proving.audit.subject import Subject
from proving.claims import Verdict
from proving.errors import BuildError, CouldNotMeasure
from proving.image import Step

DOCKERFILE = "FROM a\nCOPY . .\nRUN npm ci\n"
HISTORY = ["ADD base /", "COPY . .", "RUN npm ci"]
LAYERS = [tar(("base", b"1")), tar(("app.js", b"1")), tar(("node_modules/a/a.js", b"1"))]


class Quiet:
    """Progress that nobody watches."""

    @contextmanager
    def task(self, _what: str, _total: float | None = None):
        """Note nothing."""
        yield lambda units: None


class StandInImage:
    """An image that is not built: it notes what it would have been built of."""

    def __init__(self, lab: StandInLab, options: dict[str, Any]) -> None:
        self.lab, self.options = lab, options
        self.tag = f"image-{len(lab.images)}"
        self.takes_packages_from_kit = True
        self.limit_seconds, self.context_bytes, self.build_seconds = None, 10, 0.5
        self.steps: tuple[Step, ...] = ()

    def build(self) -> StandInImage:
        """Build it: the first time all runs, then what an edit makes run."""
        folder = self.options["context"]
        self.saw = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        number = len(self.lab.images)
        if number == self.lab.breaks_at:
            raise BuildError("Dockerfile does not build. The step RUN npm ci failed:\n    why")
        before = self.lab.images[-2].saw if number > 1 else None
        cached = self.saw == before
        names = ("[2/3] COPY . .", "[3/3] RUN npm ci")
        self.steps = (Step("[1/3] FROM a", True, 0.0), *(Step(n, cached, 2.0) for n in names))
        return self

    def get_wrapped_image(self) -> Any:
        """Return what takes a further name."""
        return SimpleNamespace(tag=lambda *name: self.lab.names.append(name))


class StandInLab:
    """A lab without an engine, with its window: it notes what happens."""

    def __init__(self, _slug: str) -> None:
        self.window, self.engine = self, "the engine"
        self.images: list[StandInImage] = []
        self.names: list[tuple[str, str]] = []
        self.happened: list[Any] = []
        self.breaks_at = BREAKS_AT[0]
        MADE.append(self)

    def __enter__(self) -> StandInLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.happened.append("closed")

    def enter(self, _dockerfile: str) -> None:
        """Open the window."""
        self.happened.append("window")

    def leave(self, tags: list[str]) -> None:
        """Close the window."""
        self.happened.append(list(tags))

    def image_of(self, _key: str, context: Path, dockerfile: Path, **options: Any) -> StandInImage:
        """Return an image that is not built yet."""
        told = {"context": context, "dockerfile": dockerfile, **options}
        self.images.append(StandInImage(self, told))
        return self.images[-1]


MADE: list[StandInLab] = []
BREAKS_AT = [0]


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be built, and an engine that is none."""
    archive = legacy(LAYERS, config(LAYERS, HISTORY))

    def of_engine(engine: object, reference: str, *, pull: bool = True) -> Subject:
        return Subject(reference, save=lambda: [archive], reference=reference)

    MADE.clear()
    BREAKS_AT[0] = 0
    monkeypatch.setattr(labs, "Lab", StandInLab)
    monkeypatch.setattr(builds.subjects, "of_engine", of_engine)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(builds.tempfile, "tempdir", str(tmp_path / "tmp"))
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "app.js").write_text("run()")
    (folder / "package.json").write_text("{}")
    return folder


def audited(folder: Path, **how: Any):
    """Audit a folder, without running its image."""
    return auditing.audit(f"{folder}/", Options(run=False, building=Building(**how)), Quiet())


def test_a_folder_is_audited_as_an_image_and_as_a_folder(web, tmp_path):
    """The image's checks, those of the folder, and the facts of both; then nothing is left."""
    report = audited(web, arguments={"A": "1"}, target="", limit_seconds=9.0)
    (lab,) = MADE
    first = lab.images[0].options

    assert {"archive", "context"} == {one.check.source for one in report.findings}
    assert f"{web}/" == report.subject
    assert ("Dockerfile", 10) == (report.facts["dockerfile"], report.facts["sent_bytes"])
    assert {"A": "1"} == first["arguments"]
    assert Path("../Dockerfile") == first["dockerfile"]
    assert 9.0 == lab.images[0].limit_seconds
    assert [False] * 3 == [image.takes_packages_from_kit for image in lab.images]
    assert ["window", ["image-0", "image-1", "image-2"], "closed"] == lab.happened
    assert [] == list((tmp_path / "tmp").iterdir())


def test_the_edit_is_what_makes_steps_run_again(web):
    """It is made in the copy alone, and is another one each time."""
    report = audited(web)
    again = {one.check.id: one for one in report.findings}["rebuilt-steps"]
    audited(web)
    edited = [lab.images[2].saw["app.js"] for lab in MADE]

    assert Verdict.DOES_NOT_HOLD is again.verdict
    assert [3, 2] == [line.number for line in again.lines]
    assert "run()" == (web / "app.js").read_text()
    assert edited[0] != edited[1]
    assert all(one.startswith(b"run()\n") and not one[5:].strip() for one in edited)
    assert MADE[0].images[0].saw == MADE[0].images[1].saw


def test_the_guides_bases_are_those_of_the_labs(web, monkeypatch):
    """By role and public image together: another `PYTHON` is somebody's own."""
    (web / "Dockerfile").write_text(
        f"ARG SLIM=debian:13-slim\nARG MINIMAL=alpine\nARG PYTHON=3.12\n{DOCKERFILE}"
    )
    asked: list[str] = []

    def ready(_engine: object, roles: list[str]) -> dict[str, Any]:
        asked.extend(roles)
        return {role: SimpleNamespace(reference=f"ours/{role}") for role in roles}

    monkeypatch.setattr(builds.bases, "ready", ready)
    audited(web)
    audited(web, arguments={"SLIM": "mine"})

    assert ["SLIM", "MINIMAL", "MINIMAL"] == asked
    assert {"SLIM": "ours/SLIM", "MINIMAL": "ours/MINIMAL"} == MADE[0].images[0].options[
        "arguments"
    ]
    assert {"SLIM": "mine", "MINIMAL": "ours/MINIMAL"} == MADE[1].images[0].options["arguments"]


@pytest.mark.parametrize(
    ("edit", "verdict", "told"),
    [
        ("package.json", Verdict.DOES_NOT_HOLD, "after an edit of package.json"),
        ("nowhere.js", Verdict.COULD_NOT_BE_MEASURED, "no step takes nowhere.js"),
    ],
)
def test_the_person_may_name_the_file_to_edit(web, edit, verdict, told):
    """One that no step takes shows nothing."""
    again = {one.check.id: one for one in audited(web, edit=edit).findings}["rebuilt-steps"]

    assert verdict is again.verdict
    assert told in again.figure


def test_an_edit_that_breaks_the_build_is_told_and_the_rest_is_judged(web):
    """A linter among the steps may not like a line of blanks."""
    BREAKS_AT[0] = 3
    found = {one.check.id: one for one in audited(web).findings}

    assert Verdict.COULD_NOT_BE_MEASURED is found["rebuilt-steps"].verdict
    assert "--edit" in found["rebuilt-steps"].advice
    assert Verdict.HOLDS is found["dockerignore"].verdict


def test_a_folder_that_does_not_build_leaves_nothing(web, tmp_path):
    """What the builder has said goes on to the person."""
    BREAKS_AT[0] = 1
    with pytest.raises(BuildError, match="npm ci failed"):
        audited(web)

    assert ["window", ["image-0"], "closed"] == MADE[0].happened
    assert [] == list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("my/web:1", ("my/web", "1")),
        ("my/web", ("my/web", "latest")),
        ("localhost:5000/web", ("localhost:5000/web", "latest")),
        ("localhost:5000/a/web:x", ("localhost:5000/a/web", "x")),
    ],
)
def test_an_image_may_be_kept(web, name, kept):
    """Under the name that was given, read as the engine reads names."""
    audited(web, keep_as=name)

    assert [kept] == MADE[0].names


def test_a_folder_that_cannot_be_built_asks_no_engine(web):
    """It is told before."""
    (web / "Dockerfile").unlink()
    with pytest.raises(CouldNotMeasure, match="no Dockerfile"):
        audited(web)

    assert [] == MADE


def test_a_builder_that_knows_no_here_documents_says_so_in_its_way(web, answer, monkeypatch):
    """As Docker 20.10 has refused that Dockerfile: what to do follows what it says."""
    refused = answer("docker-20.10/build-heredoc-refused.txt")
    text = answer("heredoc.Dockerfile").replace("debian:13-slim", "a")  # no base of the guide's
    (web / "Dockerfile").write_text(text)

    def build(_image: StandInImage) -> StandInImage:
        raise BuildError("Dockerfile does not build.", progress=refused)

    monkeypatch.setattr(StandInImage, "build", build)
    with pytest.raises(BuildError) as raised:
        audited(web)

    assert "Line 6 is of the here-document that line 5 begins" in str(raised.value)
    assert "unknown instruction: ECHO" in raised.value.progress


REFUSED = "failed to create LLB definition: dockerfile parse error line {}: unknown instruction: X"


@pytest.mark.parametrize(("line", "is_told"), [(2, False), (3, True), (4, True), (5, False)])
def test_a_builder_that_knows_no_here_documents_is_told_from_a_mistake(line, is_told):
    """It takes their lines for instructions, and names the first of them."""
    found = Dockerfile("FROM a\nRUN <<EOF\nmake\nEOF\nFRUN make\n")
    told = builds.unknown_heredoc(found, REFUSED.format(line))

    assert is_told == told.startswith(f"Line {line} is of the here-document that line 2 begins")
    assert is_told == ("Docker 23 or newer" in told)
    assert "" == builds.unknown_heredoc(found, "")
