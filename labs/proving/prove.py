"""The runner of the labs: prove every claim, try its teeth, or record the notebooks.

A notebook runs in kernels of its own (see `proving.lanes`), from beginning to end or with the cells
of one claim and the set-up alone, without the exercises; cells carry the id of their claim in their
metadata.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from . import claims, cluster, engine, lanes, leftovers, readme, recorded
from .claims import MIME, Claim, Verdict
from .errors import ProvingError
from .lab import RUN_VARIABLE, TEETH_VARIABLE
from .paths import LABS, ROOT
from .show import figure_text
from .system import ending_in_order, say

REPORTS = ROOT / "reports"

SESSIONS = {
    "labs": "Prove the claims of the labs.",
    "teeth": "Exchange the arms of the claims: each must fail, for its own reason.",
    "record": "Run the labs and write them back with their outputs, after a clean run only.",
}
"""The sessions of nox that run labs, and what they do."""


@dataclass(frozen=True)
class Proof:
    """What one run of a claim's cells came to."""

    claim: Claim
    verdict: Verdict
    reason: str
    record: Mapping[str, Any]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the claim holds; nothing else is a pass."""
        return self.verdict is Verdict.HOLDS

    @property
    def skipped(self) -> bool:
        """Whether the claim is about what this engine has not: no pass, and no failure."""
        return self.verdict is Verdict.NOT_APPLICABLE

    @property
    def fault(self) -> str:
        """Why the claim has failed; empty where it has not."""
        return "" if self.passed or self.skipped else self.reason


Chosen = tuple[Path, str | None]
"""A notebook, and the claim that alone is wanted of it; None for all."""


def notebooks() -> list[Path]:
    """Return the labs, in the guide's order."""
    return sorted(LABS.glob("[0-9][0-9]-*.ipynb"))


def select(words: Sequence[str]) -> list[Chosen]:
    """Return what to run: pairs of a notebook and a claim, or None for all claims of it.

    Raises:
        ProvingError: a word names neither a chapter with a lab nor a claim that one proves.
    """
    labs = notebooks()
    if not words:
        return [(lab, None) for lab in labs if proved_in(lab, None)]
    chosen: list[Chosen] = []
    for word in words:
        chapter = [lab for lab in labs if word in (lab.stem[:2], lab.stem, lab.name)]
        if chapter:
            chosen += [(lab, None) for lab in chapter]
            continue
        claim = claims.get(word.upper())
        lab = LABS / f"{claim.chapter}.ipynb"
        if lab not in labs or not claim.proved_by_a_lab:
            raise ProvingError(f"No lab proves {claim.id} yet; the labs are: {_names(labs)}.")
        chosen.append((lab, claim.id))
    return chosen


def called(one: Chosen) -> str:
    """Return what is run, for a person: the lab, and the claim that alone is wanted of it."""
    notebook, only = one
    return f"{notebook.stem} ({only})" if only else notebook.stem


def _names(labs: Iterable[Path]) -> str:
    return ", ".join(lab.stem for lab in labs) or "none"


def proved_in(notebook: Path, only: str | None) -> list[Claim]:
    """Return the claims that a run of a notebook must prove, without those that are left out."""
    return [
        claim
        for claim in claims.load().values()
        if claim.chapter == notebook.stem
        and claim.proved_by_a_lab
        and only in (None, claim.id)
        and not (claim.needs_cluster and cluster.is_left_out())
    ]


def needs_cluster(words: Sequence[str]) -> bool:
    """Tell whether any of the claims that are chosen is proved in a cluster."""
    chosen = select(words)
    return any(claim.needs_cluster for lab, only in chosen for claim in proved_in(lab, only))


class _Run:
    """A notebook that is run: its lanes, and the proofs of its claims as they come."""

    def __init__(
        self,
        notebook: Path,
        only: str | None,
        *,
        exchanged: bool,
        together: bool,
        told: Callable[[Proof], None],
    ) -> None:
        import nbformat

        self.wanted = proved_in(notebook, only)
        self.content = nbformat.read(notebook, as_version=4)
        cells = [cell for cell in self.content.cells if not _is_left_out(cell)]
        if only is not None or exchanged:
            needed = {claim.id for claim in self.wanted}
            cells = [cell for cell in cells if lanes.is_needed(cell, needed)]
        self.content.cells = cells
        second = _second(self.wanted, together=together)
        self.lanes = lanes.split(cells, second, called((notebook, only)))
        self._run = os.environ.get(RUN_VARIABLE) or uuid.uuid4().hex[:12]
        self._exchanged = exchanged
        self._told = told
        self._proofs: dict[str, Proof] = {}

    @property
    def proofs(self) -> list[Proof]:
        """The proofs of all its claims, in the guide's order; once it was run."""
        return [self._proofs[claim.id] for claim in self.wanted]

    def works(self) -> list[lanes.Work]:
        """Return what is to be done for it."""
        return [
            lanes.Work(
                lane,
                self.content,
                _environment(lane.run_name(self._run), self._exchanged),
                partial(self._clear, lane),
            )
            for lane in self.lanes
        ]

    def ran(self, lane: lanes.Lane, cell: Any) -> None:
        """Take in a cell that a lane of it has run; None where that lane has ended."""
        if cell is None:
            self._note_missing(lane)
        else:
            for proof in _proofs(cell):
                self._tell(proof)

    def _note_missing(self, lane: lanes.Lane) -> None:
        first = lane is self.lanes[0]
        cells = set[str]().union(*(one.claims for one in self.lanes))
        for claim in self.wanted:
            is_its_own = claim.id in lane.claims or (first and claim.id not in cells)
            if is_its_own and claim.id not in self._proofs:
                reason = lane.why_missing(claim.id)
                self._tell(Proof(claim, Verdict.COULD_NOT_BE_MEASURED, reason, {}, 0.0))

    def _tell(self, proof: Proof) -> None:
        self._proofs[proof.claim.id] = proof
        self._told(proof)

    def _clear(self, lane: lanes.Lane) -> None:
        run = lane.run_name(self._run)
        leftovers.remove(engine.find(start=False).docker, run)
        if any(claim.needs_cluster for claim in self.wanted):
            cluster.remove_left(engine.find, run)


def run_notebook(
    notebook: Path,
    only: str | None = None,
    *,
    exchanged: bool = False,
    told: Callable[[Proof], None] = lambda _: None,
) -> tuple[list[Proof], Any]:
    """Run a notebook; return a proof for each of its claims, and the executed notebook.

    Each proof is also `told` as soon as it is there; they are returned in the guide's order.
    A claim whose cells gave no result "could not be measured", with the error they ended in.
    The exercises are run with a whole notebook, unless its arms are exchanged.
    """
    run = _Run(notebook, only, exchanged=exchanged, together=False, told=told)
    _run_all([run])
    return run.proofs, run.content


def run_notebooks(
    chosen: Sequence[Chosen],
    *,
    exchanged: bool = False,
    told: Callable[[Proof], None] = lambda _: None,
) -> list[Proof]:
    """Run notebooks, and return the proofs of all, in the guide's order.

    What is proved in a cluster runs beside what is proved on the engine alone: see `proving.lanes`.
    """
    proofs = []
    for batch in _batches(chosen):
        together = len(batch) > 1
        runs = [
            _Run(notebook, only, exchanged=exchanged, together=together, told=told)
            for notebook, only in batch
        ]
        _run_all(runs)
        proofs += [proof for run in runs for proof in run.proofs]
    return proofs


def _run_all(runs: Sequence[_Run]) -> None:
    of = {lane: run for run in runs for lane in run.lanes}

    def told(work: lanes.Work, cell: Any) -> None:
        _stop_if_interrupted()
        of[work.lane].ran(work.lane, cell)

    lanes.run_all([work for run in runs for work in run.works()], told)
    for run in runs:
        lanes.number(run.content.cells)


def _second(wanted: Sequence[Claim], *, together: bool) -> set[str]:
    """Return the claims that are proved in a second kernel.

    Where chapters are run `together`, so are those in a cluster: a chapter has few of them, and
    they wait for others while the first kernel builds.
    """
    in_cluster = {claim.id for claim in wanted if claim.needs_cluster}
    beside = {claim.id for claim in wanted if claim.beside}
    return beside | in_cluster if together and len(in_cluster) < len(wanted) else beside


def _batches(chosen: Sequence[Chosen]) -> list[list[Chosen]]:
    """Return what is run together, in order: a chapter that keeps all cores busy is by itself."""
    batches: list[list[Chosen]] = [[]]
    for one in chosen:
        if any(claim.alone for claim in proved_in(*one)):
            batches += [[one], []]
        else:
            batches[-1].append(one)
    return [batch for batch in batches if batch]


def _is_left_out(cell: Any) -> bool:
    """Tell whether a cell is that of a claim that is left out, for want of a cluster."""
    of = cell.metadata.get("claim")
    return of is not None and cluster.is_left_out() and claims.get(of).needs_cluster


def _environment(run: str, exchanged: bool) -> dict[str, str]:
    return {
        **os.environ,
        RUN_VARIABLE: run,
        TEETH_VARIABLE: "1" if exchanged else "0",
        "PYTHONPATH": os.pathsep.join([str(LABS), os.environ.get("PYTHONPATH", "")]),
    }


def _proofs(cell: Any) -> Iterator[Proof]:
    for output in cell.outputs:
        record = output.get("data", {}).get(MIME)
        if record is not None:
            verdict = Verdict(record["verdict"])
            claim = claims.get(record["id"])
            yield Proof(claim, verdict, record["reason"], record, record["seconds"])


def line(proof: Proof) -> str:
    """Return a claim's line of the table: id, verdict, and the deciding figure of both arms."""
    bad, good = (_deciding(proof, arm) for arm in ("bad", "good"))
    return f"{proof.claim.id:<4} {proof.verdict:<22} {bad:<32} {good:<32} {proof.seconds:5.1f} s"


def _deciding(proof: Proof, arm: str) -> str:
    figures = proof.record.get("arms", {}).get(arm, {})
    told = [
        figure_text(figures[name], figure.unit)
        for name, figure in proof.claim.figures.items()
        if name in figures
    ]
    return ", ".join(told[:2])


HEADER = f"{'ID':<4} {'verdict':<22} {'bad':<32} {'good':<32} {'time':>7}"


def labs(words: Sequence[str], *, junit: Path | None) -> int:
    """Prove the claims that are chosen and return how many do not hold."""
    print(HEADER)
    proofs = run_notebooks(select(words), told=_tell)
    return _finish([(p, p.fault) for p in proofs], junit, "labs")


def series(words: Sequence[str], repeat: int, junit: Path | None) -> int:
    """Prove the chosen claims many times over and return how many rounds of a claim failed.

    What is done is kept after each round, so that an interrupted series goes on where it stopped;
    a change of what decides the results begins it anew.
    """
    chosen = select(words)
    decided = {str(notebook): claims.decides(notebook) for notebook, _ in chosen}
    kept = REPORTS / f"repeat-{'-'.join(words) or 'all'}.json"
    state = _read_series(kept, decided)
    if state["rounds"]:
        say(f"Going on after {state['rounds']} of {repeat} rounds.")
    print(HEADER)
    while state["rounds"] < repeat:
        for notebook, only in chosen:
            for proof in run_notebook(notebook, only, told=_tell)[0]:
                state["verdicts"].setdefault(proof.claim.id, []).append(str(proof.verdict))
        state["rounds"] += 1
        REPORTS.mkdir(exist_ok=True)
        kept.write_text(json.dumps(state), encoding="utf-8")
    kept.unlink(missing_ok=True)
    rounds = [
        Proof(claims.get(name), Verdict(verdict), f"round {number}: {verdict}", {}, 0.0)
        for name, verdicts in state["verdicts"].items()
        for number, verdict in enumerate(verdicts, start=1)
    ]
    for name, verdicts in state["verdicts"].items():
        print(f"{name:<4} held {verdicts.count(Verdict.HOLDS)} times of {len(verdicts)}")
    return _finish([(p, p.fault) for p in rounds], junit, "series")


def _read_series(kept: Path, decided: Mapping[str, str]) -> dict[str, Any]:
    fresh: dict[str, Any] = {"decides": dict(decided), "rounds": 0, "verdicts": {}}
    try:
        state: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return fresh
    return state if state.get("decides") == fresh["decides"] else fresh


def teeth(words: Sequence[str], *, junit: Path | None) -> int:
    """Exchange the arms of the chosen claims; return how many do not fail for their own reason."""
    print(HEADER)
    proofs = run_notebooks(select(words), exchanged=True, told=_tell_teeth)
    return _finish([(proof, toothless(proof)) for proof in proofs], junit, "teeth")


def toothless(proof: Proof) -> str:
    """Return why an exchange of its arms did not refute a claim; empty where it did."""
    if proof.skipped:
        return ""
    if proof.verdict is not Verdict.DOES_NOT_HOLD:
        return f"with its arms exchanged, the claim “{proof.verdict}”. {proof.reason}"
    judgement = claims.judge(proof.claim, proof.record["arms"])
    return " ".join(claims.toothless(proof.claim, judgement))


def _tell(proof: Proof) -> None:
    print(line(proof), flush=True)
    if not proof.passed:
        print(f"     {proof.reason}", flush=True)


def _tell_teeth(proof: Proof) -> None:
    print(line(proof), flush=True)
    told = proof.reason if proof.skipped else f"fails as it should: {proof.reason}"
    print(f"     {toothless(proof) or told}", flush=True)


def _finish(judged: Sequence[tuple[Proof, str]], junit: Path | None, suite: str) -> int:
    failed = sum(bool(why) for _, why in judged)
    skipped = sum(proof.skipped for proof, _ in judged)
    if junit is not None:
        _write_junit(judged, junit, suite)
    told = f", {skipped} not applicable" if skipped else ""
    print(f"{len(judged) - failed - skipped} passed, {failed} failed{told}", flush=True)
    return failed


def _write_junit(judged: Sequence[tuple[Proof, str]], path: Path, suite: str) -> None:
    from xml.etree import ElementTree as ET

    failed = str(sum(bool(why) for _, why in judged))
    root = ET.Element("testsuite", name=suite, tests=str(len(judged)), failures=failed)
    if skipped := sum(proof.skipped for proof, _ in judged):
        root.set("skipped", str(skipped))
    for proof, why in judged:
        case = ET.SubElement(
            root,
            "testcase",
            classname=proof.claim.chapter,
            name=proof.claim.id,
            time=f"{proof.seconds:.1f}",
        )
        if why:
            ET.SubElement(case, "failure", message=why)
        elif proof.skipped:
            ET.SubElement(case, "skipped", message=proof.reason)
        ET.SubElement(case, "system-out").text = json.dumps(proof.record)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def record(words: Sequence[str]) -> int:
    """Run whole notebooks and write them back with their outputs, after a clean run only.

    Returns the number of notebooks that were left as they were.
    """
    kept = 0
    for notebook in dict.fromkeys(lab for lab, _ in select(words)):
        began = time.monotonic()
        say(f"Recording {notebook.name} …")
        proofs, content = run_notebook(notebook, told=_tell)
        seconds = time.monotonic() - began
        faults = [f"{p.claim.id}: {p.reason}" for p in proofs if not p.passed]
        faults += [text for cell in content.cells for text in _unclean(cell)]
        if faults:
            kept += 1
            say(f"{notebook.name} is left as it was: " + " ".join(faults))
            continue
        _write_back(notebook, content, proofs, seconds)
        say(f"Recorded {notebook.name} in {seconds:.0f} s.")
    readme.refresh()  # at the end: it quotes several labs
    return kept


def _unclean(cell: Any) -> Iterator[str]:
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            yield f"A cell ended in {output.ename}: {output.evalue}"
        elif output.output_type == "stream" and output.name == "stderr":
            yield f"A cell wrote to stderr: {output.text.strip()[:300]}"


def _write_back(notebook: Path, content: Any, proofs: Sequence[Proof], seconds: float) -> None:
    import nbformat

    for cell in content.cells:
        cell.metadata.pop("execution", None)
    content.metadata.pop("widgets", None)
    content.metadata["language_info"] = {"name": "python"}
    content.metadata["proving"] = {
        "recorded_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(seconds, 1),
        "environment": _common_environment(proofs),
    }
    fresh = notebook.with_suffix(".recording")
    nbformat.write(content, fresh)
    whole = json.loads(fresh.read_text(encoding="utf-8"))
    whole["metadata"]["proving"] |= {
        "decides": claims.decides(notebook),
        "outputs": recorded.outputs_hash(whole),
    }
    text = json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(notebook)


def _common_environment(proofs: Sequence[Proof]) -> dict[str, Any]:
    environments = [proof.record["environment"] for proof in proofs]
    bases = {role: base for told in environments for role, base in told["bases"].items()}
    joined = next((told["cluster"] for told in environments if "cluster" in told), None)
    return {**environments[0], "bases": bases, **({"cluster": joined} if joined else {})}


_interrupted = threading.Event()


def _note_interrupt() -> None:
    _interrupted.set()
    # how the tasks end that the interrupt has left behind is no news
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def _stop_if_interrupted() -> None:
    """Raise again what a callback of another library may have swallowed."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of times: give 1 or more")
    return int(text)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; the first word is the session by which the labs are run."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    session = next((word for word in words[:1] if word in SESSIONS), "")
    told = "[-h] [--repeat N] [--junit FILE] [09|P1 ...]"
    parser = argparse.ArgumentParser(
        prog=f"nox -s {session} --" if session else "python -m proving.prove",
        usage=f"%(prog)s {told}" if session else f"%(prog)s {{{','.join(SESSIONS)}}} {told}",
        description=SESSIONS.get(session, "Run the labs of the guide."),
    )
    parser.add_argument("what", choices=tuple(SESSIONS), help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", metavar="09|P1", help="a chapter or a claim")
    parser.add_argument("--repeat", type=_count, default=1, metavar="N", help="prove N times")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    options = parser.parse_intermixed_args(words)
    if options.repeat > 1 and options.what != "labs":
        parser.error(f"--repeat goes with labs, not with {options.what}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the labs as the command line says; return the exit status."""
    options = _options(arguments)

    def run() -> int:
        engine.find()
        with cluster.for_run(engine.find, needs_cluster(options.words)):
            if options.what == "record":
                return record(options.words)
            if options.what == "teeth":
                return teeth(options.words, junit=options.junit)
            if options.repeat > 1:
                return series(options.words, options.repeat, options.junit)
            return labs(options.words, junit=options.junit)

    return in_order(run)


def in_order(run: Callable[[], int]) -> int:
    """Run labs, which return how many failed, so that they end in a sentence and leave nothing.

    Returns the exit status: 1 where any failed, 2 for an error, 130 for a Ctrl-C.
    """
    with ending_in_order(note=_note_interrupt):
        try:
            return min(run(), 1)
        except ProvingError as error:
            print(f"\n{error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("\nStopped; nothing is left on the engine.", file=sys.stderr)
            return 130
        finally:
            _interrupted.clear()


if __name__ == "__main__":
    sys.exit(main())
