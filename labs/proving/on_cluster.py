"""What a cluster makes of a good image: the measurements of chapter 1 that need one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from . import kube, manifests, patterns, probes
from .errors import CouldNotMeasure, ProvingError

if TYPE_CHECKING:
    from .kube import Namespace
    from .lab import Lab
    from .manifests import Manifest
    from .probes import Request

    Pod = Mapping[str, Any]

WEB = "web"
"""The name of the container in all pods here, and of the application."""

ENVIRONMENTS = ("dev", "staging", "prod")

CALLER = "caller"
"""The pod that asks another one."""

START_SECONDS = 90.0
"""How long a pod may take until it answers, or until it is clear that it will not."""

CHANGED_GREETING = "Good evening"

SHOWN_SECONDS = 150.0
"""How long kubelet may take to show a changed ConfigMap in a volume."""

WATCHED = 1.25
"""For how many times the bound a hung application is watched."""

TIMEOUT_SECONDS = 8
"""How long an answer may take under load."""

MOST_ROLL_OUTS = 4
LONGEST_SECONDS = 480
"""The bound of the load, on a machine with much else to do."""

_ASKED_AGAIN = "proving-ground/look-again"

_DATED = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")
"""How nginx begins a line of its log."""

_GREETS = """
import sys, time, urllib.request
until = time.monotonic() + float(sys.argv[1])
while True:
    try:
        with urllib.request.urlopen(sys.argv[2], timeout=10) as answer:
            sys.exit(print(answer.read().decode()))
    except OSError as error:
        if time.monotonic() > until:
            sys.exit(f"{error}")
    time.sleep(0.2)
"""

_FOLLOWS = """
import json, pathlib, sys, time, urllib.request
file, url, new, shown_seconds, bound_seconds = sys.argv[1:]
began = time.monotonic()
while pathlib.Path(file).read_text() != new:
    if time.monotonic() - began > float(shown_seconds):
        sys.exit(print("null"))
    time.sleep(0.05)
shown, served = time.monotonic(), False
while not served and time.monotonic() - shown < float(bound_seconds):
    time.sleep(0.05)
    with urllib.request.urlopen(url, timeout=10) as answer:
        served = answer.read().decode() == new
print(json.dumps([served, time.monotonic() - shown]))
"""


def promoted(ns: Namespace) -> dict[str, Any]:
    """Q2K: tell which images the three environments run, and whether each greets as it should.

    An image is told by the `imageID` of the container's status.

    Raises:
        CouldNotMeasure: an environment does not answer.
    """
    pods = {name: ns.pod_of(name) for name in ENVIRONMENTS}
    greetings = {name: _greeting(ns, patterns.name_of(pod)) for name, pod in pods.items()}
    images = {name: kube.image_ids(pod)[WEB] for name, pod in pods.items()}
    return {
        "images": len(set(images.values())),
        "staging_image": patterns.short(images["staging"]),
        "prod_image": patterns.short(images["prod"]),
        "tested_is_shipped": images["staging"] == images["prod"],
        "own_greetings": sum(told == f"Hello from {name}" for name, told in greetings.items()),
    }


def _greeting(ns: Namespace, pod: str) -> str:
    """Return the words with which a guestbook greets, asked for from within its container."""
    command = ["python3", "-c", _GREETS, f"{START_SECONDS}", "http://localhost:8000/"]
    done = ns.exec(pod, command, WEB)
    if done.status:
        raise CouldNotMeasure(f"The guestbook {pod} does not answer: {done.errors.strip()[-200:]}")
    return done.output.partition(":")[0]


def caller() -> dict[str, Any]:
    """Return the pod that asks others; it has Python and does nothing by itself."""
    container = {"name": CALLER, "image": probes.IMAGE, "command": ["sleep", "infinity"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": CALLER, "labels": {"app": CALLER}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def under_limits(ns: Namespace, *, watch_seconds: float) -> dict[str, Any]:
    """Q8K: tell whether a pod becomes ready and answers, and what the platform says if it does not.

    It is given up when it has not been ready for `watch_seconds` after the first sign that it will
    not be: a container that cannot be created, or that has ended.

    Raises:
        CouldNotMeasure: there is neither an answer nor a sign, or nobody can ask.
    """
    ns.until(lambda: _is_ready(ns, CALLER), START_SECONDS, "the pod that asks")
    pod, why = _settled(ns, watch_seconds)
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    place = f"http://{patterns.address_of(pod)}:{port}/"
    (answer,) = patterns.ask(ns, CALLER, CALLER, place)
    reason, told = why or ("none", "nothing")
    return {
        "ready": kube.ready(pod),
        "answers": answer.status == 200,
        "started": bool(kube.container_status(pod, WEB).get("containerID")),
        "reason": reason,
        "told": told,
    }


def _is_ready(ns: Namespace, name: str) -> bool:
    return kube.ready(ns.get("pods", name))


def _settled(ns: Namespace, watch_seconds: float) -> tuple[Pod, tuple[str, str] | None]:
    """Return the pod when it is ready, or when it has failed for a while; and what was told then.

    A container that ends is started again: what it is told to have ended with is kept meanwhile.
    """
    seen: list[tuple[float, tuple[str, str]]] = []

    def settled() -> tuple[Pod, ...]:
        pod = ns.get("pods", WEB)
        if kube.ready(pod):
            return (pod,)
        if why := trouble(pod):
            seen.append((time.monotonic(), (why[0], why[1] or _last_line(ns))))
        given_up = seen and time.monotonic() - seen[0][0] > watch_seconds
        return (pod,) if given_up else ()

    (pod,) = ns.until(settled, START_SECONDS + watch_seconds, "a pod that is ready, or that fails")
    told = [why for _, why in seen if why[1]] or [why for _, why in seen]
    return pod, None if kube.ready(pod) or not told else told[0]


def trouble(pod: Pod) -> tuple[str, str] | None:
    """Return why a pod's container does not run: the reason, and kubelet's words where it has any.

    None where it runs, or is only being made. That the container ended is told without words, as
    its log has them.
    """
    try:
        status = kube.container_status(pod, WEB)
    except CouldNotMeasure:
        return None
    waits = status["state"].get("waiting", {})
    ended = status["state"].get("terminated") or status.get("lastState", {}).get("terminated")
    if ended:
        return f"{ended.get('reason', 'Error')}, exit status {ended['exitCode']}", ""
    if waits and waits.get("reason") not in ("ContainerCreating", "PodInitializing"):
        return str(waits.get("reason", "")), _without_ids(str(waits.get("message", "")))
    return None


def _without_ids(message: str) -> str:
    """Leave out the name of the pod with the number that it has in the cluster."""
    return message.partition(" (pod:")[0]


def _last_line(ns: Namespace) -> str:
    """Return the last line of the container's log without its date; empty where there is none."""
    for previous in (False, True):
        try:
            lines = ns.logs(WEB, WEB, previous=previous).strip().splitlines()
        except ProvingError:  # it is being started again: there is none yet, or none any more
            continue
        if lines:
            return _DATED.sub("", lines[-1])
    return ""


def used(
    lab: Lab, manifest: Manifest, stop_seconds: float, least: int, settings_bound_seconds: float
) -> dict[str, Any]:
    """Q7: under load, change an application's settings, roll it out, and have one of its pods hang.

    Each part ends before the next begins, and pods are not restarted before the settings were
    looked at, since a start reads them anew. Where no probe says when a pod is ready, the roll-out
    is repeated until a request has failed, since a slow node may tell of a new pod only when it is
    warm. The bound of the hang is `stop_seconds` and twice as
    long as the start took in this run, from `apply` to the first answer through the Service: the
    start after a hang has the load beside it.

    Raises:
        CouldNotMeasure: the application does not start, is restarted too early, or does not hang.
    """
    environment = {
        "TIMEOUT_SECONDS": TIMEOUT_SECONDS,
        "MOST_SECONDS": LONGEST_SECONDS,
        "MOST_REQUESTS": LONGEST_SECONDS * probes.RATE,
    }
    with probes.under_load(lab, manifest, least, **environment) as trial:
        first = trial.answered()
        start_seconds = first.ended - trial.applied_at - trial.ahead_seconds
        bound_seconds = stop_seconds + 2 * start_seconds
        zero = trial.steady()
        trial.mark("new settings")
        served, settings_seconds = _changed(trial.namespace, settings_bound_seconds)

        rolled_at = trial.now()
        for release in range(1, MOST_ROLL_OUTS + 1):
            trial.roll_out(str(release))
            trial.steady()
            failed = any(one.failed and one.began >= rolled_at for one in trial.load.requests())
            if failed or _says_when_ready(manifest):
                break
        restarts = trial.watch.samples[-1].restarts

        hung = trial.load.hang()
        trial.moments.append((hung.ended - trial.ahead_seconds, "hang"))
        time.sleep(WATCHED * bound_seconds + probes.AFTER_SECONDS)
        requests = trial.finish(zero)

        rolling = [one for one in requests if rolled_at <= one.began < hung.began]
        told = {
            "settings_served": served,
            "settings_seconds": round(settings_seconds, 3),
            "roll_out_failed": sum(one.failed for one in rolling),
            **after_hang(requests, hung),
            "bound_seconds": round(bound_seconds, 3),
            "restarts": trial.watch.finish()[-1].restarts - restarts,
        }
        return {
            "faults": faults_in(told),
            **told,
            **probes.figures_of(requests),
            probes.TIMELINE: trial.drawn(requests, zero),
        }


def _says_when_ready(manifest: Manifest) -> bool:
    spec = manifests.pod_spec(manifest.one("Deployment"))
    return any("readinessProbe" in container for container in spec["containers"])


def faults_in(told: Mapping[str, Any]) -> int:
    """Return how many of the three faults the figures show."""
    return sum(
        (not told["settings_served"], told["roll_out_failed"] > 0, not told["answers_again"])
    )


def after_hang(requests: Sequence[Request], hung: Request) -> dict[str, Any]:
    """Return what became of the requests after a hang, and when the pod that hung answered again.

    Where it did not, `hung_seconds` is how long it was watched.
    """
    later = [request for request in requests if request.began >= hung.ended]
    answers = [one.ended for one in later if one.pod == hung.pod and not one.failed]
    until = min(answers) if answers else max((one.began for one in later), default=hung.ended)
    return {
        "answers_again": bool(answers),
        "hung_seconds": round(until - hung.ended, 3),
        "hung_failed": sum(request.failed for request in later),
    }


def _changed(ns: Namespace, bound_seconds: float) -> tuple[bool, float]:
    """Change the settings; tell whether all pods serve the new ones, and after how many seconds.

    The seconds count from the moment at which a pod's container can read the new file.
    """
    pods = [patterns.name_of(pod) for pod in ns.pods(WEB)]
    ns.patch("configmaps", WEB, {"data": {"greeting": CHANGED_GREETING}})
    with ThreadPoolExecutor(len(pods)) as pool:
        told = list(pool.map(partial(_follows, ns, bound_seconds=bound_seconds), pods))
    if sorted(pods) != sorted(patterns.name_of(pod) for pod in ns.pods(WEB)) or any(
        kube.restarts(pod, WEB) for pod in ns.pods(WEB)
    ):
        raise CouldNotMeasure("A pod was restarted, and has read its settings anew.")
    return all(served for served, _ in told), max(seconds for _, seconds in told)


def _follows(ns: Namespace, pod: str, *, bound_seconds: float) -> tuple[bool, float]:
    """Tell whether a pod serves the settings that it is shown within the bound, and how soon.

    kubelet brings a pod's files up to date when it looks at the pod, which it does about once in a
    minute, and whenever the pod changes: it is given an annotation, as Kubernetes' manual says
    (kubernetes.io, "Configure a Pod to Use a ConfigMap").
    """
    place = ["/etc/web/greeting", "http://localhost:8080/settings", CHANGED_GREETING]
    until = time.monotonic() + SHOWN_SECONDS
    last = "nothing"
    while time.monotonic() < until:
        ns.patch("pods", pod, {"metadata": {"annotations": {_ASKED_AGAIN: f"{time.time()}"}}})
        try:
            done = ns.exec(pod, ["python", "-c", _FOLLOWS, *place, "5", f"{bound_seconds}"], WEB)
        except CouldNotMeasure as error:
            last = str(error)
            continue
        if done.status:
            last = done.errors.strip()[-200:]
        elif (found := json.loads(done.output)) is not None:
            return bool(found[0]), float(found[1])
    raise CouldNotMeasure(f"The pod {pod} is not shown its new settings; the last try: {last}")
