"""How images that are built on the engine come into a cluster, without a public registry.

Into a node that is a container of the same engine they are streamed: `docker save`, and within the
node `ctr images import`. Other clusters have a way of their own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from .engine import Engine, talking_to
from .errors import CouldNotMeasure
from .manifests import PREFIX
from .spans import span
from .system import last_lines

PUSH_TO = "PROVING_KUBE_IMAGES"
"""Names a registry, with a path perhaps, to push to, which a named cluster pulls from."""

KIND_LABEL = "io.x-k8s.kind.cluster"
"""The label of the containers that are nodes of a kind cluster; its value is the cluster's name."""

CTR = ("ctr", "--namespace=k8s.io", "images")
"""containerd's own client, in the namespace of the kubelet's images."""

_TAG = """
client="$0 $1 $2"
shift 2
while [ $# -gt 0 ]; do
  $client tag --force "$1" "$2" || exit
  shift 2
done
"""
"""For a shell of the node: give each of the images a name, all of them by one command."""


_DIGEST = re.compile(r"\bsha256:[0-9a-f]{64}\b")


class Loader(Protocol):
    """A way into a cluster. It takes references on the engine by the names that manifests have."""

    def load(self, engine: Engine, images: Mapping[str, str]) -> dict[str, str]:
        """Load images, and return the names that the cluster has for them where they differ."""

    def as_data(self) -> dict[str, Any]:
        """Return what `from_data` makes the same way of."""


@dataclass(frozen=True)
class IntoContainers:
    """Into nodes that are containers of the engine that builds, by their containerd."""

    containers: tuple[str, ...]

    def load(self, engine: Engine, images: Mapping[str, str]) -> dict[str, str]:
        """Stream the images into each node, and give them their names there.

        Raises:
            CouldNotMeasure: a node does not take them.
        """
        for container in self.containers:
            with span("load", ", ".join(images)):
                self._into(engine, container, images)
        return {}

    def _into(self, engine: Engine, container: str, images: Mapping[str, str]) -> None:
        client, environment = engine.builder.client, dict(engine.builder.environment)
        into = [client, "exec", "-i", container, *CTR]
        with tempfile.TemporaryFile() as told:
            save = subprocess.Popen(
                [client, "save", *images.values()],
                stdout=subprocess.PIPE,
                stderr=told,
                env=environment,
            )
            try:
                taken = subprocess.run(
                    [*into, "import", "-"],
                    stdin=save.stdout,
                    capture_output=True,
                    env=environment,
                    check=False,
                )
            finally:
                if save.stdout is not None:
                    save.stdout.close()
                save.wait()
            told.seek(0)
            _check(save.returncode or taken.returncode, told.read() + taken.stderr)
        pairs = [word for name, one in images.items() for word in (f"docker.io/{one}", name)]
        tag = [client, "exec", container, "sh", "-c", _TAG, *CTR, *pairs]
        tagged = subprocess.run(tag, capture_output=True, env=environment, check=False)
        _check(tagged.returncode, tagged.stderr)

    def by_digest(self, engine: Engine, name: str) -> str:
        """Give the image its name by digest in each node, as a pull by digest would.

        The digest is that of the manifest that containerd has made when it took the image in.

        Raises:
            CouldNotMeasure: a node has no such image, or not the one that the others have.
        """
        names = {self._by_digest(engine, container, name) for container in self.containers}
        if len(names) != 1:
            raise CouldNotMeasure(f"The nodes have different images by the name {name}.")
        return names.pop()

    @staticmethod
    def _by_digest(engine: Engine, container: str, name: str) -> str:
        client, environment = engine.builder.client, dict(engine.builder.environment)

        def asked(*words: str) -> str:
            command = [client, "exec", container, *CTR, *words]
            told = subprocess.run(command, capture_output=True, env=environment, check=False)
            _check(told.returncode, told.stderr)
            return told.stdout.decode()

        digest = listed_digest(asked("ls", f"name=={name}"), name)
        named = f"{repository(name)}@{digest}"
        asked("tag", "--force", name, named)
        return named

    def as_data(self) -> dict[str, Any]:
        """Return what `from_data` makes the same way of."""
        return {"by": "containers", **asdict(self)}


@dataclass(frozen=True)
class SameEngine:
    """Into a cluster whose kubelet has the engine's own images, as Docker Desktop's has."""

    def load(self, engine: Engine, images: Mapping[str, str]) -> dict[str, str]:
        """Give the images the names that manifests have."""
        with talking_to(engine):
            for name, reference in images.items():
                engine.docker.images.get(reference).tag(name)
        return {}

    def as_data(self) -> dict[str, Any]:
        """Return what `from_data` makes the same way of."""
        return {"by": "engine"}


@dataclass(frozen=True)
class ByMinikube:
    """Into a minikube cluster, by minikube's own command; `profile` is the cluster's name."""

    profile: str

    def load(self, engine: Engine, images: Mapping[str, str]) -> dict[str, str]:
        """Have minikube load the images, under the names that manifests have meanwhile.

        Raises:
            CouldNotMeasure: minikube is not here, or does not do it.
        """
        minikube = shutil.which("minikube")
        if minikube is None:
            raise CouldNotMeasure(
                "Images come into a minikube cluster by the command `minikube image load`, and "
                "there is no minikube on PATH."
            )
        SameEngine().load(engine, images)
        try:
            command = [minikube, "--profile", self.profile, "image", "load", "--daemon", *images]
            loaded = subprocess.run(
                command, capture_output=True, env=engine.environment(), check=False
            )
            _check(loaded.returncode, loaded.stderr)
        finally:
            _untag(engine, images)
        return {}

    def as_data(self) -> dict[str, Any]:
        """Return what `from_data` makes the same way of."""
        return {"by": "minikube", **asdict(self)}


@dataclass(frozen=True)
class ByRegistry:
    """By a registry of the reader's own, under names of it; what is pushed stays there."""

    prefix: str

    def load(self, engine: Engine, images: Mapping[str, str]) -> dict[str, str]:
        """Push the images, and return the names by which the cluster pulls them.

        Raises:
            CouldNotMeasure: the registry does not take them.
        """
        from .registry import push_error

        names = {name: f"{self.prefix.rstrip('/')}/{name.removeprefix(PREFIX)}" for name in images}
        SameEngine().load(engine, {names[name]: images[name] for name in images})
        try:
            with talking_to(engine):
                for name in names.values():
                    answers = engine.docker.images.push(name, stream=True, decode=True)
                    if refused := push_error(answers):
                        raise CouldNotMeasure(
                            f"{PUSH_TO} is {self.prefix}, and {name} was not pushed: {refused}."
                        )
        finally:
            _untag(engine, names.values())
        return names

    def as_data(self) -> dict[str, Any]:
        """Return what `from_data` makes the same way of."""
        return {"by": "registry", **asdict(self)}


def repository(name: str) -> str:
    """Return the name of an image without its tag; a colon before a slash is that of a port."""
    head, _, tag = name.rpartition(":")
    return head if head and "/" not in tag else name


def listed_digest(listed: str, name: str) -> str:
    """Return the digest of an image's manifest, out of what `ctr images ls` prints.

    Raises:
        CouldNotMeasure: it is not listed.
    """
    for line in listed.splitlines():
        found = _DIGEST.search(line.partition(" ")[2])
        if found and line.split(" ", 1)[0] == name:
            return found.group()
    raise CouldNotMeasure(f"The node has no image by the name {name}.")


def from_data(told: Mapping[str, Any]) -> Loader:
    """Return the way that `as_data` has told."""
    by = told["by"]
    if by == "containers":
        return IntoContainers(tuple(told["containers"]))
    if by == "minikube":
        return ByMinikube(told["profile"])
    return ByRegistry(told["prefix"]) if by == "registry" else SameEngine()


def of_named_cluster(engine: Engine, context: str) -> Loader:
    """Return how images come into a cluster that the reader names, by its context's name.

    Raises:
        CouldNotMeasure: there is no way into it; the sentence says how to give one.
    """
    if prefix := os.environ.get(PUSH_TO):
        return ByRegistry(prefix)
    if context.startswith("kind-"):
        label = f"{KIND_LABEL}={context.removeprefix('kind-')}"
        with talking_to(engine):
            nodes = engine.docker.containers.list(filters={"label": label})
        if nodes:
            return IntoContainers(tuple(str(node.id) for node in nodes))
        raise CouldNotMeasure(
            f"The cluster {context} has no node among the containers of the engine at "
            f"{engine.url}: name kind's own engine by DOCKER_HOST."
        )
    if context == "docker-desktop":
        return SameEngine()
    if context == "minikube" or shutil.which("minikube"):
        return ByMinikube(context)
    raise CouldNotMeasure(
        f"There is no way for images into the cluster {context!r}: it is neither kind's, nor "
        "minikube's, nor Docker Desktop's. Name a registry that it pulls from and that you may "
        f"push to: {PUSH_TO}=registry.example/proving-ground."
    )


def _untag(engine: Engine, names: Iterable[str]) -> None:
    from docker.errors import APIError

    with talking_to(engine):
        for name in names:
            with suppress(APIError):
                engine.docker.images.remove(name, noprune=True)


def _check(status: int, told: bytes) -> None:
    if status:
        said = last_lines(told.decode(errors="replace"), 4)
        raise CouldNotMeasure(f"The cluster does not take the images:\n{said}")
