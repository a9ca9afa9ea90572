"""A pod on an engine alone: its files are exchanged at once, and it outlives its containers."""

import io
import subprocess
import tarfile

import pytest
from proving import pod
from proving.errors import ContainerError
from proving.pod import Pod


class Folder:
    """A folder of this machine in the place of a volume."""

    def __init__(self, path):
        self.path = path

    def write(self, stamp, files):
        """Do what a pod has its sandbox do."""
        with tarfile.open(fileobj=io.BytesIO(pod._tar(stamp, files))) as tar:
            if hasattr(tarfile, "data_filter"):  # not there in Python 3.11 before 3.11.4
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(self.path)  # noqa: S202 - we have made it
        script = pod._EXCHANGE.format(folder=self.path, stamp=stamp)
        subprocess.run(["sh", "-c", script], check=True)

    def names(self):
        """Return the names of what is there, sorted."""
        return sorted(path.name for path in self.path.iterdir())


@pytest.fixture
def folder(tmp_path):
    """A folder without files."""
    return Folder(tmp_path)


def test_files_are_links_by_way_of_one_link(folder):
    """As kubelet writes them, so that one rename exchanges all of them."""
    folder.write("..stamp-1", {"a.json": b"1", "b": b"2"})

    assert ["..data", "..stamp-1", "a.json", "b"] == folder.names()
    assert "..data/a.json" == str((folder.path / "a.json").readlink())
    assert "..stamp-1" == str((folder.path / "..data").readlink())
    assert b"1" == (folder.path / "a.json").read_bytes()
    assert 0o644 == (folder.path / "b").stat().st_mode & 0o777


def test_an_exchange_keeps_the_links(folder):
    """What is open goes on showing the old file, and nothing of the old folder is left."""
    folder.write("..stamp-1", {"a": b"old"})
    link = (folder.path / "a").lstat().st_ino
    with (folder.path / "a").open("rb") as opened:
        folder.write("..stamp-2", {"a": b"new", "more": b"x"})
        before = opened.read()

    assert link == (folder.path / "a").lstat().st_ino
    assert (b"old", b"new") == (before, (folder.path / "a").read_bytes())
    assert ["..data", "..stamp-2", "a", "more"] == folder.names()


def test_what_is_not_among_the_new_files_is_gone(folder):
    """Kubelet removes the links that lead nowhere, too."""
    folder.write("..stamp-1", {"a": b"old", "b": b"old"})
    folder.write("..stamp-2", {"b": b"new"})

    assert ["..data", "..stamp-2", "b"] == folder.names()


def test_a_closed_pod_says_so():
    """A cell that is run again without its `with` is told what to do."""
    with pytest.raises(ContainerError, match="`with`"):
        Pod(None, {}, "/etc/app").address(8080)


@pytest.mark.engine
@pytest.mark.parametrize("in_memory", [False, True])
def test_a_pod_on_an_engine(nothing_left, tmp_path, in_memory):
    """A container sees the files, cannot write them, and sees the new ones after an exchange."""
    from proving.lab import Lab

    dockerfile = 'ARG SLIM=debian:13-slim\nFROM ${SLIM}\nCMD ["sleep", "infinity"]\n'
    (tmp_path / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    look = ["sh", "-c", "cat /run/secrets/token; touch /run/secrets/x 2>/dev/null; echo $?"]
    with (
        Lab("08-runtime-configuration") as lab,
        Pod(lab, {"token": b"one"}, "/run/secrets", in_memory=in_memory) as held,
        held.start(lab.build(tmp_path)) as container,
    ):
        mounts = container.exec(["grep", "/run/secrets", "/proc/mounts"]).output.decode()
        before = container.exec(look).output.decode()
        held.write({"token": b"two"})
        after = container.exec(look).output.decode()
        container.restart(1)
        restarted = container.exec(look).output.decode()

    assert ("one1\n", "two1\n", "two1\n") == (before, after, restarted)
    assert in_memory == (" tmpfs " in mounts)
