"""What an image has to build software with: compilers, linkers, headers, package managers.

A file is not taken for a compiler because of its name: every program of the image is asked what it
is. Nothing is known of what is asked so, and among a distribution's programs are some that end all
processes. So they run one after the other, as nobody, without network and capabilities, on a
read-only file system, and not for long.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ContainerError, CouldNotMeasure
from .qualities import TEMPORARY
from .spans import span

if TYPE_CHECKING:
    from .image import Image
    from .lab import Lab

COMPILER, LINKER, PACKAGE_MANAGER = "compiler", "linker", "package manager"

ANSWER_SECONDS = 5
"""How long a program may take to say what it is."""

IDLE = {"unix_chkpwd", "unix_update"}
"""PAM's helpers refuse to say, and wait for ten seconds before they end: one is enough."""

ALL_SECONDS = 120
"""How long all programs of an image may take together."""

MOST_ONE_BY_ONE = 40
"""How many programs are asked in containers of their own, where the image has no shell."""

CAGE: Mapping[str, Any] = {
    "user": "65534:65534",
    "network_mode": "none",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "read_only": True,
    **TEMPORARY,
    "pids_limit": 128,
    "mem_limit": "512m",
}
"""Options of `docker run` for what nobody vouches for."""

_SAYS: Mapping[str, Sequence[str]] = {
    COMPILER: (
        # the GNU drivers print the name by which they were called, then the version, then whose
        # it is; the compilers behind them name the language
        r"\S*(gcc|g\+\+|cc|c\+\+|cpp|gfortran|gnat\S*|gdc|gccgo)(-\d+)? \(.*\) \d[\s\S]*"
        r"Free Software Foundation",
        r"GNU (C|C\+\+|Fortran|Ada|D|Go|Objective-C)\d* \(.*\) version \d",
        r"GNU assembler ",
        r"(.* )?clang version \d",
        r"rustc \d",
        r"go version go\d",
        r"javac \d",
        r"tcc version \d",
        r"ghc|The Glorious Glasgow Haskell",
        r"NASM version \d",
    ),
    LINKER: (r"GNU (ld|gold) ", r"(.* )?LLD \d", r"mold \d", r"collect2 version \d"),
    PACKAGE_MANAGER: (
        r"apt \d",
        r"aptitude \d",
        r"Debian '?dpkg",
        r"apk-tools \d",
        r"RPM version \d",
        r"(micro)?dnf5? (version )?\d",
        r"zypper \d",
        r"[\s\S]*\bPacman v\d",
        r"pip \d\S* from ",
        r"uv \d",
        r"conda \d",
        r"cargo \d",
        r"Homebrew \d",
    ),
}
"""What an answer begins with, by what gives it; the C preprocessor and assembler are compilers."""

_NAMELESS = re.compile(r"(npm|yarn|gem)(-cli)?(\.c?js)?")
"""The package managers that tell their versions and not their names."""

_QUESTIONS: Mapping[str, str] = {
    r"go": "version",
    r"tcc": "-v",
    r"cc1\w*|lto1|f951|gnat1|d21|go1": "-version",
}
"""What those are asked that do not know `--version`, by their names."""

_NO_PROGRAM = re.compile(r"^(etc|var|usr/share)/|/python\d[^/]*/|\.so(\.|$)")
"""Where executable files are none: settings, scripts of packages, modules, shared libraries."""

_HEADER = re.compile(r"\.(h|hh|hpp|hxx)$|/include/c\+\+/")

_ASK = r"""
mark=$1; shift
timeout -s KILL 5 true || exit 1
while [ $# -gt 2 ]; do
  echo "$mark $1"
  timeout -s KILL "$3" "$1" "$2" </dev/null 2>&1 | head -c 400
  echo
  shift 3
done
echo "$mark"
"""
"""For the shell of the image, whose place as PID 1 protects it from all that it starts."""


@dataclass(frozen=True)
class Tools:
    """What an image has to build with, by the paths of regular files; links are not counted.

    `asked` are all programs that were asked, and `answered` those that said anything.
    """

    asked: tuple[str, ...]
    answered: tuple[str, ...]
    compilers: tuple[str, ...]
    linkers: tuple[str, ...]
    package_managers: tuple[str, ...]
    headers: tuple[str, ...]

    def as_data(self) -> dict[str, list[str]]:
        """Return what a result tells of the executables: the last parts of their paths."""
        return {
            "compilers": names(self.compilers),
            "linkers": names(self.linkers),
            "package_managers": names(self.package_managers),
        }


def names(paths: Iterable[str]) -> list[str]:
    """Return the last part of each path, each once, in order."""
    return sorted({path.rpartition("/")[2] for path in paths})


def look(lab: Lab, image: Image) -> Tools:
    """Look for the tools in an image, by asking each of its programs.

    Raises:
        CouldNotMeasure: they cannot be asked.
    """
    contents = image.contents
    asked = answers(lab, image, programs(contents.executables))
    found = {path: kind(path, told) for path, told in asked.items()}

    def of(wanted: str) -> tuple[str, ...]:
        return tuple(path for path, what in found.items() if what == wanted)

    headers = tuple(path for path in contents.files if _HEADER.search(path))
    answered = tuple(path for path, told in asked.items() if told.strip())
    return Tools(tuple(asked), answered, of(COMPILER), of(LINKER), of(PACKAGE_MANAGER), headers)


def kind(path: str, told: str) -> str:
    """Return what an executable says that it is, or nothing where it is none of the kinds."""
    lines = told.lstrip()
    if _NAMELESS.fullmatch(path.rpartition("/")[2]) and re.match(r"\d+\.\d+", lines):
        return PACKAGE_MANAGER
    return next(
        (
            what
            for what, patterns in _SAYS.items()
            if any(re.match(pattern, lines) for pattern in patterns)
        ),
        "",
    )


def question(path: str) -> str:
    """Return the argument by which a program is asked what it is."""
    name = path.rpartition("/")[2]
    found = (asked for pattern, asked in _QUESTIONS.items() if re.fullmatch(pattern, name))
    return next(found, "--version")


def programs(executables: Iterable[str]) -> tuple[str, ...]:
    """Return those executables that may be programs: all but where it is known that none are."""
    return tuple(path for path in executables if not _NO_PROGRAM.search(path))


def seconds(path: str) -> int:
    """Return how long a program may take to say what it is."""
    return 1 if path.rpartition("/")[2] in IDLE else ANSWER_SECONDS


def answers(lab: Lab, image: Image, paths: Sequence[str]) -> dict[str, str]:
    """Return what each program of an image says of itself, by its path.

    The image's own shell asks them, where it has one and the program `timeout`; elsewhere each is
    started in a container of its own.

    Raises:
        CouldNotMeasure: they are too many for that, or do not come to an end.
    """
    if not paths:
        return {}
    with span("toolchain", image.name):
        told = _answers_by_shell(lab, image, paths)
        if told is not None:
            return told
        if len(paths) > MOST_ONE_BY_ONE:
            raise CouldNotMeasure(
                f"{image.name} has {len(paths)} programs, and no shell with the program "
                f"`timeout` to ask them; more than {MOST_ONE_BY_ONE} are not asked one by one."
            )
        return {path: _answer(lab, image, path) for path in paths}


def _answers_by_shell(lab: Lab, image: Image, paths: Sequence[str]) -> dict[str, str] | None:
    mark = secrets.token_hex(8)
    words = (word for path in paths for word in (f"/{path}", question(path), str(seconds(path))))
    command = ["-c", _ASK, "sh", mark, *words]
    try:
        told = _run(lab, image, "sh", command, ALL_SECONDS)
    except ContainerError:  # there is no shell
        return None
    found = parse_answers(told, mark)
    if found is None and f"{mark} " in told:
        raise CouldNotMeasure(f"The programs of {image.name} did not all answer.")
    return found


def parse_answers(told: str, mark: str) -> dict[str, str] | None:
    """Return the answers by their paths, or None where the end of them is missing."""
    told = told.replace("\r", "")
    parted = re.split(rf"^{mark}(?: /(.*))?\n", told, flags=re.MULTILINE)[1:]
    if parted[-2:] != [None, ""]:
        return None
    return dict(zip(parted[:-2:2], parted[1::2], strict=False))


def _answer(lab: Lab, image: Image, path: str) -> str:
    try:
        return _run(lab, image, f"/{path}", [question(path)], seconds(path))
    except ContainerError:  # it cannot be executed, not by nobody perhaps
        return ""


def _run(lab: Lab, image: Image, entrypoint: str, command: list[str], limit_seconds: int) -> str:
    """Return what a program of an image prints until it ends, or until its time is over."""
    options = {**CAGE, "entrypoint": [entrypoint]}
    with lab.start(image, command=command, options=options) as cage:
        until = time.monotonic() + limit_seconds
        while cage.state().status == "running" and time.monotonic() < until:
            time.sleep(0.05)
        return cage.log_text()
