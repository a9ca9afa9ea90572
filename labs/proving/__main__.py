"""The guide's programs that have a name of their own: `python -m proving audit IMAGE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

USAGE = (
    "usage: python -m proving audit IMAGE\n`python -m proving audit --help` tells of its options."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a program by its name; return the exit status."""
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments), ""]
    if name == "audit":
        from .audit import command

        return command.main(rest[:-1])
    asked = name in ("-h", "--help")
    print(USAGE, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
