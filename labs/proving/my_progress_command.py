"""`nox -s progress`: what was proved and passed on this machine, shown, exported or forgotten."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import my_progress
from .errors import ProvingError
from .system import agreed, print_anything, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status, 1 where it could not be done."""
    options = _options(arguments)
    print_anything()
    try:
        _do(options)
    except ProvingError as error:
        say(str(error))
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s progress --",
        description="Show which claims were proved and which exercises passed on this machine. "
        "It is kept on this machine alone, and nothing is sent anywhere.",
    )
    parser.add_argument("--export", type=Path, metavar="FILE", help="write all of it to one file")
    parser.add_argument(
        "--import", type=Path, metavar="FILE", dest="take_in", help="add what such a file has"
    )
    parser.add_argument(
        "--name",
        type=_name,
        help="a name for the trainer's list, if you want one; '' takes it back",
    )
    parser.add_argument("--json", action="store_true", help="print what would be exported")
    parser.add_argument("--forget", action="store_true", help="remove what is kept; asks first")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args(arguments)


def _name(text: str) -> str:
    from .audit.text import printable

    name = " ".join(text.split())
    if len(name) > my_progress.LONGEST_NAME or printable(name) != name:
        raise argparse.ArgumentTypeError(
            f"give a name of at most {my_progress.LONGEST_NAME} characters, on one line"
        )
    return name


def _do(options: argparse.Namespace) -> None:
    if options.forget:
        _forget(ask=not options.yes)
        return
    if options.name is not None:
        my_progress.kept_file()
        my_progress.note_name(options.name)
    if options.take_in is not None:
        say(f"{my_progress.take_in(options.take_in)} new results from {options.take_in}.")
    if options.export is not None:
        my_progress.write_export(options.export)
        say(f"Your progress is in {options.export}. Nothing was sent anywhere.")
    elif options.json:
        print(json.dumps(my_progress.export(my_progress.read()), indent=1))
    else:
        my_progress.show()


def _forget(*, ask: bool) -> None:
    path = my_progress.kept_file()
    if ask and not agreed(f"Remove your progress, {path}?"):
        raise ProvingError("Your progress is kept. `--forget --yes` removes it without asking.")
    say("Your progress is removed." if my_progress.forget() else "There is nothing to remove.")


if __name__ == "__main__":
    sys.exit(main())
