"""The command line of the audit: `python -m proving audit IMAGE`.

Its exit status is 0 where nothing was found, 1 where something was, 2 where the image, or a check
that was to decide, could not be audited, and 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TextIO

from ..claims import Verdict
from ..errors import ProvingError
from ..system import ending_in_order
from .audit import CONTEXT, RUN, Options, Progress, audit
from .bars import Bars, Sentences
from .catalogue import CHECKS
from .context import Building, is_context
from .findings import Report
from .telling import chapter_of, tally, title_of
from .text import printable

NOTHING_FOUND, FOUND, NOT_AUDITED, INTERRUPTED = 0, 1, 2, 130
FORMATS = ("terminal", "json", "junit", "sarif", "html")
COMPARED = ("terminal", "json")
ANY, NONE = "any", "none"
_FILE_WIDTH = 80


def parser(**options: object) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    told = argparse.ArgumentParser(**options)  # type: ignore[arg-type]
    told.add_argument(
        "image",
        nargs="?",
        metavar="IMAGE",
        help="an image that the engine has or can pull, an archive of one, or a folder to build",
    )
    told.add_argument("--list-checks", action="store_true", help="list all checks, and end")
    telling = told.add_argument_group("how it tells")
    telling.add_argument("--format", choices=FORMATS, default="terminal", help="terminal is usual")
    telling.add_argument("--output", type=Path, metavar="FILE", help="write to a file")
    telling.add_argument(
        "--fail-on",
        type=_fail_on,
        default=ANY,
        metavar="CHECK,…",
        help="what makes the exit status 1: these checks, `any` (usual) or `none`",
    )
    telling.add_argument("--compare", metavar="OTHER", help="audit another image, side by side")
    telling.add_argument(
        "--site", type=_site, default="", metavar="URL", help="a site of the guide, to link to"
    )
    starting = told.add_argument_group("how to start the image")
    starting.add_argument(
        "--no-run", dest="run", action="store_false", help="look at its archive, never start it"
    )
    starting.add_argument(
        "--env", type=_variable, action="append", default=[], metavar="NAME=VALUE"
    )
    starting.add_argument("--command", type=_words, metavar="WORDS", help="instead of its own")
    starting.add_argument("--port", type=_port, metavar="PORT", help="where it answers")
    starting.add_argument(
        "--volume", type=_path, action="append", default=[], metavar="PATH", help="an empty one"
    )
    starting.add_argument("--ready-path", type=_path, metavar="PATH", help="up when it answers")
    starting.add_argument(
        "--ready-log", type=_pattern, metavar="PATTERN", help="up when a line of its log matches"
    )
    starting.add_argument(
        "--ready-seconds", type=_seconds, metavar="SECONDS", help="up when it has run for so long"
    )
    starting.add_argument(
        "--patience-seconds",
        type=_seconds,
        default=15.0,
        metavar="SECONDS",
        help="how long to wait until it is up (15)",
    )
    starting.add_argument(
        "--watch-seconds",
        type=_seconds,
        default=15.0,
        metavar="SECONDS",
        help="how long to watch what it writes (15; give 60 to see a minute)",
    )
    _add_building(told.add_argument_group("how to build a folder, named like ./web"))
    return told


def _add_building(building: argparse._ArgumentGroup) -> None:
    building.add_argument("--file", type=Path, metavar="FILE", help="its Dockerfile")
    building.add_argument("--target", default="", metavar="STAGE", help="the stage to build")
    building.add_argument(
        "--build-arg", type=_argument, action="append", default=[], metavar="NAME=VALUE"
    )
    building.add_argument(
        "--secret", type=_secret, action="append", default=[], metavar="id=ID,src=FILE"
    )
    building.add_argument(
        "--edit", default="", metavar="PATH", help="the source file to edit before a second build"
    )
    building.add_argument(
        "--build-seconds",
        type=_seconds,
        default=Building().limit_seconds,
        metavar="SECONDS",
        help="how long a build may take (1800)",
    )
    building.add_argument("--keep-as", default="", metavar="NAME", help="keep the image, named so")


def run(options: argparse.Namespace, usage: argparse.ArgumentParser) -> int:
    """Do what the command line says; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if options.list_checks:
        _print(_listed())
        return NOTHING_FOUND
    if fault := _misused(options):
        usage.error(fault)
    with _in_order() as ended:
        ended.status = _audited(options)
    return ended.status


class _Ended:
    """How a run has ended."""

    status = NOT_AUDITED


@contextmanager
def _in_order() -> Iterator[_Ended]:
    """Have whatever ends the block end in a sentence, and leave nothing."""
    ended = _Ended()
    with ending_in_order():
        try:
            yield ended
        except ProvingError as error:
            _say(str(error))
        except KeyboardInterrupt:
            _say("Stopped; nothing is left on the engine.")
            ended.status = INTERRUPTED
        except Exception as error:
            # A traceback quotes what it was about, and that may be an image's own words.
            told = f"{type(error).__name__}: {error}"
            _say(f"The audit itself has failed, by a fault of its own: {told}")


def _say(text: str) -> None:
    """Tell something on standard error; it may quote a stranger's build, which may have secrets."""
    from . import secrets

    for line in text.splitlines():
        print(printable(secrets.redact(line), 2000), file=sys.stderr, flush=True)


def _misused(options: argparse.Namespace) -> str:
    """Return what is wrong with options that are right each by itself; empty where nothing is."""
    if not options.image:
        return "name an image: `audit my/image:tag`; `--list-checks` tells what it asks"
    if options.compare and options.format not in COMPARED:
        return f"a comparison is told as {' or '.join(COMPARED)}, not as {options.format}"
    if options.output and not options.output.parent.is_dir():
        return f"there is no folder {options.output.parent} to write into: make it first"
    if options.output and options.output.is_dir():
        return f"{options.output} is a folder: name a file in it"
    return _misused_source(options)


def _misused_source(options: argparse.Namespace) -> str:
    """Return what is asked of an image and not of a folder, or the other way round."""
    builds = is_context(options.image)
    builds_other = bool(options.compare) and is_context(options.compare)
    for name in options.fail_on if isinstance(options.fail_on, tuple) else ():
        if CHECKS[name].source == RUN and not options.run:
            return f"{name} is seen in a run only: leave out --no-run, or that check"
        if CHECKS[name].source == CONTEXT and not builds:
            return f"{name} is seen when a folder is built: name one, like ./web"
    if builds and builds_other and options.keep_as:
        return "--keep-as names one image, and two are built: leave out --compare"
    named = next((name for name in _BUILDING if getattr(options, name)), "")
    if named and not (builds or builds_other):
        return f"--{named.replace('_', '-')} is for a folder, named like ./web"
    return ""


_BUILDING = ("file", "target", "build_arg", "secret", "edit", "keep_as")


def _audited(options: argparse.Namespace) -> int:
    how = Options(
        environment=dict(options.env),
        command=options.command,
        port=options.port,
        volumes=tuple(options.volume),
        ready_path=options.ready_path,
        ready_log=options.ready_log,
        ready_seconds=options.ready_seconds,
        patience_seconds=options.patience_seconds,
        watch_seconds=options.watch_seconds,
        run=options.run,
        building=Building(
            file=options.file,
            arguments=dict(options.build_arg),
            secrets=dict(options.secret),
            target=options.target,
            edit=options.edit.removeprefix("./"),
            limit_seconds=options.build_seconds,
            keep_as=options.keep_as,
        ),
    )
    progress = _progress(sys.stderr)
    report = audit(options.image, how, progress)
    other = audit(options.compare, how, progress) if options.compare else None
    _tell(report, other, options)
    status, why = judge(report, options.fail_on)
    if why:
        _say(why)
    return status


def _progress(stream: TextIO) -> Progress:
    """Return what tells of the progress: bars where `rich` may take the stream for a terminal."""
    if stream.isatty() or any(map(os.environ.get, ("FORCE_COLOR", "TTY_COMPATIBLE"))):
        from .scorecard import console

        return Bars(console(stream))
    return Sentences()


def judge(report: Report, fail_on: str | tuple[str, ...]) -> tuple[int, str]:
    """Return the exit status of a report, and a sentence where what was to decide is not known.

    What could not be measured is never a pass: it is 2 where nothing else has failed.
    """
    if fail_on == NONE:
        return NOTHING_FOUND, ""
    verdicts = {one.check.id: one.verdict for one in report.findings}
    decide = list(verdicts) if fail_on == ANY else list(fail_on)
    if any(verdicts.get(name) is Verdict.DOES_NOT_HOLD for name in decide):
        return FOUND, ""
    unknown = [
        name
        for name in decide
        if verdicts.get(name, Verdict.COULD_NOT_BE_MEASURED) is Verdict.COULD_NOT_BE_MEASURED
    ]
    if not unknown:
        return NOTHING_FOUND, ""
    return NOT_AUDITED, (
        f"Nothing was found, but this is no pass: {', '.join(unknown)} could not be measured. "
        "The report says why; `--fail-on` names the checks that decide."
    )


def _tell(report: Report, other: Report | None, options: argparse.Namespace) -> None:
    if options.output is None:
        _print(_text(report, other, options, sys.stdout))
        return
    try:
        with options.output.open("w", encoding="utf-8") as file:
            file.write(_text(report, other, options, file))
    except OSError as error:
        raise ProvingError(
            f"The report was to be written to {options.output}: {error.strerror}. "
            "Name another file by --output."
        ) from error
    _say(f"{tally(report)}. The report is in {options.output}.")


def _text(report: Report, other: Report | None, options: argparse.Namespace, stream: TextIO) -> str:
    if options.format == "terminal":
        return _scorecard(report, other, stream)
    if other is not None:
        from . import compare, formats

        return formats.text_of(compare.comparison_data(report, other))
    if options.format == "html":
        from . import html

        return html.page(report, options.site)
    from . import formats

    writers: dict[str, Callable[[], str]] = {
        "json": lambda: formats.json_text(report),
        "junit": lambda: formats.junit_text(report),
        "sarif": lambda: formats.sarif_text(report, options.site),
    }
    return writers[options.format]()


def _scorecard(report: Report, other: Report | None, stream: TextIO) -> str:
    """Return what a terminal shows, with colours where the stream is one."""
    from . import compare
    from .scorecard import console, scorecard

    screen = console(stream, width=None if stream is sys.stdout else _FILE_WIDTH)
    with screen.capture() as captured:
        screen.print(scorecard(report) if other is None else compare.comparison(report, other))
    return re.sub(" +$", "", captured.get(), flags=re.MULTILINE)


def _print(text: str) -> None:
    """Print, and let a reader such as `head` go when it has read enough."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _listed() -> str:
    lines = []
    for chapter in sorted({chapter_of(check) for check in CHECKS.values()}):
        lines.append(f"Chapter {title_of(chapter)}")
        lines += [
            f"  {check.id:<18}  {check.source:<7}  {check.question}  {' '.join(check.claims)}"
            for check in CHECKS.values()
            if chapter_of(check) == chapter
        ]
    return "\n".join(lines) + "\n"


def _fail_on(text: str) -> str | tuple[str, ...]:
    if text in (ANY, NONE):
        return text
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in CHECKS:
            close = get_close_matches(name, CHECKS) or [ANY, NONE]
            raise argparse.ArgumentTypeError(
                f"there is no check {name!r}; did you mean {' or '.join(close)}? "
                "--list-checks tells them all"
            )
    return names


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("give a variable as NAME=VALUE")
    return name, value


def _argument(text: str) -> tuple[str, str]:
    """Return a build argument; one without a value has that of the environment, as for Docker."""
    name, equals, value = text.partition("=")
    if not name or not (equals or name in os.environ):
        raise argparse.ArgumentTypeError("give a build argument as NAME=VALUE")
    return name, value if equals else os.environ[name]


def _secret(text: str) -> tuple[str, bytes]:
    """Return the id of a build secret and its content, which lies in a file."""
    told = dict(part.partition("=")[::2] for part in text.split(","))
    name, file = told.get("id", ""), told.get("src") or told.get("source") or ""
    if not name or not file or told.get("type", "file") != "file":
        raise argparse.ArgumentTypeError("give a build secret as id=ID,src=FILE")
    try:
        return name, Path(file).expanduser().read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{file} cannot be read: {error.strerror}") from error


def _words(text: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no command: {error}") from error
    if not words:
        raise argparse.ArgumentTypeError("the command has no words")
    return words


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} is no path: begin it with a slash")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no pattern of Python's: {error}") from error
    return text


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds: give more than 0")
    return float(text)


def _site(text: str) -> str:
    if text and not re.match("https?://[^/]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address: begin it with https://")
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit an image as the command line says; return the exit status."""
    usage = parser(
        prog="python -m proving audit",
        usage="%(prog)s IMAGE|FOLDER [options]",
        description="Measure the guide's checklist on an image of your own. "
        "Nothing is sent anywhere, and secrets that are found are redacted.",
    )
    return run(usage.parse_args(arguments), usage)
