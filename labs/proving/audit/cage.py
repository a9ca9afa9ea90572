"""A cage for an image that nobody trusts: it runs, is looked at from outside, and is gone after.

The container has no network but a loopback interface, which a companion made it; requests to it
come from there. It gets no privileges that it was not born with, and, where it starts without
them, no capabilities. Its memory, processes, processor time, log and written bytes are bounded, its
seconds too. Nothing of the host is mounted, and no port is published.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from docker.errors import APIError, NotFound
from docker.types import LogConfig, Mount, Ulimit

from .. import leftovers
from ..container import Container, Process, parse_processes, unix_seconds, without_helper
from ..engine import talking_to
from ..errors import ContainerError, CouldNotMeasure
from ..helper import help_by, started
from ..system import last_lines
from .secrets import one_line

if TYPE_CHECKING:
    from docker.models.containers import Container as Raw

    from ..lab import Lab

HOST_NAME = "audited"
SETTLE_SECONDS = 3.0
"""How long something that opens no port has to run to be up, unless it is told otherwise."""

_LOOK_SECONDS = 0.1
_HOLD_SECONDS = 0.4
"""How long after the first sign a container has to be still there to be up."""

_WATCH_SECONDS = 0.5
_LINE_OVERHEAD = 70
"""What the engine stores with each line of a log: the stream's name, the time, and punctuation."""

_CHANGES_BYTES = 4 * 2**20
_DELETED = 2
_PORTS_TOLD = 8
_SHORTEST_SECRET = 6
_LINES = 3

_NOT_PLAIN = 1 << 31 | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19
"""Directories, links, devices, pipes, sockets and the like in Go's `os.FileMode`."""

WATCH_PORTS = r"""
exec 9<> <(:)
last=none still=0
while :; do
  ports=
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r $table ] || continue
    while read -r _ local _ state _; do
      [ "$state" = 0A ] && ports="$ports $((16#${local##*:}))"
    done < $table
  done
  if [ "$ports" != "$last" ]; then echo "listening$ports"; still=0; fi
  last=$ports
  [ -z "$ports" ] || still=$((still + 1))
  if [ $still -gt 20 ]; then read -rt 1 -u 9; else read -rt 0.1 -u 9; fi
done
"""
"""For bash: it prints the ports that are listened on whenever they change (proc_pid_net(5)).

The kernel walks all of its table for each look, which takes about 10 ms of processor time. So it
looks less often once something has listened for two seconds without a change.
"""

ASK = r"""
ask() {
  local port=$1 path=$2 host
  status=
  for host in 127.0.0.1 ::1; do
    { exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null || continue
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: audit\r\nConnection: close\r\n\r\n' \
      "$path" >&3 2>/dev/null
    IFS= LC_ALL=C read -rt "${patience:-3}" -n 64 status <&3
    exec 3>&-
    break
  done
  [[ $status =~ ^HTTP/[0-9.]+\ ([0-9]{3}) ]] && status=${BASH_REMATCH[1]} || status=0
}
"""
"""For bash: `ask PORT PATH` sets `status` to that of an HTTP answer, or to 0 where none came."""

LIST_PROCESSES = r"""
for folder in /proc/[0-9]*; do
  { IFS= read -r line < "$folder/stat"; } 2>/dev/null || continue
  words=()
  { mapfile -d '' -n 8 words < "$folder/cmdline"; } 2>/dev/null
  told=${words[*]}
  told=${told:0:200}
  printf '%s\t%s\n' "$line" "${told//[$'\n\t']/ }"
done
"""
"""For bash: like that of `container`, without a process for each, and with long arguments cut."""

_ASK_EACH = ASK + 'for target; do ask "${target%%/*}" "/${target#*/}"; echo "$status"; done'


@dataclass(frozen=True)
class Limits:
    """What a caged container may use.

    `written_bytes` are those of its writable layer and of its volumes together. Whoever writes more
    is ended at the next look, half a second later at most; a single file is never larger.
    """

    memory_bytes: int = 768 * 2**20
    processes: int = 512
    cpus: float = 1.0
    written_bytes: int = 512 * 2**20
    log_bytes: int = 4 * 2**20
    seconds: float = 60.0


@dataclass(frozen=True)
class Start:
    """How an image is started, and how to tell that it is up.

    The first of these that is given tells it: a `path` that answers with a status below 400, a
    line of its log that matches `log_line`, a `port` that is listened on, or `up_seconds` for which
    it runs. Where none is, it is up when it listens on a port that it exposes; one that exposes
    none is, when it has run for some seconds. It is waited for `patience_seconds`.
    `volumes` are paths where it gets an empty directory in memory.
    """

    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    path: str = ""
    log_line: str = ""
    up_seconds: float | None = None
    volumes: tuple[str, ...] = ()
    patience_seconds: float = 15.0


@dataclass(frozen=True)
class Declared:
    """What the configuration of an image says (OCI image spec, "Image Configuration")."""

    ports: tuple[int, ...]
    environment: Mapping[str, str]
    volumes: tuple[str, ...]
    user: str
    stop_signal: str
    has_command: bool
    architecture: str
    health_check: str


@dataclass(frozen=True)
class Up:
    """How a start went. `ports` are those on which it listens; `seconds` are since its start.

    Of one that is not up, `fault` is a sentence. One that has ended has an `exit_status`, and
    `listened` says on which ports it has been seen to listen before.
    """

    is_up: bool
    seconds: float
    told_by: str = ""
    ports: tuple[int, ...] = ()
    exit_status: int | None = None
    listened: tuple[int, ...] = ()
    fault: str = ""
    last_lines: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it ended before it was up."""
        return self.exit_status is not None


def declared(attributes: Mapping[str, Any]) -> Declared:
    """Read the engine's description of an image."""
    config = attributes.get("Config") or {}
    names = (name.partition("/") for name in config.get("ExposedPorts") or {})
    ports = {int(port) for port, _, kind in names if port.isdigit() and kind in ("", "tcp")}
    pairs = (str(told).partition("=") for told in config.get("Env") or [])
    health = (config.get("Healthcheck") or {}).get("Test") or []
    return Declared(
        ports=tuple(sorted(ports)),
        environment={name: value for name, _, value in pairs},
        volumes=tuple(sorted(config.get("Volumes") or {})),
        user=str(config.get("User") or ""),
        stop_signal=str(config.get("StopSignal") or "SIGTERM"),
        has_command=bool(config.get("Cmd") or config.get("Entrypoint")),
        architecture=str(attributes.get("Architecture") or "unknown"),
        health_check=one_line(" ".join(map(str, health))) if health[:1] != ["NONE"] else "",
    )


def after(seconds: float) -> str:
    """Return when something came, in words."""
    return "at once" if seconds < 0.1 else f"after {seconds:.1f} s"


def foreign(made_for: str, here: str) -> str:
    """Say why an engine of one architecture cannot execute a program, in a sentence."""
    if made_for != here:
        theirs = one_line(made_for, 40)
        return f"It is made for {theirs}, and the engine, which is {here}, cannot run it."
    return (
        f"Its program cannot be executed: it is made for another architecture than {here}, which "
        "the image names, or it is a script without a first line that names its interpreter."
    )


def ending(log: str) -> str:
    """Return the last lines of a stranger's log, for a sentence; empty where there are none."""
    text = "\n".join(line for line in log.splitlines() if line.strip())
    return " / ".join(one_line(line) for line in last_lines(text, _LINES).splitlines())


def numbers(ports: Sequence[int]) -> str:
    """Return ports as a list in words; only the first of very many."""
    told = ", ".join(map(str, ports[:_PORTS_TOLD])) or "none"
    return f"{told} and {len(ports) - _PORTS_TOLD} more" if len(ports) > _PORTS_TOLD else told


def parse_ports(told: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ports that are listened on now, and all that ever were, out of a watch's lines."""
    now: set[int] = set()
    ever: set[int] = set()
    for line in told.splitlines():
        word, *numbers = line.split()
        if word == "listening":
            now = {int(number) for number in numbers if number.isdigit()}
            ever |= now
    return tuple(sorted(now)), tuple(sorted(ever))


def parse_changes(told: bytes) -> tuple[str, ...]:
    """Return the paths that were changed or added, out of the engine's list, which may be cut."""
    text = told.decode(errors="replace")
    try:
        changes = json.loads(text) or []
    except ValueError:
        whole = text.rpartition("},")[0]
        try:
            changes = json.loads(f"{whole}}}]") if whole else []
        except ValueError:
            return ()
    return tuple(str(change["Path"]) for change in changes if change["Kind"] != _DELETED)


class Guard:
    """Ends caged containers that write too much or live too long; to be used by `with`.

    One thread looks at all of them. What it has ended, and why, it tells in a sentence.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._docker = lab.engine.connect()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._watched: dict[str, tuple[Cage, float]] = {}
        self._reasons: dict[str, str] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._watch, name="guard", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._docker.close()

    def close(self) -> None:
        """Let no further cage be opened: the audit has been broken off."""
        self._closed = True

    @property
    def is_closed(self) -> bool:
        """Whether no further cage may be opened."""
        return self._closed

    def take(self, cage: Cage, seconds: float) -> None:
        """Watch a cage from now on, for at most so many seconds."""
        with self._lock:
            self._watched[cage.id] = cage, time.monotonic() + seconds

    def leave(self, cage: Cage) -> None:
        """Watch a cage no more."""
        with self._lock:
            self._watched.pop(cage.id, None)

    def reason(self, cage: Cage) -> str:
        """Return why a cage was ended, or nothing."""
        return self._reasons.get(cage.id, "")

    def _watch(self) -> None:
        while not self._over.wait(_WATCH_SECONDS):
            with suppress(APIError, OSError, ValueError):  # the next look, or its wait, tells
                self._look()

    def _look(self) -> None:
        with self._lock:
            watched = dict(self._watched)
        if not watched:
            return
        listed = self._docker.api.containers(
            size=True, filters={"label": f"{leftovers.RUN_LABEL}={self._lab.run}"}
        )
        sizes = {found["Id"]: int(found.get("SizeRw") or 0) for found in listed}
        for name, (cage, until) in watched.items():
            limit = cage.limits.written_bytes
            if sizes.get(name, 0) + cage.volume_bytes() > limit:
                told = f"It was ended when it had written more than {limit // 2**20} MiB"
                self._end(cage, f"{told}, the bound of this audit.")
            elif time.monotonic() > until:
                self._end(cage, f"It was ended after {cage.limits.seconds:.0f} s, the bound.")

    def _end(self, cage: Cage, reason: str) -> None:
        self._reasons.setdefault(cage.id, reason)
        with suppress(APIError):
            self._docker.api.kill(cage.id)


class Cage:
    """A container of an untrusted image, and a companion in its network; to be used by `with`.

    `options` are further ones of docker-py's `containers.create`. Without `capabilities` it has
    none; with them it has the engine's usual ones. A variable whose value is None is taken away.

    Raises:
        ContainerError: the engine does not start it.
    """

    def __init__(
        self,
        lab: Lab,
        guard: Guard,
        image: str,
        declared: Declared,
        start: Start,
        *,
        capabilities: bool = False,
        limits: Limits | None = None,
        environment: Mapping[str, str | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.lab, self.guard, self.limits = lab, guard, limits or Limits()
        self.image, self.declared, self.given = image, declared, start
        self._capabilities = capabilities
        self._environment = {**start.environment, **(environment or {})}
        self._options = dict(options or {})
        self._stack = ExitStack()
        self._companion: Raw | None = None
        self._scale: Raw | None = None
        self.id = ""

    def __enter__(self) -> Self:
        if self.guard.is_closed:
            raise CouldNotMeasure("The audit has been broken off.")
        with ExitStack() as stack:
            self._companion = stack.enter_context(
                _running(self.lab, ["bash", "-c", WATCH_PORTS], **_companion_options())
            )
            self.app = self._container()
            stack.callback(self.app.stop)
            try:
                self.app.start()
            except ContainerError as error:
                raise ContainerError(self._refusal(error)) from error
            self.id = str(self.app.get_container_id())
            self._started = time.monotonic()
            self.guard.take(self, self.limits.seconds)
            stack.callback(self.guard.leave, self)
            if volumes := self._volumes():
                self._scale = stack.enter_context(_scale(self.lab, volumes))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def _beside(self) -> Raw:
        assert self._companion is not None  # noqa: S101 - there within `with`
        return self._companion

    def _container(self) -> Container:
        limits, start = self.limits, self.given
        mounts = [Mount(path, None, "tmpfs", tmpfs_size=64 * 2**20) for path in start.volumes]
        options = {
            "network_mode": f"container:{self._beside.id}",
            "security_opt": ["no-new-privileges"],
            "mem_limit": limits.memory_bytes,
            "memswap_limit": limits.memory_bytes,
            "pids_limit": limits.processes,
            "nano_cpus": round(limits.cpus * 1e9),
            "ulimits": [
                Ulimit(name="fsize", soft=limits.written_bytes, hard=limits.written_bytes),
                Ulimit(name="core", soft=0, hard=0),
            ],
            "log_config": _log(limits.log_bytes),
            "healthcheck": {"test": ["NONE"]},  # Kubernetes runs none either
            **({} if self._capabilities else {"cap_drop": ["ALL"]}),
            **self._options,
        }
        options["mounts"] = [*mounts, *self._options.get("mounts", ())]
        return Container(
            self.lab.engine,
            self.image,
            helper_image=self.lab.helper_image,
            labels=leftovers.label(self.lab.run),
            command=start.command,
            environment=cast("Mapping[str, str]", self._environment),  # None takes one away
            options=options,
            called="the audited image",
        )

    def _refusal(self, error: ContainerError) -> str:
        told = one_line(
            str(error.__cause__ and getattr(error.__cause__, "explanation", error)), 300
        )
        here = self.lab.engine.description.architecture
        made_for = self.declared.architecture
        if "exec format error" in told:
            return f"{foreign(made_for, here)} The engine says: {told}"
        return f"The engine does not start it: {told}"

    def _volumes(self) -> list[str]:
        """Return the names of its volumes, which are those that the image declares."""
        container = self.app.get_wrapped_container()
        with talking_to(self.lab.engine):
            container.reload()
        mounts = container.attrs.get("Mounts") or []
        return [str(mount["Name"]) for mount in mounts if mount.get("Type") == "volume"]

    def volume_bytes(self) -> int:
        """Return how many bytes its volumes hold, as they were last weighed."""
        if self._scale is None:
            return 0
        try:
            told = bytes(self._scale.logs(tail=1)).split()
        except (APIError, NotFound):
            return 0
        return int(told[0]) * 1024 if told and told[0].isdigit() else 0

    def listening(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ports on which it listens, and those on which it ever did."""
        with talking_to(self.lab.engine):
            told = bytes(self._beside.logs(stderr=False)).decode(errors="replace")
        return parse_ports(told)

    def run(self, script: str, *arguments: str) -> str:
        """Run a script of bash beside the container, in its network, and return what it prints."""
        with talking_to(self.lab.engine):
            try:
                done = self._beside.exec_run(["bash", "-c", script, "bash", *arguments])
            except APIError as error:
                raise CouldNotMeasure(
                    f"Nobody could ask it: {one_line(str(error.explanation))}"
                ) from error
        return bytes(done.output or b"").decode(errors="replace")

    def stream(self, script: str, *arguments: str) -> Iterator[str]:
        """Run a script of bash beside the container, in its network; yield the lines it prints."""
        rest = ""
        with talking_to(self.lab.engine):
            command = ["bash", "-c", script, "bash", *arguments]
            for chunk in self._beside.exec_run(command, stream=True).output:
                *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
                yield from lines
        if rest:
            yield rest

    def ask(self, *targets: tuple[int, str]) -> tuple[int, ...]:
        """Return the HTTP status of each port and path, in turn; 0 where no answer came."""
        told = self.run(_ASK_EACH, *(f"{port}{path}" for port, path in targets)).split()
        found = [int(status) if status.isdigit() else 0 for status in told[: len(targets)]]
        return (*found, *[0] * (len(targets) - len(found)))

    def beside(self, script: str) -> str:
        """Run a script of bash in a helper in the container's PID namespace; return its output.

        Raises:
            CouldNotMeasure: it did not run to its end, since the container has ended perhaps.
        """
        helped = help_by(
            self.lab.engine,
            self.lab.helper_image,
            ["bash", "-c", script],
            leftovers.label(self.lab.run),
            pid_mode=f"container:{self.id}",
            network_mode="none",
            **_harmless(),
        )
        if helped.well:
            return helped.output.decode(errors="replace")
        state = self._state()
        if not state["Running"]:
            raise CouldNotMeasure(self._ended(state, ()).fault)
        raise CouldNotMeasure(f"Its processes cannot be seen: {one_line(helped.fault)}.")

    def processes(self) -> tuple[Process, ...]:
        """Return its processes.

        Raises:
            CouldNotMeasure: it does not run.
        """
        return without_helper(parse_processes(self.beside(LIST_PROCESSES)))

    def log_text(self) -> str:
        """Return what is kept of its log; values that it was given are left out."""
        log = self.app.log_text()
        for value in self.given.environment.values():
            if len(value) >= _SHORTEST_SECRET:
                log = log.replace(value, "…")
        return log

    def logged(self) -> tuple[int, bool]:
        """Return how many bytes of its log the engine has kept, and whether those are all."""
        with talking_to(self.lab.engine):
            kept = bytes(self.app.get_wrapped_container().logs())
        stored = len(kept) + _LINE_OVERHEAD * kept.count(b"\n")
        return len(kept), stored < self.limits.log_bytes * 0.4

    def written_bytes(self) -> int:
        """Return how many bytes its writable layer holds, as the engine counts them."""
        with talking_to(self.lab.engine):
            found = self.lab.engine.docker.api.containers(
                all=True, size=True, filters={"id": self.id}
            )
        return int(found[0].get("SizeRw") or 0) if found else 0

    def changed_files(self) -> tuple[tuple[str, ...], bool]:
        """Return the paths that it has changed or added, and whether those are all.

        Of a very long list, the engine is asked for the beginning alone.
        """
        kept, size, is_all = bytearray(), 0, True
        with talking_to(self.lab.engine):
            answer = self._api.get(self._url("changes"), stream=True, timeout=60)
            with closing(answer):
                for chunk in answer.iter_content(2**16):
                    kept += chunk
                    size += len(chunk)
                    if size > _CHANGES_BYTES:
                        is_all = False
                        break
        return parse_changes(bytes(kept)), is_all

    @property
    def _api(self) -> Any:
        return self.lab.engine.docker.api

    def _url(self, of: str) -> str:
        return f"{self._api.base_url}/v{self._api.api_version}/containers/{self.id}/{of}"

    def sizes(self, paths: Sequence[str]) -> dict[str, int]:
        """Return the sizes in bytes of those of the paths that are plain files now."""
        url, found = self._url("archive"), {}
        with talking_to(self.lab.engine):
            for path in paths:
                answer = self._api.head(url, params={"path": path}, timeout=30)
                told = answer.headers.get("X-Docker-Container-Path-Stat", "")
                size = _size_of_plain_file(told) if answer.ok else None
                if size is not None:
                    found[path] = size
        return found

    def wait_until_up(self, known_ports: Sequence[int] = ()) -> Up:
        """Wait until it is up, has ended, or its time is over; see `Start`.

        `known_ports` are those on which an earlier container of the image was seen to listen.
        """
        tell = self._sign(known_ports)
        until = self._started + self.given.patience_seconds
        while True:
            state = self._state()
            now, ever = self.listening()
            seconds = self._seconds(state)
            if not state["Running"]:
                return self._ended(state, ever)
            if sign := tell(seconds, now):
                time.sleep(_HOLD_SECONDS)
                state = self._state()
                if state["Running"]:
                    ports = self.listening()[0]
                    return Up(True, seconds, told_by=sign, ports=ports, listened=ports)
                return self._ended(state, self.listening()[1])
            if time.monotonic() > until:
                return Up(
                    False,
                    seconds,
                    ports=now,
                    listened=ever,
                    fault=self._never(now),
                    last_lines=ending(self.log_text()),
                )
            time.sleep(_LOOK_SECONDS)

    def ended_within(self, seconds: float) -> Up | None:
        """Return how it ended, if it does within so many seconds."""
        until = time.monotonic() + seconds
        while True:
            state = self._state()
            if not state["Running"]:
                return self._ended(state, self.listening()[1])
            if time.monotonic() > until:
                return None
            time.sleep(_LOOK_SECONDS)

    def _sign(self, known: Sequence[int]) -> Callable[[float, tuple[int, ...]], str]:
        """Return what tells by the seconds and the open ports whether it is up, and by what."""
        given = self.given
        exposed = set(self.declared.ports)
        wanted = exposed & set(known) or set(known) or exposed

        def by_path(_: float, now: tuple[int, ...]) -> str:
            ports = [given.port] if given.port else [p for p in now if p in wanted] or now
            answers = self.ask(*((port, given.path) for port in ports)) if now else ()
            well = any(200 <= status < 400 for status in answers)
            return f"{one_line(given.path)} answers" if well else ""

        def by_log(_: float, __: tuple[int, ...]) -> str:
            found = re.search(given.log_line, self.log_text(), re.MULTILINE)
            return f"its log has {one_line(given.log_line)!r}" if found else ""

        def by_port(_: float, now: tuple[int, ...]) -> str:
            return f"port {given.port} is listened on" if given.port in now else ""

        def by_time(seconds: float, _: tuple[int, ...]) -> str:
            long = given.up_seconds is not None and seconds >= given.up_seconds
            return f"it has run for {seconds:.0f} s" if long else ""

        def by_itself(seconds: float, now: tuple[int, ...]) -> str:
            if open_ports := sorted(wanted & set(now)):
                return f"port {open_ports[0]} is listened on"
            if exposed or seconds < SETTLE_SECONDS or (wanted and not now):
                return ""
            return f"port {now[0]} is listened on" if now else f"it has run for {seconds:.0f} s"

        ways = (
            (given.path, by_path),
            (given.log_line, by_log),
            (given.port, by_port),
            (given.up_seconds is not None, by_time),
        )
        return next((way for is_given, way in ways if is_given), by_itself)

    def _state(self) -> Mapping[str, Any]:
        container = self.app.get_wrapped_container()
        with talking_to(self.lab.engine):
            container.reload()
        state: Mapping[str, Any] = container.attrs["State"]
        return state

    def seconds(self) -> float:
        """Return for how long it runs, or has run."""
        return self._seconds(self._state())

    def started_at(self) -> float:
        """Return when it was started, in Unix seconds of the engine's clock."""
        return unix_seconds(str(self._state()["StartedAt"]))

    def _seconds(self, state: Mapping[str, Any]) -> float:
        """Return for how long it has run: by the engine's clock where it has ended."""
        if not state["Running"]:
            ran = unix_seconds(state["FinishedAt"]) - unix_seconds(state["StartedAt"])
            return max(0.0, ran)
        return time.monotonic() - self._started

    def _ended(self, state: Mapping[str, Any], listened: tuple[int, ...]) -> Up:
        status, seconds = int(state["ExitCode"]), self._seconds(state)
        log = ending(self.log_text())
        fault = f"It ended with status {status} {after(seconds)}, before it was up."
        if reason := self.ended_by_us(state):
            fault = reason
        elif "exec format error" in log:
            here = self.lab.engine.description.architecture
            fault = foreign(self.declared.architecture, here)
        return Up(
            False,
            seconds,
            exit_status=status,
            listened=listened,
            fault=f"{fault} Its last lines: {log}" if log else fault,
            last_lines=log,
        )

    def ended_by_us(self, state: Mapping[str, Any] | None = None) -> str:
        """Return by which bound it was ended, in a sentence, or nothing."""
        state = state or self._state()
        if reason := self.guard.reason(self):
            return reason
        if state.get("OOMKilled"):
            limit = self.limits.memory_bytes // 2**20
            return f"It was ended when it needed more than {limit} MiB of memory, the bound."
        return ""

    def _never(self, now: tuple[int, ...]) -> str:
        given, waited = self.given, f"within {self.given.patience_seconds:.0f} s"
        if given.path:
            missed = f"{one_line(given.path)} did not answer well"
        elif given.log_line:
            missed = f"its log had nothing that matches {one_line(given.log_line)!r}"
        elif given.port:
            missed = f"nothing listened on port {given.port}"
        else:
            missed = f"nothing listened on a port that it exposes, {numbers(self.declared.ports)}"
        opened = f" It listens on {numbers(now)}." if now else ""
        log = ending(self.log_text())
        told = f" Its last lines: {log}" if log else " It has logged nothing."
        return f"It runs and did not come up {waited}: {missed}.{opened}{told}"


def _log(size_bytes: int) -> LogConfig:
    """Return where the engine keeps a log: two files that together hold at most so much."""
    half = f"{max(1, size_bytes // 2**11)}k"
    return LogConfig(type=LogConfig.types.JSON, config={"max-size": half, "max-file": "2"})


def _harmless() -> dict[str, Any]:
    """Return the options of a helper that shares a namespace with a stranger."""
    return {
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": 128 * 2**20,
        "pids_limit": 128,
        "entrypoint": "",
    }


def _companion_options() -> dict[str, Any]:
    hosts = {HOST_NAME: "127.0.0.1"}
    network = {"network_mode": "none", "hostname": HOST_NAME, "extra_hosts": hosts}
    return {**_harmless(), **network, "log_config": _log(2**20)}


def _scale(lab: Lab, volumes: Sequence[str]) -> AbstractContextManager[Raw]:
    """Start a container that weighs volumes, in KiB, twice a second.

    They are mounted by their names: to take them from a container fails, on Docker 20.10, where
    that has a directory in memory.
    """
    weigh = "while :; do du -skc /weighed 2>/dev/null | tail -n 1; sleep 0.5; done"
    return _running(
        lab,
        ["sh", "-c", weigh],
        **_harmless(),
        network_mode="none",
        mounts=[
            Mount(f"/weighed/{number}", name, "volume", read_only=True, no_copy=True)
            for number, name in enumerate(volumes)
        ],
        cap_add=["DAC_READ_SEARCH"],
        log_config=_log(2**16),
    )


@contextmanager
def _running(lab: Lab, command: Sequence[str], **options: Any) -> Iterator[Raw]:
    """Start a helper of the lab's; it is removed at the end of `with`.

    Raises:
        CouldNotMeasure: the engine does not start it.
    """
    client, labels = lab.engine.docker, leftovers.label(lab.run)
    with talking_to(lab.engine):
        created, refusal = started(
            lambda: client.containers.create(
                lab.helper_image, list(command), labels=labels, **options
            )
        )
    try:
        if refusal:
            raise CouldNotMeasure(f"The helper did not start: {one_line(refusal)}")
        yield created
    finally:
        with suppress(NotFound), talking_to(lab.engine):
            created.remove(force=True, v=True)


def _size_of_plain_file(told: str) -> int | None:
    """Read the engine's stat of a path (API, "ContainerArchiveInfo"); no plain file has none.

    Its mode is that of Go's `os.FileMode`.
    """
    import base64

    try:
        stat = json.loads(base64.b64decode(told))
        mode, size = int(stat["mode"]), int(stat["size"])
    except (ValueError, KeyError, TypeError):
        return None
    return None if mode & _NOT_PLAIN else size
