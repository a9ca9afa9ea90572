"""A room that is served by its own program, for as long as a test asks it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_END_SECONDS = 30


@contextmanager
def served(code: str, *arguments: str) -> Iterator[str]:
    """Run a program that serves a room; yield the address that it tells, and end it by TERM."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = next(one for one in process.stdout if one.startswith("The room is served at "))
        yield line.split()[5].rstrip("/")
    finally:
        process.terminate()
        process.wait(_END_SECONDS)
        process.stdout.close()
