"""Check the reader's parent and its services: do they work, and what does a node download?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from proving.attempt import Attempt, attempt
from proving.claims import humanize
from proving.errors import BuildError, CouldNotMeasure
from proving.exercises import Answer, Outcome
from proving.image import Image
from proving.lab import Lab
from proving.layers import Contents, Layer
from proving.paths import LABS

OWN = LABS / "exercises" / "02-common-parent" / "start"
PRINTS = {
    "menu": "rye bread: 420 cents\npretzel: 110 cents",
    "hours": "weekdays: 6 to 18\nsaturday: 7 to 13",
    "orders": "pretzel: 42\nrye bread: 4",
}
"""What each service prints; the first one is the first that a node downloads."""

ONE, ONLY_OF_ONE = "orders", "sqlite3"
MOST_OWN_BYTES = {"menu": 400_000, "hours": 400_000, ONE: 3_000_000}
"""What a service may download beside its parent, which has all that the three need."""

FOR_PEOPLE = ("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man")
MOST_FOR_PEOPLE_BYTES = MOST_HIDDEN_BYTES = 10_000_000

LISTS, MOST_SHARED_BYTES = "var/lib/apt/lists", 42_000_000
"""What all three need is below that on the SLIM base, and on no larger one."""


@dataclass(frozen=True)
class Service:
    """A service's image: what came of a start, its layers, and whether it is the parent's child."""

    name: str
    came: Attempt
    contents: Contents
    is_child: bool
    parent_layers: int

    @property
    def own(self) -> Sequence[Layer]:
        """The layers that no other image brings: all beside those of the parent or of the base."""
        layers = self.contents.layers
        if self.is_child:
            return layers[self.parent_layers :]
        return [layer for layer in layers if not layer.from_base]

    @property
    def own_bytes(self) -> int:
        """What a node downloads for it alone, even though another service has the same lines."""
        return sum(layer.transfer_bytes for layer in self.own)


def check_folder(lab: Lab, folder: Path) -> Answer:
    """Judge what the services print and what their layers are, not how a Dockerfile looks."""
    if fault := _not_whole(folder):
        return Answer(Outcome.FAILED, fault)
    try:
        parent = _built(lab, folder)
        named = {"PARENT": str(parent.tag)}
        images = {name: _built(lab, folder / name, named) for name in PRINTS}
        with ThreadPoolExecutor(len(images)) as pool:
            services = list(pool.map(lambda name: _look(lab, name, images[name], parent), images))
    except (BuildError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))
    return _broken(services) or _judge(services)


def _not_whole(folder: Path) -> str:
    """Return what a reader has removed, or edited and should not, or nothing."""
    for own in sorted(OWN.rglob("*")):
        name, yours = own.relative_to(OWN), folder / own.relative_to(OWN)
        if own.is_file() and not yours.is_file():
            return f"{name} is missing: the folder has to keep all of its files."
        if own.suffix in (".sh", ".json") and own.read_bytes() != yours.read_bytes():
            return (
                f"{name} must stay as the exercise has it: what is to be mended are the "
                "Dockerfiles, of the parent and of the services."
            )
    return ""


def _built(lab: Lab, folder: Path, arguments: Mapping[str, str] | None = None) -> Image:
    try:
        return lab.build(folder, arguments)
    except BuildError as error:
        whose = f"{folder.name}/" if arguments else "The parent's "
        raise BuildError(f"{whose}{error}") from error


def _look(lab: Lab, name: str, image: Image, parent: Image) -> Service:
    count = len(parent.diff_ids)
    is_child = image.diff_ids[:count] == parent.diff_ids
    return Service(name, attempt(lab, image), image.contents, is_child, count)


def _broken(services: Sequence[Service]) -> Answer | None:
    for service in services:
        came, expected = service.came, PRINTS[service.name]
        if came.exit_status or came.output.strip() != expected:
            return Answer(
                Outcome.FAILED,
                f"{service.name} prints {came.output.strip()[:80]!r} and ends with exit status "
                f"{came.exit_status}; {expected!r} was expected.",
            )
    return None


def _judge(services: Sequence[Service]) -> Answer:
    downloads = _downloads(services)
    told = (
        f"All three work, and a node downloads {humanize(sum(downloads.values()), 'B')} for them: "
        + ", ".join(f"{humanize(size, 'B')} for {name}" for name, size in downloads.items())
    )
    hint = (
        _no_children(services)
        or _for_people(services)
        or _too_much_shared(services)
        or _only_of_one(services)
        or _heavy_own(services)
    )
    if hint:
        return Answer(Outcome.HINT, f"{told}. {hint}")
    return Answer(
        Outcome.PASSED,
        f"{told}. The parent is downloaded once, and has what all three need and nothing else.",
    )


def _downloads(services: Sequence[Service]) -> dict[str, int]:
    """Return what a node downloads that pulls the services in this order, in bytes.

    What two services have made by the same lines is counted twice: it is one layer by the luck of
    this engine's build cache, and two where each is built by a pipeline of its own (claim B5).
    """
    there: set[str] = set()
    downloads = {}
    for service in services:
        own = {layer.diff_id for layer in service.own}
        shared = [layer for layer in service.contents.layers if layer.diff_id not in own]
        new = [layer for layer in shared if layer.diff_id not in there]
        downloads[service.name] = service.own_bytes + sum(layer.transfer_bytes for layer in new)
        there |= {layer.diff_id for layer in shared}
    return downloads


def _no_children(services: Sequence[Service]) -> str:
    """Return which services do not stand on the parent, or nothing."""
    strangers = [service for service in services if not service.is_child]
    if not strangers:
        return ""
    names = " and ".join(service.name for service in strangers)
    own = " and ".join(humanize(service.own_bytes, "B") for service in strangers)
    stand, bring = ("stands", "brings") if len(strangers) == 1 else ("stand", "bring")
    return (
        f"{names} {stand} beside the parent, and {bring} {own} in layers of their own on top of "
        "a base. What do all three install, and who could do so once for all?"
    )


def _for_people(services: Sequence[Service]) -> str:
    """Return what of the base nobody reads in a container, seen or hidden, or nothing."""
    hidden_bytes = max(service.contents.base_rewritten_bytes for service in services)
    if hidden_bytes > MOST_HIDDEN_BYTES:
        return (
            f"{humanize(hidden_bytes, 'B')} of the base are hidden by a later layer, and are "
            "downloaded all the same. Which base would not have them at all?"
        )
    read_bytes = max(
        sum(service.contents.bytes_below(folder) for folder in FOR_PEOPLE) for service in services
    )
    if read_bytes > MOST_FOR_PEOPLE_BYTES:
        return (
            f"They share what can be shared, and {humanize(read_bytes, 'B')} of it, unpacked, are "
            "manuals and translations that nobody reads in a container. Which base has the same "
            "packages without them?"
        )
    return ""


def _too_much_shared(services: Sequence[Service]) -> str:
    """Return that the parent has what none of them needs, or nothing."""
    first = services[0]
    shared_bytes = first.contents.transfer_bytes - first.own_bytes
    if shared_bytes <= MOST_SHARED_BYTES:
        return ""
    if lists_bytes := first.contents.bytes_below(LISTS):
        return (
            f"They share what can be shared, and {humanize(lists_bytes, 'B')} of package lists, "
            "unpacked, too. Which step has made them, and which one could be without them?"
        )
    return (
        f"They share what can be shared, {humanize(shared_bytes, 'B')} in "
        f"{len(first.contents.packages)} packages. The scripts call a shell, curl and jq: which "
        "base has less besides?"
    )


def _only_of_one(services: Sequence[Service]) -> str:
    """Return who carries what only one of them needs, or nothing."""
    others = [
        service.name
        for service in services
        if service.name != ONE
        and any(path.rpartition("/")[2] == ONLY_OF_ONE for path in service.contents.files)
    ]
    if not others:
        return ""
    return (
        f"{' and '.join(others)} {'have' if len(others) > 1 else 'has'} {ONLY_OF_ONE}, which only "
        f"{ONE} calls. Who has to build again when it gets a fix, and in whose Dockerfile would "
        "that be otherwise?"
    )


def _heavy_own(services: Sequence[Service]) -> str:
    """Return which service brings too much beside the parent, and by which instruction."""
    heavy = [one for one in services if one.own_bytes > MOST_OWN_BYTES[one.name]]
    if not heavy:
        return ""
    most = max(heavy, key=lambda service: service.own_bytes)
    layer = max(most.own, key=lambda layer: layer.transfer_bytes)
    return (
        f"All stand on the parent, yet {most.name} brings {humanize(most.own_bytes, 'B')} of its "
        f"own, most of it by `{layer.created_by}`. What of that do the others bring, too, or "
        "nobody need?"
    )
