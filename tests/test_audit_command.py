"""The command line of the audit, its sources stood in for: what it says, and how it ends."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import archives
import pytest
from audits import BETTER, ESCAPE, FAILS, FOREIGN, HOLDS, HOSTILE, REPORT, UNKNOWN, finding
from proving import __main__ as program
from proving.audit import audit as auditing
from proving.audit import command
from proving.audit.audit import Found, Options
from proving.audit.bars import Bars
from proving.audit.catalogue import ARCHIVE, CHECKS, RUN
from proving.audit.context import Building
from proving.audit.findings import Report
from proving.audit.scorecard import console
from proving.audit.subject import Subject
from proving.errors import ProvingError
from proving.paths import LABS, ROOT

IMAGES = {one.subject: one for one in (REPORT, BETTER, HOSTILE)}
SOUND = tuple(finding(check.id, HOLDS, "So it is.") for check in (*ARCHIVE, *RUN))


def image(name, _progress=None):
    """Return an image of which nothing is read."""
    return Subject(name, save=lambda: ())


@pytest.fixture
def asked(monkeypatch):
    """Have sources of invented answers; return what they were asked."""
    asked: list[tuple[str, Options]] = []

    def source(image, options, progress):
        subject = image.name
        asked.append((subject, options))
        with progress.task(f"Reading {subject}", 2) as advance:
            advance(1)
        if subject == "sound":
            return Found(SOUND)
        if subject not in IMAGES:
            raise ProvingError(f"There is no image {subject} {ESCAPE}.\nPull it, or build it.")
        return Found(IMAGES[subject].findings, IMAGES[subject].facts)

    monkeypatch.setattr(auditing, "find", image)
    monkeypatch.setattr(auditing, "sources", lambda options: {"none": source})
    return asked


def test_an_image_with_faults_ends_in_1_and_a_scorecard(asked, capsys):
    """What a person sees is on standard output, and no progress is among it."""
    status = command.main(["my/web:1.4"])
    out, err = capsys.readouterr()

    assert 1 == status
    assert "The audit of my/web:1.4" in out
    assert "Reading" not in out
    assert "Reading my/web:1.4 …" in err
    assert [] == [line for line in out.splitlines() if line != line.rstrip()]


def test_an_image_without_faults_ends_in_0(asked, capsys):
    """Every check holds: a pass."""
    assert 0 == command.main(["sound"])
    assert f"Of {len(SOUND)} checks: {len(SOUND)} hold." in capsys.readouterr().out


def test_no_such_image_ends_in_2_and_a_sentence(asked, capsys):
    """It says what is wrong and what to do, on standard error, and steers no terminal."""
    status = command.main(["none/such"])
    out, err = capsys.readouterr()

    assert (2, "") == (status, out)
    assert "There is no image none/such" in err
    assert "Pull it, or build it." in err.splitlines()
    assert "\x1b" not in err


def test_a_password_in_an_error_is_masked(asked, capsys):
    """A build that fails is told by its last lines, and these may have any secret in them."""
    assert 2 == command.main(["https://user:hunter2hunter2@nowhere.example/image"])
    told = [line for line in capsys.readouterr().err.splitlines() if "There is no image" in line]

    assert ["https://user:••••@nowhere.example/image"] == [one.split()[4] for one in told]


def test_a_folder_without_a_dockerfile_is_told(capsys, tmp_path):
    """It says so, and asks neither an engine nor a registry for it."""
    assert 2 == command.main([str(tmp_path)])
    assert f"There is no Dockerfile at {tmp_path}/Dockerfile" in capsys.readouterr().err


def test_a_name_that_steers_a_terminal_is_told_harmlessly(capsys, tmp_path):
    """Also that of a folder, which the person has typed."""
    folder = tmp_path / "a\x1b[2J"
    folder.mkdir()
    command.main([str(folder)])

    assert "\x1b" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name an image"),
        (["x", "--format", "junit", "--compare", "y"], "terminal or json, not as junit"),
        (["x", "--fail-on", "stop"], "did you mean stops"),
        (["x", "--fail-on", ""], "there is no check ''"),
        (["x", "--fail-on", "secrets,stops", "--no-run"], "stops is seen in a run only"),
        (["x", "--env", "NAME"], "NAME=VALUE"),
        (["x", "--env", "=s3cret"], "NAME=VALUE"),
        (["x", "--port", "0"], "from 1 to 65535"),
        (["x", "--port", "http"], "from 1 to 65535"),
        (["x", "--volume", "data"], "begin it with a slash"),
        (["x", "--ready-path", "health"], "begin it with a slash"),
        (["x", "--ready-log", "("], "no pattern"),
        (["x", "--ready-seconds", "soon"], "give more than 0"),
        (["x", "--watch-seconds", "nan"], "give more than 0"),
        (["x", "--patience-seconds", "0"], "give more than 0"),
        (["x", "--command", "'"], "no command"),
        (["x", "--command", " "], "no words"),
        (["x", "--site", "file:///etc"], "https://"),
        (["x", "--fail-on", "dockerignore"], "when a folder is built"),
        (["x", "--file", "Dockerfile.dev"], "--file is for a folder"),
        (["x", "--build-arg", "A=1"], "--build-arg is for a folder"),
        (["x", "--keep-as", "my/web:1"], "--keep-as is for a folder"),
        ([".", "--compare", "..", "--keep-as", "my/web:1"], "leave out --compare"),
        ([".", "--build-arg", "NO_SUCH_VARIABLE"], "NAME=VALUE"),
        ([".", "--build-arg", "=s3cret"], "NAME=VALUE"),
        ([".", "--secret", "token=s3cret"], "id=ID,src=FILE"),
        ([".", "--secret", "id=a,src=/no/such"], "cannot be read"),
        ([".", "--secret", "id=a,type=env,env=A"], "id=ID,src=FILE"),
        ([".", "--build-seconds", "0"], "give more than 0"),
        (["x", "--output", "no/such/folder/report"], "make it first"),
        (["x", "--output", str(LABS)], "is a folder"),
    ],
)
def test_bad_usage_ends_in_2_with_the_cure(asked, capsys, arguments, told):
    """Before anything is audited, and without a value that may be a secret."""
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    err = capsys.readouterr().err

    assert 2 == ended.value.code
    assert told in " ".join(err.split())
    assert "s3cret" not in err
    assert [] == asked


def test_options_say_how_to_start_the_image(asked):
    """What the sources are told is what was written."""
    arguments = ["my/web:1.4", "--env", "A=1", "--env", "B=x=y", "--command", "serve 'a b'"]
    arguments += ["--port", "8080", "--volume", "/data", "--volume", "/tmp", "--ready-path", "/up"]
    arguments += [
        "--ready-log",
        "listening|ready",
        "--ready-seconds",
        "2.5",
        "--watch-seconds",
        "5",
    ]
    command.main([*arguments, "--patience-seconds", "40", "--no-run"])

    assert [
        (
            "my/web:1.4",
            Options(
                environment={"A": "1", "B": "x=y"},
                command=("serve", "a b"),
                port=8080,
                volumes=("/data", "/tmp"),
                ready_path="/up",
                ready_log="listening|ready",
                ready_seconds=2.5,
                patience_seconds=40.0,
                watch_seconds=5.0,
                run=False,
            ),
        )
    ] == asked


def test_options_say_how_to_build_a_folder(monkeypatch, tmp_path):
    """A build argument without a value has that of the environment, as for Docker itself."""
    told = []

    def audited(text, options, progress):
        told.append((text, options.building))
        return REPORT

    (tmp_path / "token").write_bytes(b"s3cret")
    monkeypatch.setenv("VERSION", "1.4")
    monkeypatch.setattr(command, "audit", audited)
    arguments = [f"{tmp_path}/", "--file", "dev", "--target", "test", "--build-arg", "VERSION"]
    arguments += ["--build-arg", "A=b=c", "--secret", f"id=token,src={tmp_path}/token"]
    arguments += ["--edit", "./app.py", "--build-seconds", "60", "--keep-as", "my/web:1"]
    command.main([*arguments, "--fail-on", "dockerignore,user"])

    assert [
        (
            f"{tmp_path}/",
            Building(
                file=Path("dev"),
                arguments={"VERSION": "1.4", "A": "b=c"},
                secrets={"token": b"s3cret"},
                target="test",
                edit="app.py",
                limit_seconds=60.0,
                keep_as="my/web:1",
            ),
        )
    ] == told


def test_without_options_the_command_line_asks_for_the_usual(asked):
    """The defaults of the parser are those of the options themselves."""
    command.main(["sound"])

    assert [("sound", Options())] == asked


@pytest.mark.parametrize(
    ("fail_on", "verdicts", "status"),
    [
        ("any", {}, 0),
        ("any", {"stops": HOLDS, "user": FOREIGN}, 0),
        ("any", {"stops": FAILS, "user": UNKNOWN}, 1),
        ("any", {"stops": HOLDS, "user": UNKNOWN}, 2),
        ("none", {"stops": FAILS, "user": UNKNOWN}, 0),
        (("user",), {"stops": FAILS, "user": HOLDS}, 0),
        (("user",), {"stops": HOLDS, "user": FAILS}, 1),
        (("user", "stops"), {"stops": FAILS, "user": UNKNOWN}, 1),
        (("user",), {"stops": HOLDS, "user": UNKNOWN}, 2),
        (("user",), {"stops": HOLDS, "user": FOREIGN}, 0),
        (("user",), {"stops": HOLDS}, 2),
    ],
)
def test_the_exit_status_is_that_of_the_checks_that_decide(fail_on, verdicts, status):
    """What could not be measured is never a pass, and says so."""
    report = Report("x", tuple(finding(name, one, "") for name, one in verdicts.items()))
    found, why = command.judge(report, fail_on)

    assert status == found
    assert (status == 2) == ("could not be measured" in why)


@pytest.mark.parametrize("form", command.FORMATS)
def test_each_format_may_be_written_to_a_file(asked, capsys, tmp_path, form):
    """The file has all of it; the terminal is told in one line what came of it, and where."""
    file = tmp_path / "report"
    status = command.main(["my/web:1.4", "--format", form, "--output", str(file)])
    out, err = capsys.readouterr()
    text = file.read_text(encoding="utf-8")

    assert (1, "") == (status, out)
    assert "4 do not hold" in err
    assert all(one.check.id in text for one in REPORT.findings if one.verdict is FAILS)
    assert "\x1b" not in text


@pytest.mark.parametrize("form", command.FORMATS)
def test_no_format_lets_a_hostile_image_steer_the_terminal(asked, capsys, form):
    """Whatever is printed, nothing of it is a control character but the end of a line."""
    command.main([HOSTILE.subject, "--format", form])
    text = "".join(capsys.readouterr())

    assert [] == [c for c in text if c != "\n" and not c.isprintable()]


def test_a_file_that_cannot_be_written_ends_in_2(asked, capsys):
    """With the reason, and what to do."""
    status = command.main(["sound", "--output", "/dev/full"])

    assert 2 == status
    assert "--output" in capsys.readouterr().err


def test_a_comparison_audits_both_and_ends_by_the_first(asked, capsys):
    """OTHER is there to compare with, and is not judged."""
    status = command.main(["sound", "--compare", "my/web:1.4", "--format", "json"])
    data = json.loads(capsys.readouterr().out)

    assert 0 == status
    assert ["sound", "my/web:1.4"] == [subject for subject, _ in asked]
    assert "comparison" == data["kind"]
    assert "my/web:1.4" == data["other"]["subject"]


def test_a_comparison_on_the_terminal(asked, capsys):
    """Two images side by side, and what is better in the first."""
    command.main(["my/web:1.5", "--compare", "my/web:1.4"])

    assert "my/web:1.5 compared with my/web:1.4" in capsys.readouterr().out


def test_all_checks_are_listed(capsys):
    """Each with the chapter and the claims that say why."""
    status = command.main(["--list-checks"])
    text = capsys.readouterr().out

    assert 0 == status
    assert [] == [name for name in CHECKS if f"  {name} " not in text]
    assert text.startswith("Chapter 1 · Qualities of a good image\n")


def test_a_fault_of_the_audit_itself_is_a_sentence(monkeypatch, capsys):
    """A traceback would quote the image's words, and a 1 would be taken for a finding."""

    def source(subject, options, progress):
        raise ValueError(f"what is this: {ESCAPE}")

    monkeypatch.setattr(auditing, "find", image)
    monkeypatch.setattr(auditing, "sources", lambda options: {"none": source})
    status = command.main(["x"])
    err = capsys.readouterr().err

    assert 2 == status
    assert "fault of its own: ValueError: what is this" in err
    assert "\x1b" not in err


def run(source: str, **options):
    """Start the command line in a process of its own, with a source of answers."""
    words = ["from proving.audit import audit, command", "from proving.audit.audit import Found"]
    words += ["from proving.audit.subject import Subject", "import sys, time", source]
    words += ["audit.find = lambda text, _: Subject(text, save=lambda: ())"]
    words += ["audit.sources = lambda options: {'none': source}"]
    words += ["sys.exit(command.main(['x', '--format', 'json']))"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(LABS), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(words)],
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
        **options,
    )


WAITS = """
def source(subject, options, progress):
    try:
        print("begun", file=sys.stderr, flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", file=sys.stderr, flush=True)
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_audit_cleans_up_and_ends_in_130(ending):
    """Ctrl-C, and what a pipeline sends: what was begun is undone, and a sentence says so."""
    process = run(WAITS, stdout=subprocess.PIPE)

    assert "begun\n" == process.stderr.readline()
    process.send_signal(ending)
    out, err = process.communicate(timeout=30)
    assert 130 == process.returncode
    assert "cleaned up\nStopped; nothing is left on the engine.\n" == err
    assert "" == out


def test_a_reader_that_has_read_enough_is_no_fault():
    """As with `| head`: the exit status is still that of the findings."""
    reading, writing = os.pipe()
    os.close(reading)
    process = run("def source(*_): return Found(())", stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=30)

    assert "" == err
    assert 0 == process.returncode


def audited(monkeypatch, sources):
    """Return the report of an audit by invented sources."""
    monkeypatch.setattr(auditing, "find", image)
    monkeypatch.setattr(auditing, "sources", lambda options: sources)
    return auditing.audit("x", Options(), Bars(console(sys.stderr)))


def test_every_question_that_a_source_was_asked_gets_an_answer(monkeypatch):
    """What it left out could not be measured; the order is that of the catalogue."""
    some = (finding("user", HOLDS, "1000"), finding("hidden-bytes", HOLDS, "none"))
    report = audited(monkeypatch, {"archive": lambda *_: Found(some, {"layers": 3})})
    verdicts = {one.check.id: one.verdict for one in report.findings}

    assert [check.id for check in ARCHIVE] == list(verdicts)
    assert {"user", "hidden-bytes"} == {name for name, one in verdicts.items() if one is HOLDS}
    assert {HOLDS, UNKNOWN} == set(verdicts.values())
    assert {"layers": 3} == report.facts


def test_both_sources_make_one_report(monkeypatch):
    """Facts and findings of the archive and of the run stand together."""
    stops = (finding("stops", FAILS, "10 s", "Mend it."),)
    sources = {"run": lambda *_: Found(stops, {"b": 2}), "archive": lambda *_: Found((), {"a": 1})}
    report = audited(monkeypatch, sources)

    assert [check.id for check in (*ARCHIVE, *RUN)] == [one.check.id for one in report.findings]
    assert {"a": 1, "b": 2} == report.facts


def test_an_archive_in_a_file_is_read_and_not_run(tmp_path, capsys):
    """Of all that a run would tell nothing could be measured, and a sentence says what to do."""
    layers = [archives.tar(("etc/app.conf", b"hello"))]
    path = tmp_path / "web.tar"
    path.write_bytes(archives.legacy(layers, archives.config(layers)))
    status = command.main([str(path), "--format", "json"])
    out, err = capsys.readouterr()
    report = json.loads(out)
    runs = [one for one in report["findings"] if one["source"] == "run"]

    assert 1 == status
    assert "web.tar" == report["subject"]
    assert len(RUN) == len(runs)
    assert {str(UNKNOWN)} == {one["verdict"] for one in runs}
    assert all("docker load" in one["figure"] for one in runs)
    assert str(FAILS) in {one["verdict"] for one in report["findings"]}
    assert "Reading web.tar …" in err


@pytest.mark.parametrize("form", command.FORMATS)
def test_no_format_tells_a_secret(tmp_path, capsys, form):
    """Where it is, yes; what it is, no: reports are kept, and sent to others."""
    secret = "ghp_" + hashlib.sha256(b"nobody's").hexdigest()[:36]
    layers = [archives.tar(("app/settings.ini", f"token = {secret}\n".encode()))]
    settings = archives.config(layers, [f"RUN TOKEN={secret} make"])
    settings["config"] = {"Env": [f"TOKEN={secret}"], "Cmd": ["serve", secret]}
    path = tmp_path / "web.tar"
    path.write_bytes(archives.legacy(layers, settings))
    command.main([str(path), "--no-run", "--format", form, "--fail-on", "secrets"])
    text = "".join(capsys.readouterr())

    assert "app/settings.ini" in text
    assert secret not in text
    assert secret[4:20] not in text


def test_the_program_says_what_it_is_for(asked, capsys):
    """`python -m proving` alone is bad usage; with `audit` it audits."""
    assert 2 == program.main([])
    assert 0 == program.main(["--help"])
    assert 0 == program.main(["audit", "sound"])
    assert "The audit of sound" in capsys.readouterr().out


def test_a_value_that_is_no_option_is_refused_by_its_parser():
    """The parsers of values raise what argparse tells as a sentence."""
    with pytest.raises(ArgumentTypeError, match="hidden-bytes"):
        command._fail_on("hidden-byte")


def test_bars_show_what_goes_on_and_are_gone_after(monkeypatch):
    """On a terminal; the name of an image among it is text alone."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    stream.isatty = lambda: True
    bars = Bars(console(stream, width=200))
    for _ in range(2):
        with bars.task(f"Reading {ESCAPE}", 10) as advance, bars.task("Running"):
            advance(10)
            bars._progress.refresh()
    text = stream.getvalue()

    assert "Reading \\x1b[2J" in text
    assert "[bold red]:warning:[/]" in text
    assert "\x1b]0;" not in text
    assert 2 == text.count("\x1b[?25l") == text.count("\x1b[?25h")


def test_the_page_on_running_tells_of_every_option():
    """Whoever reads it knows all that there is, and only that."""
    page = (ROOT / "guide" / "how-to-run.md").read_text(encoding="utf-8")
    section = page.partition("## Audit an image")[2].partition("\n## ")[0]
    actions = command.parser()._actions
    options = {name for one in actions for name in one.option_strings if name.startswith("--")}

    assert options - {"--help"} == set(re.findall(r"`(--[a-z-]+)", section))
    assert [] == [form for form in command.FORMATS if f"--format {form}" not in section]
