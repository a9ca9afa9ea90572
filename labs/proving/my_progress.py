"""What the reader has proved and passed on this machine, kept in one file across restarts.

The file is a list of events, one JSON object a line, each appended by one write: kernels that
write at once do not disturb each other, and a line that is damaged or half written costs itself
alone. It lies in the reader's data folder, so that it outlives a checkout; `PROVING_PROGRESS` names
another file, or `none`. Nothing of it is sent anywhere.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .claims import Verdict
from .errors import ProvingError
from .system import say

VARIABLE = "PROVING_PROGRESS"
"""Names the file of the progress; `none` keeps none."""

NONE = "none"
FILE = "progress.jsonl"

SCHEMA = Path(__file__).with_name("my_progress.schema.json")
"""The JSON Schema (draft 2020-12) of an export."""

FORMAT = "proving-ground.progress/1"
"""Names the format of an export; its number is raised when what is there changes its meaning."""

LONGEST_NAME = 80

CLAIM, EXERCISE, PREFLIGHT, NAME = "claim", "exercise", "preflight", "name"
_DONE = {CLAIM: str(Verdict.HOLDS), EXERCISE: "passed"}
_FIELDS = {
    CLAIM: ("id", "outcome", "engine"),
    EXERCISE: ("id", "outcome", "engine"),
    PREFLIGHT: ("code",),
    NAME: ("name",),
}
_PATTERNS = {
    "id": r"[A-Z][A-Z0-9]{1,7}|[a-z0-9-]{1,80}",
    "outcome": "|".join([*Verdict, "passed", "not yet", "failed"]),
    "engine": r"[^\n]{0,80}",
    "code": r"[0-9A-Z-]{12,20}",
    "name": rf"[^\n]{{0,{LONGEST_NAME}}}",
    "at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
}

Event = Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """How a claim or an exercise stands: when it was done first, and what came of it last.

    Times are in UTC, as ISO 8601 writes them; `done_at` is empty where it was never done.
    """

    done_at: str
    outcome: str
    last_at: str
    engine: str


@dataclass(frozen=True)
class Progress:
    """All that is kept, by the ids of claims and exercises; `damaged` lines could not be read."""

    claims: Mapping[str, Entry] = field(default_factory=dict)
    exercises: Mapping[str, Entry] = field(default_factory=dict)
    name: str = ""
    preflight: str = ""
    preflight_at: str = ""
    damaged: int = 0


_told: set[str] = set()


def file() -> Path | None:
    """Return where the progress is kept, whether or not there is any; None where none is kept."""
    import platformdirs

    named = os.environ.get(VARIABLE)
    if named == NONE:
        return None
    if named:
        return Path(named).expanduser()
    return platformdirs.user_data_path("proving-ground", appauthor=False) / FILE


def kept_file() -> Path:
    """Return where the progress is kept.

    Raises:
        ProvingError: none is kept.
    """
    path = file()
    if path is None:
        raise ProvingError(
            f"No progress is kept: {VARIABLE} is {NONE!r}. Unset it, or name a file by it."
        )
    return path


def note_claim(claim_id: str, verdict: str, engine_version: str) -> None:
    """Keep what a claim came to; whatever hinders that is told once, and stops no lab."""
    _note(CLAIM, id=claim_id, outcome=verdict, engine=engine_version)


def note_exercise(exercise: str, outcome: str, engine_version: str) -> None:
    """Keep what an exercise's check has answered; see `note_claim`."""
    _note(EXERCISE, id=exercise, outcome=outcome, engine=engine_version)


def note_preflight(code: str) -> None:
    """Keep the code of the last preflight; see `note_claim`."""
    _note(PREFLIGHT, code=code)


def note_name(name: str) -> None:
    """Keep the name that the reader gives for a trainer's list; an empty one takes it back."""
    _note(NAME, name=name)


def now() -> str:
    """Return the time, in UTC to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _note(kind: str, **fields: str) -> None:
    try:
        _append([{"at": now(), "kind": kind, **fields}])
    except (OSError, RuntimeError) as error:  # a RuntimeError where there is no home
        if str(error) not in _told:
            _told.add(str(error))
            say(f"Your progress could not be kept ({error}). All else goes on.")


def _append(events: Iterable[Event]) -> None:
    """Append events, each on a line of its own, by one write that no other can come between.

    A line begins with its line break, so that it also ends what an earlier write has left half.
    """
    path = file()
    lines = "".join(f"\n{json.dumps(dict(event))}" for event in events).encode()
    if path is None or not lines:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(handle, lines) < len(lines):
            raise OSError(f"{path} was not written to its end: its disk is full")
    finally:
        os.close(handle)


def read() -> Progress:
    """Return what is kept.

    Raises:
        ProvingError: the file is there and cannot be read.
    """
    events, damaged = _events()
    return _fold(events, damaged)


def _events() -> tuple[list[Event], int]:
    path = file()
    try:
        content = path.read_bytes() if path is not None else b""
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise ProvingError(
            f"Your progress in {path} cannot be read: {error.strerror}. Make it readable, or name "
            f"another file by {VARIABLE}."
        ) from error
    lines = [line for line in content.split(b"\n") if line.strip()]
    events = [event for line in lines if (event := _event(line)) is not None]
    return events, len(lines) - len(events)


def _event(line: bytes) -> Event | None:
    """Return the event of a line; None where it is none."""
    try:
        told = json.loads(line)
        event = {"kind": told["kind"], "at": told["at"]}
        event |= {name: told[name] for name in _FIELDS[told["kind"]]}
        datetime.fromisoformat(event["at"])
        good = all(
            re.fullmatch(_PATTERNS[name], text) for name, text in event.items() if name != "kind"
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return event if good else None


def _fold(events: Iterable[Event], damaged: int = 0) -> Progress:
    entries: dict[str, dict[str, Entry]] = {CLAIM: {}, EXERCISE: {}}
    single = {NAME: {"name": ""}, PREFLIGHT: {"code": "", "at": ""}}
    for event in sorted(events, key=lambda event: event["at"]):
        kind, at = event["kind"], event["at"]
        if kind in single:
            single[kind] = dict(event)
            continue
        before = entries[kind].get(event["id"])
        done_at = before.done_at if before else ""
        if event["outcome"] == _DONE[kind]:
            done_at = done_at or at
        entries[kind][event["id"]] = Entry(done_at, event["outcome"], at, event["engine"])
    return Progress(
        claims=entries[CLAIM],
        exercises=entries[EXERCISE],
        name=single[NAME]["name"],
        preflight=single[PREFLIGHT]["code"],
        preflight_at=single[PREFLIGHT]["at"],
        damaged=damaged,
    )


def export(progress: Progress) -> dict[str, Any]:
    """Return what is exported, as JSON has it: by the schema, and no more than that."""
    preflight = {"code": progress.preflight, "at": progress.preflight_at}
    return {
        "format": FORMAT,
        "exported_at": now(),
        "name": progress.name or None,
        "preflight": preflight if progress.preflight else None,
        "claims": _exported(progress.claims, "proved_at"),
        "exercises": _exported(progress.exercises, "passed_at"),
    }


def _exported(entries: Mapping[str, Entry], done: str) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            done: entry.done_at or None,
            "last": entry.outcome,
            "last_at": entry.last_at,
            "engine_version": entry.engine,
        }
        for name, entry in sorted(entries.items())
    ]


def write_export(path: Path) -> None:
    """Write an export to a file, whole or not at all.

    Raises:
        ProvingError: it cannot be written, or something else lies there.
    """
    if path.exists() and not _is_export(path):
        raise ProvingError(
            f"{path} is there already, and is no export of your progress: name another file."
        )
    text = json.dumps(export(read()), indent=1, ensure_ascii=False) + "\n"
    part: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".progress-")
        part = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            written.write(text)
        part.replace(path)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise ProvingError(
            f"Your progress was to be exported to {path}: {error.strerror}. Name another file."
        ) from error


def _is_export(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_bytes())["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def take_in(path: Path) -> int:
    """Add what an export has to what is kept here, and return how many events were new.

    Raises:
        ProvingError: it is no export of a progress, or what is kept cannot be written, or none is
            kept.
    """
    kept_file()
    told = read_export(path)
    events, _ = _events()
    known = {tuple(sorted(event.items())) for event in events}
    new = [event for event in _imported(told) if tuple(sorted(event.items())) not in known]
    if _fold(events).name:
        new = [event for event in new if event["kind"] != NAME]
    try:
        _append(new)
    except (OSError, RuntimeError) as error:
        raise ProvingError(f"Your progress could not be kept: {error}.") from error
    return len(new)


def read_export(path: Path) -> dict[str, Any]:
    """Return what an export says.

    Raises:
        ProvingError: it cannot be read, or does not follow the schema.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProvingError(f"{path} cannot be read: {error.strerror}.") from error
    return checked(content, str(path))


def checked(content: bytes, name: str) -> dict[str, Any]:
    """Return what an export says whose bytes these are; `name` says whose, in an error.

    Raises:
        ProvingError: it does not follow the schema.
    """
    import jsonschema

    try:
        told: dict[str, Any] = json.loads(content)
        jsonschema.validate(told, json.loads(SCHEMA.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ProvingError(f"{name} is no export of a progress: it is no JSON.") from error
    except jsonschema.ValidationError as error:
        raise ProvingError(
            f"{name} is no export of a progress that this guide knows: {error.json_path}: "
            f"{error.message[:200]}."
        ) from error
    return told


def of_export(told: Mapping[str, Any]) -> Progress:
    """Return the progress that an export tells."""
    return _fold(_imported(told))


def _imported(told: Mapping[str, Any]) -> Iterator[Event]:
    for kind, listed, done in (
        (CLAIM, "claims", "proved_at"),
        (EXERCISE, "exercises", "passed_at"),
    ):
        for one in told[listed]:
            same = {"kind": kind, "id": one["id"], "engine": one["engine_version"]}
            if one[done] and (one[done], _DONE[kind]) != (one["last_at"], one["last"]):
                yield {**same, "at": one[done], "outcome": _DONE[kind]}
            yield {**same, "at": one["last_at"], "outcome": one["last"]}
    if told["preflight"]:
        yield {"kind": PREFLIGHT, **told["preflight"]}
    if told["name"]:
        yield {"kind": NAME, "at": told["exported_at"], "name": told["name"]}


def forget() -> bool:
    """Remove what is kept, and return whether there was any.

    Raises:
        ProvingError: it cannot be removed.
    """
    path = file()
    try:
        if path is None or not path.exists():
            return False
        path.unlink()
    except OSError as error:
        raise ProvingError(f"{path} cannot be removed: {error.strerror}.") from error
    return True


def show() -> None:
    """Show the progress in a notebook, or on a terminal."""
    from . import my_progress_told

    my_progress_told.show(read())
