"""One image that is built, run, asked and stopped, as the labs do it, and nothing of it is left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BuildError, EngineError, ProvingError

if TYPE_CHECKING:
    from ..container import Container
    from ..lab import Lab

CONTEXT = Path(__file__).parent / "image"
PORT = 8080
GRACE_SECONDS = 5.0
ANSWER_SECONDS = 10.0

NO_BUILD, NO_START, NO_ANSWER, NO_STOP, WORKS = (
    "no-build",
    "no-start",
    "no-answer",
    "no-stop",
    "works",
)


@dataclass
class Trial:
    """How far the trial came: `outcome` is what it stands at until the next step has worked.

    `disk_free_bytes` is what a container of the engine finds free, where it could be asked.
    """

    outcome: str = NO_BUILD
    told: str = "It was not built in time."
    build_seconds: float = 0.0
    stop_seconds: float = 0.0
    seconds: float = 0.0
    disk_free_bytes: int | None = None

    def run(self) -> None:
        """Try the image; whatever goes wrong is told by the outcome and its sentence.

        Raises:
            EngineError: the engine went away.
        """
        from ..lab import Lab

        began = time.monotonic()
        try:
            with Lab("preflight") as lab:
                self._run(lab)
        except EngineError:
            raise
        except ProvingError as error:
            self.told = str(error)
        finally:
            self.seconds = time.monotonic() - began

    def _run(self, lab: Lab) -> None:
        with lab.workspace_of(CONTEXT, CONTEXT, key="preflight") as work:
            began = time.monotonic()
            (work.context / "Dockerfile").unlink()
            work.salt("server.pl")
            try:
                image = work.build()
            except BuildError as error:
                self.told = str(error)
                return
            self.build_seconds = time.monotonic() - began
            self.outcome, self.told = NO_START, "Its container did not start in time."
            with lab.start(image, ports=[PORT], ready="^ready", ready_seconds=20) as app:
                self.disk_free_bytes = _free_bytes(app)
                self._ask(app)
                if self.outcome == NO_STOP:
                    self._stop(app)

    def _ask(self, app: Container) -> None:
        self.outcome = NO_ANSWER
        self.told = f"Port {PORT} of the container is published, and did not answer from here."
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            if app.get(PORT) == 200:
                self.outcome, self.told = NO_STOP, "It did not stop in time."
                return
            time.sleep(0.2)

    def _stop(self, app: Container) -> None:
        stop = app.stop_gracefully(GRACE_SECONDS)
        self.stop_seconds = stop.seconds
        if stop.exit_status == 0:
            self.outcome, self.told = WORKS, ""
        else:
            self.told = f"Asked to stop, it ended with exit status {stop.exit_status}."


def _free_bytes(app: Container) -> int | None:
    """Return what df(1) finds free below a container's root, which is on the engine's disk."""
    status, output = app.get_wrapped_container().exec_run(["df", "-Pk", "/"])
    fields = bytes(output).decode(errors="replace").split("\n")[-2:-1]
    words = fields[0].split() if fields and not status else []
    return int(words[3]) * 1024 if len(words) > 3 and words[3].isdecimal() else None
