"""How a container ends is read from what an API server has told of its pod."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from proving import manifests, pod_ends
from proving.claims import get
from proving.errors import CouldNotMeasure
from proving.manifests import MANIFESTS
from proving.pod_ends import End, NotTold

ASKED = {"deletionTimestamp": "2026-11-28T08:24:32Z", "deletionGracePeriodSeconds": 10}
RUNS = {"running": {"startedAt": "2026-11-28T08:24:20Z"}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
QUIT = """\
2026/11/28 08:24:20 [notice] 1#1: start worker process 7
2026/11/28 08:24:23 [notice] 1#1: signal 3 (SIGQUIT) received, shutting down
2026/11/28 08:24:23 [notice] 7#7: gracefully shutting down
2026/11/28 08:24:23 [notice] 1#1: signal 17 (SIGCHLD) received from 7
2026/11/28 08:24:23 [notice] 1#1: exit
"""
TERM = "2026/11/28 08:24:23 [notice] 1#1: signal 15 (SIGTERM) received, exiting\n"


def ended(at, status, **more):
    """Return the state of a container that has ended in the second `at` of that minute."""
    return {"terminated": {"exitCode": status, "finishedAt": f"2026-11-28T08:24:{at}Z", **more}}


def pod(state, **metadata):
    """Return a pod as a watch tells it: recorded ones, without what is not looked at."""
    return {
        "metadata": {"name": "worker", **metadata},
        "spec": {pod_ends.GRACE: 10},
        "status": {"containerStatuses": [{"name": "worker", "state": state}] if state else []},
    }


def test_a_killed_container_took_the_grace_period():
    """It is counted from the moment of the deletion, which the API tells by its end."""
    told = [pod(RUNS), pod(RUNS, **ASKED), pod(ended(33, 137), **ASKED)]

    assert End(11, 137, "") == pod_ends.end_of(told)


def test_a_container_that_ends_by_itself_is_told_at_once():
    """With what it has left as its message; what comes later is not waited for."""
    told = iter([pod(RUNS, **ASKED), pod(ended(23, 0, message="done"), **ASKED), None])

    assert End(1, 0, "done") == pod_ends.end_of(told)
    assert next(told) is None


def test_the_last_word_on_a_pod_is_as_good():
    """When the kubelet has it removed, the grace period of the deletion is none any more."""
    at_once = {"deletionTimestamp": "2026-11-28T08:24:22Z", "deletionGracePeriodSeconds": 0}

    assert End(1, 0, "") == pod_ends.end_of([pod(ended(23, 0), **at_once)])


@pytest.mark.parametrize(
    "told",
    [[], [pod(RUNS, **ASKED)], [pod(RUNS, **ASKED), pod(CREATING, **ASKED)], [pod({}, **ASKED)]],
    ids=["nothing", "it runs", "forgotten", "no container"],
)
def test_an_end_that_is_not_told_is_no_end(told):
    """Kubernetes 1.20 was seen to say of a container that has run that it is being created."""
    with pytest.raises(NotTold, match="did not tell"):
        pod_ends.end_of(told)


@pytest.mark.parametrize(("message", "signal"), [(QUIT, "SIGQUIT"), (TERM, "SIGTERM"), ("", "")])
def test_the_signal_is_the_one_that_stopped_nginx(message, signal):
    """It logs others as well, such as that of a worker's end."""
    assert signal == pod_ends.signal_in(message)


class Pods:
    """A namespace's stand-in, with a pod whose deletion is told by `events`."""

    def __init__(self, *events):
        self.events, self.deleted = events, []

    def apply(self, manifest):
        """Take a manifest."""

    def wait_ready(self):
        """Have the pod."""

    def pods(self):
        """Return the pod."""
        return [pod(RUNS)]

    def until(self, reached, _, what):
        """Ask once."""
        assert reached(), what

    def logs(self, _):
        """Return the worker's word."""
        return "ready\n"

    def processes(self, _):
        """Return PID 1."""
        return [SimpleNamespace(comm="worker.sh")]

    def get(self, *_):
        """Return the pod."""
        return pod(RUNS)

    def delete(self, _, name):
        """Note it."""
        self.deleted.append(name)

    def watch(self, *_):
        """Tell what happens."""
        yield from ({"type": "MODIFIED", "object": event} for event in self.events)


def test_a_pod_is_deleted_and_its_end_told():
    """The signal is among it where the container has told of one."""
    pods = Pods(pod(RUNS, **ASKED), pod(ended(23, 0, message=QUIT), **ASKED))

    figures = pod_ends.deleted(pods, grace_seconds=10.0)

    expected = {"seconds": 1, "exit_status": 0, "pid_1": "worker.sh", "signal": "SIGQUIT"}
    assert expected == figures
    assert ["worker"] == pods.deleted


def test_a_manifest_with_another_grace_period_is_not_measured():
    """The claim's bounds are those of its setting."""
    with pytest.raises(CouldNotMeasure, match="of 10, not 30"):
        pod_ends.deleted(Pods(), grace_seconds=30.0)


def test_another_pod_is_tried_where_the_end_was_not_told():
    """Each in a namespace of its own, and not for ever."""
    tried = [Pods(pod(CREATING, **ASKED)), Pods(pod(ended(33, 137), **ASKED))]
    left = iter(tried)

    @contextmanager
    def namespace():
        yield next(left, Pods())

    assert 137 == pod_ends.measured(namespace, None, grace_seconds=10.0)["exit_status"]
    with pytest.raises(NotTold):
        pod_ends.measured(namespace, None, grace_seconds=10.0)


@pytest.mark.parametrize("file", sorted((MANIFESTS / "P1K").glob("*.yaml")), ids=lambda f: f.stem)
def test_the_manifests_have_the_grace_period_of_the_claim(file):
    """And nothing is stopped before the grace period by a hook."""
    granted = manifests.read(file).one("Pod")["spec"][pod_ends.GRACE]

    assert get("P1K").settings["grace_seconds"] == granted
