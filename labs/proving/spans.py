"""Where time goes: spans of work, noted while somebody asks for them.

`PROVING_SPANS` names a file; each span that ends adds one line of JSON to it.
The processes of a lab write to the same file: their clock, CLOCK_MONOTONIC (clock_gettime(2)), is
the machine's.
Where the variable is unset, nothing is noted.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "PROVING_SPANS"
"""Names the file that spans are added to, in the environment; unset, nothing is noted."""

LANE_VARIABLE = "PROVING_LANE"
"""Names the lane to which a process belongs, in the environment: a kernel and its helpers."""

LAB_VARIABLE = "PROVING_LAB"
"""Names the lab to which a process belongs, in the environment."""


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of work or waiting; `began` and `ended` are seconds of the monotonic clock.

    `lab` is the lab's whose work it was, and `lane` the kernel's, where the lab has several: see
    `proving.lanes`.
    """

    name: str
    detail: str
    began: float
    ended: float
    process: int
    thread: int
    lane: str = ""
    lab: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@contextmanager
def span(
    name: str, detail: str = "", *, lane: str | None = None, lab: str | None = None
) -> Iterator[None]:
    """Note how long a block takes, also where it ends in an exception.

    `name` is its kind, one of a few words such as `build`; `detail` tells which one it was.
    `lane` and `lab` are those of this process, unless they are told.
    """
    if VARIABLE not in os.environ:
        yield
        return
    began = time.monotonic()
    try:
        yield
    finally:
        note(name, detail, began, time.monotonic(), lane=lane, lab=lab)


def note(
    name: str,
    detail: str,
    began: float,
    ended: float,
    *,
    lane: str | None = None,
    lab: str | None = None,
) -> None:
    """Note a span whose times, seconds of `time.monotonic()`, are known only afterwards.

    A file that cannot be written loses the note: no measurement fails by it.
    """
    file = os.environ.get(VARIABLE)
    if file is None:
        return
    whose = (
        os.environ.get(variable, "") if told is None else told
        for variable, told in ((LANE_VARIABLE, lane), (LAB_VARIABLE, lab))
    )
    noted = Span(name, detail, began, ended, os.getpid(), threading.get_ident(), *whose)
    with suppress(OSError):
        # one write in append mode, so that the lines of several processes do not mix
        target = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(target, f"{json.dumps(asdict(noted))}\n".encode())
        finally:
            os.close(target)


def read(file: Path) -> list[Span]:
    """Return the spans of a file in the order in which they began; none where there is no file.

    A last line that a killed process has left unfinished is passed over.
    """
    spans = []
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):
                spans.append(Span(**json.loads(line)))
    return sorted(spans, key=lambda noted: noted.began)
