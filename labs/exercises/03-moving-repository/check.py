"""Check the reader's folder: what is downloaded again once the repository has moved on?"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from proving import buildcache
from proving.buildcache import Record
from proving.claims import humanize
from proving.container import Container
from proving.errors import BuildError, ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome
from proving.image import Image, Step, parse_steps
from proving.lab import Lab
from proving.packages import PAYLOAD_BYTES, Request
from proving.paths import LABS
from proving.progress import Progress

OWN = LABS / "exercises" / "03-moving-repository" / "start"
SOURCES = ("board.sh", "packages.sources", "packages.txt")
"""What stays as the exercise has it."""

OLD, NEW = "1.0", "2.0"
WANTED = ("greeting", "farewell")
ADDED = "weather"

CACHE_MOUNT = "exec.cachemount"
"""What the engine's account of its cache calls one."""

LISTS, DOWNLOADS = "var/lib/apt/lists", "var/cache/apt/archives"
COMPLAINT = re.compile(r"\bE: (.+)")
BOARD_SECONDS = 5.0


@dataclass(frozen=True)
class Found:
    """What the last build has downloaded, once more and in all, and what is left of it where.

    `mounts` are the records of the Dockerfile's cache mounts.
    """

    again: tuple[Request, ...]
    downloads: int
    kept_bytes: int
    lists_bytes: int
    mounts: tuple[Record, ...]


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Build a copy of the folder, again when the repository moved on, and with one package more.

    Judged is what the builds ask the repository for, and what is in the image afterwards.
    """
    if changed := [name for name in SOURCES if _text(folder / name) != _text(OWN / name)]:
        return Answer(
            Outcome.FAILED,
            f"{' and '.join(changed)} must stay as the exercise has it: the check edits its copy. "
            "What is to be mended is the Dockerfile.",
        )
    with (
        Progress(folder.name) as progress,
        lab.package_server() as server,
        lab.workspace_of(folder, folder) as work,
    ):
        # a namespace of its own, so that no cache mount of the reader's is used or filled
        arguments = {"BUILDKIT_CACHE_MOUNT_NS": secrets.token_hex(8)}

        def build(what: str) -> tuple[Image, tuple[Request, ...]]:
            progress.say(f"Building {folder.name} {what} …")
            mark = server.mark()
            image = work.build(arguments=arguments, hosts=server.hosts)
            return image, _packages(server.served(mark))

        server.publish(OLD)
        work.salt("packages.sources")
        _, first = build("for the first time")
        if not first:
            return Answer(
                Outcome.FAILED,
                "The first build downloaded no package, although its packages.sources was new. "
                "The packages must come from the repository that it names.",
            )
        server.publish(NEW)
        work.write("packages.txt", _asked(WANTED))
        try:
            _, second = build("after the repository moved on")
        except BuildError as error:
            return _stale(error)
        work.write("packages.txt", _asked((*WANTED, ADDED)))
        image, third = build("with one package more")
        progress.note(f"Built a copy of {folder.name} three times.")
        try:
            with lab.start(image) as board:
                wrong = _wrong(board)
            if wrong:
                return Answer(Outcome.FAILED, wrong)
            contents = image.contents
        except (ContainerError, CouldNotMeasure) as error:
            return Answer(Outcome.FAILED, str(error))
        had = {request.path for request in second}
        again = tuple(request for request in third if request.path in had)
        return judge(
            Found(
                again=again,
                downloads=len(third),
                kept_bytes=contents.bytes_below(DOWNLOADS),
                lists_bytes=contents.bytes_below(LISTS),
                mounts=_mounts(lab, work.path("Dockerfile")) if again else (),
            )
        )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _asked(names: Iterable[str]) -> bytes:
    return "".join(f"{name}={NEW}\n" for name in names).encode()


def _packages(requests: Iterable[Request]) -> tuple[Request, ...]:
    return tuple(r for r in requests if r.path.endswith(".deb") and r.body_bytes)


def _mounts(lab: Lab, dockerfile: Path) -> tuple[Record, ...]:
    ours = buildcache.commands(dockerfile.read_text(encoding="utf-8"))
    found = buildcache.records(lab.engine.docker).values()
    return tuple(r for r in found if r.kind == CACHE_MOUNT and r.command in ours)


def _number(step: Step) -> int:
    found = re.search(r"(\d+)/\d+\]", step.name)
    return int(found[1]) if found else 0


def _stale(error: BuildError) -> Answer:
    """Tell the end of a build whose lists may be those of the time before."""
    complaints = COMPLAINT.findall(error.progress)
    steps = sorted(parse_steps(error.progress), key=_number)
    cached = ", ".join(f"`{step.name}`" for step in steps if step.cached and not step.is_base)
    if not complaints or not cached:
        raise error
    return Answer(
        Outcome.FAILED,
        f"It builds while the repository has version {OLD}. The repository has moved on to {NEW}, "
        f"packages.txt asks for that, and apt ends the build: {complaints[0].rstrip('.')}. "
        f"From the cache came {cached}: which of them has something to do with the repository, and "
        "when did it last look there?",
    )


def _wrong(board: Container) -> str:
    """Return what the board fails to show, or nothing."""
    expected = [f"{name} {NEW}" for name in (*WANTED, ADDED)]
    board.wait_for_log(expected[-1], seconds=BOARD_SECONDS)
    shown = board.log_text().split("\n")
    if missing := [line for line in expected if line not in shown]:
        return (
            f"packages.txt asks for {', '.join(f'`{line}`' for line in missing)}, and the board "
            f"does not show it. It shows:\n{board.log_text().strip() or '(nothing)'}"
        )
    return ""


def judge(found: Found) -> Answer:
    """Judge builds that work by what they have downloaded, and where it is now."""
    if found.again:
        return _again(found)
    if found.kept_bytes:
        return Answer(
            Outcome.HINT,
            f"Nothing is downloaded twice any more. But {humanize(found.kept_bytes, 'B')} of "
            f"downloaded packages are in the image, in /{DOWNLOADS}. Where would the next build "
            "find them, and no container?",
        )
    if found.lists_bytes:
        return Answer(
            Outcome.HINT,
            f"Nothing is downloaded twice any more. But {humanize(found.lists_bytes, 'B')} of "
            f"package lists are in the image, in /{LISTS}, and the next build makes its own. "
            "In which RUN did they come, and what could lie over that folder there?",
        )
    return Answer(
        Outcome.PASSED,
        f"The repository moved on, and the next build had version {NEW}. With {ADDED} added, a "
        f"build downloads {found.downloads} package and none that an earlier one had, and of the "
        "downloads and the lists nothing is in the image.",
    )


def _again(found: Found) -> Answer:
    names = " and ".join(PurePosixPath(r.path).name.partition("_")[0] for r in found.again)
    again_bytes = sum(r.body_bytes for r in found.again)
    told = (
        f"After the repository has moved on it builds. But {ADDED} was added to packages.txt, and "
        f"{found.downloads} packages were downloaded; {names} ({humanize(again_bytes, 'B')}) for "
        "the second time."
    )
    if found.kept_bytes:
        kept = humanize(found.kept_bytes, "B")
        return Answer(
            Outcome.HINT,
            f"{told} Packages are kept, {kept} of them, in the image's /{DOWNLOADS}, which is not "
            "there yet when a RUN is run again. What is there for a RUN, and no part of its layer?",
        )
    if found.mounts:
        most_bytes = max(mount.size_bytes for mount in found.mounts)
        return Answer(
            Outcome.HINT,
            f"{told} There is a cache mount, and after these builds it holds "
            f"{humanize(most_bytes, 'B')}, where a package has {humanize(PAYLOAD_BYTES, 'B')}. "
            "Does it lie where apt puts its downloads, and which of the base's files in "
            "/etc/apt/apt.conf.d has something done with them?",
        )
    return Answer(
        Outcome.HINT,
        f"{told} A changed list has to be installed again; what could keep the downloads for "
        "that, without a layer?",
    )
