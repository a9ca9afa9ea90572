"""Check the reader's manifest: does the application start, stay, and come back when it hangs?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from proving.errors import CouldNotMeasure, ProvingError
from proving.exercises import Answer, Outcome
from proving.kube import Namespace
from proving.lab import Lab
from proving.probes import APP, Pod

MANIFEST = "web.yaml"
SETTINGS = {"START_SECONDS": "5", "DATABASE": "database:5432"}
START_SECONDS = 120.0
STAYS_SECONDS = 6.0
HANGS_SECONDS = 40.0
SAMPLE_SECONDS = 0.5
HANG = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/hang')"


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge by what becomes of the pod, whichever probes it has."""
    try:
        (manifest,) = lab.manifests_of(folder / MANIFEST)
        if any(_settings(one) != SETTINGS for one in manifest.documents if _is_web(one)):
            return Answer(
                Outcome.FAILED,
                "The application is another one: leave its environment as it was, and change "
                "only what the cluster asks it.",
            )
        with lab.namespace() as namespace:
            namespace.apply(manifest)
            return (
                _start(namespace)
                or _stay(namespace)
                or _hang(namespace)
                or Answer(
                    Outcome.PASSED,
                    "It was given the time that its start takes, got requests only when it could "
                    "answer them, did not mind that its database is away, and was restarted when "
                    "it hung.",
                )
            )
    except CouldNotMeasure:
        raise
    except ProvingError as error:
        return Answer(Outcome.FAILED, str(error))


def _is_web(document: Any) -> bool:
    return bool(document["kind"] == "Deployment")


def _settings(deployment: Any) -> dict[str, str]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value") for one in containers[0].get("env") or []}


def _pods(namespace: Namespace) -> list[Pod]:
    return [Pod.of(pod) for pod in namespace.pods(APP)]


def _listens(namespace: Namespace) -> bool:
    """Tell whether the application has said that it listens."""
    try:
        return "listening" in namespace.logs(namespace.pod_of(APP)["metadata"]["name"])
    except ProvingError:  # it is just being started
        return False


def _start(namespace: Namespace) -> Answer | None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        reached, listens = namespace.endpoints(APP), _listens(namespace)
        if any(pod.restarts for pod in _pods(namespace)):
            return Answer(
                Outcome.HINT,
                "It was restarted before it had given an answer, and the next start takes as long. "
                "Which probe asks too early, and which one could hold it back?",
            )
        if reached and not listens:
            return Answer(
                Outcome.HINT,
                "Its Service has sent it requests before it listened. Which probe tells that it "
                "can take some?",
            )
        if reached:
            return None
        time.sleep(SAMPLE_SECONDS)
    return Answer(
        Outcome.HINT,
        f"After {START_SECONDS:.0f} s its Service sends it no requests: a probe is not content. "
        "Its database is away, and it can answer all the same.",
    )


def _stay(namespace: Namespace) -> Answer | None:
    until = time.monotonic() + STAYS_SECONDS
    while time.monotonic() < until:
        if any(pod.restarts for pod in _pods(namespace)):
            return Answer(
                Outcome.HINT,
                "It starts. But then it is restarted, although it answers: only its database is "
                "away, and a restart does not bring that back. What should liveness ask for?",
            )
        time.sleep(SAMPLE_SECONDS)
    return None


def _hang(namespace: Namespace) -> Answer | None:
    pod = namespace.pod_of(APP)["metadata"]["name"]
    namespace.exec(pod, ["python", "-c", HANG])
    until = time.monotonic() + HANGS_SECONDS
    while time.monotonic() < until:
        if any(pod.restarts for pod in _pods(namespace)):
            return None
        time.sleep(SAMPLE_SECONDS)
    return Answer(
        Outcome.HINT,
        f"It starts, and it stays. But when it hung, nobody had restarted it after "
        f"{HANGS_SECONDS:.0f} s. Which probe does that?",
    )
