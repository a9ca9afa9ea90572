"""The checks that a build context answers: what is sent, what runs again, and what the layers hold.

They judge what was measured: steps that the builder says have run, bytes that it says were sent,
and files in layers. The Dockerfile only tells which line a step or a layer comes from.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..archive import Changeset
from ..claims import Value, Verdict, humanize
from ..errors import BuildError, CouldNotMeasure
from ..image import Step
from ..instructions import Instruction
from ..layers import instruction as instruction_of
from . import junk, secrets, shell
from .context import Context, Copied, File
from .dockerfile import UNKNOWN, Stage, Taken
from .file_findings import finding, many, sized
from .findings import Finding, Line
from .reader import ImageRead
from .text import printable

if TYPE_CHECKING:
    from .audit import Progress
    from .builds import Built

UNUSED_BYTES = 1_000_000
"""What may be sent and not used: the builder rounds what it tells of them."""
USED_AT_LEAST = 0.1
"""Beyond that, which part of what is used may be sent and not used."""
REMOVED_BYTES = 100_000
"""What a RUN may remove of another one's: a lock or an empty log is no matter."""
_START_BYTES = 1 << 16

_INSTALLS = (
    r"(?:^|[\s;&|(])(?:\S*/)?(?:(?:apt-get|apt|aptitude|dnf|yum|microdnf|zypper|conda|mamba|micromamba)\s"
    r"(?:[^;&|]*\s)?install\b|apk\s(?:[^;&|]*\s)?add\b|pacman\s+-S"
    r"|(?:python\S*\s+-m\s+)?pip\S*\s(?:[^;&|]*\s)?install\b|pipenv\s+(?:install|sync)"
    r"|poetry\s+install|pdm\s+(?:install|sync)|uv\s+(?:sync|pip\s+install)"
    r"|npm\s+(?:ci|i|install)\b|yarn(?:\s+install\b|\s*(?:$|[;&|]))|pnpm\s+(?:i|install|fetch)\b"
    r"|bun\s+install|bundle\s+install|gem\s+install|composer\s+install|go\s+mod\s+download"
    r"|cargo\s+fetch|mvnw?\s[^;&|]*dependency:|dotnet\s+restore|mix\s+deps\.get|nuget\s+restore"
    r"|cpanm?\s|Rscript\s[^;&|]*install|git\s(?:[^;&|]*\s)?clone\b"
    r"|(?:curl|wget)\s[^;&|]*\b(?:https?|ftp)://)"
)
_OWN_PROJECT = r"\bpip\S*\s+install\b[^;&|]*\s--no-deps\b"
"""An installation of the application itself, which fetches nothing else."""
_PACKAGE = re.compile(
    r"(?:.+/)?(?:site|dist)-packages/[^/]+\.(?:dist|egg)-info|(?:.+/)?node_modules/(?:@[^/]+/)?[^/@]+"
    r"|var/lib/dpkg/info/[^/]+\.list|(?:.+/)?gems/[^/]+-\d[^/]*|(?:.+/)?pkg/mod/[^/]+/[^/]+/[^/]+@[^/]+"
)
_LISTS = re.compile(
    r"var/lib/apt/lists/(?!lock$|partial$|auxfiles$)[^/]+|(?:var/cache|etc)/apk/.*APKINDEX[^/]*"
    r"|(?:var/cache|var/lib)/(?:dnf|yum|libdnf5)/.*(?:repomd|primary)[^/]*"
)
_DATABASES = frozenset(
    ("var/lib/dpkg/status", "lib/apk/db/installed", "usr/lib/apk/db/installed")
) | frozenset(
    f"{folder}/{name}"
    for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm")
    for name in ("rpmdb.sqlite", "Packages", "Packages.db")
)
_STEP_NAME = re.compile(r"\[(?:(?P<stage>[\w.-]+) )?\s*(?P<number>\d+)/\d+\] (?P<word>[A-Z]+)")
_ON_PATH = re.compile(r"(?:usr/)?(?:local/)?s?bin/[^/]+")


@dataclass(frozen=True)
class Seen:
    """What was built of a folder, and what a check may know of it.

    `sent_bytes` are those that the builder told of, and `target` is the stage that was built.
    """

    context: Context
    copied: Copied
    target: str
    sent_bytes: int
    image: ImageRead | None = None

    @cached_property
    def taken(self) -> list[Taken]:
        """What the instructions of the build take of the context."""
        return self.context.dockerfile.taken(self.target)

    @cached_property
    def runs(self) -> list[Instruction]:
        """The RUN instructions of the build."""
        return [
            one
            for stage in self.context.dockerfile.needed(self.target)
            for one in stage.instructions
            if one.word == "RUN"
        ]

    @cached_property
    def used(self) -> tuple[File, ...]:
        """The files of the context that an instruction takes."""
        return tuple(
            file for file in self.copied.files if any(one.takes(file.path) for one in self.taken)
        )

    def line(self, one: Instruction) -> Line:
        """Return where an instruction stands."""
        return Line(self.context.dockerfile_name, one.line)

    def instruction(self, step: Step) -> Instruction | None:
        """Return the instruction that a step of a build comes from, where it can be told."""
        match = _STEP_NAME.match(step.name)
        stages = self.context.dockerfile.stages
        if match is None or not stages:
            return None
        found = [one for one in stages if one.label == match["stage"]] if match["stage"] else stages
        counted = found[-1].counted() if found else []
        number = int(match["number"]) - 1
        if number >= len(counted) or counted[number].word != match["word"]:
            return None
        return counted[number]

    def start_of(self, file: File) -> bytes:
        """Return the first bytes of a file of the context."""
        try:
            with (self.copied.folder / file.path).open("rb") as opened:
                return opened.read(_START_BYTES)
        except OSError:
            return b""

    @cached_property
    def own_layers(self) -> list[tuple[Changeset, Instruction]]:
        """The layers that this Dockerfile makes, from below, and their instructions.

        The image's history has an entry for each of the instructions, those of its base below them.

        Raises:
            CouldNotMeasure: the history is not that of the Dockerfile.
        """
        stage = self.context.dockerfile.stage(self.target)
        if self.image is None or stage is None:
            raise CouldNotMeasure("The image's layers were not read.")
        history = self.image.config.get("history")
        entries = [one for one in history if isinstance(one, Mapping)] if history else []
        return list(_matched(self.image.stack, entries, stage))


def _matched(
    stack: Sequence[Changeset], history: Sequence[Mapping[str, Any]], stage: Stage
) -> Iterator[tuple[Changeset, Instruction]]:
    own = [one for one in stage.chain() if one.word not in ("FROM", "ONBUILD")]
    if len(history) < len(own):
        raise CouldNotMeasure("The image's history tells less than its Dockerfile.")
    layers = [number for number, one in enumerate(history) if not one.get("empty_layer")]
    if len(layers) != len(stack):
        raise CouldNotMeasure("The image's history tells of another number of layers.")
    by_entry = dict(zip(layers, stack, strict=True))
    for number, one in enumerate(own, len(history) - len(own)):
        told = instruction_of(str(history[number].get("created_by") or ""))
        if told.partition(" ")[0].upper() != one.word:
            raise CouldNotMeasure(
                f"The image's history has {printable(told, 60)!r} where the Dockerfile has "
                f"{printable(str(one), 60)!r}."
            )
        if number in by_entry:
            yield by_entry[number], one


def check(subject: Built, progress: Progress) -> tuple[list[Finding], dict[str, Any]]:
    """Return what the checks of a build context find, and the facts that it tells.

    Raises:
        CouldNotMeasure: the image that was built cannot be read.
        EngineError: the engine went away.
    """
    work = subject.work
    assert work is not None  # noqa: S101 - a folder that was built has one
    first = work.first
    seen = Seen(
        work.context, work.copied, work.how.target, first.context_bytes, image=subject.read()
    )
    findings = [
        rebuilt_steps(seen, subject, progress),
        context_bytes(seen),
        dockerignore(seen),
        separate_runs(seen),
    ]
    return findings, facts(seen, first.steps, first.build_seconds)


def facts(seen: Seen, steps: Sequence[Step], build_seconds: float) -> dict[str, Any]:
    """Return what is told of a build and not judged."""
    own = [step for step in steps if not step.is_base]
    return {
        "dockerfile": seen.context.dockerfile_name,
        "ignore_file": seen.context.ignore_name,
        "build_seconds": round(build_seconds, 2),
        "build_steps": len(own),
        "build_steps_from_cache": sum(step.cached for step in own),
        "context_files": len(seen.copied.files),
        "context_bytes": seen.copied.size_bytes,
        "sent_bytes": seen.sent_bytes,
        "special_files_left_out": dict(seen.copied.special),
        "files_changed_meanwhile": seen.copied.changed,
    }


# Steps that run again


def rebuilt_steps(seen: Seen, subject: Built, progress: Progress) -> Finding:
    """Edit one source file, build again, and judge what ran again."""
    work = subject.work
    assert work is not None  # noqa: S101 - as in `check`
    chosen = work.how.edit or source_file(seen)
    if not chosen:
        return finding(
            "rebuilt-steps",
            Verdict.NOT_APPLICABLE,
            "no step copies a source file of an application",
        )
    if not any(file.path == chosen for file in seen.used):
        return finding(
            "rebuilt-steps",
            Verdict.COULD_NOT_BE_MEASURED,
            f"no step takes {printable(chosen, 80)} of the folder",
            "Name a file by --edit that a COPY takes.",
        )
    try:
        unedited = work.build(progress, f"Building {seen.context.name} again").steps
        work.edit(chosen)
        edited = work.build(progress, f"Building {seen.context.name} after an edit")
    except BuildError as error:
        return finding(
            "rebuilt-steps",
            Verdict.COULD_NOT_BE_MEASURED,
            f"after an edit of {printable(chosen, 80)} it does not build: "
            f"{secrets.one_line(str(error), 300)}",
            "Name another source file by --edit: a line of blanks was added at the end of this "
            "one.",
        )
    return judged_again(seen, chosen, unedited, edited.steps)


def source_file(seen: Seen) -> str:
    """Return a source file of the application, such as its developers edit most; or nothing.

    Of the files that are copied, those count whose endings are those of source code, and that are
    neither lists of dependencies nor tests, nor scripts that the build runs. Most of them are taken
    by the same steps: of these the one is chosen that lies highest, an entry of the application
    before others.
    """
    copies = [one for one in seen.taken if one.instruction.word != "RUN"]
    programs = _programs(seen)
    by_steps: dict[tuple[int, ...], list[str]] = {}
    for file in seen.used:
        steps = tuple(number for number, one in enumerate(copies) if one.takes(file.path))
        if not steps or posixpath.basename(file.path) in programs:
            continue
        if junk.is_source(file.path) and junk.kind_of(file.path) is None:
            by_steps.setdefault(steps, []).append(file.path)
    if not by_steps:
        return ""
    most = max(sorted(by_steps.values(), key=min), key=len)
    return min(most, key=_entry_first)


def _programs(seen: Seen) -> set[str]:
    """Return the names of the programs, and of the scripts for a shell, that the build runs."""
    return {
        posixpath.basename(program)
        for one in seen.runs
        for program in shell.programs(shell.text_of(one))
    }


def _entry_first(path: str) -> tuple[int, bool, str]:
    stem = posixpath.basename(path).partition(".")[0].lower()
    return path.count("/"), stem not in junk.ENTRIES, path


@dataclass(frozen=True)
class _Again:
    """A step that ran again because of an edit."""

    step: Step
    instruction: Instruction | None
    packages: int

    @property
    def installs(self) -> bool:
        """Whether it installs, or downloads, what is no part of the application.

        Its layer tells, where the image has it, or else its command.
        """
        text = shell.text_of(self.instruction) if self.instruction else self.step.name
        if self.instruction is not None and self.instruction.word != "RUN":
            return False
        if "] RUN " not in self.step.name:
            return False
        return self.packages > 1 or (_has(_INSTALLS, text) and not _has(_OWN_PROJECT, text))


def _has(pattern: str, text: str) -> bool:
    """Tell whether a command has what a pattern says, in linear time: strangers write commands."""
    import re2

    return re2.search(pattern, text) is not None


def judged_again(
    seen: Seen, chosen: str, unedited: Sequence[Step], edited: Sequence[Step]
) -> Finding:
    """Judge the steps of a build after an edit; what runs without one too is not its doing."""
    steps = [step for step in edited if not step.is_base]
    always = {step.name for step in unedited if not step.cached}
    again = [
        _Again(step, one, _packages_of(seen, one))
        for step in steps
        if not step.cached and step.name not in always
        for one in [seen.instruction(step)]
    ]
    installs = [one for one in again if one.installs]
    seconds = sum(one.step.seconds for one in again)
    install_seconds = sum(one.step.seconds for one in installs)
    values: dict[str, Value] = {
        "repeated_installations": len(installs),
        "repeated_installation_seconds": round(install_seconds, 2),
        "steps_run_again": len(again),
        "steps": len(steps),
        "run_again_seconds": round(seconds, 2),
        "edited_file": printable(chosen),
    }
    figure = (
        f"after an edit of {printable(chosen, 80)}, {len(again)} of "
        f"{many(len(steps), 'step')} ran again in {humanize(seconds, 's')}"
    )
    if not again:
        return finding(
            "rebuilt-steps",
            Verdict.COULD_NOT_BE_MEASURED,
            f"{figure}: the builder did not see the edit",
            "Name another source file by --edit.",
            values=values,
        )
    if not installs:
        return finding(
            "rebuilt-steps",
            True,
            f"{figure}, and no installation or download among them",
            values=values,
            places=(_told(one.step) for one in again),
        )
    copies = [
        one.instruction
        for one in again
        if one.instruction is not None and any(t.instruction is one.instruction for t in seen.taken)
    ]
    shown = [one.instruction for one in installs if one.instruction is not None]
    return finding(
        "rebuilt-steps",
        False,
        f"{figure}; {many(len(installs), 'of them installs', 'of them install')} or downloads, "
        f"in {humanize(install_seconds, 's')}",
        "Copy what the installation needs, such as the list of dependencies, alone and first, and "
        "the source after it.",
        values=values,
        places=(f"{_told(one.step)}: {humanize(one.step.seconds, 's')}" for one in installs),
        lines=(seen.line(one) for one in [*shown, *copies[:1]]),
    )


def _told(step: Step) -> str:
    return printable(step.name, 120)


def _packages_of(seen: Seen, one: Instruction | None) -> int:
    """Return how many packages the layer of an instruction has, where the image has that layer."""
    if one is None or seen.image is None:
        return 0
    try:
        layers = seen.own_layers
    except CouldNotMeasure:
        return 0
    return sum(_packages(layer) for layer, made_by in layers if made_by is one)


def _packages(layer: Changeset) -> int:
    return sum(1 for path in layer.entries if _PACKAGE.fullmatch(path))


# What is sent


def context_bytes(seen: Seen) -> Finding:
    """Judge what was sent by what the steps of the build take."""
    folder, used = seen.copied.size_bytes, sum(file.size_bytes for file in seen.used)
    unused, left = max(0, seen.sent_bytes - used), folder - used
    values: dict[str, Value] = {
        "unused_bytes": unused,
        "sent_bytes": seen.sent_bytes,
        "used_bytes": used,
        "context_bytes": folder,
    }
    if not seen.copied.files:
        return finding(
            "context-bytes", Verdict.NOT_APPLICABLE, "the folder has nothing to send", values=values
        )
    figure = (
        f"{sized(seen.sent_bytes)} sent; the steps of the build take {sized(used)} of the "
        f"folder's {sized(folder)}"
    )
    if left > UNUSED_BYTES and not unused:
        figure += ". A builder that sends the whole context would send the rest as well"
    return finding(
        "context-bytes",
        unused <= max(UNUSED_BYTES, USED_AT_LEAST * used),
        figure,
        "Leave out by a .dockerignore what no COPY takes, or copy what is needed by its name.",
        values=values,
        places=_biggest(set(seen.copied.files) - set(seen.used)),
    )


def _biggest(files: Iterable[File]) -> list[str]:
    """Return the folders and files at the top that have the most bytes."""
    sizes: Counter[str] = Counter()
    for file in files:
        top, slash, _ = file.path.partition("/")
        sizes[f"{top}{slash}"] += file.size_bytes
    return [f"{path}: {sized(size)}" for path, size in sizes.most_common(5)]


@dataclass
class _Needless:
    """A path that was sent and that no image needs: what it is, and how much of it was sent."""

    what: str
    files: int = 0
    size_bytes: int = 0


def needless(seen: Seen) -> dict[str, _Needless]:
    """Return what the build takes of the context and no image needs, by its path.

    What an instruction names itself is meant, and so is what a command of the build works with. A
    private file is one by its content.
    """
    commands = " ; ".join(shell.text_of(one) for one in seen.runs)
    found: dict[str, _Needless] = {}
    for file in seen.used:
        told = junk.kind_of(file.path)
        if told is None or _is_meant(seen, told.path) or junk.is_worked_with(told.what, commands):
            continue
        if told.what in junk.PRIVATE and not junk.is_private(told.what, seen.start_of(file)):
            continue
        one = found.setdefault(told.path, _Needless(told.what))
        one.files += 1
        one.size_bytes += file.size_bytes
    return found


def dockerignore(seen: Seen) -> Finding:
    """Judge what was sent that no image needs, and what nobody should be given."""
    if not seen.used:
        return finding("dockerignore", Verdict.NOT_APPLICABLE, "no step takes a file of the folder")
    found = sorted(
        needless(seen).items(),
        key=lambda item: (item[1].what not in junk.PRIVATE, -item[1].size_bytes, item[0]),
    )
    total, files = sum(one.size_bytes for _, one in found), sum(one.files for _, one in found)
    private = sum(one.files for _, one in found if one.what in junk.PRIVATE)
    values: dict[str, Value] = {
        "needless_bytes": total,
        "needless_files": files,
        "private_files": private,
        "sent_bytes": seen.sent_bytes,
    }
    if not found:
        none = f"none among {many(len(seen.used), 'file')} that the build takes"
        return finding("dockerignore", True, none, values=values)
    kinds = ", ".join(dict.fromkeys(one.what for _, one in found))
    patterns = dict.fromkeys(f"`{printable(junk.pattern_of(path), 40)}`" for path, _ in found)
    copies = [
        one.instruction for one in seen.taken if any(one.takes(path) for path, _ in found[:20])
    ]
    return finding(
        "dockerignore",
        False,
        f"{sized(total)} in {many(files, 'file')}: {kinds}",
        f"Name them in {seen.context.ignore_name or 'a .dockerignore'}: "
        f"{', '.join(list(patterns)[:6])}; a change in any of them runs the COPY again"
        + (", and whoever has the image may have what is private." if private else "."),
        values=values,
        places=(f"{path}: {one.what}, {sized(one.size_bytes)}" for path, one in found),
        lines=(seen.line(one) for one in copies),
    )


def _is_meant(seen: Seen, path: str) -> bool:
    """Tell whether an instruction names a path itself: somebody wants it in the build."""
    return any(one.names(path) for one in seen.taken if UNKNOWN not in one.sources)


# What the layers hold


def separate_runs(seen: Seen) -> Finding:
    """Judge the layers of the image: what one RUN makes for the next, or removes of another's."""
    try:
        layers = seen.own_layers
    except CouldNotMeasure as error:
        return finding(
            "separate-runs",
            Verdict.COULD_NOT_BE_MEASURED,
            str(error),
            "Look at the layers by `docker history`.",
        )
    if not any(one.word == "RUN" for _, one in layers):
        return finding("separate-runs", Verdict.NOT_APPLICABLE, "no RUN makes a layer of the image")
    apart = list(_updates_apart(layers))
    removed = list(_removed_later(layers))
    scripts = list(_scripts_left(seen, layers))
    removed_bytes = sum(size for _, _, size in removed)
    values: dict[str, Value] = {
        "dependent_steps": len({two for _, two in apart} | {two for _, two, _ in removed})
        + len(scripts),
        "updates_apart": len(apart),
        "removed_later_bytes": removed_bytes,
        "scripts_left": len(scripts),
    }
    told, advice = [], []
    if apart:
        told.append(f"{many(len(apart), 'RUN')} installs by the index that an earlier one made")
        advice.append("update the index and install in one RUN, or the index is stale one day")
    if removed:
        told.append(f"{sized(removed_bytes)} that one instruction makes and a later one removes")
        advice.append("remove what is not needed in the RUN that made it")
    if scripts:
        told.append(f"{many(len(scripts), 'script')} that only a RUN needs")
        advice.append("mount a script for its RUN (`RUN --mount=type=bind`) in place of a COPY")
    pairs = [*apart, *((one, two) for one, two, _ in removed), *scripts]
    advice_text = "; ".join(advice)
    return finding(
        "separate-runs",
        not told,
        "; ".join(told) or f"none among {many(len(layers), 'layer')} of this Dockerfile",
        f"{advice_text[:1].upper()}{advice_text[1:]}.",
        values=values,
        places=(
            f"line {one.line} ({printable(str(one), 60)}), then line {two.line} "
            f"({printable(str(two), 60)})"
            for one, two in dict.fromkeys(pairs)
        ),
        lines=(seen.line(one) for pair in pairs for one in reversed(pair)),
    )


_Layers = Sequence[tuple[Changeset, Instruction]]


def _updates_apart(layers: _Layers) -> Iterator[tuple[Instruction, Instruction]]:
    """Give each RUN that installs by the index of an earlier one, after that one."""
    index: Instruction | None = None
    for layer, one in layers:
        makes_index = any(
            entry.size_bytes and _LISTS.fullmatch(path) for path, entry in layer.entries.items()
        )
        installs = bool(_DATABASES & layer.entries.keys())
        if installs and not makes_index and index is not None and one.word == "RUN":
            yield index, one
        if makes_index and one.word == "RUN":
            index = one
        elif any(path.startswith("var/lib/apt/lists") for path in layer.whiteouts):
            index = None


def _removed_later(layers: _Layers) -> Iterator[tuple[Instruction, Instruction, int]]:
    """Give what made files, what removed them later, and the bytes of these."""
    ever = {path for layer, _ in layers for path in (*layer.whiteouts, *layer.opaque)}
    made: dict[str, tuple[int, int]] = {}
    for number, (layer, one) in enumerate(layers):
        gone: Counter[int] = Counter()
        for path in [path for path in made if _is_removed(path, layer)]:
            maker, size = made.pop(path)
            if path not in layer.entries:
                gone[maker] += size
        for maker, size in gone.items():
            if size > REMOVED_BYTES and one.word == "RUN":
                yield layers[maker][1], one, size
        for path, entry in layer.entries.items() if ever else ():
            if not entry.is_directory and not ever.isdisjoint((path, *_parents(path))):
                made[path] = (number, entry.size_bytes)


def _is_removed(path: str, layer: Changeset) -> bool:
    """Tell whether a layer removes a path of those below it, by itself or with a folder."""
    return path in layer.whiteouts or any(
        parent in layer.whiteouts or parent in layer.opaque for parent in _parents(path)
    )


def _parents(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path


def _scripts_left(seen: Seen, layers: _Layers) -> Iterator[tuple[Instruction, Instruction]]:
    """Give each COPY of a script that a later RUN runs, and that the image needs no more.

    What the image's own command names stays because it is needed.
    """
    settings = seen.image.config.get("config") if seen.image else None
    settings = settings if isinstance(settings, Mapping) else {}
    command = " ".join(
        str(word) for key in ("Entrypoint", "Cmd") for word in settings.get(key) or ()
    )
    brought: dict[str, Instruction] = {}
    for layer, one in layers:
        if one.word in ("COPY", "ADD"):
            scripts = [path for path, entry in layer.entries.items() if not entry.is_directory]
            if (
                len(scripts) == 1
                and posixpath.basename(scripts[0]) not in command
                and not _ON_PATH.fullmatch(scripts[0])
            ):
                brought[scripts[0]] = one
        elif one.word == "RUN":
            for path in _run_by(shell.text_of(one), brought):
                yield brought.pop(path), one


def _run_by(command: str, paths: Iterable[str]) -> list[str]:
    """Return which of some scripts a command line runs, by itself or through a shell."""
    programs = shell.programs(command)
    return [
        path
        for path in paths
        if f"/{path}" in programs
        or any(not told.startswith("/") and _ends(path, told) for told in programs)
    ]


def _ends(path: str, told: str) -> bool:
    relative = posixpath.normpath(told)
    return "." in relative and (path == relative or path.endswith(f"/{relative}"))
