"""Check the reader's stages: what is made again, and for which of the two images?"""

from __future__ import annotations

import secrets
from pathlib import Path

from proving.claims import humanize
from proving.errors import BuildError, ContainerError
from proving.exercises import Answer, Outcome, changed, request
from proving.image import Image, failure
from proving.lab import Lab
from proving.progress import Progress
from proving.stages import stages_run
from proving.workspace import Workspace

PORT = 8000
MANUAL = "manual"
MAKES = {"library": "make_library.sh", "pages": "make_pages.py", MANUAL: "make_manual.py"}
"""What is made, by the script that makes it, and tells so."""

PAGE, NEW_PAGE = "every Saturday", "every Sunday"
TIDE, NEW_TIDE = "HIGH = 4;", "HIGH = 5;"
STEP, MISPRINT = "2. At less", "7. At less"
ANSWER, NEW_ANSWER = (PAGE, "2.5 m"), (NEW_PAGE, "3 m")


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Build a copy of the folder after one edit and another, and judge by what each build makes."""
    own = Path(__file__).parent / "start"
    names = sorted(file.name for file in own.iterdir() if file.name != "Dockerfile")
    if others := changed(folder, own, names):
        return Answer(
            Outcome.FAILED,
            f"{' and '.join(others)} must stay as the exercise has it: the check edits its copy. "
            "What is to be mended is the Dockerfile.",
        )
    lab.build(folder)  # what it installs stays in the cache, which a copy's own is removed from
    with Progress(folder.name) as progress, lab.workspace_of(folder, folder) as work:
        for file in ("pages.txt", "manual.txt"):
            work.salt(file)
        work.append("tide.c", f"/* {secrets.token_hex(8)} */\n")
        progress.say(f"Building {folder.name}, and again after each edit …")
        try:
            answer = _judge(lab, work)
        except ContainerError as error:
            answer = Answer(Outcome.FAILED, str(error))
        progress.note(f"Built a copy of {folder.name}, and again after each edit.")
    return answer


def _judge(lab: Lab, work: Workspace) -> Answer:
    return _first(lab, work) or _misprinted(work) or _manual(work) or _apart(lab, work)


def _first(lab: Lab, work: Workspace) -> Answer | None:
    """Return why the service cannot be judged yet, or nothing."""
    image = work.build()
    fault = _not_made(image) or _fault(lab, image, ANSWER)
    return Answer(Outcome.FAILED, fault) if fault else None


def _not_made(image: Image) -> str:
    """Return what the first build should have made and did not, or nothing."""
    missing = [name for name in ("library", "pages") if name not in stages_run(image.progress)]
    if not missing:
        return ""
    scripts = " and ".join(MAKES[name] for name in missing)
    return (
        f"`docker build .` did not run {scripts}, although all sources were new. It makes the "
        "last stage of the Dockerfile, and that must be the service."
    )


def _fault(lab: Lab, image: Image, expected: tuple[str, ...]) -> str:
    """Return what the service does not answer, or nothing."""
    with lab.start(image) as app:
        status, page = request(lab, app, PORT)
    missing = [text for text in expected if text not in page]
    if status == 200 and not missing:
        return ""
    return (
        f"The service answers with status {status} and {page.strip()[-120:]!r}; "
        f"{', '.join(repr(text) for text in missing)} was expected in it."
    )


def _misprinted(work: Workspace) -> Answer | None:
    """Return what a misprint in the manual does to the service, or nothing."""
    work.edit("manual.txt", STEP, MISPRINT)
    try:
        image = work.build()
    except BuildError as error:
        return Answer(
            Outcome.HINT,
            "The service works. But with a misprint in manual.txt no new image of it can be built, "
            f"although it has no manual. {failure(error.progress)}\n"
            "Which stages does the service need, and on what does each of them stand?",
        )
    # not the steps alone: a file that was copied may be copied again, when others tidy the cache
    if not (made := [f"the {name}" for name in stages_run(image.progress)]):
        return None
    return Answer(
        Outcome.HINT,
        "The service works, and a misprint in manual.txt does not stop it. But for the change of "
        f"that one line {' and '.join(made)} were made again: {_steps(image)} ran. Which files "
        "does each stage need?",
    )


def _manual(work: Workspace) -> Answer | None:
    """Return what is wrong with the manual as a target of its own, or nothing.

    For this build alone the sources of the other two are new as well.
    """
    work.edit("manual.txt", MISPRINT, STEP)
    work.salt("manual.txt")
    others = {"pages.txt": (PAGE, NEW_PAGE), "tide.c": (TIDE, NEW_TIDE)}
    for file, (old, new) in others.items():
        work.edit(file, old, new)
    try:
        made = stages_run(work.build(target=MANUAL).progress)
    except BuildError as error:
        return Answer(
            Outcome.FAILED,
            f"`docker build --target={MANUAL} .` has failed. {failure(error.progress)}",
        )
    for file, (old, new) in others.items():
        work.edit(file, new, old)
    if MANUAL not in made:
        return Answer(
            Outcome.FAILED,
            f"`docker build --target={MANUAL} .` did not run {MAKES[MANUAL]}, although a line of "
            "manual.txt was new.",
        )
    if more := [f"the {name}" for name in made if name != MANUAL]:
        return Answer(
            Outcome.HINT,
            "A misprint in manual.txt does not stop the service. But for the manual, "
            f"`docker build --target={MANUAL} .` also made {' and '.join(more)}, of which it has "
            "nothing. Where could its stage begin?",
        )
    return None


def _apart(lab: Lab, work: Workspace) -> Answer:
    """Judge what an edit of the pages makes again, and then one of the library."""
    work.edit("pages.txt", PAGE, NEW_PAGE)
    page = work.build()
    if "library" in stages_run(page.progress):
        return _not_apart(page, "pages.txt", "the library was compiled")
    work.edit("tide.c", TIDE, NEW_TIDE)
    tide = work.build()
    if "pages" in stages_run(tide.progress):
        return _not_apart(tide, "tide.c", "the pages were made")
    if fault := _fault(lab, tide, NEW_ANSWER):
        return Answer(Outcome.FAILED, f"After an edit of pages.txt and one of tide.c: {fault}")
    return Answer(
        Outcome.PASSED,
        "A misprint in manual.txt stops the manual alone. An edit of pages.txt is in the image "
        f"after {humanize(page.build_seconds, 's')}, and nothing is compiled; one of tide.c after "
        f"{humanize(tide.build_seconds, 's')}, and the pages stay as they are.",
    )


def _not_apart(image: Image, edited: str, what: str) -> Answer:
    return Answer(
        Outcome.HINT,
        "A misprint in manual.txt stops the manual alone. But after an edit of "
        f"{edited} {what} again: {_steps(image)} ran. In a chain of stages, each stands on the "
        "one before. Which of these two needs the other?",
    )


def _steps(image: Image) -> str:
    """Return the steps that a build has run, for a sentence."""
    ran = [step.name for step in image.steps if not step.cached and not step.is_base]
    return ", ".join(f"`{step}`" for step in ran)
