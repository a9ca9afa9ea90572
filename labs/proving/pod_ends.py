"""How the container of a pod ends when the pod is deleted: the measurement of P1K.

A pod that has ended is soon gone, and its container's end with it. So it is watched from before
the deletion on: the API server tells each change of a pod, the last one included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .errors import CouldNotMeasure

if TYPE_CHECKING:
    from .kube import Namespace, Object
    from .manifests import Manifest

GRACE = "terminationGracePeriodSeconds"

STARTED = re.compile(r"^ready|start worker process [0-9]", re.MULTILINE)
"""What a container has in its log when it handles signals: the worker's word, and nginx's."""

START_SECONDS = 60.0

LATE_SECONDS = 60.0
"""How long after the grace period the end of a container may be told at the latest.

The kubelet looks at its containers once a second, and tells of them as it finds the time.
"""

TRIES = 8
"""How many pods are deleted at most until the end of one is told.

A kubelet of Kubernetes 1.20 that sees a container's end while it still takes the pod's sandbox down
removes the container before it has told of it. That was the case with one pod in fourteen on two
cores with some other work, and with more than half at a load of 20.
"""

_SIGNAL = re.compile(r"signal \d+ \((SIG(?:TERM|QUIT|INT|HUP))\) received")
"""nginx's line about the signal that stops it; it tells of others, such as that of a child."""


@dataclass(frozen=True)
class End:
    """How a container ended: `seconds` from the pod's deletion on, which the API tells in whole.

    `message` is what the container has left in its `terminationMessagePath`.
    """

    seconds: int
    exit_status: int
    message: str


class NotTold(CouldNotMeasure):
    """The end of a container was not among what the API server told of its pod."""


def measured(
    namespace: Callable[[], Namespace], manifest: Manifest, *, grace_seconds: float
) -> dict[str, Any]:
    """P1K: apply a manifest of one pod, delete the pod, and tell how its container ends.

    Where it is not told, another pod is tried; each is in a namespace of its own.

    Raises:
        CouldNotMeasure: the pod does not run, or the end is never told.
    """
    for _ in range(TRIES - 1):
        with suppress(NotTold):
            return _measured_once(namespace, manifest, grace_seconds)
    return _measured_once(namespace, manifest, grace_seconds)


def _measured_once(
    namespace: Callable[[], Namespace], manifest: Manifest, grace_seconds: float
) -> dict[str, Any]:
    with namespace() as ns:
        ns.apply(manifest)
        ns.wait_ready()
        return deleted(ns, grace_seconds=grace_seconds)


def deleted(ns: Namespace, *, grace_seconds: float) -> dict[str, Any]:
    """Delete the pod that is there, and tell how its container ends.

    Raises:
        NotTold: the API server did not tell the end.
        CouldNotMeasure: the manifest has another grace period.
    """
    (pod,) = ns.pods()
    name, granted = pod["metadata"]["name"], pod["spec"][GRACE]
    if granted != grace_seconds:
        raise CouldNotMeasure(f"The pod {name} has a {GRACE} of {granted}, not {grace_seconds:g}.")
    ns.until(lambda: STARTED.search(ns.logs(name)), START_SECONDS, f"the word of {name}")
    first = ns.processes(name)[0].comm
    pod = ns.get("pods", name)
    ns.delete("pods", name)
    end = end_of(event["object"] for event in ns.watch("pods", pod, grace_seconds + LATE_SECONDS))
    signal = signal_in(end.message)
    return {
        "seconds": end.seconds,
        "exit_status": end.exit_status,
        "pid_1": first,
        **({"signal": signal} if signal else {}),
    }


def end_of(pods: Iterable[Object]) -> End:
    """Return the end of a pod's first container, out of what a watch has told of the pod.

    The deletion is counted from the moment at which the API server took it: a pod's
    `deletionTimestamp` is that moment and its grace period. Both times are cut to whole seconds.

    Raises:
        NotTold: the end is not among it.
    """
    for pod in pods:
        state, told = _state(pod), pod["metadata"]
        if "deletionTimestamp" not in told or "running" in state:
            continue
        if "terminated" not in state:  # what has run waits for nothing
            break
        ended = state["terminated"]
        asked = _moment(told["deletionTimestamp"])
        grace = told.get("deletionGracePeriodSeconds") or 0
        seconds = (_moment(ended["finishedAt"]) - asked).total_seconds() + grace
        return End(round(seconds), int(ended["exitCode"]), str(ended.get("message") or ""))
    raise NotTold("The cluster did not tell how the container of a deleted pod ended.")


def _state(pod: Object) -> Mapping[str, Any]:
    for one in pod["status"].get("containerStatuses") or []:
        state: Mapping[str, Any] = one["state"]
        return state
    return {}


def _moment(told: str) -> datetime:
    return datetime.fromisoformat(told)


def signal_in(message: str) -> str:
    """Return the name of the signal that nginx was stopped by, out of its log; empty for none."""
    found = _SIGNAL.search(message)
    return found.group(1) if found else ""
