"""The files that a page shows: the arms of a claim side by side, and what a step changes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from docutils.parsers.rst import directives

from . import show, step_figures
from .claims import Claim
from .errors import ClaimsFileError
from .site_results import ProvingDirective, Results

if TYPE_CHECKING:
    from docutils.nodes import Node

_LEXERS = {
    "Dockerfile": "docker",
    ".py": "python",
    ".sh": "sh",
    "nginx.conf": "nginx",
    "apache.conf": "apacheconf",
    ".conf": "ini",
    ".yaml": "yaml",
    "": "text",
}


class ArmsDirective(ProvingDirective):
    """The files of the two arms of a claim side by side, the deciding lines marked."""

    option_spec: ClassVar = {
        "bad-lines": directives.unchanged_required,
        "good-lines": directives.unchanged_required,
        "bad-files": directives.unchanged_required,
        "good-files": directives.unchanged_required,
        "shared": directives.unchanged_required,
        "variants": directives.unchanged_required,
    }

    def show(self, results: Results, claim: Claim) -> list[Node]:
        """Return a grid of the included files, and the variants folded below it."""
        images = results.folder / "images"
        described = {"bad": claim.bad, "good": claim.good, **claim.also}
        pair = [self._column(claim, arm, described, images) for arm in show.ARMS]
        parts = [grid("1 1 2 2", pair)]
        shared = self.options.get("shared", "").split()
        if shared:
            paths = [self._found(images, claim.id, "both arms", name) for name in shared]
            shown = "\n".join(included(path, images.parent.parent) for path in paths)
            names = ", ".join(path.name for path in paths)
            parts.append(folded(f"In both arms: {names}", shown))
        variants = self.options.get("variants", "").split()
        if variants:
            columns = [self._column(claim, arm, described, images) for arm in variants]
            names = ", ".join(variants)
            parts.append(folded(f"Also measured: {names}", grid("1 1 2 2", columns)))
        return self.parse_text_to_nodes("\n\n".join(parts))

    def _column(self, claim: Claim, arm: str, described: Mapping[str, str], images: Path) -> str:
        names = self.options.get(f"{arm}-files", self._own(images, claim.id, arm)).split()
        pattern = self.options.get(f"{arm}-lines")
        marked = False
        shown = []
        for name in names:
            path = self._found(images, claim.id, arm, name)
            lines = matching(path, pattern) if pattern else []
            marked = marked or bool(lines)
            shown.append(included(path, images.parent.parent, lines))
        if pattern and not marked:
            raise ClaimsFileError(
                f"The pattern {pattern!r} matches no line of {claim.id}/{arm}: {', '.join(names)}."
            )
        what = described.get(arm.replace("-", "_"), "")
        head = f"**{show.ARMS.get(arm, '·')} {arm}** {what}"
        return f"```````{{grid-item}}\n:class: pg-files pg-{arm}\n\n{head}\n\n" + (
            "\n".join(shown) + "\n```````"
        )

    @staticmethod
    def _own(images: Path, claim_id: str, arm: str) -> str:
        """Return what an arm is described by: its manifest where it has one, or its Dockerfile."""
        manifest = f"{arm}.yaml"
        is_there = (images.parent / "manifests" / claim_id / manifest).is_file()
        return manifest if is_there else "Dockerfile"

    @staticmethod
    def _found(images: Path, claim_id: str, arm: str, name: str) -> Path:
        """Find a file beside the arm's Dockerfile, among its manifests or the shared sources."""
        manifest = images.parent / "manifests" / claim_id / name
        for path in (images / claim_id / arm / name, manifest, images / name):
            if path.is_file():
                return path
        raise ClaimsFileError(f"{claim_id}/{arm} has no file {name}, and {images.name} has none.")


def grid(columns: str, items: Sequence[str]) -> str:
    return f"````````{{grid}} {columns}\n:gutter: 3\n\n" + "\n\n".join(items) + "\n````````"


def folded(title: str, content: str) -> str:
    return f"`````````{{dropdown}} {title}\n{content}\n`````````"


def matching(path: Path, pattern: str) -> list[int]:
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ClaimsFileError(f"{pattern!r} is no regular expression: {error}.") from error
    lines = path.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, start=1) if found.search(line)]


def included(path: Path, root: Path, marked: Sequence[int] = ()) -> str:
    shown = path.relative_to(root).as_posix()
    language = next(lexer for ending, lexer in _LEXERS.items() if path.name.endswith(ending))
    options = [f":language: {language}", f":caption: {shown}"]
    if marked:
        options.append(f":emphasize-lines: {','.join(map(str, marked))}")
    return "``````{literalinclude} /" + "\n".join([shown, *options]) + "\n``````"


class StepDirective(ProvingDirective):
    """What one step changes in the files of an application: `{step-diff} A1 layers`.

    Dockerfiles stand side by side, the changed lines marked; of other files the changes alone are
    shown.
    """

    required_arguments = 2

    def show(self, results: Results, claim: Claim) -> list[Node]:
        """Return both Dockerfiles, and below them what changes in other files."""
        versions = step_figures.order(claim, ("bad", *claim.also, "good"))
        name = self.arguments[1]
        if name not in versions[1:]:
            told = ", ".join(versions[1:])
            raise ClaimsFileError(f"{claim.id} has no step {name!r}; it has {told}.")
        images = results.folder / "images" / claim.folder
        before = images / versions[versions.index(name) - 1]
        after, root = images / name, results.folder.parent
        pair = _dockerfiles(before, after, root)
        parts = [*([pair] if pair else []), *_others(before, after, root, beside=bool(pair))]
        for path in (*before.iterdir(), *after.iterdir()):
            self.env.note_dependency(str(path))
        return self.parse_text_to_nodes("\n\n".join(parts))


def _dockerfiles(before: Path, after: Path, root: Path) -> str:
    old, new = before / "Dockerfile", after / "Dockerfile"
    gone, come = changed_lines(old, new)
    if not (gone or come):
        return ""
    columns = ((old, "before", gone), (new, "after", come))
    return grid(
        "1 1 2 2",
        [
            f"```````{{grid-item}}\n:class: pg-files pg-{'bad' if what == 'before' else 'good'}\n\n"
            f"**{show.ARMS['bad' if what == 'before' else 'good']} {what}**\n\n"
            f"{included(path, root, lines)}\n```````"
            for path, what, lines in columns
        ],
    )


def changed_lines(old: Path, new: Path) -> tuple[list[int], list[int]]:
    """Return the numbers of the lines that only the old file has, and that only the new one has."""
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (old, new))
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    gone = [at + 1 for tag, a, b, _, _ in blocks if tag != "equal" for at in range(a, b)]
    come = [at + 1 for tag, _, _, a, b in blocks if tag != "equal" for at in range(a, b)]
    return gone, come


def _changes(old: Path, new: Path, root: Path) -> str:
    """Return a unified diff that names both files by their paths below the `root`."""
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (old, new))
    earlier, later = (path.relative_to(root).as_posix() for path in (old, new))
    return "\n".join(difflib.unified_diff(before, after, earlier, later, lineterm=""))


def _others(before: Path, after: Path, root: Path, *, beside: bool) -> list[str]:
    """Return what becomes of the other files: those that are gone by name, the rest as changes.

    Changes `beside` those of a Dockerfile are folded away.
    """
    old, new = ({path.name for path in folder.iterdir()} for folder in (before, after))
    parts = []
    if gone := sorted(old - new):
        parts.append(f"Gone: {', '.join(f'`{name}`' for name in gone)}.")
    for name in sorted(old & new - {"Dockerfile"}):
        if (before / name).read_bytes() != (after / name).read_bytes():
            changes = f"``````udiff\n{_changes(before / name, after / name, root)}\n``````"
            parts.append(folded(f"What changes in {name}", changes) if beside else changes)
    return parts
