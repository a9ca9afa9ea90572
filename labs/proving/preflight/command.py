"""`nox -s preflight`: whether this machine can run the labs, in under a minute."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ProvingError
from ..system import Say, print_anything, say
from .catalogue import Level

if TYPE_CHECKING:
    from .facts import Facts

READY, NOT_READY, NOT_CHECKED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: green or amber; red; a check could not be made, or a slip in the command line."""

Gather = Callable[..., "Facts"]


def main(arguments: Sequence[str] | None = None, gather: Gather | None = None) -> int:
    """Run the preflight as the command line says; return the exit status.

    `gather` finds the facts; without it, they are those of this machine.
    """
    options = _options(arguments)
    print_anything()
    try:
        if options.decode:
            return _decode(options.decode, as_json=options.json)
        return _check(options, gather or _gather)
    except ProvingError as error:
        say(str(error))
    except KeyboardInterrupt:
        say("Stopped; nothing is left on the engine.")
        return INTERRUPTED
    except Exception as error:
        say(
            "The preflight itself has failed, by a fault of its own: "
            f"{type(error).__name__}: {error}"
        )
    return NOT_CHECKED


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s preflight --",
        description="Tell whether this machine can run the labs: one image is built, run and "
        "stopped. Nothing is sent anywhere.",
        epilog="Exit status: 0 green or amber, 1 red, 2 something could not be checked.",
    )
    parser.add_argument(
        "--start",
        action="store_true",
        help="where no engine answers, start a private one, and stop it again; packages that it "
        "or a base image needs are installed, as the guide would",
    )
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")
    parser.add_argument(
        "--decode", nargs="+", metavar="CODE", help="tell what codes of other machines say"
    )
    return parser.parse_args(arguments)


def _gather(show: Say, *, start: bool) -> Facts:
    from .facts import gather

    return gather(show, start=start)


def _check(options: argparse.Namespace, gather: Gather) -> int:
    from .. import my_progress, terminal
    from . import tell
    from .judge import judge

    began = time.monotonic()
    with _on_standard_error() as show:
        facts = gather(show, start=options.start)
    seconds = time.monotonic() - began
    verdict = judge(facts)
    my_progress.note_preflight(verdict.code)
    if options.json:
        print(tell.json_text(tell.as_data(verdict, facts, seconds)), end="")
    else:
        terminal.show(tell.report(verdict, seconds))
    return {Level.RED: NOT_READY, Level.NOT_CHECKED: NOT_CHECKED}.get(verdict.level, READY)


def _decode(codes: Sequence[str], *, as_json: bool) -> int:
    """Tell what each code says; a code that is none does not hide the others."""
    from .. import terminal
    from . import tell
    from .code import decode
    from .judge import Verdict

    status, told = READY, []
    for code in codes:
        try:
            decoded = decode(code)
        except ProvingError as error:
            say(str(error))
            status = NOT_CHECKED
            continue
        if as_json:
            verdict = Verdict(tell.read(decoded), decoded.system, decoded.flavour, code)
            told.append(tell.as_data(verdict, None, None))
        else:
            terminal.show(tell.decoded_report(code, decoded))
    if as_json:
        print(tell.json_text(told), end="")
    return status


@contextmanager
def _on_standard_error() -> Iterator[Say]:
    """Show what is being done: a line that turns on a terminal, sentences anywhere else."""
    from ..audit.scorecard import console

    screen = console(sys.stderr)
    if not screen.is_terminal:
        yield lambda what: say(f"{what} …")
        return
    with screen.status("") as status:

        def show(what: str) -> None:
            if "Starting" in what:  # a question to the person may come
                status.stop()
            else:
                status.start()
            status.update(f"{what} …")

        yield show


if __name__ == "__main__":
    sys.exit(main())
