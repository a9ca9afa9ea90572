"""Folders that an engine builds: the guide's own arms, and folders that mean no good."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from proving import bases, buildcache, leftovers
from proving.audit import builds, context_checks
from proving.audit import command as command_line
from proving.audit.audit import Options, audit
from proving.audit.bars import Bars
from proving.audit.context import Building
from proving.audit.findings import Report
from proving.audit.scorecard import console
from proving.claims import IMAGES, Verdict
from proving.errors import BuildError
from proving.image import Image
from proving.lab import RUN_VARIABLE
from proving.paths import LABS
from waiting import until

HOLDS, FAILS = Verdict.HOLDS, Verdict.DOES_NOT_HOLD
FOREIGN = Verdict.NOT_APPLICABLE

pytestmark = [pytest.mark.engine, pytest.mark.beside]

TABLE = [
    ("L5", "bad", {"separate-runs": FAILS}),
    ("L5", "good", {"separate-runs": HOLDS, "caches": HOLDS}),
    ("L6", "bad", {"rebuilt-steps": FAILS, "dockerignore": HOLDS}),
    ("L6", "good", {"rebuilt-steps": HOLDS, "dockerignore": HOLDS}),
    ("L7", "bad", {"dockerignore": FAILS, "secrets": FAILS}),
    ("L7", "good", {"dockerignore": HOLDS, "secrets": HOLDS}),
    ("L8", "kept", {"caches": FAILS}),
    ("L8", "bad", {"caches": HOLDS}),
    ("L8", "good", {"caches": HOLDS}),
    ("S1", "bad", {"separate-runs": FAILS, "hidden-bytes": FAILS}),
    ("S1", "directory", {"separate-runs": FAILS, "hidden-bytes": FAILS}),
    ("S1", "good", {"separate-runs": HOLDS, "hidden-bytes": HOLDS}),
    ("S1", "uncleaned", {"separate-runs": HOLDS, "caches": FAILS}),
    ("S2", "bad", {"separate-runs": HOLDS, "caches": HOLDS}),
    ("S2", "good", {"separate-runs": HOLDS, "caches": HOLDS}),
    ("S3", "bad", {"separate-runs": FAILS}),
    ("S3", "good", {"separate-runs": HOLDS}),
    ("S4", "bad", {"separate-runs": FAILS, "rebuilt-steps": FOREIGN}),
    ("S4", "removed", {"separate-runs": FAILS}),
    ("S4", "good", {"separate-runs": HOLDS}),
    ("M3", "bad", {"separate-runs": FAILS, "hidden-bytes": FAILS}),
    ("M3", "good", {"separate-runs": FOREIGN, "hidden-bytes": HOLDS}),
    ("M3", "tidy", {"separate-runs": FOREIGN, "hidden-bytes": HOLDS}),
]
"""Each arm of the chapters 3 to 5 whose fault shows when its folder is built, and what is found.

What S2 advises has no verdict: an image does not tell which of its packages were only recommended.
Their number is among the facts. L8's download again shows in a build with another list of packages;
what is kept in the layer shows in the image. `test_audit_claims.py` tells of the other claims.
"""


@pytest.fixture(scope="module")
def ready() -> dict[str, str]:
    """Return build arguments that name the bases as this engine has them."""
    from proving import engine, prepare

    found = bases.ready(engine.find(), prepare.roles_of_labs())
    return {role: base.reference for role, base in found.items()}


@pytest.fixture
def trace(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a word that commands say, and demand that nothing is left of what had it.

    Others may use the engine meanwhile: all that a run makes is told by its name.
    """
    word = secrets.token_hex(6)
    monkeypatch.setenv(RUN_VARIABLE, word)
    yield word
    until(lambda: not _left(engine, word), 15)  # what is being ended may take a moment

    assert [] == _left(engine, word)
    assert 0 == leftovers.remove(engine.docker, word)


def _left(engine: Any, word: str) -> list[str]:
    """Return what the build cache has of commands that say a word."""
    found = buildcache.records(engine.docker).values()
    return [one.description for one in found if word in one.description]


@contextmanager
def quiet() -> Iterator[Bars]:
    """Give progress that nobody watches."""
    with Path(os.devnull).open("w") as nowhere:
        yield Bars(console(nowhere))


def audited(folder: Path, **how: Any) -> Report:
    """Audit a folder, without running its image."""
    with quiet() as progress:
        return audit(f"{folder}/", Options(run=False, building=Building(**how)), progress)


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return what a folder holds, with all times but those of reading."""
    told = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {
        str(path): (one.st_mode, one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_nlink)
        for path, one in told.items()
    }


@contextmanager
def arm(claim: str, name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Make the folder of an arm as its lab has it, and give how it is built."""
    from proving import Lab

    dockerfile = IMAGES / claim / name / "Dockerfile"
    how: dict[str, Any] = {"file": dockerfile}
    with ExitStack() as open_ones:
        if (IMAGES / claim / "context").is_dir():
            _copy(IMAGES / claim / "context", folder)
        if claim in ("L5", "L6", "L8"):
            lab = open_ones.enter_context(Lab(f"audit-{claim}"))
            server = open_ones.enter_context(lab.package_server())
            how["hosts"] = server.hosts
            if claim == "L6":
                server.put_wheels(lab.wheels_of(folder / "requirements.txt"))
                how["arguments"] = server.pip_arguments
            else:
                server.publish("1.0")
            if claim == "L8":  # so that nobody else's cache mount is used or filled
                how["arguments"] = {"BUILDKIT_CACHE_MOUNT_NS": secrets.token_hex(8)}
            salted = folder / ("requirements.txt" if claim == "L6" else "packages.sources")
            with salted.open("a", encoding="utf-8") as file:
                file.write(f"# salt {secrets.token_hex(8)}\n")
        elif claim == "L7":
            put(folder, {"data/measured.bin": os.urandom(300_000), ".git/HEAD": b"ref: x\n"})
            put(folder, {".git/objects/pack/pack-1.pack": os.urandom(900_000), "app.log": b"1"})
        elif claim == "S4":
            put(folder, {"S4/setup.sh": (IMAGES / "S4/setup.sh").read_bytes()})
        yield how


def _copy(source: Path, folder: Path) -> None:
    files = (path for path in source.rglob("*") if path.is_file())
    put(folder, {str(path.relative_to(source)): path.read_bytes() for path in files})


def put(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files into a folder, with the folders that they lie in."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(("claim", "name", "expected"), TABLE)
def test_the_fault_of_an_arm_is_found_and_of_the_good_one_is_not(claim, name, expected, tmp_path):
    """The guide's own bad arms are what people write; its good ones are what it advises."""
    folder = put(tmp_path / "web", {})
    with arm(claim, name, folder) as how:
        before = snapshot(folder)
        report = audited(folder, **how)
        after = snapshot(folder)
    found = {one.check.id: one for one in report.findings}

    assert expected == {check: found[check].verdict for check in expected}, found
    assert before == after
    for check, verdict in expected.items():
        if verdict is FAILS and found[check].check.source == "context":
            assert found[check].advice
            assert found[check].lines
    sent, used = (found["context-bytes"].values.get(one, 0) for one in ("sent_bytes", "used_bytes"))
    assert sent <= 1.1 * int(used) + 5000


def test_a_folder_is_built_and_nothing_is_left(tmp_path, ready, trace):
    """By a stage, with an argument and a secret; the image is audited as any other."""
    token = trace
    dockerfile = (
        "ARG MINIMAL\nFROM ${MINIMAL} AS build\nARG WORD\nCOPY app.py .\n"
        f"RUN --mount=type=secret,id=token grep -q {token} /run/secrets/token && echo $WORD > /w\n"
        "FROM build AS other\nRUN exit 3\n"
    )
    folder = put(tmp_path / "web", {"Dockerfile": dockerfile, "app.py": "print()\n"})
    report = audited(
        folder,
        target="build",
        arguments={**ready, "WORD": "w"},
        secrets={"token": token.encode()},
    )
    found = {one.check.id: one for one in report.findings}

    assert f"{folder}/" == report.subject
    assert HOLDS is found["rebuilt-steps"].verdict
    assert "app.py" == found["rebuilt-steps"].values["edited_file"]
    assert 2 == found["rebuilt-steps"].values["steps_run_again"]
    assert report.facts["build_seconds"] > 0
    assert report.facts["unpacked_bytes"] > 1_000_000


def test_here_documents_are_read_right_or_a_sentence_tells_of_them(tmp_path, ready, trace):
    """A builder that knows them makes steps of them; an older one takes them for instructions."""
    dockerfile = (
        "ARG MINIMAL\nFROM ${MINIMAL}\nCOPY app.py .\nRUN <<EOF\n"
        f"echo {trace} > /word\nhead -c 300000 /dev/urandom > /big\nEOF\n"
        f"COPY <<EOF /motd\nRUN pip install {trace}\nEOF\n"
        f"RUN <<EOF\nrm /big\necho {trace}\nEOF\n"
    )
    folder = put(tmp_path / "web", {"Dockerfile": dockerfile, "app.py": "print()\n"})
    try:
        found = {one.check.id: one for one in audited(folder, arguments=ready).findings}
    except BuildError as error:
        found, refused = {}, f"{error.progress}\n{error}"
    if not found:
        assert "unknown instruction" in refused
        assert "Line 5 is of the here-document that line 4 begins" in refused
        return

    assert (HOLDS, 4) == (
        found["rebuilt-steps"].verdict,
        found["rebuilt-steps"].values["steps_run_again"],
    )
    assert FAILS is found["separate-runs"].verdict
    assert [11, 4] == [line.number for line in found["separate-runs"].lines]


def test_an_image_is_kept_where_the_person_wants_it(tmp_path, ready, engine):
    """Under the name that was given, and no other."""
    name = f"localhost:1/proving-audit/{secrets.token_hex(4)}:kept"
    folder = put(tmp_path / "web", {"Dockerfile": "ARG MINIMAL\nFROM ${MINIMAL}\nRUN echo > /x\n"})
    try:
        audited(folder, arguments=ready, keep_as=name)

        assert [name] == engine.docker.images.get(name).tags
    finally:
        engine.docker.images.remove(name)


def test_a_build_that_fails_ends_in_a_sentence_with_its_log(tmp_path, ready, trace, capsys):
    """The step, its last lines, and 2; nothing is left."""
    folder = put(
        tmp_path / "web",
        {"Dockerfile": f"ARG MINIMAL\nFROM ${{MINIMAL}}\nRUN echo {trace} '\x1b[2J'; exit 7\n"},
    )
    status = command_line.main([f"{folder}/", "--build-arg", f"MINIMAL={ready['MINIMAL']}"])
    err = capsys.readouterr().err

    assert 2 == status
    assert "Dockerfile does not build" in err
    assert "RUN echo" in err
    assert "\x1b" not in err


def test_a_build_without_end_is_ended(tmp_path, ready, trace):
    """In the time that it was given, and the engine's part of it too."""
    folder = put(
        tmp_path / "web",
        {"Dockerfile": f"ARG MINIMAL\nFROM ${{MINIMAL}}\nRUN echo {trace}; sleep 6000\n"},
    )
    began = time.monotonic()
    with pytest.raises(BuildError, match="not built within 3 s"):
        audited(folder, arguments=ready, limit_seconds=3)

    assert time.monotonic() - began < 40


def test_an_audit_that_is_stopped_leaves_nothing(tmp_path, ready, trace):
    """In the midst of a build: the copy, the build and its image are gone."""
    folder = put(
        tmp_path / "web",
        {"Dockerfile": f"ARG MINIMAL\nFROM ${{MINIMAL}}\nRUN echo {trace}; sleep 6000\n"},
    )
    temporary = put(tmp_path / "tmp", {})
    environment = {**os.environ, "PYTHONPATH": str(LABS), "TMPDIR": str(temporary)}
    words = ["audit", f"{folder}/", "--build-arg", f"MINIMAL={ready['MINIMAL']}"]
    with subprocess.Popen(
        [sys.executable, "-m", "proving", *words],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("Building"):
                break
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        err = process.stderr.read()

    assert 130 == process.returncode
    assert "nothing is left on the engine" in err
    assert [] == list(temporary.iterdir())


@pytest.mark.parametrize(
    "lines",
    [
        "data\n*.log\n!keep.log\n**/*.pyc\n/a/b/",
        "**/node_modules\n**\n!**/*.py\n!a",
        "[a-c]*\nd?\n\\!odd\n# no\n a+b \n../x\nsrc/../d1",
    ],
)
def test_what_the_engine_is_sent_of_the_copy_is_what_it_would_be_sent(
    lines, tmp_path, engine, trace
):
    """Engines differ in what they take in again; what is copied is enough for each of them."""
    names = ["a/b/c", "a/b/c2/d", "a/node_modules/x", "a+b", "b1", "d1", "data/x", "data.txt"]
    names += ["keep.log", "x.log", "n.pyc", "src/n.pyc", "src/a.py", "src/q/x1/y", "!odd", "e/f.py"]
    names += ["leer zeichen", "ümlaut", ".hidden", "# no"]
    files = dict.fromkeys(names, "1")
    folder = put(tmp_path / "web", {**files, "Dockerfile": "FROM scratch\nCOPY . /\nCOPY . /z/\n"})
    put(folder, {".dockerignore": lines})
    tag = leftovers.image_name(trace, "ignored")
    try:
        sent = set(Image(engine, folder, tag=tag).build().contents.files)
    finally:
        leftovers.remove_images(engine.docker, [tag])
    with quiet() as progress, builds.opened(f"{folder}/", Building(), progress) as built:
        assert built.work is not None
        copied = {file.path for file in built.work.copied.files}
        sent_by_audit = set(built.work.first.contents.files)

    assert sent == sent_by_audit
    assert copied >= {path.removeprefix("z/") for path in sent}


@pytest.mark.parametrize("kind", ["fifo", "socket", "escape", "deep"])
def test_a_folder_with_odd_things_in_it_is_built(kind, tmp_path, engine, ready, trace):
    """What no image needs is left out, and a strange name is one; or a sentence says no."""
    import socket

    folder = put(tmp_path / "web", {"Dockerfile": "FROM scratch\nCOPY . /\n", "app.py": "1"})
    with ExitStack() as open_ones:
        if kind == "fifo":
            os.mkfifo(folder / "pipe")
        elif kind == "socket":
            listening = open_ones.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(folder / "s"))
        elif kind == "escape":
            put(folder, {"a\x1b[2J\x07\nb.py": "1"})
        else:
            put(folder, {"/".join(["d"] * 200).lstrip("/") + "/x.py": "1"})
        with quiet() as progress, builds.opened(f"{folder}/", Building(), progress) as built:
            found, facts = context_checks.check(built, progress)

    assert 4 == len(found)
    told = [text for one in found for text in (one.figure, one.advice, *one.places)]
    assert [] == [text for text in told if not text.isprintable()]
    if kind in ("fifo", "socket"):
        assert 1 == sum(facts["special_files_left_out"].values())
