"""`share-progress`, at a seat: whether the trainer's view may show this seat's progress.

It is not shown before this is said, and no more once it is taken back.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import my_progress
from ..errors import ProvingError

NOT_SHARED = 3
"""The exit status of `--read` where nothing is shared."""


def consent() -> Path:
    """Return the file whose being there says that the progress is shared."""
    return Path.home() / ".progress-is-shared"


def main(arguments: Sequence[str] | None = None) -> int:
    """Share the progress, or stop sharing it; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="share-progress",
        description="Let the trainer see which claims you have proved and which exercises you "
        "have passed, until you stop it. A name is shown only where you have given one.",
    )
    parser.add_argument("--stop", action="store_true", help="share it no more")
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.read:
        return _print_what_is_shared()
    if options.stop:
        consent().unlink(missing_ok=True)
        print("Your progress is not shared.")
    else:
        consent().touch()
        print("The trainer sees your progress from now on. `share-progress --stop` ends that.")
    return 0


def _print_what_is_shared() -> int:
    if not consent().exists():
        return NOT_SHARED
    try:
        print(json.dumps(my_progress.export(my_progress.read())))
    except ProvingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
