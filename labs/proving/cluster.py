"""The Kubernetes cluster of a run: named by the reader, or K3s, or a node that is built here.

They are looked for in this order, and every result tells which one it was:

1. A cluster that `PROVING_KUBECONFIG` names, in the context that `PROVING_KUBE_CONTEXT` names or
   else the current one. Labs touch nothing there but namespaces of their own.
2. K3s in a container, where its image is on the engine or can be pulled.
3. A node of one container, whose image is built from distribution packages; see
   `labs/images/apps/kubernetes`.

`PROVING_CLUSTER` forces one of `kubeconfig`, `k3s` and `node`; with `none`, the claims that need a
cluster are left out.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import kubernetes_image, leftovers, manifests, watchdog
from .engine import LOOPBACK, Engine, point_testcontainers_at, talking_to
from .errors import (
    BaseImageError,
    ContainerError,
    CouldNotMeasure,
    NotApplicable,
    ProvingError,
)
from .images_for_cluster import IntoContainers, Loader, from_data, of_named_cluster
from .kube import Api, Namespace
from .manifests import Manifest
from .spans import span
from .system import Say, say

if TYPE_CHECKING:
    from testcontainers.community.k3s import K3SContainer

    from .container import Container

CONFIG_VARIABLE = "PROVING_KUBECONFIG"
CONTEXT_VARIABLE = "PROVING_KUBE_CONTEXT"
SOURCE_VARIABLE = "PROVING_CLUSTER"
RUN_VARIABLE = "PROVING_CLUSTER_RUN"
"""Names the file by which the labs of one run join the cluster that their runner has."""

NAMED, K3S, NODE, NONE = "kubeconfig", "k3s", "node", "none"

K3S_IMAGE = "rancher/k3s:v1.33.5-k3s1"

API_PORT = 6443
READY_SECONDS = 240.0
"""How long a node is given to its `NODE READY`; it takes about ten seconds on a machine at rest."""

CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE")
"""What the node's container has besides an engine's usual capabilities (capabilities(7)).

It mounts, and makes control groups: SYS_ADMIN. It sets up its pods' network: NET_ADMIN. To run a
command in a container of another user's it enters that one's namespaces: SYS_PTRACE.
"""

SECURITY = ("seccomp=unconfined", "apparmor=unconfined")
"""The engine's profile would have the node Ready, and no pod start on it."""

_KUBECONFIG = "/etc/kubernetes/admin.conf"


@dataclass
class Cluster:
    """A cluster that answers; `found` says which one, in words, and `version` which Kubernetes."""

    engine: Engine
    kubeconfig: Mapping[str, Any]
    context: str | None
    found: str
    version: str
    loader: Loader

    def __post_init__(self) -> None:
        self.api = Api.of(self.kubeconfig, self.context)
        self._loaded: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def __str__(self) -> str:
        return f"Kubernetes {self.version} · {self.found}"

    def namespace(self, run: str) -> Namespace:
        """Return a namespace for a run, to be made by `with`."""
        return Namespace(self.api, run, self._documents)

    def _documents(self, manifest: Manifest) -> Sequence[Mapping[str, Any]]:
        return list(manifests.with_images(manifest.documents, self._names))

    def load(self, images: Mapping[str, str]) -> None:
        """Load images, references on the engine by the names that manifests have; each once.

        Raises:
            CouldNotMeasure: the cluster does not take them.
        """
        new = {name: image for name, image in images.items() if self._loaded.get(name) != image}
        if new:
            self._names.update(self.loader.load(self.engine, new))
            self._loaded.update(new)

    def by_digest(self, name: str) -> str:
        """Return the name by digest that the cluster has for a loaded image, which never moves.

        Raises:
            NotApplicable: images that are loaded have no digest there.
            CouldNotMeasure: the cluster does not give it one.
        """
        if not isinstance(self.loader, IntoContainers):
            raise NotApplicable(
                "Into this cluster images come by their tags alone. The claim needs nodes that are "
                "containers of the engine, as ours, K3s' and kind's are."
            )
        return self.loader.by_digest(self.engine, name)

    def as_data(self) -> dict[str, str]:
        """Return what a result tells of the cluster."""
        return {"kubernetes": self.version, "found": self.found}

    def to_join(self) -> dict[str, Any]:
        """Return what the labs of this run need to join."""
        return {
            "kubeconfig": self.kubeconfig,
            "context": self.context,
            "found": self.found,
            "version": self.version,
            "loader": self.loader.as_data(),
        }


def source() -> str:
    """Return the source that `PROVING_CLUSTER` forces; empty where it forces none.

    Raises:
        ProvingError: it says something else.
    """
    forced = os.environ.get(SOURCE_VARIABLE, "")
    if forced not in ("", "auto", NAMED, K3S, NODE, NONE):
        raise ProvingError(
            f"{SOURCE_VARIABLE} is {forced!r}; set it to {NAMED}, {K3S}, {NODE} or {NONE}, "
            "or leave it unset."
        )
    return "" if forced == "auto" else forced


def is_left_out() -> bool:
    """Tell whether claims that need a cluster are left out of a run."""
    return source() == NONE


def prepare(engine: Engine, tell: Say = say) -> None:
    """Have the node's image on the engine, where a run would start a node of ours.

    Raises:
        CouldNotMeasure: it does not build.
        BaseImageError: its base cannot be had.
    """
    others = source() in (NAMED, K3S, NONE) or os.environ.get(CONFIG_VARIABLE)
    if not others and engine.description.cgroup != "v2":
        tell(f"The cluster's node: {kubernetes_image.ready(engine)}.")


def find(engine: Engine, run: str, tell: Say = say) -> Cluster:
    """Return the cluster of a run: joined, or named, or started in a container that it labels.

    Raises:
        CouldNotMeasure: there is none; the sentence says what is missing, and how to get it.
        ProvingError: an environment variable names what is not there.
    """
    if joined := os.environ.get(RUN_VARIABLE):
        return join(engine, Path(joined))
    forced = source()
    if forced == NONE:
        raise CouldNotMeasure(f"{SOURCE_VARIABLE} is {NONE}: there is no cluster for this claim.")
    if forced == NAMED or (not forced and os.environ.get(CONFIG_VARIABLE)):
        return named(engine)
    why = ""
    if forced in ("", K3S):
        try:
            return k3s(engine, run, tell)
        except CouldNotMeasure as error:
            if forced:
                raise
            why = str(error)
    try:
        return node(engine, run, tell)
    except (ContainerError, BaseImageError) as error:
        raise CouldNotMeasure(
            f"There is no cluster here. {why} A node was not started: {error}\n{_cure()}"
        ) from error


def _cure() -> str:
    return (
        f"Name a cluster of your own, of kind, minikube or Docker Desktop for example: "
        f"{CONFIG_VARIABLE}=~/.kube/config."
    )


def join(engine: Engine, file: Path) -> Cluster:
    """Return the cluster of the runner that has written this file.

    Raises:
        CouldNotMeasure: the runner has none, or is gone.
    """
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CouldNotMeasure(
            f"The run that {RUN_VARIABLE} tells of is over. Unset it to have another cluster."
        ) from error
    if missing := told.get("missing"):
        raise CouldNotMeasure(str(missing))
    return Cluster(engine, **{**told, "loader": from_data(told["loader"])})


def named(engine: Engine) -> Cluster:
    """Return the cluster that `PROVING_KUBECONFIG` names.

    Raises:
        ProvingError: it is no kubeconfig, or has no such context.
        CouldNotMeasure: the cluster does not answer, or does not let the labs do their work.
    """
    api, kubeconfig, context = _named_api()
    version = api.version()
    if missing := api.missing_rights():
        raise CouldNotMeasure(
            f"In the cluster that {CONFIG_VARIABLE} names you may not {', '.join(missing)}. The "
            "labs make namespaces of their own and touch nothing else; ask for these rights, or "
            f"unset {CONFIG_VARIABLE} to have a cluster started."
        )
    current = context or str(kubeconfig.get("current-context") or "")
    loader = of_named_cluster(engine, current)
    found = f"a cluster of the reader's own, {current}"
    return Cluster(engine, kubeconfig, context, found, version, loader)


def _named_api() -> tuple[Api, dict[str, Any], str | None]:
    import yaml

    file = Path(os.environ.get(CONFIG_VARIABLE) or "~/.kube/config").expanduser()
    context = os.environ.get(CONTEXT_VARIABLE) or None
    try:
        kubeconfig = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ProvingError(
            f"{CONFIG_VARIABLE} names {file}, which cannot be read: {error}. "
            "Name a kubeconfig, such as ~/.kube/config, or unset it to have a cluster started."
        ) from error
    if not isinstance(kubeconfig, dict):
        raise ProvingError(f"{CONFIG_VARIABLE} names {file}, which is no kubeconfig.")
    return Api.of(kubeconfig, context), kubeconfig, context


def k3s(engine: Engine, run: str, tell: Say = say) -> Cluster:
    """Start K3s in a container of this run, and return it.

    Raises:
        CouldNotMeasure: its image is not to be had, or it does not start.
    """
    from .bases import pull

    if refused := pull(engine, K3S_IMAGE, tell):
        raise CouldNotMeasure(f"{K3S_IMAGE} is not to be had: {refused.rstrip('.')}.")
    with span("cluster", "k3s"):
        container = _k3s_container(engine, run)
        try:
            container.start()
            kubeconfig = _k3s_config(container)
        except Exception as error:  # it may end in many ways: its own, requests', the engine's
            with suppress(Exception):
                container.stop()
            raise CouldNotMeasure(f"K3s did not start: {error}") from error
    port = container.get_docker_client().port(container.get_container_id(), API_PORT)
    _served_at(kubeconfig, f"{engine.host}:{port}")
    found = f"K3s in a container, {K3S_IMAGE}"
    return _ours(engine, kubeconfig, found, str(container.get_container_id()))


def _k3s_container(engine: Engine, run: str) -> K3SContainer:
    from testcontainers.community.k3s import K3SContainer

    point_testcontainers_at(engine)
    container = K3SContainer(K3S_IMAGE, enable_cgroup_mount=False)
    published: dict[str, Any] = {f"{API_PORT}/tcp": (engine.published_on, None)}
    container.ports.update(published)
    container.with_command(
        f"server --disable traefik,metrics-server,servicelb --tls-san={engine.host}"
    )
    container.with_kwargs(privileged=True, labels=leftovers.label(run))
    return container


def _k3s_config(container: K3SContainer) -> dict[str, Any]:
    import yaml

    config: dict[str, Any] = yaml.safe_load(container.config_yaml())
    return config


def node(engine: Engine, run: str, tell: Say = say) -> Cluster:
    """Start a node of ours in a container of this run, and return it as a cluster.

    Raises:
        CouldNotMeasure: the machine cannot run it, or its image is not to be had.
        ContainerError: it does not start; its last lines are quoted.
    """
    if engine.description.cgroup == "v2":
        raise CouldNotMeasure(
            "The node that is built here is Kubernetes 1.20, which was only ever tried with "
            f"control groups of version 1, and this engine has version 2. {_cure()}"
        )
    image = kubernetes_image.ready(engine)
    tell("Starting a Kubernetes node in a container …")
    with span("cluster", "node"):
        container = node_container(engine, image, run).start()
        kubeconfig = node_config(container)
    found = "a node of one container, built from distribution packages"
    return _ours(engine, kubeconfig, found, str(container.get_container_id()))


def node_container(engine: Engine, image: str, run: str) -> Container:
    """Return a node's container, to be started."""
    from .container import Container

    also = "" if engine.host == LOOPBACK else engine.host
    container = Container(
        engine,
        image,
        helper_image=image,
        labels=leftovers.label(run),
        environment={"NODE_ALSO": also},
        ports=(API_PORT,),
        ready="NODE READY",
        ready_seconds=READY_SECONDS,
        options={
            "cap_add": list(CAPABILITIES),
            "security_opt": list(SECURITY),
            "cgroupns": "private",
        },
        called="kubernetes",
    )
    container.with_tmpfs_mount("/run", "mode=755")
    return container


def node_config(container: Container) -> dict[str, Any]:
    """Return the administrator's kubeconfig of a node that runs, as it is reached from here."""
    with talking_to(container.engine):
        chunks, _ = container.get_wrapped_container().get_archive(_KUBECONFIG)
        archive = io.BytesIO(b"".join(chunks))
    with tarfile.open(fileobj=archive) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        assert file is not None  # noqa: S101 - it is a regular file
        kubeconfig: dict[str, Any] = json.load(file)
    _served_at(kubeconfig, container.address(API_PORT))
    return kubeconfig


def _served_at(kubeconfig: Mapping[str, Any], address: str) -> None:
    for one in kubeconfig["clusters"]:
        one["cluster"]["server"] = f"https://{address}"


def _ours(engine: Engine, kubeconfig: Mapping[str, Any], found: str, container: str) -> Cluster:
    version = Api.of(kubeconfig).version()
    loader = IntoContainers((container,))
    return Cluster(engine, kubeconfig, None, found, version, loader)


def remove_left(engine: Callable[[], Engine], run: str | None = None) -> int:
    """Delete the namespaces that a run, or every run, has left in a cluster that goes on.

    That is the one of this run's runner, or the one that the reader names. Returns how many.
    """
    with suppress(ProvingError):
        if joined := os.environ.get(RUN_VARIABLE):
            return join(engine(), Path(joined)).api.remove_namespaces(run)
        if os.environ.get(CONFIG_VARIABLE):
            return _named_api()[0].remove_namespaces(run)
    return 0


@contextmanager
def for_run(engine: Callable[[], Engine], is_needed: bool, tell: Say = say) -> Iterator[None]:
    """Have one cluster for all labs of a run, and none afterwards.

    Where there is none, the labs that need one are told why, and the others run.
    """
    if not is_needed or os.environ.get(RUN_VARIABLE) or is_left_out():
        yield
        return
    found, run = engine(), uuid.uuid4().hex[:12]
    awake = watchdog.start(found, run)
    with tempfile.TemporaryDirectory(prefix="proving-") as folder:  # by mode 700: it has keys
        file = Path(folder, "cluster.json")
        try:
            cluster = None
            try:
                cluster = find(found, run, tell)
                tell(f"Cluster: {cluster}.")
                told = cluster.to_join()
            except CouldNotMeasure as error:
                tell(str(error))
                told = {"missing": str(error)}
            file.write_text(json.dumps(told), encoding="utf-8")
            os.environ[RUN_VARIABLE] = str(file)
            yield
        finally:
            os.environ.pop(RUN_VARIABLE, None)
            with suppress(Exception):  # an engine that is gone holds nothing of ours
                leftovers.remove(found.docker, run)
            awake.dismiss()
