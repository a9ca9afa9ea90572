"""The progress of an audit on standard error: bars on a terminal, sentences anywhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..system import say
from .text import printable

if TYPE_CHECKING:
    from rich.console import Console


class Sentences:
    """A sentence for each piece of work, where no terminal is: `rich` is not even imported."""

    @contextmanager
    def task(self, what: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
        """Tell what goes on while the block runs; `total` is not told."""
        del total
        say(f"{printable(what)} …")
        yield lambda _: None


class Bars:
    """Bars that are there while work goes on, and gone when it is done; threads may share them.

    Between two pieces of work the terminal is free, for a question to the person, say.
    """

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self._terminal = console.is_terminal
        self._under_way = 0
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1)),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            expand=True,
            disable=not self._terminal,
        )

    @contextmanager
    def task(self, what: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
        """Show a bar while the block runs; what it gives moves the bar on by so many units."""
        told = printable(what)
        if not self._terminal:
            say(f"{told} …")
        task = self._progress.add_task(told, total=total)
        self._count(1)
        try:
            yield lambda units: self._progress.advance(task, units)
        finally:
            self._progress.remove_task(task)
            self._count(-1)

    def _count(self, one: int) -> None:
        with self._lock:
            before, self._under_way = self._under_way, self._under_way + one
            if before == 0:
                self._progress.start()
            elif self._under_way == 0:
                self._progress.stop()
