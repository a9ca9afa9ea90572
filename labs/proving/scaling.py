"""What a number of workers costs in a cluster: processes, memory, and what they serve (F2)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import CouldNotMeasure
from .lab import Figures

if TYPE_CHECKING:
    from .container import Process
    from .kube import Namespace
    from .lab import Lab
    from .manifests import Manifest

LOAD = "load"
"""The name of the pod that asks the Service."""

LOAD_SECONDS = 240.0
"""The bound of a load on a machine that has much else to do."""

APPLICATION, WEB_SERVER = "gunicorn", "nginx"
"""What the processes of each are called (proc_pid_comm(5)); workers are children of the first."""

_MEMORY = """
cd /sys/fs/cgroup
cat memory/memory.usage_in_bytes 2>/dev/null || cat memory.current
cat memory/memory.stat 2>/dev/null || cat memory.stat
"""
_OWN = ("total_rss", "anon")
"""Memory without a file behind it, in memory.stat of control groups version 1 and version 2."""


@dataclass(frozen=True)
class Memory:
    """The memory of a container by its control group, in bytes.

    `own_bytes` is what its processes have written for themselves. `used_bytes` counts the page
    cache as well, which is charged to whoever reads a file first, and which the kernel can drop.
    """

    own_bytes: int
    used_bytes: int


def parse_memory(text: str) -> Memory:
    """Return the memory out of a control group's usage and memory.stat, one after the other.

    Raises:
        CouldNotMeasure: they are not there.
    """
    used, *lines = text.splitlines() or [""]
    told = dict(line.split(" ", 1) for line in lines if " " in line)
    own = [int(told[name]) for name in _OWN if name in told]
    if not own or not used.isdecimal():
        raise CouldNotMeasure("The container does not see how much memory its control group has.")
    return Memory(own[0], int(used))


def memory_of(ns: Namespace, pod: str) -> Memory:
    """Return the memory of a pod's one container, read in it by a shell of its image.

    Raises:
        CouldNotMeasure: it does not see its control group.
    """
    return parse_memory(ns.exec(pod, ["sh", "-c", _MEMORY]).output)


def workers(processes: Iterable[Process]) -> int:
    """Count the workers of the application: its processes that another one of it has started."""
    ours = {process.pid: process for process in processes if process.comm == APPLICATION}
    return sum(process.ppid in ours for process in ours.values())


def at_scale(lab: Lab, manifest: Manifest, load: Manifest, turn: threading.Lock) -> Figures:
    """Run a manifest, have a load ask its Service, and return what its pods cost after that.

    Arms that are measured at once take turns with their loads.

    Raises:
        CouldNotMeasure: the pods do not get ready, or the load does not end.
    """
    with lab.namespace() as ns:
        ns.apply(manifest)
        ns.wait_ready()
        with turn:
            served = _served(ns, load)
        pods = [str(pod["metadata"]["name"]) for pod in ns.pods()]
        running = [pod for pod in pods if pod != LOAD]
        found = {pod: ns.processes(pod) for pod in running}
        memory = [memory_of(ns, pod) for pod in running]
    return {
        "memory_bytes": sum(one.own_bytes for one in memory),
        "used_bytes": sum(one.used_bytes for one in memory),
        **counted(found),
        **served,
    }


def counted(processes: Mapping[str, Iterable[Process]]) -> Figures:
    """Count processes by the pods that have them: all, the application's workers, web servers."""
    listed = {pod: list(found) for pod, found in processes.items()}
    return {
        "processes": sum(len(found) for found in listed.values()),
        "workers": sum(workers(found) for found in listed.values()),
        "web_servers": sum(
            any(process.comm == WEB_SERVER for process in found) for found in listed.values()
        ),
    }


def _served(ns: Namespace, load: Manifest) -> Figures:
    ns.apply(load)
    ns.until(lambda: _has_ended(ns), LOAD_SECONDS, "the end of the load")
    return parse_load(ns.logs(LOAD))


def _has_ended(ns: Namespace) -> bool:
    return ns.get("pods", LOAD)["status"].get("phase") in ("Succeeded", "Failed")


def parse_load(log: str) -> Figures:
    """Return the requests that a load has seen answered, and how many in a second.

    Raises:
        CouldNotMeasure: its log does not tell.
    """
    try:
        told = json.loads(log)
        answered, seconds = int(told["answered"]), float(told["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise CouldNotMeasure(f"The load does not tell what it did: {log[-200:]}") from error
    return {"answered": answered, "per_second": round(answered / seconds)}
