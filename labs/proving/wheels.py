"""The wheels of a requirements file, fetched once by pip, so that a lab's builds need no network.

They are those for the interpreter of the base in the role PYTHON, on the engine's architecture, and
not those for the interpreter here.
pip's settings are the reader's own: where it looks for wheels is not this package's business.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import system
from .errors import ProvingError
from .paths import STATE
from .system import Say, say

SUMS = "SHA256SUMS"
"""The file beside the wheels that tells their SHA-256 digests, in the form of sha256sum(1)."""

GLIBC_MINORS = range(17, 37)
"""The versions 2.x of glibc whose wheels run on the PYTHON base: PEP 599 to Debian 12's."""

MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "arm": "armv7l"}
"""The names of architectures in wheels' names, by their OCI names."""

ONLY_WHEELS = "--only-binary=:all:"
"""The option by which pip takes no sources: those it would have to build."""


def ready(requirements: Path, architecture: str, tell: Say = say) -> Path:
    """Return the folder with the wheels of a requirements file and of all that they need.

    `architecture` is the engine's, by its OCI name.
    The folder is named by what was asked for (the requirements without their comments, the Python,
    the platforms): where it is there and whole, nothing is downloaded.
    Environment markers are judged by the Python here, as `pip download` does.

    Raises:
        ProvingError: a wheel cannot be had; the sentence says what to do.
    """
    text = requirements.read_text(encoding="utf-8")
    options = _options(architecture)
    folder = STATE / "wheels" / _name(text, options)
    with system.lock(STATE / "wheels.lock"):
        if not _is_whole(folder):
            tell(f"Fetching the wheels of {requirements.name} with pip, once …")
            _download(requirements, options, folder)
    return folder


def by_project(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each wheel of a folder with its project's name as an index spells it (PEP 503)."""
    for wheel in sorted(folder.glob("*.whl")):
        yield normalised(wheel.name.partition("-")[0]), wheel


def normalised(project: str) -> str:
    """Return a project's name in the form that an index uses in its addresses (PEP 503)."""
    return re.sub(r"[-_.]+", "-", project).lower()


def python_version() -> str:
    """Return the version of Python, such as 3.13, that the role PYTHON promises."""
    from .bases import ROLES

    match = re.search(r":(\d+\.\d+)", ROLES["PYTHON"].public)
    assert match is not None  # noqa: S101 - the role's public image names it
    return match[1]


def options_for(python: str, architecture: str, glibc_minors: Iterable[int]) -> list[str]:
    """Return the options by which pip takes wheels for another machine, which runs Linux.

    It has this version of CPython, and one of these versions 2.x of glibc.
    """
    machine = MACHINES.get(architecture, architecture)
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in glibc_minors]
    return [
        ONLY_WHEELS,
        "--implementation=cp",
        f"--python-version={python}",
        *(f"--platform={platform}" for platform in (*platforms, f"manylinux2014_{machine}")),
    ]


def _options(architecture: str) -> list[str]:
    return options_for(python_version(), architecture, GLIBC_MINORS)


def _name(requirements: str, options: list[str]) -> str:
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in requirements.splitlines())
    told = [*sorted(line for line in lines if line), *options]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def _is_whole(folder: Path) -> bool:
    sums = folder / SUMS
    return sums.is_file() and sums.read_text(encoding="utf-8") == _sums(folder)


def _sums(folder: Path) -> str:
    return "".join(
        f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n"
        for wheel in sorted(folder.glob("*.whl"))
    )


def _download(requirements: Path, options: list[str], folder: Path) -> None:
    import shutil

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        fetched = Path(temporary, folder.name)
        command = [sys.executable, "-m", "pip", "download", "--quiet", *options]
        command += [f"--dest={fetched}", f"--requirement={requirements}"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise ProvingError(
                f"The wheels of {requirements.name} cannot be had: `pip download` ended with exit "
                f"status {ended.returncode}. They are needed once, and kept in {folder.parent}. "
                "Run the same command again where pip reaches its index, or name a folder that has "
                "the wheels by the environment variable PIP_FIND_LINKS (with PIP_NO_INDEX=1). "
                f"pip says:\n{system.last_lines(ended.stderr or ended.stdout)}"
            )
        (fetched / SUMS).write_text(_sums(fetched), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        fetched.rename(folder)
