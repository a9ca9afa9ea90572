"""The trainer's view: how far those are who share their progress, and nobody else.

What a participant's container or file tells is somebody else's text: it is bounded, checked by the
schema of an export, and shown without control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import my_progress, my_progress_told
from ..audit.telling import title_of
from ..audit.text import printable
from ..errors import ProvingError
from . import ground, share

if TYPE_CHECKING:
    from docker import DockerClient
    from rich.console import RenderableType

LONGEST_BYTES = 1_000_000
_SIDE_BY_SIDE = 8
_READ = ("timeout", "20", "python", "-m", "proving.room.share", "--read")


@dataclass(frozen=True)
class Place:
    """A seat or a file, and where whoever shares it is; `trouble` says why nothing is shown."""

    name: str
    progress: my_progress.Progress | None = None
    trouble: str = ""

    @property
    def where(self) -> str:
        """The chapter in which something was run last; empty where nothing was."""
        if self.progress is None:
            return ""
        chapters = my_progress_told.chapters(self.progress)
        latest = max(chapters, key=lambda chapter: chapter.last_at, default=None)
        return title_of(latest.slug) if latest and latest.last_at else ""


def of_folder(folder: Path) -> list[Place]:
    """Return what the exports in a folder tell, by their names.

    Raises:
        ProvingError: there is no such folder, or no export in it.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ProvingError(
            f"{folder} holds no export. Collect files of `nox -s progress -- --export FILE` there."
        )
    return [_of_file(file) for file in files]


def of_engine(client: DockerClient) -> list[Place]:
    """Return what the seats of the rooms on an engine share.

    Raises:
        ProvingError: no seat is taken.
    """
    containers = client.containers.list(filters={"label": ground.LABEL}, ignore_removed=True)
    if not containers:
        raise ProvingError("No seat is taken: nobody has started a server in the room.")
    return of_seats(containers)


def of_seats(containers: Iterable[Any]) -> list[Place]:
    """Return what the seats in these containers share, by their names."""
    ordered = sorted(containers, key=lambda container: str(container.name))
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return list(pool.map(_of_seat, ordered))


def _of_file(file: Path) -> Place:
    try:
        if file.stat().st_size > LONGEST_BYTES:
            return Place(file.stem, trouble="too large for an export")
        return Place(file.stem, my_progress.of_export(my_progress.read_export(file)))
    except (OSError, ProvingError):
        return Place(file.stem, trouble="no export of a progress")


def _of_seat(container: Any) -> Place:
    from docker.errors import APIError

    name = str(container.labels.get(ground.SEAT_LABEL, container.name))
    try:
        return _told_by(container, name)
    except APIError as error:
        if error.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):  # gone, or ended
            return Place(name, trouble="just stopped")
        return Place(name, trouble="does not answer as it should")


def _told_by(container: Any, name: str) -> Place:
    told = bytearray()
    run = container.client.api.exec_create(container.id, list(_READ), user="reader", stderr=False)
    for chunk in container.client.api.exec_start(run["Id"], stream=True):
        told += chunk
        if len(told) > LONGEST_BYTES:
            return Place(name, trouble="too much for an export")
    status = container.client.api.exec_inspect(run["Id"])["ExitCode"]
    if status == share.NOT_SHARED:
        return Place(name, trouble="not shared")
    try:
        return Place(name, my_progress.of_export(my_progress.checked(bytes(told), name)))
    except ProvingError:
        return Place(name, trouble="does not answer as it should")


def report(places: Sequence[Place]) -> RenderableType:
    """Return the table of a room, for a console of `rich`."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), title="Where people are", title_justify="left")
    turns = map(str.capitalize, my_progress_told.TURNS)
    for title in ("Seat", "Name", "Now in", "Claims", *turns, "Last run (UTC)"):
        table.add_column(title, overflow="fold")
    for place in places:
        table.add_row(*(Text(cell) for cell in _cells(place)))
    return table


def _cells(place: Place) -> list[str]:
    name = printable(place.name)
    if place.progress is None:
        return [name, "", place.trouble]
    chapters = my_progress_told.chapters(place.progress)
    last = max((chapter.last_at for chapter in chapters), default="")
    return [
        name,
        printable(place.progress.name),
        place.where or "not begun",
        f"{sum(one.proved for one in chapters)} of {sum(len(one.claims) for one in chapters)}",
        *(my_progress_told.turns_text(chapters, title) for title in my_progress_told.TURNS),
        last.replace("T", " ").rstrip("Z"),
    ]
