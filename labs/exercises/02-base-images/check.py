"""Check the reader's image: does its program work, and what does it carry besides?"""

from __future__ import annotations

from proving.attempt import attempt
from proving.claims import humanize
from proving.errors import CouldNotMeasure
from proving.exercises import Answer, Outcome
from proving.image import Image
from proving.lab import Lab
from proving.layers import Contents

SECONDS, EXPECTED = "9000", "2 h 30 min"
MOST_BYTES = 5_000_000


def check(lab: Lab, image: Image) -> Answer:
    """Judge what the program prints and what the layers hold, not how the Dockerfile is written."""
    try:
        came = attempt(lab, image, [SECONDS])
        contents = image.contents
    except CouldNotMeasure as error:
        return Answer(Outcome.FAILED, str(error))
    if came.exit_status or came.output.strip() != EXPECTED:
        why = f": {came.reason}" if came.reason != "none" else ""
        return Answer(
            Outcome.FAILED,
            f"With the argument {SECONDS} the container prints {came.output.strip()[:60]!r} and "
            f"ends with exit status {came.exit_status}{why}; {EXPECTED!r} was expected.",
        )
    return _judge(contents)


def _judge(contents: Contents) -> Answer:
    told = f"The program works, and a node downloads {humanize(contents.transfer_bytes, 'B')}"
    if any(name.split("-")[0] == "gcc" for name in contents.packages):
        hint = "The compiler is among them, and nobody compiles in a container. Who could?"
        return Answer(Outcome.HINT, f"{told} in {len(contents.packages)} packages. {hint}")
    if contents.transfer_bytes > MOST_BYTES:
        removed = contents.base_rewritten_bytes
        hint = (
            f"{humanize(removed, 'B')} of the base are hidden, and are carried all the same. "
            if removed > MOST_BYTES
            else ""
        )
        return Answer(
            Outcome.HINT,
            f"{told} in {len(contents.packages)} packages. {hint}Which of the "
            f"{len(contents.executables)} executable files does the program use? On what could it "
            "stand if it were linked statically?",
        )
    count = len(contents.files)
    return Answer(Outcome.PASSED, f"{told}, for {count} {'file' if count == 1 else 'files'}.")
