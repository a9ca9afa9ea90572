"""What the servers of labs share: a container that is used by `with`, and marks in its log."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from .engine import talking_to
from .errors import CouldNotMeasure

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

MARK = "/mark/"
"""What the path of a mark begins with; a word of its own follows."""

LOG_SECONDS = 30.0
"""How long the engine is given to pass on what a server has logged; a busy one takes over 10 s."""


class _Logged(Protocol):
    @property
    def path(self) -> str: ...


Line = TypeVar("Line", bound=_Logged)


def between(lines: Iterable[Line], since: str, until: str) -> tuple[Line, ...]:
    """Return the lines of an access log between two marks, without other marks.

    Raises:
        CouldNotMeasure: one of the marks is not among the lines. The sentence tells a log that is
            late, which has no end mark yet, from one that never had the first.
    """
    listed = list(lines)
    paths = [line.path for line in listed]
    if MARK + until not in paths:
        raise CouldNotMeasure(
            "The server's log does not tell the mark to count to: the engine passes it on late. "
            "Measure again when the engine has less to do."
        )
    if MARK + since not in paths:
        raise CouldNotMeasure(
            "The server's log does not have the mark to count from; "
            "take one with `mark()` from the same server, before what is to be counted."
        )
    first, last = paths.index(MARK + since), paths.index(MARK + until)
    return tuple(line for line in listed[first:last] if not line.path.startswith(MARK))


class Server:
    """A container of a lab's on the engine's default bridge: started and removed by `with`."""

    def __init__(
        self, lab: Lab, image: Image, *, options: Mapping[str, Any] | None = None, **arguments: Any
    ) -> None:
        on_bridge = {"network_mode": "bridge", **(options or {})}
        self._container = lab.start(image, options=on_bridge, **arguments)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the server and wait until it is ready; it has nothing of its own yet.

        Raises:
            ContainerError: it does not start.
        """
        self._container.start()
        return self

    def stop(self) -> None:
        """Remove the server, with all that it has."""
        self._container.stop()


class LoggedServer(Server):
    """A server whose access log, on standard output, tells what it has served since a mark."""

    def mark(self) -> str:
        """Draw a line under what was served so far, and return its name for `served`."""
        word = uuid.uuid4().hex[:12]
        self._draw(word)
        return word

    def _draw(self, word: str) -> None:
        """Have the server log the path of a mark."""
        raise NotImplementedError

    def _log_with_mark(self, by: float) -> tuple[str, str]:
        """Return the log up to a new mark, and that mark; `by` then the log is as late as it is.

        What the server has to say besides goes to standard error, and is not there.
        """
        until = self.mark()
        while MARK + until not in (log := self._log()) and time.monotonic() < by:
            time.sleep(0.05)
        return log, until

    def _log(self) -> str:
        with talking_to(self._container.engine):
            logs = self._container.get_wrapped_container().logs(stdout=True, stderr=False)
        return bytes(logs).decode(errors="replace")
