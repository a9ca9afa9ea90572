"""Folders to be built: what is read of them, what is copied, and how a build is judged."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from archives import chunks, config, directory, legacy, tar
from audits import ESCAPE
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import buildcache
from proving.audit import context, context_checks, dockerignore, junk
from proving.audit.context import Building, Limits
from proving.audit.context_checks import Seen
from proving.audit.dockerfile import UNKNOWN, Dockerfile, expanded
from proving.audit.reader import read
from proving.claims import Verdict
from proving.errors import CouldNotMeasure
from proving.image import Step, parse_steps

HOLDS, FAILS = Verdict.HOLDS, Verdict.DOES_NOT_HOLD
UNKNOWN_VERDICT, FOREIGN = Verdict.COULD_NOT_BE_MEASURED, Verdict.NOT_APPLICABLE


def written(folder: Path, **files: str | bytes) -> Path:
    """Write files into a folder, by their paths with `__` for a slash and `_` for a dot."""
    return put(folder, {name.replace("__", "/"): content for name, content in files.items()})


def put(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files into a folder, with the folders that they lie in."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def seen_of(
    folder: Path,
    target: Path,
    sent_bytes: int | None = None,
    image: bytes | None = None,
    **how: object,
) -> Seen:
    """Return a folder as the checks see it, its build stood in for."""
    building = Building(**how)  # type: ignore[arg-type]
    found = context.find(f"{folder}/", building)
    copied = context.copy(found, target / "copy")
    seen = Seen(found, copied, building.target, 0, read(chunks(image)) if image else None)
    used = sum(file.size_bytes for file in seen.used)
    sent = used if sent_bytes is None else sent_bytes
    return Seen(found, copied, building.target, sent, seen.image)


# What an ignore file leaves out


@pytest.mark.parametrize(
    ("lines", "left_out", "kept"),
    [
        ("data", ["data", "data/a/b"], ["data.txt", "a/data", "Data"]),
        ("/data/", ["data", "data/x"], ["a/data"]),
        ("*.log", ["a.log", ".log"], ["a/b.log", "a.logs"]),
        ("*/temp*", ["a/temp", "b/temporary/x"], ["temp", "a/b/temp"]),
        ("**/*.pyc", ["a.pyc", "a/b/c.pyc"], ["a.py"]),
        ("**/node_modules", ["node_modules/x", "a/node_modules/b"], ["node_modules2"]),
        ("a/**", ["a/b", "a/b/c"], ["b/a"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["z", "b/a/z"]),
        ("**", ["a", "a/b"], []),
        ("*\n!keep", ["a", "b/c"], ["keep", "keep/x"]),
        ("a\n!a/b\na/b/c", ["a", "a/x", "a/b/c"], ["a/b", "a/b/d"]),
        ("!a\na", ["a"], ["b"]),
        ("# note\n\n  \n\\#x", ["#x"], ["# note", "x"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
        ("[a-c]x", ["ax", "bx"], ["dx", "[a-c]x"]),
        ("[^a]x", ["bx"], ["ax"]),
        ("\\*", ["*"], ["a"]),
        ("a+(b)|$", ["a+(b)|$"], ["aab"]),
        ("./a/../b", ["b"], ["a"]),
        ("..", [], ["a"]),
        ("\ufeffa", ["a"], []),
        (".dockerignore", [".dockerignore"], []),
        ("**foo", ["foo", "a/xfoo"], ["foox"]),
    ],
)
def test_an_ignore_file_is_read_as_the_engine_reads_it(lines, left_out, kept):
    """Each line means what the documentation of `.dockerignore` says."""
    ignored = dockerignore.parse(lines)

    assert [] == [path for path in left_out if not ignored.leaves_out(path)]
    assert [] == [path for path in kept if ignored.leaves_out(path)]


@pytest.mark.parametrize("line", ["!", "[", "a[", "[b-a]", "[]"])
def test_a_pattern_that_is_none_is_told(line):
    """The engine would refuse it as well."""
    with pytest.raises(CouldNotMeasure, match="pattern that the engine refuses"):
        dockerignore.parse(f"a\n{line}\n")


def test_patterns_of_strangers_take_no_time():
    """RE2 has no backtracking; a path of any length is decided at once."""
    began = time.monotonic()
    ignored = dockerignore.parse("\n".join(["**/" * 60 + "*a" * 60 + "b"] * 20))
    ignored.leaves_out("/".join(["a" * 60] * 60))

    assert time.monotonic() - began < 5


# What a Dockerfile says


def test_instructions_have_their_lines():
    """Comments and empty lines between are none; one that goes on begins where it begins."""
    text = "# syntax=x\nFROM a\n\n# why\nRUN one \\\n  # inner\n\n  && two\nCOPY a b\n"
    found = Dockerfile(text)

    assert [("FROM", 2), ("RUN", 5), ("COPY", 9)] == [(i.word, i.line) for i in found.instructions]
    assert "one && two" == found.instructions[1].text


def test_an_instruction_may_end_with_a_tab():
    """Any blank ends its word."""
    found = Dockerfile("FROM\tdebian:13\n  run \t make\n")

    assert [("FROM", "debian:13"), ("RUN", "make")] == [
        (one.word, one.text) for one in found.instructions
    ]


def test_a_build_argument_does_not_override_a_variable():
    """ENV goes before an argument of its name."""
    found = Dockerfile("FROM a\nENV B=c\nCOPY ${B} /d\n", {"B": "other"})

    assert [("c",)] == [one.sources for one in found.taken()]


def test_a_directive_may_choose_another_escape():
    """As on Windows."""
    found = Dockerfile("# escape=`\nFROM a\nRUN a `\n  b\\\nRUN c\n")

    assert ["a", "a b\\", "c"] == [one.text for one in found.instructions]


def test_a_heredoc_belongs_to_its_instruction():
    """Its lines are no instructions; one that never ends is no heredoc."""
    found = Dockerfile(
        "FROM a\nRUN <<-EOF sh\n\tCOPY x y\n\tEOF\nCOPY <<'E' /x\nRUN\nE\nRUN z <<Q\n"
    )

    assert ["FROM", "RUN", "COPY", "RUN"] == [one.word for one in found.instructions]


def test_stages_stand_on_each_other():
    """What a target needs is what it stands on and copies from; the rest is not built."""
    text = (
        "ARG B=base\nFROM ${B} AS one\nRUN 1\nFROM x as two\nRUN 2\nFROM one AS three\n"
        "COPY --from=two /a /b\nRUN --mount=type=bind,from=four,target=/x 3\n"
        "FROM y as four\nFROM z\nCOPY c d\n"
    )
    found = Dockerfile(text, {"B": "other"})

    assert "other" == found.stages[0].base
    assert ["one", "two", "three", "four"] == [one.name for one in found.needed("three")]
    assert [""] == [one.name for one in found.needed()]
    assert ["1", "--from=two /a /b"] == [one.text for one in found.stages[2].chain()][:2]
    assert found.stage("nowhere") is None


@pytest.mark.parametrize(
    ("instruction", "sources"),
    [
        ("COPY . .", ("",)),
        ("COPY ./a/ b/../c /x/", ("a", "c")),
        ('COPY ["a b", "/x"]', ("a b",)),
        ("COPY --chown=1:1 --chmod=7 a /x", ("a",)),
        ("COPY ../../etc/passwd /x", ("etc/passwd",)),
        ("COPY $NAME ${KIND:-py} /x", ("web", "py")),
        ("COPY ${NOBODY}/a /x", (UNKNOWN,)),
        ("ADD https://example.org/a git@x:y b /x", ("b",)),
        ("COPY <<EOF /x", ()),
        ("RUN --mount=type=bind,source=s.sh,target=/s sh /s", ("s.sh",)),
        ("RUN --mount=target=/src make", ("",)),
        ("RUN --mount=type=cache,target=/c make", ()),
        ("COPY --from=0 a /x", ()),
    ],
)
def test_what_an_instruction_takes_of_the_context(instruction, sources):
    """By the Dockerfile reference; what is only known in the build may be anything."""
    found = Dockerfile(f"ARG NAME=web\nFROM a\nARG NAME\n{instruction}\n").taken()

    assert [sources] * bool(sources) == [one.sources for one in found]


@pytest.mark.parametrize(
    ("source", "taken", "left"),
    [
        ("*.py", ["a.py"], ["b/a.py", "a.pyc"]),
        ("s*", ["src/a/b", "s"], ["a/s"]),
        ("src/[^a]*", ["src/b/c"], ["src/a", "src"]),
        ("src", ["src", "src/a"], ["srcs"]),
        (".", ["a", "b/c"], []),
    ],
)
def test_a_source_may_be_a_pattern(source, taken, left):
    """A pattern is for one part of the path, and a folder is taken with all in it."""
    one = Dockerfile(f"FROM a\nCOPY {source} /x/\n").taken()[0]

    assert [] == [path for path in taken if not one.takes(path)]
    assert [] == [path for path in left if one.takes(path)]


def test_variables_that_are_not_known_stay():
    """As do those of the shell."""
    assert "1 2 3 $d " == expanded("$a ${b:-2} ${a:+3} $d ${c:+4}", {"a": "1"})


@given(st.text(alphabet=st.sampled_from("FROM RUNCOPYADDas\\`\n #<-='\"[]{}$:/.*!?,EOF0")))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_text_is_read_as_a_dockerfile_and_as_an_ignore_file(text):
    """Whoever wrote it: there is an answer, or a sentence."""
    found = Dockerfile(f"FROM a\n{text}")
    for one in found.taken():
        one.takes("a/b")
    for stage in found.stages:
        stage.counted()
    with suppress(CouldNotMeasure):
        dockerignore.parse(text).leaves_out("a/b")


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN " + "[" * 500_000,
        "FROM a\nCOPY " + "[" * 500_000 + " x",
        "FROM a\nRUN " + "\\\n" * 300_000 + "x",
        "FROM a AS s0\n" + "".join(f"FROM s{n} AS s{n + 1}\n" for n in range(1500)),
        "FROM a\nCOPY " + "*a" * 2000 + "b /x",
        "FROM a\nRUN <<A <<B <<C\n" * 500,
        "FROM a\nCOPY " + "${a:-" * 50_000 + " x",
        "FROM a\nENV A=xx\n" + "ENV A=$A$A\n" * 900 + "COPY $A x",
    ],
)
def test_a_dockerfile_that_means_no_good_takes_no_time(text):
    """Nor more of Python's stack than there is."""
    began = time.monotonic()
    found = Dockerfile(text)
    for one in found.taken():
        one.takes("a" * 200)
    found.stages[-1].chain()
    buildcache.commands(text)

    assert time.monotonic() - began < 10


def test_a_dockerfile_without_end_is_told():
    """An image cannot have so many layers."""
    with pytest.raises(CouldNotMeasure, match="instructions: shorten it"):
        Dockerfile("FROM a\n" + "RUN x\n" * 5000)


# Folders that cannot be built


def test_a_folder_is_a_context_and_a_name_is_an_image(tmp_path, monkeypatch):
    """A folder that holds an image is none to be built."""
    monkeypatch.chdir(written(tmp_path, web__Dockerfile="FROM a"))
    put(tmp_path, {"layout/oci-layout": "{}"})

    told = ["./web", "web/", str(tmp_path), "web", "./nowhere", "./layout", "web/Dockerfile"]
    assert [True, True, True] + [False] * 4 == [context.is_context(one) for one in told]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "There is no Dockerfile at"),
        ({"Dockerfile/x": ""}, "is a folder: name the Dockerfile in it by --file"),
        ({"Dockerfile": ""}, "has no FROM"),
        ({"Dockerfile": "# nothing\n\nARG A=1\n"}, "has no FROM"),
        ({"Dockerfile": b"FROM a\n\xff\xfe"}, "no text in UTF-8"),
        ({"Dockerfile": "FROM a\n" + "#" * 2_000_000}, "bytes: shorten it"),
        ({"Dockerfile": "FROM a\n", ".dockerignore": "["}, "pattern that the engine refuses"),
        ({"Dockerfile": "FROM a\n", ".dockerignore": b"\xff"}, "no text in UTF-8"),
    ],
)
def test_a_folder_that_cannot_be_built_is_told(tmp_path, files, told):
    """In a sentence, before an engine is asked for."""
    put(tmp_path, files)

    with pytest.raises(CouldNotMeasure, match=told):
        context.find(str(tmp_path), Building())


def test_a_stage_that_is_not_there_is_told_with_those_that_are(tmp_path):
    """As the builder would, but sooner."""
    written(tmp_path, Dockerfile="FROM a AS build\nFROM b AS run\n")

    with pytest.raises(CouldNotMeasure, match="It has build, run"):
        context.find(str(tmp_path), Building(target="test"))


def test_a_dockerfile_may_be_a_link_within_the_folder_only(tmp_path):
    """What is outside is read by its name alone: the engine would not follow the link."""
    put(tmp_path, {"outside": "FROM b\n", "web/deploy/Dockerfile": "FROM a\n", "loop/x": ""})
    (tmp_path / "web/Dockerfile").symlink_to("deploy/Dockerfile")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/Dockerfile").symlink_to("../outside")
    (tmp_path / "loop/Dockerfile").symlink_to("Dockerfile")

    assert "FROM a\n" == context.find(f"{tmp_path}/web", Building()).dockerfile_text
    with pytest.raises(CouldNotMeasure, match="outside the folder"):
        context.find(f"{tmp_path}/bad", Building())
    with pytest.raises(CouldNotMeasure, match="Dockerfile"):
        context.find(f"{tmp_path}/loop", Building())
    told = context.find(f"{tmp_path}/bad", Building(file=tmp_path / "outside"))
    assert "FROM b\n" == told.dockerfile_text


def test_an_ignore_file_must_not_lead_out_of_the_folder(tmp_path):
    """A report would quote what another file has, and the engine would not read it."""
    put(tmp_path, {"outside": "root:[", "web/Dockerfile": "FROM a\n"})
    (tmp_path / "web/.dockerignore").symlink_to("../outside")

    with pytest.raises(CouldNotMeasure, match="outside the folder") as told:
        context.find(f"{tmp_path}/web", Building())
    assert "root" not in str(told.value).replace(str(tmp_path), "")


def test_a_dockerfile_that_is_a_fifo_is_not_waited_for(tmp_path):
    """Nobody writes into it."""
    os.mkfifo(tmp_path / "Dockerfile")

    with pytest.raises(CouldNotMeasure, match="no regular file"):
        context.find(str(tmp_path), Building())


def test_another_dockerfile_may_have_an_ignore_file_of_its_own(tmp_path, monkeypatch):
    """It goes before that of the folder; a name is looked for here, and then in the folder."""
    files = {"web/.dockerignore": "a", "web/dev": "FROM x\n", "web/dev.dockerignore": "b"}
    monkeypatch.chdir(put(tmp_path, {**files, "web/Dockerfile": "FROM y\n"}))
    usual, other = context.find("./web", Building()), context.find("./web", Building(Path("dev")))

    assert ("Dockerfile", ".dockerignore") == (usual.dockerfile_name, usual.ignore_name)
    assert ("dev", "dev.dockerignore") == (other.dockerfile_name, other.ignore_name)
    assert usual.ignored.leaves_out("a")
    assert other.ignored.leaves_out("b")
    assert not other.ignored.leaves_out("a")


# The copy


def copied(folder: Path, target: Path, **limits: float) -> context.Copied:
    """Copy a folder, as the audit does."""
    found = context.find(str(folder), Building())
    return context.copy(found, target, Limits(**limits) if limits else None)  # type: ignore[arg-type]


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return what a folder holds: every path's mode, size and times, but those of reading."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        told = path.lstat()
        found[str(path)] = (told.st_mode, told.st_size, told.st_mtime_ns, told.st_ctime_ns)
    return found


def test_a_copy_has_what_the_ignore_file_leaves(tmp_path):
    """Content, permissions, times and links; and the reader's folder is not touched."""
    files = {"Dockerfile": "FROM a\n", ".dockerignore": "data\n*.log\n!b.log\ndeep\n!deep/er/x\n"}
    files |= {"data/x": "1", "a.log": "", "b.log": "2", "app.py": "3", "deep/er/x": "4"}
    folder = put(tmp_path / "web", {**files, "deep/y": "5", "empty/.keep": ""})
    (folder / "app.py").chmod(0o755)
    os.utime(folder / "app.py", (1e9, 1e9))
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("..")
    before = snapshot(folder)
    target = tmp_path / "copy"
    told = copied(folder, target)

    kept = [".dockerignore", "Dockerfile", "app.py", "b.log", "deep/er/x", "empty/.keep"]
    assert kept == [file.path for file in told.files]
    assert "/etc/passwd" == str((target / "link").readlink())
    assert ".." == str((target / "up").readlink())
    assert (0o755, 1e9) == (
        stat.S_IMODE((target / "app.py").stat().st_mode),
        (target / "app.py").stat().st_mtime,
    )
    assert before == snapshot(folder)


def test_what_is_no_file_is_counted_and_left_out(tmp_path):
    """A FIFO is not waited for, a socket is not asked."""
    folder = written(tmp_path / "w", Dockerfile="FROM a\n")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s"))
        told = copied(folder, tmp_path / "copy")

    assert {"FIFO": 1, "socket": 1} == told.special
    assert ["Dockerfile"] == [file.path for file in told.files]


def test_names_that_are_no_text_are_copied_and_told_in_print(tmp_path):
    """A file system takes them; nobody's terminal does."""
    name = os.fsdecode(b"a\x1b[2J\n\xff")
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\nCOPY . /\n", name: "1"})
    seen = seen_of(folder, tmp_path)

    assert (tmp_path / "copy" / name).read_text() == "1"
    assert name in [file.path for file in seen.copied.files]


@pytest.mark.parametrize(
    ("limits", "told"),
    [({"paths": 5}, "more than 5 files"), ({"copied_bytes": 900}, "GB to be copied, big")],
)
def test_a_folder_that_costs_too_much_is_told(tmp_path, limits, told):
    """With the cure."""
    folder = put(tmp_path / "w", {f"a/{number}": "" for number in range(9)})
    put(folder, {"Dockerfile": "FROM a\n", "big": "x" * 1000})

    with pytest.raises(CouldNotMeasure, match=f"{told}.*dockerignore"):
        copied(folder, tmp_path / "copy", **limits)


def test_a_huge_hole_is_refused_at_once(tmp_path):
    """A sparse file of a terabyte takes no disk in the folder, and would take it in the copy."""
    folder = written(tmp_path / "w", Dockerfile="FROM a\n")
    with (folder / "hole").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(CouldNotMeasure, match="hole"):
        copied(folder, tmp_path / "copy")


def test_what_is_ignored_is_not_even_looked_at(tmp_path):
    """A folder that nobody may read is no matter then."""
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\n", ".dockerignore": "data\n"})
    put(folder, {f"data/{number}": "" for number in range(50)})

    assert 2 == len(copied(folder, tmp_path / "copy", paths=10).files)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_told(tmp_path):
    """The engine could not read it either."""
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\n", "secret": "1"})
    (folder / "secret").chmod(0)

    with pytest.raises(CouldNotMeasure, match="secret in .* cannot be copied"):
        copied(folder, tmp_path / "copy")


def test_a_read_that_fails_is_told(tmp_path, monkeypatch):
    """By the name of the file, and with the cure."""
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\n", "secret": "1"})
    real = context._opened

    def refused(file, flags=0):
        if str(file).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return real(file, flags)

    monkeypatch.setattr(context, "_opened", refused)
    with pytest.raises(CouldNotMeasure, match="secret in .* cannot be copied: Permission denied"):
        copied(folder, tmp_path / "copy")


def test_files_that_change_while_they_are_copied_end_it_neither(tmp_path):
    """One grows without end, others shrink, and others are gone."""
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\n"})
    put(folder, {f"f{number}": "x" * 100_000 for number in range(200)})
    stopped = threading.Event()

    def change() -> None:
        number = 199
        with (folder / "f0").open("ab") as growing:
            while not stopped.is_set():
                growing.write(b"y" * 10_000)
                if number > 100:
                    (folder / f"f{number}").unlink()
                    os.truncate(folder / f"f{number - 100}", 5)
                    number -= 1

    changing = threading.Thread(target=change)
    changing.start()
    try:
        told = copied(folder, tmp_path / "copy", copied_bytes=1 << 30)
    finally:
        stopped.set()
        changing.join()

    assert {"Dockerfile", "f0"} <= {file.path for file in told.files}
    assert len(told.files) >= 100


def test_a_file_that_became_a_link_is_not_followed(tmp_path, monkeypatch):
    """Between the listing and the reading somebody has put another thing there."""
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\n", "x": "1"})
    put(tmp_path, {"outside": "secret"})
    found = context.find(str(folder), Building())
    opened = context._opened

    def swapped(file, flags=0):
        if str(file).endswith("/x"):
            (folder / "x").unlink()
            (folder / "x").symlink_to(tmp_path / "outside")
        return opened(file, flags)

    monkeypatch.setattr(context, "_opened", swapped)
    with pytest.raises(CouldNotMeasure, match="x in"):
        context.copy(found, tmp_path / "copy")
    assert not (tmp_path / "copy/x").exists()


# Which file is edited


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["app.py", "greetings.py", "requirements.txt", "templates/index.html"], "app.py"),
        (["package.json", "package-lock.json", "src/index.js", "src/a.js"], "src/index.js"),
        (["setup.py", "conftest.py", "tests/test_a.py", "pkg/core.py"], "pkg/core.py"),
        (["go.mod", "go.sum", "cmd/web/main.go", "main_test.go"], "cmd/web/main.go"),
        (["node_modules/x/index.js", "z.js"], "z.js"),
        (["requirements.txt", "stations.txt"], ""),
        (["docker-entrypoint.sh", "vite.config.ts", "docs/a.py"], ""),
    ],
)
def test_the_file_that_is_edited_is_a_source_of_the_application(tmp_path, files, chosen):
    """No list of dependencies, no test, no settings of a tool: what is edited every day."""
    folder = put(tmp_path / "w", dict.fromkeys(files, "x"))
    put(folder, {"Dockerfile": "FROM a\nCOPY . .\n"})

    assert chosen == context_checks.source_file(seen_of(folder, tmp_path))


def test_the_file_that_is_edited_is_taken_as_most_of_the_sources_are(tmp_path):
    """One file that is copied on its own, early, does not stand for all."""
    folder = put(tmp_path / "w", {"app.py": "", "src/a.py": "", "src/b.py": "", "other.py": ""})
    put(folder, {"Dockerfile": "FROM a\nCOPY app.py .\nRUN x\nCOPY src src\n"})

    assert "src/a.py" == context_checks.source_file(seen_of(folder, tmp_path))


@pytest.mark.parametrize(
    "lines", ["COPY setup.sh /\nRUN sh -eu /setup.sh", "RUN --mount=source=a.py,target=/a.py x"]
)
def test_what_the_build_itself_runs_is_no_source_of_the_application(tmp_path, lines):
    """Who edits the script that installs wants it to run again."""
    folder = put(tmp_path / "w", {"Dockerfile": f"FROM a\n{lines}\n", "setup.sh": "", "a.py": ""})

    assert "" == context_checks.source_file(seen_of(folder, tmp_path))


# What ran again

BAD = "FROM a\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\n"
GOOD = (
    "FROM a\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n"
)


def steps_of(text: str, ran: int) -> tuple[Step, ...]:
    """Return the steps of a build of one stage, of which the last so many ran."""
    told = [
        line for line in text.splitlines() if line.split()[0] in ("FROM", "RUN", "COPY", "WORKDIR")
    ]
    return tuple(
        Step(f"[{number}/{len(told)}] {line}", number <= len(told) - ran, 3.0)
        for number, line in enumerate(told, 1)
    )


@pytest.mark.parametrize(
    ("text", "ran", "verdict", "installations"),
    [(BAD, 2, FAILS, 1), (GOOD, 1, HOLDS, 0), (BAD, 0, UNKNOWN_VERDICT, 0)],
)
def test_an_installation_that_runs_again_is_a_fault(tmp_path, text, ran, verdict, installations):
    """The source's own COPY has to run; what comes before it need not."""
    folder = put(tmp_path / "w", {"Dockerfile": text, "requirements.txt": "", "app.py": ""})
    seen = seen_of(folder, tmp_path)
    found = context_checks.judged_again(seen, "app.py", steps_of(text, 0), steps_of(text, ran))

    assert verdict is found.verdict
    assert installations == found.values["repeated_installations"]
    assert ran == found.values["steps_run_again"]
    if verdict is FAILS:
        assert [4, 3] == [line.number for line in found.lines]
        assert "the source after it" in found.advice


def test_a_command_that_means_no_good_takes_no_time(tmp_path):
    """Each of its words might begin an installation that never comes."""
    text = "FROM a\nCOPY . .\nRUN " + "apt pip git curl npm " * 10_000 + "\n"
    folder = put(tmp_path / "w", {"Dockerfile": text, "app.py": ""})
    seen = seen_of(folder, tmp_path)
    began = time.monotonic()
    found = context_checks.judged_again(seen, "app.py", steps_of(text, 0), steps_of(text, 2))

    assert HOLDS is found.verdict
    assert time.monotonic() - began < 10


def test_what_runs_without_an_edit_too_is_not_the_edits_doing(tmp_path):
    """A step that no cache ever answers says nothing of the order."""
    folder = put(tmp_path / "w", {"Dockerfile": BAD, "app.py": ""})
    seen = seen_of(folder, tmp_path)
    found = context_checks.judged_again(seen, "app.py", steps_of(BAD, 1), steps_of(BAD, 2))

    assert HOLDS is found.verdict
    assert 1 == found.values["steps_run_again"]


@pytest.mark.parametrize(
    ("command", "installs"),
    [
        ("pip install -r requirements.txt", True),
        ("python3 -m pip install --no-cache-dir flask", True),
        ("pip install .", True),
        ("/opt/venv/bin/pip install -r /r.txt", True),
        ("pip install --no-deps .", False),
        ("apt-get update && apt-get install -y curl", True),
        ("apt-get -y --no-install-recommends install curl", True),
        ("apk add --no-cache curl", True),
        ("npm ci --omit=dev", True),
        ("npm run build", False),
        ("yarn && yarn build", True),
        ("yarn build", False),
        ("go mod download", True),
        ("go build ./...", False),
        ("make", False),
        ("curl -fsSL https://example.org/x | tar x", True),
        ("wget -q -O /x http://example.org/x", True),
        ("git -c a=b clone --depth=1 https://example.org/x", True),
        ("curl --version; echo https://example.org", False),
        ("./install.sh", False),
        ("mvn -B dependency:go-offline", True),
        ("cd x; bundle install", True),
        ("echo pip; useradd app", False),
        ("uv sync --frozen", True),
        ("dnf -y install gcc", True),
        ("cargo build --release", False),
    ],
)
def test_an_installation_is_told_from_a_build_of_the_application(tmp_path, command, installs):
    """Only what fetches what others have made."""
    text = f"FROM a\nCOPY . .\nRUN {command}\n"
    folder = put(tmp_path / "w", {"Dockerfile": text, "app.py": ""})
    found = context_checks.judged_again(
        seen_of(folder, tmp_path), "app.py", steps_of(text, 0), steps_of(text, 2)
    )

    assert (FAILS if installs else HOLDS) is found.verdict


@pytest.mark.parametrize(
    ("run", "installs"),
    [
        ("RUN <<EOF\nset -e\npip install -r requirements.txt\nEOF", True),
        ("RUN <<EOF bash\npip install -r requirements.txt\nEOF", True),
        ("RUN cat <<EOF > /later.sh\npip install -r requirements.txt\nEOF", False),
        ("RUN <<EOF\napt-get update\nmake install\nEOF", False),
        ("RUN <<EOF\n# pip install x\nmake\nEOF", False),
    ],
)
def test_an_installation_in_a_heredoc_is_one_where_a_shell_reads_it(tmp_path, run, installs):
    """Its step is told by its first line alone; the Dockerfile has the rest."""
    text = f"FROM a\nCOPY . .\n{run}\nCOPY <<EOF /x\nRUN pip install x\nEOF\nRUN make\n"
    folder = put(tmp_path / "w", {"Dockerfile": text, "requirements.txt": "", "app.py": ""})
    seen = seen_of(folder, tmp_path)
    own = ["FROM a", "COPY . .", str(seen.runs[0]), "COPY <<EOF /x", "RUN make"]
    steps = [Step(f"[{n}/5] {told}", n < 2, 3.0) for n, told in enumerate(own, 1)]
    unedited = [Step(one.name, True, 0.0) for one in steps]
    found = context_checks.judged_again(seen, "app.py", unedited, steps)

    assert [1, 2, 3] == [one.line for one in map(seen.instruction, steps[:3]) if one]
    assert text.splitlines().index("RUN make") + 1 == seen.instruction(steps[4]).line
    assert (FAILS if installs else HOLDS) is found.verdict
    assert 4 == found.values["steps_run_again"]
    assert ([3, 2] if installs else []) == [line.number for line in found.lines]


@pytest.mark.parametrize(
    ("recording", "cached"), [("build-heredoc.txt", False), ("build-heredoc-cached.txt", True)]
)
def test_the_steps_of_heredocs_are_read_as_an_engine_tells_them(
    tmp_path, answer, recording, cached
):
    """Each is one step, with the line of its instruction; what it is made of is none."""
    text = answer("heredoc.Dockerfile")
    seen = seen_of(put(tmp_path / "w", {"Dockerfile": text, "hello.txt": ""}), tmp_path)
    steps = [one for one in parse_steps(answer(f"docker-26.1/{recording}")) if not one.is_base]
    found = {step.name: one for step in steps if (one := seen.instruction(step))}

    assert 8 == len(found)
    assert {cached} == {step.cached for step in steps}
    for name, one in found.items():
        assert name.endswith(f"] {one}")
        assert text.splitlines()[one.line - 1] == f"{one.word} {one.text}"


def test_a_step_of_a_stage_has_the_line_of_its_instruction(tmp_path):
    """By the stage's name and the step's number, a base from outside being one step."""
    text = "FROM a AS build\nENV X=1\nWORKDIR /w\nRUN 1\n"
    text += "FROM build AS more\nRUN 2\nFROM scratch\nCOPY a /\n"
    seen = seen_of(put(tmp_path / "w", {"Dockerfile": text, "a": ""}), tmp_path)
    names = [
        "[build 1/3] FROM a",
        "[build 3/3] RUN 1",
        "[more 1/1] RUN 2",
        "[stage-2 1/1] COPY a /",
    ]
    found = [seen.instruction(Step(name, False, 0.0)) for name in names]

    assert [1, 4, 6, 8] == [one.line for one in found if one]
    assert seen.instruction(Step("[build 9/9] RUN 1", False, 0.0)) is None
    assert seen.instruction(Step("[nobody 1/1] RUN 1", False, 0.0)) is None


# What is sent


@pytest.mark.parametrize(
    ("dockerfile", "files", "kinds"),
    [
        ("COPY . .", {".git/HEAD": "x", ".git/objects/ab/c": "x" * 500}, "a repository of Git"),
        ("COPY src .", {".git/HEAD": "x", "src/a.py": ""}, ""),
        ("COPY . .\nRUN git describe", {".git/HEAD": "x"}, ""),
        ("COPY . .\nRUN npm ci", {"node_modules/x/y.js": "x"}, "installed Node packages"),
        ("COPY . .", {"node_modules/x/y.js": "x"}, ""),
        ("COPY node_modules /n\nRUN npm run x", {"node_modules/x/y.js": "x"}, ""),
        ("COPY . .\nRUN pip install x", {".venv/lib/x.py": "x"}, "a virtual environment"),
        ("COPY . .", {"a/__pycache__/b.pyc": "x", "b.pyc": "y"}, "compiled Python"),
        ("COPY . .", {".env": "TOKEN=1\n"}, "settings of a deployment"),
        ("COPY . .", {".env": "# nothing here\n"}, ""),
        ("COPY .env .", {".env": "TOKEN=1\n"}, ""),
        ("COPY . .", {"id_rsa": "-----BEGIN OPENSSH PRIVATE KEY-----\n"}, "private keys"),
        ("COPY . .", {"tls.key": "-----BEGIN PUBLIC KEY-----\n", "i18n.key": "0"}, ""),
        ("COPY . .", {"web.p12": b"\x30\x82\x01\x02"}, "private keys"),
        ("COPY . .", {".aws/credentials": "x"}, "stored credentials"),
        ("COPY . .", {"app.log": "x"}, "logs"),
        ("COPY . .", {"app.py": "x", "README.md": "x"}, ""),
        ("RUN --mount=target=/src make", {".git/HEAD": "x"}, "a repository of Git"),
    ],
)
def test_what_no_image_needs_is_found_where_it_is_sent(tmp_path, dockerfile, files, kinds):
    """Not where it merely lies, nor where somebody means it."""
    folder = put(tmp_path / "w", {"Dockerfile": f"FROM a\n{dockerfile}\n", **files})
    found = context_checks.dockerignore(seen_of(folder, tmp_path))

    assert (FAILS if kinds else HOLDS) is found.verdict
    if kinds:
        assert found.figure.endswith(kinds)
        assert "a .dockerignore" in found.advice
        assert [2] == [line.number for line in found.lines]


def test_an_ignore_file_that_names_them_is_enough(tmp_path):
    """The advice is what cures it."""
    files = {
        ".git/HEAD": "x",
        "a/__pycache__/b.pyc": "x",
        ".env": "A=1",
        "c/d.pyc": "x",
        "e.log": "x",
    }
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\nCOPY . .\n", **files})
    bad = context_checks.dockerignore(seen_of(folder, tmp_path / "1"))
    lines = bad.advice.partition(": ")[2].partition(";")[0].replace("`", "").split(", ")
    put(folder, {".dockerignore": "\n".join(lines)})
    good = context_checks.dockerignore(seen_of(folder, tmp_path / "2"))

    assert (FAILS, HOLDS) == (bad.verdict, good.verdict)
    assert 5 == bad.values["needless_files"]
    assert 1 == bad.values["private_files"]


@pytest.mark.parametrize(
    ("sent_bytes", "verdict"), [(10, HOLDS), (900_000, HOLDS), (3_000_000, FAILS)]
)
def test_what_was_sent_is_compared_with_what_the_steps_take(tmp_path, sent_bytes, verdict):
    """By what the builder told: it asks for what the steps name, or for everything."""
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\nCOPY app.py .\n", "app.py": "x" * 10})
    put(folder, {"data/big": b"x" * 3_000_000})
    found = context_checks.context_bytes(seen_of(folder, tmp_path, sent_bytes))

    assert verdict is found.verdict
    assert 10 == found.values["used_bytes"]
    assert "data/: 3 MB" in found.places
    assert ("would send the rest" in found.figure) == (sent_bytes == 10)


def test_a_folder_with_nothing_to_send_is_no_matter(tmp_path):
    """A Dockerfile that is ignored itself, and nothing else."""
    folder = put(tmp_path / "w", {"Dockerfile": "FROM a\nRUN x\n", ".dockerignore": "*"})
    seen = seen_of(folder, tmp_path)

    assert FOREIGN is context_checks.context_bytes(seen).verdict
    assert FOREIGN is context_checks.dockerignore(seen).verdict


# What the layers hold

LISTS = ("var/lib/apt/lists/deb_Packages", b"x" * 300_000)
STATUS = ("var/lib/dpkg/status", b"Package: x\n")


def layered(
    tmp_path: Path, dockerfile: list[str], *layers: bytes, text: str = "", **settings: object
) -> Seen:
    """Return an image of a base and these layers, as this Dockerfile has made it.

    Its text is given where it is not what the image's history tells.
    """
    stack = [tar(("etc/base", b"1")), *layers]
    history = ["/bin/sh -c #(nop) ADD file:1 in / ", 'CMD ["bash"]', *dockerfile]
    told = config(stack, history)
    empty = ("CMD", "ENV", "USER", "EXPOSE", "ARG", "LABEL")
    told["history"] = [
        {"created_by": one, **({"empty_layer": True} if one.startswith(empty) else {})}
        for one in history
    ]
    told["config"] = settings
    text = text or "FROM a\n" + "\n".join(dockerfile) + "\n"
    folder = put(tmp_path / "w", {"Dockerfile": text, "setup.sh": ""})
    return seen_of(folder, tmp_path, image=legacy(stack, told))


def test_an_index_that_one_run_makes_for_another_is_a_fault(tmp_path):
    """As L5 has it: the second installs by what the first one has seen, one day."""
    lines = ["RUN apt-get update", "ENV A=1", "RUN apt-get install -y x"]
    found = context_checks.separate_runs(layered(tmp_path, lines, tar(LISTS), tar(STATUS)))

    assert FAILS is found.verdict
    assert (1, 0) == (found.values["updates_apart"], found.values["removed_later_bytes"])
    assert [4, 2] == [line.number for line in found.lines]


def test_heredocs_are_runs_with_lines_of_their_own(tmp_path):
    """The history has their commands in place of them."""
    text = (
        "FROM a\nRUN <<EOF\napt-get update\nEOF\nCOPY <<EOF /setup.sh\n#!/bin/sh\nEOF\n"
        "RUN <<EOF\napt-get install -y x\n/setup.sh\nEOF\n"
    )
    history = [
        "RUN /bin/sh -c apt-get update\n # buildkit",
        "COPY <<EOF /setup.sh # buildkit",
        "RUN /bin/sh -c apt-get install -y x\n/setup.sh\n # buildkit",
    ]
    layers = [tar(LISTS), tar(("setup.sh", b"#!/bin/sh\n")), tar(STATUS)]
    found = context_checks.separate_runs(layered(tmp_path, history, *layers, text=text))

    assert FAILS is found.verdict
    assert (1, 1) == (found.values["updates_apart"], found.values["scripts_left"])
    assert [8, 2, 5] == [line.number for line in found.lines]
    assert "line 2 (RUN <<EOF (apt-get update))" in found.places[0]


def test_one_run_that_does_both_is_none(tmp_path):
    """Whether or not it tidies up: what stays is another check's."""
    lines = ["RUN apt-get update && apt-get install -y x", "COPY a /a"]
    seen = layered(tmp_path, lines, tar(LISTS, STATUS), tar(("a", b"1")))

    assert HOLDS is context_checks.separate_runs(seen).verdict


@pytest.mark.parametrize("removal", ["var/lib/apt/lists/.wh.deb_Packages", "var/lib/apt/.wh.lists"])
def test_what_one_run_makes_and_another_removes_is_a_fault(tmp_path, removal):
    """A file, or the folder it lies in; what the base has made is not this Dockerfile's."""
    lines = ["RUN apt-get update && apt-get install x", "RUN rm -rf /var/lib/apt/lists"]
    layers = [tar(LISTS, STATUS), tar(directory("var/lib/apt"), (removal, b""))]
    found = context_checks.separate_runs(layered(tmp_path, lines, *layers))

    assert FAILS is found.verdict
    assert 300_000 == found.values["removed_later_bytes"]
    assert "Remove what is not needed in the RUN that made it." == found.advice


def test_what_the_base_has_made_is_not_removed_later_by_us(tmp_path):
    """B2's subject: a parent cannot be pared down, and no order of RUNs changes that."""
    seen = layered(tmp_path, ["RUN rm /etc/base"], tar(("etc/.wh.base", b"")))

    assert HOLDS is context_checks.separate_runs(seen).verdict


@pytest.mark.parametrize(
    ("run", "settings", "fault"),
    [
        ("RUN sh /setup.sh", {}, True),
        ("RUN bash -eu /setup.sh && rm /setup.sh", {}, True),
        ("RUN cd / && ./setup.sh", {}, True),
        ("RUN chmod +x /setup.sh", {}, False),
        ("RUN make", {}, False),
        ("RUN sh /setup.sh", {"Entrypoint": ["/setup.sh", "serve"]}, False),
        ("RUN true", {"Cmd": ["sh", "/setup.sh"]}, False),
    ],
)
def test_a_script_that_only_a_run_needs_is_a_fault(tmp_path, run, settings, fault):
    """As S4 has it; one that the image starts by is needed."""
    layers = [tar(("setup.sh", b"#!/bin/sh\n")), tar(("x", b"1"))]
    found = context_checks.separate_runs(
        layered(tmp_path, ["COPY setup.sh /setup.sh", run], *layers, **settings)
    )

    assert (FAILS if fault else HOLDS) is found.verdict


def test_a_history_of_another_dockerfile_is_not_judged(tmp_path):
    """A builder that tells its steps in another way could be misread."""
    seen = layered(tmp_path, ["RUN x"], tar(("x", b"1")))
    other = context.find(str(put(tmp_path / "o", {"Dockerfile": "FROM a\nCOPY a b\n"})), Building())
    found = context_checks.separate_runs(Seen(other, seen.copied, "", 0, seen.image))

    assert UNKNOWN_VERDICT is found.verdict
    assert found.advice


def test_an_image_without_a_run_has_none_apart(tmp_path):
    """There is nothing to be judged."""
    seen = layered(tmp_path, ["COPY a /a"], tar(("a", b"1")))

    assert FOREIGN is context_checks.separate_runs(seen).verdict


def test_nothing_of_a_hostile_folder_reaches_a_report(tmp_path):
    """Names are told by their codes, in figures, places and lines."""
    name = ESCAPE.replace("/", "").encode("utf-8", "replace").decode()[:60]
    files = {"Dockerfile": "FROM a\nCOPY . .\n", f"{name}.py": "", f"{name}/.git/HEAD": "x"}
    seen = seen_of(put(tmp_path / "w", files), tmp_path)
    found = [context_checks.dockerignore(seen), context_checks.context_bytes(seen)]
    found.append(context_checks.judged_again(seen, f"{name}.py", (), steps_of(BAD, 2)))
    told = [text for one in found for text in (one.figure, one.advice, *one.places)]

    assert FAILS is found[0].verdict
    assert [] == [text for text in told if not text.isprintable()]


def test_every_kind_has_a_pattern_that_leaves_it_out():
    """The advice must cure."""
    paths = [
        ".git/HEAD",
        "a/node_modules/b/c",
        "x/__pycache__/y.pyc",
        ".env.local",
        "q.swp",
        "b/id_rsa",
    ]
    for path in paths:
        told = junk.kind_of(path)
        assert told is not None
        assert dockerignore.parse(junk.pattern_of(told.path)).leaves_out(path)
