"""Where the time of the labs goes: their wall time against the waits that nothing can shorten.

Each instant of a lab counts once, for the first kind in `KINDS` that was under way then: a wait
that cannot be avoided hides the work that was done beside it.
Waits for so many answers or restarts are told apart: a claim's settings decide them.
What is left to improve is the rest.
A claim that a second kernel proves beside the others is told by that kernel's work alone.
Labs run as `nox -s labs` runs them, some side by side: the seconds of each are those in which it
had a kernel, and that of all is the wall time. `--alone` runs one lab after the other.
Targets stand beside the figures, and whether they are kept; the exit status does not tell of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import cluster, engine, prepare, prove, spans
from .claims import load
from .errors import ProvingError
from .lab import NO_CACHE_VARIABLE
from .paths import ROOT
from .spans import Span
from .system import last_lines, say

WARM_SECONDS, COLD_SECONDS, LAB_SECONDS = 840.0, 900.0, 90.0
"""The targets on two cores: all labs, warm and cold, and a lab alone, warm."""

SITE_SECONDS, EDIT_SECONDS = 30.0, 4.0
"""The targets of the site: built anew, and after one edit."""

WAITS = "grace period"
"""The kind of the waits that nothing can shorten: from a stop signal to the end of PID 1."""

CHOSEN = ("load", "log")
"""Kinds of waits that a claim's settings decide: for so many answers, for so many restarts."""

KINDS = {
    WAITS: "grace periods",
    "build": "builds",
    "layers": "reading layers",
    "load": "requests under load",
    "log": "waiting for a log",
    "ready": "applications getting ready",
    "start": "starting containers",
    "cluster": "starting the cluster",
    "pods": "waiting for pods",
    "exec": "commands in pods",
    "processes": "listing processes",
    "stop": "the engine's part of a stop",
    "removal": "removing containers",
    "bases": "looking for the bases",
    "watchdog": "the watchdog",
    "clean-up": "cleaning up",
    "kernel": "starting and ending the kernel",
    "cell": "the lab's own code",
    "lab": "the runner",
}
"""The kinds of spans, each before those around it, and what they are called."""

AROUND = ("cell", "lab")
"""Kinds that are made of others and are not listed as single spans."""

SET_UP = "set-up"
BESIDE = "∥"
LONGEST = 3

Interval = tuple[float, float]


@dataclass(frozen=True)
class Single:
    """One span, and the seconds of it that were not an unavoidable wait of its own."""

    kind: str
    detail: str
    seconds: float


@dataclass(frozen=True)
class Part:
    """A lab, or a claim's cells: seconds of wall time, and where they went, by kind.

    `waits_seconds` is the sum of the unavoidable waits; those that ran side by side count once in
    `by_kind`. `lane` is that of its kernel, where it was proved beside others.
    """

    name: str
    seconds: float
    waits_seconds: float
    by_kind: Mapping[str, float]
    longest: tuple[Single, ...]
    lane: str = ""

    @property
    def told(self) -> str:
        """Its name, with a mark where it was proved beside others."""
        return f"{self.name} {BESIDE}" if self.lane else self.name

    @property
    def overlapped_waits_seconds(self) -> float:
        """The wall time during which an unavoidable wait was under way."""
        return self.by_kind.get(WAITS, 0.0)

    @property
    def chosen_waits_seconds(self) -> float:
        """The wall time of waits that settings decide, with no unavoidable one beside them."""
        return sum(self.by_kind.get(kind, 0.0) for kind in CHOSEN)

    @property
    def rest_seconds(self) -> float:
        """The wall time that is spent in no wait of either kind: what can be improved."""
        return self.seconds - self.overlapped_waits_seconds - self.chosen_waits_seconds

    def as_data(self) -> dict[str, Any]:
        """Return the part as plain data, in seconds."""
        return {
            "name": self.name,
            "lane": self.lane,
            "seconds": round(self.seconds, 2),
            "waits_seconds": round(self.waits_seconds, 2),
            "by_kind": {kind: round(seconds, 2) for kind, seconds in self.by_kind.items()},
            "longest": [{**asdict(one), "seconds": round(one.seconds, 2)} for one in self.longest],
        }


@dataclass(frozen=True)
class LabTime:
    """A lab's time, as a whole and by claim."""

    whole: Part
    claims: tuple[Part, ...]


@dataclass(frozen=True)
class SiteTime:
    """Seconds that the site takes: built anew, and again after one edit of one chapter."""

    clean_seconds: float
    edit_seconds: float


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return disjoint intervals, in order, that cover the same instants."""
    joined: list[Interval] = []
    for began, ended in sorted(intervals):
        if joined and began <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ended))
        else:
            joined.append((began, ended))
    return joined


def length(intervals: Iterable[Interval]) -> float:
    """Return how long intervals are together, instants that they share counted once."""
    return sum(ended - began for began, ended in union(intervals))


def attribute(noted: Iterable[Span], within: Sequence[Interval]) -> dict[str, float]:
    """Return the seconds of some intervals by kind, each instant counted once, as `KINDS` ranks.

    What no span covers counts as the runner's; kinds that `KINDS` does not know come before the
    lab's own code.
    """
    by_kind: dict[str, list[Interval]] = defaultdict(list)
    for one in noted:
        by_kind[one.name] += _clipped(one, within)
    by_kind["lab"] = list(within)
    covered: list[Interval] = []
    seconds: dict[str, float] = {}
    for kind in sorted(by_kind, key=_rank):
        grown = union([*covered, *by_kind[kind]])
        seconds[kind] = length(grown) - length(covered)
        covered = grown
    return {kind: took for kind, took in seconds.items() if took > 0}


def _rank(kind: str) -> tuple[float, str]:
    known = list(KINDS)
    return (known.index(kind) if kind in KINDS else known.index("cell") - 0.5), kind


def _clipped(one: Span, within: Iterable[Interval]) -> list[Interval]:
    cut = ((max(one.began, began), min(one.ended, ended)) for began, ended in within)
    return [(began, ended) for began, ended in cut if began < ended]


def part(
    name: str, noted: Iterable[Span], within: Sequence[Interval], lane: str | None = None
) -> Part:
    """Return where the time of some intervals went: that of one lane, or of all of them."""
    inside = [one for one in noted if lane in (None, one.lane) and _clipped(one, within)]
    waits = [piece for one in inside if one.name == WAITS for piece in _clipped(one, within)]
    singles = [
        Single(one.name, one.detail, one.seconds - _waited(one, inside))
        for one in inside
        if one.name not in (WAITS, *AROUND)
    ]
    return Part(
        name,
        seconds=length(within),
        waits_seconds=sum(ended - began for began, ended in waits),
        by_kind=attribute(inside, within),
        longest=tuple(sorted(singles, key=lambda one: -one.seconds)[:LONGEST]),
        lane=lane or "",
    )


def _waited(one: Span, noted: Iterable[Span]) -> float:
    """Return the seconds of unavoidable waits within a span."""
    own = (
        piece
        for wait in noted
        if wait.name == WAITS and (wait.process, wait.thread) == (one.process, one.thread)
        for piece in _clipped(wait, [(one.began, one.ended)])
    )
    return length(own)


def lab_times(noted: Sequence[Span]) -> list[LabTime]:
    """Return the time of each lab that was run, and of each claim in it, out of their spans."""
    times = []
    for lab in dict.fromkeys(one.detail for one in noted if one.name == "lab"):
        own = [one for one in noted if one.lab in ("", lab)]  # the runner's belong to all
        whole = union(_interval(one) for one in own if one.name == "lab" and one.detail == lab)
        cells: dict[tuple[str, str], list[Interval]] = defaultdict(list)
        for cell in own:
            if cell.name == "cell":
                cells[cell.lane, cell.detail or SET_UP].append(_interval(cell))
        by_lane = sorted(cells, key=lambda key: key[0])
        times.append(
            LabTime(
                part(lab, own, whole),
                tuple(part(name, own, cells[lane, name], lane) for lane, name in by_lane),
            )
        )
    return sorted(times, key=lambda time: time.whole.name)


def wall_seconds(noted: Iterable[Span]) -> float:
    """Return how long all labs took, those that ran side by side counted once."""
    return length(_interval(one) for one in noted if one.name == "lab")


def _interval(one: Span) -> Interval:
    return one.began, one.ended


def table(lab: LabTime) -> str:
    """Return a lab's time as text: the whole by kind, then claim by claim."""
    whole = lab.whole
    lines = [
        f"{whole.name}: {whole.seconds:.1f} s",
        f"  unavoidable waits {whole.overlapped_waits_seconds:8.1f} s"
        f"   ({whole.waits_seconds:.1f} s, had they not overlapped)",
        f"  waits by settings {whole.chosen_waits_seconds:8.1f} s   (answers, restarts)",
        f"  the rest          {whole.rest_seconds:8.1f} s",
    ]
    rest = {kind: took for kind, took in whole.by_kind.items() if kind not in (WAITS, *CHOSEN)}
    for kind, took in sorted(rest.items(), key=lambda item: -item[1]):
        lines.append(f"    {KINDS.get(kind, kind):<31} {took:8.1f} s")
    lines.append(
        f"  {'claim':<9} {'time':>7} {'waits':>7} {'by set.':>7} {'rest':>7}"
        "   the longest, less unavoidable waits"
    )
    for claim in lab.claims:
        longest = ", ".join(_told(one) for one in claim.longest)
        lines.append(
            f"  {claim.told:<9} {claim.seconds:7.1f} {claim.overlapped_waits_seconds:7.1f}"
            f" {claim.chosen_waits_seconds:7.1f} {claim.rest_seconds:7.1f}   {longest}"
        )
    if any(claim.lane for claim in lab.claims):
        lines.append(f"  {BESIDE} in a second kernel, beside the others")
    return "\n".join(lines)


def _told(one: Single) -> str:
    detail = one.detail.removesuffix("/Dockerfile")
    if detail.startswith("sha256:"):
        detail = detail.removeprefix("sha256:")[:12]
    return f"{one.kind} {detail} {one.seconds:.1f} s"


def targets(
    labs: Sequence[LabTime],
    total_seconds: float,
    site: SiteTime | None,
    *,
    cold: bool,
    whole: bool = True,
    alone: bool = True,
) -> str:
    """Return the measured times beside the targets, and whether each is kept.

    Those of all labs together count only where the `whole` guide was run, those of single ones
    where each ran `alone`.
    """
    state = "cold" if cold else "warm"
    wanted = COLD_SECONDS if cold else WARM_SECONDS
    of_one = LAB_SECONDS if alone and not cold else 0.0
    lines = [
        f"{'':<30} {'measured':>10} {'target':>10}",
        *(_beside(lab.whole.name, lab.whole.seconds, of_one) for lab in labs),
        _beside(
            f"{len(labs)} lab{'s' * (len(labs) != 1)}, {state}",
            total_seconds,
            wanted if whole else 0.0,
        ),
    ]
    if site is not None:
        lines += [
            _beside("the site, after an edit", site.edit_seconds, EDIT_SECONDS),
            _beside("the site, built anew", site.clean_seconds, SITE_SECONDS),
        ]
    return "\n".join(lines)


def _beside(name: str, seconds: float, target: float) -> str:
    """Return a measured time beside its target; a target of 0 is none."""
    told = f"{name:<30} {seconds:8.1f} s"
    if not target:
        return told
    return f"{told} {target:8.0f} s  {'ok' if seconds <= target else 'over'}"


def time_labs(words: Sequence[str], *, alone: bool) -> tuple[list[LabTime], list[Span], int]:
    """Run the labs that are chosen; return their times, the spans, and how many claims failed.

    Each runs `alone`, or all of them as the runner has them.
    """
    failed = 0
    chosen = prove.select(words)
    runs = [[one] for one in chosen] if alone else [chosen]
    with tempfile.TemporaryDirectory(prefix="proving-bench-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "spans.jsonl"
        os.environ[spans.VARIABLE] = str(file)
        try:
            with cluster.for_run(engine.find, prove.needs_cluster(words)):
                for run in runs:
                    say(f"Running {', '.join(map(prove.called, run))} …")
                    proofs = prove.run_notebooks(run, told=_tell)
                    failed += sum(not proof.passed for proof in proofs)
        finally:
            del os.environ[spans.VARIABLE]
        noted = spans.read(file)
    return lab_times(noted), noted, failed


def _tell(proof: prove.Proof) -> None:
    say(f"  {proof.claim.id} {proof.verdict}" + ("" if proof.passed else f". {proof.reason}"))


def time_site(run: Callable[..., Any] = subprocess.run) -> SiteTime:
    """Build the site anew, and again after an edit of its last chapter with a lab.

    Both happen in a copy of the sources; the checkout and its site stay as they are.

    Raises:
        ProvingError: the site does not build.
    """
    with tempfile.TemporaryDirectory(prefix="proving-bench-") as folder:
        sources = Path(folder) / "guide"
        shutil.copytree(ROOT, sources, ignore=_no_source)
        clean_seconds = _build(sources, run)
        chapter = _chapter(sources)
        with chapter.open("a", encoding="utf-8") as file:
            file.write("\nThis sentence is new.\n")
        return SiteTime(clean_seconds, _build(sources, run))


def _no_source(folder: str, names: list[str]) -> set[str]:
    """Return which of a folder's names the site is not built from; a .dockerignore is shown."""
    left_out = {"__pycache__", ".ipynb_checkpoints"}
    if Path(folder) == ROOT:
        hidden = (name for name in names if name.startswith("."))
        left_out |= {"_build", "work", "reports", *hidden}
    return left_out.intersection(names)


def _chapter(sources: Path) -> Path:
    proved = {claim.chapter for claim in load().values() if claim.proved_by_a_lab}
    chapters = sorted((sources / "chapters").glob("*.md"))
    return [chapter for chapter in chapters if chapter.stem in proved][-1]


def _build(sources: Path, run: Callable[..., Any]) -> float:
    began = time.monotonic()
    built = run(
        [*prepare.SPHINX, str(sources), str(sources / "_build" / "html")],
        env={**os.environ, "PYTHONPATH": str(sources / "labs")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        output = last_lines(built.stdout + built.stderr)
        raise ProvingError(f"The site was not built. Sphinx says:\n{output}")
    return time.monotonic() - began


def bench(
    words: Sequence[str], *, cold: bool, alone: bool, site: bool, json_file: Path | None
) -> int:
    """Run and time what is chosen and print it; return how many claims failed."""
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    cores = os.cpu_count() or 1
    found = prepare.engine_and_bases()
    if cold:
        os.environ[NO_CACHE_VARIABLE] = "1"
    labs, noted, failed = time_labs(words, alone=alone)
    timed = time_site() if site else None
    print(f"\nHere: {cores} cores, load {busy:.1f} when it began. {_how(cold)}")
    print("Each instant counts once; where a wait and work overlap, it counts as the wait.")
    for lab in labs:
        print(f"\n{table(lab)}")
    told = targets(
        labs,
        wall_seconds(noted),
        timed,
        cold=cold,
        whole=prove.select(words) == prove.select([]),
        alone=alone or len(labs) == 1,
    )
    print(f"\n{told}", flush=True)
    if failed:
        print(f"{failed} claims do not hold: their times tell little.", flush=True)
    if json_file is not None:
        data = {
            "cold": cold,
            "alone": alone,
            "cores": cores,
            "load_before": round(busy, 2),
            "engine": found.description.as_data(),
            "failed": failed,
            "seconds": round(wall_seconds(noted), 2),
            "labs": [
                {**lab.whole.as_data(), "claims": [claim.as_data() for claim in lab.claims]}
                for lab in labs
            ],
            "site": timed and asdict(timed),
            "spans": [asdict(one) for one in noted],
        }
        json_file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return failed


def _how(cold: bool) -> str:
    if cold:
        return "Cold: the bases were there, and no arm was taken from the build cache."
    return "Warm: the bases were there, and the build cache as earlier runs had left it."


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s bench --", description="Tell where the labs' time goes."
    )
    parser.add_argument("words", nargs="*", metavar="09|P1", help="a chapter or a claim")
    parser.add_argument("--cold", action="store_true", help="build without the build cache")
    parser.add_argument("--alone", action="store_true", help="run one lab after the other")
    parser.add_argument("--no-site", action="store_true", help="leave the site out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and spans there")
    return parser.parse_intermixed_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the labs and the site, or the audit; the exit status never tells of times.

    `audit` as the first word measures the audit beside its peers (`proving.audit_bench`).
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["audit"]:
        from . import audit_bench

        return audit_bench.main(words[1:])
    options = _options(words)
    return prove.in_order(
        lambda: bench(
            options.words,
            cold=options.cold,
            alone=options.alone,
            site=not options.no_site,
            json_file=options.json,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
