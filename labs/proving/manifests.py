"""The manifests of labs: files that `kubectl apply -f` takes as they are.

An image of ours is named after its folder in `labs/images`, in lower case, such as
`localhost/k2/bad:1`; no registry is ever asked for it, since it is loaded into the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .claims import IMAGES
from .errors import ProvingError
from .paths import LABS

MANIFESTS = LABS / "manifests"

PREFIX, TAG = "localhost/", ":1"
"""What the names of our images begin and end with: the tag is not `latest`, so none is pulled."""

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Manifest:
    """A manifest: its file, and the objects that it describes, in their order."""

    file: Path
    documents: tuple[Document, ...]

    @property
    def images(self) -> tuple[str, ...]:
        """The images that its containers name, each once."""
        return tuple(dict.fromkeys(name for one in self.documents for name in _images(one)))

    def one(self, kind: str, name: str = "") -> Document:
        """Return the object of a kind such as `Deployment`, by its name where there are several.

        Raises:
            ProvingError: there is none.
        """
        for document in self.documents:
            if document["kind"] == kind and name in ("", document["metadata"]["name"]):
                return document
        raise ProvingError(f"{self.file.name} has no {kind} {name}".rstrip() + ".")


def read(file: Path) -> Manifest:
    """Read a manifest.

    Raises:
        ProvingError: there is no such file, or it is no manifest; the sentence tells the place.
    """
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        documents = tuple(one for one in yaml.safe_load_all(text) if one is not None)
    except OSError as error:
        raise ProvingError(f"There is no manifest {file}: {error.strerror}.") from error
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        told = getattr(error, "problem", None) or error
        raise ProvingError(f"{file.name}{where} is not YAML: {told}.") from error
    for number, document in enumerate(documents, 1):
        _check(file, number, document)
    return Manifest(file, documents)


def _check(file: Path, number: int, document: object) -> None:
    if not isinstance(document, Mapping) or not {"apiVersion", "kind"} <= set(document):
        raise ProvingError(
            f"{file.name}, document {number}: an object needs apiVersion, kind and metadata."
        )
    if not isinstance(document.get("metadata"), Mapping) or "name" not in document["metadata"]:
        raise ProvingError(
            f"{file.name}, document {number}: the {document['kind']} needs a metadata.name."
        )


def pod_spec(document: Document) -> Document:
    """Return the pod that an object describes or makes pods of; empty where it has none."""
    spec: Document = document.get("spec") or {}
    if document["kind"] == "Pod":
        return spec
    return ((spec.get("template") or {}).get("spec")) or {}


def _images(document: Document) -> Iterator[str]:
    spec = pod_spec(document)
    for kind in ("initContainers", "containers"):
        yield from (one["image"] for one in spec.get(kind) or [] if "image" in one)


def named(dockerfile: Path) -> str:
    """Return the name of the image of a Dockerfile within `labs/images`."""
    return f"{PREFIX}{dockerfile.parent.as_posix().lower()}{TAG}"


def dockerfile_of(image: str, images: Path = IMAGES) -> Path:
    """Return the Dockerfile of an image by its name, as a path within the folder of images.

    Raises:
        ProvingError: it is no image of ours; the sentence tells how those are named.
    """
    if image.startswith(PREFIX) and image.endswith(TAG):
        for file in sorted(images.rglob("Dockerfile")):
            if named(file.relative_to(images)) == image:
                return file.relative_to(images)
    raise ProvingError(
        f"No folder of {images.name} is called by the image {image!r}. The image of "
        f"labs/images/K2/good/Dockerfile is {named(Path('K2/good/Dockerfile'))!r}."
    )


def with_images(documents: Iterable[Document], names: Mapping[str, str]) -> Iterator[Document]:
    """Return the objects with other names of images, where a cluster has them under others."""
    for document in documents:
        yield _renamed(document, names) if names else document


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: names.get(one, one)
            if key == "image" and isinstance(one, str)
            else _renamed(one, names)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    return value


def filled(manifest: Manifest, words: Mapping[str, str]) -> Manifest:
    """Return a manifest with other texts where it has these words as a whole value."""
    return replace(manifest, documents=tuple(_filled(one, words) for one in manifest.documents))


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(one, words) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, words) for one in value]
    return words.get(value, value) if isinstance(value, str) else value
