"""Check the reader's shop: where are its secrets left, and what does it say of missing settings?"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proving import bases, leaks, leftovers
from proving.archive import Archive
from proving.configuration import mounted_for_reading, volume_with
from proving.container import Container
from proving.engine import talking_to
from proving.errors import BuildError, ContainerError, CouldNotMeasure, ProvingError
from proving.exercises import Answer, Outcome, changed, request
from proving.helper import help_by
from proving.image import Image
from proving.lab import Lab
from proving.leaks import Leak, Token

CLIENT, PORT, END_SECONDS = "fetch.sh", 8000, 10.0
TOKEN = Token("token-by-which-the-check-fetches")
FOLDER, FILE = "/run/secrets", "password"
HOST, USER, PASSWORD_FILE = "DATABASE_HOST", "DATABASE_USER", "DATABASE_PASSWORD_FILE"
SETTINGS = {HOST: "db.example", USER: "shop", PASSWORD_FILE: f"{FOLDER}/{FILE}"}

FIRST, UNREAD = 1, "-"
"""The process that a container begins with, and what the helper tells of an unread environment."""

_PROCESSES = """
for folder in /proc/[0-9]*; do
  arguments=$(base64 -w0 "$folder/cmdline")
  environment=$(base64 -w0 "$folder/environ") || environment=-
  [ -d "$folder" ] && echo "${folder#/proc/} $arguments $environment"
done 2>/dev/null
true
"""
"""For bash beside the shop: its processes; `-` stands for what could not be read of one there.

The bash itself is among them, and what has ended meanwhile is not.
"""


@dataclass(frozen=True)
class Process:
    """A process with its arguments and its environment, by which others may see what it has.

    The environment is None where it could not be read.
    """

    pid: int
    arguments: Sequence[str]
    environment: Sequence[str] | None

    def shows(self, secret: str) -> str:
        """Return where the process shows a secret, and to whom, or nothing."""
        for line in self.environment or ():
            if secret in line:
                name = line.partition("=")[0]
                return f"in its environment, as {name}, which all programs inherit that it starts"
        if any(secret in argument for argument in self.arguments):
            return "among its arguments, which all see who may list processes"
        return ""


@dataclass(frozen=True)
class End:
    """How a container has ended that was not given all, or that it still runs; and its log."""

    running: bool
    exit_status: int
    log: str

    def names(self, word: str) -> bool:
        """Tell whether the log has a word, outside of the source lines that a traceback quotes."""
        quotes = "Traceback" in self.log
        return any(
            word in line for line in self.log.splitlines() if not (quotes and line.startswith("  "))
        )


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge by what is found in the image and in its container, however it has come there."""
    if changed(folder, Path(__file__).parent / "start", [CLIENT]):
        return Answer(
            Outcome.FAILED,
            f"{CLIENT} must stay as the exercise has it: it stands for a client that others have "
            "written. What is to be mended is how it is used.",
        )
    if not (folder / "Dockerfile").is_file():
        raise ProvingError(f"There is no Dockerfile in {folder}.")
    image, password = _build(lab, folder), Token.random()
    try:
        with _shop(lab, image, password) as app:
            if fault := _fault(lab, app, password):
                return Answer(Outcome.FAILED, fault)
            shown = _shown(_processes(lab, app), password)
        hint = _left(image) or shown or _missed(lab, image)
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))
    if hint:
        return Answer(Outcome.HINT, hint)
    return Answer(
        Outcome.PASSED,
        f"The build had its token, and neither one of the image's {len(image.diff_ids)} layers nor "
        "its description has it. The shop had its password, and no process shows it. All "
        f"{len(SETTINGS)} settings that are missing are named at once.",
    )


def _build(lab: Lab, folder: Path) -> Image:
    """Build with the token as a build argument and as a build secret: the Dockerfile may choose.

    The cache does not ask whether a secret is another one. So the client has one line more here,
    and what the reader has built with a token of their own is not taken for this.

    Raises:
        BuildError: it does not build; the token is masked in what is told of it.
    """
    roles = bases.roles_in(folder / "Dockerfile")
    found = bases.ready(lab.engine, roles)
    with tempfile.TemporaryDirectory(prefix="proving-") as scratch:
        copy = Path(scratch, folder.name)
        shutil.copytree(folder, copy)
        with (copy / CLIENT).open("a", encoding="utf-8") as client:
            client.write("# This copy is the check's.\n")
        image = lab.image_of(
            folder.name,
            copy,
            Path("Dockerfile"),
            arguments={**{role: found[role].reference for role in roles}, "TOKEN": TOKEN.value},
            secrets={"token": TOKEN.encoded},
        )
        try:
            return image.build()
        except BuildError as error:
            masked = TOKEN.masked(str(error))
    raise BuildError(masked)


@contextmanager
def _shop(lab: Lab, image: Image, password: Token) -> Iterator[Container]:
    """Have a shop with all its settings, and its password in a file that is mounted."""
    with volume_with(lab, {FILE: password.encoded}) as volume:
        options = mounted_for_reading(volume, FOLDER)
        with lab.start(image, environment=SETTINGS, options=options) as app:
            yield app


def _fault(lab: Lab, app: Container, password: Token) -> str:
    """Return what the shop does not have although it was given it, or nothing."""
    status, body = request(lab, app, PORT)
    expected = {
        "catalogue": TOKEN.fingerprint,
        "database": f"{SETTINGS[USER]}@{SETTINGS[HOST]}",
        "password": password.fingerprint,
    }
    try:
        told: dict[str, Any] = dict(json.loads(body))
    except (ValueError, TypeError):
        return f"The shop answers with the status {status} and {body.strip()[:60]!r}."
    wrong = [name for name, value in expected.items() if told.get(name) != value]
    if not wrong:
        return ""
    return (
        f"The shop has another {wrong[0]} than it was given: it tells "
        f"{told.get(wrong[0])!r}, and {expected[wrong[0]]!r} was expected."
    )


def _left(image: Image) -> str:
    """Return where the image has the token, or nothing; its description is quick to read."""
    told = "The shop works. But whoever can pull its image can read the token:"
    if written := list(leaks.search(_description(image), TOKEN)):
        return (
            f"{told} {_places(written)}. The builder writes down what it is told in this way. "
            "How else can one instruction be given something?"
        )
    if kept := list(leaks.search(image.archive(TOKEN.encoded), TOKEN)):
        return (
            f"{told} {_places(kept)}. The builder has not written it down, but a program has. "
            "Who needs that file when the instruction has ended, and in which layer is it then?"
        )
    return ""


def _places(found: Sequence[Leak]) -> str:
    return "; ".join(leak.told for leak in found)


def _description(image: Image) -> Archive:
    """Return an image without its layers: its history and its configuration."""
    with talking_to(image.engine):
        wrapped = image.get_wrapped_image()
        steps = [{"created_by": step["CreatedBy"]} for step in wrapped.history()]
    return Archive({"history": steps, "config": wrapped.attrs["Config"]}, ())


def _processes(lab: Lab, app: Container) -> tuple[Process, ...]:
    """Return the processes of a container, seen by a helper that may look at those of any user.

    Raises:
        CouldNotMeasure: they cannot be seen.
    """
    helped = help_by(
        lab.engine,
        lab.helper_image,
        ["bash", "-c", _PROCESSES],
        leftovers.label(lab.run),
        pid_mode=f"container:{app.get_container_id()}",
        network_mode="none",
        cap_add=["SYS_PTRACE"],
    )
    if not helped.well:
        raise CouldNotMeasure(f"The shop's processes cannot be seen: {helped.fault}.")
    return whole(tuple(parse(line) for line in helped.output.decode().splitlines()))


def parse(line: str) -> Process:
    """Read a process that the helper has listed."""
    pid, arguments, environment = line.split(" ")
    return Process(
        int(pid), _decoded(arguments), None if environment == UNREAD else _decoded(environment)
    )


def _decoded(strings: str) -> list[str]:
    return base64.b64decode(strings).decode(errors="replace").split("\0")


def whole(processes: tuple[Process, ...]) -> tuple[Process, ...]:
    """Return the processes, if the container's first is among them and all of them were read.

    One that has ended, and waits for its parent to ask, has neither arguments nor environment.

    Raises:
        CouldNotMeasure: what was not seen may show a secret.
    """
    if FIRST not in {process.pid for process in processes}:
        raise CouldNotMeasure("The shop's processes cannot be seen: its first one is not listed.")
    for process in processes:
        is_there = process.pid == FIRST or any(process.arguments)
        if is_there and process.environment is None:
            raise CouldNotMeasure(
                f"Whether a process shows the password cannot be seen: nobody could read the "
                f"environment of the process {process.pid} in the shop's container."
            )
    return processes


def _shown(processes: Sequence[Process], password: Token) -> str:
    """Return which process shows the password to others, or nothing."""
    for process in processes:
        if where := process.shows(password.value):
            args = password.masked(" ".join(process.arguments).strip())
            return (
                "The image has no token any more. But the password, which came in a file, is shown "
                f"by the process {process.pid}, `{args}`, {where}. Which program needs it, and "
                "could that one open the file?"
            )
    return ""


def _missed(lab: Lab, image: Image) -> str:
    """Return what is not noticed at the start although it is missing, or nothing."""
    with ThreadPoolExecutor(2) as pool:
        bare, fileless = pool.map(lambda given: _end(lab, image, given), ({}, SETTINGS))
    return _unnamed(bare) or _unopened(fileless)


def _end(lab: Lab, image: Image, settings: Mapping[str, str]) -> End:
    with lab.start(image, environment=settings) as app:
        until = time.monotonic() + END_SECONDS
        while (state := app.state()).status == "running" and time.monotonic() < until:
            time.sleep(0.1)
        return End(state.status == "running", state.exit_status, app.log_text())


def _unnamed(end: End) -> str:
    if end.running:
        return (
            "Nobody shows its secrets. But without its settings it starts all the same. Who could "
            "look for them before it does?"
        )
    missed = [name for name in SETTINGS if not end.names(name.removesuffix("_FILE"))]
    if end.exit_status == 0 or missed:
        named = [name for name in SETTINGS if name not in missed]
        return (
            f"Nobody shows its secrets. But without its settings it ends with exit status "
            f"{end.exit_status}, and of {', '.join(SETTINGS)} it names "
            f"{', '.join(named) or 'none'}. How many starts does it take until all are there?"
        )
    return ""


def _unopened(end: End) -> str:
    path = SETTINGS[PASSWORD_FILE]
    given = f"with {PASSWORD_FILE}={path} and no such file"
    if end.running:
        return (
            f"Nobody shows its secrets, and missing settings are named. But {given} it starts all "
            "the same. Who opens the file, when, and who notices that it cannot be opened?"
        )
    if end.exit_status == 0 or not (end.names(path) or end.names(PASSWORD_FILE)):
        return (
            f"Nobody shows its secrets, and missing settings are named. But {given} it ends with "
            f"exit status {end.exit_status} and does not name the file. What would help whoever "
            "reads the log?"
        )
    return ""
