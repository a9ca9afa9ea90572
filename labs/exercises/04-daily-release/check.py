"""Check the reader's image: what do its layers carry twice, and what does the next release cost?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from proving.archive import Changeset
from proving.claims import humanize
from proving.container import Container
from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, request
from proving.image import Image
from proving.lab import Lab
from proving.layers import Contents, Layer
from proving.paths import LABS
from proving.progress import Progress

OWN = LABS / "exercises" / "04-daily-release" / "start"
SOURCES = ("app.py", "fetch.py", "today.csv")
"""What stays as the exercise has it."""

PORT = 8000
READINGS = "srv/readings"
STATIONS, HOURS = 40, 365 * 24
LATEST = "2026-11-24T12:00,station-02,9.2"
TOMORROWS = "2026-11-24T18:00,station-01,6.5"

SMALL_BYTES = 500_000
"""What is not worth a hint: a list of users, the application itself, the readings of a day."""

LOOK = f"id -u && find /{READINGS} ! -writable"
"""Who runs the server, and what it cannot write of that which it corrects."""


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Weigh the image of the folder, and what of the next release's image is new.

    Judged is what the server does and what the layers hold, not how the Dockerfile is written.
    """
    if changed := [name for name in SOURCES if _text(folder / name) != _text(OWN / name)]:
        return Answer(
            Outcome.FAILED,
            f"{' and '.join(changed)} must stay as the exercise has it: the check knows which "
            "readings there are. What is to be mended is the Dockerfile.",
        )
    today = lab.build(folder)
    try:
        if fault := _fault(lab, today, LATEST, of_today=4):
            return Answer(Outcome.FAILED, fault)
        if found := _in_vain(today):
            return Answer(Outcome.HINT, f"The server works. But {found}")
        return _next_release(lab, folder, today)
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))


def _next_release(lab: Lab, folder: Path, today: Image) -> Answer:
    """Build a copy of the folder in which the day and the application have another line."""
    with Progress(folder.name) as progress, lab.workspace_of(folder, folder) as work:
        work.append("today.csv", f"{TOMORROWS}\n")
        work.append("app.py", "# of tomorrow\n")
        progress.say(f"Building {folder.name} with a line more …")
        tomorrow = work.build()
        progress.note(f"Built a copy of {folder.name} with a line more.")
        if fault := _fault(lab, tomorrow, TOMORROWS, of_today=5):
            return Answer(Outcome.FAILED, f"With one more line in today.csv: {fault}")
        return judge_release(today.contents, tomorrow.contents)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _fault(lab: Lab, image: Image, latest: str, *, of_today: int) -> str:
    """Return what the server fails to do, or nothing."""
    with lab.start(image) as app:
        status, page = request(lab, app, PORT)
        expected = f"{STATIONS * HOURS + of_today} readings, the latest: {latest}"
        if status != 200 or page.strip() != expected:
            return (
                f"The server answers with status {status} and {page.strip()[:80]!r} where it "
                f"should say {expected!r}. It reads each .csv of /{READINGS}, by their names."
            )
        return _not_allowed(app)


def _not_allowed(app: Container) -> str:
    status, told = app.exec(["sh", "-c", LOOK])
    lines = told.decode(errors="replace").splitlines()
    if status or not lines:
        return (
            f"Who runs the server, and what it may write, could not be seen: `{LOOK}` ended in its "
            f"container with exit status {status} and said {lines[-1][:120] if lines else ''!r}. "
            "The check needs sh, id and find there, and folders that the server may read."
        )
    user, *not_writable = lines
    if user == "0":
        return "The server runs as root; its Dockerfile had it run as station."
    if not_writable:
        return f"The server cannot write to {not_writable[0]}, where it is to correct readings."
    return ""


def _in_vain(image: Image) -> str:
    """Return what of the image's own layers no container sees, or no server reads, or nothing."""
    contents = image.contents
    readings_bytes = sum(size for path, size in contents.files.items() if _is_read(path))
    seen_bytes = contents.added_unpacked_bytes - contents.added_wasted_bytes
    others_bytes = seen_bytes - readings_bytes
    if max(contents.added_wasted_bytes, others_bytes) <= SMALL_BYTES:
        return ""
    stack = image.archive().stack[len(contents.layers) - len(contents.added) :]
    if contents.added_wasted_bytes > SMALL_BYTES:
        return (
            f"its layers carry {humanize(contents.added_wasted_bytes, 'B')} that no container "
            f"sees, of {humanize(contents.added_unpacked_bytes, 'B')}. "
            f"{most_wasted(contents.added, stack, contents.files)}"
        )
    return (
        f"its layers add {humanize(others_bytes, 'B')} beside the readings. "
        f"{largest_other(stack, contents.files)}"
    )


def _is_read(path: str) -> bool:
    return path.startswith(f"{READINGS}/") and path.endswith(".csv")


def most_wasted(
    layers: Sequence[Layer], stack: Sequence[Changeset], seen: Mapping[str, int]
) -> str:
    """Tell of the file that wastes most in which layers it is, and what becomes of it."""
    copies: dict[str, list[tuple[Layer, int]]] = {}
    for layer, changeset in zip(layers, stack, strict=True):
        for path, entry in changeset.entries.items():
            if entry.size_bytes:
                copies.setdefault(path, []).append((layer, entry.size_bytes))

    def wasted_bytes(path: str) -> int:
        hidden = copies[path][:-1] if path in seen else copies[path]
        return sum(size_bytes for _, size_bytes in hidden)

    path = max(copies, key=wasted_bytes)
    size = humanize(copies[path][-1][1], "B")
    told = ", ".join(f"`{layer.created_by}`" for layer, _ in copies[path])
    if path in seen:
        return (
            f"/{path}, of {size}, is in {len(copies[path])} layers, and a container sees the last "
            f"one. They are those of {told}. What of it did each of these change?"
        )
    return (
        f"/{path}, of {size}, came with {told}, and a later layer removes it. "
        "Which layers would not have it at all?"
    )


def largest_other(stack: Sequence[Changeset], seen: Mapping[str, int]) -> str:
    """Tell of the largest file that the layers bring beside the readings."""
    others = {
        path: entry.size_bytes
        for changeset in stack
        for path, entry in changeset.entries.items()
        if path in seen and not _is_read(path)
    }
    most = max(others, key=others.__getitem__)
    size = humanize(others[most], "B")
    return f"The largest file of that is /{most}, of {size}. Who reads it in a container?"


def judge_release(today: Contents, tomorrow: Contents) -> Answer:
    """Judge two images, in neither of which anything is in vain, by what the second one has new."""
    had = {layer.diff_id for layer in today.layers}
    new = [layer for layer in tomorrow.layers if layer.diff_id not in had]
    new_bytes = sum(layer.transfer_bytes for layer in new)
    first = humanize(today.added_transfer_bytes, "B")
    if new_bytes > SMALL_BYTES:
        most = max(new, key=lambda layer: layer.transfer_bytes)
        return Answer(
            Outcome.HINT,
            "The server works, and its layers carry nothing in vain. But with a line more in "
            f"today.csv and in app.py, a node that has today's image downloads "
            f"{humanize(new_bytes, 'B')}, and one that had only its base {first}. Most of it comes "
            f"with `{most.created_by}`. Which bytes of that layer are yesterday's, and why was it "
            "made again?",
        )
    return Answer(
        Outcome.PASSED,
        f"The server works. Its image adds {humanize(today.added_unpacked_bytes, 'B')} to its "
        f"base, for which a node downloads {first}. For the next release it downloads "
        f"{humanize(new_bytes, 'B')}.",
    )
