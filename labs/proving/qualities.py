"""What a container keeps, tells and tolerates: the measurements of chapter 1."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from docker.types import Mount

from .container import Container, parse_listening
from .engine import talking_to
from .errors import ContainerError, CouldNotMeasure
from .lab import Figures, Measured, NotMeasured

if TYPE_CHECKING:
    import httpx

    from .image import Image
    from .lab import Lab

GUESTBOOK_PORT = 8000
WEB_PORT = 80
SSH_PORT = 22
SETTLE_SECONDS = 5.0
"""For how long no further function comes of a container that has all of its own."""

ALL_SETTLED_SECONDS = 60.0
"""How long a container's functions may come and go."""

GUESTBOOK_READY = "Booting worker"
STUMBLES, PAUSE_SECONDS = 3, 0.5
"""How often a broken connection is made again, and the pause before that."""

LIMITS: Mapping[str, Mapping[str, Any]] = {
    "without_limits": {},
    "as_user": {"user": "10001:10001"},
    "read_only": {"read_only": True},
    "without_capabilities": {"cap_drop": ["ALL"]},
    "no_new_privileges": {"security_opt": ["no-new-privileges"]},
}
"""Single limits, as options of `docker run`, by the figure that tells whether a server copes."""

TEMPORARY = {"mounts": [Mount(target="/tmp", source=None, type="tmpfs")]}  # noqa: S108
"""A writable directory that a container with a read-only root file system is given."""

_TMPFS = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
"""The options of a volume that is mounted as `mount -t tmpfs` would do it."""


def all_limits() -> dict[str, Any]:
    """Return the options of `docker run` that set all limits at once."""
    return {key: value for limit in LIMITS.values() for key, value in limit.items()}


def volume(lab: Lab, *, in_memory: bool = False) -> AbstractContextManager[str]:
    """Return a volume of the lab's, to be made by `with`, for its name.

    One that is `in_memory` is a tmpfs: it is empty again when no container has it mounted.
    """
    driver_options = _TMPFS if in_memory else None
    return lab.own(lab.engine.docker.volumes.create, driver_opts=driver_options)


def mounted(name: str, folder: str) -> dict[str, Any]:
    """Return the option of `docker run` that mounts a volume at a folder of the container."""
    return {"mounts": [Mount(target=folder, source=name, type="volume")]}


def guestbook(lab: Lab, image: Image, **arguments: Any) -> Container:
    """Return a container of a guestbook that listens as soon as it is started, by `with`."""
    arguments.setdefault("ready", GUESTBOOK_READY)
    return lab.start(image, ports=[GUESTBOOK_PORT], **arguments)


def _asked(app: Container, path: str) -> httpx.Response:
    """Return an answer; a connection that breaks is tried again."""
    import httpx

    stumbles = 0
    while True:
        try:
            return app.ask(GUESTBOOK_PORT, path, timeout_seconds=10).raise_for_status()
        except httpx.HTTPError as error:
            stumbles += 1
            if stumbles > STUMBLES or not isinstance(error, httpx.TransportError):
                raise CouldNotMeasure(f"The guestbook does not answer {path}: {error}.") from error
        time.sleep(PAUSE_SECONDS)


def entries_of(app: Container) -> int:
    """Return how many entries a guestbook has.

    Raises:
        CouldNotMeasure: it does not tell.
    """
    return len(_asked(app, "/entries").json()["entries"])


def write_entries(app: Container, count: int) -> None:
    """Write entries into a guestbook, by one request each.

    Where a connection breaks, the guestbook is asked whether it has taken the entry.

    Raises:
        CouldNotMeasure: it does not take one.
    """
    import httpx

    url = f"http://{app.address(GUESTBOOK_PORT)}/entries"
    wanted = entries_of(app) + count
    missing, stumbles = count, 0
    with httpx.Client(timeout=10, trust_env=False) as client:
        while missing > 0:
            try:
                client.post(url, content=f"entry {missing}".encode()).raise_for_status()
                missing -= 1
            except httpx.HTTPError as error:
                stumbles += 1
                if stumbles > STUMBLES or not isinstance(error, httpx.TransportError):
                    told = f"The guestbook does not take an entry: {error}."
                    raise CouldNotMeasure(told) from error
                missing = wanted - entries_of(app)


def kept_entries(lab: Lab, image: Image, count: int, options: Mapping[str, Any]) -> dict[str, int]:
    """Write entries, replace the container by a new one of the same image, and count both times."""
    with guestbook(lab, image, options=options) as app:
        write_entries(app, count)
        before = entries_of(app)
    with guestbook(lab, image, options=options) as app:
        return {"entries_before": before, "entries_left": entries_of(app)}


def greeting_of(app: Container) -> str:
    """Return the words with which a guestbook greets.

    Raises:
        CouldNotMeasure: it does not.
    """
    return _asked(app, "/").text.partition(":")[0]


def promotion(
    lab: Lab,
    greetings: Mapping[str, str],
    images: Mapping[str, Image],
    environments: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Run each environment's image with its variables; tell what is run, and whether it is right.

    All three mappings are by the environment's name, and `staging` is where the test is.
    """
    own = 0
    for name, greeting in greetings.items():
        with guestbook(lab, images[name], environment=environments[name]) as app:
            own += greeting_of(app) == greeting
    digests = {name: image.config_digest for name, image in images.items()}
    return {
        "digests": len(set(digests.values())),
        "tested_is_shipped": digests["staging"] == digests["prod"],
        "own_greetings": own,
    }


def inspected_variable(app: Container, name: str) -> str:
    """Return a variable of the container's environment as `docker inspect` tells it."""
    container = app.get_wrapped_container()
    with talking_to(app.engine):
        container.reload()
    return variable(container.attrs["Config"]["Env"] or [], name)


def variable(environment: list[str], name: str) -> str:
    """Return the value of a variable in a list of `NAME=value`, or `(not told)`."""
    values = dict(told.partition("=")[::2] for told in environment)
    return values.get(name, "(not told)")


def end_by_signal(app: Container, comm: str, *, seconds: float = 15.0) -> None:
    """Send TERM to the first process of this name, and wait until there is none of that name.

    The signal comes from within the container, as from a colleague who has a shell there.

    Raises:
        CouldNotMeasure: there is no such process, or it does not end.
    """
    first = next((p for p in app.processes() if p.comm.startswith(comm)), None)
    if first is None:
        raise CouldNotMeasure(f"The container has no process {comm!r}.")
    app.exec(["sh", "-c", f"kill -TERM {first.pid}"])
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if app.state().status != "running":
            return
        try:
            if not any(p.comm.startswith(comm) and not p.is_zombie for p in app.processes()):
                return
        except CouldNotMeasure:  # it ended meanwhile, which the next look tells
            pass
        time.sleep(0.2)
    raise CouldNotMeasure(f"{comm!r} did not end within {seconds:.0f} s of TERM.")


def answers(
    lab: Lab, image: Image, options: Mapping[str, Any], ports: list[int], *, seconds: float = 3.0
) -> bool:
    """Tell whether a server starts under limits and answers on one of the ports.

    A container that the engine does not start, or that ends, does not answer.
    """
    try:
        with lab.start(image, ports=ports, options={**TEMPORARY, **options}) as app:
            until = time.monotonic() + seconds
            while app.state().status == "running" and time.monotonic() < until:
                if any(app.get(port) == 200 for port in ports):
                    return True
                time.sleep(0.1)
    except ContainerError:
        return False
    return False


def surface(lab: Lab, image: Image) -> dict[str, int]:
    """Count what an attacker finds in an image and in its container, and what it does for us.

    Raises:
        CouldNotMeasure: the container ends, or what it does goes on changing.
    """
    with lab.start(image, ports=[SSH_PORT, WEB_PORT, GUESTBOOK_PORT]) as app:
        return {
            "functions": len(_settled(app)),
            "processes": len(app.processes()),
            "packages": len(image.contents.packages),
            "setuid": len(image.contents.setuid),
            "ports": len(listening_ports(app.sockets())),
        }


def _settled(app: Container) -> tuple[str, ...]:
    """Return a container's functions as soon as none has come or gone for some seconds.

    Raises:
        CouldNotMeasure: they come and go all the time.
    """
    until = time.monotonic() + ALL_SETTLED_SECONDS
    found, since = functions(app), time.monotonic()
    while time.monotonic() - since < SETTLE_SECONDS:
        if time.monotonic() > until:
            raise CouldNotMeasure(f"The functions still change after {ALL_SETTLED_SECONDS:.0f} s.")
        time.sleep(0.5)
        now = functions(app)
        if now != found:
            found, since = now, time.monotonic()
    return found


def functions(app: Container) -> tuple[str, ...]:
    """Return which of the machine's four functions a container has, each by its own answer.

    nginx answers a request, gunicorn one for the guestbook (through nginx, where that stands
    before it), and the remote shell with its banner (RFC 4253, section 4.2). cron has no port: it
    is there as long as its process is.
    """
    answers = {port: _answer(app, port) for port in (WEB_PORT, GUESTBOOK_PORT)}
    found = {
        "nginx": any(told and told[0].startswith("nginx") for told in answers.values()),
        "gunicorn": any(told and told[1] == HTTPStatus.OK for told in answers.values()),
        "sshd": _banner(app, SSH_PORT).startswith(b"SSH-2.0-"),
        "cron": any(p.comm == "cron" and not p.is_zombie for p in app.processes()),
    }
    return tuple(name for name, works in found.items() if works)


def _answer(app: Container, port: int) -> tuple[str, int] | None:
    """Return the server's name and the status with which a port answers, or None."""
    import httpx

    try:
        response = app.ask(port)
    except (CouldNotMeasure, httpx.TransportError):
        return None
    return response.headers.get("server", ""), response.status_code


def _banner(app: Container, port: int) -> bytes:
    """Return what a port says by itself when somebody connects, or nothing."""
    host, _, number = app.address(port).rpartition(":")
    try:
        with socket.create_connection((host, int(number)), timeout=5) as connection:
            return connection.recv(64)
    except OSError:
        return b""


def largest(*counted: Measured) -> Measured:
    """Return the largest of each figure, or why one of the images could not be measured."""
    figures: list[Figures] = []
    for measured in counted:
        if isinstance(measured, NotMeasured):
            return measured
        figures.append(measured)
    return {name: max(counts[name] for counts in figures) for name in figures[0]}


def listening_ports(table: str) -> tuple[int, ...]:
    """Return the ports of the listening sockets in /proc/net/tcp and tcp6, each port once."""
    return tuple(sorted({int(at.rpartition(":")[2], 16) for at in parse_listening(table)}))
