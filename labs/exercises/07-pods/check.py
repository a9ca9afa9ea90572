"""Check the reader's pod: is its clock started again when it has stopped, and nothing else?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proving import kube, manifests, patterns
from proving.errors import CouldNotMeasure, ProvingError
from proving.exercises import IMAGE, Answer, Outcome
from proving.kube import Namespace, Object
from proving.lab import Lab

PAGE = "http://localhost:8080/"
START_SECONDS = 30.0
STANDS_STILL_SECONDS = 4.0
"""How long the page may be the same before the clock counts as stopped for good."""

AGAIN_SECONDS = 40.0
"""How long the clock may take to go on after its end: the kubelet waits longer each time."""


@dataclass(frozen=True)
class Seen:
    """What became of the pod: the page's changes after a restart, and each container's restarts."""

    served: bool
    goes_on: bool
    restarts: Mapping[str, int]


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge by the page, and by which containers were started again: any way there passes."""
    try:
        manifest = manifests.read(folder / "pod.yaml")
        lab.cluster().load({IMAGE: lab.build(folder).tag})
        with lab.namespace() as ns:
            ns.apply(manifest)
            ns.wait_ready(START_SECONDS)
            return judge(watch(ns))
    except ProvingError as error:
        return Answer(Outcome.FAILED, str(error))


def judge(seen: Seen) -> Answer:
    """Judge what became of a pod."""
    again = [name for name, count in seen.restarts.items() if count]
    if not seen.served:
        return Answer(
            Outcome.HINT if len(seen.restarts) > 1 else Outcome.FAILED,
            "Nobody serves the page of the clock on port 8080. Do the one who writes it and the "
            "one who reads it see the same folder?",
        )
    if not again:
        return Answer(
            Outcome.FAILED,
            "The clock has stopped, the page stands still, and nothing was started again. "
            "Kubernetes starts containers again whose first process has ended, and does not look "
            "at the others. Whose first process is the clock?",
        )
    if len(again) == len(seen.restarts):
        return Answer(
            Outcome.HINT,
            f"The clock was started again, and with it all else: {_told(seen.restarts)}. "
            "The server had no fault. What would have to be between them?",
        )
    if not seen.goes_on:
        return Answer(
            Outcome.HINT,
            f"It was started again, {_told(seen.restarts)}, but the page stands still. "
            "Into whose folder does the clock write?",
        )
    return Answer(
        Outcome.PASSED,
        f"The clock has stopped, was started again by itself, and the page goes on: "
        f"{_told(seen.restarts)}.",
    )


def _told(restarts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} restarted {count} times" for name, count in restarts.items())


def watch(ns: Namespace) -> Seen:
    """Read the page again and again, until something was started again or it stands still."""
    pages = [page for page in (_first_page(ns),) if page]
    changed_at = time.monotonic()
    while pages and not _restarted(ns):
        page = _page(ns)
        if page and page != pages[-1]:
            pages.append(page)
            changed_at = time.monotonic()
        elif time.monotonic() - changed_at > STANDS_STILL_SECONDS:
            break
    goes_on = bool(pages) and bool(_restarted(ns)) and _changes(ns, pages[-1])
    return Seen(bool(pages), goes_on, _restarts(ns))


def _first_page(ns: Namespace) -> str:
    try:
        return ns.until(lambda: _page(ns), START_SECONDS / 3, "the page")
    except CouldNotMeasure:
        return ""


def _changes(ns: Namespace, page: str) -> bool:
    try:
        ns.until(lambda: _page(ns) not in ("", page), AGAIN_SECONDS, "another page")
    except CouldNotMeasure:
        return False
    return True


def _page(ns: Namespace) -> str:
    """Return the page as a container of the pod that runs gets it, or nothing."""
    pod = _pod(ns)
    for container in _running(pod):
        try:
            (answer,) = patterns.ask(ns, patterns.name_of(pod), container, PAGE)
        except (CouldNotMeasure, ValueError):
            continue  # it has just ended, or has no Python
        return answer.body if answer.status == 200 else ""
    return ""


def _pod(ns: Namespace) -> Object:
    for pod in ns.pods():
        if not kube.terminating(pod):
            return pod
    raise CouldNotMeasure("The manifest has no pod.")


def _running(pod: Object) -> Sequence[str]:
    return [name for name in patterns.containers_of(pod) if kube.running(pod, name)]


def _restarted(ns: Namespace) -> bool:
    return any(_restarts(ns).values())


def _restarts(ns: Namespace) -> dict[str, int]:
    pod = _pod(ns)
    return {name: kube.restarts(pod, name) for name in patterns.containers_of(pod)}
