"""Make a kit: every step keeps what is right already, so that an interrupted one goes on."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from .. import bases, cluster, disk, kubernetes_image, prepare, prove, system, wheels
from ..engine import Engine, find, talking_to
from ..errors import ProvingError
from ..paths import LABS, ROOT
from ..system import Say, say
from . import debian, installs, manifest, registry
from .manifest import (
    ANY,
    IMAGES,
    LAB_WHEELS,
    NAME,
    PARTS,
    REGISTRY,
    SITE,
    SOURCE,
    WHEELS,
    Entry,
    KitError,
    Manifest,
    Missing,
    megabytes,
)

RECORD = LABS / "kit.json"
"""The sizes of the last recorded kit, by architecture; see `record`."""

ARCHITECTURES = ("amd64", "arm64")
_GLIBC_MINORS = range(17, 29)
"""The versions 2.x of glibc whose wheels are taken: to that of Debian 10 and RHEL 8."""

_COMPRESSION = 5


@dataclass(frozen=True)
class Wanted:
    """What a kit is made for; nothing named means all of it."""

    chapters: tuple[str, ...] = ()
    parts: tuple[str, ...] = tuple(PARTS)
    pythons: tuple[str, ...] = ()


class Kit:
    """A kit's folder while it is made; its manifest is written after each file."""

    def __init__(
        self, folder: Path, wanted: Wanted, tell: Say = say, architecture: str = ""
    ) -> None:
        self.folder, self.wanted, self.tell = folder, wanted, tell
        self.architecture = architecture
        self.manifest = replace(
            self._earlier(),
            made=manifest.now(),
            chapters=wanted.chapters,
            is_complete=False,
        )

    def _earlier(self) -> Manifest:
        if not (self.folder / NAME).is_file():
            return Manifest(manifest.now())
        found = manifest.read(self.folder)
        kept = tuple(
            entry
            for entry in found.entries
            if entry.part in self.wanted.parts and manifest.is_whole(self.folder, entry)
        )
        found = replace(found, entries=kept)
        return replace(found, missing=tuple(filter(self._is_of_another(found), found.missing)))

    def _is_of_another(self, found: Manifest) -> Callable[[Missing], bool]:
        """Return what tells whether a note is of another architecture's run, and still holds.

        Those about a whole part are made anew by each run.
        """
        others = set(found.architectures()) - {self.architecture}
        return lambda one: one.architecture in others and one.what not in PARTS.values()

    def add(self, path: str, architecture: str = ANY, **more: str) -> None:
        """Take a file that lies in the folder into the manifest."""
        self.manifest = self.manifest.with_entry(
            manifest.entry_of(self.folder, path, architecture, **more)
        )
        manifest.write(self.folder, self.manifest)

    def lacks(self, what: str, architecture: str, why: str) -> None:
        """Note what the kit does not have, and tell it."""
        self.manifest = replace(
            self.manifest, missing=(*self.manifest.missing, Missing(what, architecture, why))
        )
        self.tell(f"Not in the kit: {what}, {architecture}: {why}")

    def keep_only(self, is_kept: Callable[[Entry], bool]) -> None:
        """Drop other files from the kit, and from its folder."""
        for entry in self.manifest.entries:
            if not is_kept(entry):
                (self.folder / entry.path).unlink(missing_ok=True)
        kept = tuple(entry for entry in self.manifest.entries if is_kept(entry))
        self.manifest = replace(self.manifest, entries=kept)


def make(folder: Path, wanted: Wanted, tell: Say = say) -> Manifest:
    """Make a kit in a folder for the engine's architecture; return what it holds.

    What the folder has for other architectures stays, and is part of the kit.

    Raises:
        KitError: the folder holds something else, or a part cannot be had.
        ProvingError: an image cannot be had, or a disk is full.
    """
    _check(wanted)
    engine = find(tell)
    tell(beforehand(folder, wanted, engine.description.architecture))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kit = Kit(folder, wanted, tell, engine.description.architecture)
        with disk.telling(engine):
            for part, step in _STEPS.items():
                if part in wanted.parts:
                    step(kit, engine)
    except OSError as error:
        raise KitError(f"The kit cannot be written to {folder}: {error.strerror}.") from error
    for part in sorted(set(PARTS) - set(wanted.parts)):
        kit.lacks(PARTS[part], ANY, "left out, as was asked.")
    have = kit.manifest.architectures()
    for architecture in ARCHITECTURES:
        if IMAGES in wanted.parts and architecture not in have:
            kit.lacks(
                PARTS[IMAGES],
                architecture,
                f"the engine here is {engine.description.architecture}. Run the same command on "
                f"a machine that is {architecture}, with this folder: it adds its own.",
            )
    kit.manifest = replace(kit.manifest, is_complete=True)
    manifest.write(folder, kit.manifest)
    return kit.manifest


def _check(wanted: Wanted) -> None:
    for name, given, known in (
        ("chapter", wanted.chapters, installs.chapters()),
        ("part", wanted.parts, tuple(PARTS)),
    ):
        for one in given:
            if one not in known:
                raise KitError(f"There is no {name} {one!r}; use {', '.join(known)}.")
    for python in wanted.pythons:
        if not re.fullmatch(r"3\.\d+", python):
            raise KitError(f"{python!r} is no version of Python such as 3.12.")


def beforehand(folder: Path, wanted: Wanted, architecture: str) -> str:
    """Return how large the kit will be, as far as a recorded run tells, and what there is of it."""
    recorded = recorded_sizes().get(architecture, {})
    free = megabytes(shutil.disk_usage(_existing(folder)).free)
    there = 0
    if (folder / NAME).is_file():
        there = sum(one.size_bytes for one in manifest.read(folder).entries)
    told = f"{megabytes(there)} of it are there already; the disk has {free} free."
    if not recorded:
        return f"No kit was recorded for {architecture}, so its size cannot be told. {told}"
    sizes = {part: size for part, size in recorded["bytes"].items() if part in wanted.parts}
    parts = ", ".join(f"{PARTS[part]} {megabytes(size)}" for part, size in sizes.items())
    less = "less than " if wanted.chapters else "about "
    return (
        f"The kit will have {less}{megabytes(sum(sizes.values()))} for {architecture}, and its "
        f"archive as much again, as recorded on {recorded['made'][:10]}: {parts}. {told}"
    )


def recorded_sizes(file: Path = RECORD) -> dict[str, Any]:
    """Return the bytes of a recorded kit's parts, by architecture; nothing where none was."""
    if not file.is_file():
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def record(made: Manifest, architecture: str, seconds: float, file: Path = RECORD) -> None:
    """Keep the sizes of a kit that has all chapters and parts, to be told before the next one."""
    listed = made.for_architecture(architecture)
    sizes = {part: sum(one.size_bytes for one in listed if one.part == part) for part in PARTS}
    told = {"made": made.made, "seconds": round(seconds), "bytes": sizes}
    both = {**recorded_sizes(file), architecture: told}
    file.write_text(json.dumps(both, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _existing(folder: Path) -> Path:
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())


def _images(kit: Kit, engine: Engine) -> None:
    files = installs.dockerfiles(kit.wanted.chapters)
    roles = {role for file in files for role in bases.roles_in(file)} | {"SLIM"}
    if not kit.wanted.chapters:
        roles |= set(prepare.roles_of_labs())
    wanted = [base.reference for base in bases.ready(engine, roles, kit.tell).values()]
    packages, until = debian.fill(engine, installs.of(files), kit.tell)
    architecture = engine.description.architecture
    kit.manifest = _lasting(kit.manifest, architecture, until)
    wanted += [packages, *_clusters(kit, engine)]
    kit.keep_only(
        lambda one: (
            one.part != IMAGES or one.architecture != architecture or one.reference in wanted
        )
    )
    for reference in wanted:
        _save(kit, engine, reference, IMAGES)


def _registry(kit: Kit, engine: Engine) -> None:
    reference, architecture = registry.ready(engine, kit.tell), engine.description.architecture
    kit.keep_only(
        lambda one: (
            one.part != REGISTRY or one.architecture != architecture or one.reference == reference
        )
    )
    _save(kit, engine, reference, REGISTRY)


def _lasting(found: Manifest, architecture: str, until: str) -> Manifest:
    """Return a manifest with a moment at which package lists expire; the earliest counts for all.

    That of another architecture counts for as long as the kit has images for it.
    """
    others = set(found.architectures()) - {architecture}
    known = {one: found.packages_until_of.get(one, found.packages_until) for one in sorted(others)}
    all_of_them = {**known, architecture: until}
    earliest = min(filter(None, all_of_them.values()), default="")
    return replace(found, packages_until=earliest, packages_until_of=all_of_them)


def _clusters(kit: Kit, engine: Engine) -> list[str]:
    if not prove.needs_cluster(kit.wanted.chapters):
        return []
    refused = bases.pull(engine, cluster.K3S_IMAGE, kit.tell)
    if not refused:
        return [cluster.K3S_IMAGE]
    kit.lacks(
        f"{cluster.K3S_IMAGE}, the cluster for control groups of version 2",
        engine.description.architecture,
        f"{refused.rstrip('.')}. Elsewhere the node that is built here takes its place; where a "
        "laptop has version 2, claims about Kubernetes need a cluster of its own.",
    )
    return [kubernetes_image.ready(engine)]


def _save(kit: Kit, engine: Engine, reference: str, part: str) -> None:
    architecture = engine.description.architecture
    path = f"{part}/{architecture}-{re.sub(r'[^A-Za-z0-9._]+', '-', reference)}.tar.gz"
    with talking_to(engine):
        image = engine.docker.images.get(reference)
        known = kit.manifest.find(path)
        if known is not None and known.image_id == image.id and known.config_digest:
            return
        kit.tell(f"Saving {reference} …")
        target = kit.folder / path
        target.parent.mkdir(exist_ok=True)
        begun = target.with_name(f"{target.name}.part")
        with begun.open("wb") as raw, _packed(raw) as packed:
            for chunk in image.save(named=reference):
                packed.write(chunk)
        begun.replace(target)
    digest = _config_digest(engine, str(image.id), target)
    kit.add(path, architecture, reference=reference, image_id=str(image.id), config_digest=digest)


def _config_digest(engine: Engine, image_id: str, saved: Path) -> str:
    """Return the digest of an image's configuration, which on the classic stores is its ID."""
    from ..image import config_digest_in

    if not engine.description.store.startswith("containerd"):
        return image_id
    with tarfile.open(saved) as tar:
        return config_digest_in(tar)


def _wheels(kit: Kit, _engine: Engine) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in dict.fromkeys((here, *kit.wanted.pythons)):
        targets: Iterable[str | None] = ARCHITECTURES if sys.platform == "linux" else (None,)
        for architecture in targets:
            called = f"{architecture or sys.platform}, Python {python}"
            kit.tell(f"Fetching the wheels of the guide's environment for {called} …")
            interpreter = sys.executable if python == here else shutil.which(f"python{python}")
            refused = _download(kit, _platform(python, architecture), interpreter)
            if refused:
                kit.lacks(PARTS[WHEELS], called, f"pip says:\n{refused}")
            elif interpreter is None:
                kit.lacks(
                    f"{PARTS[WHEELS]} that this Python alone needs",
                    called,
                    f"there is no python{python} on this machine, so pip judged by Python {here} "
                    "what is needed. Install it, and run the same command again.",
                )
    if sys.platform == "linux":
        kit.lacks(
            PARTS[WHEELS],
            "macOS and Windows",
            "pip chooses by the system that it runs on. Run the same command there, with this "
            "folder, or make the environment there while there is a network.",
        )


def _platform(python: str, architecture: str | None) -> list[str]:
    if architecture is None:
        return [wheels.ONLY_WHEELS]
    return wheels.options_for(python, architecture, _GLIBC_MINORS)


def _download(kit: Kit, options: list[str], interpreter: str | None) -> str:
    """Have pip download the wheels of the guide's own requirements; return why it does not.

    By the interpreter it judges which requirements hold; without one, by that which runs this.
    """
    (kit.folder / WHEELS).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kit.folder, prefix="new-") as new:
        command = [sys.executable, "-m", "pip"]
        if interpreter not in (None, sys.executable):
            command.append(f"--python={interpreter}")  # which need not have a pip of its own
        command += ["download", "--quiet", *options]
        command += [f"--find-links={kit.folder / WHEELS}", f"--dest={new}"]
        command += [f"--requirement={ROOT / 'requirements.txt'}"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            return system.last_lines(ended.stderr or ended.stdout, 4)
        for wheel in sorted(Path(new).glob("*.whl")):
            path = f"{WHEELS}/{wheel.name}"
            wheel.replace(kit.folder / path)
            kit.add(path, _architecture_of(wheel.name))
    return ""


def _architecture_of(wheel: str) -> str:
    platform = wheel.removesuffix(".whl").rpartition("-")[2]
    return next(
        (name for name in ARCHITECTURES if platform.endswith((wheels.MACHINES[name], name))), ANY
    )


def _lab_wheels(kit: Kit, _engine: Engine) -> None:
    lists = prepare.requirements_of_labs()
    for architecture in ARCHITECTURES:
        for requirements in lists:
            try:
                found = wheels.ready(requirements, architecture, kit.tell)
            except ProvingError as error:
                kit.lacks(PARTS[LAB_WHEELS], architecture, str(error))
                break
            for file in sorted(found.iterdir()):
                path = f"{LAB_WHEELS}/{found.name}/{file.name}"
                _copy(kit, file, path, architecture)


def _copy(kit: Kit, file: Path, path: str, architecture: str) -> None:
    if kit.manifest.find(path) is None:
        target = kit.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        kit.add(path, architecture)


def _site(kit: Kit, _engine: Engine) -> None:
    kit.tell("Building the site …")
    command = [*prepare.SPHINX, str(ROOT), str(prepare.SITE)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        told = system.last_lines(ended.stderr or ended.stdout)
        raise KitError(f"The site was not built. Sphinx says:\n{told}")
    path = f"{SITE}/site.tar.gz"
    (kit.folder / SITE).mkdir(exist_ok=True)
    with (
        (kit.folder / path).open("wb") as raw,
        _packed(raw) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        tar.add(prepare.SITE, "site", filter=_anonymous)
    kit.add(path)


def _packed(raw: IO[bytes]) -> gzip.GzipFile:
    """Compress what is written, without a name or a time: equal contents give equal files."""
    return gzip.GzipFile("", "wb", _COMPRESSION, raw, 0)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out who has made a file, and when; and what Sphinx keeps for itself."""
    if member.name in ("site/.buildinfo", "site/.doctrees", "site/objects.inv"):
        return None
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def _source(kit: Kit, _engine: Engine) -> None:
    git = ["git", "-C", str(ROOT)]
    path = f"{SOURCE}/guide.tar.gz"
    (kit.folder / SOURCE).mkdir(exist_ok=True)
    archive = [*git, "archive", "--prefix=guide/", f"--output={kit.folder / path}", "HEAD"]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True)
        subprocess.run(archive, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        kit.lacks(PARTS[SOURCE], ANY, f"this is no clone that git can archive: {error}")
        return
    kit.manifest = replace(kit.manifest, guide=commit.stdout.decode().strip())
    kit.add(path)


_STEPS: dict[str, Callable[[Kit, Engine], None]] = {
    IMAGES: _images,
    REGISTRY: _registry,
    WHEELS: _wheels,
    LAB_WHEELS: _lab_wheels,
    SITE: _site,
    SOURCE: _source,
}


def pack(folder: Path, target: Path, made: Manifest, tell: Say = say) -> None:
    """Pack a kit's folder into one archive, its manifest first.

    Raises:
        KitError: the disk is too small, or it cannot be written.
    """
    size = made.size_bytes()
    if target.is_file() and _is_of(target, made):
        return
    tell(f"Packing {target.name} ({megabytes(size)}) …")
    part = target.with_name(f"{target.name}.part")
    try:
        if shutil.disk_usage(_existing(target.parent)).free < size:
            raise KitError(f"{target.parent} has no {megabytes(size)} free for the kit's archive.")
        with tarfile.open(part, "w") as tar:
            for path in (NAME, *(entry.path for entry in made.entries)):
                tar.add(folder / path, path, filter=_anonymous)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise KitError(f"The archive {target} cannot be written: {error.strerror}.") from error


def _is_of(target: Path, made: Manifest) -> bool:
    from .sources import Archive

    try:
        return Archive(target).manifest() == made
    except (KitError, OSError, tarfile.TarError):
        return False
