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
class ChapterThere:
    """What the claims of one lab came to on an engine, and what that engine was.

    `recorded_at` is a UTC time as ISO 8601; `engine` has the fields of `engine.Description`;
    `decides` is the hash of what decided the results (`claims.decides`, without a cluster).
    """

    recorded_at: str
    engine: Mapping[str, Any]
    decides: str
    claims: Mapping[str, ClaimThere]


@dataclass(frozen=True)
class RecordedEngine:
    """An engine, what it is, and what it has shown, by lab: each was recorded for itself."""

    name: str
    about: str
    chapters: Mapping[str, ChapterThere]

    @property
    def engine(self) -> Mapping[str, Any]:
        """What the engine was when it was last recorded."""
        latest = max(self.chapters.values(), key=lambda chapter: chapter.recorded_at, default=None)
        return latest.engine if latest else {}

    def chapter_of(self, claim: str) -> ChapterThere | None:
        """Return what was recorded with a claim, or None where it was not proved there."""
        found = (chapter for chapter in self.chapters.values() if claim in chapter.claims)
        return next(found, None)

    def stale(self, slug: str, decides_now: str) -> bool:
        """Tell whether what decides a lab's results has changed since they were recorded here."""
        return slug not in self.chapters or self.chapters[slug].decides != decides_now


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
    chapters = {slug: _chapter(there) for slug, there in row["chapters"].items()}
    return RecordedEngine(name, row["about"], chapters)


def _chapter(row: Mapping[str, Any]) -> ChapterThere:
    there = {claim: ClaimThere(**found) for claim, found in row["claims"].items()}
    return ChapterThere(**{**row, "claims": there})


def save(engines: Mapping[str, RecordedEngine], path: Path = FILE) -> None:
    """Write the recorded engines, in the order given; equal results make equal files."""
    content = {
        name: {
            "about": recorded.about,
            "chapters": {slug: _plain(there) for slug, there in sorted(recorded.chapters.items())},
        }
        for name, recorded in engines.items()
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    fresh = path.with_suffix(".recording")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _plain(there: ChapterThere) -> dict[str, Any]:
    return {
        "recorded_at": there.recorded_at,
        "engine": dict(sorted(there.engine.items())),
        "decides": there.decides,
        "claims": {claim: _plain_claim(found) for claim, found in there.claims.items()},
    }


def _plain_claim(there: ClaimThere) -> dict[str, Any]:
    arms = {arm: dict(sorted(figures.items())) for arm, figures in sorted(there.arms.items())}
    return {"verdict": there.verdict, "arms": arms}
