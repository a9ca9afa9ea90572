"""What `kubectl exec` finds to run in the container of a pod: the measurement of M1K."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .errors import CouldNotMeasure
from .kube import Executed, NotStarted

if TYPE_CHECKING:
    from .kube import Namespace

SHELL = ("sh", "-c", "echo it runs")
COMPILER = ("gcc", "--version")

_MISSING = re.compile(r"not found|no such file", re.IGNORECASE)
"""What a node's runtime says of a program that is not there, and not of other failures."""

_NOT_RUN = (126, 127)
"""The exit statuses by which some runtimes tell the same (exit_status in POSIX's shell)."""


def found(ns: Namespace) -> dict[str, Any]:
    """M1K: tell whether the server in the pod answers, and what can be run beside it.

    That it answers is told by the kubelet, whose readiness probe asks for a mean.

    Raises:
        CouldNotMeasure: the pod is never Ready, or a command fails for another reason.
    """
    ns.wait_ready()
    (pod,) = ns.pods()
    name = pod["metadata"]["name"]
    return {
        "answers": True,
        "shell": runs(ns, name, SHELL),
        "compiler": runs(ns, name, COMPILER),
    }


def runs(ns: Namespace, pod: str, command: Sequence[str]) -> bool:
    """Whether a command can be run in the container of a pod, or is not there at all.

    Raises:
        CouldNotMeasure: it fails for another reason.
    """
    try:
        done = ns.exec(pod, command)
    except NotStarted as refused:
        if not _MISSING.search(refused.told):
            raise
        return False
    if done.status == 0:
        return True
    if done.status in _NOT_RUN and _MISSING.search(_all(done)):
        return False
    raise CouldNotMeasure(
        f"`{' '.join(command)}` ended in the pod {pod} with {done.status}: {_all(done)[-200:]}"
    )


def _all(done: Executed) -> str:
    return f"{done.output}{done.errors}".strip()
