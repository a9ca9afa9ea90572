"""The claims, what must hold of each, and the judgement of one measurement.

A claim is a row of `labs/claims.toml`.
What must hold is a list of checks, each one relation out of a fixed list between two operands:
a figure (`bad.stop_seconds`), a setting (`grace_seconds`) or a constant.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from .errors import ClaimsFileError

LABS = Path(__file__).resolve().parents[1]
CLAIMS_FILE = LABS / "claims.toml"
IMAGES = LABS / "images"

MIME = "application/vnd.proving-ground.claim+json"
"""The media type under which a notebook's output carries a result as data."""

MEASURING_VERSION = 1
"""Raised when a measurement of the package changes its meaning: recorded results become stale."""

Value = int | float | str | bool
Arms = Mapping[str, Mapping[str, Value]]


class Verdict(StrEnum):
    """What can be said of a claim; only `HOLDS` is a pass."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    NOT_APPLICABLE = "not applicable"
    COULD_NOT_BE_MEASURED = "could not be measured"


class Relation(StrEnum):
    """The fixed list of relations that a check may use."""

    AT_MOST = "at most"
    AT_LEAST = "at least"
    LESS_THAN = "less than"
    EQUAL = "equal"
    DIFFER = "differ"
    IS = "is"
    IS_NOT = "is not"
    NONE = "none"
    SOME = "some"


_COMPARE = {
    Relation.AT_MOST: operator.le,
    Relation.AT_LEAST: operator.ge,
    Relation.LESS_THAN: operator.lt,
    Relation.EQUAL: operator.eq,
    Relation.IS: operator.eq,
    Relation.DIFFER: operator.ne,
    Relation.IS_NOT: operator.ne,
    Relation.NONE: operator.eq,
    Relation.SOME: operator.gt,
}
_SIGN = {
    Relation.AT_MOST: "≤ ",
    Relation.AT_LEAST: "≥ ",
    Relation.LESS_THAN: "< ",
    Relation.EQUAL: "",
    Relation.IS: "",
    Relation.DIFFER: "not ",
    Relation.IS_NOT: "not ",
    Relation.NONE: "",
    Relation.SOME: "more than ",
}
_UNITS = frozenset({"s", "B", "count", "status", "text", "yesno"})
_PAIR = ("bad", "good")

CLUSTER = "apps/kubernetes"
"""What a claim's row names among `uses` where it needs a cluster: the folder of its node."""


@dataclass(frozen=True)
class Figure:
    """A measured figure: its label for people and its unit (`s`, `B`, `count`, `status`, …).

    `arms` are those of which a card tells it, where it says nothing of the others.
    """

    label: str
    unit: str
    arms: tuple[str, ...] = ()

    def is_told_of(self, arm: str) -> bool:
        """Tell whether a card shows it for an arm."""
        return not self.arms or arm in self.arms


@dataclass(frozen=True)
class Check:
    """One relation that must hold.

    `right` is scaled by `factor` before the comparison.
    A `precondition` that fails means that the claim could not be measured, not that it is wrong.
    A check that is made only `where_applicable` is left out where the figure on its left is not
    there: the engine or its client has not what it is about, which the arm tells in another figure.
    """

    left: str
    relation: Relation
    right: Value = 0
    factor: float = 1.0
    precondition: bool = False
    where_applicable: bool = False

    def arms(self) -> set[str]:
        """Return the names of the arms that the check compares; a constant `/app.sh` has none."""
        operands = [self.left, self.right] if isinstance(self.right, str) else [self.left]
        parts = (operand.partition(".") for operand in operands)
        return {arm for arm, dot, _ in parts if dot and arm.isidentifier()}


@dataclass(frozen=True)
class Claim:
    """A row of `claims.toml`; `exchanges` names the pairs of arms that `teeth` exchanges.

    `images` is the claim whose images it looks at too, where it builds none of its own;
    `context` is the build context of its workspaces within `images`, where that is not its own;
    `uses` are folders whose files decide its result too, such as a server's;
    `beside` has it proved in a second kernel beside the chapter's others, since it mostly waits;
    `alone` has its chapter proved while no other one is, since it keeps all cores busy for minutes.
    """

    id: str
    chapter: str
    advice: str
    bad: str
    good: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    must: tuple[Check, ...] = ()
    also: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Value] = field(default_factory=dict)
    exchanges: tuple[tuple[str, str], ...] = (_PAIR,)
    images: str = ""
    context: str = ""
    uses: tuple[str, ...] = ()
    beside: bool = False
    alone: bool = False

    @property
    def proved_by_a_lab(self) -> bool:
        """Tell whether a lab proves this claim yet."""
        return bool(self.must)

    @property
    def needs_cluster(self) -> bool:
        """Tell whether it is proved in a Kubernetes cluster, all of it or a part."""
        return CLUSTER in self.uses

    @property
    def folder(self) -> str:
        """The folder of its arms within `images`: its own, or that of the claim it shares with."""
        return self.images or self.id

    def exchanged(self, arm: str) -> str:
        """Return the arm that takes the place of `arm` when the arms are exchanged."""
        partners = {a: b for pair in self.exchanges for a, b in (pair, pair[::-1])}
        return partners.get(arm, arm)


@dataclass(frozen=True)
class CheckResult:
    """What one check expected and what was found, in words."""

    sentence: str
    holds: bool
    expected: str
    found: str
    check: Check


@dataclass(frozen=True)
class Judgement:
    """The verdict on one measurement of a claim, with the sentence that gives its reason."""

    verdict: Verdict
    reason: str
    checks: tuple[CheckResult, ...] = ()


@cache
def load(path: Path = CLAIMS_FILE) -> dict[str, Claim]:
    """Return every claim of the guide by its id, in the guide's order.

    Raises:
        ClaimsFileError: the file is missing or a row of it is not well formed.
    """
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ClaimsFileError(f"The list of claims {path.name} cannot be read: {error}") from error
    settings = rows.get("settings", {})
    claims = [_claim(row, settings) for row in rows.get("claim", [])]
    found = {claim.id: claim for claim in claims}
    if len(found) != len(claims):
        raise ClaimsFileError(f"{path.name} gives the same claim id to two rows.")
    return found


def get(claim_id: str) -> Claim:
    """Return one claim.

    Raises:
        ClaimsFileError: there is no such claim; the sentence names those that are close.
    """
    import difflib

    claims = load()
    if claim_id in claims:
        return claims[claim_id]
    close = difflib.get_close_matches(claim_id.upper(), claims) or list(claims)[:3]
    raise ClaimsFileError(
        f"There is no claim {claim_id!r} in {CLAIMS_FILE.name}; did you mean {' or '.join(close)}?"
    )


def _figure(row: Mapping[str, Any]) -> Figure:
    return Figure(**{**row, "arms": tuple(row.get("arms", ()))})


def _claim(row: Mapping[str, Any], settings: Mapping[str, Value]) -> Claim:
    try:
        claim = Claim(
            id=row["id"],
            chapter=row["chapter"],
            advice=row["advice"],
            bad=row["bad"],
            good=row["good"],
            figures={name: _figure(figure) for name, figure in row.get("figures", {}).items()},
            must=tuple(_check(check) for check in row.get("must", [])),
            also=row.get("also", {}),
            settings={**settings, **row.get("settings", {})},
            exchanges=tuple((a, b) for a, b in row.get("exchanges", [_PAIR])),
            images=row.get("images", ""),
            context=row.get("context", ""),
            uses=tuple(row.get("uses", [])),
            beside=bool(row.get("beside", False)),
            alone=bool(row.get("alone", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        name = row.get("id", "a row without an id")
        raise ClaimsFileError(f"claims.toml, {name}: {error!r} is missing or not known.") from error
    for name, figure in claim.figures.items():
        if figure.unit not in _UNITS:
            raise ClaimsFileError(
                f"claims.toml, {claim.id}: the figure {name} has the unit {figure.unit!r}; "
                f"use one of {', '.join(sorted(_UNITS))}."
            )
    return claim


def _check(row: Mapping[str, Any]) -> Check:
    return Check(**{**row, "relation": Relation(row["relation"])})


def judge(claim: Claim, arms: Arms) -> Judgement:
    """Judge the figures of all arms against what must hold of the claim.

    A figure that is missing makes the claim "could not be measured", as does a precondition
    that fails; neither is ever a pass.
    """
    results = []
    for check in claim.must:
        try:
            results.append(_judge_check(claim, check, arms))
        except LookupError as error:
            if check.where_applicable and arms.get(check.left.partition(".")[0]):
                continue
            reason = f"The figure {error.args[0]} was not measured."
            return Judgement(Verdict.COULD_NOT_BE_MEASURED, reason, tuple(results))
    failed = [result for result in results if not result.holds]
    unmet = [result for result in failed if result.check.precondition]
    if unmet or not results:
        told = _told(unmet) or "Nothing that must hold is written down for this claim."
        return Judgement(Verdict.COULD_NOT_BE_MEASURED, told, tuple(results))
    if failed:
        return Judgement(Verdict.DOES_NOT_HOLD, _told(failed), tuple(results))
    return Judgement(Verdict.HOLDS, f"All {len(results)} checks hold.", tuple(results))


def _told(results: Iterable[CheckResult]) -> str:
    return " ".join(
        f"{result.sentence}: expected {result.expected}, found {result.found}."
        for result in results
    )


def _judge_check(claim: Claim, check: Check, arms: Arms) -> CheckResult:
    left = _operand(claim, check.left, arms)
    right = _operand(claim, check.right, arms)
    limit = right * check.factor if check.factor != 1.0 and not isinstance(right, str) else right
    figure = claim.figures.get(check.left.partition(".")[2])
    unit = figure.unit if figure else "text"
    arm, _, name = check.left.partition(".")
    return CheckResult(
        sentence=f"{arm.replace('_', ' ')}: {_in_sentence(figure.label) if figure else name}",
        holds=bool(_COMPARE[check.relation](left, limit)),
        expected=_expectation(check, limit, unit),
        found=humanize(left, unit),
        check=check,
    )


def _in_sentence(label: str) -> str:
    """Return a label as it stands within a sentence: names such as PID keep their capitals."""
    return label if label[:2].isupper() else label[:1].lower() + label[1:]


def _expectation(check: Check, limit: Value, unit: str) -> str:
    told = _SIGN[check.relation] + humanize(limit, unit)
    if not isinstance(check.right, str) or check.relation in (Relation.IS, Relation.IS_NOT):
        return told
    named = check.right.replace("_seconds", "").replace("_", " ").replace(".", ": ")
    scale = f"{check.factor:g} × " if check.factor != 1.0 else ""
    return f"{told} ({scale}{named})"


def _operand(claim: Claim, operand: Value, arms: Arms) -> Any:
    if not isinstance(operand, str):
        return operand
    arm, dot, name = operand.partition(".")
    if dot and arm in {*_PAIR, *claim.also}:
        try:
            return arms[arm][name]
        except KeyError:
            raise LookupError(f"“{name}” of the arm “{arm}”") from None
    return claim.settings.get(operand, operand)


def humanize(value: Value, unit: str) -> str:
    """Return a figure as people read it: seconds, bytes in decimal units, counts, yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if unit == "s":
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    if unit == "B":
        return _bytes(value)
    return f"{value:,}" if unit == "count" else f"{value:g}"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB"):
        if abs(value) < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def toothless(claim: Claim, judgement: Judgement) -> tuple[str, ...]:
    """Return why an exchange of the arms did *not* refute the claim; empty where it did.

    Every check that names an exchanged arm must have failed, by a measurement and not by a crash;
    preconditions and checks of arms that were not exchanged do not count.
    """
    if judgement.verdict is not Verdict.DOES_NOT_HOLD:
        return (f"with its arms exchanged the claim “{judgement.verdict}”: {judgement.reason}",)
    exchanged = {arm for pair in claim.exchanges for arm in pair}
    return tuple(
        f"{result.sentence} still is {result.found} with the arms exchanged"
        for result in judgement.checks
        if result.holds and not result.check.precondition and result.check.arms() & exchanged
    )


def contexts(claim_id: str, images: Path = IMAGES, also: Iterable[str] = ()) -> tuple[Path, ...]:
    """Return the files that decide the images of a claim: its folder, and the sources it copies.

    `also` are further folders of images that it uses.
    """
    folders = [images / name for name in (claim_id, *also)]
    own = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    copied = {
        images / source
        for path in own
        if path.name == "Dockerfile"
        for source in re.findall(r"\bapps/[\w./-]+", path.read_text(encoding="utf-8"))
    }
    shared = [
        file
        for source in sorted(copied)
        for file in (sorted(source.rglob("*")) if source.is_dir() else [source])
        if file.is_file()
    ]
    return (*own, *shared)


def exercises_of(chapter: str, labs: Path = LABS) -> list[str]:
    """Return the names of a chapter's exercises, its own first; all begin with its number."""
    number = chapter.partition("-")[0]
    found = [one.name for one in (labs / "exercises").glob(f"{number}-*") if one.is_dir()]
    return sorted(found, key=lambda name: (name != chapter, name))


def _deciding(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a claim without what only its card, or the runner of all labs, is told."""
    deciding = {key: value for key, value in row.items() if key != "alone"}
    if "figures" in row:
        deciding["figures"] = {
            name: {key: value for key, value in figure.items() if key != "arms"}
            for name, figure in row["figures"].items()
        }
    return deciding


_TURNS = ("lab.exercise(", "lab.audit(")


def is_turn(source: str) -> bool:
    """Tell whether a cell is the reader's turn, which proves no claim."""
    return any(turn in source for turn in _TURNS)


def decides(
    notebook: Path,
    images: Path = IMAGES,
    claims_file: Path = CLAIMS_FILE,
    *,
    engine_alone: bool = False,
) -> str:
    """Return the hash of all that decides a lab's results.

    These are its code cells, the build contexts, manifests, rows and settings of its claims, its
    exercises, the recipes of bases, and the version of the measuring code; prose, outputs and
    execution counts are not among them.
    With `engine_alone` it is that of what other engines are tried by: the claims that need no
    cluster, without the exercises.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    listed = tomllib.loads(claims_file.read_text(encoding="utf-8"))
    rows = [_deciding(row) for row in listed["claim"] if row["chapter"] == notebook.stem]
    in_cluster = [row["id"] for row in rows if CLUSTER in row.get("uses", [])]
    left_out = in_cluster if engine_alone else []
    rows = [row for row in rows if row["id"] not in left_out]
    code = [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code"
        and cell["metadata"].get("claim") not in left_out
        and not (engine_alone and is_turn("".join(cell["source"])))
    ]
    told = [MEASURING_VERSION, code, listed.get("settings", {}), rows]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    labs = images.parent
    turns = [] if engine_alone else exercises_of(notebook.stem, labs)
    folders = (*(labs / "exercises" / name for name in turns), images / "bases")
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    for row in rows:
        files += sorted((labs / "manifests" / row["id"]).glob("*.yaml"))
        also = [*row.get("uses", []), *([row["context"]] if "context" in row else [])]
        files += contexts(row.get("images", row["id"]), images, also)
    for path in files:
        if "__pycache__" not in path.parts:
            digest.update(path.relative_to(labs).as_posix().encode() + b"\0" + path.read_bytes())
    return f"sha256:{digest.hexdigest()}"
