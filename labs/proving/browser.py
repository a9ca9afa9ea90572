"""A Chromium for the browser tests: found, or installed from the distribution's packages."""

from __future__ import annotations

import os
import platform
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
    """Make a Chromium ready, installing it where there is none; return the exit status.

    On Debian it is a package; elsewhere playwright brings its own.
    """
    try:
        if find() is None:
            if _is_debian() and system.can_install():
                system.install("chromium", why="read the site in a real browser")
            else:
                system.say("The browser tests need Chromium: playwright downloads its own.")
                install = [sys.executable, "-m", "playwright", "install", "chromium"]
                system.run(install, why="have a Chromium; or name one by CHROMIUM")
    except ProvingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release().get("ID") == "debian"
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
