"""Images built by BuildKit, with the steps of their build as facts.

docker-py cannot build with BuildKit, so the `docker` command line does, and its plain progress
is read: one `#N [stage 2/4] …` per step, then `#N CACHED` or `#N DONE 1.2s`.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from testcontainers.core.image import DockerImage

from . import disk, leftovers
from .engine import TIMEOUT_SECONDS, Engine, point_testcontainers_at, talking_to
from .errors import BuildError, CouldNotMeasure, DiskFull
from .kit import debian as kit_packages
from .spans import span
from .system import last_lines

if TYPE_CHECKING:
    from .archive import Archive
    from .layers import Contents

_STEP = re.compile(r"^#(\d+) (\[(?:[\w.-]+ )?\s*\d+/\d+\] .+)$")
_DONE = re.compile(r"^#(\d+) DONE ([\d.]+)s$")
_CACHED = re.compile(r"^#(\d+) CACHED$")
_ERROR = re.compile(r"^#(\d+) ERROR:? (.*)$")
_OUTPUT = re.compile(r"^#(\d+) (?:[\d.]+ )(.*)$")
_CONTEXT = re.compile(r"^#(\d+) \[internal\] load build context$")
_TRANSFERRED = re.compile(r"^#(\d+) transferring context: ([\d.]+)\s*([kMG]?)i?B\b")
_SLIP = re.compile(r"dockerfile parse error|failed to reach build target", re.IGNORECASE)
"""How the classic builder refuses a Dockerfile, or a target that it does not have."""
_WRITTEN = re.compile(r"^#\d+ writing image (sha256:[0-9a-f]{64})\b")
_FROM = re.compile(
    r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE | re.MULTILINE
)
_LOST = re.compile(r"^(?:#\d+ )?ERROR: .*\bfailed to get state for index \d+", re.MULTILINE)
_EXIT_STATUS = re.compile(r"exit code: (\d+)")
_EPOCH_NS = 10**18
"""The moment from which the times of stamped files count, in nanoseconds: in 2001."""
ENDING_SECONDS = 10.0
"""How long a client is given to end a build before it is killed."""
_SCALE = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}


@dataclass(frozen=True)
class Step:
    """One instruction of a build: whether the cache answered it, and how long it took.

    `began_seconds` counts from the beginning of the build, by the clock of the client.
    """

    name: str
    cached: bool
    seconds: float
    began_seconds: float = 0.0

    @property
    def is_base(self) -> bool:
        """Whether the step only takes up the base image: a FROM, which makes no layer."""
        return "] FROM " in self.name


def parse_steps(progress: str, arrived_seconds: Sequence[float] = ()) -> tuple[Step, ...]:
    """Return a build's instructions out of BuildKit's plain progress, in the order they began.

    `arrived_seconds` tells of each line when it came, counted from the beginning of the build.
    """
    names: dict[str, str] = {}
    began: dict[str, float] = {}
    cached: set[str] = set()
    seconds: dict[str, float] = {}
    for number, line in enumerate(progress.splitlines()):
        if match := _STEP.match(line):
            names.setdefault(match[1], match[2])
            if number < len(arrived_seconds):
                began.setdefault(match[1], round(arrived_seconds[number], 2))
        elif match := _CACHED.match(line):
            cached.add(match[1])
        elif match := _DONE.match(line):
            seconds[match[1]] = float(match[2])
    return tuple(
        Step(name, number in cached, seconds.get(number, 0.0), began.get(number, 0.0))
        for number, name in names.items()
    )


def parse_context_bytes(progress: str) -> int:
    """Return how many bytes of the build context were sent, as BuildKit's progress rounds them.

    A client sends what has changed since it last sent the same folder, and nothing else.
    """
    lines = progress.splitlines()
    contexts = {match[1] for line in lines if (match := _CONTEXT.match(line))}
    sent = [
        round(float(match[2]) * _SCALE[match[3]])
        for line in lines
        if (match := _TRANSFERRED.match(line)) and match[1] in contexts
    ]
    return max(sent, default=0)


def parse_written(progress: str) -> tuple[str, ...]:
    """Return the images that a build has written, by their IDs, whether or not it named them."""
    return tuple(match[1] for line in progress.splitlines() if (match := _WRITTEN.match(line)))


def begins_with_nothing(dockerfile: str) -> bool:
    """Tell whether a Dockerfile's last stage stands on `scratch`, by way of other stages perhaps.

    Such an image has no base: all of its layers are its own.
    """
    stages: dict[str, str] = {}
    parent = ""
    for match in _FROM.finditer(dockerfile):
        parent = stages.get(match[1].lower(), match[1])
        if match[2]:
            stages[match[2].lower()] = parent
    return parent == "scratch"


def label_stages(dockerfile: str, labels: Mapping[str, str]) -> str:
    """Return a Dockerfile each stage of which begins by taking these labels."""
    told = " ".join(f'{name}="{value}"' for name, value in labels.items())
    return _FROM.sub(lambda match: f"{match[0].rstrip()}\nLABEL {told}\n", dockerfile)


def lost_a_step(progress: str) -> bool:
    """Tell whether a build failed because BuildKit lost a step that it shared with another build.

    That is a fault of BuildKit's own, which hits builds that run at the same time: moby/buildkit
    issue 3635. The same build goes right when it is tried again.
    """
    return _LOST.search(progress) is not None


def failure(progress: str) -> str:
    """Return which step of a failed build broke, with the last lines of its output."""
    names = {match[1]: match[2] for line in progress.splitlines() if (match := _STEP.match(line))}
    broken = next(
        (match for line in progress.splitlines() if (match := _ERROR.match(line))),
        None,
    )
    if broken is None or broken[1] not in names:
        return f"The build stopped before its first step:\n{last_lines(progress)}"
    number = broken[1]
    output = [
        match[2]
        for line in progress.splitlines()
        if (match := _OUTPUT.match(line)) and match[1] == number
    ]
    told = last_lines("\n".join(output)) if output else f"    {broken[2]}"
    return f"The step {names[number]} failed:\n{told}"


_read: dict[tuple[str, tuple[str, ...]], Contents] = {}
"""The contents of images by their ids and their bases' layers."""


class Image(DockerImage):
    """A `testcontainers` image that BuildKit builds.

    `path` is the build context and `dockerfile_path` lies within it.
    `bases` are the build arguments that name bases, and `arguments` all others.
    `environment` is what the docker client gets besides its usual one.
    `hosts` are addresses by the names that the build's steps may use, which the cache does not ask
    for.
    `secrets` are build secrets by their ids, for `RUN --mount=type=secret`: each lies in a private
    file while the image is built. The cache does not ask for them either.
    `target` names the stage to build, where that is not the last one.
    A build that takes longer than `limit_seconds` is ended; unless it is set, it may take any time.
    Where a kit was loaded, apt asks its cache, unless `takes_packages_from_kit` is unset, the
    build has `hosts` of its own, or its arguments name a proxy.

    After a build, `progress` has all that the builder has told, `steps` its instructions,
    `build_seconds` its wall time and `context_bytes` what was sent of the build context.

    Attestations are left out where the client knows them, so that equal builds are equal images;
    with `provenance` the image gets the fullest one of how it was built.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        *,
        tag: str,
        dockerfile_path: str = "Dockerfile",
        bases: Mapping[str, str] | None = None,
        arguments: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        hosts: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        provenance: bool = False,
        target: str = "",
        no_cache: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        point_testcontainers_at(engine)
        super().__init__(
            path,
            docker_client_kw={"timeout": TIMEOUT_SECONDS},
            tag=tag,
            dockerfile_path=dockerfile_path,
            no_cache=no_cache,
        )
        self.engine = engine
        self.name = dockerfile_path
        self.target = target
        self.progress = ""
        self.steps: tuple[Step, ...] = ()
        self.build_seconds = 0.0
        self.context_bytes = 0
        self.limit_seconds: float | None = None
        self.takes_packages_from_kit = True
        self._contents: Contents | None = None
        self._reading = threading.Lock()
        self._hosts = dict(hosts or {})
        self._bases = dict(bases or {})
        self._arguments = {**self._bases, **(arguments or {})}
        self._environment = dict(environment or {})
        self._secrets = dict(secrets or {})
        self._provenance = provenance
        self._on_line = on_line

    def build(self) -> Self:
        """Build the image and load it into the engine.

        Raises:
            BuildError: a step failed; the sentence names it and quotes its last lines.
            EngineError: the engine went away.
        """
        with (
            span("build", self.name),
            _private_files(self._secrets) as secrets,
            _stamped(self._dockerfile()) as dockerfile,
        ):
            self._run(list(self._command(secrets, dockerfile)))
        with talking_to(self.engine):
            # not by --iidfile: with a containerd store, buildx writes a digest there (that of the
            # configuration) by which the engine does not know the image
            self._image = self.get_docker_client().client.images.get(self.tag)
        return self

    def build_by_classic_builder(self, labels: Mapping[str, str] | None = None) -> bool:
        """Build the image by the builder that came before BuildKit; tell whether there is one.

        That builder leaves the stages that the image does not stand on as images without a name.
        By `labels`, which all stages get, they can be found.

        Raises:
            BuildError: a step failed, or the Dockerfile is refused.
            DiskFull: the engine's disk is full.
            EngineError: the engine went away.
        """
        from docker.errors import APIError
        from docker.errors import BuildError as ClassicBuildError

        client = self.engine.docker
        with ExitStack() as building:
            building.enter_context(span("build", self.name))
            building.enter_context(talking_to(self.engine))
            dockerfile = self._dockerfile()
            if labels:
                folder = building.enter_context(tempfile.TemporaryDirectory(prefix="proving-"))
                labelled = label_stages(dockerfile.read_text(encoding="utf-8"), labels)
                dockerfile = Path(folder, "Dockerfile")
                dockerfile.write_text(labelled, encoding="utf-8")
            try:
                self._image, told = client.images.build(
                    path=str(self.path),
                    dockerfile=str(dockerfile.resolve()),
                    tag=self.tag,
                    buildargs=self._arguments,
                    target=self.target or None,
                    nocache=self._no_cache,
                    rm=True,
                    forcerm=True,
                )
            except (APIError, ClassicBuildError) as error:
                if disk.is_told_in(str(error)):
                    raise DiskFull(disk.sentence(self.engine)) from error
                # the text of an APIError has the whole Dockerfile in its address
                told = str(error.explanation if isinstance(error, APIError) else error)
                if isinstance(error, ClassicBuildError) or _SLIP.search(told):
                    raise BuildError(f"{self.name} does not build. {told}") from error
                return False
            self.progress = "".join(line.get("stream", "") for line in told)
        return True

    @property
    def id(self) -> str:
        """The engine's identifier of the image, by which containers are started from it."""
        return str(self.get_wrapped_image().id)

    @property
    def config_digest(self) -> str:
        """The digest of the image's configuration (OCI image spec, "ImageID").

        On the classic stores that is the image ID; a containerd store names images by their
        manifest, whose configuration `docker save` tells.
        """
        if not self.engine.description.store.startswith("containerd"):
            return self.id
        return _config_digest_of_archive(self.get_wrapped_image().save())

    def step(self, words: str) -> Step:
        """Return the one step of the build whose instruction has these words.

        Raises:
            CouldNotMeasure: none or several have.
        """
        found = [step for step in self.steps if words in step.name]
        if len(found) != 1:
            told = "; ".join(step.name for step in self.steps)
            raise CouldNotMeasure(f"{len(found)} steps of the build have {words!r}: {told}.")
        return found[0]

    def build_as_data(self) -> dict[str, Any]:
        """Return what a result tells of the build, for its timeline."""
        steps = [
            {
                "name": step.name,
                "cached": step.cached,
                "began_seconds": step.began_seconds,
                "seconds": 0.0 if step.cached else step.seconds,
            }
            for step in self.steps
            if not step.is_base
        ]
        return {"seconds": round(self.build_seconds, 2), "steps": steps}

    @property
    def contents(self) -> Contents:
        """The image's layers, files and packages; read once, which takes a second or more.

        Another build of the same image in this process is not read again.

        Raises:
            CouldNotMeasure: the engine's archive of the image cannot be read.
        """
        from . import layers

        image = self.get_wrapped_image()
        with self._reading:
            if self._contents is None:
                with span("layers", self.name), talking_to(self.engine), disk.telling(self.engine):
                    base = self._base_diff_ids()
                    known = _read.get((self.id, base))
                    self._contents = known or layers.read(lambda: image.save(named=False), base)
                    _read[self.id, base] = self._contents
            return self._contents

    def archive(self, *wanted: bytes) -> Archive:
        """Read the image's archive, and search all of its layers for the texts that are wanted.

        Raises:
            CouldNotMeasure: the engine's archive of the image cannot be read.
        """
        from . import archive

        image = self.get_wrapped_image()
        with span("layers", self.name), talking_to(self.engine), disk.telling(self.engine):
            return archive.read(lambda: image.save(named=False), wanted)

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The digests of the image's uncompressed layers, from the base up (OCI image spec)."""
        return _diff_ids(self.get_wrapped_image())

    @property
    def layers_added(self) -> int:
        """How many layers the image has on top of its base."""
        return len(self.diff_ids) - len(self._base_diff_ids())

    def _base_diff_ids(self) -> tuple[str, ...]:
        """Return the layers of the base: of those that the build was given, the one it begins with.

        An image that is made from scratch has none.

        Raises:
            CouldNotMeasure: it begins with none of them.
        """
        from docker.errors import ImageNotFound

        if begins_with_nothing(self._dockerfile().read_text(encoding="utf-8")):
            return ()
        own, found = self.diff_ids, []
        for reference in self._bases.values():
            try:
                base = _diff_ids(self.engine.docker.images.get(reference))
            except ImageNotFound:
                continue
            if base and own[: len(base)] == base:
                found.append(base)
        if not found:
            raise CouldNotMeasure(f"{self.name}: the image begins with none of the known bases.")
        return max(found, key=len)

    def _command(self, secrets: Mapping[str, Path], dockerfile: Path) -> Iterable[str]:
        yield from self.engine.builder.command(provenance=self._provenance)
        yield "--progress=plain"
        if self._no_cache:
            yield "--no-cache"
        for name, value in self._arguments.items():
            yield f"--build-arg={name}={value}"
        for name, value in self._kit_arguments().items():
            yield f"--build-arg={name}={value}"
        for name, address in self._hosts.items():
            yield f"--add-host={name}:{address}"
        for name, file in secrets.items():
            yield f"--secret=id={name},src={file}"
        if self.target:
            yield f"--target={self.target}"
        yield f"--tag={self.tag}"
        yield f"--file={dockerfile}"
        yield str(Path(self.path).resolve())

    def _kit_arguments(self) -> dict[str, str]:
        names_proxy = any(name.lower().endswith("_proxy") for name in self._arguments)
        if self._hosts or names_proxy or not self.takes_packages_from_kit:
            return {}  # whoever names a server of its own asks that one
        return kit_packages.build_arguments(self.engine)

    def _dockerfile(self) -> Path:
        return Path(self.path) / self._dockerfile_path

    def _run(self, command: list[str]) -> None:
        lines: list[str] = []
        arrived_seconds: list[float] = []
        began = time.monotonic()
        with subprocess.Popen(
            command,
            env={**self.engine.builder.environment, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None  # noqa: S101 - told to Popen above
            try:
                with _ended_after(process, self.limit_seconds) as was_ended:
                    for line in process.stdout:
                        lines.append(line)
                        arrived_seconds.append(time.monotonic() - began)
                        if self._on_line is not None:
                            self._on_line(line.rstrip())
            except BaseException:
                process.terminate()
                raise
        progress = self.progress = "".join(lines)
        self.build_seconds = time.monotonic() - began
        self.steps = parse_steps(progress, arrived_seconds)
        self.context_bytes = parse_context_bytes(progress)
        if was_ended.is_set() and process.returncode:
            raise BuildError(
                f"{self.name} was not built within {self.limit_seconds:g} s, and its build was "
                f"ended. Its last lines were:\n{last_lines(progress)}",
                progress=progress,
            )
        if process.returncode:
            with talking_to(self.engine):
                self.get_docker_client().client.ping()
            full = ""
            if disk.is_full(progress):
                full = f"{disk.sentence(self.engine)} "
                leftovers.remove_unnamed(self.engine.docker, parse_written(progress))
                disk.give_back(self.engine, self._dockerfile().read_text(encoding="utf-8"))
            status = _EXIT_STATUS.findall(progress)
            raise BuildError(
                f"{self.name} does not build. {full}{failure(progress)}",
                progress=progress,
                exit_status=int(status[-1]) if status else process.returncode,
            )


@contextmanager
def _ended_after(
    process: subprocess.Popen[str], seconds: float | None
) -> Iterator[threading.Event]:
    """End a process that runs for too long; tell whether it was ended.

    A client that is told to end has the engine end its build; one that does not is killed.
    """
    import psutil

    ended = threading.Event()

    def end(signal_name: str = "terminate") -> None:
        ended.set()
        with suppress(psutil.Error):
            client = psutil.Process(process.pid)  # and the plugin that builds for it
            for one in (*client.children(recursive=True), client):
                with suppress(psutil.Error):
                    getattr(one, signal_name)()
        if signal_name == "terminate":
            killing.start()

    killing = threading.Timer(ENDING_SECONDS, end, ["kill"])
    ending = threading.Timer(seconds or 0.0, end)
    killing.daemon = ending.daemon = True
    if seconds is not None:
        ending.start()
    try:
        yield ended
    finally:
        ending.cancel()
        killing.cancel()


@contextmanager
def _private_files(contents: Mapping[str, bytes]) -> Iterator[dict[str, Path]]:
    """Write files that nobody else may read, by their names, and remove them at the end."""
    if not contents:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="proving-") as folder:  # by mode 700
        files = {name: Path(folder, f"secret-{number}") for number, name in enumerate(contents)}
        for name, file in files.items():
            file.touch(mode=0o600)
            file.write_bytes(contents[name])
        yield files


@contextmanager
def _stamped(dockerfile: Path) -> Iterator[Path]:
    """Copy a Dockerfile, for as long as it is built, and let its contents decide its time.

    BuildKit is sent what has changed of a folder's files since the last build from the same
    context, and takes a file of the same size and time for the same one. A clone writes many files
    at one time; so it would take one Dockerfile for another that is as long.
    """
    with tempfile.TemporaryDirectory(prefix="proving-") as folder:
        copy = Path(folder, "Dockerfile")
        for file in (dockerfile, dockerfile.with_name(f"{dockerfile.name}.dockerignore")):
            if file.exists():
                content = file.read_bytes()
                target = copy.with_name(copy.name + file.name.removeprefix(dockerfile.name))
                target.write_bytes(content)
                stamp = _EPOCH_NS + int.from_bytes(hashlib.sha256(content).digest()[:7], "big")
                os.utime(target, ns=(stamp, stamp))
        yield copy


def _diff_ids(image: Any) -> tuple[str, ...]:
    return tuple(image.attrs["RootFS"].get("Layers") or ())


def _config_digest_of_archive(chunks: Iterable[bytes]) -> str:
    with tempfile.TemporaryFile() as archive:
        for chunk in chunks:
            archive.write(chunk)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            return config_digest_in(tar)


def config_digest_in(saved: tarfile.TarFile) -> str:
    """Return the digest of the configuration of the image in an archive of `docker save`."""
    import json

    manifest = saved.extractfile("manifest.json")
    assert manifest is not None  # noqa: S101 - docker save always writes it
    config: str = json.load(manifest)[0]["Config"]
    return "sha256:" + config.rpartition("/")[2].removesuffix(".json")
