"""The kit's Debian packages: an apt cache in an image, filled by apt itself, asked by builds.

The cache is apt-cacher-ng of the distribution's. Builds are pointed at it by the build argument
`http_proxy`, which BuildKit knows by itself and leaves out of its cache's keys: what is built by
the kit is found in the build cache without it, and the other way round.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .. import bases, claims, leftovers, system
from ..engine import Engine, talking_to
from ..paths import ROOT, STATE
from ..system import Say, say
from . import sources
from .installs import Install
from .manifest import IMAGES, KitError

if TYPE_CHECKING:
    from docker.models.containers import Container

Answer = TypeVar("Answer")

DOCKERFILE = Path("apps/package-cache/Dockerfile")
"""The cache's Dockerfile within `labs/images`, which is its build context."""

REPOSITORY = leftovers.PACKAGES
LABEL = "proving-ground.kit"
"""What the kit's own containers carry: to which checkout they belong."""

UNTIL_LABEL, MADE_LABEL = "proving-ground.packages-until", "proving-ground.packages-made"
OF_LABEL = "proving-ground.packages-of"
"""What an image with a cache carries: which checkout has filled it."""
PORT = 3142
FRESH_SECONDS = 24 * 3600
"""For how long package lists are taken as they are; Debian writes new ones several times a day."""

READY_SECONDS = 20
"""How long a container of a kit's may take until it answers."""

_SERVE = 'CMD ["apt-cacher-ng", "-c", "/etc/package-cache", "Offlinemode=1"]'
_VALID = re.compile(r"^Valid-Until: (.+)$", re.MULTILINE)


def fill(engine: Engine, installs: Sequence[Install], tell: Say = say) -> tuple[str, str]:
    """Return an image with a cache of all that these ask of apt, and until when its lists hold.

    One that was filled for the same within a day is taken again.

    Raises:
        KitError: a package cannot be had.
        ProvingError: a base or the cache's own image cannot be had.
    """
    from ..lab import Lab

    wanted = hashlib.sha256(repr(sorted(installs)).encode()).hexdigest()[:12]
    fresh = _fresh(engine, wanted)
    if fresh is not None:
        return fresh
    with Lab("kit") as lab:
        ready = bases.ready(engine, {"SLIM", *(one.role for one in installs)}, tell)
        slim = {"SLIM": ready["SLIM"].reference}
        cache_image = lab.image_of("packages", claims.IMAGES, DOCKERFILE, arguments=slim)
        cache_image.takes_packages_from_kit = False  # those of an earlier kit would be too old
        tell("Building the package cache …")
        cache_image.build()
        with talking_to(engine), _started(engine, cache_image.id) as cache:
            _wait_until_ready(cache)
            environment = {"http_proxy": f"http://{_address(cache)}:{PORT}"}
            until = ""
            for role in sorted({one.role for one in installs}):
                base, asked = ready[role], [one for one in installs if one.role == role]
                tell(f"Fetching packages for {base.public}: {len(asked)} installations …")
                until = min(filter(None, (until, _download(engine, base, asked, environment))))
            return _commit(cache, wanted, until), until


def _download(
    engine: Engine, base: bases.Base, asked: Iterable[Install], environment: dict[str, str]
) -> str:
    """Have apt download on a base what installations need; return until when its lists hold."""
    sleeper = ["sleep", "infinity"]
    with _started(engine, base.reference, command=sleeper, environment=environment) as container:
        _run(container, ["apt-get", "update", "-q"])
        for one in asked:
            command = ["apt-get", "install", "-qy", "--download-only", *one.options, *one.names]
            _run(container, command)
        told = _run(container, ["sh", "-c", "cat /var/lib/apt/lists/*Release"])
    return earliest(told)


def earliest(releases: str) -> str:
    """Return the earliest `Valid-Until` of apt's Release files as ISO 8601; empty without any."""
    moments = [parsedate_to_datetime(text) for text in _VALID.findall(releases)]
    return min((one.astimezone(UTC).isoformat(timespec="seconds") for one in moments), default="")


def _run(container: Container, command: list[str]) -> str:
    status, output = container.exec_run(command, environment={"DEBIAN_FRONTEND": "noninteractive"})
    told = bytes(output).decode(errors="replace")
    if status:
        raise KitError(
            f"The kit was not given its packages: `{' '.join(command)}` ended with exit status "
            f"{status}. Look whether a Debian mirror is reached from here, and run the same "
            f"command again.\n{system.last_lines(told)}"
        )
    return told


def _commit(cache: Container, wanted: str, until: str) -> str:
    made = datetime.now(UTC)
    tag = f"{wanted}-{made:%Y%m%d%H%M}"
    labels = {
        LABEL: "packages",
        OF_LABEL: name(),
        UNTIL_LABEL: until,
        MADE_LABEL: made.isoformat(timespec="seconds"),
    }
    changes = [f'LABEL {name}="{value}"' for name, value in labels.items()]
    for image in cache.client.images.list(REPOSITORY):  # the lists of yesterday
        for earlier in image.tags:
            if earlier.startswith(f"{REPOSITORY}:{wanted}-"):
                cache.client.images.remove(earlier)
    cache.commit(REPOSITORY, tag, changes=[_SERVE, *changes])
    return f"{REPOSITORY}:{tag}"


def _fresh(engine: Engine, wanted: str) -> tuple[str, str] | None:
    with talking_to(engine):
        for image in engine.docker.images.list(REPOSITORY):
            for tag in image.tags:
                made = image.labels.get(MADE_LABEL)
                if tag.startswith(f"{REPOSITORY}:{wanted}-") and made:
                    age = datetime.now(UTC) - datetime.fromisoformat(made)
                    if age.total_seconds() < FRESH_SECONDS:
                        return tag, image.labels.get(UNTIL_LABEL, "")
    return None


@contextmanager
def _started(engine: Engine, image: str, **options: Any) -> Iterator[Container]:
    labels = {LABEL: filling()}  # none of a run's: the committed image would have it, too
    container = engine.docker.containers.run(
        image, detach=True, network_mode="bridge", labels=labels, init=True, **options
    )
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


def build_arguments(engine: Engine) -> dict[str, str]:
    """Return the build arguments by which apt asks the kit's cache.

    There are none where there is no kit, or where its package lists have expired: apt would refuse
    them. The cache is started where it does not run; it stays until `nox -s clean`.

    Raises:
        KitError: it does not start.
    """
    image = _taken_image()
    if image is None:
        return {}
    with talking_to(engine), system.lock(STATE / "kit.lock"):
        container = _container(engine, image)
        if container is None:
            return {}
        return {"http_proxy": f"http://{_address(container)}:{PORT}"}


def _taken_image() -> str | None:
    found = sources.taken()
    if found is None:
        return None
    until = found.packages_until_on(sources.here())
    if until and datetime.fromisoformat(until) <= datetime.now(UTC):
        return None
    listed = found.for_architecture(sources.here())
    named = (one.reference for one in listed if one.part == IMAGES)
    return next((name for name in named if name.startswith(f"{REPOSITORY}:")), None)


def name() -> str:
    """Return the name of the container with this checkout's package cache."""
    return f"proving-kit-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"


def filling() -> str:
    """Return the label's value of the containers with which this checkout fills a cache."""
    return f"{name()}-filling"


def _container(engine: Engine, image: str) -> Container | None:
    """Return the running cache, started where need be; None where the engine has no image of it."""
    from docker.errors import ImageNotFound, NotFound

    try:
        found = engine.docker.containers.get(name())
        if found.attrs["Config"]["Image"] == image:
            if found.status != "running":
                found.start()
                _wait_until_ready(found)
            return found
        found.remove(force=True, v=True)
    except NotFound:
        pass
    try:
        started = engine.docker.containers.run(
            image,
            name=name(),
            detach=True,
            network_mode="bridge",
            labels={LABEL: name()},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        )
    except ImageNotFound:
        return None
    _wait_until_ready(started)
    return started


def _wait_until_ready(cache: Container) -> None:
    knock = ["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{PORT}"]
    answer_of(cache, lambda: not cache.exec_run(knock)[0], "The kit's package cache")


def answer_of(container: Container, ask: Callable[[], Answer], what: str) -> Answer:
    """Ask for something of a container of a kit's until the answer is true, and return it.

    Raises:
        KitError: it is not within `READY_SECONDS`; `what` begins the sentence.
    """
    end = time.monotonic() + READY_SECONDS
    while not (answer := ask()):
        if time.monotonic() > end:
            told = system.last_lines(bytes(container.logs()).decode(errors="replace"))
            raise KitError(f"{what} did not start. Its last lines:\n{told}")
        time.sleep(0.1)
    return answer


def _address(container: Container) -> str:
    container.reload()
    network = container.attrs["NetworkSettings"]["Networks"].get("bridge") or {}
    if not network.get("IPAddress"):
        raise KitError(
            "The kit's package cache has no address on the engine's default bridge. Run the same "
            f"command again; where that does not help: docker rm -f {container.name}."
        )
    return str(network["IPAddress"])


def remove(client: Any) -> int:
    """Remove this checkout's containers of kits from an engine; return how many are gone."""
    ours = (f"{LABEL}={value}" for value in (name(), filling()))
    return sum(leftovers.remove_labelled(client, one) for one in ours)


def images(client: Any) -> list[str]:
    """Return this checkout's images with a package cache: those that it has filled or taken.

    One from which another checkout runs its cache is that one's too.
    """
    taken: set[str] = set()
    with suppress(KitError):  # a manifest that cannot be read names nothing
        if (found := sources.taken()) is not None:
            taken = {one.reference for one in found.entries if one.part == IMAGES}
    running = client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    used = {
        one.attrs["Config"]["Image"]
        for one in running
        if one.labels[LABEL] not in (name(), filling())
    }
    return [
        tag
        for image in client.images.list(REPOSITORY)
        for tag in image.tags
        if tag.startswith(f"{REPOSITORY}:")
        and tag not in used
        and (tag in taken or image.labels.get(OF_LABEL) == name())
    ]
