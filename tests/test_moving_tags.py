"""What two pods of one Deployment run is told by what is in them, and by their images."""

import pytest
from proving import manifests, moving_tags
from proving.errors import CouldNotMeasure
from proving.kube import Executed
from proving.manifests import MANIFESTS

DIGEST = "sha256:" + "0e9cd8b1326a" + "0" * 52
SHOP = MANIFESTS / "B6K" / "shop.yaml"


def pod(name, image, **state):
    """Return a pod."""
    told = {"name": "shop", "state": state or {"running": {}}, "imageID": image}
    return {"metadata": {"name": name}, "status": {"containerStatuses": [told]}}


class Node:
    """A namespace's stand-in: its node has a table of images, and each pod what the table had."""

    def __init__(self, *, pods=2):
        self.table, self.there, self.wanted = {moving_tags.IMAGE: "release 1"}, [], pods
        self.applied = []

    def apply(self, documents):
        """Start the first pod."""
        self.applied = list(documents)
        self.start()

    def start(self):
        """Start a pod of what the manifest's name means now."""
        (image,) = manifests.Manifest(SHOP, tuple(self.applied)).images
        self.there.append((f"shop-{len(self.there)}", self.table[image]))

    def scale(self, _, replicas):
        """Start the others."""
        while len(self.there) < min(replicas, self.wanted):
            self.start()

    def wait_ready(self):
        """Have the pods."""

    def pods(self, _):
        """Return the pods."""
        return [pod(name, f"sha256:{release[-1] * 64}") for name, release in self.there]

    def pod_of(self, app):
        """Return the first pod."""
        return self.pods(app)[0]

    def get(self, _, name):
        """Return a pod."""
        return next(one for one in self.pods("shop") if one["metadata"]["name"] == name)

    def exec(self, name, _):
        """Tell the release that a pod has."""
        return Executed(0, f"{dict(self.there)[name]}\n", "")


def scaled(node, reference):
    """Measure the Deployment with a name for its image, whose tag moves to the second release."""
    node.table.setdefault(reference, "release 1")
    return moving_tags.scaled(
        node,
        manifests.read(SHOP),
        reference,
        lambda: node.table.update({moving_tags.IMAGE: "release 2"}),
    )


def test_a_tag_that_moves_gives_the_second_pod_another_image():
    """Its release and its image differ."""
    figures = scaled(Node(), moving_tags.IMAGE)

    assert ("release 1", "release 2") == (figures["first_release"], figures["second_release"])
    assert ("1" * 12, "2" * 12) == (figures["first_image"], figures["second_image"])
    assert "localhost/b6:1" == figures["named"]


def test_a_digest_gives_both_pods_the_same():
    """Whatever becomes of the tag."""
    figures = scaled(Node(), f"localhost/b6@{DIGEST}")

    assert ("release 1", "release 1") == (figures["first_release"], figures["second_release"])
    assert figures["first_image"] == figures["second_image"]
    assert "localhost/b6@sha256:0e9cd8b1326a…" == figures["named"]


def test_a_second_pod_that_is_missing_is_told():
    """There is nothing to compare."""
    with pytest.raises(CouldNotMeasure, match="Beside shop-0 there are 0 pods"):
        scaled(Node(pods=1), moving_tags.IMAGE)


@pytest.mark.parametrize(
    ("state", "runs"),
    [
        ({"running": {}}, True),
        ({"waiting": {"reason": "ErrImagePull"}}, False),
        ({"waiting": {"reason": "ImagePullBackOff"}}, False),
    ],
)
def test_a_pod_starts_or_its_image_is_refused(state, runs):
    """A pod that is being created is neither, and waited for."""
    told = [[pod("shop-0", "", waiting={"reason": "ContainerCreating"})]]
    told.append([pod("shop-0", "", **state)])

    class Waiting(Node):
        def apply(self, documents):
            """Take a manifest."""

        def pods(self, _):
            return told.pop(0) if len(told) > 1 else told[0]

        def until(self, reached, *_):
            while not (found := reached()):
                pass
            return found

    figures = moving_tags.started(Waiting(), manifests.read(MANIFESTS / "B6K" / "always.yaml"))

    assert {"named": moving_tags.IMAGE, "runs": runs} == figures


def test_the_manifests_differ_in_their_policy_alone():
    """Both name the image that the lab loads."""
    shop, always = (
        manifests.read(MANIFESTS / "B6K" / f"{name}.yaml") for name in ("shop", "always")
    )
    texts = [file.file.read_text().replace("IfNotPresent", "Always") for file in (shop, always)]

    assert texts[0] == texts[1]
    assert (moving_tags.IMAGE,) == shop.images == always.images
