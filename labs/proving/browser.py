"""A Chromium for the browser tests: found, or installed from the distribution's packages."""

from __future__ import annotations

import os
import shutil
import sys

from . import system
from .errors import ProvingError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Return the path of a Chromium: that of the variable CHROMIUM, or one on PATH."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


def main() -> int:
    """Make a Chromium ready, installing it where there is none; return the exit status."""
    try:
        if find() is None:
            if not system.can_install():
                raise ProvingError(
                    "The browser tests need Chromium: install it, or name one by CHROMIUM."
                )
            system.install("chromium", why="read the site in a real browser")
    except ProvingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
