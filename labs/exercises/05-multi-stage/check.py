"""Check the reader's image: does the service work, what is left in it, and is it still tested?"""

from __future__ import annotations

from pathlib import Path

from proving import toolchain
from proving.claims import humanize
from proving.errors import BuildError, ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, request
from proving.image import Image
from proving.lab import Lab

PORT, WARMEST = 8000, "31.5"
SOURCE, BEFORE, FAULTY = "peak.c", "values[i] > found", "values[i] < found"
LEFT_OVER = {"peak.c", "test_peak.c", "test-peak"}
LISTS = "var/lib/apt/lists"


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge what the service answers and what its image holds, not how the Dockerfile looks."""
    if not _is_whole(folder / SOURCE):
        return Answer(
            Outcome.FAILED,
            f"{SOURCE} must stay as the exercise has it: the check puts a fault into its copy. "
            "What is to be mended is the Dockerfile.",
        )
    image = lab.build(folder)
    try:
        with lab.start(image) as app:
            status, page = request(lab, app, PORT)
        if status != 200 or page.strip() != WARMEST:
            return Answer(
                Outcome.FAILED,
                f"The service answers with status {status} and {page.strip()[:60]!r}; {WARMEST!r} "
                "was expected.",
            )
        hint = _left_over(lab, image) or _untested(lab, folder)
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, f"{error}{_missing(str(error))}")
    size = humanize(image.contents.transfer_bytes, "B")
    told = f"The service works, and a node downloads {size}"
    if hint:
        return Answer(Outcome.HINT, f"{told}. {hint}")
    return Answer(
        Outcome.PASSED, f"{told}: no compiler, no sources, and no image of a library that fails."
    )


def _is_whole(file: Path) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8").count(BEFORE) == 1


def _missing(said: str) -> str:
    if "libgomp" not in said:
        return ""
    return " What the library needs while it runs came with the compiler; which package has it?"


def _left_over(lab: Lab, image: Image) -> str:
    """Return what the image has and the service does not need, or nothing."""
    if compilers := toolchain.names(toolchain.look(lab, image).compilers):
        return (
            f"In its image are {', '.join(compilers)}, and nobody compiles in a container. "
            "Which of its files does the service need, and which stage could be without the rest?"
        )
    contents = image.contents
    if left := sorted(LEFT_OVER & {path.rpartition("/")[2] for path in contents.carried}):
        return (
            f"Its layers carry {', '.join(left)}, which the service never opens. Must the last "
            "stage have the whole folder?"
        )
    if lists_bytes := contents.bytes_below(LISTS):
        return (
            f"{humanize(lists_bytes, 'B')} of package lists are in its image: the last stage is "
            "the one in which tidiness counts."
        )
    return ""


def _untested(lab: Lab, folder: Path) -> str:
    """Return that a faulty library gets into an image, or nothing."""
    with lab.workspace_of(folder, folder) as work:
        work.edit(SOURCE, BEFORE, FAULTY)
        try:
            work.build()
        except BuildError:
            return ""
    return (
        f"With a fault in {SOURCE} it builds all the same, so the test was not run. BuildKit runs "
        "those stages that the last one needs: what could the last one take from the test?"
    )
