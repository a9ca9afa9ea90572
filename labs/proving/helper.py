"""Short-lived containers that help to look at another one, from within its namespaces perhaps.

What they join may end at any moment. An engine tells that in many ways: a conflict, a namespace
that is not there, a process that could not be started. So a refusal is an answer here, and whoever
has asked looks what has become of the other container.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .engine import has_stumbled, talking_to

if TYPE_CHECKING:
    from docker.models.containers import Container

    from .engine import Engine


@dataclass(frozen=True)
class Helped:
    """What became of a helper: its standard output and exit status, or why it was not started."""

    output: bytes = b""
    exit_status: int | None = None
    refusal: str = ""

    @property
    def well(self) -> bool:
        """Whether it was started and has ended with status 0."""
        return self.exit_status == 0

    @property
    def fault(self) -> str:
        """Why it did not help, in words; empty where it did."""
        if self.refusal:
            return self.refusal.strip().rstrip(".")
        return "" if self.well else f"the helper has ended with exit status {self.exit_status}"


def started(create: Callable[[], Container]) -> tuple[Container, str]:
    """Create a container and start it; return it, and why the engine did not start it, or nothing.

    Where the engine itself has stumbled, the container is removed and another one is tried.
    """
    container = create()
    refusal = _start(container)
    if has_stumbled(refusal):
        container.remove(force=True)
        container = create()
        refusal = _start(container)
    return container, refusal


def _start(container: Container) -> str:
    from docker.errors import APIError

    try:
        container.start()
    except APIError as error:
        return str(error.explanation)
    except BaseException:
        container.remove(force=True)
        raise
    return ""


def help_by(
    engine: Engine, image: str, command: Sequence[str], labels: Mapping[str, str], **options: Any
) -> Helped:
    """Run a command in a container to its end, and remove it, also where it was not started.

    The options are those of docker-py's `containers.create`.

    Raises:
        EngineError: the engine went away.
    """
    from docker.errors import APIError

    def create() -> Container:
        return engine.docker.containers.create(image, list(command), labels=dict(labels), **options)

    with talking_to(engine):
        try:
            container, refusal = started(create)
        except APIError as error:  # some engines look at creation for what it would join
            return Helped(refusal=str(error.explanation))
        try:
            if refusal:
                return Helped(refusal=refusal)
            status = int(container.wait()["StatusCode"])
            return Helped(bytes(container.logs(stdout=True, stderr=False)), status)
        finally:
            container.remove(force=True)
