"""The guide's programs that have a name of their own: `python -m proving audit IMAGE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

PROGRAMS = {
    "audit": "proving.audit.command",
    "hub": "proving.room.command",
    "preflight": "proving.preflight.command",
    "progress": "proving.my_progress_command",
}
"""The modules of the programs; each has a `main` that takes arguments and returns a status."""

USAGE = (
    "usage: python -m proving {" + ",".join(PROGRAMS) + "} …\n"
    "`python -m proving audit --help`, for example, tells of a program's options."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a program by its name; return the exit status."""
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments), ""]
    if name in PROGRAMS:
        status: int = import_module(PROGRAMS[name]).main(rest[:-1])
        return status
    asked = name in ("-h", "--help")
    print(USAGE, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
