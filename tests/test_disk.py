"""A disk without space is recognised by the words of whoever met it, and told with a cure."""

from __future__ import annotations

import errno
import platform
from pathlib import Path
from types import SimpleNamespace

import pytest
from docker.errors import APIError
from proving import bases, disk
from proving.errors import BaseImageError, DiskFull, EngineError

STEP = """#5 [2/2] RUN head -c 600M /dev/zero > /big
#5 sha256:e63d4d8e5a25b2807fe7993e55687131836bc13f25fcf40daa08263368c9edf0
#5 0.351 head: error writing 'standard output': No space left on device
#5 ERROR: executor failed running [/bin/sh -c head -c 600M /dev/zero > /big]: exit code: 1
------
 > [2/2] RUN head -c 600M /dev/zero > /big:
------
executor failed running [/bin/sh -c head -c 600M /dev/zero > /big]: exit code: 1
"""
CONTEXT = """#5 [internal] load build context
#5 transferring context: 333.41MB 5.4s done
#5 ERROR: write /data/overlay2/c2a3/diff/big: no space left on device
"""
RECORDS = """#1 [internal] load build definition from Dockerfile
#1 ERROR: failed to create lease: write /data/buildkit/containerdmeta.db: no space left on device
"""
PACKAGES = """#6 [2/2] RUN apt-get install -y nginx
#6 3.1 E: You don't have enough free space in /var/cache/apt/archives/.
#6 ERROR: executor failed running [/bin/sh -c apt-get install -y nginx]: exit code: 100
"""
ANSWER = "Error response from daemon: write /data/overlay2/5bc2/link: no space left on device\n"
QUOTED = """#5 [2/3] RUN echo No space left on device
#5 0.101 No space left on device
#5 DONE 0.2s
#6 [3/3] RUN false
#6 ERROR: executor failed running [/bin/sh -c false]: exit code: 1
------
 > [3/3] RUN false:
------
"""


@pytest.mark.parametrize("progress", [STEP, CONTEXT, RECORDS, PACKAGES, ANSWER])
def test_a_full_disk_is_recognised(progress):
    """In a step's output, a context's transfer, the engine's records or its answer alone."""
    assert disk.is_full(progress)


@pytest.mark.parametrize("progress", [QUOTED, "", STEP.replace("No space left on device", "why")])
def test_another_failure_is_no_full_disk(progress):
    """What a step that ended well has printed does not count."""
    assert not disk.is_full(progress)


def an_engine(root: Path, name: str, kernel: str = platform.release()) -> SimpleNamespace:
    """Return an engine that has its data in a folder."""
    info = {"DockerRootDir": str(root), "Name": name, "KernelVersion": kernel}
    return SimpleNamespace(docker=SimpleNamespace(info=lambda: info))


@pytest.fixture
def usage(monkeypatch):
    """Have every file system be of one GB, with so much space."""

    def of(free_bytes: int, total_bytes: int = 10**9) -> None:
        found = SimpleNamespace(free=free_bytes, total=total_bytes)
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: found)

    return of


def test_the_sentence_tells_how_much_there_is(usage, tmp_path):
    """Where the engine's data lie on this machine, its file system can be asked."""
    usage(3_000_000)
    told = disk.sentence(an_engine(tmp_path, platform.node()))

    assert told.startswith("The engine's disk is full. Its data lie in ")
    assert f"{tmp_path}, where 3 MB of 1 GB are free at this moment. Free some space" in told
    assert told.endswith(disk.CURE)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [("docker-desktop", platform.release()), (platform.node(), "6.1.0-another")],
)
def test_another_machine_s_disk_is_not_told(usage, tmp_path, name, kernel):
    """A folder of the same name here says nothing about the disk of a virtual machine."""
    usage(3_000_000)
    told = disk.sentence(an_engine(tmp_path, name, kernel))

    assert f"Its data lie in {tmp_path} on the engine's machine." in told
    assert "are free" not in told


def test_space_that_is_there_is_not_denied(usage, tmp_path):
    """A step may have filled another place, or may need more for a while."""
    usage(79 * 10**9, 250 * 10**9)
    told = disk.sentence(an_engine(tmp_path, platform.node()))

    assert told.startswith("There was no space left, though the engine's disk has some")
    assert "79 GB of 250 GB are free" in told


def test_an_engine_that_does_not_answer_is_told_of_all_the_same():
    """The cure stands without figures."""

    def info():
        raise ConnectionError

    told = disk.sentence(SimpleNamespace(docker=SimpleNamespace(info=info)))

    assert f"The engine's disk is full. {disk.CURE}" == told


def test_this_machine_s_disk_is_told_by_a_folder_that_is_there(usage, tmp_path):
    """The file that could not be written may have no folder yet."""
    usage(0)
    told = disk.sentence_here(tmp_path / "not" / "there" / "file")

    assert f"{tmp_path} has 0 B of 1 GB free." in told
    assert "TMPDIR" in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="full(4) is of Linux")
def test_a_write_that_finds_no_space_is_told():
    """A temporary file says what /dev/full says."""
    with pytest.raises(DiskFull, match="The disk of this machine is full"), disk.telling(None):
        Path("/dev/full").write_bytes(b"layers")


def test_an_engine_s_refusal_for_want_of_space_is_told(tmp_path):
    """What the engine cannot write is not on this machine's disk."""
    refused = APIError("500", explanation="write /data/x/link: no space left on device")

    with (
        pytest.raises(DiskFull, match="The engine's disk is full"),
        disk.telling(an_engine(tmp_path, "elsewhere")),
    ):
        raise refused


@pytest.mark.parametrize(
    "error", [APIError("409", explanation="in use"), OSError(errno.EACCES, "Permission denied")]
)
def test_other_errors_pass(error):
    """They are not about space, and are told by others."""
    with pytest.raises(type(error)) as caught, disk.telling(None):
        raise error

    assert error is caught.value


def test_a_base_that_cannot_be_kept_here_is_told(monkeypatch, usage):
    """The archive of a base that is built goes through a temporary file of this machine."""

    def build(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    usage(0)
    role = bases.Role("BIG", "no.such/big:1", build, lambda: "a test's")
    monkeypatch.setenv("PROVING_BASES", "build")
    monkeypatch.setattr(bases, "_local", lambda *_: None)

    with pytest.raises(BaseImageError, match=r"by neither road.*The disk of this machine is full"):
        bases._ready(None, role, lambda _: None)


def test_a_root_file_system_that_does_not_fit_is_told(usage):
    """The program that makes it says so, and is quoted."""
    usage(0)
    command = ["sh", "-c", "echo 'tar: write error: No space left on device' >&2; exit 2"]

    with Path("/dev/null").open("wb") as archive, pytest.raises(DiskFull) as caught:
        bases._write_root_file_system(command, archive, "build a base")

    assert "The disk of this machine is full" in str(caught.value)
    assert "tar: write error" in str(caught.value)


def test_a_pull_that_does_not_fit_is_told(monkeypatch, tmp_path):
    """The engine tells it in the middle of its progress, after the status of success."""

    def pull(*_, **__):
        yield {"status": "Extracting"}
        yield {"error": "failed to register layer: write /usr/x: no space left on device"}

    engine = an_engine(tmp_path, "elsewhere")
    engine.docker.api = SimpleNamespace(pull=pull)
    impatient = SimpleNamespace(
        images=SimpleNamespace(get_registry_data=lambda _: None), close=lambda: None
    )
    engine.connect = lambda timeout_seconds: impatient
    monkeypatch.setattr(bases, "_local", lambda *_: None)

    assert "The engine's disk is full" in bases.pull(engine, "debian:13-slim", lambda _: None)


def test_a_base_s_own_build_that_does_not_fit_is_told(monkeypatch, tmp_path):
    """It is built by BuildKit like an arm, and says the same."""
    engine = an_engine(tmp_path, "elsewhere")
    engine.builder = SimpleNamespace(command=lambda: ["docker", "build"], environment={})
    failed = SimpleNamespace(returncode=1, stderr=STEP)
    monkeypatch.setattr(bases.subprocess, "run", lambda *_, **__: failed)

    with pytest.raises(EngineError, match=r"(?s)The engine's disk is full.*Its build failed"):
        bases._python(engine, "a:1", {})
