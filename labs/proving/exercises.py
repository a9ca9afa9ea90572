"""The reader's own turn: build what they wrote, run it, and answer pass, hint or fail.

Each `exercises/NN-slug/` has the folders `start` and `solution` and a `check.py` whose function
`check(lab, image)` returns an `Answer`; the answer is about *their* image, not about the text.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BuildError, ProvingError
from .paths import LABS

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

MIME = "application/vnd.proving-ground.answer+json"


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


Check = Callable[["Lab", "Image"], Answer]


def folder(slug: str) -> Path:
    """Return the folder of a lab's exercise: the reader's working copy where there is one."""
    own = Path.cwd() / "exercises" / slug
    return own if own.is_dir() else LABS / "exercises" / slug


def check(lab: Lab, name: str) -> Answer:
    """Build one folder of a lab's exercise and check the image.

    A Dockerfile that does not build is a failed answer, told with the step that broke.

    Raises:
        ProvingError: there is no such folder, or no check beside it.
    """
    place = folder(lab.slug) / name
    if not place.is_dir():
        raise ProvingError(f"The exercise of {lab.slug} has no folder {name!r}.")
    function = _load(LABS / "exercises" / lab.slug / "check.py")
    try:
        image = lab.build(place)
    except BuildError as error:
        return Answer(Outcome.FAILED, str(error))
    return function(lab, image)


def _load(path: Path) -> Check:
    spec = importlib.util.spec_from_file_location(f"check_{path.parent.name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ProvingError(f"The exercise has no {path.name}; it should lie in {path.parent}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Check = module.check
    return function


def bundle(answer: Answer) -> dict[str, Any]:
    """Return what a notebook displays of an answer."""
    symbol = {Outcome.PASSED: "●", Outcome.HINT: "◐", Outcome.FAILED: "▲"}[answer.outcome]
    sentence = escape(answer.sentence).replace("\n", "<br>")
    return {
        MIME: {"outcome": str(answer.outcome), "sentence": answer.sentence},
        "text/html": f"<p><strong>{symbol} {answer.outcome}</strong> · {sentence}</p>",
        "text/plain": f"{symbol} {answer.outcome}: {answer.sentence}",
    }
