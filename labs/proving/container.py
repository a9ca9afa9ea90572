"""Containers that are started, looked at from outside and stopped as Kubernetes would.

Nothing here needs a shell or a tool inside the image: processes are read by a helper container
in the same PID namespace, times are the engine's own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from docker.errors import APIError, DockerException, NotFound
from testcontainers.core.container import DockerContainer

from . import disk
from .engine import TIMEOUT_SECONDS, Engine, has_stumbled, point_testcontainers_at, talking_to
from .errors import ContainerError, CouldNotMeasure
from .helper import help_by
from .spans import note, span

if TYPE_CHECKING:
    import httpx

READY_SECONDS = 60.0
EVENT_SECONDS = 90.0
"""How long after the grace period the engine's note of a container's end is waited for."""

KILLED = 137
"""The exit status of a process that SIGKILL ended: 128 + 9."""

LIST_PROCESSES = r"""
for stat in /proc/[0-9]*/stat; do
  pid=${stat#/proc/}; pid=${pid%/stat}
  { read -r line < "$stat"; } 2>/dev/null || continue
  args=$(tr '\0\n' '  ' < "/proc/$pid/cmdline" 2>/dev/null)
  printf '%s\t%s\n' "$line" "$args"
done
"""
_SOCKETS = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || true"
_LISTENING = "0A"
"""The state of a listening socket in /proc/net/tcp (proc_pid_net(5), TCP_LISTEN)."""

_STAT = re.compile(r"^(\d+) \((.*)\) (\S) (\d+) [^\t]*\t(.*)$", re.DOTALL)


@dataclass(frozen=True)
class Process:
    """A process of a container, as /proc/[pid]/stat tells (proc_pid_stat(5))."""

    pid: int
    ppid: int
    state: str
    comm: str
    args: str

    @property
    def is_zombie(self) -> bool:
        """Whether the process has ended and its parent has not waited for it."""
        return self.state == "Z"


@dataclass(frozen=True)
class Stop:
    """A graceful stop: the stop signal, a grace period, and SIGKILL where that was not enough.

    `seconds` is the time from the signal to the end of PID 1; `term_at` and `died_at` are
    Unix seconds. All are the engine's own timestamps.
    """

    seconds: float
    exit_status: int
    killed: bool
    signal: int
    term_at: float
    died_at: float


@dataclass(frozen=True)
class State:
    """What the engine says of a container: `running`, `exited`, …; its status and restarts."""

    status: str
    exit_status: int
    restarts: int


def parse_processes(text: str) -> tuple[Process, ...]:
    """Return the processes that the helper container has listed, by their PIDs."""
    found = []
    for line in text.splitlines():
        if match := _STAT.match(line):
            pid, comm, state, ppid, args = match.groups()
            found.append(Process(int(pid), int(ppid), state, comm, args.strip()))
    return tuple(sorted(found, key=lambda process: process.pid))


def parse_listening(table: str) -> tuple[str, ...]:
    """Return the local addresses of the listening sockets in /proc/net/tcp and tcp6.

    They are as the kernel writes them, `ADDRESS:PORT` in hexadecimal digits (proc_pid_net(5)).
    """
    rows = [line.split() for line in table.splitlines()]
    return tuple(row[1] for row in rows if len(row) > 3 and row[3] == _LISTENING)


class Container(DockerContainer):
    """A `testcontainers` container that is published on an address of our choice.

    testcontainers believes that it runs inside a container wherever `/.dockerenv` exists, and
    answers with the bridge's gateway; `address` does not ask it.
    `called` is its name where somebody looks into where time goes; by default that of its image.
    """

    def __init__(
        self,
        engine: Engine,
        image: str,
        *,
        helper_image: str,
        labels: Mapping[str, str] | None = None,
        command: str | Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        ports: Sequence[int] = (),
        restart: str | None = None,
        ready: str | None = None,
        ready_seconds: float = READY_SECONDS,
        options: Mapping[str, Any] | None = None,
        called: str | None = None,
    ) -> None:
        point_testcontainers_at(engine)
        client = {"timeout": TIMEOUT_SECONDS}
        super().__init__(image, docker_client_kw=client, env=dict(environment or {}))
        self.engine = engine
        self._called = called or image
        self._helper_image = helper_image
        self._labels = dict(labels or {})
        self._ready, self._ready_seconds = ready, ready_seconds
        if command is not None:
            self.with_command(command if isinstance(command, str) else list(command))
        published: dict[str, Any] = {f"{port}/tcp": (engine.published_on, None) for port in ports}
        self.ports.update(published)
        self.with_kwargs(labels=self._labels, **_restart(restart), **(options or {}))

    def start(self) -> Self:
        """Create and start the container, and wait until it is ready where that was asked for.

        A start at which the engine itself has stumbled is tried once more.

        Raises:
            ContainerError: it did not start or did not become ready; its last lines are quoted.
            EngineError: the engine went away.
        """
        with talking_to(self.engine):
            try:
                with span("start", self._called):
                    self._start()
            except APIError as error:
                full = f" {disk.sentence(self.engine)}" if disk.is_told_in(str(error)) else ""
                raise ContainerError(
                    f"The container of {self.image[:32]} did not start: {error.explanation}{full}"
                ) from error
            if self._ready is not None:
                with span("ready", self._called):
                    self._wait_until_ready(self._ready)
        return self

    def _start(self) -> None:
        try:
            super().start()
        except APIError as error:
            if not has_stumbled(error):
                raise
            if self._container is not None:
                self._container.remove(force=True, v=True)
            super().start()

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:
        """Remove the container, whatever it does, with its anonymous volumes."""
        if self._container is None:
            return
        client = self.get_docker_client().client
        with talking_to(self.engine), span("removal", self._called):
            try:
                self._container.remove(force=force, v=delete_volume)
            except NotFound:
                return
            except APIError as error:  # two of us remove it at once
                if error.status_code != HTTPStatus.CONFLICT:
                    raise
            finally:
                client.close()

    def _wait_until_ready(self, pattern: str) -> None:
        until = time.monotonic() + self._ready_seconds
        while not re.search(pattern, self.log_text(), re.MULTILINE):
            state = self.state()
            if state.status not in ("created", "running", "restarting"):
                raise ContainerError(
                    f"The container ended with exit status {state.exit_status} before it was "
                    f"ready ({pattern!r} in its log). Its last lines:\n{self._last_lines()}"
                )
            if time.monotonic() > until:
                raise ContainerError(
                    f"The container was not ready within {self._ready_seconds:.0f} s "
                    f"({pattern!r} in its log). Its last lines:\n{self._last_lines()}"
                )
            time.sleep(0.05)

    def _last_lines(self) -> str:
        from .system import last_lines

        return last_lines(self.log_text()) or "    (it has logged nothing)"

    def address(self, port: int) -> str:
        """Return `host:port` at which a published port is reached from here.

        Raises:
            CouldNotMeasure: the port is not published, or the container does not run.
        """
        container = self.get_wrapped_container()
        with talking_to(self.engine):
            container.reload()
        bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{port}/tcp") or []
        if not bindings:
            raise CouldNotMeasure(f"Port {port} of the container is not published.")
        return f"{self.engine.host}:{bindings[0]['HostPort']}"

    def bridge_address(self) -> str:
        """Return the address on the engine's default bridge, where other containers reach it.

        Raises:
            ContainerError: it does not run, or the engine gave it none.
        """
        container = self.get_wrapped_container()
        with talking_to(self.engine):
            container.reload()
        networks: Mapping[str, Any] = container.attrs["NetworkSettings"]["Networks"]
        found = (networks.get("bridge") or {}).get("IPAddress")
        if not found:
            raise ContainerError(
                f"The container of {self._called} has no address on the engine's default bridge, "
                "by which others reach it: it does not run, or the engine is set to have no such "
                "network."
            )
        return str(found)

    def log_text(self) -> str:
        """Return all that the container has written to stdout and stderr."""
        with talking_to(self.engine):
            return bytes(self.get_wrapped_container().logs()).decode(errors="replace")

    def wait_for_log(self, pattern: str, *, times: int = 1, seconds: float = 20.0) -> int:
        """Wait until the log matches a pattern this many times; return how often it does.

        After the given seconds it returns what it has found by then.
        """
        until = time.monotonic() + seconds
        with span("log", pattern):
            while True:
                found = len(re.findall(pattern, self.log_text(), re.MULTILINE))
                if found >= times or time.monotonic() > until:
                    return found
                time.sleep(0.1)

    def get(self, port: int, path: str = "/") -> int | None:
        """Request a path of a published port; return the HTTP status, or None where none came."""
        import httpx

        try:
            return self.ask(port, path).status_code
        except (CouldNotMeasure, httpx.TransportError):
            return None

    def ask(self, port: int, path: str = "/", *, timeout_seconds: float = 5.0) -> httpx.Response:
        """Return what a published port answers a GET with, whatever its status.

        Proxies of the environment are not asked: they would not find this machine's own ports.

        Raises:
            CouldNotMeasure: the port is not published, or the container does not run.
            httpx.TransportError: no answer came.
        """
        import httpx

        url = f"http://{self.address(port)}{path}"
        return httpx.get(url, timeout=timeout_seconds, trust_env=False)

    def log_bytes(self) -> int:
        """Return how many bytes the engine has of the container's stdout and stderr."""
        with talking_to(self.engine):
            return len(self.get_wrapped_container().logs())

    def state(self) -> State:
        """Return the engine's view of the container's state."""
        container = self.get_wrapped_container()
        with talking_to(self.engine):
            container.reload()
        state = container.attrs["State"]
        return State(state["Status"], state["ExitCode"], container.attrs.get("RestartCount", 0))

    def changed_files(self) -> tuple[str, ...]:
        """Return the paths that the container has changed or added in its writable layer."""
        with talking_to(self.engine):
            changes = self.get_wrapped_container().diff() or []
        return tuple(change["Path"] for change in changes if change["Kind"] != 2)

    def processes(self) -> tuple[Process, ...]:
        """Return the container's processes, seen from a helper in its PID namespace.

        Raises:
            CouldNotMeasure: the container does not run.
        """
        own = f"container:{self.get_container_id()}"
        with span("processes", self._called):
            listed = self._from_outside(
                "processes", LIST_PROCESSES, pid_mode=own, network_mode="none"
            )
        return without_helper(parse_processes(listed))

    def sockets(self) -> str:
        """Return /proc/net/tcp and tcp6 as a helper in its network namespace sees them.

        Raises:
            CouldNotMeasure: the container does not run.
        """
        own = f"container:{self.get_container_id()}"
        return self._from_outside("sockets", _SOCKETS, network_mode=own)

    def _from_outside(self, what: str, script: str, **options: Any) -> str:
        """Run a script in a helper container that shares namespaces with this one."""
        options = {"entrypoint": "", **options}
        command = ["sh", "-c", script]
        helped = help_by(self.engine, self._helper_image, command, self._labels, **options)
        if helped.well:
            return helped.output.decode(errors="replace")
        if (state := self.state()).status != "running":  # the helper dies with its namespace
            raise CouldNotMeasure(
                f"The container ended with exit status {state.exit_status} before its {what} could "
                f"be seen. Its last lines:\n{self._last_lines()}"
            )
        raise CouldNotMeasure(f"The container's {what} cannot be seen: {helped.fault}.")

    def process(self, pid: int) -> Process:
        """Return one process of the container by its PID there.

        Raises:
            CouldNotMeasure: there is no such process.
        """
        for process in self.processes():
            if process.pid == pid:
                return process
        raise CouldNotMeasure(f"The container has no process {pid}.")

    def zombies(self) -> int:
        """Return how many processes of the container have ended and were not waited for."""
        return sum(process.is_zombie for process in self.processes())

    def send_signal(self, name: str) -> None:
        """Send a signal such as `HUP` to the container's first process."""
        with talking_to(self.engine):
            self.get_wrapped_container().kill(name)

    def restart(self, grace_seconds: float) -> None:
        """Stop the container gracefully and start it again; it keeps its files and its network."""
        with talking_to(self.engine), span("restart", self._called):
            self.get_wrapped_container().restart(timeout=round(grace_seconds))

    def stop_gracefully(self, grace_seconds: float) -> Stop:
        """Send the image's stop signal, and SIGKILL after the grace period; tell what happened.

        Raises:
            CouldNotMeasure: the container did not run, or the engine tells no times of its stop.
        """
        container = self.get_wrapped_container()
        with talking_to(self.engine), span("stop", self._called):
            container.reload()
            if container.status != "running":
                raise CouldNotMeasure("The container had ended before it was told to stop.")
            with self._events(grace_seconds) as events:
                asked = time.monotonic()
                container.stop(timeout=round(grace_seconds))
                answered = time.monotonic()
                stop = read_stop(_to_the_end(events))
            note("grace period", self._called, asked, min(asked + stop.seconds, answered))
            return stop

    @contextmanager
    def _events(self, grace_seconds: float) -> Iterator[Iterable[dict[str, Any]]]:
        """Have the events of the container as they come, while it is stopped, and a while longer.

        An engine keeps its last 256 events only. On a busy one the stop signal would be forgotten
        before the grace period is over, and KILL be taken for it.
        """
        docker = self.engine.docker
        now = unix_seconds(docker.info()["SystemTime"])
        events = docker.api.events(
            since=now - 1,
            until=now + grace_seconds + EVENT_SECONDS,
            decode=True,
            filters={"container": self.get_container_id()},
        )
        try:
            yield events
        finally:
            with suppress(OSError, DockerException):  # it has ended, or cannot be ended from here
                events.close()


def _to_the_end(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events until a container's end, which newer engines tell some time after the stop."""
    read: list[dict[str, Any]] = []
    for event in events:
        read.append(event)
        if _kills_and_end(read)[1]:
            break
    return read


def read_stop(events: Sequence[Mapping[str, Any]]) -> Stop:
    """Read a stop from the engine's events: the first `kill`, the `die` after it, and its status.

    Raises:
        CouldNotMeasure: one of the events is missing.
    """
    kills, end = _kills_and_end(events)
    if end is None:
        raise CouldNotMeasure("The engine's events do not tell when the container was stopped.")
    first = kills[0]
    signals = [int(kill["Actor"]["Attributes"]["signal"]) for kill in kills]
    term_at, died_at = first["timeNano"] / 1e9, end["timeNano"] / 1e9
    return Stop(
        seconds=died_at - term_at,
        exit_status=int(end["Actor"]["Attributes"]["exitCode"]),
        killed=9 in signals,
        signal=signals[0],
        term_at=term_at,
        died_at=died_at,
    )


def _kills_and_end(
    events: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], Mapping[str, Any] | None]:
    """Return the `kill` events and the `die` after the first one, if there is one."""
    kills: list[Mapping[str, Any]] = []
    for event in events:
        action = event.get("Action", event.get("status"))
        if action == "kill":
            kills.append(event)
        elif action == "die" and kills:
            return kills, event
    return kills, None


def without_helper(processes: tuple[Process, ...]) -> tuple[Process, ...]:
    """Leave out what a helper has started: its parent lies outside of the namespace (PID 0)."""
    strangers: set[int] = set()
    for process in processes:
        if (process.ppid == 0 and process.pid != 1) or process.ppid in strangers:
            strangers.add(process.pid)
    return tuple(process for process in processes if process.pid not in strangers)


def _restart(policy: str | None) -> dict[str, Any]:
    if policy is None:
        return {}
    name, _, count = policy.partition(":")
    return {"restart_policy": {"Name": name, "MaximumRetryCount": int(count or 0)}}


def unix_seconds(timestamp: str) -> float:
    """Return one of the engine's timestamps (RFC 3339) in Unix seconds; the year 1 is below 0."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", timestamp)).timestamp()
