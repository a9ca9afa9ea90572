"""A release of a web application under load: the measurements of chapter 6.

The web server is told by a page that it answers by itself, the application by the release that it
names at the end of its page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .container import Container
from .engine import talking_to
from .lab import Measured, NotMeasured
from .qualities import GUESTBOOK_READY
from .traffic import Load, Report, Request

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab
    from .registry import Registry

CLAIM = "F1"
NEEDS = "gunicorn python3-django"
ARGUMENTS = {
    "first": {"NEEDS": NEEDS, "RELEASE": "1"},
    "source": {"NEEDS": NEEDS, "RELEASE": "1.1"},
    "second": {"NEEDS": f"{NEEDS} python3-markdown", "RELEASE": "2"},
}
"""The build arguments of each release: its number, and the packages that it needs."""

ALIAS = "app"
"""The name by which the web server knows the application on their network."""

SETTLE_SECONDS = 1.5
"""How long new containers of the application are given before the old ones are stopped."""

AFTER_SECONDS = 2.0
"""How long the load goes on at least when the release is over."""

LONGEST_SECONDS = 240.0
"""The bound of a load on an engine that has much else to do."""

STEP_SECONDS = 0.25
"""The width of a step in the record of a release."""

WEB_PORT = 80
_WEB_READY = "start worker process [0-9]"


@dataclass(frozen=True)
class Releases:
    """Three releases of an image: the first, one of its source alone, and one with more in it."""

    name: str
    first: Image
    source: Image
    second: Image


def build_release(lab: Lab, arm: str, release: str) -> Image:
    """Build a release of an arm's image by its name in `ARGUMENTS`.

    Raises:
        BuildError: it does not build.
        BaseImageError: its base cannot be had.
    """
    return lab.built_with(CLAIM, arm, ARGUMENTS[release])


def build_releases(lab: Lab, arm: str) -> Releases:
    """Build all releases of an arm's image, side by side; see `build_release`."""
    with ThreadPoolExecutor(len(ARGUMENTS)) as pool:
        built = pool.map(lambda release: build_release(lab, arm, release), ARGUMENTS)
        return Releases(arm, *built)


def downloaded(lab: Lab, registry: Registry, releases: Releases) -> dict[str, int]:
    """Return the bytes that a node downloads for each later release, once it has the first one."""
    first, source, second = (
        registry.push(getattr(releases, name), f"guestbook:{releases.name}-{name}")
        for name in ARGUMENTS
    )
    with lab.node(registry) as node:
        node.pull(first)
        return {
            "source_bytes": node.pull(source).served_bytes,
            "release_bytes": node.pull(second).served_bytes,
        }


def network(lab: Lab) -> AbstractContextManager[str]:
    """Return a network with a name server of the engine's, to be made by `with`, for its name."""
    return lab.own(lab.engine.docker.networks.create)


def application(lab: Lab, image: Image, network_name: str) -> Container:
    """Return a container of the application on a network, to be started by `with`."""
    options = _joined_to(lab, network_name, ALIAS)
    return lab.start(image, ready=GUESTBOOK_READY, options=options)


def web_server(lab: Lab, image: Image, network_name: str) -> Container:
    """Return a container of a web server on a network and published, to be started by `with`."""
    options = _joined_to(lab, network_name, "web")
    return lab.start(image, ports=[WEB_PORT], ready=_WEB_READY, options=options)


def _joined_to(lab: Lab, network_name: str, alias: str) -> dict[str, Any]:
    """Return the options of `docker run` that join a network under an alias."""
    endpoint = lab.engine.docker.api.create_endpoint_config(aliases=[alias])
    return {
        "network_mode": None,
        "network": network_name,
        "networking_config": {network_name: endpoint},
    }


def end(container: Container, grace_seconds: float) -> None:
    """Stop a container as `docker stop` does, and remove it."""
    with talking_to(container.engine):
        container.get_wrapped_container().stop(timeout=round(grace_seconds))
    container.stop()


@dataclass(frozen=True)
class Running:
    """A deployment that runs: where it is reached, and what replaces it by the second release."""

    url: str
    replace: Callable[[], None]


class Deployment(Protocol):
    """A way to run an application behind a web server."""

    releases: Releases

    @contextmanager
    def run(self, lab: Lab) -> Iterator[Running]:
        """Run the first release."""
        ...


@dataclass(frozen=True)
class Together:
    """Web server and application in one container, which a release replaces."""

    releases: Releases

    @contextmanager
    def run(self, lab: Lab) -> Iterator[Running]:
        """Run the first release; the second one takes its published port."""
        with ExitStack() as stack:
            old = stack.enter_context(self._container(lab, self.releases.first))
            address = old.address(WEB_PORT)

            def replace() -> None:
                end(old, lab.grace_seconds)
                new = self._container(lab, self.releases.second)
                published: Any = (lab.engine.published_on, int(address.rpartition(":")[2]))
                new.ports[f"{WEB_PORT}/tcp"] = published
                stack.enter_context(new)

            yield Running(f"http://{address}/", replace)

    @staticmethod
    def _container(lab: Lab, image: Image) -> Container:
        return lab.start(image, ports=[WEB_PORT], ready=GUESTBOOK_READY)


@dataclass(frozen=True)
class Apart:
    """The web server before two containers of the application.

    A release starts two new ones beside them and then stops the old ones, one by one: there is
    always one that serves, and no new one gets the address of an old one.
    """

    web: Image
    releases: Releases

    @contextmanager
    def run(self, lab: Lab) -> Iterator[Running]:
        """Run the first release behind the web server; the second one joins it on its network."""
        with network(lab) as name, ExitStack() as stack:

            def start(image: Image) -> Container:
                return stack.enter_context(application(lab, image, name))

            old = [start(self.releases.first) for _ in range(2)]
            web = stack.enter_context(web_server(lab, self.web, name))

            def replace() -> None:
                for _ in old:
                    start(self.releases.second)
                time.sleep(SETTLE_SECONDS)
                for one in old:
                    end(one, lab.grace_seconds)

            yield Running(f"http://{web.address(WEB_PORT)}/", replace)


def release_under_load(lab: Lab, deployment: Deployment) -> dict[str, Any]:
    """Release the second release while two loads go on: on the application, and on the web server.

    Returns figures, and under `releases` what is drawn of them.

    Raises:
        CouldNotMeasure: the load ends before it has as many answers as the claim asks for.
    """
    requests = int(lab.setting(CLAIM, "requests"))
    patient: dict[str, Any] = {
        "requests": 20_000,
        "give_up_after": 20_000,
        "seconds": LONGEST_SECONDS,
        "timeout_seconds": 15,
    }
    with deployment.run(lab) as running:
        on_app = Load(running.url, concurrency=8, pause_seconds=0.25, **patient)
        # some connections wait for a server that is not up yet, and others must go on asking
        on_web = Load(f"{running.url}about", concurrency=8, pause_seconds=0.8, **patient)
        with on_app, on_web:
            on_app.wait_for(answered=requests // 10)
            on_web.wait_for(answered=requests // 40)
            began_at = time.time()
            running.replace()
            over_at = time.time()
            time.sleep(AFTER_SECONDS)
            on_app.wait_for(answered=requests, timeout_seconds=LONGEST_SECONDS)
            after = _served(running.url)
        app, web = on_app.finish(), on_web.finish()
    gone = away(web)
    told = [answer_of(request) for request in app.requests]
    return {
        "away_seconds": round(sum(until - since for since, until in gone), 3),
        "failed": told.count("failed"),
        "sent": app.sent,
        "old_answers": told.count("old"),
        "new_answers": told.count("new"),
        "served_after": after,
        "releases": drawn(app, gone, began_at, over_at),
    }


def both(measured: Mapping[str, Measured], more: Mapping[str, Measured]) -> dict[str, Measured]:
    """Return the figures of each arm with those that were measured of it besides."""
    return {arm: _with(figures, more.get(arm, {})) for arm, figures in measured.items()}


def _with(figures: Measured, more: Measured) -> Measured:
    if isinstance(figures, NotMeasured):
        return figures
    if isinstance(more, NotMeasured):
        return more
    return {**figures, **more}


def answer_of(request: Request) -> str:
    """Return which release has answered a request, `old` or `new`, or `failed`."""
    if not request.complete:
        return "failed"
    release = request.ending.rpartition(b"release ")[2].strip().decode(errors="replace")
    names = {ARGUMENTS["first"]["RELEASE"]: "old", ARGUMENTS["second"]["RELEASE"]: "new"}
    return names.get(release, "failed")


def away(report: Report) -> list[tuple[float, float]]:
    """Return the spans in which a server gave no answer, in unix seconds of the client's clock.

    Each lasts from the beginning of a request without an answer until a request that began later
    has its answer, or to the end of the load.
    """
    spans: list[tuple[float, float]] = []
    over = max((request.ended_at for request in report.requests), default=0.0)
    for request in report.requests:
        since = request.began_at
        if request.complete or (spans and since < spans[-1][1]):
            continue
        answers = [r.ended_at for r in report.requests if r.complete and r.began_at > since]
        spans.append((since, min(answers, default=over)))
    return spans


def drawn(
    app: Report, gone: Sequence[tuple[float, float]], began_at: float, over_at: float
) -> dict[str, Any]:
    """Return a release in the form that a claim's record keeps: seconds after it began.

    Answers are counted in steps of time, by the moment at which they had come or failed.
    """
    moments = [(request.ended_at - began_at, answer_of(request)) for request in app.requests]
    start = STEP_SECONDS * (min(moment for moment, _ in moments) // STEP_SECONDS)
    steps = int((max(moment for moment, _ in moments) - start) // STEP_SECONDS) + 1
    counts = {name: [0] * steps for name in ("old", "new", "failed")}
    for moment, name in moments:
        counts[name][int((moment - start) // STEP_SECONDS)] += 1
    return {
        "start": round(start, 3),
        "step_seconds": STEP_SECONDS,
        **counts,
        "away": [[round(since - began_at, 3), round(until - began_at, 3)] for since, until in gone],
        "over": round(over_at - began_at, 3),
    }


def _served(url: str) -> str:
    """Return what the application serves now: the words of its page, or why there are none."""
    import httpx

    try:
        answer = httpx.get(url, timeout=20, trust_env=False)
    except httpx.TransportError:
        return "no answer"
    if not answer.is_success:
        return f"status {answer.status_code}"
    return answer.text.rpartition(": ")[2].strip()
