"""What a pod runs when the tag in its manifest has moved meanwhile: the measurement of B6K."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import kube
from .errors import CouldNotMeasure
from .manifests import with_images
from .patterns import name_of, short

if TYPE_CHECKING:
    from .kube import Namespace, Object
    from .manifests import Manifest

SHOP = "shop"
"""The name of the Deployment."""

IMAGE = "localhost/b6:1"
"""The name that its manifest has for the image."""

REFUSED = ("ErrImagePull", "ImagePullBackOff")
"""What a container waits for whose image the kubelet cannot pull."""

DECIDED_SECONDS = 90.0
"""How long a pod may take until its container runs, or its image was refused."""


def scaled(
    ns: Namespace, manifest: Manifest, reference: str, move: Callable[[], None]
) -> dict[str, Any]:
    """B6K: start a pod of an image, move the image's tag, and have a second pod beside the first.

    `reference` takes the place of the image's name in the manifest.

    Raises:
        CouldNotMeasure: the pods do not run.
    """
    ns.apply(with_images(manifest.documents, {IMAGE: reference}))
    ns.wait_ready()
    first = ns.pod_of(SHOP)
    move()
    ns.scale(SHOP, 2)
    ns.wait_ready()
    others = [pod for pod in ns.pods(SHOP) if name_of(pod) != name_of(first)]
    if len(others) != 1:
        raise CouldNotMeasure(f"Beside {name_of(first)} there are {len(others)} pods.")
    return {
        "named": shortened(reference),
        "runs": True,
        **_told(ns, ns.get("pods", name_of(first)), "first"),
        **_told(ns, others[0], "second"),
    }


def _told(ns: Namespace, pod: Object, which: str) -> dict[str, str]:
    asked = ns.exec(name_of(pod), ["cat", "/release.txt"])
    if asked.status:
        raise CouldNotMeasure(f"{name_of(pod)} does not tell its release: {asked.errors.strip()}")
    (image,) = kube.image_ids(pod).values()
    return {f"{which}_image": short(image), f"{which}_release": asked.output.strip()}


def shortened(reference: str) -> str:
    """Return the name of an image with the first digits of its digest, where it has one."""
    name, at, digest = reference.partition("@sha256:")
    return f"{name}{at}{digest[:12]}…" if at else reference


def started(ns: Namespace, manifest: Manifest) -> dict[str, Any]:
    """B6K: tell whether a pod starts whose image the node has, and no registry.

    Raises:
        CouldNotMeasure: neither does it start, nor is its image refused.
    """
    ns.apply(manifest.documents)
    decided = ns.until(
        lambda: [pod for pod in ns.pods(SHOP) if _is_decided(pod)], DECIDED_SECONDS, "the image"
    )
    return {"named": IMAGE, "runs": kube.running(decided[0])}


def _is_decided(pod: Mapping[str, Any]) -> bool:
    return kube.running(pod) or waits_for(pod) in REFUSED


def waits_for(pod: Mapping[str, Any]) -> str:
    """Return what the first container of a pod waits for, such as `ErrImagePull`; else nothing."""
    for one in pod["status"].get("containerStatuses") or []:
        return str(one["state"].get("waiting", {}).get("reason", ""))
    return ""
