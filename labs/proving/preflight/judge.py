"""What the facts of a preflight come to: an answer of the catalogue for each check."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .. import engine as engines
from ..claims import humanize
from ..guide import FIRST_PORT
from .catalogue import CHECKS, NOT_CHECKED, Check, Level, Outcome
from .code import encode
from .facts import EngineFacts, Facts, claims_in_cluster

GIGABYTE = 1000**3

MEMORY_BYTES = (1 * GIGABYTE, 3 * GIGABYTE)
"""What the labs need alone, and with a cluster and its pods beside them.

An engine in a virtual machine of 4 GB has a little less than that.
"""

AVAILABLE_BYTES = GIGABYTE
"""How much of the memory should be free of other programs."""

DISK_BYTES = (3 * GIGABYTE, 10 * GIGABYTE)
"""What bases and a chapter's images need, and all of it.

All labs, with the cluster's node and the build cache, were seen to fill 6.4 GB.
"""

SLOW_SECONDS = 20.0
"""A trial that takes longer than this is slow; it takes three on a machine at rest."""

_OVERLAY = re.compile(r"overlay2|overlay|overlayfs|containerd \((overlayfs|stargz|soci)\)")
_COPIES = re.compile(r"vfs|containerd \(native\)")

Told = tuple[str, str]
"""The id of an answer, and a sentence of what was found."""


@dataclass(frozen=True)
class Finding:
    """What one check came to here: the answer, what was found, and what to do about it."""

    check: Check
    outcome: Outcome
    found: str
    cure: str

    @property
    def level(self) -> Level:
        """The level of the answer."""
        return self.outcome.level


@dataclass(frozen=True)
class Verdict:
    """A whole preflight: its findings in the catalogue's order, and its code."""

    findings: tuple[Finding, ...]
    system: str
    flavour: str
    code: str

    @property
    def level(self) -> Level:
        """The worst level: red, or else not checked, or else amber, or else green."""
        levels = {finding.level for finding in self.findings}
        worst = (Level.RED, Level.NOT_CHECKED, Level.AMBER)
        return next((level for level in worst if level in levels), Level.GREEN)


def judge(facts: Facts) -> Verdict:
    """Return what the facts come to."""
    flavour = facts.engine.flavour if facts.engine else "none"
    findings = []
    for check in CHECKS:
        name, found = _JUDGES[check.id](facts)
        outcome = check.outcome(name)
        cure = outcome.cure(facts.system, flavour)
        findings.append(Finding(check, outcome, found or outcome.says, cure))
    answers = {finding.check.id: finding.outcome.id for finding in findings}
    version = facts.engine.version if facts.engine else ""
    code = encode(facts.system, flavour, major(version), answers)
    return Verdict(tuple(findings), facts.system, flavour, code)


def major(version: str) -> int:
    """Return the first number of a version; 0 where it has none."""
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0


def _of_engine(judge: Callable[[Facts, EngineFacts], Told]) -> Callable[[Facts], Told]:
    """Have a check that needs an engine not be made where there is none."""

    def judged(facts: Facts) -> Told:
        if facts.engine is None or facts.fault:
            return NOT_CHECKED, "There is no engine to ask."
        return judge(facts, facts.engine)

    return judged


def _engine(facts: Facts) -> Told:
    if facts.fault:
        return facts.fault, facts.fault_told
    if facts.engine is None:
        return NOT_CHECKED, ""
    return "answers", f"{facts.engine.name} · {facts.engine.found}."


def _version(_: Facts, engine: EngineFacts) -> Told:
    told = f"{engine.version}, API {engine.api_version}."
    return ("old" if engines.is_too_old(engine.api_version) else "new-enough"), told


def _builder(facts: Facts, engine: EngineFacts) -> Told:
    if engine.flavour == "podman":
        return "podman", ""
    if facts.builder_fault:
        return "none", facts.builder_fault
    if not facts.builder:
        return NOT_CHECKED, facts.trial_fault
    return ("buildx" if "buildx" in facts.builder else "within"), f"{facts.builder}."


def _store(_: Facts, engine: EngineFacts) -> Told:
    told = f"{engine.store}."
    if _COPIES.fullmatch(engine.store):
        return "copies", told
    return ("overlay" if _OVERLAY.fullmatch(engine.store) else "other"), told


def _architecture(facts: Facts, engine: EngineFacts) -> Told:
    if engine.architecture not in ("amd64", "arm64"):
        return "other", f"{engine.architecture}."
    if engine.architecture != facts.machine:
        return "foreign", f"{engine.architecture}, and this machine is {facts.machine}."
    return "native", f"{engine.architecture}, {engine.cores} cores."


def _cgroups(_: Facts, engine: EngineFacts) -> Told:
    limits = {"memory": engine.limits_memory, "processes": engine.limits_processes}
    without = [name for name, has in limits.items() if not has]
    if without:
        return "no-limits", f"{engine.cgroup}; the engine does not limit {' or '.join(without)}."
    return "limits", f"{engine.cgroup}, with limits of memory and processes."


def _memory(facts: Facts, engine: EngineFacts) -> Told:
    if not engine.memory_bytes:
        return NOT_CHECKED, "The engine does not tell its memory."
    told = f"{humanize(engine.memory_bytes, 'B')}"
    least, enough = MEMORY_BYTES
    if engine.memory_bytes < enough:
        return ("too-little" if engine.memory_bytes < least else "little"), f"{told}."
    if facts.available_bytes is None:
        return "enough", f"{told}."
    told = f"{told}, {humanize(facts.available_bytes, 'B')} of it available."
    return ("busy" if facts.available_bytes < AVAILABLE_BYTES else "enough"), told


def _disk(facts: Facts, _: EngineFacts) -> Told:
    if facts.disk_free_bytes is None:
        return NOT_CHECKED, "The engine's disk is not here, and no container could be asked."
    told = f"{humanize(facts.disk_free_bytes, 'B')} free."
    least, enough = DISK_BYTES
    if facts.disk_free_bytes >= enough:
        return "enough", told
    return ("full" if facts.disk_free_bytes < least else "little"), told


def _ports(facts: Facts) -> Told:
    if facts.port is None:
        return "none", ""
    if facts.port == FIRST_PORT:
        return "free", f"The guide will use {FIRST_PORT}."
    return "another", f"{FIRST_PORT} is taken; the guide will use {facts.port}."


def _browser(facts: Facts) -> Told:
    chromium = facts.chromium or "installed when `nox -s docs` asks for it"
    if not facts.browser:
        return "elsewhere", f"None opens a window here. Chromium for the tests: {chromium}."
    return "here", f"{facts.browser}. Chromium for the tests: {chromium}."


def _bases(facts: Facts, _: EngineFacts) -> Told:
    if facts.bases is None:
        return NOT_CHECKED, facts.trial_fault
    if not facts.bases.missing:
        return facts.bases.road, ""
    missing = ", ".join(facts.bases.missing)
    why = f" ({facts.bases.why})" if facts.bases.why else ""
    told = {
        "pulled": f"Not here yet, and a registry has them: {missing}.",
        "packages": f"Not here yet: {missing}. No registry gives them{why}; they are built.",
        "none": f"Not here: {missing}. No road leads to them{why}.",
    }
    return facts.bases.road, told[facts.bases.road]


def _trial(facts: Facts, _: EngineFacts) -> Told:
    if facts.trial is None:
        return NOT_CHECKED, facts.trial_fault
    if facts.trial.outcome != "works":
        return facts.trial.outcome, facts.trial.told
    told = (
        f"One image was built in {facts.trial.build_seconds:.1f} s, answered, and stopped in "
        f"{facts.trial.stop_seconds:.1f} s: {facts.trial.seconds:.1f} s in all. Nothing is left."
    )
    return ("slow" if facts.trial.seconds > SLOW_SECONDS else "works"), told


def _cluster(facts: Facts, _: EngineFacts) -> Told:
    if facts.cluster is None:
        return NOT_CHECKED, facts.trial_fault
    if facts.cluster.outcome in ("none", "left-out", "rootless"):
        count = claims_in_cluster()
        return facts.cluster.outcome, f"{facts.cluster.told} {count} claims need a cluster."
    return facts.cluster.outcome, facts.cluster.told


_JUDGES: Mapping[str, Callable[[Facts], Told]] = {
    "engine": _engine,
    "version": _of_engine(_version),
    "builder": _of_engine(_builder),
    "store": _of_engine(_store),
    "architecture": _of_engine(_architecture),
    "cgroups": _of_engine(_cgroups),
    "memory": _of_engine(_memory),
    "disk": _of_engine(_disk),
    "ports": _ports,
    "browser": _browser,
    "bases": _of_engine(_bases),
    "trial": _of_engine(_trial),
    "cluster": _of_engine(_cluster),
}
