"""The reader's own turn: build what they wrote, run it, and answer pass, hint or fail.

Each `exercises/NN-name/` has the folders `start` and `solution` and a `check.py`, which returns an
`Answer`; the answer is about what comes of *their* folder, not about the text. A chapter's first
exercise bears the chapter's name, the others its number and names of their own.
Its function `check(lab, image)` gets the image that was built of the folder. Where building itself
is what is judged, `check_folder(lab, folder)` stands in its place and builds as it needs.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import claims, leftovers
from .errors import BuildError, ContainerError, ProvingError
from .helper import Helped, help_by
from .paths import LABS
from .spans import span
from .system import last_lines

if TYPE_CHECKING:
    from .container import Container
    from .lab import Lab

MIME = "application/vnd.proving-ground.answer+json"

IMAGE = "localhost/exercise:1"
"""By what the manifest of an exercise names the image of the Dockerfile beside it."""

_PAUSE_SECONDS = 0.2


class Outcome(StrEnum):
    """The three answers that a check gives."""

    PASSED = "passed"
    HINT = "not yet"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """An outcome and the sentence that says what was found, and for a hint, where to look."""

    outcome: Outcome
    sentence: str


CheckFolder = Callable[["Lab", Path], Answer]

_ASK = """
for attempt in {1..20}; do
  (
    exec 3<>"/dev/tcp/127.0.0.1/$0" &&
    printf 'GET %s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' "$1" >&3 &&
    cat <&3 &&
    echo
  ) 2>/dev/null && break
  sleep 0.1
done
"""
"""For bash, which the SLIM base has: it needs no client, and opens connections by itself.

A line's end is put behind the answer: engines were seen to lose the last line of a short-lived
container's output where it has none.
"""


def folder(exercise: str) -> Path:
    """Return the folder of an exercise: the reader's working copy where there is one."""
    own = Path.cwd() / "exercises" / exercise
    return own if own.is_dir() else LABS / "exercises" / exercise


def changed(folder: Path, own: Path, names: Iterable[str]) -> list[str]:
    """Return which of the files that are to stay are another one in a folder, or are missing."""
    return [
        name
        for name in names
        if not (folder / name).is_file()
        or (folder / name).read_bytes() != (own / name).read_bytes()
    ]


def check(lab: Lab, name: str, exercise: str = "") -> Answer:
    """Build one folder of a lab's exercise and check what comes of it.

    Without a name it is the lab's first exercise. A Dockerfile that does not build is a failed
    answer, told with the step that broke.

    Raises:
        ProvingError: there is no such exercise, folder, or check beside it.
    """
    exercise = exercise or lab.slug
    place = folder(exercise) / name
    if not place.is_dir():
        there = ", ".join(claims.exercises_of(lab.slug)) or "none"
        raise ProvingError(
            f"There is no folder {name!r} of an exercise {exercise!r}; this lab's exercises are "
            f"{there}."
        )
    judge = _load(LABS / "exercises" / exercise / "check.py")
    try:
        return judge(lab, place)
    except BuildError as error:
        return Answer(Outcome.FAILED, str(error))


def _load(path: Path) -> CheckFolder:
    spec = importlib.util.spec_from_file_location(f"check_{path.parent.name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ProvingError(f"The exercise has no {path.name}; it should lie in {path.parent}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks its annotations up
    spec.loader.exec_module(module)
    return _judge(module)


def _judge(module: ModuleType) -> CheckFolder:
    if hasattr(module, "check_folder"):
        own: CheckFolder = module.check_folder
        return own

    def check_image(lab: Lab, place: Path) -> Answer:
        found: Answer = module.check(lab, lab.build(place))
        return found

    return check_image


def request(
    lab: Lab, app: Container, port: int, path: str = "/", *, seconds: float = 10.0
) -> tuple[int, str]:
    """Return the HTTP status and the body that a server in a container answers a GET with.

    A helper in the container's network asks, so that no port is published; it asks again until the
    server listens, and gives up on one that takes the question and does not end its answer.
    A helper that the engine does not start has no answer either: what it would join has ended, or
    it is told at the end why it was not started.

    Raises:
        ContainerError: the container has ended, or nothing answers within these seconds.
    """
    helped = Helped()
    until = time.monotonic() + seconds
    while (state := app.state()).status == "running" and time.monotonic() < until:
        left_seconds = max(until - time.monotonic(), 1.0)
        with span("request", path):
            helped = help_by(
                lab.engine,
                lab.helper_image,
                ["timeout", f"{left_seconds:.1f}", "bash", "-c", _ASK, str(port), path],
                leftovers.label(lab.run),
                network_mode=f"container:{app.get_container_id()}",
            )
        if helped.well and helped.output:
            return parse_answer(helped.output.removesuffix(b"\n"))
        if helped.refusal:
            time.sleep(_PAUSE_SECONDS)
    said = last_lines(app.log_text()) or "    (it has logged nothing)"
    if state.status == "running":
        asked = f"Nobody could ask: {helped.fault}. " if helped.refusal else ""
        raise ContainerError(
            f"Nothing in the container answers on port {port} within {seconds:.0f} s. {asked}"
            f"Its last lines:\n{said}"
        )
    raise ContainerError(
        f"The container ended with exit status {state.exit_status} before it answered on port "
        f"{port}. Its last lines:\n{said}"
    )


def parse_answer(answer: bytes) -> tuple[int, str]:
    """Return the status and the body of an HTTP/1.0 response (RFC 1945).

    Raises:
        ContainerError: it is none.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ContainerError(f"The container's answer is not HTTP: {answer[:60]!r}.")
    return int(words[1]), body.decode(errors="replace")


def bundle(answer: Answer) -> dict[str, Any]:
    """Return what a notebook displays of an answer."""
    symbol = {Outcome.PASSED: "●", Outcome.HINT: "◐", Outcome.FAILED: "▲"}[answer.outcome]
    sentence = escape(answer.sentence).replace("\n", "<br>")
    return {
        MIME: {"outcome": str(answer.outcome), "sentence": answer.sentence},
        "text/html": f"<p><strong>{symbol} {answer.outcome}</strong> · {sentence}</p>",
        "text/plain": f"{symbol} {answer.outcome}: {answer.sentence}",
    }
