"""Check the reader's folder: what is built again, after what change?"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from proving.claims import humanize
from proving.errors import ContainerError
from proving.exercises import Answer, Outcome, request
from proving.image import Image
from proving.lab import Lab
from proving.packages import downloaded_bytes
from proving.progress import Progress

PORT = 8000
SOURCES = {"weather.py": '"Sunny spells"', "app.py": "REVISION", "requirements.txt": "Flask"}
"""The exercise's own files, each with a text that is there once."""

EDITED = "Showers later"
MEASUREMENTS = "measurements/2026-11-25.csv"
MEASURED_TIMES = 60_000


@dataclass(frozen=True)
class Build:
    """A build, the steps that it ran, and what it asked the package server for."""

    image: Image
    ran: tuple[str, ...]
    requests: int
    downloaded_bytes: int

    @property
    def told(self) -> str:
        """The steps that it ran, for a sentence."""
        return ", ".join(f"`{step}`" for step in self.ran)


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Build a copy of the folder, again after a source edit, a new measurement and a new commit.

    Judged is what the builds do, not how the Dockerfile is written: the installation is known by
    its asking for packages, and the application by its answer.
    """
    if changed := [name for name in SOURCES if not _is_whole(folder / name)]:
        return Answer(
            Outcome.FAILED,
            f"{' and '.join(changed)} must stay as the exercise has it: the check edits its copy. "
            "What is to be mended is the Dockerfile, and what is sent to the builder.",
        )
    wheels = lab.wheels_of(folder / "requirements.txt")
    with (
        Progress(folder.name) as progress,
        lab.package_server() as server,
        lab.workspace_of(folder, folder) as work,
    ):
        server.put_wheels(wheels)
        # a namespace of its own, so that no cache mount of the reader's is used or filled
        arguments = {**server.pip_arguments, "BUILDKIT_CACHE_MOUNT_NS": secrets.token_hex(8)}
        revision = "1"

        def build(what: str) -> Build:
            progress.say(f"Building {folder.name} {what} …")
            mark = server.mark()
            image = work.build(arguments={**arguments, "REVISION": revision}, hosts=server.hosts)
            served = server.served(mark)
            return Build(
                image,
                tuple(s.name for s in image.steps if not s.cached and not s.is_base),
                len(served),
                downloaded_bytes(served, ".whl"),
            )

        work.salt("requirements.txt")
        work.write(MEASUREMENTS, _measurements())
        first = build("for the first time")
        work.edit("weather.py", SOURCES["weather.py"], f'"{EDITED}"')
        edited = build("after an edit of one line")
        if not first.requests or edited.downloaded_bytes:
            progress.note(f"Built a copy of {folder.name} twice.")
            return _not_reused(first, edited)
        work.change_a_byte(MEASUREMENTS)
        measured = build("after a measurement")
        revision = "2"
        released = build("as another commit")
        progress.note(f"Built a copy of {folder.name} four times.")
        if broken := _broken(lab, released.image, revision):
            return broken
    return _judge(first, edited, measured, released)


def _is_whole(file: Path) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8").count(SOURCES[file.name]) == 1


def _measurements() -> bytes:
    """Return about a megabyte of measurements."""
    lines = (f"12:00,hilltop,{number % 300 / 10}\n" for number in range(MEASURED_TIMES))
    return "".join(("time,station,degrees\n", *lines)).encode()


def _not_reused(first: Build, edited: Build) -> Answer:
    if not first.requests:
        return Answer(
            Outcome.FAILED,
            "The first build asked for no package, although its requirements.txt was new. "
            "The installation must follow requirements.txt, and ask where PIP_INDEX_URL says.",
        )
    return Answer(
        Outcome.FAILED,
        f"One line of weather.py was edited, and these steps ran again: {edited.told}. "
        f"{humanize(edited.downloaded_bytes, 'B')} of packages were downloaded again, and the "
        f"build took {humanize(edited.image.build_seconds, 's')}.",
    )


def _broken(lab: Lab, image: Image, revision: str) -> Answer | None:
    try:
        with lab.start(image) as app:
            status, page = request(lab, app, PORT)
    except ContainerError as error:
        return Answer(Outcome.FAILED, f"The application does not run. {error}")
    expected = f"{EDITED} (revision {revision})"
    if status != 200 or page.strip() != expected:
        return Answer(
            Outcome.FAILED,
            f"The application answers with status {status} and {page.strip()[:80]!r} "
            f"where it should say {expected!r}: an edit, or REVISION, does not get into the image.",
        )
    return None


def _judge(first: Build, edited: Build, measured: Build, released: Build) -> Answer:
    if edited.requests:
        return Answer(
            Outcome.HINT,
            f"After an edit of weather.py nothing is downloaded again, yet packages are installed "
            f"again: {edited.told} ran, in {humanize(edited.image.build_seconds, 's')}. "
            "A cache of downloads is good; not to install at all is better.",
        )
    if released.requests:
        return Answer(
            Outcome.HINT,
            "After an edit of weather.py the installation comes from the cache. But every build is "
            f"of another commit, and with another REVISION these steps ran again: {released.told}. "
            "From which line on does a RUN see REVISION?",
        )
    if measured.ran:
        return Answer(
            Outcome.HINT,
            "The installation comes from the cache. But a byte that changed in measurements/, "
            f"which the application never reads, made these steps run again: {measured.told}. "
            f"The first build was sent {humanize(first.image.context_bytes, 'B')} of files: "
            "which of them does the image need?",
        )
    return Answer(
        Outcome.PASSED,
        f"The first build took {humanize(first.image.build_seconds, 's')}. After an edit of "
        f"weather.py it takes {humanize(edited.image.build_seconds, 's')}, and installs nothing; "
        "another commit installs nothing either, and a new measurement changes nothing.",
    )
