"""Manifests are read, checked, and known by the images that they name."""

from pathlib import Path

import kubernetes_validate
import pytest
from manifest_files import MANIFEST_FILES
from proving import exercises, kube, manifests
from proving.errors import ProvingError

OLDEST, NEWEST = "1.25", "1.37"
"""The schemas that the validator has: of the oldest it knows, and of a new Kubernetes."""

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  initContainers:
    - name: first
      image: localhost/apps/greeter:1
  containers:
    - name: web
      image: localhost/k2/good:1
    - name: helper
      image: localhost/k2/good:1
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports: [{port: 80}]
"""


def written(folder: Path, text: str) -> Path:
    """Write a manifest."""
    file = folder / "good.yaml"
    file.write_text(text)
    return file


def test_a_manifest_has_its_objects_and_images(tmp_path):
    """An image that two containers name is told once; a Service has none."""
    found = manifests.read(written(tmp_path, POD))

    assert ["Pod", "Service"] == [one["kind"] for one in found.documents]
    assert ("localhost/apps/greeter:1", "localhost/k2/good:1") == found.images
    assert "web" == found.one("Service")["metadata"]["name"]


def test_an_object_that_is_not_there_is_told(tmp_path):
    """The sentence names the file and the kind."""
    found = manifests.read(written(tmp_path, POD))

    with pytest.raises(ProvingError, match=r"good\.yaml has no Deployment shop\."):
        found.one("Deployment", "shop")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: [", "line 1 is not YAML"),
        ("kind: Pod\n", "document 1: an object needs apiVersion, kind and metadata"),
        ("apiVersion: v1\nkind: Pod\n", r"the Pod needs a metadata\.name"),
        ("- a list\n", "document 1"),
    ],
)
def test_what_is_no_manifest_is_told(tmp_path, text, told):
    """The sentence tells the place."""
    with pytest.raises(ProvingError, match=told):
        manifests.read(written(tmp_path, text))


def test_a_missing_manifest_is_told(tmp_path):
    """The file is named."""
    with pytest.raises(ProvingError, match=r"There is no manifest .*none\.yaml"):
        manifests.read(tmp_path / "none.yaml")


def test_an_image_is_named_after_its_folder(tmp_path):
    """Folders of claims have capitals, names of images have none."""
    folder = tmp_path / "K2" / "good"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").touch()

    found = manifests.dockerfile_of("localhost/k2/good:1", tmp_path)

    assert Path("K2/good/Dockerfile") == found
    assert "localhost/k2/good:1" == manifests.named(found)


@pytest.mark.parametrize("image", ["nginx:1", "localhost/k2/good:2", "localhost/k9/good:1"])
def test_a_strange_image_is_refused(tmp_path, image):
    """The sentence tells how images of ours are named."""
    with pytest.raises(ProvingError, match="localhost/k2/good:1"):
        manifests.dockerfile_of(image, tmp_path)


def test_images_get_the_names_of_a_cluster(tmp_path):
    """Only those that the cluster has under other names change, and the manifest itself stays."""
    found = manifests.read(written(tmp_path, POD))
    names = {"localhost/k2/good:1": "registry.example/k2/good:1"}

    renamed = list(manifests.with_images(found.documents, names))

    spec = renamed[0]["spec"]
    assert ["registry.example/k2/good:1"] * 2 == [one["image"] for one in spec["containers"]]
    assert "localhost/apps/greeter:1" == spec["initContainers"][0]["image"]
    assert "localhost/k2/good:1" in found.images


@pytest.mark.parametrize("file", MANIFEST_FILES, ids=lambda file: "/".join(file.parts[-3:]))
class TestOurs:
    """Every manifest of the labs and exercises."""

    @pytest.mark.parametrize("version", [OLDEST, NEWEST])
    def test_it_is_valid(self, file, version):
        """By Kubernetes' own schemas, with nothing that these do not know."""
        for document in manifests.read(file).documents:
            kubernetes_validate.validate(dict(document), version, strict=True)

    def test_its_images_are_ours(self, file):
        """Each image is that of a Dockerfile here, or beside the manifest of an exercise."""
        for image in manifests.read(file).images:
            if image == exercises.IMAGE:
                assert (file.parent / "Dockerfile").is_file()
            else:
                manifests.dockerfile_of(image)

    def test_old_and_new_servers_know_its_kinds(self, file):
        """And no object names a namespace, since each run has its own."""
        for document in manifests.read(file).documents:
            kube.resource(document)
            assert "namespace" not in document["metadata"]
