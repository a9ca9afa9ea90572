"""The sessions are those that the guide tells of, and share one environment safely."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib import import_module

import pytest
from proving import prove
from proving.paths import ROOT

STOPPING = """
import noxfile
kept = []
noxfile._prepare = lambda session, **_: None
noxfile._python = lambda *_, **options: kept.append(options)
class Session:
    posargs = ()
noxfile.hub(Session())
from proving.room import command
assert kept[0]["interrupt_timeout"] > command.STOP_SECONDS, kept
"""

PREPARE = """
import noxfile, os, subprocess
class Session:
    def log(self, words): print("made")
    def run(self, *command, env=None, **_):
        own = {**os.environ, **(env or {})}
        subprocess.run([str(word) for word in command], env=own, check=True)
noxfile._prepare(Session())
"""

NEED_AN_ENGINE = {"labs", "teeth", "faults", "guide", "audit", "hub", "engines", "record", "bench"}
STARTED = """
import noxfile, os, sys
os.environ["PROVING_KIT"] = "/nowhere"
class Session:
    posargs = []
    def log(self, words): pass
    def run(self, *command, **_): commands.append(" ".join(map(str, command)))
noxfile._make_environment = lambda _: None
for name in sys.argv[1:]:
    commands = []
    getattr(noxfile, name)(Session())
    assert "proving.kit.sources /nowhere" in commands[0]
    if any("proving.kit.command --load" in command for command in commands):
        print("loads", name)
"""

TESTED = """
import noxfile, sys
noxfile._prepare = lambda session, **_: None
noxfile._report = lambda name: noxfile.HERE / name
class Session:
    posargs = sys.argv[1:]
    def run(self, *command, **_):
        words = [str(word) for word in command]
        if words[2] == "pytest":
            assert not self.posargs or words[-2:] == self.posargs, words
            print(name, words[5], *[word for word in words if word.startswith("-n")], sep=": ")
for name in ("tests", "docs", "faults"):
    getattr(noxfile, name)(Session())
"""


@pytest.fixture(scope="module")
def listed() -> str:
    """Return what `nox --list` says of the guide's sessions."""
    command = [sys.executable, "-m", "nox", "--list", "-f", str(ROOT / "noxfile.py")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_plain_nox_runs_the_tests(listed):
    """What is run without a name proves everything, and serves or erases nothing."""
    default = set(re.findall(r"^\* (\w+)", listed, re.MULTILINE))

    assert {"lint", "tests", "docs", "labs", "teeth", "faults"} == default


def test_the_guide_tells_of_every_session(listed):
    """The page on how to run the guide names each of them."""
    page = (ROOT / "guide" / "how-to-run.md").read_text(encoding="utf-8")
    sessions = re.findall(r"^[*-] (\w+)", listed, re.MULTILINE)

    assert [] == [name for name in sessions if f"`{name}`" not in page]


@pytest.mark.parametrize(
    ("session", "module"),
    [
        ("bench", "proving.bench"),
        ("clean", "proving.clean"),
        ("deck", "proving.deck"),
        ("engines", "proving.engines"),
        ("guide", "proving.guide"),
        ("hub", "proving.room.command"),
        ("kit", "proving.kit.command"),
        ("preflight", "proving.preflight.command"),
        ("progress", "proving.my_progress_command"),
        ("reset", "proving.workcopy"),
    ],
)
def test_a_usage_line_has_the_command_as_it_is_typed(session, module, capsys):
    """And not the name of a program that is nowhere in the reader's PATH."""
    with pytest.raises(SystemExit):
        import_module(module).main(["--help"])

    assert capsys.readouterr().out.startswith(f"usage: nox -s {session} -- [")


@pytest.mark.parametrize("session", prove.SESSIONS)
def test_a_usage_line_of_the_labs_has_their_session(session, capsys):
    """One program serves the three, and its first word is none that a reader types."""
    with pytest.raises(SystemExit):
        prove.main([session, "--help"])

    told = capsys.readouterr().out
    assert told.startswith(f"usage: nox -s {session} -- [")
    assert "{labs,teeth,record}" not in told


def test_a_run_of_the_labs_by_another_name_is_refused(capsys):
    """With those that there are."""
    with pytest.raises(SystemExit):
        prove.main(["lab", "09"])

    assert "invalid choice: 'lab' (choose from" in capsys.readouterr().err


def test_a_kit_is_loaded_for_sessions_with_an_engine_alone(listed, tmp_path):
    """The others start none because of `PROVING_KIT`; its wheels are taken for all of them."""
    shutil.copy(ROOT / "noxfile.py", tmp_path)
    names = re.findall(r"^[*-] (\w+)", listed, re.MULTILINE)
    command = [sys.executable, "-c", STARTED, *names]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert NEED_AN_ENGINE == set(re.findall(r"^loads (\w+)", ended.stdout, re.MULTILINE))


@pytest.mark.parametrize(
    ("given", "on_the_engine"),
    [
        ([], ["faults: engine and beside: -n=2", "faults: engine and not beside"]),
        (["-k", "one"], ["faults: engine"]),
    ],
)
def test_tests_run_side_by_side_where_they_bear_it(tmp_path, given, on_the_engine):
    """What is given behind `--` comes last, and so has its way."""
    shutil.copy(ROOT / "noxfile.py", tmp_path)
    command = [sys.executable, "-c", TESTED, *given]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert [
        "tests: not engine and not browser: -n=logical",
        "docs: browser: -n=logical",
        *on_the_engine,
    ] == [line for line in ended.stdout.splitlines() if ": " in line]


def test_windows_is_told_where_the_guide_runs():
    """In a sentence, and not by a module that is missing there."""
    script = (
        "import nox, nox.command, venv, sys; sys.platform = 'win32'; "
        "sys.modules['fcntl'] = None; import noxfile"
    )
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 1 == run.returncode
    assert "wsl --install" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_room_has_the_time_to_stop_its_seats():
    """nox waits longer for the room than the room for its hub."""
    subprocess.run([sys.executable, "-c", STOPPING], cwd=ROOT, check=True)


def test_two_first_runs_at_once_make_one_environment(tmp_path):
    """The second one waits for the first and takes what that has made."""
    shutil.copy(ROOT / "noxfile.py", tmp_path)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=120)[0] for run in runs]

    assert [0, 0] == [run.returncode for run in runs]
    assert ["", "made\n"] == sorted(outputs)
    assert (tmp_path / ".nox" / "shared" / "bin" / "python").exists()


def test_an_environment_is_made_from_a_kit(tmp_path):
    """The wheels that were taken are enough: pip asks no index."""
    shutil.copy(ROOT / "noxfile.py", tmp_path)
    (tmp_path / "requirements.txt").write_text("some-thing\n")
    wheels = tmp_path / ".engine" / "kit" / "wheels"
    wheels.mkdir(parents=True)
    with zipfile.ZipFile(wheels / "some_thing-1.0-py3-none-any.whl", "w") as wheel:
        folder = "some_thing-1.0.dist-info"
        told = "Metadata-Version: 2.1\nName: some-thing\nVersion: 1.0\n"
        wheel.writestr(f"{folder}/METADATA", told)
        wheel.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{folder}/RECORD", "")

    subprocess.run([sys.executable, "-c", PREPARE], cwd=tmp_path, check=True, timeout=120)

    assert list((tmp_path / ".nox" / "shared").glob("lib/*/site-packages/some_thing*"))
