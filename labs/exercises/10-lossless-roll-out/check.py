"""Check the reader's manifest: how many requests are lost while all pods are replaced, and how?"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from proving import manifests, probes
from proving.errors import ProvingError
from proving.exercises import IMAGE, Answer, Outcome, changed
from proving.kube import Namespace
from proving.lab import Lab
from proving.manifests import Manifest
from proving.paths import LABS
from proving.probes import APP, RELEASE, Request, Sample, Trial

OWN = LABS / "exercises" / "10-lossless-roll-out" / "start"
PROGRAM = "shop.py"
REPLICAS = 2
START_SECONDS = 60.0
ROLL_OUT_SECONDS = 90.0
RATE = 20
STEADY_REQUESTS = RATE
MOST_ROLL_OUTS = 3
"""How often a manifest without a pause is rolled out that has lost nothing: that may be luck."""

AFTER_SECONDS = 0.5
KILLED = "exited with 137"
"""What is told of a hook that KILL has ended together with its container."""

BOUNDS = {"RATE": RATE, "TIMEOUT_SECONDS": 10, "MOST_SECONDS": 300, "MOST_REQUESTS": 300 * RATE}
"""Those of the load: an answer takes up to four seconds, and the load ends long before."""

_NO_PROGRAM = re.compile(r'exec: "[^"]*": [^:,]*')


@dataclass(frozen=True)
class Seen:
    """What became of the requests that were sent from the begin of a roll-out on.

    `causes` counts those that were lost, `loading` those among them that pods have refused which
    were not ready, and `lost_at` are the moments of the first and the last loss, in seconds after
    the begin.
    """

    sent: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    loading: int = 0
    lost_at: tuple[float, float] = (0.0, 0.0)
    longest_seconds: float = 0.0
    nobody_seconds: float = 0.0
    pauses: bool = False
    hook: str = ""
    grace_seconds: int = 30
    roll_outs: int = 1

    @property
    def lost(self) -> int:
        """How many were lost."""
        return sum(self.causes.values())

    @property
    def cut(self) -> int:
        """How many were lost after a pod had taken them."""
        return self.causes.get("cut", 0) + self.causes.get("no answer in time", 0)

    @property
    def has_failed_hook(self) -> bool:
        """Whether a hook has failed by itself: kubelet sends TERM then, with no pause before it."""
        return bool(self.hook) and KILLED not in self.hook

    @property
    def told(self) -> str:
        """What was lost, when and how, for a sentence."""
        first, last = self.lost_at
        causes = ", ".join(f"{cause}: {number}" for cause, number in self.causes.items())
        return (
            f"Of {self.sent:,} requests {self.lost} were lost, between {first:.1f} and "
            f"{last:.1f} s after the roll-out began ({causes})."
        )


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge by the requests of a small load, whatever the manifest says."""
    if changed(folder, OWN, [PROGRAM]):
        return Answer(
            Outcome.FAILED,
            f"{PROGRAM} must stay as the exercise has it: what is to be mended is what the cluster "
            "knows of it, in web.yaml.",
        )
    cluster = lab.cluster()
    try:
        manifest = manifests.read(folder / "web.yaml")
        if another := _another(manifest):
            return Answer(Outcome.FAILED, another)
        lab.load_images(probes.IMAGE)
        cluster.load({IMAGE: str(lab.build(folder).tag)})
        with probes.under_load(lab, manifest, 0, **BOUNDS) as trial:
            return judge(watch(trial, probes.pauses(manifest)))
    except ProvingError as error:
        return Answer(Outcome.FAILED, str(error))


def _another(manifest: Manifest) -> str:
    """Return what is said of a manifest that has other pods than those that are to be kept."""
    deployment = manifest.one("Deployment", APP)
    manifest.one("Service", APP)
    if deployment["spec"].get("replicas", 1) != REPLICAS:
        return f"There is room for {REPLICAS} pods in everyday life: leave `replicas` as it was."
    if manifest.images != (IMAGE,):
        return f"Its pods run another image: leave {IMAGE} as it was, for one container in each."
    return ""


def judge(seen: Seen) -> Answer:
    """Judge by what was lost, and name the first reason in the order of a roll-out."""
    if not seen.lost and seen.has_failed_hook:
        return Answer(
            Outcome.HINT,
            f"Of {seen.sent:,} requests none was lost, this time. {_of_the_hook(seen)}",
        )
    if not seen.lost:
        times = f" {seen.roll_outs} times" if seen.roll_outs > 1 else ""
        return Answer(
            Outcome.PASSED,
            f"All {REPLICAS} pods were replaced under load{times}, and of {seen.sent:,} requests "
            f"none was lost; the longest answer took {seen.longest_seconds:.1f} s.",
        )
    return Answer(Outcome.HINT, f"{seen.told} {_why(seen)}")


def _why(seen: Seen) -> str:
    if seen.loading:
        return (
            f"{seen.loading} of them had come to new pods, which ran and were still loading. "
            "Who asks a pod whether it can take requests already?"
        )
    if seen.nobody_seconds:
        return (
            f"For about {seen.nobody_seconds:.1f} s its Service had no pod to send them to: the "
            "old ones had been told to end, and no new one was ready. "
            "How many of them may be missing at a time?"
        )
    if seen.has_failed_hook:
        return _of_the_hook(seen)
    if not seen.pauses:
        return (
            "Every pod that was asked had been ready. But a pod that is told to end stops "
            "listening at once, and is sent requests until all nodes have heard of its end. "
            "What could be before TERM?"
        )
    if seen.cut:
        return (
            f"{seen.cut} of them had been taken by pods that were then killed in the middle of the "
            f"answer. An answer takes up to {seen.longest_seconds:.1f} s, and from the news of its "
            f"end to KILL a pod has a grace period of {seen.grace_seconds} s. "
            "What has to fit into that?"
        )
    return (
        f"The pods are given a pause, and within a grace period of {seen.grace_seconds} s it was "
        "over before all nodes had heard of their end. How long is it, and how long may it be?"
    )


def _of_the_hook(seen: Seen) -> str:
    return (
        f"What was to be run before TERM did not end well: “{seen.hook}”. It needs a program "
        f"of the image, and has a grace period of {seen.grace_seconds} s. Which was missing?"
    )


def watch(trial: Trial, pauses: bool) -> Seen:
    """Replace all pods once they answer, and tell what became of the requests since.

    A manifest without a pause that loses nothing is rolled out again.
    """
    space = trial.namespace
    space.wait_ready(START_SECONDS)
    space.until(lambda: _is_steady(trial), START_SECONDS, "an answer to every request")
    began, done = trial.now(), 0
    while done < MOST_ROLL_OUTS and not (done and (pauses or _lost(trial.load.requests(), began))):
        done += 1
        _roll_out(trial, f"{done}")
    time.sleep(AFTER_SECONDS)
    grace_seconds = space.get("deployments", APP)["spec"]["template"]["spec"][
        "terminationGracePeriodSeconds"
    ]
    hook = _failed_hook(space)
    requests = [one for one in trial.load.finish() if one.began >= began]
    lost = _lost(requests, began)
    moments = [one.ended - began for one in lost] or [0.0]
    return Seen(
        sent=len(requests),
        causes=dict(Counter(one.cause for one in lost).most_common()),
        loading=sum(one.status == 503 for one in lost),
        lost_at=(min(moments), max(moments)),
        longest_seconds=_longest_seconds(requests),
        nobody_seconds=nobody_seconds(trial.watch.finish(), began - trial.ahead_seconds),
        pauses=pauses,
        hook=hook,
        grace_seconds=grace_seconds,
        roll_outs=done,
    )


def _is_steady(trial: Trial) -> bool:
    last = trial.load.requests()[-STEADY_REQUESTS:]
    return len(last) == STEADY_REQUESTS and not any(one.failed for one in last)


def _lost(requests: Iterable[Request], began: float) -> Sequence[Request]:
    return [one for one in requests if one.failed and one.began >= began]


def _longest_seconds(requests: Iterable[Request]) -> float:
    return max((one.ended - one.began for one in requests if not one.failed), default=0.0)


def _roll_out(trial: Trial, release: str) -> None:
    template: dict[str, Any] = {"metadata": {"annotations": {RELEASE: release}}}
    trial.patch(APP, {"spec": {"template": template}})
    trial.watch.until(
        lambda sample: sample.is_rolled_out(release, REPLICAS),
        ROLL_OUT_SECONDS,
        "the end of the roll-out",
    )


def nobody_seconds(samples: Sequence[Sample], began: float) -> float:
    """Return how long the Service had no endpoint, from a moment on; as exact as the samples."""
    later = [sample for sample in samples if sample.at >= began]
    return sum(two.at - one.at for one, two in pairwise(later) if not one.endpoints)


def _failed_hook(space: Namespace) -> str:
    """Return what the cluster tells of a hook that has failed; empty where none has."""
    events = space.list("events")
    told = [one["message"] for one in events if one.get("reason") == "FailedPreStopHook"]
    return hook_told(str(told[0])) if told else ""


def hook_told(message: str) -> str:
    """Return why a hook has failed, without what leads there: names and numbers of the run."""
    missing = _NO_PROGRAM.search(message)
    return missing.group() if missing else message.rpartition(" error: ")[2]
