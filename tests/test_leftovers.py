"""A clean-up takes it in good part that another one removes the same things."""

from http import HTTPStatus
from types import SimpleNamespace

import pytest
import requests
from docker.errors import APIError, NotFound
from proving import leftovers


def refused(kind, status):
    """Return an engine's refusal."""
    response = requests.Response()
    response.status_code = status
    return kind("refused", response=response)


class Images:
    """An engine's images: it refuses a few times before it lists or removes them.

    Those without a name stand on one another, the first one on the second, and so on.
    """

    def __init__(self, refusals, nameless=()):
        self.refusals = refusals
        self.nameless = list(nameless)
        self.forced = []
        self.removed = []

    def images(self, *, filters, **_):
        """List one image of a run, or of those without a name the one that nothing stands on."""
        self._refuse()
        if "dangling" in filters:
            assert {"label": "proving-ground.run=r", "dangling": True} == filters
            return [{"Id": found, "RepoTags": None} for found in self.nameless[:1]]
        return [{"Id": "sha256:1", "RepoTags": ["proving-ground-run/r:a-1"]}]

    def remove(self, name, *, force):
        """Remove an image by its name."""
        self.forced.append(force)
        self._refuse()
        self.removed.append(name)
        if name in self.nameless:
            self.nameless.remove(name)

    def _refuse(self):
        if self.refusals:
            raise self.refusals.pop(0)


def client_of(images):
    """Return a client whose engine has these images and nothing else."""
    nothing = SimpleNamespace(list=lambda **_: [])
    return SimpleNamespace(
        api=images, images=images, containers=nothing, networks=nothing, volumes=nothing
    )


def test_images_are_listed_though_one_goes_meanwhile():
    """Docker 26.1 with a containerd store answers 404 then."""
    images = Images([refused(NotFound, HTTPStatus.NOT_FOUND)])

    assert 1 == leftovers.remove(client_of(images), "r")


def test_an_image_is_not_forced_away_from_a_container_that_is_going():
    """A containerd store would keep it without a name, and no clean-up would find it."""
    images = Images([])
    client = client_of(images)
    tags = leftovers._tags(client, "proving-ground-run/r")
    images.refusals = [refused(APIError, HTTPStatus.CONFLICT)] * 2

    assert ["proving-ground-run/r:a-1"] == tags
    assert leftovers._gone(leftovers._Tag(client, tags[0]))
    assert [False, False, False] == images.forced


def test_an_image_that_stays_in_use_loses_its_name(monkeypatch):
    """A container of the reader's own may hold an image of a run: the run's name goes at last."""
    monkeypatch.setattr(leftovers, "IN_USE_SECONDS", 0.2)
    images = Images([refused(APIError, HTTPStatus.CONFLICT)] * 100)

    assert not leftovers._gone(leftovers._Tag(client_of(images), "proving-ground-run/r:a-1"))
    assert images.forced[0] is False
    assert images.forced[-1] is True


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR])
def test_what_cannot_be_removed_is_no_error(status):
    """Another clean-up was faster, or the engine is in trouble: the rest is still removed."""
    images = Images([refused(APIError, status)])

    assert not leftovers._gone(leftovers._Tag(client_of(images), "proving-ground-run/r:a-1"))


def test_what_carries_a_label_goes_though_one_of_it_stays():
    """A volume only when the containers that use it are gone."""
    asked, gone = [], []

    def kind(name, *refusals):
        def remove(**_):
            if refusals:
                raise refusals[0]
            gone.append(name)

        def listed(*, filters, **_):
            asked.append((name, filters, len(gone)))
            return [SimpleNamespace(remove=remove)]

        return SimpleNamespace(list=listed)

    client = SimpleNamespace(
        containers=kind("container"),
        networks=kind("network", refused(APIError, HTTPStatus.CONFLICT)),
        volumes=kind("volume"),
    )

    assert 2 == leftovers.remove_labelled(client, "a=b")
    assert ["container", "volume"] == gone
    told = {"label": "a=b"}
    assert [("container", told, 0), ("network", told, 1), ("volume", told, 1)] == asked


def test_only_an_image_without_a_name_is_removed_by_its_id():
    """Another build may have named the same image meanwhile, or an earlier one before."""
    images = Images([])
    listed = [
        {"Id": "sha256:named", "RepoTags": ["somebody/else:1"]},
        {"Id": "sha256:nameless", "RepoTags": ["<none>:<none>"]},
        {"Id": "sha256:stranger", "RepoTags": []},
    ]
    images.images = lambda **_: listed

    assert 1 == leftovers.remove_unnamed(client_of(images), ["sha256:named", "sha256:nameless"])
    assert [False] == images.forced


def test_packages_of_other_checkouts_are_no_bases():
    """A room may have no others; only those that are named go with the bases."""
    images = Images([])
    tags = ["proving-ground/slim:1", "proving-ground/packages:theirs-1", "proving-ground/room:1"]
    images.images = lambda **_: [{"Id": "1", "RepoTags": [tag]} for tag in tags]

    assert 3 == leftovers.remove_bases(client_of(images), ["proving-ground/packages:ours-1"])
    assert [
        "proving-ground/slim:1",
        "proving-ground/room:1",
        "proving-ground/packages:ours-1",
    ] == images.removed


def test_what_the_classic_builder_leaves_is_removed_one_after_the_other():
    """Stages without a name are told by the label, and each is free when the next one is gone."""
    images = Images([], ["sha256:top", "sha256:below"])

    assert 3 == leftovers.remove(client_of(images), "r")
    assert ["proving-ground-run/r:a-1", "sha256:top", "sha256:below"] == images.removed


def test_an_image_without_a_name_that_cannot_be_removed_is_tried_once():
    """Somebody's container may stand on it."""
    images = Images([], ["sha256:top"])

    def remove(_name, *, force):
        raise refused(APIError, HTTPStatus.INTERNAL_SERVER_ERROR)

    images.remove = remove

    assert 0 == leftovers.remove_nameless(client_of(images), "r")
