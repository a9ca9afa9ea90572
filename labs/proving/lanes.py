"""Lanes: the kernels in which the cells of one notebook run, some claims beside the others.

A claim that mostly waits may be proved in a second kernel while the first one proves the others:
its row says so by `beside`. Each lane runs the set-up for itself, and has a run of its own on the
engine, since a lab that is closed removes what is its run's.
A lane runs in a thread of its own. The thread that started them is told of each cell as it ends;
so an interruption comes where it is expected, and ends all lanes.
"""

from __future__ import annotations

import asyncio
import copy
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from queue import SimpleQueue
from typing import Any

from . import spans
from .paths import LABS
from .spans import span

CELL_SECONDS = 600
BESIDE = "beside"
"""The name of the second lane; the first one has none."""


class Lane:
    """Cells that one kernel runs, one after the other.

    The cells of the notebook are run as they are, so that their outputs are the notebook's; what
    the second lane runs besides, the set-up, are copies.
    `errors` are the errors that cells ended in, by their claim: the first one of each, and under ""
    what ended the whole lane.
    """

    def __init__(self, name: str, cells: Sequence[Any]) -> None:
        self.name = name
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
                    if self._stopped.is_set():
                        return
                    if cell.cell_type != "code":
                        continue
                    with span("cell", _claim_of(cell), lane=self.name):
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
        own = {**environment, spans.LANE_VARIABLE: self.name}
        async with AsyncExitStack() as kernel:
            with span("kernel", "start", lane=self.name):
                setting_up = client.async_setup_kernel(env=own, stderr=subprocess.DEVNULL)
                await kernel.enter_async_context(setting_up)
            try:
                yield
            finally:
                with span("kernel", "end", lane=self.name):
                    await kernel.aclose()


_TURNS = ("lab.exercise(", "lab.audit(")


def is_needed(cell: Any, claims: set[str]) -> bool:
    """Tell whether claims need a cell: their own, and those of no claim but the reader's turn."""
    of = _claim_of(cell)
    return of in claims or (not of and not any(turn in cell.source for turn in _TURNS))


def _claim_of(cell: Any) -> str:
    return str(cell.metadata.get("claim", ""))


def split(cells: Sequence[Any], beside: set[str]) -> list[Lane]:
    """Return the lanes of a notebook's cells: one, or two where claims are proved beside others.

    The first one has the exercises, too.
    """
    claims = {_claim_of(cell) for cell in cells} - {""}
    second = beside & claims
    if not second or second == claims:
        return [Lane("", cells)]
    first = [cell for cell in cells if _claim_of(cell) not in second]
    other = [
        cell if _claim_of(cell) else copy.deepcopy(cell)
        for cell in cells
        if is_needed(cell, second)
    ]
    return [Lane("", first), Lane(BESIDE, other)]


def run_all(
    lanes: Sequence[Lane],
    notebook: Any,
    environment_of: Callable[[Lane], Mapping[str, str]],
    ran: Callable[[Any], None],
) -> None:
    """Run all lanes at once, and call `ran` here with each cell as soon as it was run.

    However this ends, by Ctrl-C perhaps, no kernel of theirs is left.
    """
    told: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def work(lane: Lane) -> None:
        ended: BaseException | None = None
        try:
            lane.run(notebook, environment_of(lane), lambda cell: told.put((cell, None)))
        except BaseException as error:
            ended = error
        told.put((None, ended))

    threads = [threading.Thread(target=work, args=[lane], name=lane.name) for lane in lanes]
    try:
        for thread in threads:
            thread.start()
        left = len(threads)
        while left:
            cell, ended = told.get()
            if ended is not None:
                raise ended
            if cell is None:
                left -= 1
            else:
                ran(cell)
    finally:
        for lane in lanes:
            lane.stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


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
