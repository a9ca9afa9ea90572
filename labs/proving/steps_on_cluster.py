"""Versions of one application under one manifest: the measurement of A1K.

The manifest says what the audit asks of an image, and the kubelet holds the image to it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import kube, manifests, steps
from .claims import IMAGES
from .errors import CouldNotMeasure, ProvingError
from .manifests import MANIFESTS
from .on_cluster import START_SECONDS, WEB, trouble

if TYPE_CHECKING:
    from .kube import Namespace
    from .lab import Lab
    from .manifests import Manifest

    Pod = Mapping[str, Any]

NONE = "none"
"""What is told where there is no reason, or no process that has a user."""

_USER = ["stat", "-c", "%u", "/proc/1"]


def loaded(lab: Lab, claim_id: str) -> dict[str, Manifest]:
    """Return the manifests of a claim by the names of its arms; the cluster has their images.

    Each image is built of its folder alone, as the steps are; `teeth` exchanges the manifests.

    Raises:
        BuildError: an image does not build.
        CouldNotMeasure: there is no cluster, or it does not take the images.
    """
    joined = lab.cluster()
    files = {name: MANIFESTS / claim_id / f"{name}.yaml" for name in steps.order(claim_id)}
    read = {name: manifests.read(file) for name, file in lab.exchange(claim_id, **files).items()}
    named = dict.fromkeys(image for one in read.values() for image in one.images)
    folders = {image: IMAGES / manifests.dockerfile_of(image).parent for image in named}
    built = {image: lab.build(folder, key=claim_id) for image, folder in folders.items()}
    joined.load({image: str(one.tag) for image, one in built.items()})
    return read


def under(lab: Lab, manifest: Manifest, watch_seconds: float) -> dict[str, Any]:
    """A1K: apply a manifest of one pod, and tell whether it becomes ready, and if not, why not.

    One that is ready is watched for `watch_seconds` more. One that is not is given up so many
    seconds after the first sign that it will not be, and where its container runs, when that has
    been started anew.

    Raises:
        CouldNotMeasure: it neither becomes ready nor tells why not.
    """
    with lab.namespace() as ns:
        began = time.monotonic()
        ns.apply(manifest)
        pod, why = _settled(ns, _ready_path(manifest), watch_seconds)
        seconds = time.monotonic() - began
        if kube.ready(pod):
            time.sleep(watch_seconds)
            pod = ns.get("pods", WEB)
        reason, told = why or (NONE, NONE)
        return {
            "ready": kube.ready(pod),
            "seconds": round(seconds, 1),
            "restarts": kube.restarts(pod, WEB),
            "started": is_started(pod),
            "user": _user(ns) if kube.running(pod, WEB) else NONE,
            "reason": reason,
            "told": told,
        }


def is_started(pod: Pod) -> bool:
    """Tell whether a pod's container was ever made."""
    return bool(kube.container_status(pod, WEB).get("containerID"))


def _ready_path(manifest: Manifest) -> str:
    (container,) = manifests.pod_spec(manifest.one("Pod", WEB))["containers"]
    return str(container["readinessProbe"]["httpGet"]["path"])


def _settled(
    ns: Namespace, ready_path: str, watch_seconds: float
) -> tuple[Pod, tuple[str, str] | None]:
    """Return the pod when it is ready, or will not be; and the first sign of that."""
    seen: list[tuple[float, tuple[str, str]]] = []

    def settled() -> tuple[Pod, ...]:
        pod = ns.get("pods", WEB)
        if kube.ready(pod):
            return (pod,)
        if why := trouble(pod) or refused(pod, _log(ns), ready_path):
            seen.append((time.monotonic(), why))
        over = seen and time.monotonic() - seen[0][0] > watch_seconds
        return (pod,) if over and (not is_started(pod) or kube.restarts(pod, WEB)) else ()

    (pod,) = ns.until(settled, START_SECONDS + watch_seconds, "a pod that is ready, or that fails")
    return pod, None if kube.ready(pod) else seen[0][1]


def refused(pod: Pod, log: str, ready_path: str) -> tuple[str, str] | None:
    """Return why a pod is not ready whose container runs, and its answer to the probe.

    None where its log tells of no such answer: it may not have been asked yet.
    """
    answer = re.search(rf'"GET {re.escape(ready_path)} HTTP/[\d.]+" [45]\d\d', log)
    if answer is None:
        return None
    conditions = pod["status"].get("conditions") or []
    reasons = (str(one.get("reason", "")) for one in conditions if one["type"] == "Ready")
    return next(reasons, ""), answer.group(0)


def _log(ns: Namespace) -> str:
    with suppress(ProvingError):  # there is none yet, or none any more
        return ns.logs(WEB, WEB)
    return ""


def _user(ns: Namespace) -> str:
    """Return the user of the pod's first process, by number."""
    done = ns.exec(WEB, _USER, WEB)
    if done.status:
        raise CouldNotMeasure(f"The pod does not tell its user: {done.errors.strip()[-200:]}")
    return done.output.strip()
