"""What is said of a run in a cage: from what was seen to a finding, without an engine."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..claims import Value, Verdict, humanize
from ..container import KILLED, Process, Stop
from .cage import Up, after, numbers
from .catalogue import CHECKS
from .findings import Finding
from .secrets import one_line

READY_PATHS = (
    "/healthz",
    "/health",
    "/readyz",
    "/ready",
    "/readiness",
    "/-/ready",
    "/-/healthy",
    "/actuator/health/readiness",
    "/actuator/health",
    "/status",
    "/ping",
    "/livez",
    "/live",
    "/liveness",
)
"""Where servers usually tell whether they are well, the more telling names first."""

_LIVE_ALONE = ("/livez", "/live", "/liveness", "/ping")

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh", "mksh", "busybox"})
INITS = frozenset(
    {"tini", "tini-static", "dumb-init", "docker-init", "catatonit", "s6-svscan", "pid1"}
)
LAUNCHERS = frozenset(
    {"npm", "npx", "yarn", "pnpm", "su", "sudo", "runuser", "poetry", "pipenv", "uv", "bundle"}
)
"""Programs that start another one and wait for it."""

MANAGERS = frozenset({"supervisord", "systemd", "init", "runsvdir", "monit", "circusd", "pm2"})
"""Programs that start others again and again: a container runs on, whatever becomes of those."""

SMALL_BYTES = 2**20
"""What may be left in places for passing files without being called a write."""

_PATIENT_TIMES = 10
"""So many times as long as usual, a start is waited for before it is called a failure."""

_PASSING = ("/tmp/", "/run/", "/var/run/", "/var/tmp/", "/dev/")  # noqa: S108
_COMPILED = re.compile(r"/__pycache__/[^/]+\.pyc(\.\d+)?$")
_LOG_FILE = re.compile(r"(^|/)logs?/|\.log(\.\d+)?$|(^|/)(access|error)[._-]?log$")
_NOT_LOGS = frozenset({"wtmp", "btmp", "lastlog", "faillog"})
_SHOWN = 8

_NO_SETTING = re.compile(
    r"^(PATH|HOME|HOSTNAME|USER|SHELL|TERM|PWD|SHLVL|TZ|LANG|LANGUAGE|LC_\w+|GPG_KEYS?|EDITOR|PAGER"
    r"|DEBIAN_FRONTEND|PYTHON\w*|PIP_\w+|VIRTUAL_ENV|UV_\w+|NODE_VERSION|YARN_VERSION|NODE_PATH"
    r"|NPM_CONFIG_\w+|JAVA_HOME|JAVA_TOOL_OPTIONS|JDK_\w+|GOPATH|GOROOT|GOTOOLCHAIN|GEM_HOME"
    r"|BUNDLE_\w+|RUSTUP_HOME|CARGO_HOME|LD_LIBRARY_PATH|\w*_VERSION|\w*_SHA(1|256|512)|\w*_RELEASE"
    r"|\w*_CHECKSUM|\w*_DOWNLOAD_URL|container)$"
)
"""Variables that base images declare, for their tools and not for an application."""


@dataclass(frozen=True)
class Drained:
    """What became of a request that was under way when TERM came.

    `was_whole` says whether all of it had been sent, and it was waiting for its answer; else only
    its first lines had been. Its status is 0 where no answer came; `usual` is that of the path
    before. `stop` is how the container ended. The answer came, or the rest of the request was sent,
    `rest_seconds` after the signal.
    """

    usual: int
    status: int
    was_whole: bool
    path: str
    port: int
    stop: Stop
    rest_seconds: float = 1.0


@dataclass(frozen=True)
class Answered:
    """When a path of a port first answered, and when first well; seconds since the start.

    `silent_seconds` is when it was last asked in vain before that; 0 where it never was.
    """

    port: int
    path: str
    first_seconds: float
    first_status: int
    well_seconds: float | None
    silent_seconds: float = 0.0


class Without(StrEnum):
    """What an image does without one of its settings."""

    NAMED = "it ends and names it"
    UNNAMED = "it ends and does not name it"
    LATE = "it comes up and then fails"
    HANGS = "it neither ends nor comes up"
    NOT_NEEDED = "it does the same"


@dataclass(frozen=True)
class Setting:
    """A setting that was taken away, and what came of it; `told` are last words or a status."""

    name: str
    outcome: Without
    seconds: float
    told: str = ""


def missing(check_id: str, reason: str, *, applicable: bool = True) -> Finding:
    """Return the finding of a check that could not be made, or that has nothing to be made on."""
    verdict = Verdict.COULD_NOT_BE_MEASURED if applicable else Verdict.NOT_APPLICABLE
    return Finding(CHECKS[check_id], verdict, reason)


def is_setting(name: str) -> bool:
    """Tell whether a variable may be a setting of an application, by its name."""
    return not _NO_SETTING.match(name)


def is_log(path: str) -> bool:
    """Tell whether a path looks like that of a log."""
    return bool(_LOG_FILE.search(path)) and posixpath.basename(path) not in _NOT_LOGS


def pid_1(first: Sequence[Process], second: Sequence[Process]) -> Finding:
    """Judge who is PID 1, from two looks that are a second or more apart.

    A shell, or a script of one, stands before the application where it has the same child at both
    looks. One whose children come and go is the application itself.
    """
    one = _by_pid(second, 1)
    if one is None:
        return missing("pid-1", "The container's first process could not be seen.")
    name = _name(one)
    values: dict[str, Value] = {"comm": one_line(one.comm, 40), "processes": len(second)}
    under = _by_pid(second, _lasting_child(first, second, 1) or 0)
    if _is_init(one) and under is not None:
        shown, waiter = f"the init {name}, and under it {_name(under)}", under
        behind = _by_pid(second, _lasting_child(first, second, under.pid) or 0)
    else:
        shown, waiter, behind = name, one, under
    if _program(waiter) in MANAGERS:
        return _no(
            "pid-1",
            f"PID {waiter.pid} is {_name(waiter)}, a manager of services, which runs on when the "
            "application fails.",
            "Start the application as the container's command, and leave restarts to the platform.",
            values,
        )
    if _program(waiter) in LAUNCHERS and behind is not None:
        return _no(
            "pid-1",
            f"PID {waiter.pid} is {_name(waiter)}, which waits for {_told(behind)}.",
            "Write what it starts as the command, such as `node server.js` instead of `npm start`.",
            {**values, "waits_for": one_line(behind.comm, 40)},
        )
    if _is_shell(waiter) and behind is not None:
        who = "a shell" if waiter.comm in SHELLS else "a script of a shell"
        place = f"PID {waiter.pid}"
        return _no(
            "pid-1",
            f"{place} is {who} ({_told(waiter)}), which waits for {_told(behind)}.",
            "Write the command in exec form, a list of words, and end a script that starts the "
            'application by `exec "$@"`.',
            {**values, "waits_for": one_line(behind.comm, 40)},
        )
    return _yes("pid-1", f"PID 1 is {shown}.", values)


def stops(stop: Stop, grace_seconds: float) -> Finding:
    """Judge a graceful stop: whether SIGKILL was needed, and how much of the grace it took."""
    values: dict[str, Value] = {
        "stop_seconds": round(stop.seconds, 2),
        "exit_status": stop.exit_status,
        "signal": stop.signal,
        "killed": stop.killed,
    }
    signal = _signal(stop.signal)
    if stop.killed or stop.exit_status == KILLED:
        return _no(
            "stops",
            f"{signal} did not end it: SIGKILL did after {stop.seconds:.1f} s, exit status "
            f"{stop.exit_status}.",
            "Handle TERM in the application, as its first process or behind an init that passes "
            "the signal on.",
            values,
        )
    figure = f"It ended {stop.seconds:.1f} s after {signal}, with exit status {stop.exit_status}."
    if stop.seconds > grace_seconds / 2:
        return _no(
            "stops",
            figure,
            f"Idle as it is, it takes more than half of the {grace_seconds:.0f} s that it is "
            "given; find what it waits for.",
            values,
        )
    return _yes("stops", figure, values)


def drains(seen: Drained, grace_seconds: float) -> Finding:
    """Judge what became of a request that was under way when TERM came."""
    stop = seen.stop
    values: dict[str, Value] = {
        "request_status": seen.status,
        "request_was_whole": seen.was_whole,
        "stop_seconds": round(stop.seconds, 2),
        "port": seen.port,
    }
    signal, path = _signal(stop.signal), f"{one_line(seen.path, 60)} on port {seen.port}"
    done = (
        f"A request for {path} was waiting for its answer when {signal} came"
        if seen.was_whole
        else f"Of a request for {path} the first lines had been sent when {signal} came, and the "
        f"rest was sent {seen.rest_seconds:.1f} s later"
    )
    figure = f"{done}: {_answer('it', seen.status, seen.usual)}."
    well = seen.status == seen.usual
    if stop.killed and well:
        return missing(
            "drains",
            f"It takes no notice of {signal}, goes on answering, and is killed after "
            f"{grace_seconds:.0f} s: so nothing is told of how it drains.",
        )
    if well:
        return _yes("drains", figure, values)
    return _no(
        "drains",
        figure,
        "When told to stop, take no more connections, answer what is under way, and end then; some "
        "servers do so on another signal, which STOPSIGNAL names (nginx on QUIT).",
        values,
    )


def reaps(orphans: Sequence[int], processes: Sequence[Process]) -> Finding:
    """Judge whether orphans, which have ended, are still in the list of processes."""
    if not orphans:
        return missing("reaps", "No orphan could be made in its PID namespace.")
    left = {process.pid: process for process in processes}
    held = [pid for pid in orphans if pid in left]
    if any(not left[pid].is_zombie for pid in held):
        return missing("reaps", "The orphans that were made had not ended when it was looked.")
    one = left.get(1)
    name = f" ({_told(one)})" if one else ""
    values: dict[str, Value] = {"orphans": len(orphans), "zombies": len(held)}
    if held:
        return _no(
            "reaps",
            f"{len(held)} of {len(orphans)} orphans that had ended were left as zombies by PID 1"
            f"{name}.",
            "If it starts processes that start others, put an init such as tini before it, or let "
            "the pod share its process namespace.",
            values,
        )
    figure = f"PID 1{name} has collected all {len(orphans)} orphans."
    return _yes("reaps", figure, values)


def logs(
    log_bytes: int,
    before: Mapping[str, int],
    after: Mapping[str, int],
    asked: int,
    *,
    all_kept: bool = True,
) -> Finding:
    """Judge where a log goes: its bytes on stdout and stderr against files that look like logs.

    `before` and `after` are the sizes of such files before requests and after them. Where the
    engine has not kept all of the log, its bytes are those that it has kept.
    """
    grown = {path: size - before.get(path, 0) for path, size in after.items()}
    files = {path: size for path, size in after.items() if size}
    growing = sum(grown[path] for path in files if grown[path] > 0)
    values: dict[str, Value] = {
        "log_bytes": log_bytes,
        "file_bytes": sum(files.values()),
        "file_bytes_of_requests": growing,
        "requests": asked,
    }
    least = "" if all_kept else "at least "
    out = f"{least}{humanize(log_bytes, 'B')} on standard output and error"
    after_requests = f", {growing} of these bytes on {asked} requests" if growing and asked else ""
    if files:
        return _no(
            "logs",
            f"It writes {humanize(sum(files.values()), 'B')} into files that look like logs"
            f"{after_requests}, and {out}.",
            "Have it log to standard output and error, or link the files to /dev/stdout and "
            "/dev/stderr when the image is built.",
            values,
            _shown(files),
        )
    if not log_bytes:
        return missing("logs", "It has logged nothing, neither to its output nor into files.")
    return _yes("logs", f"It writes {out}, and no file that looks like a log.", values)


def foreground(up: Up, ports: Sequence[int]) -> Finding:
    """Judge whether the command stays: one that daemonizes ends well, having opened a port.

    `ports` are those that the image exposes.
    """
    values: dict[str, Value] = {"seconds": round(up.seconds, 2)}
    if up.is_up:
        return _yes("foreground", f"It still runs {up.seconds:.1f} s after its start.", values)
    if not up.has_ended:
        return missing("foreground", up.fault)
    values["exit_status"] = up.exit_status or 0
    if up.exit_status == 0 and (up.listened or ports):
        opened = "had opened" if up.listened else "exposes"
        named = numbers(up.listened or tuple(ports))
        return _no(
            "foreground",
            f"It ended with status 0 {after(up.seconds)}, though it {opened} port {named}: "
            "a server that it starts in the background ends with it.",
            "Start the server in the foreground, by its own option (`daemon off;`, `-D FOREGROUND`,"
            " `--nodaemon`), not by a service script.",
            values,
        )
    if up.exit_status == 0:
        return missing("foreground", IS_A_JOB, applicable=False)
    return missing("foreground", up.fault)


IS_A_JOB = "Its command ends by itself with status 0 and opens no port: it is a job, or a tool."


def starts(
    check_id: str, up: Up, *, how: str, usual: int = 0, now: int = 0, usual_seconds: float = 0.0
) -> Finding:
    """Judge a start under a limit, which `how` tells; without the limit it comes up.

    It came up within `usual_seconds` then. One that still runs has failed only where it was waited
    for much longer than that: a machine may be busy.

    `usual` is the status with which it answers without the limit, `now` that under it; both are 0
    where it speaks no HTTP.
    """
    values: dict[str, Value] = {"starts": up.is_up, "seconds": round(up.seconds, 2)}
    if up.exit_status is not None:
        values["exit_status"] = up.exit_status
    advice = _ADVICE_ON_LIMITS[check_id]
    if up.is_up and usual and usual < 500 and not 0 < now < 500:
        told = f"answers with status {now}" if now else "does not answer"
        return _no(check_id, f"{how}, it starts and {told}; usually it is {usual}.", advice, values)
    if up.is_up:
        sign = f" ({up.told_by})" if up.told_by else ""
        return _yes(check_id, f"{how}, it is up after {up.seconds:.1f} s{sign}.", values)
    if is_slow(up, usual_seconds):
        told = f"without that, it took {usual_seconds:.1f} s, and the machine may be busy."
        return missing(check_id, f"{how}, it was not up in time; {told} {up.fault}")
    return _no(check_id, f"{how}, it does not start. {up.fault}", advice, values)


def is_slow(up: Up, usual_seconds: float) -> bool:
    """Tell whether one that is not up runs still, and was not waited for much longer than usual."""
    still_runs = not (up.is_up or up.has_ended)
    return still_runs and 0 < up.seconds < _PATIENT_TIMES * usual_seconds


_ADVICE_ON_LIMITS = {
    "read-only-root": "Have it write into an emptyDir or a volume alone, and mount that.",
    "any-user": "Let it run as a user given by number, listen above 1023, and make what it must "
    "write writable for that user or its group.",
    "no-capabilities": "Start it as the user that it is to run as, so that it needs no capability "
    "to change its user or its files.",
}


def writes(
    sizes: Mapping[str, int],
    *,
    layer_bytes: int,
    seconds: float,
    asked: int,
    seen: int,
    all_seen: bool = True,
) -> Finding:
    """Judge what a container has left in its writable layer: files with their sizes in bytes.

    `seen` is how many paths have changed; where not `all_seen`, not all of them were looked at.
    Small files in places for passing ones (/tmp, /run) are told, and are no fault; nor is what
    Python has compiled, which it does again wherever it does not find it.
    """
    lasting = {
        path: size
        for path, size in sizes.items()
        if not (path.startswith(_PASSING) or _COMPILED.search(path))
    }
    values: dict[str, Value] = {
        "written_bytes": layer_bytes,
        "files": len(sizes),
        "lasting_files": len(lasting),
        "changed_paths": seen,
        "seconds": round(seconds, 1),
    }
    when = f"within {seconds:.0f} s" + (f" and {asked} requests" if asked else "")
    if not sizes and all_seen and layer_bytes < SMALL_BYTES:
        return _yes("writes", f"It has written no file {when}.", values)
    least = "" if all_seen else "at least "
    number = f"{least}{len(sizes)} file{'s' * (len(sizes) != 1)}"
    told = f"It has written {number} ({humanize(layer_bytes, 'B')} in its layer) {when}"
    if not lasting and all_seen and layer_bytes < SMALL_BYTES:
        compiled = any(_COMPILED.search(path) for path in sizes)
        where = "all in /tmp or /run" + ", or compiled by Python" * compiled
        return _yes("writes", f"{told}, {where}.", values, _shown(sizes))
    return _no(
        "writes",
        f"{told}, {len(lasting)} of them outside of /tmp and /run.",
        "Give what it writes a volume or an emptyDir: what lies in its layer is lost with it, and "
        "counts as the pod's ephemeral storage.",
        values,
        _shown(lasting or sizes),
    )


_AT_ONCE_SECONDS = 0.5
"""All paths are asked at once; on a busy machine one is a little later than the others."""


def readiness(
    answers: Sequence[Answered], *, no_such_path: Answered | None, named: str, ports: str
) -> Finding:
    """Judge whether a usual path tells of readiness, and not before anything else answers.

    `answers` are those of the usual paths, of `/`, and of the path that somebody has `named`.
    Where a path that nobody has, `no_such_path`, is answered well, those that are answered just
    like it tell nothing; one that somebody has named is taken at their word.
    """
    roots = [one for one in answers if one.path == "/" and one.first_status < 500]
    usual = [one for one in answers if one.path != "/" and one.well_seconds is not None]
    if no_such_path is not None and no_such_path.well_seconds is not None:
        first = no_such_path.first_status
        told = [one for one in usual if one.first_status != first or one.path == named]
        if not told:
            return missing(
                "readiness",
                f"It answers every path alike, with {first} also one that does not exist: so the "
                "usual ones tell nothing of whether it is ready. Name the one that does.",
            )
        usual = told
    if not usual:
        return _no(
            "readiness",
            f"None of {len(READY_PATHS)} usual paths answers well on port {ports}.",
            "Give it a path that answers with 200 when it can serve and with 503 until then, and "
            "name that in the readiness probe.",
            {"ready_paths": 0},
        )
    order = {path: number for number, path in enumerate((named, *READY_PATHS))}
    best = min(usual, key=lambda one: order.get(one.path, len(order)))
    well = best.well_seconds or 0.0
    values: dict[str, Value] = {
        "ready_paths": sum(one.path in READY_PATHS for one in usual),
        "ready_path": best.path,
        "port": best.port,
        "ready_seconds": round(well, 2),
    }
    figure = f"{best.path} on port {best.port} answers well {well:.1f} s after the start"
    places = tuple(one.path for one in usual)
    if best.path in _LIVE_ALONE:
        return _no(
            "readiness",
            f"{figure}; that tells whether it lives, and no usual path tells whether it is ready.",
            "Give it a second path, which answers with 503 until it can serve.",
            values,
            places,
        )
    if best.first_status >= 500:
        figure += f", and with {best.first_status} from {best.first_seconds:.1f} s on"
    if not roots:
        return _yes("readiness", f"{figure}; / does not answer well.", values, places)
    root = min(roots, key=lambda one: one.first_seconds)
    answered = root.first_seconds
    values["answered_seconds"] = round(answered, 2)
    if root.silent_seconds > well + _AT_ONCE_SECONDS:
        return _no(
            "readiness",
            f"{figure}, and / only after {answered:.1f} s: it is called ready too soon.",
            "Let the path answer with 503 until everything else can be served.",
            values,
            places,
        )
    return _yes("readiness", f"{figure}; / answers after {answered:.1f} s.", values, places)


def settings(tried: Sequence[Setting], *, left_out: int, path: str) -> Finding:
    """Judge what an image does without each of its settings.

    `path` is what was asked of one that came up all the same: one that somebody has named, or `/`,
    or nothing. `left_out` is how many settings were not tried.
    """
    faults = [one for one in tried if one.outcome not in (Without.NAMED, Without.NOT_NEEDED)]
    needed = [one for one in tried if one.outcome is Without.NAMED]
    values: dict[str, Value] = {
        "tried": len(tried),
        "needed": len(needed) + len(faults),
        "fail_late": sum(one.outcome in (Without.LATE, Without.HANGS) for one in tried),
        "left_out": left_out,
    }
    more = f" {left_out} more were not tried." if left_out else ""
    places = tuple(one_line(one.name, 60) for one in (faults or tried))[:_SHOWN]
    if faults:
        told = "; ".join(
            f"without {one_line(one.name, 60)}, {one.outcome}" + (f" ({one.told})" * bool(one.told))
            for one in faults[:3]
        )
        return _no(
            "settings",
            f"Of {_settings(len(tried))}, taken away one by one: {told}.{more}",
            "Read all settings at the start, and end with a sentence that names those missing.",
            values,
            places,
        )
    if needed:
        longest = max(one.seconds for one in needed)
        others = "; the others it does not need" * (len(needed) < len(tried))
        return _yes(
            "settings",
            f"Without {_any_of(len(needed))} it ends within {longest:.1f} s and names "
            f"what is missing{others}.{more}",
            values,
            places,
        )
    if path not in ("", "/"):
        return _yes(
            "settings",
            f"Without {_any_of(len(tried))} it comes up and answers "
            f"{one_line(path, 60)} as before: it has defaults.{more}",
            values,
            places,
        )
    return missing(
        "settings",
        f"It comes up without {_any_of(len(tried))} ({', '.join(places)}). Whether it "
        f"fails later is not to be seen: name a path that needs them.{more}",
    )


def _any_of(number: int) -> str:
    return "its one setting" if number == 1 else f"any of {number} settings"


def _settings(number: int) -> str:
    return f"{number} setting{'s' * (number != 1)}"


def _yes(
    check_id: str, figure: str, values: Mapping[str, Value], places: tuple[str, ...] = ()
) -> Finding:
    return Finding(CHECKS[check_id], Verdict.HOLDS, figure, values=values, places=places)


def _no(
    check_id: str,
    figure: str,
    advice: str,
    values: Mapping[str, Value],
    places: tuple[str, ...] = (),
) -> Finding:
    return Finding(CHECKS[check_id], Verdict.DOES_NOT_HOLD, figure, advice, values, places)


def _answer(who: str, status: int, usual: int) -> str:
    if status == usual:
        return f"{who} was answered with {status}"
    return f"{who} was answered with {status} instead of {usual}" if status else f"{who} was cut"


def _signal(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _shown(sizes: Mapping[str, int]) -> tuple[str, ...]:
    largest = sorted(sizes, key=lambda path: (-sizes[path], path))[:_SHOWN]
    return tuple(f"{one_line(path, 120)} ({humanize(sizes[path], 'B')})" for path in largest)


def _by_pid(processes: Sequence[Process], pid: int) -> Process | None:
    return next((one for one in processes if one.pid == pid), None)


def _lasting_child(first: Sequence[Process], second: Sequence[Process], pid: int) -> int | None:
    """Return the living child of a process that both looks have seen, or None.

    Of several it is the one with the most processes below it, since others are helpers rather, and
    of equal ones the youngest.
    """
    before = {one.pid for one in first if one.ppid == pid}
    lasting = [
        one.pid for one in second if one.ppid == pid and one.pid in before and not one.is_zombie
    ]
    return max(lasting, key=lambda child: (_below(second, child), child), default=None)


def _below(processes: Sequence[Process], pid: int) -> int:
    """Return how many processes descend from one."""
    found, below = {pid}, 0
    for one in sorted(processes, key=lambda process: process.pid):
        if one.ppid in found:
            found.add(one.pid)
            below += 1
    return below


def _name(process: Process) -> str:
    return one_line(process.comm, 40) or f"PID {process.pid}"


def _told(process: Process) -> str:
    return one_line(process.args, 60) or _name(process)


def _is_init(process: Process) -> bool:
    return process.comm in INITS


def _is_shell(process: Process) -> bool:
    """Tell whether a process is a shell, or a script that one runs."""
    program = posixpath.basename(process.args.partition(" ")[0]).removeprefix("-")
    return process.comm in SHELLS or program in SHELLS


def _program(process: Process) -> str:
    """Return the name of a process without the arguments that some write into it (`npm start`)."""
    return process.comm.partition(" ")[0]
