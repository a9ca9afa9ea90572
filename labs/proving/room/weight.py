"""What a room takes of the machine: memory and disk of each seat, and memory of the hub.

A seat's memory is its working set, as a kubelet reckons it: what its control group uses, with the
engine nested in it and its containers, less the page cache that the kernel can give back at once
(https://kubernetes.io/docs/reference/instrumentation/node-metrics/).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import psutil

from .ground import ENGINE_DATA, SEAT_LABEL, Ground

GIB = 1024**3
SYSTEM_BYTES = GIB
"""What is left to the operating system and the machine's own engine."""

_EVERY_SECONDS = 1.0


def working_set(stats: Mapping[str, Any]) -> int:
    """Return a container's working set in bytes, by what the engine tells of its memory.

    The engine's `usage` still has the page cache; which name that has depends on the version of
    the control groups.
    """
    told = stats["memory_stats"]
    detail = told.get("stats", {})
    inactive = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    return max(0, int(told.get("usage", 0)) - int(inactive))


def fit(memory_bytes: int, seat_bytes: int, hub_bytes: int) -> int:
    """Return how many seats fit into a machine's memory beside the hub and the system."""
    return max(0, (memory_bytes - SYSTEM_BYTES - hub_bytes) // seat_bytes)


def of_processes(pid: int) -> int:
    """Return the memory of a process and of all that it has started, shared pages counted once."""
    total = 0
    processes = [psutil.Process(pid)]
    with suppress(psutil.Error):
        processes += processes[0].children(recursive=True)
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def disk_of(container: Any) -> int:
    """Return how many bytes a seat's engine keeps on the disk."""
    told = container.exec_run(["du", "-sx", "-B1", ENGINE_DATA]).output
    return int(told.split()[0])


class Scale:
    """Weighs the seats each second while it is open: the latest and the largest working set."""

    def __init__(self, ground: Ground) -> None:
        self.now: dict[str, int] = {}
        self.peak: dict[str, int] = {}
        self._ground = ground
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._weigh_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _weigh_on(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            with suppress(Exception):  # a seat that goes meanwhile is weighed no more
                self.weigh()

    def weigh(self) -> None:
        """Weigh the seats now."""
        for container in self._ground.containers():
            stats = self._ground.client.api.stats(container.id, stream=False, one_shot=True)
            self._note(container.labels[SEAT_LABEL], working_set(stats))

    def _note(self, seat: str, size: int) -> None:
        self.now[seat] = size
        self.peak[seat] = max(size, self.peak.get(seat, 0))
