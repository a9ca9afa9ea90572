"""Pods under load, and what probes do to them: the measurements of chapter 10.

A load from inside the cluster asks a Service, and logs what becomes of each request; meanwhile the
pods behind it are looked at a few times in a second. Two clocks are in play: requests have the time
of the node, samples and moments that of this machine. `Trial` puts the latter on the node's clock.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .errors import CouldNotMeasure
from .kube import NotFound, Refused, ready, terminating
from .spans import span

if TYPE_CHECKING:
    from .kube import Namespace
    from .lab import Lab
    from .manifests import Manifest

APP = "web"
"""The name of the Deployment and of the Service that all manifests of the chapter have."""

DATABASE = "database"
LOAD = "load"
IMAGE = "localhost/apps/probed:1"

TIMELINE = "pod_timelines"
"""Under which name a record has what `drawn` returns, by arm."""

SAMPLE_SECONDS = 0.5
RATE = 40
"""How many requests a load begins in a second."""

BEFORE_SECONDS = 2.0
AFTER_SECONDS = 2.0
READY_SECONDS = 120.0
LONGEST_SECONDS = 240
"""The bound of a load, and of what is waited for meanwhile, on a machine with much else to do."""

RELEASE = "release"
"""The annotation by which the pods of a roll-out are told from those before it."""


@dataclass(frozen=True)
class Request:
    """One request of the load; times are unix seconds of the node's clock."""

    path: str
    began: float
    ended: float
    status: int
    pod: str
    """The pod that has answered; empty where none did."""
    cause: str
    """Why it has failed; empty where it has not."""

    @property
    def failed(self) -> bool:
        """Whether it had no whole answer, or one that tells the server's own failure (5xx)."""
        return bool(self.cause)


def read_log(log: str) -> tuple[tuple[Request, ...], int | None]:
    """Return the requests that a load has logged, and how many it says that it has sent.

    The number is None where the load has not ended yet.
    """
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    sent = next((line["sent"] for line in lines if "sent" in line), None)
    return tuple(Request(**line) for line in lines if "sent" not in line), sent


def figures_of(requests: Iterable[Request]) -> dict[str, Any]:
    """Return how many requests were sent and failed, and why: causes with their numbers."""
    told = list(requests)
    causes = Counter(request.cause for request in told if request.failed)
    return {
        "sent": len(told),
        "failed": causes.total(),
        "causes": ", ".join(f"{cause}: {n:,}" for cause, n in causes.most_common()) or "none",
    }


class Load:
    """A load on the Service of a namespace, in a pod of its own."""

    def __init__(self, namespace: Namespace, **environment: object) -> None:
        """Prepare a load; the environment is that of `images/apps/probed/load.py`."""
        self.namespace = namespace
        bounds = {"RATE": RATE, "MOST_REQUESTS": RATE * LONGEST_SECONDS}
        self.environment = {**bounds, "MOST_SECONDS": LONGEST_SECONDS, **environment}

    def manifest(self) -> dict[str, Any]:
        """Return the load's pod."""
        told = [{"name": name, "value": f"{value}"} for name, value in self.environment.items()]
        container = {
            "name": LOAD,
            "image": IMAGE,
            "command": ["python", "/app/load.py"],
            "env": told,
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": LOAD, "labels": {"app": LOAD}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "containers": [container],
            },
        }

    def requests(self) -> tuple[Request, ...]:
        """Return the requests that have ended so far."""
        return read_log(self._log())[0]

    def first(self, wanted: Callable[[Request], bool], seconds: float, what: str) -> Request:
        """Return the first request that is wanted, however long it takes within these seconds.

        Raises:
            CouldNotMeasure: there is none.
        """
        until = time.monotonic() + seconds
        while True:
            requests = self.requests()
            found = next(filter(wanted, requests), None)
            if found is not None:
                return found
            if time.monotonic() > until:
                told = figures_of(requests)
                raise CouldNotMeasure(
                    f"After {seconds:.0f} s there was not yet {what}; of {told['sent']} requests "
                    f"{told['failed']} failed: {told['causes']}."
                )
            time.sleep(SAMPLE_SECONDS)

    def wait_for(self, number: int, since: float) -> None:
        """Wait until so many requests have ended that began at a moment of the node's clock.

        Raises:
            CouldNotMeasure: the load ends before that.
        """
        with span("load", f"{number} requests"):
            while (left := number - sum(r.began >= since for r in self.requests())) > 0:
                if self._is_over():
                    raise CouldNotMeasure(f"The load has ended, and {left} requests are missing.")
                time.sleep(max(SAMPLE_SECONDS, left / RATE))

    def hang(self) -> Request:
        """Have the next request ask for `/hang`, and return it when it is answered.

        Raises:
            CouldNotMeasure: it is not answered.
        """
        self._signal("USR1")
        asked = self.first(lambda request: request.path == "/hang", 30, "a request for /hang")
        if asked.failed:
            raise CouldNotMeasure(f"The application was told to hang, and {asked.cause}.")
        return asked

    def finish(self) -> tuple[Request, ...]:
        """Tell the load to end, wait for the answers that are missing, and return all requests.

        Raises:
            CouldNotMeasure: it does not end, or a line of its log is missing.
        """
        self._signal("TERM")
        self.namespace.until(self._is_over, LONGEST_SECONDS, "the end of the load")
        requests, sent = read_log(self._log())
        if sent != len(requests):
            raise CouldNotMeasure(
                f"The load has sent {sent} requests, and its log tells of {len(requests)}."
            )
        return requests

    def clock(self) -> float:
        """Return by how many seconds the node's clock is ahead; 0 where no difference is seen."""
        before = time.time()
        there = float(self._exec("date", "+%s.%N"))
        after = time.time()
        ahead = there - (before + after) / 2
        return 0.0 if abs(ahead) <= (after - before) / 2 else ahead

    def _is_over(self) -> bool:
        phase: str = self.namespace.get("pods", LOAD)["status"]["phase"]
        if phase == "Failed":
            raise CouldNotMeasure(f"The load broke off: {self._log()[-300:]}")
        return phase == "Succeeded"

    def _log(self) -> str:
        try:
            return self.namespace.logs(LOAD)
        except (NotFound, Refused):  # the container has not been started yet
            return ""

    def _signal(self, name: str) -> None:
        self._exec("sh", "-c", f"kill -{name} 1")

    def _exec(self, *command: str) -> str:
        done = self.namespace.exec(LOAD, list(command))
        if done.status:
            raise CouldNotMeasure(f"In the load's pod, {command[0]} failed: {done.errors}")
        return done.output


@dataclass(frozen=True)
class Pod:
    """What a sample sees of a pod."""

    name: str
    release: str
    is_ready: bool
    is_gone: bool
    """Whether it is ending and nothing of it runs any more; it is listed for some seconds yet."""
    restarts: int

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> Pod:
        """Read a pod as the API gives it."""
        metadata, status = pod["metadata"], pod.get("status", {})
        containers = status.get("containerStatuses") or []
        return cls(
            name=metadata["name"],
            release=(metadata.get("annotations") or {}).get(RELEASE, ""),
            is_ready=ready(pod),
            is_gone=terminating(pod) and not any("running" in one["state"] for one in containers),
            restarts=sum(container["restartCount"] for container in containers),
        )


@dataclass(frozen=True)
class Sample:
    """The pods of the application at a moment, and the addresses that its Service has."""

    at: float
    pods: tuple[Pod, ...]
    endpoints: int

    @property
    def restarts(self) -> int:
        """How often containers of these pods have been restarted."""
        return sum(pod.restarts for pod in self.pods)

    def is_rolled_out(self, release: str, replicas: int) -> bool:
        """Tell whether the pods of a release are ready, and no others are there any more."""
        new = [pod for pod in self.pods if pod.is_ready and pod.release == release]
        return len(new) == len(self.pods) == replicas


class Watch:
    """Samples of the application's pods, taken in the background as long as it is open."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.samples: list[Sample] = []
        self._taken = threading.Condition()
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=30)

    def until(self, wanted: Callable[[Sample], bool], seconds: float, what: str) -> Sample:
        """Return the first sample from now on that is wanted.

        Raises:
            CouldNotMeasure: none is, within these seconds.
        """
        seen = len(self.samples)
        until = time.monotonic() + seconds
        with span("pods", what), self._taken:
            while (left := until - time.monotonic()) > 0 and self._failure is None:
                for sample in self.samples[seen:]:
                    if wanted(sample):
                        return sample
                seen = len(self.samples)
                self._taken.wait(left)
        self._raise()
        told = self.samples[-1].pods if self.samples else "none"
        raise CouldNotMeasure(f"After {seconds:.0f} s there is not yet {what}; the pods: {told}")

    def finish(self) -> tuple[Sample, ...]:
        """Return all samples; raise what has ended them too early."""
        self._raise()
        return tuple(self.samples)

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                sample = self._sample()
            except BaseException as failure:  # told in the caller's thread
                with self._taken:
                    self._failure = failure
                    self._taken.notify_all()
                return
            with self._taken:
                self.samples.append(sample)
                self._taken.notify_all()
            self._over.wait(SAMPLE_SECONDS)

    def _sample(self) -> Sample:
        pods = [Pod.of(pod) for pod in self.namespace.pods(APP)]
        there = tuple(pod for pod in pods if not pod.is_gone)
        return Sample(time.time(), there, len(self.namespace.endpoints(APP)))


@dataclass
class Trial:
    """The pods of a manifest under load, from the moment when they were applied."""

    namespace: Namespace
    load: Load
    watch: Watch
    least: int
    applied_at: float = field(default_factory=time.time)
    moments: list[tuple[float, str]] = field(default_factory=list)
    ahead_seconds: float = 0.0

    def answered(self, seconds: float = READY_SECONDS) -> Request:
        """Wait for the first answer, and return it.

        Raises:
            CouldNotMeasure: there is none within these seconds.
        """
        what = "an answer through the Service"
        return self.load.first(lambda request: not request.failed, seconds, what)

    def steady(self) -> float:
        """Wait until all is ready and has been answered for a while, and return the moment then.

        The moment is one of the node's clock.

        Raises:
            CouldNotMeasure: that does not come about.
        """
        self.namespace.wait_ready()
        self.namespace.until(self._is_steady, READY_SECONDS, "a steady answer")
        return self.now()

    def _is_steady(self) -> bool:
        last = self.load.requests()[-int(BEFORE_SECONDS * RATE) :]
        return len(last) >= BEFORE_SECONDS * RATE and not any(request.failed for request in last)

    def now(self) -> float:
        """Return the time by the node's clock."""
        return time.time() + self.ahead_seconds

    def finish(self, since: float) -> tuple[Request, ...]:
        """End the load once it has sent enough, and return the requests since that moment.

        Raises:
            CouldNotMeasure: the load ends too early, or not at all.
        """
        self.load.wait_for(self.least, since)
        return tuple(request for request in self.load.finish() if request.began >= since)

    def mark(self, what: str) -> None:
        """Keep a moment, to be drawn."""
        self.moments.append((time.time(), what))

    def patch(self, deployment: str, body: Mapping[str, Any]) -> None:
        """Change a Deployment."""
        self.namespace.patch("deployments", deployment, dict(body))

    def roll_out(self, release: str) -> None:
        """Replace all pods, and wait until the old ones are gone.

        Raises:
            CouldNotMeasure: the roll-out does not come to its end.
        """
        replicas = self.namespace.get("deployments", APP)["spec"]["replicas"]
        annotations = {"metadata": {"annotations": {RELEASE: release}}}
        self.mark("roll-out")
        self.patch(APP, {"spec": {"template": annotations}})
        self.watch.until(
            lambda sample: sample.is_rolled_out(release, replicas),
            LONGEST_SECONDS,
            f"the end of the roll-out of {release}",
        )

    def drawn(self, requests: Sequence[Request], zero: float) -> dict[str, Any]:
        """Return what is drawn of the trial, in seconds after `zero` of the node's clock."""
        ahead = self.ahead_seconds
        moments = [(at + ahead, what) for at, what in self.moments]
        samples = [
            (sample.at + ahead, (len(sample.pods), sample.endpoints, sample.restarts))
            for sample in self.watch.finish()
        ]
        return timeline(samples, requests, moments, zero)


@contextmanager
def under_load(lab: Lab, manifest: Manifest, least: int, **environment: object) -> Iterator[Trial]:
    """Apply a manifest together with a load on it, in a namespace of its own.

    `least` is how many requests are sent at least before the load is over.
    """
    with lab.namespace() as namespace:
        load = Load(namespace, **environment)
        with Watch(namespace) as watch:
            trial = Trial(namespace, load, watch, least)
            namespace.apply(manifest)
            namespace.apply([load.manifest()])
            load.first(lambda _: True, READY_SECONDS, "a request of the load")
            trial.ahead_seconds = load.clock()
            yield trial


def restart_seconds(*manifests: Manifest) -> float:
    """Return how long a hung container may take to be stopped, by the manifest that has a probe.

    That is the liveness probe's initial delay, its period as often as it may fail, its timeout, and
    the grace period of the pod; where a field is missing, its default counts (Kubernetes API,
    `Probe` and `PodSpec`).

    Raises:
        CouldNotMeasure: none of them has a liveness probe.
    """
    for spec in (_pod_spec(manifest) for manifest in manifests):
        probe = spec["containers"][0].get("livenessProbe")
        if probe is not None:
            failing = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
            delay = probe.get("initialDelaySeconds", 0) + probe.get("timeoutSeconds", 1)
            return float(failing + delay + spec.get("terminationGracePeriodSeconds", 30))
    raise CouldNotMeasure("No manifest has a liveness probe, so there is no bound.")


def pauses(manifest: Manifest) -> bool:
    """Tell whether the application's container has a hook before its stop."""
    container = _pod_spec(manifest)["containers"][0]
    return "preStop" in container.get("lifecycle", {})


def _pod_spec(manifest: Manifest) -> Mapping[str, Any]:
    for document in manifest.documents:
        if document["kind"] == "Deployment" and document["metadata"]["name"] == APP:
            spec: Mapping[str, Any] = document["spec"]["template"]["spec"]
            return spec
    raise CouldNotMeasure(f"{manifest.file} has no Deployment {APP}.")


def hang(lab: Lab, manifest: Manifest, stop_seconds: float, least: int) -> dict[str, Any]:
    """Have the application hang under load, and tell how long it takes until the next good answer.

    The bound is `stop_seconds` and as long as the start took in this run, from `apply` to the
    first answer through the Service. The load goes on for twice the bound; where no answer comes,
    `seconds` is how long none has come.

    Raises:
        CouldNotMeasure: it does not start, or does not hang.
    """
    with under_load(lab, manifest, least, TIMEOUT_SECONDS=2) as trial:
        first = trial.answered()
        bound_seconds = stop_seconds + first.ended - trial.applied_at - trial.ahead_seconds
        time.sleep(BEFORE_SECONDS)
        hung = trial.load.hang()
        trial.moments.append((hung.ended - trial.ahead_seconds, "hang"))
        time.sleep(2 * bound_seconds + AFTER_SECONDS)
        requests = trial.finish(first.began)
        later = [request for request in requests if request.began >= hung.ended]
        answers = [request.ended for request in later if not request.failed]
        until = min(answers) if answers else max(request.began for request in later)
        return {
            "seconds": round(until - hung.ended, 3),
            "bound_seconds": round(bound_seconds, 3),
            "answers_again": bool(answers),
            "restarts": trial.watch.finish()[-1].restarts,
            **figures_of(requests),
            TIMELINE: trial.drawn(requests, hung.ended),
        }


def without_database(
    lab: Lab, manifest: Manifest, away_seconds: float, least: int
) -> dict[str, Any]:
    """Take the application's database away for some seconds under load, and count restarts.

    Raises:
        CouldNotMeasure: it does not start, or the load ends too early.
    """
    with under_load(lab, manifest, least, TIMEOUT_SECONDS=10) as trial:
        zero = trial.steady()
        before = trial.watch.samples[-1].restarts
        trial.mark("database away")
        trial.namespace.scale(DATABASE, 0)
        time.sleep(away_seconds)
        restarts = trial.watch.samples[-1].restarts - before
        trial.mark("back")
        trial.namespace.scale(DATABASE, 1)
        requests = trial.finish(zero)
        return {
            "restarts": restarts,
            **figures_of(requests),
            TIMELINE: trial.drawn(requests, zero),
        }


def slow_start(lab: Lab, manifest: Manifest, watch_seconds: float, least: int) -> dict[str, Any]:
    """Start a slow application, and count restarts until its first answer or the end of a bound.

    Raises:
        CouldNotMeasure: the load ends too early.
    """
    with under_load(lab, manifest, least, TIMEOUT_SECONDS=2) as trial:
        zero = trial.applied_at + trial.ahead_seconds
        left_seconds = watch_seconds - (trial.now() - zero)
        try:
            until, answers = trial.answered(left_seconds).ended, True
            trial.moments.append((until - trial.ahead_seconds, "first answer"))
        except CouldNotMeasure:
            until, answers = trial.now(), False
        requests = trial.finish(zero)
        samples = trial.watch.finish()
        seen = [one.restarts for one in samples if one.at + trial.ahead_seconds <= until]
        return {
            "restarts": seen[-1],
            "answers": answers,
            "seconds": round(until - zero, 3),
            **figures_of(requests),
            TIMELINE: trial.drawn(requests, zero),
        }


def roll_outs(
    lab: Lab, manifest: Manifest, least: int, *, seconds: float = 0.0, at_most: int = 1
) -> dict[str, Any]:
    """Roll an application out under load, and count the requests that failed.

    Further roll-outs follow while fewer than `seconds` have passed. Where the manifest has no
    preStop hook, they also follow until a request was lost, up to `at_most` in all.

    Raises:
        CouldNotMeasure: such a manifest has lost no request.
    """
    with under_load(lab, manifest, least) as trial:
        zero = trial.steady()
        done = 0
        while done < at_most and (done == 0 or _goes_on(trial, manifest, zero, seconds)):
            done += 1
            trial.roll_out(f"{done}")
        time.sleep(AFTER_SECONDS)
        requests = trial.finish(zero)
        told = figures_of(requests)
        if not told["failed"] and not pauses(manifest):
            raise CouldNotMeasure(f"{done} roll-outs without a pause have lost no request.")
        return {**told, "roll_outs": done, TIMELINE: trial.drawn(requests, zero)}


def _goes_on(trial: Trial, manifest: Manifest, zero: float, seconds: float) -> bool:
    if trial.now() - zero < seconds:
        return True
    lost = [
        request for request in trial.load.requests() if request.failed and request.began >= zero
    ]
    return not lost and not pauses(manifest)


def timeline(
    samples: Sequence[tuple[float, tuple[int, ...]]],
    requests: Sequence[Request],
    moments: Sequence[tuple[float, str]],
    zero: float,
) -> dict[str, Any]:
    """Return a trial in the form that a claim's record keeps: seconds after `zero`.

    Samples are kept where they differ from the one before, as lists of the moment, the pods, the
    endpoints and the restarts so far. Every failed request is kept, by its cause and the pod that
    has answered it, with the moment at which it ended.
    """
    begin = min(request.began for request in requests)
    end = max(request.ended for request in requests)
    within = [(at, seen) for at, seen in samples if at <= end]
    changes = within[:1] + [two for one, two in pairwise(within) if one[1] != two[1]]
    failed: dict[tuple[str, str], list[float]] = {}
    for request in requests:
        if request.failed:
            moment = round(request.ended - zero, 2)
            failed.setdefault((request.cause, request.pod), []).append(moment)
    return {
        "start": round(begin - zero, 2),
        "end": round(end - zero, 2),
        "sent": len(requests),
        "moments": [[round(at - zero, 2), what] for at, what in moments],
        "samples": [[round(at - zero, 2), *seen] for at, seen in changes],
        "failed": [
            {"cause": cause, "pod": pod, "at": sorted(at)} for (cause, pod), at in failed.items()
        ],
    }
