"""Check the reader's image: does its state outlive a container, and can many share it?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
from proving import leftovers, qualities
from proving.container import Container
from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome
from proving.helper import help_by
from proving.image import Image
from proving.lab import Lab

PORT, FOLDER = 8000, "/data"
FIRST = [f"visitor {number}" for number in range(3)]
AT_ONCE = [[f"visitor {number} of {place}" for number in range(20)] for place in ("east", "west")]
LOCKED = {key: value for key, value in qualities.all_limits().items() if key != "user"}
ANSWER_SECONDS, TRIES = 10.0, 3


class Refused(Exception):
    """A container has not taken all entries that it was given."""


def check(lab: Lab, image: Image) -> Answer:
    """Judge by the entries that are shown afterwards, whoever keeps them, and in which form."""
    user = str(image.get_wrapped_image().attrs["Config"].get("User") or "root")
    try:
        lasting = _what_outlives_it(lab, image, user)
        if isinstance(lasting, Answer):
            return lasting
        return _is_root(user) or _how_many_share(lab, image, user, lasting)
    except (ContainerError, CouldNotMeasure) as error:
        return _broken(error)


def _broken(error: Exception) -> Answer:
    return Answer(Outcome.FAILED, f"The visitors' book does not work: {error}")


def _what_outlives_it(lab: Lab, image: Image, user: str) -> Answer | Sequence[str]:
    """Replace a container by another; return what is wrong, or which files the first has written.

    Those are the files in its own file system, outside of the volume and of the memory at /tmp.
    """
    with qualities.volume(lab) as volume:
        with _container(lab, image, volume) as app:
            try:
                _entries(app)
                _add(app, FIRST)
            except (ContainerError, Refused) as error:
                hint = _not_its_own(lab, app, volume, user)
                return hint or _broken(error)
            if missing := set(FIRST) - set(_entries(app)):
                return Answer(
                    Outcome.FAILED,
                    f"It has taken {len(FIRST)} entries and does not show {len(missing)} of them: "
                    "a POST has to add an entry, and a GET to show all, one a line.",
                )
            written = _written(app)
        with _container(lab, image, volume) as successor:
            try:
                left = set(FIRST) & set(_entries(successor))
            except ContainerError as error:
                return Answer(
                    Outcome.HINT,
                    "It works once. Its container was removed, as it would be on a node that "
                    f"fails, and the one in its place does not start: {error} What did the first "
                    f"one leave in {FOLDER}, and of whom was it true?",
                )
    if len(left) < len(FIRST):
        return Answer(
            Outcome.HINT,
            f"It works as long as its container is there. That was removed, and of {len(FIRST)} "
            f"entries the one in its place shows {len(left)}. The first one had "
            f"{_told(written)}; /tmp was memory. What of all that has to last, in {FOLDER}, where "
            "a volume is mounted, and what has to go with the container?",
        )
    return written


def _not_its_own(lab: Lab, app: Container, volume: str, user: str) -> Answer | None:
    """Return a hint where the application may not write to the volume, which is another user's."""
    said = _last_line(app)
    if FOLDER not in said or "denied" not in said.lower():
        return None
    look = ["stat", "-c", "%u", FOLDER]
    mounts = qualities.mounted(volume, FOLDER)["mounts"]
    helped = help_by(lab.engine, lab.helper_image, look, leftovers.label(lab.run), mounts=mounts)
    owner = helped.output.decode(errors="replace").strip()
    if not helped.well or owner == user.partition(":")[0]:
        return None
    return Answer(
        Outcome.HINT,
        f"It uses {FOLDER}, and cannot write there: {said!r}. It runs as user {user}, and the "
        f"volume belongs to user {owner}. A new volume takes its owner from the folder that the "
        "image has in its place. Who makes that folder, and for whom?",
    )


def _is_root(user: str) -> Answer | None:
    number = user.partition(":")[0]
    if number.isdigit() and int(number):
        return None
    return Answer(
        Outcome.HINT,
        f"Its entries outlive its container, but its user has become {user!r}, whom a node that "
        f"is asked for runAsNonRoot does not start. Whose would {FOLDER} have to be, so that a "
        "user by number, other than 0, can write there?",
    )


def _how_many_share(lab: Lab, image: Image, user: str, written: Sequence[str]) -> Answer:
    """Start two containers on one volume, locked up, and give both entries at the same time."""
    with qualities.volume(lab) as volume, ExitStack() as stack:
        apps = [stack.enter_context(_container(lab, image, volume, LOCKED))]
        try:
            _entries(apps[0])
            _add(apps[0], FIRST)
        except (ContainerError, Refused) as error:
            return Answer(
                Outcome.HINT,
                "Its entries outlive its container. But with a read-only root file system and "
                f"without capabilities it does not work: {error} Without these limits it had "
                f"{_told(written)}. How long does that have to last, and where could it be?",
            )
        apps.append(stack.enter_context(_container(lab, image, volume, LOCKED)))
        try:
            _entries(apps[1])
        except ContainerError as error:
            return Answer(
                Outcome.HINT,
                "It runs alone, locked up, and its entries outlive it. But a second container "
                f"beside it, on the same volume, does not start: {error} What do the two share, "
                "and what should each have for itself?",
            )
        try:
            with ThreadPoolExecutor(len(apps)) as pool:
                list(pool.map(_add, apps, AT_ONCE))
        except Refused as error:
            return Answer(
                Outcome.HINT,
                "It runs alone. But where two containers on one volume take entries at the same "
                f"time, some are refused: {error} Who waits for whom?",
            )
        return _judge([set(_entries(app)) for app in apps], user)


def _judge(shown: Sequence[set[str]], user: str) -> Answer:
    given = {entry for some in AT_ONCE for entry in some}
    counts = [len(given & some) for some in shown]
    if min(counts) == len(given):
        return Answer(
            Outcome.PASSED,
            f"Its entries outlive its container. Two containers on one volume took "
            f"{len(given)} entries at the same time, and both show all of them. They ran as user "
            f"{user}, with a read-only root file system and no capabilities.",
        )
    told = (
        f"Two containers ran side by side on one volume, and took {len(given)} entries, half of "
        "them each."
    )
    if given & shown[0] != given & shown[1]:
        return Answer(
            Outcome.HINT,
            f"{told} Asked for all, one shows {counts[0]} of them and the other {counts[1]}. "
            "Where does each have what it shows, and since when?",
        )
    return Answer(
        Outcome.HINT,
        f"{told} Both show the same, and {len(given) - counts[0]} of them are lost: one has "
        "written over what the other had just added. How does one add a line to a file without "
        "writing the others again?",
    )


def _container(
    lab: Lab, image: Image, volume: str, limits: Mapping[str, Any] | None = None
) -> Container:
    mounts = [*qualities.mounted(volume, FOLDER)["mounts"], *qualities.TEMPORARY["mounts"]]
    return lab.start(image, ports=[PORT], options={"mounts": mounts, **(limits or {})})


def _entries(app: Container) -> list[str]:
    """Return the entries that a GET shows, as soon as there is an answer.

    Raises:
        ContainerError: the container has ended, or has no answer.
    """
    until = time.monotonic() + ANSWER_SECONDS
    while (state := app.state()).status == "running":
        try:
            answer = app.ask(PORT)
        except (httpx.TransportError, CouldNotMeasure) as error:
            if time.monotonic() > until:
                raise ContainerError(
                    _with_last_line(app, f"a GET on port {PORT} has no answer")
                ) from error
            time.sleep(0.05)
            continue
        if answer.status_code != 200:
            raise ContainerError(
                _with_last_line(app, f"a GET is answered with status {answer.status_code}")
            )
        return answer.text.splitlines()
    raise ContainerError(_with_last_line(app, f"it ended with exit status {state.exit_status}"))


def _add(app: Container, entries: Sequence[str]) -> None:
    """Give entries to a container, by one request each.

    Raises:
        Refused: it does not take one. A connection that breaks is tried again before that.
    """
    url = f"http://{app.address(PORT)}/"
    with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False) as client:
        for entry in entries:
            for attempt in range(1, TRIES + 1):
                try:
                    answer = client.post(url, content=entry.encode())
                except httpx.TransportError:
                    if attempt < TRIES:
                        continue
                    raise Refused(
                        _with_last_line(app, f"a POST on port {PORT} has no answer")
                    ) from None
                if not answer.is_success:
                    told = f"a POST is answered with status {answer.status_code}"
                    raise Refused(_with_last_line(app, told))
                break


def _with_last_line(app: Container, what: str) -> str:
    said = _last_line(app)
    return f"{what}, and its last line is {said!r}." if said else f"{what}, and it says nothing."


def _last_line(app: Container) -> str:
    """Return the last line of the container's log that has words."""
    lines = [line.strip() for line in app.log_text().splitlines()]
    return next((line for line in reversed(lines) if any(map(str.isalnum, line))), "")


def _written(app: Container) -> list[str]:
    """Return which files a container has written into its own file system."""
    changed = app.changed_files()
    folders = {path.rpartition("/")[0] for path in changed}
    return [
        path
        for path in sorted(changed)
        if path not in folders and not f"{path}/".startswith((f"{FOLDER}/", "/tmp/"))  # noqa: S108
    ]


def _told(written: Sequence[str]) -> str:
    return f"written {' and '.join(written[:4]) or 'no file'} into its own file system"
