"""Images with a kit's packages: which of them are this checkout's to remove."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from proving.kit import debian, manifest, sources
from proving.kit.manifest import Entry, KitError, Manifest

OTHER = "proving-kit-0"


def image(tag: str, of: str) -> Any:
    """Return an image of the engine's, and which checkout has filled it."""
    return SimpleNamespace(tags=[f"{debian.REPOSITORY}:{tag}"], labels={debian.OF_LABEL: of})


def cache(tag: str, of: str) -> Any:
    """Return a container that serves an image, and which checkout has started it."""
    told = {"Config": {"Image": f"{debian.REPOSITORY}:{tag}"}}
    return SimpleNamespace(attrs=told, labels={debian.LABEL: of})


@pytest.fixture
def client() -> Any:
    """Have an engine with images of this checkout and of another one, and caches of both."""
    own = debian.name()
    images = [image("ours", own), image("theirs", OTHER), image("taken", OTHER)]
    images += [image("shared", own), image("served", own)]
    caches = [cache("shared", OTHER), cache("served", own), cache("theirs", OTHER)]
    return SimpleNamespace(
        images=SimpleNamespace(list=lambda _name: images),
        containers=SimpleNamespace(list=lambda **_: caches),
    )


def test_those_that_this_checkout_has_filled_or_taken_are_its_own(client, monkeypatch):
    """Unless another one serves its builds from it."""
    taken = Entry("images/p", 1, "0" * 64, "amd64", f"{debian.REPOSITORY}:taken", "an id")
    monkeypatch.setattr(sources, "taken", lambda: Manifest("", (taken,)))

    assert manifest.IMAGES == taken.part
    assert ["ours", "taken", "served"] == [one.partition(":")[2] for one in debian.images(client)]


def test_a_kit_that_cannot_be_read_hinders_no_clean_up(client, monkeypatch):
    """What it has named is not known then, and stays."""

    def broken() -> None:
        raise KitError("no manifest")

    monkeypatch.setattr(sources, "taken", broken)

    assert ["ours", "served"] == [one.partition(":")[2] for one in debian.images(client)]
