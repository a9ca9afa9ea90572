"""Images built by BuildKit, with the steps of their build as facts.

docker-py cannot build with BuildKit, so the `docker` command line does, and its plain progress
is read: one `#N [stage 2/4] …` per step, then `#N CACHED` or `#N DONE 1.2s`.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from testcontainers.core.image import DockerImage

from .engine import TIMEOUT_SECONDS, Engine, point_testcontainers_at, talking_to
from .errors import BuildError
from .system import last_lines

_STEP = re.compile(r"^#(\d+) (\[(?:[\w.-]+ )?\s*\d+/\d+\] .+)$")
_DONE = re.compile(r"^#(\d+) DONE ([\d.]+)s$")
_CACHED = re.compile(r"^#(\d+) CACHED$")
_ERROR = re.compile(r"^#(\d+) ERROR:? (.*)$")
_OUTPUT = re.compile(r"^#(\d+) (?:[\d.]+ )(.*)$")


@dataclass(frozen=True)
class Step:
    """One instruction of a build: whether the cache answered it, and how long it took."""

    name: str
    cached: bool
    seconds: float

    @property
    def is_base(self) -> bool:
        """Whether the step only takes up the base image: a FROM, which makes no layer."""
        return "] FROM " in self.name


def parse_steps(progress: str) -> tuple[Step, ...]:
    """Return a build's instructions out of BuildKit's plain progress, in the order they began."""
    names: dict[str, str] = {}
    cached: set[str] = set()
    seconds: dict[str, float] = {}
    for line in progress.splitlines():
        if match := _STEP.match(line):
            names.setdefault(match[1], match[2])
        elif match := _CACHED.match(line):
            cached.add(match[1])
        elif match := _DONE.match(line):
            seconds[match[1]] = float(match[2])
    return tuple(
        Step(name, number in cached, seconds.get(number, 0.0)) for number, name in names.items()
    )


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


class Image(DockerImage):
    """A `testcontainers` image that BuildKit builds.

    `path` is the build context and `dockerfile_path` lies within it.
    `environment` is what the docker client gets besides its usual one.
    Attestations are left out where the client knows them, so that equal builds are equal images.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        *,
        tag: str,
        dockerfile_path: str = "Dockerfile",
        arguments: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
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
        self.steps: tuple[Step, ...] = ()
        self._arguments = dict(arguments or {})
        self._environment = dict(environment or {})
        self._on_line = on_line

    def build(self) -> Self:
        """Build the image and load it into the engine.

        Raises:
            BuildError: a step failed; the sentence names it and quotes its last lines.
            EngineError: the engine went away.
        """
        self.steps = parse_steps(self._run(list(self._command())))
        with talking_to(self.engine):
            # not by --iidfile: with a containerd store, buildx writes a digest there (that of the
            # configuration) by which the engine does not know the image
            self._image = self.get_docker_client().client.images.get(self.tag)
        return self

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

    def _command(self) -> Iterable[str]:
        yield from self.engine.builder.command()
        yield "--progress=plain"
        if self._no_cache:
            yield "--no-cache"
        for name, value in self._arguments.items():
            yield f"--build-arg={name}={value}"
        yield f"--tag={self.tag}"
        yield f"--file={Path(self.path) / self._dockerfile_path}"
        yield str(Path(self.path).resolve())

    def _run(self, command: list[str]) -> str:
        lines = []
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
                for line in process.stdout:
                    lines.append(line)
                    if self._on_line is not None:
                        self._on_line(line.rstrip())
            except BaseException:
                process.terminate()
                raise
        progress = "".join(lines)
        if process.returncode:
            with talking_to(self.engine):
                self.get_docker_client().client.ping()
            raise BuildError(f"{self.name} does not build. {failure(progress)}")
        return progress


def _config_digest_of_archive(chunks: Iterable[bytes]) -> str:
    import json
    import tarfile

    with tempfile.TemporaryFile() as archive:
        for chunk in chunks:
            archive.write(chunk)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            manifest = tar.extractfile("manifest.json")
            assert manifest is not None  # noqa: S101 - docker save always writes it
            config: str = json.load(manifest)[0]["Config"]
    return "sha256:" + config.rpartition("/")[2].removesuffix(".json")
