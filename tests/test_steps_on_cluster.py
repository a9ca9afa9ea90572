"""What A1K reads of a cluster, without one: who becomes ready, and what is told of the others."""

from types import SimpleNamespace

import pytest
from proving import claims, manifests, steps, steps_on_cluster
from proving.errors import CouldNotMeasure
from proving.kube import Refused
from proving.manifests import MANIFESTS
from test_on_cluster import ENDED, REFUSED, Namespace, pod

LOG = '10.42.0.1 - - [28/Nov/2026] "GET /readyz HTTP/1.1" 404 -\n'
NOT_READY = {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}


def running(*, restarts=0):
    """Return a pod whose container runs, and that is not ready."""
    found = pod(begun="c1", restarts=restarts)
    found["status"]["conditions"] = [NOT_READY]
    return found


@pytest.fixture
def under(monkeypatch):
    """Return what is told of pods that are found one after the other."""
    manifest = manifests.read(MANIFESTS / "A1K" / "good.yaml")

    class Played(Namespace):
        def apply(self, _manifest):
            pass

        def logs(self, pod, container):
            return super().logs(pod, container, previous=False)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(steps_on_cluster.time, "sleep", lambda _: None)

    def measure(*found, **played):
        namespace = Played(*found, **played)
        lab = SimpleNamespace(namespace=lambda: namespace)
        return steps_on_cluster.under(lab, manifest, 0.0)

    return measure


def test_a_pod_that_is_ready_tells_its_user(under):
    """And nothing of a reason."""
    making = pod(state={"waiting": {"reason": "ContainerCreating"}})
    found = under(making, pod(ready=True, begun="c1"), outputs=["10001\n"], log=Refused("no", 400))

    assert found.pop("seconds") < 60
    assert {
        "ready": True,
        "restarts": 0,
        "started": True,
        "user": "10001",
        "reason": "none",
        "told": "none",
    } == found


def test_a_container_that_is_not_made_has_no_user(under):
    """The reason and the words are kubelet's."""
    found = under(pod(state=REFUSED))

    assert (False, False, "none") == (found["ready"], found["started"], found["user"])
    assert "CreateContainerConfigError" == found["reason"]
    assert "container has runAsNonRoot and image will run as root" == found["told"]


def test_a_pod_that_is_never_ready_tells_its_answer_to_the_probe(under):
    """Its container runs, so it is watched until that has been started anew."""
    ended = pod(state=ENDED, begun="c1", restarts=0)
    found = under(running(), ended, running(restarts=1), outputs=["10001\n"], log=LOG)

    assert (False, True, 1) == (found["ready"], found["started"], found["restarts"])
    assert ("ContainersNotReady", '"GET /readyz HTTP/1.1" 404') == (found["reason"], found["told"])


@pytest.mark.parametrize("log", ["", LOG.replace("404", "200"), LOG.replace("/readyz", "/livez")])
def test_a_pod_that_was_not_asked_yet_may_become_ready(log):
    """No answer is no refusal, and neither is that to another probe."""
    assert steps_on_cluster.refused(running(), log, "/readyz") is None


def test_a_user_that_is_not_told_is_no_measurement(under):
    """The pod's own words are in the sentence."""

    def no_stat(*_):
        return SimpleNamespace(status=1, output="", errors="no stat here\n")

    class Silent(Namespace):
        exec = staticmethod(no_stat)

    with pytest.raises(CouldNotMeasure, match="does not tell its user: no stat here"):
        steps_on_cluster._user(Silent(running()))


def test_the_manifests_differ_in_the_image_alone():
    """And each image is that of a step."""
    row = claims.get("A1K")
    texts, images = set(), []
    for name in steps.order("A1K"):
        file = MANIFESTS / "A1K" / f"{name}.yaml"
        (image,) = manifests.read(file).images
        texts.add(file.read_text("utf-8").replace(image, "IMAGE"))
        images.append(manifests.dockerfile_of(image).parent)

    assert 1 == len(texts)
    folders = steps.folders("A1")
    assert [folders[name] for name in ("bad", "processes", "good")] == [
        claims.IMAGES / image for image in images
    ]
    assert "A1" == row.images
