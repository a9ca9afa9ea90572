"""Remove every trace of the guide from the engine, and the private engine with its data."""

from __future__ import annotations

import sys

from . import engine, leftovers, private
from .engine import Engine
from .errors import EngineError, ProvingError
from .system import say


def main() -> int:
    """Clean up and say what was removed; return the exit status.

    Public images that were pulled stay, since other work on the machine may use them, and so
    does the working copy with the reader's own edits.
    """
    try:
        found = _engine()
        if found is not None:
            things = leftovers.remove(found.docker)
            bases = leftovers.remove_bases(found.docker)
            say(f"Removed {things} things of runs and {bases} bases from {found.url}.")
        if not private.erase():
            say("There is no private engine here.")
    except ProvingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _engine() -> Engine | None:
    try:
        return engine.find(start=False)
    except EngineError:
        return None


if __name__ == "__main__":
    sys.exit(main())
