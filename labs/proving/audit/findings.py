"""What a check is, and what it has found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..claims import Value, Verdict


@dataclass(frozen=True)
class Check:
    """A check of the audit: what it asks, and the claims of the guide that say why.

    `weight` orders what to fix first: the higher, the sooner.
    `source` is where the answer comes from: `archive`, `run` or `context`.
    """

    id: str
    question: str
    claims: tuple[str, ...]
    source: str
    weight: int


@dataclass(frozen=True)
class Line:
    """A line of a file that was audited, such as a Dockerfile; lines count from 1."""

    file: str
    number: int


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    `figure` is what was measured, for a person; `advice` is one sentence of what to do, empty where
    nothing is to be done. `values` are the same as data, each named with its unit (`wasted_bytes`,
    `stop_seconds`). `places` are paths, steps or variables; a secret in them is redacted.
    `lines` are those of the Dockerfile that it is about, where they are known.
    """

    check: Check
    verdict: Verdict
    figure: str
    advice: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return what a report tells of it."""
        return {
            "check": self.check.id,
            "question": self.check.question,
            "claims": list(self.check.claims),
            "source": self.check.source,
            "verdict": str(self.verdict),
            "figure": self.figure,
            "advice": self.advice,
            "values": dict(self.values),
            "places": list(self.places),
            "lines": [{"file": line.file, "line": line.number} for line in self.lines],
        }


@dataclass(frozen=True)
class Report:
    """All findings about one image: `subject` is its name, `facts` what is told and not judged.

    `seconds` is how long the audit took.
    """

    subject: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def of(self, verdict: Verdict) -> tuple[Finding, ...]:
        """Return the findings with a verdict."""
        return tuple(one for one in self.findings if one.verdict is verdict)

    def first(self, number: int = 3) -> tuple[Finding, ...]:
        """Return what to fix first."""
        return tuple(by_weight(self.of(Verdict.DOES_NOT_HOLD)))[:number]


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, the weightiest first."""
    return sorted(findings, key=lambda one: -one.check.weight)
