"""What the containers of a pod do for one another: the measurements of chapter 7.

Each takes a namespace in which the manifest of an arm runs, and returns the figures of that arm.
Questions are asked from within pods: by the Python of a container, which is in its image.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import kube
from .errors import CouldNotMeasure
from .pod_moments import MOMENTS

if TYPE_CHECKING:
    from .container import Process
    from .kube import Namespace

    Pod = Mapping[str, Any]

IMAGES = tuple(
    f"localhost/{name}:1"
    for name in (
        "apps/pages-python",
        "k1/writer",
        "k2/source",
        "k2/sync",
        "k2/python-with-sync",
        "k3/good",
        "k3/bad",
        "k3/ambassador",
        "k3/store",
        "k4/app",
        "k4/adapter",
        "p4/bad",
    )
)
"""The images of the chapter that add a few files to one base, and install nothing.

Loaded into a cluster together, the layers of the base travel once.
"""

START_SECONDS = 60.0
"""How long a container that runs may take to answer, or to say that it is ready."""

_GIVE_UP_SECONDS = 30.0
"""How long one question may be asked again within a pod."""

_REPLACED_SECONDS = 5.0
"""How long a controller may take to replace a pod that was deleted; it takes milliseconds."""

_ASK = """
import json, sys, time, urllib.error, urllib.request
until = time.monotonic() + float(sys.argv[1])
told = []
for url in sys.argv[2:]:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                told.append([answer.status, answer.read().decode()])
            break
        except urllib.error.HTTPError as error:
            told.append([error.code, error.read().decode()])
            break
        except OSError as error:
            if time.monotonic() > until:
                told.append([0, str(error)])
                break
        time.sleep(0.1)
print(json.dumps(told))
"""
_HAS = "import pathlib, sys; print(all(pathlib.Path(path).is_file() for path in sys.argv[1:]))"
_END_PID_1 = "import os, signal; os.kill(1, signal.SIGTERM)"
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_ACCOUNT_MOUNT = "/var/run/secrets/kubernetes.io"


@dataclass(frozen=True)
class Answer:
    """The HTTP status and the body that came; a status of 0 where nothing answered, and why."""

    status: int
    body: str


def ask(
    ns: Namespace, pod: str, container: str, *urls: str, seconds: float = 0.0
) -> tuple[Answer, ...]:
    """Ask these addresses, one after the other, from within a container that has Python.

    Where nothing answers, each is asked again for so many seconds in all.

    Raises:
        CouldNotMeasure: the question could not be asked.
    """
    return parse_answers(_python(ns, pod, container, _ASK, f"{seconds}", *urls))


def parse_answers(output: str) -> tuple[Answer, ...]:
    """Return the answers that were printed within the pod."""
    return tuple(Answer(int(status), str(body)) for status, body in json.loads(output))


def _python(ns: Namespace, pod: str, container: str, code: str, *arguments: str) -> str:
    done = ns.exec(pod, ["python", "-c", code, *arguments], container)
    if done.status:
        raise CouldNotMeasure(
            f"Python in the container {container} of the pod {pod} ended with status "
            f"{done.status}: {done.errors.strip()[-200:]}"
        )
    return str(done.output)


def name_of(pod: Pod) -> str:
    """Return a pod's name."""
    return str(pod["metadata"]["name"])


def address_of(pod: Pod) -> str:
    """Return a pod's own address in the cluster.

    Raises:
        CouldNotMeasure: it has none yet.
    """
    address = pod.get("status", {}).get("podIP")
    if not address:
        raise CouldNotMeasure(f"The pod {name_of(pod)} has no address yet.")
    return str(address)


def containers_of(pod: Pod) -> tuple[str, ...]:
    """Return the names of a pod's containers; those that only prepare it are not among them."""
    return tuple(str(container["name"]) for container in pod["spec"]["containers"])


def pod_with(pods: Iterable[Pod], container: str) -> Pod:
    """Return the first of the pods that has a container of this name.

    Raises:
        CouldNotMeasure: none has.
    """
    for pod in pods:
        if container in containers_of(pod):
            return pod
    raise CouldNotMeasure(f"No pod has a container of the name {container}.")


def shared(ns: Namespace, page: str = "/srv/pages/index.html") -> dict[str, Any]:
    """K1: tell what a web server and the writer of its page share, wherever each of them is.

    Raises:
        CouldNotMeasure: the web server does not answer at all, or the writer writes nothing.
    """
    web, writer = (pod_with(ns.pods(), name) for name in ("web", "writer"))
    place = f"http://{address_of(web)}:8080/"

    def from_writer(*urls: str, seconds: float = 0.0) -> tuple[Answer, ...]:
        return ask(ns, name_of(writer), "writer", *urls, seconds=seconds)

    written = ns.until(
        lambda: _has_file(ns, writer, "writer", page), START_SECONDS, "the writer to write its page"
    )
    (near,) = from_writer(place, seconds=_GIVE_UP_SECONDS)  # from now on the server listens
    (local,) = from_writer("http://localhost:8080/")
    return {
        "addresses": len({address_of(web), address_of(writer)}),
        "by_address": near.status != 0,
        "on_localhost": local.status != 0,
        "written": bool(written),
        "file_seen": _has_file(ns, web, "web", page),
        "served": near.status == 200 and near.body.startswith("It is"),
    }


def _has_file(ns: Namespace, pod: Pod, container: str, path: str) -> bool:
    return _python(ns, name_of(pod), container, _HAS, path).strip() == "True"


SITES = {"nginx": "site-nginx", "python": "site-python"}
"""The pods of K2, by the web server that is in each."""


def synchronised(ns: Namespace, *, bound_seconds: float) -> dict[str, Any]:
    """K2: publish a new edition at the source, and tell how many of the sites serve it.

    Raises:
        CouldNotMeasure: the source does not take it.
    """
    source = name_of(ns.pod_of("source"))
    before = served_by(ns, "first edition", bound_seconds)
    published = ns.exec(source, ["python", "/app/publish.py", "second", "edition"], "source")
    if published.status:
        raise CouldNotMeasure(f"The source takes no new edition: {published.errors.strip()}")
    began = time.monotonic()
    after = served_by(ns, "second edition", bound_seconds)
    return {"before": before, "fresh": after, "seconds": time.monotonic() - began}


def served_by(ns: Namespace, edition: str, bound_seconds: float) -> int:
    """Return how many of the sites serve an edition, once all do or the time is over."""
    source = name_of(ns.pod_of("source"))
    places = [f"http://{address_of(ns.pod_of(app))}:8080/" for app in SITES.values()]
    until = time.monotonic() + bound_seconds
    while True:
        answers = ask(ns, source, "source", *places)
        count = sum(answer.body.strip() == edition for answer in answers)
        if count == len(places) or time.monotonic() > until:
            return count
        time.sleep(0.1)


def helped(ns: Namespace, helper: str = "sync.py") -> dict[str, Any]:
    """K2: tell which image each web server runs from, and how many images the helper runs from.

    What an image is, is told by its config digest, which containerd names a container's image by.
    """
    pods = {server: ns.pod_of(app) for server, app in SITES.items()}
    images = {server: kube.image_ids(pod) for server, pod in pods.items()}
    helping = {
        images[server][container]
        for server, pod in pods.items()
        for container in containers_of(pod)
        if _runs(ns.processes(name_of(pod), container), helper)
    }
    return {
        **{f"{server}_image": short(found["web"]) for server, found in images.items()},
        "images_with_helper": len(helping),
    }


def short(image_id: str) -> str:
    """Return the first digits of a digest, whatever stands before them."""
    return image_id.rpartition(":")[2][:12]


def _runs(processes: Iterable[Process], program: str) -> bool:
    return any(program in process.args for process in processes)


ENVIRONMENTS = ("development", "production")
STORES = {"development": ("store",), "production": ("store-a", "store-b")}
"""The pods of K3's application, and which stores there are in the environment of each."""


def environments(ns: Namespace, *, pages: int) -> dict[str, Any]:
    """K3: count the settings in which two environments differ, and try whether both work.

    Raises:
        CouldNotMeasure: an application cannot be asked.
    """
    pods = [ns.pod_of(name) for name in ENVIRONMENTS]
    of_app = [settings_of(pod, ["app"]) for pod in pods]
    of_all = [settings_of(pod, containers_of(pod)) for pod in pods]
    counted, used = zip(*(_visited(ns, name, pages) for name in ENVIRONMENTS), strict=True)
    return {
        "differing": len(differing(*of_app)),
        "differing_in_pod": len(differing(*of_all)),
        "counted": min(counted),
        "stores": sum(used),
    }


def _visited(ns: Namespace, environment: str, pages: int) -> tuple[int, int]:
    """Visit each page twice; count the pages that knew of it, and the stores that keep any."""
    pod = name_of(ns.pod_of(environment))
    visits = [f"http://localhost:8000/page-{number}" for number in range(pages)]
    stores = [f"http://{store}:7000/" for store in STORES[environment]]
    started = [*stores, "http://localhost:8000/first"]  # until all of them answer
    ns.until(
        lambda: all(answer.status == 200 for answer in ask(ns, pod, "app", *started)),
        START_SECONDS,
        f"the application in {environment} to reach its stores",
    )
    answers = ask(ns, pod, "app", *visits, *visits, *stores)
    second, kept = answers[pages : 2 * pages], answers[2 * pages :]
    return (
        sum(answer.body == "2" for answer in second),
        sum(answer.body.isdigit() and int(answer.body) > 0 for answer in kept),
    )


def settings_of(pod: Pod, containers: Sequence[str]) -> dict[str, Any]:
    """Return all that a pod tells its containers, by a name for each setting.

    Those are the image, the command and its arguments, variables, ports and mounts. The mount of
    the account that Kubernetes gives to each pod is no setting of ours, and left out.
    """
    return {
        f"{container['name']}.{name}": value
        for container in pod["spec"]["containers"]
        if container["name"] in containers
        for name, value in _settings(container)
    }


def _settings(container: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in ("image", "command", "args", "envFrom"):
        if name in container:
            yield name, container[name]
    for variable in container.get("env", ()):
        yield f"env {variable['name']}", variable.get("value", variable.get("valueFrom"))
    for port in container.get("ports", ()):
        yield f"port {port['containerPort']}", True
    for mount in container.get("volumeMounts", ()):
        if not mount["mountPath"].startswith(_ACCOUNT_MOUNT):
            yield f"mount {mount['mountPath']}", mount["name"]


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the settings that are not the same, or only on one side."""
    names = sorted({*one, *other})
    return tuple(name for name in names if one.get(name) != other.get(name))


APPLICATIONS = {"app": "http://localhost:8080/", "nginx": "http://localhost:8080/"}
OWN_METRICS = "status"
"""The pods of K4, and the name under which each tells its metrics in its own form."""


def scraped(ns: Namespace, *, requests: int) -> dict[str, Any]:
    """K4: scrape two applications as Prometheus would, before and after some requests.

    The place is the one that the pod's annotations tell, as many set-ups of Prometheus take it.
    `numbers` counts what both tell in their own forms, `samples` what a parser reads of it.

    Raises:
        CouldNotMeasure: an application tells nothing in its own form.
    """
    pods = {name: ns.pod_of(name) for name in APPLICATIONS}
    places = [scrape_address(pod) for pod in pods.values()]
    pages = [f"http://{address_of(pod)}:8080/" for pod in pods.values()]
    own = [page + OWN_METRICS for page in pages]

    def asked(*urls: str) -> tuple[Answer, ...]:
        return ask(ns, name_of(pods["app"]), "app", *urls, seconds=_GIVE_UP_SECONDS)

    told = asked(*own)
    if not all(answer.status == 200 for answer in told):
        raise CouldNotMeasure(f"An application tells no metrics: {told!r}")
    before = [samples(answer.body) for answer in asked(*places)]
    asked(*[page for page in pages for _ in range(requests)])
    after = [samples(answer.body) for answer in asked(*places)]
    more = [_requests(late) - _requests(early) for early, late in zip(before, after, strict=True)]
    return {
        "numbers": sum(len(own_numbers(answer.body)) for answer in told),
        "samples": sum(map(len, after)),
        "app_samples": len(after[0]),
        "nginx_samples": len(after[1]),
        "requests_seen": round(min(more)),
    }


def scrape_address(pod: Pod) -> str:
    """Return where a pod's annotations say that its metrics are.

    Raises:
        CouldNotMeasure: they do not say it.
    """
    told = pod["metadata"].get("annotations") or {}
    try:
        port, path = told["prometheus.io/port"], told["prometheus.io/path"]
    except KeyError as error:
        raise CouldNotMeasure(f"The pod {name_of(pod)} has no annotation {error}.") from error
    return f"http://{address_of(pod)}:{port}{path}"


def own_numbers(text: str) -> tuple[str, ...]:
    """Return the numbers in a text of metrics of any form, as it has them.

    Digits within a word or a name are no number.
    """
    return tuple(_NUMBER.findall(text))


def samples(text: str) -> dict[str, float]:
    """Return what the parser of Prometheus' own client reads of a text: values by their names.

    Prometheus takes a scrape as a whole or not at all, so one bad line leaves nothing.
    """
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(text))
    except ValueError:
        return {}
    return {
        f"{sample.name}{sorted(sample.labels.items()) or ''}": float(sample.value)
        for family in families
        for sample in family.samples
    }


def _requests(found: Mapping[str, float]) -> float:
    return sum(value for name, value in found.items() if "requests" in name)


APP, WEB = "app", "web"
"""The two containers of K5's pod."""


def ended_and_scaled(ns: Namespace, *, replicas: int, watch_seconds: float) -> dict[str, Any]:
    """K5: end the application, then scale what there is to scale, then delete a pod.

    The application's first process is sent TERM from within. What was not started again when it
    has been gone for `watch_seconds` counts as not restarted.

    Raises:
        CouldNotMeasure: the application does not end.
    """
    first = name_of(pod_with(ns.pods(), APP))
    _end(ns, first, APP)
    pod = _watched(ns, first, APP, watch_seconds)
    ended = _staying(ns)
    for deployment in ns.list("deployments"):
        ns.scale(name_of(deployment), replicas)
        ns.wait_ready()
    scaled = _staying(ns)
    ns.delete("pods", first, grace_seconds=0)
    left = _pods_after(ns, len(scaled))
    return {
        "restarts": kube.restarts(pod, APP),
        "other_restarts": kube.restarts(pod, WEB),
        "app_running": running_in(scaled, APP),
        "web_running": running_in(scaled, WEB),
        "after_deletion": len(left),
        MOMENTS: [
            moment("The application has ended once", ended),
            moment(f"{replicas} applications are wanted", scaled),
            moment("A pod was deleted", left),
        ],
    }


def moment(after: str, pods: Iterable[Pod]) -> dict[str, Any]:
    """Return what is drawn of the pods that are there: of each container its state."""
    told = [
        [[name, kube.running(pod, name), kube.restarts(pod, name)] for name in containers_of(pod)]
        for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    ]
    return {"after": after, "pods": told}


def _end(ns: Namespace, pod: str, container: str) -> None:
    """Send TERM to a container's first process, once that has had time to handle it."""
    ns.until(
        lambda: re.search("^ready", ns.logs(pod, container), re.MULTILINE),
        START_SECONDS,
        f"the container {container} to be ready",
    )
    ns.exec(pod, ["python", "-c", _END_PID_1], container)


def _watched(ns: Namespace, name: str, container: str, watch_seconds: float) -> Pod:
    """Return a pod when its container has been started again, or has been gone for a while."""
    gone_at: list[float] = []

    def settled() -> tuple[Pod, ...]:
        pod = ns.get("pods", name)
        restarted, runs = kube.restarts(pod, container), kube.running(pod, container)
        if not runs:
            gone_at.append(time.monotonic())
        given_up = gone_at and time.monotonic() - gone_at[0] > watch_seconds
        return (pod,) if (runs if restarted else given_up) else ()

    seconds = START_SECONDS + watch_seconds
    (found,) = ns.until(settled, seconds, f"the end of the container {container}")
    return found


def running_in(pods: Iterable[Pod], container: str) -> int:
    """Count the pods in which a container runs."""
    return sum(kube.running(pod, container) for pod in pods)


def _pods_after(ns: Namespace, wanted: int) -> list[Pod]:
    """Return the pods that are there when one was deleted and somebody could have replaced it.

    What replaces it is given the time to get ready.
    """
    until = time.monotonic() + _REPLACED_SECONDS
    while len(_staying(ns)) < wanted and time.monotonic() < until:
        time.sleep(0.2)
    ns.until(
        lambda: all(kube.ready(pod) for pod in _staying(ns)),
        START_SECONDS,
        "the pod that replaces the deleted one",
    )
    return _staying(ns)


def _staying(ns: Namespace) -> list[Pod]:
    return [pod for pod in ns.pods() if not kube.terminating(pod)]


def first_processes(ns: Namespace, app: str, *, program: str, neighbour: str) -> dict[str, Any]:
    """K6: tell whose the first process is that an application sees, and what it leaves behind.

    Raises:
        CouldNotMeasure: the application does not run, or its orphans do not end.
    """
    pod = name_of(ns.pod_of(app))
    ns.until(
        lambda: re.search("^ready", ns.logs(pod, app), re.MULTILINE),
        START_SECONDS,
        "the application's helpers to end",
    )
    processes = ns.processes(pod, app)
    own = next((process for process in processes if program in process.args), None)
    first = next((process for process in processes if process.pid == 1), None)
    if own is None or first is None:
        raise CouldNotMeasure(f"{program} is not among the processes of the pod {pod}.")
    return {
        "app_pid": own.pid,
        "pid_1": first.comm,
        "zombies": sum(process.is_zombie for process in processes),
        "seen_by_neighbour": _runs(ns.processes(pod, neighbour), program),
    }
