"""What reaches a container at run time, and when it is missed: the measurements of chapter 8."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from docker.types import Mount

from . import leftovers, packages, qualities
from .attempt import attempt
from .container import Container, parse_listening, unix_seconds
from .engine import talking_to
from .errors import ContainerError, CouldNotMeasure
from .helper import help_by
from .spans import span

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

PORT = 8000
"""Where the applications of R1, R2 and R6 listen."""

READY = "^ready"

STARTS = 3
"""How often an application that ends by itself is started to time that."""

_LOG_SECONDS = 20.0
_NOTED_LATE_SECONDS = 1.0
_IPV4_LENGTH = len("0100007F:1F90")

_TRY = r"""
ask() {
  exec 3<>"/dev/tcp/${1%:*}/${1#*:}" && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && read -r status <&3
  [[ $status == HTTP/*' 200 '* ]]
}
export -f ask
for address; do timeout 3 bash -c 'ask "$0"' "$address" 2>/dev/null && echo "$address"; done
true
"""
"""For bash, which the SLIM base has: it prints those addresses on which a web server answers."""


def answer(app: Container, port: int = PORT, path: str = "/") -> str:
    """Return the body with which a published port answers a GET, or nothing where none comes.

    An answer that is no success is none.

    Raises:
        CouldNotMeasure: the port is not published, or the container does not run.
    """
    import httpx

    try:
        return app.ask(port, path).raise_for_status().text
    except httpx.HTTPError:
        return ""


def served(
    lab: Lab,
    images: Mapping[str, Image],
    given: Mapping[str, Mapping[str, Any]],
    expected: Mapping[str, str],
) -> dict[str, int]:
    """Count the images for several settings, and the settings that they serve.

    All mappings are by the setting's name: its image, what a container is started with for it
    (arguments of `Lab.start`), and the answer that shows it.
    `first_image_serves` counts the settings that the image of the first one can be given.
    """
    first = next(iter(images.values()))
    own = _answers(lab, images, given)
    others = {name: first for name, image in images.items() if image is not first}
    all_by_first = {**own, **_answers(lab, others, given)}
    return {
        "config_digests": len({image.config_digest for image in set(images.values())}),
        "own_settings": _right(own, expected),
        "first_image_serves": _right(all_by_first, expected),
    }


def _right(answers: Mapping[str, str], expected: Mapping[str, str]) -> int:
    return sum(answers[name] == wanted for name, wanted in expected.items())


def _answers(
    lab: Lab, images: Mapping[str, Image], given: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Start a container for each setting, and return what each answers, or nothing."""
    with ExitStack() as running:
        apps = {
            name: running.enter_context(lab.start(image, ports=[PORT], **given[name]))
            for name, image in images.items()
        }
        return {name: answer(app) if starts(app) else "" for name, app in apps.items()}


def starts(app: Container, *, seconds: float = 20.0) -> bool:
    """Tell whether a container says that it is ready, before it ends or the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        running = app.state().status == "running"
        if re.search(READY, app.log_text(), re.MULTILINE):
            return True
        if not running:
            return False
        time.sleep(0.05)
    return False


@contextmanager
def volume_with(lab: Lab, files: Mapping[str, bytes]) -> Iterator[str]:
    """Create a volume that holds these files; yield its name, and remove it at the end.

    The files go in through a container that is created for it and never started.

    Raises:
        ContainerError: the engine does not take them.
    """
    from docker.errors import APIError

    folder = "/filled"
    with qualities.volume(lab) as name:
        with talking_to(lab.engine), span("volume", ", ".join(files)):
            helper = lab.engine.docker.containers.create(
                lab.helper_image,
                network_mode="none",
                labels=leftovers.label(lab.run),
                **qualities.mounted(name, folder),
            )
            try:
                helper.put_archive(folder, packages.archive(files))
            except APIError as error:
                raise ContainerError(f"A volume was not filled: {error.explanation}") from error
            finally:
                helper.remove(force=True)
        yield name


def mounted_for_reading(name: str, folder: str) -> dict[str, Any]:
    """Return the option of `docker run` that mounts a volume where a container may only read it."""
    return {"mounts": [Mount(target=folder, source=name, type="volume", read_only=True)]}


def arrived(lab: Lab, image: Image, given: Sequence[str]) -> list[str]:
    """Return the arguments that an image's program says it was started with; it prints JSON.

    Raises:
        CouldNotMeasure: it does not end well, or prints something else.
    """
    came = attempt(lab, image, given)
    try:
        told = json.loads(came.output)
    except ValueError as error:
        raise CouldNotMeasure(
            f"{image.name} prints no list of arguments, but {came.output[:80]!r}; its exit status "
            f"is {came.exit_status}."
        ) from error
    if not isinstance(told, list):
        raise CouldNotMeasure(f"{image.name} prints no list of arguments, but {told!r}.")
    return [str(argument) for argument in told]


def intact(given: Mapping[str, str], came: Sequence[str]) -> dict[str, bool]:
    """Tell of each argument, by its name, whether it is among those that came; each counts once."""
    left = Counter(came)
    found = {}
    for name, argument in given.items():
        found[name] = left[argument] > 0
        left[argument] -= 1
    return found


@dataclass(frozen=True)
class Run:
    """When a container's first process began and ended; Unix seconds of the engine's clock."""

    started_at: float
    ended_at: float | None


def run_of(app: Container) -> Run:
    """Return the engine's timestamps of a container; one that runs has not ended.

    Raises:
        CouldNotMeasure: it was never started.
    """
    container = app.get_wrapped_container()
    with talking_to(app.engine):
        container.reload()
    return parse_run(container.attrs["State"])


def parse_run(state: Mapping[str, Any]) -> Run:
    """Return the timestamps out of the state that `docker inspect` tells.

    Raises:
        CouldNotMeasure: the container was never started, which engines tell by the year 1.
    """
    started_at = unix_seconds(state["StartedAt"])
    if started_at < 0:
        raise CouldNotMeasure("The container was never started.")
    return Run(started_at, None if state["Running"] else unix_seconds(state["FinishedAt"]))


def seconds_between(started_at: float, ended_at: float) -> float:
    """Return the seconds from a start to an end by the engine's clock, and never less than none.

    An engine notes a start a moment after it. A program that ends at once may end before the note.

    Raises:
        CouldNotMeasure: it ended long before, so that the two times do not belong together.
    """
    seconds = ended_at - started_at
    if seconds < -_NOTED_LATE_SECONDS:
        raise CouldNotMeasure(f"The engine tells of an end {-seconds:.1f} s before the start.")
    return max(seconds, 0.0)


def first_line_at(log: str, pattern: str) -> float:
    """Return when the engine took the first line of a log that matches, in Unix seconds.

    The log is one with timestamps, as `docker logs --timestamps` tells it.

    Raises:
        CouldNotMeasure: no line matches.
    """
    for line in log.splitlines():
        stamp, _, told = line.partition(" ")
        if re.search(pattern, told):
            return unix_seconds(stamp)
    raise CouldNotMeasure(f"No line of the log matches {pattern!r}.")


def with_all_settings(lab: Lab, image: Image, settings: Mapping[str, str], path: str) -> bool:
    """Tell whether an application that has all its settings answers a path well."""
    with lab.start(image, ports=[PORT], environment=settings) as app:
        return starts(app) and answer(app, path=path) != ""


def first_failure(
    lab: Lab, image: Image, path: str, *, settings: Mapping[str, str], after_seconds: float
) -> dict[str, Any]:
    """Start an application without its settings; tell when that shows, and how.

    Where it does not end by itself, it is asked for a path so many seconds after its start.
    Its failure is its end, or the first line of a traceback in its log; both times are the
    engine's. Of an application that ends by itself the shortest of three starts counts: the others
    tell what else the machine had to do. Meanwhile another container, with all settings, shows
    whether it works at all.

    Raises:
        CouldNotMeasure: it runs, and does not fail at the request.
    """
    with lab.start(image, ports=[PORT]) as app:
        asked_at = time.monotonic() + after_seconds
        _wait_for_end(app, asked_at - after_seconds / 2)  # a second start would slow this one down
        works = with_all_settings(lab, image, settings, path)
        _wait_for_end(app, asked_at)
        healthy = app.state().status == "running" and answer(app, path="/health") != ""
        log = app.log_text()
        if (ended_at := run_of(app).ended_at) is None:
            status = app.get(PORT, path)
            if not app.wait_for_log("^Traceback", seconds=_LOG_SECONDS):
                raise CouldNotMeasure(
                    f"{image.name} answers {path} with the status {status}, and no failure is in "
                    "its log."
                )
            first_request = f"status {status}" if status else "no answer"
            with talking_to(lab.engine):
                stamped: bytes = app.get_wrapped_container().logs(timestamps=True)
            failed_at = first_line_at(stamped.decode(errors="replace"), "^Traceback")
        else:
            first_request, failed_at = "none: it has ended", ended_at
        seconds, state = seconds_between(run_of(app).started_at, failed_at), app.state()
        if ended_at is not None:
            others = (_seconds_to_end(lab, image, within=after_seconds) for _ in range(STARTS - 1))
            seconds = min(seconds, *others)
        return {
            "seconds": seconds,
            "state": state.status,
            "exit_status": state.exit_status if state.status == "exited" else "none",
            "names_setting": any(name in log for name in settings),
            "healthy": healthy,
            "first_request": first_request,
            "works_with_settings": works,
        }


def _seconds_to_end(lab: Lab, image: Image, *, within: float) -> float:
    """Return the seconds in which an application ends once more; infinite where it runs on."""
    with lab.start(image) as app:
        _wait_for_end(app, time.monotonic() + within)
        ended = run_of(app)
    return math.inf if ended.ended_at is None else seconds_between(ended.started_at, ended.ended_at)


def _wait_for_end(app: Container, until: float) -> None:
    while app.state().status == "running" and time.monotonic() < until:
        time.sleep(0.1)


def exposed(image: Image) -> str:
    """Return the ports that an image's configuration names (EXPOSE), or `none`."""
    named = image.get_wrapped_image().attrs["Config"].get("ExposedPorts") or {}
    return ", ".join(sorted(named)) or "none"


def listeners(table: str) -> tuple[str, ...]:
    """Return the `address:port` of IPv4's listening sockets in /proc/net/tcp (proc_pid_net(5)).

    The address is a number in the order of the machine's bytes; those of the architectures that
    run containers put the last byte first.
    """
    found = {_address(text) for text in parse_listening(table) if len(text) == _IPV4_LENGTH}
    return tuple(sorted(found))


def _address(text: str) -> str:
    number, _, port = text.partition(":")
    octets = [str(int(number[place : place + 2], 16)) for place in range(6, -1, -2)]
    return f"{'.'.join(octets)}:{int(port, 16)}"


def reach(lab: Lab, image: Image, port: int) -> dict[str, Any]:
    """Tell from where a server is reached on a port, and where it listens.

    A neighbour is another container on the engine's default bridge. From outside means by way of
    a port that the engine publishes; from inside, within the container's own network.

    Raises:
        CouldNotMeasure: it does not get ready, or listens nowhere.
    """
    options = {"network_mode": "bridge"}
    with lab.start(image, ports=[port], ready=READY, options=options) as app:
        sockets = listeners(app.sockets())
        if not sockets:
            raise CouldNotMeasure(f"{image.name} listens on no port.")
        own = {"network_mode": f"container:{app.get_container_id()}"}
        here, there = app.bridge_address(), sockets[0].rpartition(":")[2]
        near = _reached(lab, [f"{here}:{port}", f"{here}:{there}"], options)
        return {
            "exposed": exposed(image),
            "listens_on": ", ".join(sockets),
            "from_neighbour": f"{here}:{port}" in near,
            "from_outside": answer(app, port) != "",
            "from_inside": bool(_reached(lab, [f"127.0.0.1:{port}"], own)),
            "where_it_listens": f"{here}:{there}" in near,
        }


def _reached(lab: Lab, addresses: Sequence[str], network: Mapping[str, Any]) -> set[str]:
    """Return those of the addresses on which a web server answers a helper in a network.

    Raises:
        CouldNotMeasure: the helper does not start, or fails.
    """
    with span("reach", " ".join(addresses)):
        helped = help_by(
            lab.engine,
            lab.helper_image,
            ["bash", "-c", _TRY, "try", *addresses],
            leftovers.label(lab.run),
            **network,
        )
    if not helped.well:
        raise CouldNotMeasure(f"Nobody could try to reach the server: {helped.fault}.")
    return set(helped.output.decode().split())
