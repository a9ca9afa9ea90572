"""What is printed by `rich`, without the spaces that it fills lines with."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from .audit.scorecard import console

if TYPE_CHECKING:
    from rich.console import RenderableType


def text_of(what: RenderableType, width: int | None = None) -> str:
    """Return what a terminal shows, with colours where standard output is one."""
    screen = console(sys.stdout, width=width)
    with screen.capture() as captured:
        screen.print(what)
    return re.sub(" +$", "", captured.get(), flags=re.MULTILINE)


def show(what: RenderableType) -> None:
    """Print it on standard output."""
    print(text_of(what), end="", flush=True)
