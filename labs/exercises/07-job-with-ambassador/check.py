"""Check the reader's Job: is its report delivered, although the first try fails, and is it over?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from proving import kube, manifests, patterns
from proving.errors import CouldNotMeasure, ProvingError
from proving.exercises import IMAGE, Answer, Outcome, changed
from proving.kube import Namespace, Object
from proving.lab import Lab
from proving.paths import LABS

OWN = LABS / "exercises" / "07-job-with-ambassador" / "start"
PROGRAMS = ("ambassador.py", "report.py", "store.py")
STORE = "store"
START_SECONDS = 30.0
STILL_SECONDS = 7.0
"""How long nothing may change in a pod, of which a part has ended, until it counts as stuck."""

MOST_FAILURES = 2
"""How often a try may fail that the store could have taken: it sends only the first one away."""

MOST_SECONDS = 90.0
"""How long the Job is watched: kubelet waits 10 s before a second try, and 20 s before a third."""


@dataclass(frozen=True)
class Part:
    """A container of the Job's last pod: the status of its last end, and what it waits for."""

    name: str
    runs: bool = False
    status: int | None = None
    restarts: int = 0
    waits: str = ""

    @property
    def failures(self) -> int:
        """How often it has failed in this pod."""
        return self.restarts + (bool(self.status) and not self.runs)


@dataclass(frozen=True)
class Seen:
    """What became of the Job: how many reports its store has, and what its pods came to.

    `asked` tells whether the store was asked at all, and has given any answer. `unheard` are the
    failures before that: in a slow room an ambassador may listen after its report has given up.
    """

    delivered: int = 0
    is_over: bool = False
    is_gone: bool = False
    given_up: str = ""
    seconds: float = 0.0
    pods: int = 0
    failures: int = 0
    unheard: int = 0
    parts: tuple[Part, ...] = ()
    preparing: tuple[str, ...] = ()
    containers: int = 2
    asked: bool = False
    said: str = ""
    server: str = ""

    @property
    def running(self) -> str:
        """The containers that run."""
        return " and ".join(part.name for part in self.parts if part.runs)

    @property
    def told(self) -> str:
        """How each container has ended, and how often it was started again."""
        return ", ".join(map(_told, self.parts))

    @property
    def is_settled(self) -> bool:
        """Whether more time would bring nothing else."""
        tried = self.failures - (self.unheard if self.asked else 0)
        ended = self.is_over or self.is_gone or bool(self.given_up)
        return ended or tried >= MOST_FAILURES

    @property
    def is_stuck(self) -> bool:
        """Whether something runs, and nobody is about to start anything again.

        As long as no container has ended for good, or an init container has asked the store, a
        program may be pausing between two tries.
        """
        if self.preparing:
            return not self.asked
        waits = any(part.waits for part in self.parts)
        return bool(self.running) and self.has_ended and not waits

    @property
    def has_ended(self) -> bool:
        """Whether a container has ended and does not run again."""
        return any(part.status is not None and not part.runs for part in self.parts)


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge by the store's reports and the Job's end: any way there passes."""
    if others := changed(folder, OWN, PROGRAMS):
        return Answer(
            Outcome.FAILED,
            f"{' and '.join(others)} must stay as the exercise has it: what is to be mended is "
            "how they are put together, in job.yaml.",
        )
    cluster = lab.cluster()
    try:
        job = manifests.read(folder / "job.yaml")
        job.one("Job")
        cluster.load({IMAGE: str(lab.build(folder).tag)})
        with lab.namespace() as ns:
            ns.apply(manifests.read(OWN / "outside.yaml"))
            ns.until(lambda: "ready" in _log(ns, STORE), START_SECONDS, "the store")
            ns.apply(job)
            return judge(replace(watch(ns), server=cluster.version))
    except ProvingError as error:
        return Answer(Outcome.FAILED, str(error))


def judge(seen: Seen) -> Answer:
    """Judge what became of a Job."""
    if seen.is_gone:
        return Answer(Outcome.HINT, _gone(seen))
    if not seen.delivered:
        return _undelivered(seen)
    if seen.given_up or not seen.is_over:
        return Answer(Outcome.HINT, _given_up(seen) if seen.given_up else _endless(seen))
    if seen.delivered > 1:
        return Answer(
            Outcome.HINT,
            f"The Job is over, and the store has got its report {seen.delivered} times: a try that "
            f"had delivered it counted as failed. In the last pod, {seen.told}. "
            "Whose end was no good one?",
        )
    if seen.containers < len(("ambassador", "report")):
        return Answer(
            Outcome.HINT,
            "The report is delivered and the Job is over, but both programs are in one container, "
            "where nobody looks after the ambassador, and the report has the store's address "
            "again. How can a container tell another that the work is done?",
        )
    return Answer(
        Outcome.PASSED,
        f"The store sent the first try away, a further one delivered the report, and the Job is "
        f"over after {seen.seconds:.0f} s and {seen.pods} {_many(seen.pods, 'pod')}: {seen.told}.",
    )


def _gone(seen: Seen) -> str:
    found = {0: "has no report", 1: "has its report"}.get(
        seen.delivered, f"has got its report {seen.delivered} times"
    )
    last = f" When its pod was last seen, {seen.told}." if seen.told else ""
    return (
        f"The Job was removed before its end could be seen, and the store {found}.{last} "
        "A Job is removed so many seconds after its end as `ttlSecondsAfterFinished` says. "
        "How long must it stay, so that somebody can look at how it ended?"
    )


def _undelivered(seen: Seen) -> Answer:
    said = f" (“{seen.said}”)" if seen.said else ""
    if seen.is_over:
        return Answer(
            Outcome.HINT,
            f"The Job counts as done, and the store has no report: {seen.told}. It was sent away "
            f"at the first try{said}, and nobody heard of that. "
            "Whose exit status does a container end with that runs several commands?",
        )
    if seen.preparing:
        return Answer(
            Outcome.HINT,
            f"The report was never started: {' and '.join(seen.preparing)} goes on, and an init "
            "container is waited for until it ends, unless the API server knows init containers "
            f"with a restartPolicy, and this one is {seen.server}. What is started beside the "
            "report, and not before it?",
        )
    if seen.given_up:
        return Answer(
            Outcome.HINT,
            f"The Job was given up before its report was delivered ({seen.given_up}): {seen.told}. "
            "Who has ended it, while it had not been tried again?",
        )
    if seen.failures >= MOST_FAILURES:
        return _in_vain(seen, said)
    return Answer(Outcome.FAILED, _nothing(seen, said))


def _nothing(seen: Seen, said: str) -> str:
    """Return what is told of a Job that goes on, delivers nothing and is not tried again."""
    if any(part.status and not part.runs for part in seen.parts) and seen.running:
        return (
            f"The first try has failed{said}, and nobody tries again: {seen.told}. A Job makes "
            f"another pod when this one has ended, and {seen.running} keeps it from its end. "
            "Who else starts a container again, and what has to be said in the manifest for that?"
        )
    if seen.running and not seen.has_ended:
        return (
            f"For {MOST_SECONDS:.0f} s no container has ended for good, and the store has no "
            f"report{said}: {seen.told}. It was watched for no longer. "
            "When is the next try, and who listens on the report's localhost then?"
        )
    states = seen.told or "it has no pod"
    return f"The Job has delivered nothing and is not over: {states}."


def _in_vain(seen: Seen, said: str) -> Answer:
    ended = " and ".join(part.name for part in seen.parts if part.status == 0 and not part.runs)
    if ended:
        return Answer(
            Outcome.HINT,
            f"It is tried again, and in vain{said}: {seen.told}. In this pod {ended} ended well "
            "after the first try, although that had failed, and is not started again. "
            "After which end of the report is its work done?",
        )
    return Answer(
        Outcome.HINT,
        f"It was tried {seen.failures} times, and in vain{said}: {seen.told}. "
        "The report asks on its own localhost, and nowhere else. Who listens there?",
    )


def _given_up(seen: Seen) -> str:
    found = (
        f"The store has its report, and the Job counts as failed all the same ({seen.given_up}): "
        f"{seen.told}."
    )
    if seen.running:
        return (
            f"{found} {seen.running} had to be ended. "
            "Who could tell it in time that the work is done?"
        )
    return (
        f"{found} With which status does every container of a pod have to end, so that the pod "
        "has succeeded?"
    )


def _endless(seen: Seen) -> str:
    again = [part for part in seen.parts if part.restarts and part.status and not part.runs]
    if again and not seen.is_stuck:
        return (
            f"The store has its report, and the Job goes on: {seen.told}. What ends with another "
            "status than 0 is started again. Can it be told to end well?"
        )
    later = f"{STILL_SECONDS:.0f} s later" if seen.is_stuck else f"after {MOST_SECONDS:.0f} s"
    return (
        f"The store has its report, and {later} the Job is not over: "
        f"{seen.told}. A pod has ended when all of its containers have. "
        f"Who could tell {seen.running or 'the rest'} that the work is done?"
    )


def _told(part: Part) -> str:
    state = "runs on" if part.runs else f"ended with status {part.status}"
    if not part.runs and part.status is None:
        state = f"waits ({part.waits or 'for its start'})"
    again = f" after {part.restarts} {_many(part.restarts, 'restart')}" if part.restarts else ""
    return f"{part.name} {state}{again}"


def _many(count: int, what: str) -> str:
    return what if count == 1 else f"{what}s"


def watch(ns: Namespace) -> Seen:
    """Look at the Job again and again, until it is over, or nothing changes any more."""
    began = changed_at = time.monotonic()
    seen = look(ns, Seen())
    while time.monotonic() - began < MOST_SECONDS and not seen.is_settled:
        if seen.is_stuck and time.monotonic() - changed_at > STILL_SECONDS:
            break
        time.sleep(kube.POLL_SECONDS)
        now = look(ns, seen)
        if now != seen:
            seen, changed_at = now, time.monotonic()
    return replace(seen, said=_said(ns, seen))


def look(ns: Namespace, before: Seen) -> Seen:
    """Return what is to be seen of the only Job, of its pods, and of the store.

    Of a Job that is there no more, what was seen of it `before` is returned.
    """
    jobs, pods = ns.list("jobs"), _pods(ns)
    told = _log(ns, STORE).splitlines()  # comes last: what a Job has delivered is in it
    if not jobs:
        return replace(before, is_gone=True, delivered=told.count("taken"))
    job = jobs[0]
    status = job.get("status") or {}
    conditions = [one for one in status.get("conditions") or [] if one["status"] == "True"]
    parts = tuple(_part(pods[-1], name) for name in _containers(pods))
    failed_pods = sum(_failed(pod) for pod in pods[:-1])
    spec = job["spec"]["template"]["spec"]
    asked = any(line != "ready" for line in told)
    failures = failed_pods + max((part.failures for part in parts), default=0)
    return Seen(
        delivered=told.count("taken"),
        is_over=any(one["type"] == "Complete" for one in conditions),
        given_up=next((one["reason"] for one in conditions if one["type"] == "Failed"), ""),
        seconds=_seconds(status),
        pods=len(pods),
        failures=failures,
        unheard=before.unheard if asked else failures,
        parts=parts,
        preparing=_preparing(pods[-1]) if pods else (),
        containers=len(spec["containers"]) + len(spec.get("initContainers") or []),
        asked=asked,
    )


def _pods(ns: Namespace) -> Sequence[Object]:
    """Return the Job's pods, the youngest last: of two of the same second, the one that goes on."""
    pods = [pod for pod in ns.pods() if "job-name" in (pod["metadata"].get("labels") or {})]
    return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], not _failed(pod)))


def _failed(pod: Object) -> bool:
    return bool(pod["status"].get("phase") == "Failed")


def _containers(pods: Sequence[Object]) -> Sequence[str]:
    return patterns.containers_of(pods[-1]) if pods else ()


def _part(pod: Object, name: str) -> Part:
    try:
        status = kube.container_status(pod, name)
    except CouldNotMeasure:
        return Part(name)
    state = status["state"]
    ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    return Part(
        name,
        runs="running" in state,
        status=ended.get("exitCode"),
        restarts=int(status["restartCount"]),
        waits=str((state.get("waiting") or {}).get("reason", "")),
    )


def _preparing(pod: Object) -> tuple[str, ...]:
    """Return the init containers that run while no other container has been started."""
    if any("waiting" not in one["state"] for one in pod["status"].get("containerStatuses") or []):
        return ()
    statuses = pod["status"].get("initContainerStatuses") or []
    return tuple(one["name"] for one in statuses if "running" in one["state"])


def _seconds(status: Mapping[str, str]) -> float:
    """Return how long the Job took, in whole seconds, as the cluster tells it; 0 before its end."""
    if "completionTime" not in status:
        return 0.0
    begin, end = (datetime.fromisoformat(status[name]) for name in ("startTime", "completionTime"))
    return (end - begin).total_seconds()


def _said(ns: Namespace, seen: Seen) -> str:
    """Return the last line of the log of what has failed, or that an earlier try has left."""
    for pod in reversed(_pods(ns)):
        for part in seen.parts:
            for previous in (False, True):
                lines = _log(ns, patterns.name_of(pod), part.name, previous=previous).splitlines()
                found = [line for line in lines if line.startswith(("the report", "nobody"))]
                if found and not found[-1].endswith("was taken"):
                    return found[-1]
    return ""


def _log(ns: Namespace, pod: str, container: str = "", *, previous: bool = False) -> str:
    """Return a container's log; nothing where it has none yet, or none any more."""
    try:
        return ns.logs(pod, container, previous=previous)
    except ProvingError:
        return ""
