"""Several services that one node pulls, one after the other: what it downloads for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .common_parent import DOWNLOADED_AFTER

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab
    from .node import Pull
    from .registry import Pushed, Registry


@dataclass(frozen=True)
class Shipped:
    """A service that was pushed to a registry and pulled by a node.

    `layers_added` is how many layers its image has on top of the base that the lab was given.
    """

    image: Image
    pushed: Pushed
    pull: Pull
    layers_added: int

    @property
    def package_layers(self) -> tuple[str, ...]:
        """The digests of the layers between the base and the last one, which is the service."""
        layers = self.pushed.layers
        return tuple(blob.digest for blob in layers[len(layers) - self.layers_added : -1])

    @property
    def package_bytes(self) -> int:
        """The bytes of these layers that the registry has sent to the node."""
        return sum(
            blob.transfer_bytes for blob in self.pull.blobs if blob.digest in self.package_layers
        )


def ship(lab: Lab, registry: Registry, images: Iterable[Image]) -> list[Shipped]:
    """Push images in turn and have one node that has nothing pull them in the same order.

    `images` may be a generator that builds them: while an image is pulled, the next one is pushed,
    and the one after it is built in this thread.

    Raises:
        ContainerError: an image was not pushed, or not pulled.
        CouldNotMeasure: the node may not unpack, or the registry's log does not tell.
    """
    with (
        lab.node(registry) as node,
        ThreadPoolExecutor(1) as pushing,
        ThreadPoolExecutor(1) as pulling,
    ):

        def pull(image: Image, pushed: Future[Pushed]) -> Shipped:
            return Shipped(image, pushed.result(), node.pull(pushed.result()), image.layers_added)

        shipped = []
        for number, image in enumerate(images, start=1):
            pushed = pushing.submit(registry.push, image, f"service-{number}:1")
            shipped.append(pulling.submit(pull, image, pushed))
        return [service.result() for service in shipped]


def figures(services: Sequence[Shipped]) -> dict[str, Any]:
    """Return what a node has downloaded for the services, in bytes, and what it has after each."""
    served = [service.pull.served_bytes for service in services]
    return {
        "first_bytes": served[0],
        "first_package_bytes": services[0].package_bytes,
        "later_bytes": sum(served[1:]),
        "served_bytes": sum(served),
        "package_bytes": sum(service.package_bytes for service in services),
        "package_layers": len({service.package_layers for service in services}),
        DOWNLOADED_AFTER: [sum(served[:number]) for number in range(1, len(served) + 1)],
    }
