"""An attempt to start an image: it may be refused, and then there is no container to look at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import leftovers
from .engine import talking_to
from .errors import CouldNotMeasure
from .helper import started
from .spans import span

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

SECONDS = 30
"""How long a program that was started may run."""

_REASON = re.compile(
    r"no such file or directory|executable file not found|permission denied|exec format error",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Attempt:
    """What came of a start: the exit status, the output, and what the engine said.

    Which exit status a program has that cannot be executed depends on the engine, and so does
    whether the engine refuses the start or writes its reason to the container's output. It is
    never 0.
    """

    exit_status: int
    output: str
    refusal: str = ""

    @property
    def reason(self) -> str:
        """Why the program was not executed, in the words of the system, the same on all engines.

        It is `none` where nothing was said of one.
        """
        found = _REASON.search(f"{self.refusal}\n{self.output}")
        return found[0].lower() if found else "none"


def attempt(
    lab: Lab, image: Image, command: Sequence[str] = (), *, entrypoint: Sequence[str] = ()
) -> Attempt:
    """Start a container of an image, wait for its end, and tell what came of it.

    Raises:
        CouldNotMeasure: it did not end within `SECONDS`.
        EngineError: the engine went away.
    """
    from requests.exceptions import ConnectionError as NoAnswer
    from requests.exceptions import ReadTimeout

    with talking_to(lab.engine), span("attempt", image.name):
        container, refusal = started(
            lambda: lab.engine.docker.containers.create(
                image.id,
                list(command) or None,
                entrypoint=list(entrypoint) or None,
                network_mode="none",
                labels=leftovers.label(lab.run),
            )
        )
        try:
            if refusal:
                container.reload()
                return Attempt(int(container.attrs["State"]["ExitCode"]), "", refusal)
            status = int(container.wait(timeout=SECONDS)["StatusCode"])
            return Attempt(status, container.logs().decode(errors="replace"))
        except (ReadTimeout, NoAnswer) as error:
            raise CouldNotMeasure(f"{image.name} did not end within {SECONDS} s.") from error
        finally:
            container.remove(force=True)


def has_shell(lab: Lab, image: Image) -> bool:
    """Tell whether a shell starts in the image: `sh -c true`, not a file that is named so."""
    return attempt(lab, image, ["-c", "true"], entrypoint=["sh"]).exit_status == 0
