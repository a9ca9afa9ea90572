"""Which Debian packages the Dockerfiles of labs install, and on which base."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import bases, claims, node, packages, prove, registry
from ..bases import ROLES
from ..paths import LABS

_JOINED = re.compile(r"\\[ \t]*\n(?:[ \t]*(?:#.*)?\n)*")
_INSTRUCTION = re.compile(r"^\s*(FROM|ARG|RUN)\s+(.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_NOT_HERE = ("apps/kubernetes", "engines", "bases")
"""Folders of images whose results a kit has itself, or that belong to no lab."""

ALWAYS = (packages.DOCKERFILE, registry.DOCKERFILE, node.DOCKERFILE)
"""The servers that labs start beside their arms."""

_PARENT = "PARENT"
"""By which argument a child of several services' common parent names it."""


@dataclass(frozen=True, order=True)
class Install:
    """What one `apt-get install` asks for: the base's role, apt's options, the packages."""

    role: str
    options: tuple[str, ...]
    names: tuple[str, ...]


def installs_in(dockerfile: str, parent: str = "") -> tuple[Install, ...]:
    """Return what a Dockerfile installs from Debian, in its order.

    A base that is called PARENT stands on the role `parent`, if that is known. What the labs' own
    package server serves is not among it.
    """
    roles: dict[str, str] = {_PARENT: parent}
    arguments: dict[str, str] = {}
    role, found = "", []
    for kind, text in _INSTRUCTION.findall(_JOINED.sub(" ", dockerfile)):
        if kind.upper() == "ARG":
            name, _, value = text.partition("=")
            arguments[name] = " ".join(shlex.split(value))
        elif kind.upper() == "FROM":
            words = [word for word in text.split() if not word.startswith("--")]
            named = words[0].strip("${}")
            role = named if named in ROLES else roles.get(named, "")
            roles[words[-1]] = role
        else:
            found += [Install(role, *asked) for asked in _asked(text, arguments)]
    return tuple(one for one in found if one.role and not set(one.names) & set(packages.PACKAGES))


def _asked(
    command: str, arguments: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    told = _VARIABLE.sub(lambda match: arguments.get(match[1], match[0]), command)
    for part in re.split(r"&&|\|\||[;|]", told):
        match = re.search(r"\bapt-get\s(?:.*\s)?install\s+(.+)", part)
        if match:
            words = shlex.split(match[1])
            options = tuple(sorted({word for word in words if word.startswith("-")} - {"-y"}))
            yield options, tuple(word for word in words if not word.startswith("-"))


def installs_of(file: Path) -> tuple[Install, ...]:
    """Return what a Dockerfile installs; one in the folder above it may be that of its parent."""
    above = file.parents[1] / "Dockerfile"
    roles = bases.roles_in(above) if above.is_file() else []
    return installs_in(file.read_text(encoding="utf-8"), roles[-1] if roles else "")


def chapters() -> tuple[str, ...]:
    """Return the chapters that have a lab, by their two digits."""
    return tuple(lab.stem[:2] for lab in prove.notebooks())


def dockerfiles(of_chapters: Iterable[str] = ()) -> tuple[Path, ...]:
    """Return the Dockerfiles that the labs of these chapters build, or those of all chapters."""
    wanted = set(of_chapters) or set(chapters())
    files = {claims.IMAGES / name for name in ALWAYS}
    for claim in claims.load().values():
        if claim.chapter[:2] in wanted:
            listed = claims.contexts(claim.folder, also=claim.uses)
            files |= {file for file in listed if file.name == "Dockerfile"}
            files |= set((claims.IMAGES / claim.folder).rglob("Dockerfile"))
    for folder in (LABS / "exercises").iterdir():
        if folder.name[:2] in wanted:
            files |= set(folder.rglob("Dockerfile"))
    left_out = {claims.IMAGES / name for name in _NOT_HERE}
    return tuple(sorted(file for file in files if not left_out & set(file.parents)))


def of(files: Iterable[Path]) -> tuple[Install, ...]:
    """Return what Dockerfiles install, each once."""
    return tuple(sorted({one for file in files for one in installs_of(file)}))
