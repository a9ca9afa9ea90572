"""What ConfigMaps and Secrets hand to a pod, and when: the measurements of chapter 8 in a cluster.

Each takes a manifest, applies it in a namespace of its own, and returns the figures of that arm.
Questions are asked from within pods, with what their images have.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from . import kube, leaks, manifests, patterns
from .errors import CouldNotMeasure, ProvingError

if TYPE_CHECKING:
    from .kube import Namespace
    from .lab import Lab
    from .leaks import Token
    from .manifests import Manifest

    Object = Mapping[str, Any]

Told = TypeVar("Told")

CAFE, SERVICE, GREETER = "cafe", "service", "greeter"
"""The containers of R4, R5K and R7K; the latter two are Deployments of the same name."""

PLACEHOLDER = "the-token-of-this-run"
"""What the manifests of R5K have where the token of a run is to be."""

TOKEN_FILE = "TOKEN_FILE"  # noqa: S105 - the name of a variable
KINDS = ("deployments", "replicasets", "pods", "configmaps", "secrets")
"""The objects of a namespace that are searched, in the order in which they are told."""

NO_FILE, NO_VOLUME = "no file", "no volume"

SETTINGS, WHOLE = "/etc/greeter/settings.json", "/etc/whole/settings.json"
"""What the greeter reads, and where a pod has the whole volume, if it reads one file of it."""

CONTROL = b"# A service that needs a token."
"""A line of the service's script, which a search of its image must find."""

AGAIN_SECONDS = 60.0
"""How long a question to a container is asked again that a busy node does not find."""

START_SECONDS = 120.0
READY_SECONDS = 180.0
NOTICED_SECONDS = 3.0
"""How long kubelet is given to be told of a change before it starts a pod with it."""

SLICE_SECONDS = 8.0
"""How long one command in a pod looks for a change."""

_LOCALHOST = "http://localhost:{port}/"
_RESTARTED = "proving-ground.restarted"
_ENVIRONMENT = "tr '\\0' '\\n' < /proc/1/environ"
_WATCH = """
import json, sys, time, urllib.request
seconds, wanted, url, *files = sys.argv[1:]
until = time.monotonic() + float(seconds)
seen, asked, lost = {}, 0, 0
while True:
    for file in files:
        try:
            with open(file) as opened:
                if wanted in opened.read():
                    seen.setdefault(file, time.monotonic())
        except OSError:
            pass
    asked += 1
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            if wanted in answer.read().decode():
                seen.setdefault(url, time.monotonic())
    except OSError:
        lost += 1
    if {url, *files} <= seen.keys() or time.monotonic() > until:
        break
    time.sleep(0.2)
now = time.monotonic()
print(json.dumps({"ago": {at: now - seen[at] for at in seen}, "asked": asked, "lost": lost}))
"""
"""Looks for a text at an address and in files, and tells how many seconds ago it first was there.

So no clock of the pod is compared with one of this machine.
"""


def asked_again(ask: Callable[[], Told], seconds: float = AGAIN_SECONDS) -> Told:
    """Return an answer, asking again for some seconds while the question cannot be asked.

    A node with much to do answers a command in a container now and then that there is no such
    container, though it runs.
    `Namespace.exec` does not do so by itself: a command whose answer was lost may have run, and a
    signal is not sent twice; a clock is compared around one (`probes`); and that an image lacks a
    program is what M1K asks for.

    Raises:
        CouldNotMeasure: it could not be asked at all.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except CouldNotMeasure:
            if time.monotonic() > until:
                raise
        time.sleep(0.5)


def output_of(
    ns: Namespace,
    pod: str,
    command: Sequence[str],
    container: str,
    seconds: float = AGAIN_SECONDS,
) -> str:
    """Return what a command in a container has written; see `asked_again`.

    Raises:
        CouldNotMeasure: it cannot be run, or fails.
    """

    def run() -> str:
        done = ns.exec(pod, command, container)
        if done.status:
            raise CouldNotMeasure(
                f"`{' '.join(command)[:60]}` failed in the pod {pod}: {done.errors.strip()[-200:]}"
            )
        return done.output

    return asked_again(run, seconds)


def answer_of(ns: Namespace, pod: str, container: str, port: int) -> str:
    """Return the page that a container serves, once it does; empty where the answer is no success.

    Raises:
        CouldNotMeasure: it cannot be asked.
    """
    url = _LOCALHOST.format(port=port)

    def ask() -> str:
        (answer,) = patterns.ask(ns, pod, container, url, seconds=AGAIN_SECONDS / 2)
        return answer.body if answer.status == 200 else ""

    return asked_again(ask)


@dataclass(frozen=True)
class Page:
    """What the café's page tells: the currency of its variable, and the menu of its file."""

    currency: str
    menu: str

    @classmethod
    def parse(cls, page: str) -> Page:
        """Read a page: its first line names the currency, the rest is the menu."""
        first, _, menu = page.partition("\n")
        return cls(first.removeprefix("prices in "), menu)

    @classmethod
    def of(cls, data: Mapping[str, str]) -> Page:
        """Return the page that the entries of a ConfigMap should make."""
        return cls(data["CURRENCY"], data["menu.toml"])


def of_stages(lab: Lab, manifest: Manifest) -> dict[str, Any]:
    """R4: ask each stage for its settings, change all ConfigMaps, replace the pods, and ask again.

    The pods are replaced as `kubectl rollout restart` does it: by an annotation of the template.

    Raises:
        CouldNotMeasure: they do not get ready, or cannot be asked.
    """
    stages = {
        one["metadata"]["name"]: one["data"]
        for one in manifest.documents
        if one["kind"] == "ConfigMap"
    }
    changed = {
        name: {"CURRENCY": "CHF", "menu.toml": f'title = "Changed: {name}"\n'} for name in stages
    }
    with lab.namespace() as ns:
        ns.apply(manifest)
        ns.wait_ready(READY_SECONDS)
        images = {kube.image_ids(ns.pod_of(name))[CAFE] for name in stages}
        before = _pages(ns, stages)
        for name, data in changed.items():
            ns.patch("configmaps", name, {"data": data})
        time.sleep(NOTICED_SECONDS)
        for name in stages:
            template = {"metadata": {"annotations": {_RESTARTED: "1"}}}
            ns.patch("deployments", name, {"spec": {"template": template}})
        ns.wait_ready(READY_SECONDS)
        after = _pages(ns, stages)
    wanted = {name: Page.of(data) for name, data in changed.items()}
    return {
        "images": len(images),
        "own_settings": sum(before[name] == Page.of(data) for name, data in stages.items()),
        "new_variable": sum(after[name].currency == wanted[name].currency for name in stages),
        "new_file": sum(after[name].menu == wanted[name].menu for name in stages),
    }


def _pages(ns: Namespace, names: Iterable[str]) -> dict[str, Page]:
    pods = {name: patterns.name_of(ns.pod_of(name)) for name in names}
    return {name: Page.parse(answer_of(ns, pod, CAFE, 8000)) for name, pod in pods.items()}


def token_of(lab: Lab, manifest: Manifest, token: Token) -> dict[str, Any]:
    """R5K: give a service its token as a manifest says, and tell where it is found then.

    The token takes the placeholder's place in the objects, and is in no figure.

    Raises:
        CouldNotMeasure: the service does not start; the token is masked in what is told of it.
    """
    try:
        return _searched(lab, manifests.filled(manifest, {PLACEHOLDER: token.value}), token)
    except ProvingError as error:
        masked = token.masked(str(error))
    raise CouldNotMeasure(masked)


def _searched(lab: Lab, manifest: Manifest, token: Token) -> dict[str, Any]:
    with lab.namespace() as ns:
        ns.apply(manifest)
        ns.wait_ready(READY_SECONDS)
        pod = ns.pod_of(SERVICE)
        name = patterns.name_of(pod)
        told = f"token {token.fingerprint}\n"
        ns.until(lambda: "token " in _log(ns, name), START_SECONDS, "the fingerprint of the token")
        objects = {kind: ns.list(kind) for kind in KINDS}
        environment = output_of(ns, name, ["sh", "-c", _ENVIRONMENT], SERVICE)
        mounts = output_of(ns, name, ["cat", "/proc/mounts"], SERVICE)
        return {
            "had_token": told in _log(ns, name),
            "found_in": ", ".join(telling(objects, token.value)) or leaks.NOWHERE,
            "in_base64": in_base64(objects["secrets"], token.value),
            "in_environment": token.value in environment,
            "file_system": file_system(mounts, variables(pod).get(TOKEN_FILE, "")),
        }


def in_image(lab: Lab, manifest: Manifest, token: Token) -> dict[str, Any]:
    """R5K: tell where the image of a manifest has the token, and whether the search can find it.

    Raises:
        CouldNotMeasure: the engine's archive of the image cannot be read.
    """
    (image,) = lab.server_images(*map(manifests.dockerfile_of, manifest.images))
    archive = image.archive(token.encoded, CONTROL)
    found = dict.fromkeys(leak.kind for leak in leaks.search(archive, token))
    return {
        "control": any(layer.found[CONTROL] for layer in archive.stack),
        "in_image": ", ".join(found) or leaks.NOWHERE,
    }


def _log(ns: Namespace, pod: str) -> str:
    try:
        return ns.logs(pod, SERVICE)
    except (kube.NotFound, kube.Refused):  # a busy node has not got it yet
        return ""


def telling(objects: Mapping[str, Sequence[Object]], text: str) -> tuple[str, ...]:
    """Return the kinds of objects that tell a text as it is, as `kubectl get -o yaml` prints it."""
    return tuple(kind for kind, found in objects.items() if text in json.dumps(found))


def in_base64(secrets: Iterable[Object], text: str) -> bool:
    """Tell whether a Secret has a text in base64, as its `data` has every value."""
    return any(
        _decoded(value) == text.encode()
        for secret in secrets
        for value in (secret.get("data") or {}).values()
    )


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return b""


def variables(pod: Object) -> dict[str, str]:
    """Return the variables whose values a pod's first container is told literally."""
    told = pod["spec"]["containers"][0].get("env") or []
    return {one["name"]: one["value"] for one in told if "value" in one}


def file_system(mounts: str, path: str) -> str:
    """Return the type of the file system that a path is on, by `/proc/mounts` (proc_mounts(5)).

    Where a place was mounted over, the last mount counts.
    """
    if not path:
        return NO_FILE
    lines = [line.split() for line in mounts.splitlines()]
    over = [(place, kind) for _, place, kind, *_ in lines if _is_within(path, place)]
    return max(enumerate(over), key=lambda one: (len(one[1][0]), one[0]))[1][1]


def _is_within(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place.rstrip('/')}/")


@dataclass
class Change:
    """A change that several arms are watched for at once.

    One that has not followed is watched for longer than any other took, by a margin.
    """

    bound_seconds: float
    margin_seconds: float
    _followed: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def follows(self, seconds: float) -> None:
        """Note that an arm has followed the change after so many seconds."""
        with self._lock:
            self._followed.append(seconds)

    def is_over(self, seconds: float, *, volume_seconds: float | None) -> bool:
        """Tell whether an arm that has not followed was watched for long enough.

        `volume_seconds` is when its own volume had the change, or None where it has not yet.
        """
        with self._lock:
            others = list(self._followed)
        if seconds > self.bound_seconds:
            return True
        if volume_seconds is None or not others:
            return False
        return seconds > max(*others, volume_seconds) + self.margin_seconds


@dataclass
class Seen:
    """What was seen of a change in a pod: after how many seconds, by address and file."""

    after_seconds: dict[str, float] = field(default_factory=dict)
    asked: int = 0
    lost: int = 0

    def add(self, output: str, *, until_seconds: float) -> None:
        """Add what a command in the pod has printed that ended so many seconds after the change."""
        told = json.loads(output)
        for place, ago in told["ago"].items():
            self.after_seconds.setdefault(place, max(until_seconds - ago, 0.0))
        self.asked += told["asked"]
        self.lost += told["lost"]


def follow(lab: Lab, manifest: Manifest, change: Change) -> dict[str, Any]:
    """R7K: change a ConfigMap, and tell when the pod that has it serves the new value.

    Afterwards the pod is deleted, to see whether the one that takes its place serves it.
    Seconds count from before the change was asked for.

    Raises:
        CouldNotMeasure: the pod does not get ready or cannot be asked, or its volume never has the
            change.
    """
    url = _LOCALHOST.format(port=8080)
    (data,) = (one["data"] for one in manifest.documents if one["kind"] == "ConfigMap")
    after = {name: text.replace("before", "after") for name, text in data.items()}
    files = [path for path in (SETTINGS, WHOLE) if _mounts(manifest, path)]
    with lab.namespace() as ns:
        ns.apply(manifest)
        ns.wait_ready(READY_SECONDS)
        pod = patterns.name_of(ns.pod_of(GREETER))
        served_before = answer_of(ns, pod, GREETER, 8080).strip() == "before"
        began = time.monotonic()
        ns.patch("configmaps", GREETER, {"data": after})
        seen = _watched(ns, pod, [url, *files], change, began)
        seconds = seen.after_seconds.get(url, time.monotonic() - began)
        restarts = kube.restarts(ns.get("pods", pod), GREETER)
        new_pod = _next_pod(ns, pod)
        return {
            "served_before": served_before,
            "followed": url in seen.after_seconds,
            "seconds": seconds,
            "volume_seconds": seen.after_seconds[files[-1]] if files else NO_VOLUME,
            "restarts": restarts,
            "new_pod": answer_of(ns, new_pod, GREETER, 8080).strip() == "after",
            "asked": seen.asked,
            "lost": seen.lost,
        }


def _mounts(manifest: Manifest, path: str) -> bool:
    """Tell whether the whole folder of a file is a volume of the greeter's."""
    container = manifests.pod_spec(manifest.one("Deployment", GREETER))["containers"][0]
    folder = path.rpartition("/")[0]
    return any(one["mountPath"] == folder for one in container.get("volumeMounts") or [])


def _watched(ns: Namespace, pod: str, places: Sequence[str], change: Change, began: float) -> Seen:
    """Look for the change at an address and in files until it is followed, or long enough."""
    url, *files = places
    command = ["python", "-c", _WATCH, f"{SLICE_SECONDS}", "after", *places]
    seen = Seen()
    while True:
        seen.add(output_of(ns, pod, command, GREETER), until_seconds=time.monotonic() - began)
        seconds = time.monotonic() - began
        if url in seen.after_seconds:
            change.follows(seen.after_seconds[url])
            return seen
        volume_seconds = seen.after_seconds.get(files[-1]) if files else 0.0
        if change.is_over(seconds, volume_seconds=volume_seconds):
            if volume_seconds is None:
                raise CouldNotMeasure(
                    f"{seconds:.0f} s after the change the volume of the pod {pod} has the old "
                    "file yet."
                )
            return seen


def _next_pod(ns: Namespace, pod: str) -> str:
    """Delete a pod of the greeter's, and return the name of the one that takes its place."""
    ns.delete("pods", pod)

    def another() -> str:
        found = [one for one in ns.pods(GREETER) if not kube.terminating(one) and kube.ready(one)]
        return next((name for name in map(patterns.name_of, found) if name != pod), "")

    return ns.until(another, START_SECONDS, "the pod that takes the deleted one's place")
