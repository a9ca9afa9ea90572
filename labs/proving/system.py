"""The host: who we are on it, its package manager, and locks between runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType

from .errors import EngineError

Say = Callable[[str], None]


def say(sentence: str) -> None:
    """Tell the person at the terminal what happens now, at once and on standard error."""
    print(sentence, file=sys.stderr, flush=True)


def agreed(question: str) -> bool:
    """Ask the person at the terminal; only a yes counts, and nobody there to answer is a no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def print_anything() -> None:
    """Have standard output and error show what their encoding lacks by its code, and not fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def ending_with_parent() -> Iterator[None]:
    """End this process, in order, when the one that started it is gone (killed, say)."""
    parent, over = os.getppid(), threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGINT)
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


@contextmanager
def ending_in_order(
    *, hang_up: bool = False, once: bool = False, note: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Have whatever ends this process end a block as Ctrl-C does, by a KeyboardInterrupt.

    That is a signal to interrupt or to terminate, the end of the process that started this one,
    and with `hang_up` a terminal that closes, unless that is ignored already, as `nohup` has it.
    With `once` only the first of these counts, so that none of them cuts the clearing up short.
    `note` is called at each that counts. Afterwards the handlers of before are there again.
    """
    is_over = False

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal is_over
        if once and is_over:
            return
        is_over = True
        note()
        raise KeyboardInterrupt

    endings = [signal.SIGINT, signal.SIGTERM]
    if hang_up and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        endings.append(signal.SIGHUP)
    before = {one: signal.signal(one, interrupt) for one in endings}
    try:
        with ending_with_parent():
            yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def elevation() -> list[str] | None:
    """Return the words that make a command run as root, or None where there is no way to."""
    if not hasattr(os, "geteuid"):
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    interactive = sys.stdin is not None and sys.stdin.isatty()
    if interactive or _succeeds([sudo, "-n", "true"]):
        return [sudo]
    return None


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(command: Sequence[str], *, why: str, as_root: bool = False) -> str:
    """Run a program to its end and return its standard output.

    Raises:
        EngineError: the program is missing, fails, or needs root where there is none.
    """
    prefix = elevation() if as_root else []
    if prefix is None:
        raise EngineError(f"To {why}, root or sudo is needed, and neither is to be had here.")
    try:
        result = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False)
    except OSError as error:
        raise EngineError(f"To {why}, {command[0]} was started: {error.strerror}.") from error
    if result.returncode:
        raise EngineError(
            f"To {why}, `{' '.join(command)}` was run; it ended with exit status "
            f"{result.returncode}:\n{last_lines(result.stderr or result.stdout)}"
        )
    return result.stdout


def last_lines(text: str, count: int = 12) -> str:
    """Return the last lines of a program's output, indented, for an error's sentence."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:])


def which(program: str) -> str | None:
    """Return where a program is, also among those for root, which are not on everybody's PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def can_install() -> bool:
    """Tell whether packages can be installed: apt is here, and root or sudo."""
    return shutil.which("apt-get") is not None and elevation() is not None


def install(*packages: str, why: str, tell: Say = say, if_known: Sequence[str] = ()) -> None:
    """Install distribution packages, after saying so; on a terminal, after asking.

    Those of `if_known` are installed too where the distribution has them.

    Raises:
        EngineError: the person said no, or the package manager failed.
    """
    names = " ".join(packages)
    tell(f"To {why}, these distribution packages will be installed: {names}.")
    if sys.stdin is not None and sys.stdin.isatty() and not os.environ.get("CI"):
        answer = input("Install them now? [Y/n] ").strip().lower()
        if answer not in ("", "y", "yes"):
            raise EngineError(f"To {why}, {names} would have been installed; you said no.")
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qy"]
    command += ["-o", "DPkg::Lock::Timeout=300"]
    with _one_at_a_time:
        _read_package_lists(tuple(command))
        known = [name for name in if_known if _succeeds(["apt-cache", "show", name])]
        install = ["install", "--no-install-recommends", *packages, *known]
        run([*command, *install], why=why, as_root=True)


_one_at_a_time = threading.Lock()


@cache
def _read_package_lists(command: tuple[str, ...]) -> None:
    run([*command, "update"], why="read the package lists", as_root=True)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a file's lock, so that two runs at once do the work one after the other.

    Raises:
        EngineError: the folder belongs to somebody else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except PermissionError as error:
        raise EngineError(
            f"{path.parent} cannot be written: an earlier run as root has made it, perhaps. "
            f"Run as root again, or remove it: sudo rm -r {path.parent}."
        ) from error
    with file:
        if os.name == "posix":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
