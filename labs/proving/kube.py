"""What labs say to a cluster: namespaces of their own, in which manifests are applied and watched.

Objects are what `kubectl get -o json` prints: mappings with the manuals' own names
(https://kubernetes.io/docs/reference/kubernetes-api/). Only `v1`, `apps/v1` and `batch/v1` are
spoken, which old and new servers have alike.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .errors import CouldNotMeasure, ProvingError
from .spans import span

if TYPE_CHECKING:
    from .container import Process
    from .manifests import Manifest

Object = Mapping[str, Any]
Objects = list[Object]
Found = TypeVar("Found")

RUN_LABEL = "proving-ground.run"
"""The label of our namespaces; its value is the run's name."""

ANSWER_SECONDS = 30.0
"""How long an answer of the API server is waited for."""

POLL_SECONDS = 0.25
READY_SECONDS = 90.0

_TOO_EARLY = "No API token found for service account"
"""By what a server before 1.24 refuses the first pods of a namespace for a moment."""

_LISTS = "for stat in /proc/[0-9]*/stat"
"""What the command of the shell has that lists processes."""

_PATHS = {
    "namespaces": "/api/v1/namespaces",
    "nodes": "/api/v1/nodes",
    "pods": "/api/v1/namespaces/{namespace}/pods",
    "services": "/api/v1/namespaces/{namespace}/services",
    "configmaps": "/api/v1/namespaces/{namespace}/configmaps",
    "secrets": "/api/v1/namespaces/{namespace}/secrets",
    "endpoints": "/api/v1/namespaces/{namespace}/endpoints",
    "events": "/api/v1/namespaces/{namespace}/events",
    "serviceaccounts": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "deployments": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "replicasets": "/apis/apps/v1/namespaces/{namespace}/replicasets",
    "jobs": "/apis/batch/v1/namespaces/{namespace}/jobs",
}

RESOURCES = {
    ("v1", "Pod"): "pods",
    ("v1", "Service"): "services",
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Secret"): "secrets",
    ("apps/v1", "Deployment"): "deployments",
    ("batch/v1", "Job"): "jobs",
}
"""The kinds that manifests may have, and the resources that the API has them under."""

RIGHTS = (
    ("", "namespaces", ("create", "delete")),
    ("", "pods", ("create", "list", "watch", "patch", "delete")),
    ("", "pods/exec", ("create",)),
    ("", "pods/log", ("get",)),
    ("", "services", ("create",)),
    ("", "configmaps", ("create", "patch", "list")),
    ("", "secrets", ("create", "list")),
    ("", "endpoints", ("get",)),
    ("batch", "jobs", ("create", "list")),
    ("apps", "replicasets", ("list",)),
    ("apps", "deployments", ("create", "patch", "list")),
)
"""What labs do in a cluster: the API group, the resource, and the verbs."""


class NotFound(ProvingError):
    """The cluster has no such object."""


class Refused(ProvingError):
    """The cluster refuses: `status` is that of HTTP, the sentence is its own."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class NotStarted(CouldNotMeasure):
    """A command was not even started in a container; `told` is what the node's runtime says."""

    def __init__(self, sentence: str, told: str) -> None:
        super().__init__(sentence)
        self.told = told


@dataclass(frozen=True)
class Executed:
    """What came of a command in a container: its exit status, and what it has written."""

    status: int
    output: str
    errors: str


class Api:
    """An API server, spoken to with the official client.

    `configuration` is a `kubernetes.client.Configuration`.
    """

    def __init__(self, configuration: Any) -> None:
        from kubernetes.client import ApiClient

        self._configuration = configuration
        self._client = ApiClient(configuration)

    @classmethod
    def of(cls, kubeconfig: Mapping[str, Any], context: str | None = None) -> Api:
        """Return the API server that a kubeconfig's current context names, or another context.

        Raises:
            ProvingError: the kubeconfig has no such context, or is not one.
        """
        from kubernetes.client import Configuration
        from kubernetes.config import ConfigException, load_kube_config_from_dict

        configuration = Configuration()
        try:
            load_kube_config_from_dict(
                dict(kubeconfig), context=context, client_configuration=configuration
            )
        except (ConfigException, KeyError, TypeError) as error:
            raise ProvingError(f"The kubeconfig names no cluster: {error}.") from error
        configuration.retries = False
        return cls(configuration)

    def close(self) -> None:
        """Let the connections go."""
        self._client.rest_client.pool_manager.clear()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """Return the answer to a request, as an object where it is JSON, or else as text.

        Raises:
            NotFound: there is no such object.
            Refused: the API server does not do it; the sentence is its own.
            CouldNotMeasure: it does not answer.
        """
        return _parsed(self.read(method, path, body, query=query, content_type=content_type))

    def read(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> str:
        """Return the answer to a request as the text that came; raises what `ask` does."""
        with self._answering():
            answer = self._asked(
                method,
                path,
                body,
                query=query or {},
                seconds=ANSWER_SECONDS,
                content_type=content_type,
            )
            text = bytes(answer.read() or b"").decode(errors="replace")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(answer.status, _parsed(text), method, path)
        return text

    def _asked(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str],
        seconds: float,
        content_type: str = "application/json",
    ) -> Any:
        """Send a request, and return its answer, of which only the head has been read."""
        headers = {"Accept": "application/json, */*", "Content-Type": content_type}
        prepared = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        return self._client.call_api(*prepared, _request_timeout=seconds)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        import urllib3

        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise CouldNotMeasure(
                f"The cluster's API server at {self._configuration.host} does not answer: {error}"
            ) from error

    def watch(self, path: str, query: Mapping[str, str], seconds: float) -> Iterator[Object]:
        """Yield what happens to objects, as it happens, for so many seconds at most.

        Each event has a `type`, such as `MODIFIED` or `DELETED`, and the `object` as it was then
        (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).

        Raises:
            Refused: the API server does not do it.
            CouldNotMeasure: it does not answer any more.
        """
        asked = {**query, "watch": "true", "timeoutSeconds": f"{seconds:.0f}"}
        with self._answering():
            answer = self._asked("GET", path, query=asked, seconds=seconds + 10)
            if answer.status >= HTTPStatus.BAD_REQUEST:
                told = _parsed(bytes(answer.read() or b"").decode(errors="replace"))
                raise _refusal(answer.status, told, "GET", path)
            try:
                for event in _lines(answer.response.stream()):
                    if event["type"] == "ERROR":
                        raise _refusal(event["object"].get("code", 0), event["object"], "GET", path)
                    yield event
            finally:
                answer.response.close()

    def version(self) -> str:
        """Return the API server's version, such as `1.20.2`."""
        return str(self.ask("GET", "/version")["gitVersion"]).removeprefix("v")

    def missing_rights(self) -> list[str]:
        """Return what the labs need and may not do here, each as `create deployments`."""
        return [
            f"{verb} {resource}"
            for group, resource, verbs in RIGHTS
            for verb in verbs
            if not self._may(verb, group, resource)
        ]

    def _may(self, verb: str, group: str, resource: str) -> bool:
        name, _, part = resource.partition("/")
        attributes = {"verb": verb, "group": group, "resource": name, "subresource": part}
        review = self.ask(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            },
        )
        return bool(review["status"]["allowed"])

    def remove_namespaces(self, run: str | None = None) -> int:
        """Delete the namespaces of one run, or of every run; return how many there were."""
        selector = f"{RUN_LABEL}={run}" if run else RUN_LABEL
        found = self.ask("GET", _PATHS["namespaces"], query={"labelSelector": selector})["items"]
        for one in found:
            with suppress(NotFound, Refused):
                self.ask("DELETE", f"{_PATHS['namespaces']}/{one['metadata']['name']}")
        return len(found)

    def execute(self, namespace: str, pod: str, command: Sequence[str], container: str) -> Executed:
        """Run a command in a container and wait for its end; see `Namespace.exec`."""
        from kubernetes.client import ApiClient, CoreV1Api
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import stream
        from kubernetes.stream.ws_client import ERROR_CHANNEL

        # a client of its own: `stream` exchanges a method of it meanwhile
        client = ApiClient(self._configuration)
        try:
            channel = stream(
                CoreV1Api(client).connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=list(command),
                stdout=True,
                stderr=True,
                stdin=False,
                tty=False,
                _preload_content=False,
                **({"container": container} if container else {}),
            )
            channel.run_forever(timeout=ANSWER_SECONDS * 4)
            output, errors = channel.read_stdout(timeout=0), channel.read_stderr(timeout=0)
            told = channel.read_channel(ERROR_CHANNEL, timeout=0)
            channel.close()
        except (ApiException, OSError) as error:
            reason = str(getattr(error, "reason", "") or error).strip().splitlines()
            raise CouldNotMeasure(
                f"`{' '.join(command)[:60]}` was not run in the pod {pod}: "
                f"{reason[0] if reason else type(error).__name__}"
            ) from error
        status = exit_status(told, " ".join(command)[:60], pod)
        if status is None:
            raise CouldNotMeasure(f"`{' '.join(command)[:60]}` did not end in the pod {pod}.")
        return Executed(int(status), output or "", errors or "")


def exit_status(told: str, command: str, pod: str) -> int | None:
    """Return the exit status of a command out of what the last channel tells; None for nothing.

    That is a `Status` of the API: its cause `ExitCode` has the exit status of a command that ran.

    Raises:
        NotStarted: it did not run.
    """
    status = _parsed(told)
    if not isinstance(status, Mapping):
        return None
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    message = str(status.get("message") or "no reason given")
    raise NotStarted(f"`{command}` was not started in the pod {pod}: {message[:300]}", message)


def _lines(chunks: Iterable[bytes]) -> Iterator[Any]:
    """Yield the objects of a stream that has one on each line, however it is cut."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in whole if line)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refusal(status: int, told: Any, method: str, path: str) -> ProvingError:
    message = told.get("message") if isinstance(told, Mapping) else str(told).strip()
    sentence = f"The cluster answers {method} {path} with {status}: {message or 'no reason given'}"
    return NotFound(sentence) if status == HTTPStatus.NOT_FOUND else Refused(sentence, status)


class Namespace:
    """A namespace of a lab's own: made by `with`, and deleted with all that is in it.

    Its deletion is asked for at the end and not waited for.
    """

    def __init__(self, api: Api, run: str, ready: Callable[[Manifest], Sequence[Object]]) -> None:
        self.api = api
        self.name = f"proving-{uuid.uuid4().hex[:8]}"
        self._run, self._documents_of = run, ready

    def __repr__(self) -> str:
        return f"Namespace({self.name!r})"

    def __enter__(self) -> Self:
        labels = {RUN_LABEL: self._run}
        self.api.ask(
            "POST",
            _PATHS["namespaces"],
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": self.name, "labels": labels},
            },
        )
        # pods are refused until the namespace has it
        self.until(lambda: self._has("serviceaccounts", "default"), 30, "the service account")
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProvingError):
            self.api.ask("DELETE", f"{_PATHS['namespaces']}/{self.name}")

    def apply(self, manifest: Manifest | Iterable[Object]) -> None:
        """Create what a manifest describes; what exists already is patched with it.

        Raises:
            Refused: the API server does not take it; the sentence is its own.
        """
        documents = (
            self._documents_of(manifest)  # type: ignore[arg-type]
            if hasattr(manifest, "documents")
            else manifest
        )
        for document in documents:
            kind = resource(document)
            try:
                create = partial(self._is_created, kind, document)
                self.until(create, 30, "the token of the service account")
            except Refused as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise
                self.patch(kind, document["metadata"]["name"], document)

    def _is_created(self, kind: str, document: Object) -> bool:
        """Create an object, unless a server before 1.24 still has to make the account's token."""
        try:
            self.api.ask("POST", self._path(kind), document)
        except Refused as error:
            if _TOO_EARLY not in str(error):
                raise
            return False
        return True

    def get(self, kind: str, name: str) -> Object:
        """Return an object, such as `get("pods", "web")`.

        Raises:
            NotFound: there is none.
        """
        found: Object = self.api.ask("GET", self._path(kind, name))
        return found

    def list(self, kind: str, **labels: str) -> Objects:
        """Return the objects of a kind that have these labels."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        query = {"labelSelector": selector} if selector else {}
        found: Objects = self.api.ask("GET", self._path(kind), query=query)["items"]
        return found

    def patch(self, kind: str, name: str, body: Object) -> Object:
        """Change an object by a strategic merge patch, as `kubectl patch` does."""
        content = "application/strategic-merge-patch+json"
        path = self._path(kind, name)
        found: Object = self.api.ask("PATCH", path, dict(body), content_type=content)
        return found

    def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> None:
        """Delete an object; a pod gets its own grace period, unless another one is given."""
        body = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        self.api.ask("DELETE", self._path(kind, name), body or None)

    def watch(self, kind: str, found: Object, seconds: float) -> Iterator[Object]:
        """Yield what happens to an object from the version on that was found: see `Api.watch`."""
        query = {
            "fieldSelector": f"metadata.name={found['metadata']['name']}",
            "resourceVersion": str(found["metadata"]["resourceVersion"]),
        }
        yield from self.api.watch(self._path(kind), query, seconds)

    def scale(self, deployment: str, replicas: int) -> None:
        """Set a Deployment's number of replicas."""
        self.patch("deployments", deployment, {"spec": {"replicas": replicas}})

    def pods(self, app: str = "") -> Objects:
        """Return the pods with this label `app`, or all, with those that are terminating."""
        return self.list("pods", **({"app": app} if app else {}))

    def pod_of(self, app: str) -> Object:
        """Return the youngest pod with this label `app` that is not terminating.

        Raises:
            CouldNotMeasure: there is none.
        """
        alive = [pod for pod in self.pods(app) if not terminating(pod)]
        if not alive:
            raise CouldNotMeasure(f"No pod with the label app={app} is in {self.name}.")
        return max(alive, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def endpoints(self, service: str) -> tuple[str, ...]:
        """Return the addresses that a Service passes requests on to: those of its Ready pods."""
        try:
            found = self.get("endpoints", service)
        except NotFound:
            return ()
        subsets = found.get("subsets") or []
        return tuple(
            sorted(one["ip"] for subset in subsets for one in subset.get("addresses") or [])
        )

    def logs(self, pod: str, container: str = "", *, previous: bool = False) -> str:
        """Return what a container has written; with `previous`, the one before its restart."""
        query = {"container": container} if container else {}
        if previous:
            query["previous"] = "true"
        return self.api.read("GET", f"{self._path('pods', pod)}/log", query=query)

    def exec(self, pod: str, command: Sequence[str], container: str = "") -> Executed:
        """Run a command in a container of a pod, as `kubectl exec` does, and wait for its end.

        Raises:
            NotStarted: the image has no such command.
            CouldNotMeasure: it cannot be run there, or does not end.
        """
        with span("exec", command[0]):
            return self.api.execute(self.name, pod, command, container)

    def processes(self, pod: str, container: str = "") -> tuple[Process, ...]:
        """Return the processes that a container sees, by means of a shell of its image.

        Raises:
            CouldNotMeasure: the image has none, or the container does not run.
        """
        from .container import LIST_PROCESSES, parse_processes

        listed = self.exec(pod, ["sh", "-c", LIST_PROCESSES], container)
        if listed.status:
            raise CouldNotMeasure(
                f"The processes of {pod} cannot be listed: {listed.errors.strip()}"
            )
        return without_lister(parse_processes(listed.output))

    def until(self, reached: Callable[[], Found], seconds: float, what: str) -> Found:
        """Ask again and again until the answer is true, and return it.

        Raises:
            CouldNotMeasure: it was not within these seconds.
        """
        until = time.monotonic() + seconds
        with span("pods", what):
            while not (found := reached()):
                if time.monotonic() > until:
                    raise CouldNotMeasure(
                        f"In the cluster, {what} was not there within {seconds:.0f} s. "
                        f"{self._told()}"
                    )
                time.sleep(POLL_SECONDS)
        return found

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until all Deployments are rolled out and all other pods are Ready or have ended.

        Raises:
            CouldNotMeasure: they are not within these seconds; the sentence tells their states.
        """
        with span("ready", self.name):
            self.until(self._is_ready, seconds, "everything that was applied")

    def _is_ready(self) -> bool:
        if not all(rolled_out(one) for one in self.list("deployments")):
            return False
        alone = [pod for pod in self.pods() if not pod["metadata"].get("ownerReferences")]
        return all(ready(pod) or pod["status"].get("phase") == "Succeeded" for pod in alone)

    def _told(self) -> str:
        with suppress(ProvingError):
            return "Its pods: " + ("; ".join(state(pod) for pod in self.pods()) or "none") + "."
        return ""

    def _has(self, kind: str, name: str) -> bool:
        try:
            self.get(kind, name)
        except NotFound:
            return False
        return True

    def _path(self, kind: str, name: str = "") -> str:
        try:
            path = _PATHS[kind].format(namespace=self.name)
        except KeyError:
            known = ", ".join(sorted(_PATHS))
            raise ProvingError(f"There is no kind {kind!r} here; use one of {known}.") from None
        return f"{path}/{name}" if name else path


def without_lister(processes: Iterable[Process]) -> tuple[Process, ...]:
    """Leave out the shell that lists the processes, with what it starts.

    It is told by its command, not by its parent: where the containers of a pod share their
    processes, the first one of each has a parent outside, too.
    """
    listers: set[int] = set()
    others = []
    for process in processes:
        if _LISTS in process.args or process.ppid in listers:
            listers.add(process.pid)
        else:
            others.append(process)
    return tuple(others)


def resource(document: Object) -> str:
    """Return under which resource the API has a document of a manifest.

    Raises:
        ProvingError: it is of a kind that not all servers have, or that labs do not use.
    """
    kind = (str(document.get("apiVersion")), str(document.get("kind")))
    try:
        return RESOURCES[kind]
    except KeyError:
        known = ", ".join(f"{name} ({version})" for version, name in RESOURCES)
        raise ProvingError(
            f"A manifest of the labs may not have a {kind[1]} of {kind[0]}; it may have {known}."
        ) from None


def terminating(pod: Object) -> bool:
    """Whether a pod has been told to stop."""
    return "deletionTimestamp" in pod["metadata"]


def ready(pod: Object) -> bool:
    """Whether a pod takes requests: its condition `Ready`."""
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def rolled_out(deployment: Object) -> bool:
    """Whether a Deployment has come to its end, as `kubectl rollout status` understands it."""
    status, wanted = deployment["status"], deployment["spec"].get("replicas", 1)
    counts = (status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return seen and all(count == wanted for count in counts)


def container_status(pod: Object, container: str = "") -> Object:
    """Return the status of one container of a pod, the first unless one is named.

    Raises:
        CouldNotMeasure: it has none yet, or there is no such container.
    """
    for one in pod["status"].get("containerStatuses") or []:
        if container in ("", one["name"]):
            found: Object = one
            return found
    name = pod["metadata"]["name"]
    raise CouldNotMeasure(f"The pod {name} tells nothing of its container {container or 'yet'}.")


def restarts(pod: Object, container: str = "") -> int:
    """Return how often the kubelet has started a container anew."""
    return int(container_status(pod, container)["restartCount"])


def running(pod: Object, container: str = "") -> bool:
    """Whether a container runs now."""
    try:
        return "running" in container_status(pod, container)["state"]
    except CouldNotMeasure:
        return False


def image_ids(pod: Object) -> dict[str, str]:
    """Return the images that the containers of a pod run, by the containers' names."""
    return {one["name"]: one["imageID"] for one in pod["status"].get("containerStatuses") or []}


def state(pod: Object) -> str:
    """Return a pod's state in words: its phase, and what its containers wait for or ended with."""
    told = [str(pod["status"].get("phase", "unknown"))]
    for one in pod["status"].get("containerStatuses") or []:
        for kind in ("waiting", "terminated"):
            if reason := one["state"].get(kind, {}).get("reason"):
                message = str(one["state"][kind].get("message") or "")[:160]
                told.append(f"{one['name']} {kind}, {reason}{': ' if message else ''}{message}")
        if one["restartCount"]:
            told.append(f"{one['name']} restarted {one['restartCount']} times")
    return f"{pod['metadata']['name']} ({', '.join(told)})"
