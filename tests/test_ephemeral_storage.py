"""Whether a pod was evicted is read from its status."""

import pytest
from proving import ephemeral_storage
from proving.errors import CouldNotMeasure

SENTENCE = "Pod ephemeral local storage usage exceeds the total limit of containers 32Mi. "


def pod(**status):
    """Return a pod whose container runs, unless told otherwise."""
    state = status.pop("state", {"running": {}})
    told = {"name": "stations", "state": state, "restartCount": 0}
    whole = {"phase": "Running", "containerStatuses": [told], **status}
    return {"metadata": {"name": "stations"}, "status": whole}


EVICTED = {"phase": "Failed", "reason": "Evicted", "message": SENTENCE}


class Pods:
    """A namespace's stand-in whose pod goes through some states and stays in the last."""

    def __init__(self, *states):
        self.states = list(states)

    def pods(self):
        """Return the pod."""
        return [self.states[0]]

    def get(self, *_):
        """Return the pod's next state."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def logs(self, _):
        """Return the worker's word."""
        return "ready\n"

    def until(self, reached, *_):
        """Ask until it is so."""
        while not (found := reached()):
            pass
        return found


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch):
    """Have time pass at once."""
    monkeypatch.setattr("time.sleep", lambda _: None)


def test_an_evicted_pod_is_told_with_the_kubelets_reason():
    """As soon as it is evicted, for its state does not change any more."""
    pods = Pods(pod(state={"waiting": {}}), pod(), pod(), pod(**EVICTED))

    figures = ephemeral_storage.watched(pods, watch_seconds=60)

    assert {"begun": True, "evicted": True, "reason": SENTENCE.strip()} == figures


def test_a_pod_that_stays_is_watched_to_the_end():
    """Nothing happened."""
    figures = ephemeral_storage.watched(Pods(pod()), watch_seconds=0.01)

    assert {"begun": True, "evicted": False, "reason": "none"} == figures


def test_a_pod_that_was_evicted_early_has_begun():
    """The kubelet may be quicker than the question."""
    assert ephemeral_storage.watched(Pods(pod(**EVICTED)), watch_seconds=1)["evicted"]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_an_application_that_ends_by_itself_is_not_measured(phase):
    """That is no eviction, and no work either."""
    with pytest.raises(CouldNotMeasure, match="ended by itself"):
        ephemeral_storage.watched(Pods(pod(), pod(phase=phase)), watch_seconds=60)
