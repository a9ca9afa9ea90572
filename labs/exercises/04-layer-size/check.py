"""Check the reader's image: does the server work, and what do its layers carry in vain?"""

from __future__ import annotations

from proving.claims import humanize
from proving.container import Container
from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, request
from proving.image import Image
from proving.lab import Lab
from proving.layers import Contents, Layer

READINGS = "/readings.csv"
ROOT = "/var/www/html"
OWNER = "www-data"
LISTS = "var/lib/apt/lists"
SCRIPT = "setup.sh"


def check(lab: Lab, image: Image) -> Answer:
    """Judge what the server does and what the layers hold, not how the Dockerfile is written."""
    try:
        with lab.start(image) as app:
            fault = _fault(lab, app)
        contents = image.contents
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))
    if fault:
        return Answer(Outcome.FAILED, fault)
    return _judge(contents)


def _fault(lab: Lab, app: Container) -> str:
    """Return what the server fails to do, or nothing."""
    status, page = request(lab, app, 80, READINGS)
    if status != 200 or "hilltop" not in page:
        return f"The server answers a request of {READINGS} with status {status} and {page[:60]!r}."
    if not app.wait_for_log(f"GET {READINGS}", seconds=3):
        return f"The server does not log to the container's output: {SCRIPT} has not been run."
    _, owner = app.exec(["stat", "-c", "%U", ROOT + READINGS])
    if (told := owner.decode(errors="replace").strip()) != OWNER:
        return (
            f"{ROOT}{READINGS} belongs to {told}: the server, which runs as {OWNER}, "
            "cannot keep it up to date."
        )
    return ""


def _judge(contents: Contents) -> Answer:
    if lists_bytes := contents.bytes_below(LISTS):
        return Answer(
            Outcome.FAILED,
            f"The server works, but {humanize(lists_bytes, 'B')} of package lists are in its "
            f"image, in /{LISTS}: no container needs them.",
        )
    if contents.added_wasted_bytes:
        return _wasteful(contents)
    if left := [path for path in contents.carried if path.rpartition("/")[2] == SCRIPT]:
        return Answer(
            Outcome.HINT,
            f"The server works, and its layers carry nothing in vain but /{left[0]}, which no "
            "container needs. How does a script get into a build without a COPY?",
        )
    count = len(contents.added)
    return Answer(
        Outcome.PASSED,
        f"The server works. Its image adds {humanize(contents.added_unpacked_bytes, 'B')} to its "
        f"base, in {count} {'layer' if count == 1 else 'layers'}, and a container sees all of it.",
    )


def _wasteful(contents: Contents) -> Answer:
    wasteful = [layer for layer in contents.added if layer.wasted_bytes]
    most = max(wasteful, key=lambda layer: layer.wasted_bytes)
    where = f"{len(wasteful)} layers carry" if len(wasteful) > 1 else "one layer carries"
    what = "Most of it" if len(wasteful) > 1 else "It"
    return Answer(
        Outcome.HINT,
        f"The server works, but {where} {humanize(contents.added_wasted_bytes, 'B')} that no "
        f"container sees, of {humanize(contents.added_unpacked_bytes, 'B')}. {what} came "
        f"with `{most.created_by}`: {_fate(most)}",
    )


def _fate(layer: Layer) -> str:
    if layer.removed_bytes >= layer.rewritten_bytes:
        return (
            f"{humanize(layer.removed_bytes, 'B')} of files that a later layer removes. "
            "Which layers would not have them at all?"
        )
    return (
        f"{humanize(layer.rewritten_bytes, 'B')} of files that a later layer has once more. "
        "What touches them again?"
    )
