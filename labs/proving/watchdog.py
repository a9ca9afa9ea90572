"""A small process that cleans up after a lab whose own process is gone.

It has a session of its own, so that Ctrl-C and a closed terminal pass it by, and holds the end
of a pipe: when the lab's process ends in whatever way, the pipe closes and the watchdog removes
what the run has left on the engine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from .engine import Engine
from .paths import STATE
from .spans import span

BUILD_VARIABLE = "PROVING_BUILD"
"""Names the run in the environment of the docker client that builds for it."""

PATIENCE_SECONDS = 8.0
_ENOUGH = b"done\n"


@dataclass
class Watchdog:
    """The lab's end of the pipe."""

    process: subprocess.Popen[bytes]

    @property
    def is_awake(self) -> bool:
        """Whether it still waits for the end of the lab."""
        return self.process.stdin is not None and not self.process.stdin.closed

    def tell(self, line: bytes) -> None:
        """Tell what there is to tidy up in the build cache: a line of JSON, the last one counts."""
        pipe = self.process.stdin
        if pipe is not None and not pipe.closed:
            with suppress(OSError):
                pipe.write(line)
                pipe.flush()

    def dismiss(self) -> None:
        """Tell the watchdog that the lab has cleaned up by itself."""
        pipe = self.process.stdin
        if pipe is None or pipe.closed:
            return
        try:
            pipe.write(_ENOUGH)
            pipe.close()
        except OSError:
            return
        with span("watchdog", "its end"):
            self.process.wait(timeout=30)


def start(engine: Engine, run: str) -> Watchdog:
    """Start a watchdog for a run on an engine."""
    environment = {
        name: value for name, value in engine.environment().items() if name != BUILD_VARIABLE
    }
    with span("watchdog", run):
        process = subprocess.Popen(
            [sys.executable, "-m", "proving.watchdog", run],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**environment, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
    return Watchdog(process)


def main() -> None:
    """Wait for the end of the pipe; clean up unless the lab has said that it did."""
    run = sys.argv[1]
    told = sys.stdin.buffer.read()
    if told.endswith(_ENOUGH):
        return
    clean_up(run, told)


def clean_up(run: str, told: bytes = b"") -> None:
    """End the builds of a run and remove what it has on the engine until nothing more comes.

    `told` are the lines about the build cache that the lab has sent. Its records are removed when
    no window is open on them: with the lock that a `buildcache.Window` holds.
    """
    from . import buildcache, leftovers, system
    from .engine import of_environment

    _end_builds(run)
    client = of_environment().docker
    until, quiet = time.monotonic() + PATIENCE_SECONDS, 0
    while quiet < 2 and time.monotonic() < until:
        quiet = 0 if leftovers.remove(client, run) else quiet + 1
        time.sleep(0.5)
    lines = [line for line in told.splitlines(keepends=True) if line.endswith(b"\n")]
    if lines and (window := json.loads(lines[-1])):
        # a new run of the same lab may be measuring: its records look like this one's
        with system.lock(STATE / "build-cache.lock"):
            buildcache.remove_new(client, window["before"], window["commands"])


def _end_builds(run: str) -> None:
    import psutil

    for process in psutil.process_iter():
        try:
            if process.environ().get(BUILD_VARIABLE) == run:
                process.kill()
        except (psutil.Error, OSError):
            continue


if __name__ == "__main__":
    main()
