"""What a node has downloaded for several services, from what the registry has served."""

from proving.common_parent import DOWNLOADED_AFTER
from proving.node import Pull
from proving.registry import Blob, Pushed
from proving.services import Shipped, figures

BASE = Blob("sha256:base", 1000)


def shipped(number, packages, *, downloads):
    """Return a service whose image has a base, a layer with packages and one of its own."""
    config = Blob(f"sha256:config-{number}", 1)
    own = Blob(f"sha256:service-{number}", 10)
    reference = f"registry/service-{number}:1"
    pushed = Pushed(f"sha256:{number}", config, (BASE, packages, own), reference)
    pull = Pull(0.1, (config, *downloads, own), pushed.digest, config.digest)
    return Shipped(None, pushed, pull, layers_added=2)


def test_packages_of_each_image_are_downloaded_with_each():
    """The same packages in layers of different digests are different layers to a node."""
    first, second = Blob("sha256:packages-1", 200), Blob("sha256:packages-2", 201)

    assert {
        "first_bytes": 1211,
        "first_package_bytes": 200,
        "later_bytes": 212,
        "served_bytes": 1423,
        "package_bytes": 401,
        "package_layers": 2,
        DOWNLOADED_AFTER: [1211, 1423],
    } == figures(
        [
            shipped(1, first, downloads=(BASE, first)),
            shipped(2, second, downloads=(second,)),
        ]
    )


def test_packages_of_a_parent_are_downloaded_once():
    """What was not served again does not count, although each manifest names it."""
    packages = Blob("sha256:packages", 200)
    measured = figures(
        [
            shipped(1, packages, downloads=(BASE, packages)),
            shipped(2, packages, downloads=()),
        ]
    )

    assert 200 == measured["package_bytes"] == measured["first_package_bytes"]
    assert 1 == measured["package_layers"]
    assert 11 == measured["later_bytes"]
