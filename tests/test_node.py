"""A pull is told by the registry; what the node says of it is read as it is."""

from __future__ import annotations

import pytest
from proving.errors import ContainerError, CouldNotMeasure
from proving.lab import Lab
from proving.node import CAPABILITIES, failure, merged, parse_pull
from proving.registry import Blob

TOLD = """\
had sha256:aa
began 1764054112.500000
ended 1764054113.750000
has sha256:aa
has sha256:bb
target sha256:bb
"""


def test_what_the_node_did_not_have_has_arrived():
    """And the seconds are those of the pull alone."""
    told = parse_pull(TOLD)

    assert (1.25, "sha256:bb", ("sha256:bb",)) == (told.seconds, told.target, told.arrived)


def test_a_pull_that_is_not_told_is_not_measured():
    """A figure is never made up."""
    with pytest.raises(CouldNotMeasure, match="target"):
        parse_pull(TOLD.replace("target", "targets"))


def test_a_blob_in_parts_is_one_blob():
    """With the bytes of all its parts."""
    assert (Blob("a", 3), Blob("b", 5)) == merged((Blob("a", 1), Blob("b", 5), Blob("a", 2)))


@pytest.mark.parametrize(
    ("told", "kind", "cure"),
    [
        ("ctr: failed to resolve reference: shop:2: not found\n", ContainerError, "push an image"),
        ("ctr: dial tcp 1.2.3.4:5000: connect: connection refused\n", ContainerError, "firewall"),
        ("ctr: mount: operation not permitted\n", CouldNotMeasure, "SYS_ADMIN"),
        ("ctr: something else\n", ContainerError, "something else"),
    ],
)
def test_a_pull_that_failed_has_a_sentence(told, kind, cure):
    """With the cure, and the last word of the node alone."""
    error = failure("host:5000/shop:2", f"had sha256:aa\ntime=now level=info\n{told}")

    assert isinstance(error, kind)
    assert cure in str(error)
    assert told.strip() in str(error)
    assert "had sha256" not in str(error)


@pytest.mark.engine
@pytest.mark.usefixtures("nothing_left")
def test_a_node_downloads_what_it_does_not_have(siblings):
    """Of a second image that shares its parent: one layer, and the configuration."""
    with Lab("a-test") as lab, lab.registry() as registry:
        one, two = (registry.push(lab.build(folder), f"{folder.name}:1") for folder in siblings)
        with lab.node(registry) as node, lab.node(registry) as other:
            host = node._container.get_wrapped_container().attrs["HostConfig"]
            first, second, again = node.pull(one), node.pull(two.reference), node.pull(one)
            fresh = other.pull(two.by_digest)
            with pytest.raises(ContainerError, match="push an image"):
                node.pull(one.reference.replace("one:1", "one:2"))
            registry.stop()
            with pytest.raises(ContainerError, match="does not run"):
                node.pull(one)

    assert set(one.blobs) == set(first.blobs)
    assert {two.config, two.layers[-1]} == set(second.blobs)
    assert () == again.blobs
    assert set(two.blobs) == set(fresh.blobs)
    assert two.transfer_bytes == fresh.served_bytes
    assert (two.layers[-1],) == second.layers
    assert (one.manifest_digest, one.config_digest) == (first.manifest_digest, first.config_digest)
    assert first.seconds > 0
    assert not host["Privileged"]
    assert {*CAPABILITIES} == {name.removeprefix("CAP_") for name in host["CapAdd"]}
