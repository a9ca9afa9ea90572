"""How tests wait for what takes a moment on a machine with much else to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(reached: Callable[[], Found], seconds: float, *, pause_seconds: float = 0.1) -> Found:
    """Ask until the answer is true or these seconds are over, and return the last answer."""
    end = time.monotonic() + seconds
    while not (found := reached()) and time.monotonic() < end:
        time.sleep(pause_seconds)
    return found
