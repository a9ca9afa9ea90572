"""The checks that run an image: each in a cage of its own, several at once.

`run` is what an audit calls. What is said of what was seen stands in `run_judgements`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, ImageNotFound
from docker.types import Mount

from .. import leftovers
from ..container import Stop, parse_processes
from ..engine import talking_to
from ..errors import ContainerError, CouldNotMeasure, ProvingError
from . import run_judgements as judge
from .cage import (
    ASK,
    LIST_PROCESSES,
    Cage,
    Declared,
    Guard,
    Limits,
    Start,
    Up,
    declared,
    ending,
    numbers,
)
from .catalogue import RUN
from .run_judgements import Answered, Drained, Setting, Without, missing
from .secrets import one_line

if TYPE_CHECKING:
    from ..lab import Lab
    from .findings import Finding

AT_ONCE = 4
WRITES_SECONDS = 15.0
GRACE_SECONDS = 10.0
SETTINGS_TRIED = 6

ANY_USER = "54321:54321"
"""A user and a group that no image knows."""

NO_SUCH_PATH = "/audit-asks-for-no-such-path"

_APART_SECONDS = 1.2
"""Between two looks at the processes: long enough for a script's short jobs to change."""

_LOGGED_SECONDS = 2.0
_REQUESTS = 5
_ORPHANS = 5
_PORTS_TOLD = 50
_AT_EASE_SECONDS = 1.0
"""Between a server's first answer and its stop: some set their handlers after they listen."""

_DRAIN_TRIES = 3
"""On a busy machine a signal can come after the answer that it was to come before."""

_TO_END_SECONDS = 5.0
_HTTP_PORTS = 4
_LOOKED_AT = 300
"""How many of the changed files are looked at, by a question to the engine each."""

_ORPHAN_SCRIPT = f"""
for number in $(seq {_ORPHANS}); do ( sleep 0.2 & echo "orphan $!" ); done
sleep 1.5
{LIST_PROCESSES}
"""
"""For bash in the container's PID namespace: processes whose parent ends before them."""

_DRAIN_SCRIPT = (
    ASK
    + r"""
trap '' PIPE
port=$1 path=$2
told() { echo "$1 $EPOCHREALTIME ${2:-0}"; }
number() { [[ $1 =~ ^HTTP/[0-9.]+\ ([0-9]{3}) ]] && code=${BASH_REMATCH[1]} || code=0; }
patience=5 ask "$port" "$path"; told usual "$status"; sleep 1
for host in 127.0.0.1 ::1; do { exec 5<>"/dev/tcp/$host/$port"; } 2>/dev/null && break; done
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$path" >&5 || exit 0
line=; IFS= LC_ALL=C read -rt 0.5 -n 64 line <&5
if [ $? -gt 128 ]; then
  told sent; IFS= LC_ALL=C read -rt 14 -n 64 line <&5; number "$line"; told whole $code; exit
fi
exec 5>&-
{ exec 4<>"/dev/tcp/$host/$port"; } 2>/dev/null || exit 0
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\n' "$path" >&4; sleep 0.7
told sent; sleep 2
printf 'Connection: close\r\n\r\n' >&4 2>/dev/null; told rest
line=; IFS= LC_ALL=C read -rt 12 -n 64 line <&4; number "$line"; told begun $code
"""
)
"""For bash in the container's network: a request that is under way, and what came of it.

It is one that was sent in full and is not answered for half a second; where all are answered sooner
it is one whose first lines alone were sent. It is the only one, since a server may have one worker.
The script prints what happened, when, and a status: TERM must come after `sent`, and before `rest`
or `whole`.
"""

_READINESS_SCRIPT = (
    ASK
    + r"""
until=$((SECONDS + $1)) ports=$2; shift 2
exec 9<> <(:)
patience=2 rounds=0
while [ $SECONDS -lt $until ] && [ $rounds -lt 4 ]; do
  told=$(for port in $ports; do for path; do
    ( now=$EPOCHREALTIME; ask "$port" "$path"; echo "$now $port $path $status" ) &
  done; done; wait)
  echo "$told"
  answers=no busy=no
  while read -r _ _ path status; do
    case "$path $status" in
      "/ "[1-4]??) answers=yes ;;
      "/ "*) ;;
      *" 5"??) busy=yes ;;
    esac
  done <<< "$told"
  if [ $answers = yes ] && [ $busy = no ]; then rounds=$((rounds + 1)); fi
  read -rt 0.3 -u 9
done
"""
)
"""For bash in the container's network: it asks all paths again and again, until / has answered.

While another path says that it is not ready (5xx), that is waited for, too.
"""


class _LateSignal(CouldNotMeasure):
    """A signal did not come while the request was under way that it was meant for."""


@dataclass(frozen=True)
class Seen:
    """What the checks of a run have found, in the catalogue's order; `facts` are told, not judged.

    `seconds` is how long it took.
    """

    findings: tuple[Finding, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class _Trial:
    """How the image starts in a cage at all: without capabilities, or with the usual ones."""

    up: Up
    capabilities: bool
    without_capabilities: Up
    statuses: Mapping[int, int]
    """The status of `/`, or of the path that was named, by port; 0 where HTTP is not spoken."""

    @property
    def http_ports(self) -> tuple[int, ...]:
        return tuple(port for port, status in self.statuses.items() if status)


def run(
    lab: Lab,
    image: str,
    start: Start | None = None,
    *,
    writes_seconds: float = WRITES_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
    at_once: int = AT_ONCE,
    limits: Limits | None = None,
    only: Collection[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Seen:
    """Run an image that the engine has in cages, and return what all checks have found.

    `writes_seconds` is for how long it is watched for what it writes; other checks go on meanwhile.
    Of the checks, `only` those are made, by their ids; all where none are named.
    `tell` is called with the name of each check that is done, perhaps from several threads.

    Raises:
        ProvingError: the engine has no such image, or a regular expression is none.
        EngineError: the engine went away.
    """
    began = time.monotonic()
    with talking_to(lab.engine):
        try:
            attributes = lab.engine.docker.images.get(image).attrs
        except ImageNotFound as error:
            raise ProvingError(f"The engine has no image {one_line(image)}.") from error
    with Guard(lab) as guard:
        audit = _Run(
            lab,
            guard,
            str(attributes["Id"]),
            declared(attributes),
            _checked(start or Start()),
            writes_seconds,
            grace_seconds,
            limits or Limits(),
        )
        try:
            findings = audit.all(at_once, set(only), tell)
        except BaseException:
            with suppress(Exception):  # an engine that is gone holds nothing of ours
                leftovers.remove(lab.engine.docker, lab.run)
            raise
    ordered = tuple(findings[check.id] for check in RUN if not only or check.id in only)
    return Seen(ordered, audit.facts, round(time.monotonic() - began, 1))


def _checked(start: Start) -> Start:
    """Return how to start, with a path that begins with a slash.

    Raises:
        ProvingError: what its log is to have is no regular expression.
    """
    try:
        re.compile(start.log_line)
    except re.error as error:
        raise ProvingError(
            f"{one_line(start.log_line)!r} is no regular expression: {error}. Its log could not be "
            "searched for that."
        ) from error
    return replace(start, path=f"/{start.path.lstrip('/')}" if start.path else "")


@dataclass
class _Run:
    lab: Lab
    guard: Guard
    image: str
    declared: Declared
    start: Start
    writes_seconds: float
    grace_seconds: float
    limits: Limits
    facts: dict[str, Any] = field(default_factory=dict)

    def all(
        self, at_once: int, only: Collection[str], tell: Callable[[str], None]
    ) -> dict[str, Finding]:
        """Start it once to see how; then make the checks, so many at once; return them by id."""
        self._tell_declared()
        if not (self.declared.has_command or self.start.command):
            return self._none("The image has no command, and none was given: there is no run.")
        try:
            trial = self._trial()
        except (ContainerError, CouldNotMeasure) as error:
            return self._none(str(error))
        self._tell_trial(trial)
        if not trial.up.is_up:
            return self._not_up(trial)
        checks: dict[str, Callable[[_Trial], Sequence[Finding]]] = {
            "writes": self._writes,
            "stops": self._stops,
            "drains": self._drains,
            "readiness": self._readiness,
            "pid-1": self._processes,
            "settings": self._settings,
            "reaps": self._reaps,
            "logs": self._logs,
            "read-only-root": self._read_only,
            "any-user": self._any_user,
        }
        findings = {"no-capabilities": self._no_capabilities(trial)}
        pool = ThreadPoolExecutor(max(2, at_once))
        try:
            futures: dict[str, Future[list[Finding]]] = {
                name: pool.submit(self._done, name, check, trial, tell)
                for name, check in checks.items()
                if not only or name in only or (name == "pid-1" and "foreground" in only)
            }
            for future in futures.values():
                findings.update({one.check.id: one for one in future.result()})
        except BaseException:
            self.guard.close()
            with suppress(Exception):  # the threads' waits end with their containers
                leftovers.remove(self.lab.engine.docker, self.lab.run)
            raise
        finally:
            pool.shutdown(cancel_futures=True)  # those that run are waited for
        return findings

    def _done(
        self,
        name: str,
        check: Callable[[_Trial], Sequence[Finding]],
        trial: _Trial,
        tell: Callable[[str], None],
    ) -> list[Finding]:
        try:
            found = list(check(trial))
        except (CouldNotMeasure, ContainerError) as error:
            found = [missing(name, str(error))]
        except APIError as error:
            found = [missing(name, f"The engine refused: {one_line(str(error.explanation))}.")]
        if name == "pid-1" and len(found) == 1:
            found.append(missing("foreground", found[0].figure))
        tell(name)
        return found

    def _none(self, reason: str) -> dict[str, Finding]:
        return {check.id: missing(check.id, reason) for check in RUN}

    def _not_up(self, trial: _Trial) -> dict[str, Finding]:
        """Return what can be said of an image that does not come up; it may be a job."""
        up = trial.up
        foreground = judge.foreground(up, self.declared.ports)
        is_job = up.exit_status == 0 and not (up.listened or self.declared.ports)
        cure = "Say how it is started: with which settings, which command, which volume."
        reason = judge.IS_A_JOB if is_job else f"{up.fault.removesuffix('.')}. {cure}"
        found = {check.id: missing(check.id, reason, applicable=not is_job) for check in RUN}
        found["foreground"] = foreground
        if is_job:
            found["no-capabilities"] = self._no_capabilities(trial)
        return found

    def _cage(self, trial: _Trial | None, **options: Any) -> Cage:
        """Return a cage for the image as it starts usually; `capabilities` may say otherwise."""
        options.setdefault("capabilities", trial.capabilities if trial else False)
        options.setdefault("limits", self.limits)
        start = options.pop("start", self.start)
        return Cage(self.lab, self.guard, self.image, self.declared, start, **options)

    def _up(self, cage: Cage, trial: _Trial) -> Up:
        """Wait until a cage is up as it usually is.

        Raises:
            CouldNotMeasure: this time it does not come up.
        """
        up = cage.wait_until_up(trial.up.ports)
        if not up.is_up:
            raise CouldNotMeasure(f"It came up once, and not again. {up.fault}")
        return up

    def _trial(self) -> _Trial:
        first, statuses = self._try(capabilities=False)
        bounded = first.fault.startswith("It was ended")
        job = first.exit_status == 0 and not (first.listened or self.declared.ports)
        if first.is_up or bounded or job:
            return _Trial(first, False, first, statuses)
        second, statuses = self._try(capabilities=True)
        return _Trial(second, True, first, statuses)

    def _try(self, *, capabilities: bool) -> tuple[Up, dict[int, int]]:
        try:
            with self._cage(None, capabilities=capabilities) as cage:
                up = cage.wait_until_up()
                if not up.is_up:
                    return up, {}
                ports = self._ports(up)
                path = self.start.path or "/"
                return up, dict(
                    zip(ports, cage.ask(*((port, path) for port in ports)), strict=True)
                )
        except ContainerError as error:
            if capabilities:
                raise
            return Up(False, 0.0, fault=str(error)), {}

    def _ports(self, up: Up) -> list[int]:
        """Return the ports to be asked: those named or exposed first, and not too many."""
        named = [self.start.port] if self.start.port else list(self.declared.ports)
        first = [port for port in named if port in up.ports]
        return [*first, *(port for port in up.ports if port not in first)][:_HTTP_PORTS]

    def _tell_declared(self) -> None:
        told = self.declared
        self.facts.update(
            exposes=list(told.ports[:_PORTS_TOLD]),
            stop_signal=one_line(told.stop_signal, 40),
            user=one_line(told.user, 60) or "root",
            volumes=[one_line(path, 120) for path in told.volumes][:20],
            health_check=told.health_check or "none",
            image_architecture=one_line(told.architecture, 40),
            engine_architecture=self.lab.engine.description.architecture,
        )

    def _tell_trial(self, trial: _Trial) -> None:
        up = trial.up
        self.facts["capabilities"] = "the engine's usual ones" if trial.capabilities else "none"
        if trial.capabilities:
            self.facts["without_capabilities"] = trial.without_capabilities.fault
        self.facts["comes_up"] = up.told_by if up.is_up else up.fault
        self.facts["up_seconds"] = round(up.seconds, 2)
        self.facts["listens_on"] = list((up.ports or up.listened)[:_PORTS_TOLD])
        self.facts["speaks_http_on"] = list(trial.http_ports)

    def _no_capabilities(self, trial: _Trial) -> Finding:
        first, second = trial.without_capabilities, trial.up
        if not trial.capabilities and first.has_ended and first.exit_status == 0:
            return missing("no-capabilities", judge.IS_A_JOB, applicable=False)
        if not (first.is_up or second.is_up):
            return missing("no-capabilities", first.fault)
        how, seconds = "Without capabilities", second.seconds if second.is_up else 0.0
        return judge.starts("no-capabilities", first, how=how, usual_seconds=seconds)

    def _processes(self, trial: _Trial) -> Sequence[Finding]:
        with self._cage(trial) as cage:
            self._up(cage, trial)
            first = cage.processes()
            time.sleep(_APART_SECONDS)
            second = cage.processes()
            still = cage.seconds()
        return (
            judge.pid_1(first, second),
            judge.foreground(replace(trial.up, seconds=still), self.declared.ports),
        )

    def _stops(self, trial: _Trial) -> Sequence[Finding]:
        with self._cage(trial) as cage:
            self._up(cage, trial)
            self._ask_some(cage, trial)
            time.sleep(_AT_EASE_SECONDS)
            return [judge.stops(self._stop(cage), self.grace_seconds)]

    def _stop(self, cage: Cage) -> Stop:
        try:
            return cage.app.stop_gracefully(self.grace_seconds)
        except CouldNotMeasure as error:
            raise CouldNotMeasure(cage.ended_by_us() or str(error)) from error

    def _drains(self, trial: _Trial) -> Sequence[Finding]:
        if not trial.up.ports:
            return [missing("drains", "It listens on no port.", applicable=False)]
        if not trial.http_ports:
            return [missing("drains", self._no_http(trial), applicable=False)]
        path = self.start.path or "/"
        well = [port for port, status in trial.statuses.items() if 0 < status < 500]
        if not well:
            usual = trial.statuses[trial.http_ports[0]]
            told = f"It answers {one_line(path, 60)} with {usual}"
            return [missing("drains", f"{told}: name a path that it answers well.")]
        for _ in range(_DRAIN_TRIES - 1):
            with suppress(_LateSignal):
                return [self._drained(trial, well[0], path)]
        return [self._drained(trial, well[0], path)]

    def _drained(self, trial: _Trial, port: int, path: str) -> Finding:
        return judge.drains(self._stop_under_way(trial, port, path), self.grace_seconds)

    def _stop_under_way(self, trial: _Trial, port: int, path: str) -> Drained:
        """Stop a container, a fresh one, while a request is under way."""
        with self._cage(trial) as cage:
            self._up(cage, trial)
            lines = cage.stream(_DRAIN_SCRIPT, str(port), path)
            events: dict[str, tuple[float, int]] = {}
            stops: list[Stop | CouldNotMeasure] = []
            thread: threading.Thread | None = None
            for line in lines:
                word, at, status = line.split()
                events[word] = float(at), int(status)
                if word == "sent":
                    thread = threading.Thread(target=self._stop_into, args=(cage, stops))
                    thread.start()
            if thread is None:
                raise CouldNotMeasure(f"No request could be begun on port {port}.")
            thread.join()
        if isinstance(stop := stops[0], CouldNotMeasure):
            raise stop
        return read_drain(events, stop, port, path)

    def _stop_into(self, cage: Cage, stops: list[Stop | CouldNotMeasure]) -> None:
        try:
            stops.append(self._stop(cage))
        except ProvingError as error:
            stops.append(CouldNotMeasure(str(error)))
        except APIError as error:
            stops.append(
                CouldNotMeasure(f"The engine refused: {one_line(str(error.explanation))}.")
            )

    def _no_http(self, trial: _Trial) -> str:
        return f"No request of HTTP is answered on port {numbers(trial.up.ports)}."

    def _reaps(self, trial: _Trial) -> Sequence[Finding]:
        with self._cage(trial) as cage:
            self._up(cage, trial)
            orphans, listed = read_orphans(cage.beside(_ORPHAN_SCRIPT))
        return [judge.reaps(orphans, parse_processes(listed))]

    def _logs(self, trial: _Trial) -> Sequence[Finding]:
        with self._cage(trial) as cage:
            self._up(cage, trial)
            before = self._log_files(cage)
            asked = self._ask_some(cage, trial)
            time.sleep(_LOGGED_SECONDS)
            after = self._log_files(cage)
            log_bytes, all_kept = cage.logged()
        self.facts["log_bytes"] = log_bytes
        return [judge.logs(log_bytes, before, after, asked, all_kept=all_kept)]

    def _log_files(self, cage: Cage) -> dict[str, int]:
        changed = [path for path in cage.changed_files()[0] if judge.is_log(path)]
        return cage.sizes(changed[:_LOOKED_AT])

    def _ask_some(self, cage: Cage, trial: _Trial) -> int:
        """Send a few requests where HTTP is spoken; return how many."""
        if not trial.http_ports:
            return 0
        targets = [(trial.http_ports[0], self.start.path or "/")] * _REQUESTS
        return sum(status > 0 for status in cage.ask(*targets))

    def _read_only(self, trial: _Trial) -> Sequence[Finding]:
        temporary = Mount("/tmp", None, "tmpfs", tmpfs_size=64 * 2**20)  # noqa: S108
        options = {"read_only": True, "mounts": [temporary]}
        how = "With a read-only root, and /tmp in memory"
        return [self._limited("read-only-root", trial, how, options=options)]

    def _any_user(self, trial: _Trial) -> Sequence[Finding]:
        how = f"As user {ANY_USER}, without capabilities"
        options = {"user": ANY_USER}
        return [self._limited("any-user", trial, how, options=options, capabilities=False)]

    def _limited(self, check_id: str, trial: _Trial, how: str, **options: Any) -> Finding:
        usual = next(iter(status for status in trial.statuses.values() if status), 0)
        try:
            with self._cage(trial, **options) as cage:
                up = cage.wait_until_up(trial.up.ports)
                now = 0
                if up.is_up and usual:
                    path = self.start.path or "/"
                    now = cage.ask((trial.http_ports[0], path))[0]
        except ContainerError as error:
            up, now = Up(False, 0.0, fault=str(error)), 0
        return judge.starts(
            check_id, up, how=how, usual=usual, now=now, usual_seconds=trial.up.seconds
        )

    def _writes(self, trial: _Trial) -> Sequence[Finding]:
        limits = replace(self.limits, seconds=self.limits.seconds + self.writes_seconds)
        with self._cage(trial, limits=limits) as cage:
            self._up(cage, trial)
            asked = self._ask_some(cage, trial)
            until = time.monotonic() + self.writes_seconds - cage.seconds()
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(left, 1.0))
                if cage.app.state().status != "running":
                    break
            seconds, ended = cage.seconds(), cage.ended_by_us()
            changed, all_seen = cage.changed_files()
            sizes = cage.sizes(changed[:_LOOKED_AT])
            layer_bytes = cage.written_bytes()
        if ended and layer_bytes < limits.written_bytes:
            raise CouldNotMeasure(ended)
        if ended:
            self.facts["ended"] = ended
        return [
            judge.writes(
                sizes,
                layer_bytes=layer_bytes,
                seconds=seconds,
                asked=asked,
                seen=len(changed),
                all_seen=all_seen and len(changed) <= _LOOKED_AT,
            )
        ]

    def _readiness(self, trial: _Trial) -> Sequence[Finding]:
        if not trial.up.ports:
            return [missing("readiness", "It listens on no port.", applicable=False)]
        if not trial.http_ports:
            return [missing("readiness", self._no_http(trial), applicable=False)]
        ports = " ".join(map(str, trial.http_ports))
        patience = str(round(self.start.patience_seconds))
        named = self.start.path if self.start.path != "/" else ""
        paths = dict.fromkeys(filter(None, ("/", NO_SUCH_PATH, named, *judge.READY_PATHS)))
        with self._cage(trial) as cage:
            told = cage.run(_READINESS_SCRIPT, patience, ports, *paths)
            started_at = cage.started_at()
        answers = read_answers(told, started_at)
        if not answers:
            raise CouldNotMeasure("It answered before, and now it answers no request.")
        return [
            judge.readiness(
                [one for one in answers if one.path != NO_SUCH_PATH],
                no_such_path=next((one for one in answers if one.path == NO_SUCH_PATH), None),
                named=named,
                ports=ports.replace(" ", ", "),
            )
        ]

    def _settings(self, trial: _Trial) -> Sequence[Finding]:
        given = list(self.start.environment)
        named = [name for name in self.declared.environment if judge.is_setting(name)]
        names = list(dict.fromkeys([*given, *named]))
        if not names:
            told = "It declares no variable that could be a setting, and none was given."
            return [missing("settings", told, applicable=False)]
        tried = names[:SETTINGS_TRIED]
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda name: self._without(name, trial), tried))
        path = (self.start.path or "/") if trial.http_ports else ""
        return [judge.settings(found, left_out=len(names) - len(tried), path=path)]

    def _without(self, name: str, trial: _Trial) -> Setting:
        """Start it without a setting, and ask for what it answers usually."""
        start = self.start
        if trial.up.ports:  # a path that fails is what is looked for, and not waited for
            start = replace(start, path="", log_line="")
        with self._cage(trial, start=start, environment={name: None}) as cage:
            up = cage.wait_until_up(trial.up.ports)
            if judge.is_slow(up, trial.up.seconds):
                raise CouldNotMeasure(f"Without {one_line(name, 60)}, it was slow. {up.fault}")
            statuses = {}
            if up.is_up and trial.http_ports:
                path = self.start.path or "/"
                asked = cage.ask(*((port, path) for port in trial.http_ports))
                statuses = dict(zip(trial.http_ports, asked, strict=True))
                if not all(statuses.values()):  # some listen before they read their settings
                    up = cage.ended_within(_TO_END_SECONDS) or up
            log = cage.log_text()
        return read_setting(name, up, log, trial.statuses, statuses)


def read_setting(
    name: str, up: Up, log: str, usual: Mapping[int, int], statuses: Mapping[int, int]
) -> Setting:
    """Tell what became of a start without a setting: from its end, its log and its answers."""
    if up.has_ended:
        names = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", log) is not None
        return Setting(name, Without.NAMED if names else Without.UNNAMED, up.seconds, ending(log))
    if not up.is_up:
        return Setting(name, Without.HANGS, up.seconds, ending(log))
    for port, status in statuses.items():
        if status != usual.get(port, 0) and (status == 0 or status >= 500):
            told = f"status {status}" if status else "no answer"
            return Setting(name, Without.LATE, up.seconds, f"{told} on port {port}")
    return Setting(name, Without.NOT_NEEDED, up.seconds)


def read_orphans(told: str) -> tuple[tuple[int, ...], str]:
    """Return the PIDs of the orphans that were made, and the list of processes after them."""
    orphans, rest = [], []
    for line in told.splitlines():
        if match := re.fullmatch(r"orphan (\d+)", line):
            orphans.append(int(match[1]))
        else:
            rest.append(line)
    return tuple(orphans), "\n".join(rest)


def read_drain(
    events: Mapping[str, tuple[float, int]], stop: Stop, port: int, path: str
) -> Drained:
    """Read what a request that was under way told: times in Unix seconds, and statuses.

    Raises:
        CouldNotMeasure: TERM did not come between the request's two halves, which another try may
            mend, or the request was not sent.
    """
    if not {"usual", "sent"} <= set(events) or not {"whole", "begun"} & set(events):
        raise CouldNotMeasure("The request that was to be under way did not come to its end.")
    sent, is_whole = events["sent"][0], "whole" in events
    over = events["whole" if is_whole else "rest"][0]
    if not sent <= stop.term_at <= over:
        raise _LateSignal(
            f"The signal came {stop.term_at - sent:.1f} s after the request was sent, not before "
            f"{'its answer' if is_whole else 'its second half'}, {over - sent:.1f} s after it."
        )
    return Drained(
        usual=events["usual"][1],
        status=events["whole" if is_whole else "begun"][1],
        was_whole=is_whole,
        path=path,
        port=port,
        stop=stop,
        rest_seconds=over - stop.term_at,
    )


def read_answers(told: str, started_at: float) -> list[Answered]:
    """Read when each path was last silent, first answered, and first well, from a script's lines.

    A line has the time in Unix seconds, the port, the path and the status; 0 is no answer.
    """
    rows: dict[tuple[int, str], list[tuple[float, int]]] = {}
    for line in told.splitlines():
        words = line.split()
        if len(words) == 4 and words[1].isdigit() and words[3].isdigit():
            rows.setdefault((int(words[1]), words[2]), []).append(
                (float(words[0]) - started_at, int(words[3]))
            )
    found = []
    for (port, path), asked in rows.items():
        answered = [(seconds, status) for seconds, status in sorted(asked) if status]
        if answered:
            well = [seconds for seconds, status in answered if 200 <= status < 300]
            silent = [seconds for seconds, _ in asked if seconds < answered[0][0]]
            found.append(
                Answered(
                    port,
                    path,
                    *answered[0],
                    well_seconds=well[0] if well else None,
                    silent_seconds=max(silent, default=0.0),
                )
            )
    return found
