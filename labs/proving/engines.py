"""The labs on newer engines with another image store, each nested in a container of this one.

An engine is an image of `labs/images/engines`: a distribution's Docker with the containerd store.
It gets capabilities instead of `--privileged`, its bases through the two engines' APIs instead of
a registry, and is gone afterwards with all that the labs have left in it.
It has no cluster: claims that are proved in one are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from . import (
    bases,
    claims,
    cluster,
    engine,
    leftovers,
    prepare,
    prove,
    recorded,
    recorded_engines,
    watchdog,
)
from .bases import Base
from .claims import Arms, Verdict
from .engine import Description, Engine
from .errors import EngineError, ProvingError
from .lab import RUN_VARIABLE
from .paths import LABS
from .progress import Progress
from .recorded import Record
from .recorded_engines import ChapterThere, ClaimThere, RecordedEngine
from .system import last_lines, say

if TYPE_CHECKING:
    from docker.models.containers import Container

    from .image import Image

ENGINES = {"trixie": "Debian 13's Docker", "sid": "the Docker of Debian's unstable"}
"""The engines that can be had, and what they are, by the names of their folders."""

CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "MKNOD", "SYS_PTRACE")
UNCONFINED = ("seccomp=unconfined", "apparmor=unconfined")
DATA = "/var/lib/docker"
PORT = 2375
START_SECONDS = 60.0
ROUTED_SECONDS = 10.0
ENDING_SECONDS = 12.0
_LISTENS = "API listen on"
_ELSEWHERE = ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", RUN_VARIABLE)
_RUNS = ("labs", "teeth")


@dataclass(frozen=True)
class Result:
    """What a claim came to on an engine.

    `toothless` says why an exchange of its arms did not refute it, and is empty where it did.
    """

    verdict: Verdict
    reason: str
    arms: Arms
    toothless: str

    @property
    def fault(self) -> str:
        """Why this is a failure; empty where it is none."""
        if self.verdict is Verdict.NOT_APPLICABLE:
            return ""
        if self.verdict is not Verdict.HOLDS:
            return self.reason
        return self.toothless


@dataclass(frozen=True)
class Trial:
    """An engine and what the claims came to on it.

    Without a description it could not be tried, and `trouble` says why.
    With one, `trouble` says what broke while the labs ran.
    """

    name: str
    description: Description | None = None
    results: Mapping[str, Result] | None = None
    trouble: str = ""
    reports: tuple[Path, ...] = ()
    seconds: float = 0.0

    @property
    def tried(self) -> bool:
        """Whether the labs ran on it at all."""
        return self.description is not None

    def with_chapter(self, other: Trial) -> Trial:
        """Return this trial with what a chapter came to on the same engine."""
        return replace(
            self,
            results={**(self.results or {}), **(other.results or {})},
            trouble=f"{self.trouble} {other.trouble}".strip(),
            reports=(*self.reports, *other.reports),
            seconds=self.seconds + other.seconds,
        )

    @property
    def clean(self) -> bool:
        """Whether it was tried, nothing broke, and every claim of it holds and has teeth."""
        return self.tried and not list(faults(self))


Keep = Callable[[Trial, str], None]
"""What is done with what a lab, by its slug, came to on an engine."""


def _keep_nothing(_trial: Trial, _slug: str) -> None:
    """Keep no record."""


def faults(trial: Trial) -> Iterator[str]:
    """Return what is no pass of a trial, a sentence each."""
    if trial.tried and trial.trouble:
        yield f"{trial.name}: {trial.trouble}"
    for claim, result in (trial.results or {}).items():
        if result.fault:
            yield f"{claim} on {trial.name}: {result.verdict}. {result.fault}"


def choose(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the engines that the words name, or all of them, and the words that name claims.

    Raises:
        ProvingError: a word names neither an engine nor a chapter nor a claim, or all that is
            named needs a cluster.
    """
    named = [name for name in ENGINES if name in words]
    rest = [word for word in words if word not in ENGINES]
    try:
        prove.select(rest)
    except ProvingError as error:
        raise ProvingError(f"{error} The engines are: {', '.join(ENGINES)}.") from None
    if not by_chapter(rest):
        raise ProvingError("Nested engines have no cluster, and what was named is proved in one.")
    return named or list(ENGINES), rest


def try_out(outer: Engine, name: str, words: Sequence[str], keep: Keep = _keep_nothing) -> Trial:
    """Prove the claims and their teeth on an engine nested in a container of `outer`.

    They are proved chapter by chapter, and what each came to is given to `keep` at once: a fault
    in one of them, or an interruption, does not lose the others.
    """
    from docker.errors import DockerException

    began = time.monotonic()
    try:
        with _run_on(outer) as run, engine.talking_to(outer):
            ready = bases.ready(outer, prepare.roles_of_labs())
            image = _image(outer, name, run, ready["SLIM"])
            with nested(outer, image, run) as inner:
                _load(outer, inner, ready.values())
                told = inner.description
                say(f"{name}: {words_for(told)}, ready in {time.monotonic() - began:.0f} s.")
                return _proved(inner, name, told, words, keep)
    except ProvingError as error:
        return Trial(name, trouble=str(error))
    except DockerException as error:
        reason = getattr(error, "explanation", None) or error
        return Trial(name, trouble=f"The engine at {outer.url} refused: {reason}")


@contextmanager
def _run_on(outer: Engine) -> Iterator[str]:
    """Have a run on an engine, and nothing of it there afterwards, however it ends."""
    run = uuid.uuid4().hex[:12]
    dog = watchdog.start(outer, run)
    try:
        yield run
    finally:
        with suppress(Exception):  # an engine that is gone holds nothing of ours
            leftovers.remove(outer.docker, run)
        dog.dismiss()


def _image(outer: Engine, name: str, run: str, slim: Base) -> Image:
    from .image import Image

    with Progress(ENGINES[name]) as progress:
        image = Image(
            outer,
            claims.IMAGES,
            tag=leftovers.image_name(run, f"engine-{name}"),
            dockerfile_path=f"engines/{name}/Dockerfile",
            arguments={slim.role: slim.reference},
            environment={watchdog.BUILD_VARIABLE: run},
            on_line=progress.line,
        )
        image.takes_packages_from_kit = False  # a kit has none for these
        image.build()
        progress.built(image.steps)
    return image


@contextmanager
def nested(outer: Engine, image: Image, run: str) -> Iterator[Engine]:
    """Run an engine in a container, its data in a volume: an overlay does not go onto another.

    Raises:
        EngineError: it does not start, or is not reached from here.
    """
    volume = outer.docker.volumes.create(labels=leftovers.label(run))
    container = outer.docker.containers.run(
        image.id,
        detach=True,
        cap_add=list(CAPABILITIES),
        security_opt=list(UNCONFINED),
        volumes={volume.name: {"bind": DATA, "mode": "rw"}},
        labels=leftovers.label(run),
    )
    try:
        yield _answering(container)
    finally:
        container.remove(force=True, v=True)
        volume.remove()


def _answering(container: Container) -> Engine:
    """Wait for the engine within a container to answer at the container's own address.

    Not at a published port: the labs reach ports of nested containers at their engine's address.
    """
    began = time.monotonic()
    listens_since = None
    while True:
        container.reload()
        log = container.logs(tail=100).decode(errors="replace")
        if container.status != "running":
            raise EngineError(f"It did not start. The end of its log:\n{last_lines(log)}")
        inner = Engine(f"tcp://{_address(container)}:{PORT}", "nested in a container")
        if _answers(inner):
            return inner
        now = time.monotonic()
        if _LISTENS in log:
            listens_since = listens_since or now
            if now - listens_since > ROUTED_SECONDS:
                raise EngineError(
                    f"It runs, and its address {inner.host} is not reached from here. Docker "
                    "Desktop, colima and remote engines keep their bridge to themselves: run this "
                    "on the Linux machine on which the engine itself runs."
                )
        elif now - began > START_SECONDS:
            raise EngineError(
                f"It did not answer within {START_SECONDS:.0f} s. The end of its log:\n"
                f"{last_lines(log)}"
            )
        time.sleep(0.2)


def _address(container: Container) -> str:
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    return next((network["IPAddress"] for network in networks if network["IPAddress"]), "")


def _answers(inner: Engine) -> bool:
    from docker.errors import DockerException

    try:
        client = inner.connect(timeout_seconds=2)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False


def _load(outer: Engine, inner: Engine, ready: Iterable[Base]) -> None:
    """Stream the bases from one engine to another, under the names that they have."""
    with engine.talking_to(inner):
        for base in ready:
            archive = outer.docker.api.get_image(base.reference)
            for told in inner.docker.api.load_image(archive) or ():
                if "error" in told:
                    raise EngineError(f"It does not take {base.reference}: {told['error']}")


def by_chapter(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the words for the runner, by the lab that they are about: itself, or claims of it.

    A lab of which nothing is proved in this run, for want of a cluster, is not among them.
    """
    chosen: dict[str, list[str]] = {}
    for notebook, only in prove.select(words):
        if prove.proved_in(notebook, only):
            chosen.setdefault(notebook.stem, []).append(only or notebook.stem)
    return {slug: [slug] if slug in told else told for slug, told in chosen.items()}


def _proved(inner: Engine, name: str, told: Description, words: Sequence[str], keep: Keep) -> Trial:
    """Prove the chapters that are chosen, one after the other, and return what all came to."""
    whole = Trial(name, told, {})
    for slug, chosen in by_chapter(words).items():
        one = _proved_chapter(inner, name, told, slug, chosen)
        keep(one, slug)
        whole = whole.with_chapter(one)
    return whole


def _proved_chapter(
    inner: Engine, name: str, told: Description, slug: str, words: Sequence[str]
) -> Trial:
    """Run a lab, then its teeth, each in a process that knows only the nested engine."""
    began = time.monotonic()
    trouble, reports = [], []
    for what in _RUNS:
        report = _report(name, slug, what)
        report.unlink(missing_ok=True)
        print(f"\n{name}, {words_for(told)}: {what} of {slug}", flush=True)
        status = _in_a_process([what, *words, f"--junit={report}"], inner)
        if report.exists():
            reports.append(report)
        else:
            trouble.append(f"The {what} of {slug} ended with exit status {status} and no report.")
    results = combine(*(read_report(_report(name, slug, what)) for what in _RUNS))
    seconds = time.monotonic() - began
    return Trial(name, told, results, " ".join(trouble), tuple(reports), seconds)


def _report(name: str, slug: str, what: str) -> Path:
    return prove.REPORTS / f"engines-{name}-{slug}-{what}.xml"


def _in_a_process(arguments: Sequence[str], inner: Engine) -> int:
    """Run the labs' runner to its end and return its exit status.

    It has a session of its own, so that Ctrl-C reaches it once, from here, and it can tidy up.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _ELSEWHERE}
    environment |= {"DOCKER_HOST": inner.url, "PYTHONPATH": str(LABS)}
    command = [sys.executable, "-m", "proving.prove", *arguments]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    ) as runner:
        try:
            return runner.wait()
        except BaseException:
            runner.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                runner.wait(timeout=ENDING_SECONDS)
            runner.kill()
            raise


def read_report(path: Path) -> dict[str, tuple[str, Record]]:
    """Return, by claim, why it failed (empty where it did not) and its result, from a report."""
    if not path.exists():
        return {}
    return {
        case.get("name", ""): (
            next((failure.get("message", "") for failure in case.iter("failure")), ""),
            json.loads(case.findtext("system-out") or "{}"),
        )
        for case in ET.parse(path).iter("testcase")  # noqa: S314 - we wrote it
    }


def combine(
    proved: Mapping[str, tuple[str, Record]], exchanged: Mapping[str, tuple[str, Record]]
) -> dict[str, Result]:
    """Join the reports of the labs and of their teeth; what one of them lacks is no pass."""
    results = {}
    for claim, (reason, record) in proved.items():
        toothless, _ = exchanged.get(claim, ("its arms were not exchanged", {}))
        verdict = Verdict(record.get("verdict", Verdict.COULD_NOT_BE_MEASURED))
        results[claim] = Result(verdict, reason, record.get("arms", {}), toothless)
    return results


def words_for(told: Description | Mapping[str, Any]) -> str:
    """Return an engine and its image store in a few words."""
    data = told.as_data() if isinstance(told, Description) else told
    return f"{data['engine']} {data['engine_version']}, {data['store']}"


def table(trials: Sequence[Trial], recorded_results: Mapping[str, Record]) -> str:
    """Return the verdict of each claim on each engine that was tried, beside the recorded one.

    A row whose verdicts differ ends in ≠.
    """
    tried = [trial for trial in trials if trial.tried]
    ran = {claim for trial in tried for claim in trial.results or {}}
    rows = [["claim", "recorded", *(trial.name for trial in tried)]]
    environments = [
        recorded_results[claim]["environment"] for claim in sorted(ran & recorded_results.keys())
    ]
    told = [trial.description.as_data() for trial in tried if trial.description is not None]
    for fact in ("engine_version", "store"):
        once = dict.fromkeys(str(where[fact]) for where in environments)
        rows.append(["", ", ".join(once), *(str(where[fact]) for where in told)])
    for claim in (name for name in claims.load() if name in ran):
        verdicts = [recorded_results[claim]["verdict"] if claim in recorded_results else "–"]
        results = [(trial.results or {}).get(claim) for trial in tried]
        verdicts += [str(result.verdict) if result else "–" for result in results]
        toothless = [False, *(bool(result and result.toothless) for result in results)]
        cells = [v + ", toothless" * t for v, t in zip(verdicts, toothless, strict=True)]
        rows.append([claim, *cells, "≠" * (len(set(verdicts) - {"–"}) > 1)])
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(2 + len(tried))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=False)
        ).rstrip()
        for row in rows
    )


def write_report(trials: Sequence[Trial], path: Path) -> None:
    """Write all reports as one JUnit XML; an engine that could not be tried is a skipped test."""
    root = ET.Element("testsuites")
    for trial in trials:
        for report in trial.reports:
            suite = ET.parse(report).getroot()  # noqa: S314 - we wrote it
            suite.set("name", report.stem)
            root.append(suite)
        if trial.trouble:
            kind = "error" if trial.tried else "skipped"
            count = {"errors": "1"} if trial.tried else {"skipped": "1"}
            name = f"engines-{trial.name}"
            suite = ET.SubElement(root, "testsuite", {"name": name, "tests": "1", **count})
            case = ET.SubElement(suite, "testcase", classname="engines", name=trial.name)
            ET.SubElement(case, kind, message=trial.trouble)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def with_record(
    earlier: Mapping[str, RecordedEngine], trial: Trial, slug: str, decides: str, now: datetime
) -> dict[str, RecordedEngine]:
    """Return what is recorded once a trial of a lab is; all else keeps what it has.

    Raises:
        ProvingError: the engine could not be tried.
    """
    if trial.description is None or trial.results is None:
        raise ProvingError(f"{trial.name} could not be tried: there is nothing to record.")
    there = ChapterThere(
        recorded_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        engine=trial.description.as_data(),
        decides=decides,
        claims={
            claim: ClaimThere(str(trial.results[claim].verdict), trial.results[claim].arms)
            for claim in claims.load()
            if claim in trial.results
        },
    )
    before = earlier[trial.name].chapters if trial.name in earlier else {}
    fresh = RecordedEngine(trial.name, ENGINES[trial.name], {**before, slug: there})
    merged = {**earlier, trial.name: fresh}
    return {name: merged[name] for name in ENGINES if name in merged}


def _recorder() -> Keep:
    """Return what records each lab that was proved without a fault."""
    decides = {lab.stem: claims.decides(lab, engine_alone=True) for lab in prove.notebooks()}

    def keep(trial: Trial, slug: str) -> None:
        told = f"{slug} on {trial.name}"
        wanted = {claim.id for claim in prove.proved_in(LABS / f"{slug}.ipynb", None)}
        if not trial.clean or wanted != set(trial.results or {}):
            say(f"{told} is left as it was recorded: this was no clean run.")
            return
        earlier, now = recorded_engines.load(), datetime.now(UTC)
        recorded_engines.save(with_record(earlier, trial, slug, decides[slug], now))
        say(f"Recorded {told} in {recorded_engines.FILE.name}.")

    return keep


def status_of(trials: Sequence[Trial], named: Sequence[str]) -> int:
    """Return the exit status: 0 where every claim passes on each engine that was tried.

    An engine that could not be tried is no pass: where it was asked for by name, or where none
    was tried, that is a failure.
    """
    tried = [trial for trial in trials if trial.tried]
    missing = [trial for trial in trials if not trial.tried and trial.name in named]
    return int(not tried or bool(missing) or not all(trial.clean for trial in tried))


def _tell(trials: Sequence[Trial]) -> None:
    if any(trial.tried for trial in trials):
        print(f"\n{table(trials, recorded.results(recorded.load_all(LABS).values()))}\n")
    for trial in trials:
        if trial.description is not None:
            passed = sum(not result.fault for result in (trial.results or {}).values())
            print(
                f"{trial.name}: {words_for(trial.description)}: {passed} of "
                f"{len(trial.results or {})} claims hold and have teeth ({trial.seconds:.0f} s)."
            )
        else:
            print(f"{trial.name}, {ENGINES[trial.name]}, could not be tried. {trial.trouble}")
    for trial in trials:
        for sentence in faults(trial):
            print(sentence)
    sys.stdout.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s engines --", description="Prove the labs on other engines."
    )
    names = "|".join(ENGINES)
    told = "an engine, a chapter or a claim"
    parser.add_argument("words", nargs="*", metavar=f"{names}|09|P1", help=told)
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    keep = f"keep the results of each chapter that was clean in {recorded_engines.FILE.name}"
    parser.add_argument("--record", action="store_true", help=keep)
    options = parser.parse_intermixed_args(arguments)
    if options.record and any(word.upper() in claims.load() for word in options.words):
        parser.error("--record keeps whole chapters: leave out the claims")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove the claims on the engines that the command line names; return the exit status."""
    options = _options(arguments)
    os.environ[cluster.SOURCE_VARIABLE] = cluster.NONE  # for the labs' processes, too

    def run() -> int:
        chosen, words = choose(options.words)
        keep = _recorder() if options.record else _keep_nothing
        outer = engine.find()
        trials = [try_out(outer, name, words, keep) for name in chosen]
        _tell(trials)
        if options.junit is not None:
            write_report(trials, options.junit)
        return status_of(trials, options.words)

    return prove.in_order(run)


if __name__ == "__main__":
    sys.exit(main())
