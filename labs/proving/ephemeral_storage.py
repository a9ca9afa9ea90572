"""What becomes of a pod whose container changes files of its image: the measurement of S3K."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import kube
from .errors import CouldNotMeasure

if TYPE_CHECKING:
    from .kube import Namespace

READY = "ready"
"""What the application writes when it has begun its work."""

START_SECONDS = 60.0


def watched(ns: Namespace, *, watch_seconds: float) -> dict[str, Any]:
    """S3K: watch a pod that has begun its work, and tell whether the kubelet evicts it.

    Raises:
        CouldNotMeasure: the application does not begin, or the pod ends for another reason.
    """
    (pod,) = ns.pods()
    name = pod["metadata"]["name"]
    ns.until(lambda: _begun(ns, name), START_SECONDS, f"the application of {name}")
    until = time.monotonic() + watch_seconds
    while not (evicted := is_evicted(pod)) and time.monotonic() < until:
        time.sleep(kube.POLL_SECONDS)
        pod = ns.get("pods", name)
    return {"begun": True, "evicted": evicted, "reason": reason(pod) if evicted else "none"}


def _begun(ns: Namespace, name: str) -> bool:
    """Whether the application has begun; one whose pod was evicted already had."""
    pod = ns.get("pods", name)
    return is_evicted(pod) or (kube.running(pod) and READY in ns.logs(name))


def is_evicted(pod: Mapping[str, Any]) -> bool:
    """Whether the kubelet has evicted a pod (its phase is `Failed` then, and stays so).

    Raises:
        CouldNotMeasure: it has ended for another reason.
    """
    status = pod["status"]
    if status.get("reason") == "Evicted":
        return True
    if status.get("phase") in ("Failed", "Succeeded"):
        raise CouldNotMeasure(f"The application has ended by itself: {kube.state(pod)}.")
    return False


def reason(pod: Mapping[str, Any]) -> str:
    """Return the kubelet's sentence on an eviction."""
    return str(pod["status"].get("message") or "").strip()
