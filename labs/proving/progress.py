"""What a reader sees while images build: the step under way, then one line that stays."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from .image import Step

SHOW_AFTER_SECONDS = 1.0
_REFRESH_SECONDS = 0.3
_STEP = re.compile(r"^#\d+ (\[(?:[\w.-]+ )?\s*(\d+)/(\d+)\] .+)$")


class Progress:
    """A progress display of builds that run side by side, in a notebook or on a terminal.

    What takes less than a second shows nothing but its result.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._began = time.monotonic()
        self._shown_at = 0.0
        self._handle: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._show(f"Building {self.what} has stopped.")

    def line(self, line: str) -> None:
        """Take one line of BuildKit's progress."""
        if match := _STEP.match(line):
            done, steps = int(match[2]), int(match[3])
            bar = "▰" * done + "▱" * (steps - done)
            self.say(f"Building {self.what}  {bar}  {match[1][:72]}")

    def say(self, sentence: str) -> None:
        """Show what happens now, unless it is too early or too soon after the last time."""
        now = time.monotonic()
        if now - self._began < SHOW_AFTER_SECONDS or now - self._shown_at < _REFRESH_SECONDS:
            return
        self._shown_at = now
        self._show(sentence)

    def note(self, sentence: str) -> None:
        """Show a sentence that must not be missed."""
        self._shown_at = time.monotonic()
        self._show(sentence)

    def built(self, steps: Sequence[Step]) -> None:
        """Show the line that stays: how many steps ran, how many the cache answered."""
        steps = [step for step in steps if not step.is_base]
        cached = sum(step.cached for step in steps)
        seconds = time.monotonic() - self._began
        self._show(
            f"Built {self.what} in {seconds:.1f} s: "
            f"{len(steps) - cached} steps run, {cached} from the cache."
        )

    def _show(self, text: str) -> None:
        with self._lock:
            if "IPython" not in sys.modules:
                print(text, file=sys.stderr, flush=True)
                return
            from IPython.display import display

            content = {"text/plain": text}
            if self._handle is None:
                self._handle = display(content, raw=True, display_id=True)
            else:
                self._handle.update(content, raw=True)
