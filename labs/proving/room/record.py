"""What trials of a room have measured: kept in one file, and quoted by the guide."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..claims import humanize
from ..errors import ProvingError
from ..paths import ROOT
from ..system import say
from . import weight

FILE = ROOT / "workshop" / "hub" / "room.json"
MACHINE_GIB = 24
"""The machine for which it is told how many seats fit."""


@dataclass(frozen=True)
class SeatTried:
    """What one of the people took: seconds until each was done, and bytes of memory and disk.

    `start_seconds` is from the click to JupyterLab with an engine that has the bases;
    `idle_bytes` is what a seat took then, and `peak_bytes` the most that it took afterwards.
    """

    start_seconds: float
    claim_seconds: float
    idle_bytes: int
    peak_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class Tried:
    """What a trial has measured, and where."""

    recorded_at: str
    claim: str
    engine: dict[str, Any]
    memory_bytes: int
    limits: dict[str, Any]
    seats: tuple[SeatTried, ...]
    hub_bytes: int

    def fit(self, memory_bytes: int) -> int:
        """Return how many seats fit into a machine with so much memory, by the largest peak."""
        return weight.fit(memory_bytes, max(seat.peak_bytes for seat in self.seats), self.hub_bytes)


def fit(trials: Sequence[Tried], memory_bytes: int) -> int:
    """Return how many seats fit into a machine with so much memory, by all trials' largest peak."""
    return min(tried.fit(memory_bytes) for tried in trials)


def told(tried: Tried) -> str:
    """Return what a trial has measured, a line for each seat and one for the machine."""
    lines = [
        f"seat {number}: ready in {seat.start_seconds:.0f} s, {tried.claim} in "
        f"{seat.claim_seconds:.0f} s, {humanize(seat.idle_bytes, 'B')} at rest, "
        f"{humanize(seat.peak_bytes, 'B')} at most, "
        f"{humanize(seat.disk_bytes, 'B')} on the disk"
        for number, seat in enumerate(tried.seats, start=1)
    ]
    lines.append(
        f"the hub: {humanize(tried.hub_bytes, 'B')}; into {MACHINE_GIB} GiB fit "
        f"{tried.fit(MACHINE_GIB * weight.GIB)} such seats"
    )
    return "\n".join(lines)


def keep(tried: Tried) -> None:
    """Keep what a trial has measured, beside those of other numbers of people."""
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    kept[str(len(tried.seats))] = asdict(tried)
    ordered = dict(sorted(kept.items(), key=lambda item: int(item[0])))
    FILE.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    say(f"Kept in {FILE.relative_to(ROOT)}.")


def recorded() -> list[Tried]:
    """Return the recorded trials, that with the most people last; none where none was recorded.

    Raises:
        ProvingError: the record cannot be read.
    """
    if not FILE.exists():
        return []
    try:
        kept = json.loads(FILE.read_text(encoding="utf-8"))
        return [_of_data(one) for one in kept.values()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ProvingError(
            f"{FILE.name} cannot be read ({error!r}): run `nox -s hub -- --trial 3 --record`."
        ) from error


def _of_data(told: dict[str, Any]) -> Tried:
    return Tried(**{**told, "seats": tuple(SeatTried(**seat) for seat in told["seats"])})
