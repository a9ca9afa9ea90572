"""A disk that is full ends in a sentence with its cure, and nothing is left on the engine.

The engine is one of its own on a small file system, with a bridge of its own and no packet filter:
a second engine with one would begin by emptying the chains of the first.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from proving import bases, buildcache, leftovers, private
from proving import engine as engines
from proving.errors import BaseImageError, BuildError, ContainerError, ProvingError
from proving.lab import Lab
from proving.paths import LABS
from proving.preflight import facts
from proving.preflight.judge import judge
from waiting import until

pytestmark = pytest.mark.engine

SIZE = "400m"
MEGABYTE = 1_000_000
RELEASED_SECONDS = 20
"""How long an engine is given to let go of what a failed build has used."""

CURE = ("The engine's disk is full.", "docker builder prune", "nox -s clean", "are free at this")
ALONE = ("--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false")

TOO_MUCH = """ARG SLIM=debian:13-slim
FROM ${SLIM}
RUN head -c 50M /dev/urandom > /fits
RUN head -c 600M /dev/zero > /big
"""


@dataclass(frozen=True)
class Small:
    """An engine on a small disk, and where its data lie."""

    engine: engines.Engine
    data: Path

    def free_bytes(self) -> int:
        """Return how much space is left on its disk."""
        found = os.statvfs(self.data)
        return found.f_bavail * found.f_frsize

    @contextmanager
    def filled(self, left_bytes: int) -> Iterator[None]:
        """Have a file that leaves so much space, and no more, as long as the block lasts."""
        filler = self.data / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, self.free_bytes() - left_bytes)
        try:
            yield
        finally:
            filler.unlink()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """An engine on a disk of 400 MB that has the bases of chapter 9 and nothing else."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a small file system needs Linux, and root to mount it")
    first = engines.find()
    ready = bases.ready(first, ["SLIM", "MINIMAL", "PYTHON"])
    folder = tmp_path_factory.mktemp("small")
    data = folder / ".engine" / "data"
    data.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=711", "proving-small", str(data)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    usual = private._command
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private, "ROOT", folder)
        patch.setattr(private, "STATE", data.parent)
        patch.setattr(private, "_command", lambda: [*usual(), *ALONE])
        try:
            second = engines.Engine(private.start(), "a test")
            for base in ready.values():
                image = first.docker.images.get(base.reference)
                second.docker.images.load(image.save(named=base.reference))
            patch.setenv("DOCKER_HOST", second.url)
            yield Small(second, data)
        finally:
            private.erase()


@pytest.fixture
def lab(small: Small) -> Iterator[Lab]:
    """A lab on the small engine; afterwards it has no more and no less than before."""
    before, free_bytes = leftovers.inventory(small.engine.docker), small.free_bytes()
    with Lab("a-test") as opened:
        yield opened
    until(lambda: small.free_bytes() > free_bytes - MEGABYTE, RELEASED_SECONDS)

    assert before == leftovers.inventory(small.engine.docker)
    assert small.free_bytes() > free_bytes - MEGABYTE


def write(folder: Path, dockerfile: str) -> Path:
    """Write a Dockerfile into a folder and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    return folder


def told(error: BaseException, *words: str) -> list[str]:
    """Return which of the words a sentence lacks."""
    return [word for word in words if word not in str(error)]


def test_a_step_that_fills_the_disk(small, lab, tmp_path):
    """The step is named beside the cure, and what the steps before it have cached is given back."""
    context = write(tmp_path, TOO_MUCH)

    with pytest.raises(BuildError) as caught:
        lab.build(context)

    found = buildcache.records(small.engine.docker).values()
    assert [] == told(caught.value, *CURE, str(small.data), "> /big failed", "No space left")
    assert [] == [record for record in found if record.command]


def test_a_measured_build_that_fills_the_disk(small, lab, tmp_path):
    """Not one record of the cache is left of it."""
    before = buildcache.records(small.engine.docker).keys()
    context = write(tmp_path, TOO_MUCH)
    with pytest.raises(BuildError), lab.workspace_of(context, context) as workspace:
        workspace.build()

    assert before == buildcache.records(small.engine.docker).keys()


def test_a_context_that_does_not_fit(small, lab, tmp_path):
    """It is full before the first step: that is told, and the same cure."""
    context = write(tmp_path, "ARG SLIM=debian:13-slim\nFROM ${SLIM}\nCOPY big /\n")
    with (context / "big").open("wb") as file:
        file.truncate(500 * MEGABYTE)

    with pytest.raises(BuildError) as caught:
        lab.build(context)

    assert [] == told(caught.value, *CURE, "before its first step")


def test_a_disk_that_is_full_already(small, lab, tmp_path):
    """Neither a build nor a container begins, and both say why."""
    image = lab.build(write(tmp_path, "ARG SLIM=debian:13-slim\nFROM ${SLIM}\nLABEL full=no\n"))
    with small.filled(0):
        with pytest.raises(BuildError) as building:
            lab.build(write(tmp_path, TOO_MUCH))
        with pytest.raises(ContainerError) as starting, lab.start(image, command="true"):
            pass

    assert [] == told(building.value, *CURE)
    assert [] == told(starting.value, *CURE)


def test_a_base_that_does_not_fit(small, lab, monkeypatch):
    """The road by which it came is named, and the cure."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("big")
        member.size = 30 * MEGABYTE
        tar.addfile(member, io.BytesIO(bytes(member.size)))

    def build(engine: Any, tag: str, _: dict[str, str]) -> None:
        bases._import_archive(engine, io.BytesIO(archive.getvalue()), tag, 'CMD ["sh"]')

    monkeypatch.setenv("PROVING_BASES", "build")
    role = replace(bases.ROLES["SLIM"], name="BIG", build=build, recipe=lambda: "a test's")
    with small.filled(10 * MEGABYTE), pytest.raises(BaseImageError) as caught:
        bases._ready(small.engine, role, lambda _: None)

    assert [] == told(caught.value, *CURE, "by neither road")


def test_the_runner_of_the_labs_on_a_full_disk(small, lab):
    """It says so and ends with the status of a failure."""
    with small.filled(100_000):
        proved = subprocess.run(
            [sys.executable, "-m", "proving.prove", "labs", "P1"],
            env={**os.environ, "PYTHONPATH": str(LABS)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert 1 == proved.returncode
    assert [] == told(ProvingError(proved.stdout), "could not be measured", *CURE)
    assert "Traceback" not in proved.stdout + proved.stderr


def test_a_preflight_on_a_small_disk(small, lab, monkeypatch):
    """It is red for the disk, and the image that is tried works as long as it fits."""
    monkeypatch.setenv("PROVING_BASES", "build")  # no registry is asked
    monkeypatch.setenv("PROVING_CLUSTER", "none")
    roomy = answers()
    with small.filled(0):
        full = answers()

    assert ("full", "works") == (roomy["disk"], roomy["trial"])
    assert ("full", "no-build") == (full["disk"], full["trial"])


def answers() -> dict[str, str]:
    """Return what a preflight of this machine says, by check."""
    found = judge(facts.gather(lambda _: None, start=False)).findings
    return {one.check.id: one.outcome.id for one in found}


def test_a_private_engine_that_is_stopped_keeps_its_data(small):
    """Nothing of it runs, and started again it has the images that it had."""
    before = leftovers.inventory(small.engine.docker).images
    private.stop(lambda _: None)
    running, bridge = private._processes(), Path(f"/sys/class/net/{private._bridge()}").exists()
    socket = private.socket().exists()
    again = engines.Engine(private.start(), "a test")

    assert ([], False, False) == (running, bridge, socket)
    assert before
    assert before == leftovers.inventory(again.docker).images
