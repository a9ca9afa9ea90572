"""What runs at a seat, within its container: the working copy, then the hub's JupyterLab."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .. import workcopy
from ..paths import ROOT

if TYPE_CHECKING:
    from traitlets.config import Config

    from ..serve import Place

_OF_THE_HUB = {"ServerApp": ("ip", "port"), "IdentityProvider": ("token",)}
"""What the hub sets at a seat, and the guide's own server sets elsewhere."""


def place() -> Place:
    """Return what a seat serves: the guide, and the working copy in the participant's home."""
    from ..serve import Place

    return Place(ROOT, Path.home() / workcopy.FOLDER)


def configuration() -> Config:
    """Return the Jupyter server's settings: those of `nox -s guide`, but for signing in."""
    from ..serve import configuration as configuration_of_guide

    settings = configuration_of_guide(place(), "", 0, "")
    for section, names in _OF_THE_HUB.items():
        for name in names:
            del settings[section][name]
    return settings


def main() -> None:
    """Bring the working copy up to date and become the command that was given."""
    from ..serve import set_environment

    here = place()
    workcopy.prepare(here.root, here.work)
    set_environment(here)
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the image's own command


if __name__ == "__main__":
    main()
