"""The registry's log is read as it is, and what was pushed is told as it travels."""

from __future__ import annotations

import pytest
from proving import leftovers
from proving.errors import ContainerError, CouldNotMeasure
from proving.lab import Lab
from proving.registry import (
    Answer,
    Blob,
    blobs_sent,
    parse_answers,
    platform_digest,
    push_error,
    read_manifest,
    split,
)
from proving.server import between

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
AT = "- - [25/Nov/2026:07:01:53 +0000]"
LOG = f"""\
172.17.0.3 {AT} "GET /v2/shop/blobs/{TWO} HTTP/1.1" 200 7 "" "containerd/1.7.24~ds1"
172.17.0.1 {AT} "GET /mark/one HTTP/1.1" 404 19 "" "python-httpx/0.28.1"
172.17.0.3 {AT} "HEAD /v2/shop/manifests/1 HTTP/1.1" 200 528 "" "containerd/1.7.24~ds1"
172.17.0.3 {AT} "HEAD /v2/shop/blobs/{ONE} HTTP/1.1" 200 0 "" "containerd/1.7.24~ds1"
172.17.0.3 {AT} "GET /v2/shop/blobs/{ONE} HTTP/1.1" 200 899 "" "containerd/1.7.24~ds1"
172.17.0.1 {AT} "GET /mark/other HTTP/1.1" 404 19 "" "python-httpx/0.28.1"
172.17.0.4 {AT} "GET /v2/a/shop/blobs/{TWO} HTTP/1.1" 307 42 "" "containerd/1.7.24~ds1"
172.17.0.4 {AT} "GET /v2/a/shop/blobs/{TWO}?x=y HTTP/1.1" 206 1000 "" "containerd/1.7.24~ds1"
172.17.0.4 {AT} "GET /v2/a/shop/blobs/{ONE} HTTP/1.1" 404 91 "" "containerd/1.7.24~ds1"
172.17.0.1 {AT} "GET /mark/two HTTP/1.1" 404 19 "" "python-httpx/0.28.1"
"""


def test_answers_are_read_in_order():
    """One line of the combined log format is one answer; anything else is none."""
    answers = parse_answers("a notice\n" + LOG)

    assert 10 == len(answers)
    assert Answer("172.17.0.3", "HEAD", "/v2/shop/manifests/1", 200, 528) == answers[2]


def test_only_blobs_that_were_sent_are_counted():
    """Neither headers alone, nor a redirect, an error, or what was sent before the mark."""
    served = between(parse_answers(LOG), "one", "two")

    assert (Blob(ONE, 899), Blob(TWO, 1000)) == blobs_sent(served)
    assert (Blob(TWO, 1000),) == blobs_sent(served, "172.17.0.4")


def test_a_mark_of_another_registry_is_no_mark():
    """Without its beginning nothing can be counted."""
    with pytest.raises(CouldNotMeasure, match="take one with"):
        between(parse_answers(LOG), "unheard-of", "two")


def test_a_log_that_is_late_is_no_wrong_mark():
    """The cure is another: to measure again."""
    with pytest.raises(CouldNotMeasure, match="late"):
        between(parse_answers(LOG), "one", "unheard-of")


def test_a_manifest_names_its_blobs():
    """The configuration and the layers, as they travel."""
    content = {"config": {"digest": ONE, "size": 899}, "layers": [{"digest": TWO, "size": 7}]}
    manifest = read_manifest("sha256:m", content)

    assert Blob(ONE, 899) == manifest.config
    assert (Blob(TWO, 7),) == manifest.layers
    with pytest.raises(CouldNotMeasure, match="not an image's"):
        read_manifest("sha256:m", {"manifests": []})


def test_an_index_is_read_for_the_platform():
    """An engine with a containerd store may push one."""
    index = {
        "manifests": [
            {"digest": ONE, "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": TWO, "platform": {"os": "linux", "architecture": "arm64"}},
        ]
    }

    assert TWO == platform_digest(index, "arm64")
    with pytest.raises(CouldNotMeasure, match="linux/amd64"):
        platform_digest(index, "amd64")


@pytest.mark.parametrize(
    ("name", "expected"), [("shop:1", ("shop", "1")), ("shop", ("shop", "latest"))]
)
def test_a_name_is_a_repository_and_a_tag(name, expected):
    """As in the reference that a node gets, without the registry."""
    assert expected == split(name)


@pytest.mark.parametrize(
    "name", ["", ":1", "Shop:1", "a/shop", "localhost:5000/shop:1", "shop@sha256:0"]
)
def test_a_name_that_is_none_is_refused(name):
    """The lab does not choose the registry's address."""
    with pytest.raises(ContainerError, match="shop:1"):
        split(name)


def test_a_push_that_failed_is_told():
    """The engine answers 200 and tells the error among its progress."""
    lines = [{"status": "Pushing"}, {"errorDetail": {"message": "no route."}, "error": "no route."}]

    assert "no route" == push_error(lines)
    assert push_error(lines[:1]) is None


@pytest.mark.engine
@pytest.mark.usefixtures("nothing_left")
def test_what_two_images_share_is_one_blob(siblings):
    """Layers of the parent have the same digest in both, and no name of the push stays behind."""
    with Lab("a-test") as lab, lab.registry() as registry:
        one, two = (registry.push(lab.build(folder), f"{folder.name}:1") for folder in siblings)
        mark = registry.mark()
        served = registry.served(mark)
        names = [tag for image in lab.engine.docker.images.list() for tag in image.tags]
        with pytest.raises(ContainerError, match="not pushed"):
            registry.push("no-such-image:0", "shop:1")
        with pytest.raises(CouldNotMeasure, match="has no"):
            registry.manifest("one", "2")

    assert one.layers[:-1] == two.layers[:-1]
    assert one.layers[-1] != two.layers[-1]
    assert len(one.layers) >= 3
    assert f"@{one.manifest_digest}" in one.by_digest
    assert one.reference.endswith(f":5000/proving-ground-run/{lab.run}/one:1")
    assert () == served
    assert not [name for name in names if name.endswith(("/one:1", "/two:1"))]


@pytest.mark.engine
@pytest.mark.usefixtures("nothing_left")
def test_a_push_that_was_killed_leaves_a_name_that_the_clean_up_finds(siblings):
    """The run is part of the name, and no other run's clean-up removes it."""
    with Lab("a-test") as lab:
        image = lab.build(siblings[0]).get_wrapped_image()
        name = f"127.0.0.1:1/{leftovers.pushed_name(lab.run, 'one')}:1"
        image.tag(name)
        client = lab.engine.docker
        leftovers.remove(client, "another-run")
        before = [tag for found in client.images.list() for tag in found.tags if tag == name]
    after = [tag for found in client.images.list() for tag in found.tags if tag == name]

    assert [name] == before
    assert [] == after
