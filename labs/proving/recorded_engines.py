"""What other engines have shown: the recorded results of `nox -s engines -- --record`.

They lie in one JSON file, so that the site can read them without an engine and without a notebook.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .claims import Arms
from .errors import ClaimsFileError
from .paths import LABS

FILE = LABS / "engines.json"


@dataclass(frozen=True)
class ClaimThere:
    """What a claim came to on an engine: its verdict, and the figures of its arms."""

    verdict: str
    arms: Arms


@dataclass(frozen=True)
class RecordedEngine:
    """An engine, what it is, and what each claim came to on it.

    `recorded_at` is a UTC time as ISO 8601; `engine` has the fields of `engine.Description`;
    `decides` are the hashes, by lab, of what decided the results (`claims.decides`).
    """

    name: str
    about: str
    recorded_at: str
    engine: Mapping[str, Any]
    decides: Mapping[str, str]
    claims: Mapping[str, ClaimThere]

    def stale(self, slug: str, decides_now: str) -> bool:
        """Tell whether what decides a lab's results has changed since they were recorded here."""
        return self.decides.get(slug) != decides_now


def load(path: Path = FILE) -> dict[str, RecordedEngine]:
    """Return the recorded engines by name, in the order of the file; none where there is no file.

    Raises:
        ClaimsFileError: the file cannot be read, or says something else than it should.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: _engine(name, row) for name, row in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClaimsFileError(
            f"The results of other engines, {path.name}, cannot be read: {error!r}. "
            "Record them again: nox -s engines -- --record."
        ) from error


def _engine(name: str, row: Mapping[str, Any]) -> RecordedEngine:
    there = {claim: ClaimThere(**found) for claim, found in row["claims"].items()}
    return RecordedEngine(**{**row, "name": name, "claims": there})


def save(engines: Mapping[str, RecordedEngine], path: Path = FILE) -> None:
    """Write the recorded engines, in the order given; equal results make equal files."""
    content = {
        name: {
            "about": recorded.about,
            "recorded_at": recorded.recorded_at,
            "engine": dict(sorted(recorded.engine.items())),
            "decides": dict(sorted(recorded.decides.items())),
            "claims": {claim: _plain(there) for claim, there in recorded.claims.items()},
        }
        for name, recorded in engines.items()
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    fresh = path.with_suffix(".recording")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _plain(there: ClaimThere) -> dict[str, Any]:
    arms = {arm: dict(sorted(figures.items())) for arm, figures in sorted(there.arms.items())}
    return {"verdict": there.verdict, "arms": arms}
