"""Lanes: the kernels in which the cells of notebooks run, some claims beside the others.

A claim that mostly waits may be proved in a second kernel while the first one proves the others:
its row says so by `beside`. Each lane runs the set-up for itself, and has a run of its own on the
engine, since a lab that is closed removes what is its run's.
Lanes of several notebooks are two tracks: the first lanes one after the other, and at the same time
the second ones. So there are never more than two kernels, and neither track waits for the other.
A track runs in a thread of its own. The thread that started them is told of each cell as it ends;
so an interruption comes where it is expected, and ends all lanes.
"""

from __future__ import annotations

import asyncio
import copy
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from . import spans
from .claims import is_turn
from .paths import LABS

CELL_SECONDS = 600
BESIDE = "beside"
"""The name of the second lane; the first one has none."""


class Lane:
    """Cells that one kernel runs, one after the other; `lab` is what their notebook is called.

    The cells of the notebook are run as they are, so that their outputs are the notebook's; what
    the second lane runs besides, the set-up, are copies.
    `errors` are the errors that cells ended in, by their claim: the first one of each, and under ""
    what ended the whole lane.
    """

    def __init__(self, name: str, cells: Sequence[Any], lab: str = "") -> None:
        self.name = name
        self.lab = lab
        self.cells = list(cells)
        self.errors: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cell: asyncio.Future[Any] | None = None
        self._stopped = threading.Event()

    @property
    def claims(self) -> set[str]:
        """The claims whose cells it runs."""
        return {claim for cell in self.cells if (claim := _claim_of(cell))}

    def run_name(self, run: str) -> str:
        """Return the name that its part of a run has on the engine."""
        return f"{run}-{self.name}" if self.name else run

    def why_missing(self, claim: str) -> str:
        """Return why a claim of it has no result."""
        return self.errors.get(claim) or self.errors.get("") or "Its cells gave no result."

    def run(
        self, notebook: Any, environment: Mapping[str, str], ran: Callable[[Any], None]
    ) -> None:
        """Run the cells in a kernel with an environment, and call `ran` with each that was run.

        A cell of the set-up that ends in an error ends the lane, and so does a kernel that goes
        away: `errors` tells it.
        """
        asyncio.run(self._run(notebook, environment, ran))

    def span(self, name: str, detail: str = "") -> AbstractContextManager[None]:
        """Note how long a block takes as work of this lane: see `proving.spans`."""
        return spans.span(name, detail, lane=self.name, lab=self.lab)

    @property
    def is_stopped(self) -> bool:
        """Tell whether it was told to end."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Have the lane end in order, in mid-cell where it is in one; from any thread."""
        self._stopped.set()
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._leave_cell)

    def _leave_cell(self) -> None:
        if self._cell is not None:
            self._cell.cancel()

    async def _run(
        self, notebook: Any, environment: Mapping[str, str], ran: Callable[[Any], None]
    ) -> None:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from nbformat import NotebookNode

        self._loop = asyncio.get_running_loop()
        client = NotebookClient(
            NotebookNode({**notebook, "cells": self.cells}),
            allow_errors=True,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(LABS)}},
        )
        try:
            async with self._kernel(client, environment):
                for index, cell in enumerate(self.cells):
                    if self.is_stopped:
                        return
                    if cell.cell_type != "code":
                        continue
                    with self.span("cell", _claim_of(cell)):
                        self._cell = asyncio.ensure_future(client.async_execute_cell(cell, index))
                        await self._cell
                    ran(cell)
                    if self._note_error(cell):
                        return
        except (DeadKernelError, CellTimeoutError, RuntimeError, asyncio.CancelledError) as error:
            self.errors.setdefault("", f"The lab's kernel went away: {str(error).strip()}")

    def _note_error(self, cell: Any) -> bool:
        """Note the error that a cell ended in, if any; tell whether it ends the lane."""
        ended = [output for output in cell.outputs if output.output_type == "error"]
        if not ended:
            return False
        self.errors.setdefault(_claim_of(cell), f"{ended[0].ename}: {ended[0].evalue}")
        return not _claim_of(cell)

    @asynccontextmanager
    async def _kernel(self, client: Any, environment: Mapping[str, str]) -> AsyncIterator[None]:
        """Have a kernel; what cells write to stderr is an output, its own words are noise."""
        own = {**environment, spans.LANE_VARIABLE: self.name, spans.LAB_VARIABLE: self.lab}
        async with AsyncExitStack() as kernel:
            with self.span("kernel", "start"):
                setting_up = client.async_setup_kernel(env=own, stderr=subprocess.DEVNULL)
                await kernel.enter_async_context(setting_up)
            try:
                yield
            finally:
                with self.span("kernel", "end"):
                    await kernel.aclose()


def is_needed(cell: Any, claims: set[str]) -> bool:
    """Tell whether claims need a cell: their own, and those of no claim but the reader's turn."""
    of = _claim_of(cell)
    return of in claims or (not of and not is_turn(cell.source))


def _claim_of(cell: Any) -> str:
    return str(cell.metadata.get("claim", ""))


def split(cells: Sequence[Any], beside: set[str], lab: str = "") -> list[Lane]:
    """Return the lanes of a notebook's cells: one, or two where claims are proved beside others.

    The first one has the exercises, too. `lab` is what the notebook is called.
    """
    claims = {_claim_of(cell) for cell in cells} - {""}
    second = beside & claims
    if not second or second == claims:
        return [Lane("", cells, lab)]
    first = [cell for cell in cells if _claim_of(cell) not in second]
    other = [
        cell if _claim_of(cell) else copy.deepcopy(cell)
        for cell in cells
        if is_needed(cell, second)
    ]
    return [Lane("", first, lab), Lane(BESIDE, other, lab)]


@dataclass(frozen=True)
class Work:
    """A lane that is to be run: a notebook's, with the environment that its kernel gets.

    `clear` removes what it leaves, however it ends, before the track's next lane begins.
    """

    lane: Lane
    notebook: Any
    environment: Mapping[str, str]
    clear: Callable[[], None] = lambda: None


Told = Callable[[Work, Any], None]
"""Is called with a lane's work and a cell that was run, and with None when the lane has ended."""


def tracks(works: Iterable[Work]) -> list[list[Work]]:
    """Return what runs at the same time: the first lanes in their order, and the second ones."""
    by_name: dict[str, list[Work]] = {}
    for work in works:
        by_name.setdefault(work.lane.name, []).append(work)
    return list(by_name.values())


def run_all(works: Sequence[Work], told: Told) -> None:
    """Run the lanes of notebooks in two tracks, and tell here of each cell as soon as it was run.

    However this ends, by Ctrl-C perhaps, no kernel of theirs is left.
    """
    news: SimpleQueue[tuple[Work | None, Any, BaseException | None]] = SimpleQueue()

    def tell(work: Work, cell: Any) -> None:
        news.put((work, cell, None))

    def follow(track: Sequence[Work]) -> None:
        try:
            for work in track:
                if not work.lane.is_stopped:
                    _run(work, partial(tell, work))
                    tell(work, None)
        except BaseException as error:
            news.put((None, None, error))
        news.put((None, None, None))

    threads = [threading.Thread(target=follow, args=[track]) for track in tracks(works)]
    try:
        for thread in threads:
            thread.start()
        left = len(threads)
        while left:
            work, cell, ended = news.get()
            if ended is not None:
                raise ended
            if work is None:
                left -= 1
            else:
                told(work, cell)
    finally:
        for one in works:
            one.lane.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def _run(work: Work, ran: Callable[[Any], None]) -> None:
    with work.lane.span("lab", work.lane.lab):
        try:
            work.lane.run(work.notebook, work.environment, ran)
        finally:
            work.clear()


def number(cells: Sequence[Any]) -> None:
    """Number the cells that were run in the notebook's order, as one kernel would have."""
    count = 0
    for cell in cells:
        if cell.cell_type == "code" and cell.execution_count is not None:
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = count
