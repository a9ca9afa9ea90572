"""The build cache of an engine: its records, and which of them a lab's own builds have made.

A record of BuildKit says which command made it, but not which build.
A lab that measures the cache lists the records before its first build and after its last one.
Of those that are new, it takes for its own what no command of anybody else's has made or needs, and
removes it record by record: a cache is never pruned as a whole.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import instructions, leftovers, system
from .instructions import Instruction, exec_form
from .paths import STATE

if TYPE_CHECKING:
    import docker

    from .engine import Engine

_COMMAND = re.compile(
    # newer engines tell the name of a cache mount too, after the command
    r'(?:mount .+?|cached mount .+?) from exec (?:/bin/sh -c )?(.*?)(?: with id "[^"]*")?',
    re.DOTALL,
)
_TYPED = (1, 42)
"""The first API that lists the build cache without weighing everything else."""

IN_USE_SECONDS = 5.0
"""How long a record that is in use is given to be let go."""

BUSY_SECONDS = 30.0
"""How long an engine may be busy with telling somebody else what its disk holds."""


@dataclass(frozen=True)
class Record:
    """A record of the build cache, as the engine's `/system/df` tells (Docker Engine API)."""

    id: str
    parents: tuple[str, ...]
    kind: str
    description: str
    in_use: bool
    size_bytes: int

    @property
    def command(self) -> str | None:
        """The command of the RUN instruction that made it, or None where it was another."""
        match = _COMMAND.fullmatch(self.description)
        return _plain(match[1]) if match else None

    @property
    def is_source(self) -> bool:
        """Whether it holds what a client has sent: a context, a Dockerfile or a .dockerignore."""
        return self.kind == "source.local"


def records(client: docker.DockerClient) -> dict[str, Record]:
    """Return all records of the build cache by their ids."""
    answer = _disk_usage(client)
    return {found["ID"]: _record(found) for found in answer.get("BuildCache") or []}


def _disk_usage(client: docker.DockerClient) -> Mapping[str, Any]:
    """Return the engine's account of its disk, again where it is giving one to somebody else.

    Docker 20.10 refuses to reckon for two at a time.
    """
    from docker.errors import APIError

    api, until = client.api, time.monotonic() + BUSY_SECONDS
    version = tuple(int(part) for part in api.api_version.split("."))
    options = {"params": {"type": "build-cache"}} if version >= _TYPED else {}
    while True:
        try:
            answer: Mapping[str, Any] = api._result(
                api._get(api._url("/system/df"), **options), json=True
            )
        except APIError as error:
            if "already running" not in str(error) or time.monotonic() > until:
                raise
        else:
            return answer
        time.sleep(0.1)


def _record(found: Mapping[str, Any]) -> Record:
    # newer engines tell " Parents", with a blank that no documentation has, and 20.10 "Parent"
    listed = found.get("Parents") or found.get(" Parents") or [found.get("Parent")]
    parents = [parent for parent in listed if parent]
    return Record(
        id=found["ID"],
        parents=tuple(parents),
        kind=found.get("Type", ""),
        description=found.get("Description", ""),
        in_use=bool(found.get("InUse")),
        size_bytes=int(found.get("Size") or 0),
    )


def commands(dockerfile: str) -> frozenset[str]:
    """Return the commands of a Dockerfile's RUN instructions, as the cache's records tell them.

    With SHELL instructions there are more: each command also as every of these shells would run it.
    """
    found = list(instructions.read(dockerfile))
    told = [_command(one) for one in found if one.word == "RUN"]
    shells = [" ".join(exec_form(one.arguments) or ()) for one in found if one.word == "SHELL"]
    return frozenset(
        _plain(f"{shell} {command}").removeprefix("/bin/sh -c ")
        for shell in ("", *shells)
        for command in told
    )


def _command(run: Instruction) -> str:
    """Return what BuildKit has a shell run.

    A here-document that is the whole command is run, as a file of its own where its first line
    names a program; others are left to the shell.
    """
    if (script := run.script) is None:
        words = exec_form(run.arguments)
        line = run.arguments if words is None else " ".join(words)
        return "\n".join((line, *(f"{one.content}{one.name}" for one in run.heredocs)))
    return f"/dev/pipes/{script.name}" if script.is_program else script.content


def _plain(command: str) -> str:
    return " ".join(command.split())


def own(
    before: Iterable[str], after: Mapping[str, Record], run_commands: Iterable[str]
) -> tuple[Record, ...]:
    """Return the records that builds of these commands have made, those without children first.

    They are the new ones, less what another command has made, what came of that, and what it came
    from. Of copied files and sent contexts no record tells more: somebody else's who builds in the
    same seconds would have to be copied or sent once more.
    """
    old, ours = frozenset(before), frozenset(run_commands)
    new = {name: record for name, record in after.items() if name not in old}
    children = _children(after)
    strange = {
        name for name, record in after.items() if record.command and record.command not in ours
    }
    foreign = _reached(strange, lambda name: children.get(name, ()))
    needed = _reached(foreign & new.keys(), lambda name: _parents_in(after, name))
    left = {name: record for name, record in new.items() if name not in foreign | needed}
    return tuple(_leaves_first(left))


def _children(found: Mapping[str, Record]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for record in found.values():
        for parent in record.parents:
            children.setdefault(parent, []).append(record.id)
    return children


def _reached(start: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Return what is reached from some records by the way that is given, with these themselves."""
    reached, border = set(start), list(start)
    while border:
        border = [near for name in border for near in following(name) if near not in reached]
        reached |= set(border)
    return reached


def _leaves_first(found: Mapping[str, Record]) -> Iterator[Record]:
    left = dict(found)
    while left:
        parents = {parent for record in left.values() for parent in record.parents}
        leaves = [record for record in left.values() if record.id not in parents]
        yield from leaves
        for record in leaves:
            del left[record.id]


def remove(client: docker.DockerClient, found: Iterable[Record]) -> int:
    """Remove records by their ids and return how many are gone; those in use stay.

    An engine lets go of what a build has used only some time after it.
    """
    left, gone = list(found), 0
    until = time.monotonic() + IN_USE_SECONDS
    while left:
        kept = [record for record in left if not _remove(client, record)]
        gone += len(left) - len(kept)
        if time.monotonic() > until:
            break
        if len(kept) == len(left):
            there = records(client)
            kept = [record for record in kept if record.id in there]
            time.sleep(0.2 if kept else 0)
        left = kept
    return gone


def left_by(found: Mapping[str, Record], run_commands: Iterable[str]) -> tuple[Record, ...]:
    """Return the records that these commands have made, with what came of them and led to them.

    What another command needs is left out, and so is what a command of ours alone does not tell:
    copied files and sent contexts.
    """
    ours = frozenset(run_commands)
    made = {name for name, record in found.items() if record.command in ours}
    children = _children(found)
    hanging_together = _reached(made, lambda name: children.get(name, ()))
    hanging_together |= _reached(made, lambda name: _parents_in(found, name))
    own_records = {record.id: record for record in own((), found, ours)}
    chosen = {name: record for name, record in own_records.items() if name in hanging_together}
    return tuple(_leaves_first(chosen))


def _parents_in(found: Mapping[str, Record], name: str) -> tuple[str, ...]:
    return tuple(parent for parent in found[name].parents if parent in found)


def _remove(client: docker.DockerClient, record: Record) -> bool:
    api = client.api
    parameters = {"all": "true", "filters": json.dumps({"id": {record.id: True}})}
    answer = api._result(api._post(api._url("/build/prune"), params=parameters), json=True)
    return record.id in (answer.get("CachesDeleted") or [])


class Window:
    """The time between a lab's first and last measured build, with what these leave in the cache.

    Several workspaces may be in it at once, and one window at a time is open on a machine, so that
    two labs do not take each other's records for their own.
    `tell` passes on what a watchdog must know to tidy up in this one's place.
    """

    def __init__(self, engine: Engine, tell: Callable[[bytes], None]) -> None:
        self._engine, self._tell = engine, tell
        self._lock = threading.Lock()
        self._holding = ExitStack()
        self._inside = 0
        self._before: frozenset[str] = frozenset()
        self._commands: frozenset[str] = frozenset()
        self._tags: list[str] = []

    def enter(self, dockerfile: str) -> None:
        """Open the window, or join it; where that fails, the way is open for the next."""
        with self._lock, ExitStack() as opening:
            if not self._inside:
                opening.enter_context(system.lock(STATE / "build-cache.lock"))
                self._before = frozenset(records(self._engine.docker))
                self._commands = frozenset()
            self._note(dockerfile)
            if not self._inside:
                self._holding = opening.pop_all()
            self._inside += 1

    def note(self, dockerfile: str) -> None:
        """Note the commands of a Dockerfile that is built within the window."""
        with self._lock:
            self._note(dockerfile)

    def _note(self, dockerfile: str) -> None:
        noted = self._commands | commands(dockerfile)
        told = {"before": sorted(self._before), "commands": sorted(noted)}
        self._tell(json.dumps(told).encode() + b"\n")
        self._commands = noted

    def leave(self, tags: Iterable[str]) -> None:
        """Leave the window with the images that were built in it; the last one closes it."""
        with self._lock:
            self._tags += tags
            self._inside -= 1
            if self._inside:
                return
            try:
                self._close()
            finally:
                self._tags = []
                self._holding.close()

    def _close(self) -> None:
        client = self._engine.docker
        leftovers.remove_images(client, self._tags)
        remove_new(client, self._before, self._commands)
        self._tell(b"{}\n")


def remove_new(
    client: docker.DockerClient, before: Iterable[str], run_commands: Iterable[str]
) -> int:
    """Remove the records that builds of these commands have made since, and return how many."""
    return remove(client, own(before, records(client), run_commands))
