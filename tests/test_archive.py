"""What an archive of an image tells of its layers, whichever engine and store wrote it."""

from __future__ import annotations

import gzip
import json
import os
import random
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import archives
import pytest
from archives import chunks, config, digest, directory, gzipped, hard_link, symbolic_link, tar
from proving import archive
from proving.archive import GZIP_LEVEL, Archive, Entry
from proving.errors import CouldNotMeasure
from proving.paths import LABS

EMPTY = bytes(1024)
BASE = tar(directory("etc"), ("etc/release", b"one\n" * 500))
MIDDLE = tar(directory("app"), ("app/data", b"0123456789" * 700))
LAST = tar(directory("app"), ("app/.wh.data", b""), ("app/one", b"1"))
STACK = (BASE, EMPTY, MIDDLE, LAST)


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have a folder of our own for what layers were found to weigh."""
    monkeypatch.setattr(archive.Kept.__init__, "__defaults__", (tmp_path / "kept",))
    return tmp_path / "kept"


def read(content: bytes) -> Archive:
    """Read an archive that is in memory."""
    return archive.read(lambda: chunks(content))


def weight(layer: bytes) -> int:
    """Return the size of a layer compressed by the same codec, with a header of equal length."""
    return len(gzip.compress(layer, compresslevel=GZIP_LEVEL, mtime=0))


def layer_of(*members: Any) -> archive.Changeset:
    """Read one layer."""
    return archive.read_layer(archive._Chunks([tar(*members)]))


def test_the_layout_of_docker_20_10():
    """Layers in folders; of two equal ones, the second is a link to the first."""
    stack = (BASE, EMPTY, MIDDLE, EMPTY)
    found = read(archives.legacy(stack, config(stack))).stack

    assert [digest(layer) for layer in stack] == [layer.diff_id for layer in found]
    assert [2000, 0, 7000, 0] == [layer.unpacked_bytes for layer in found]
    assert [weight(layer) for layer in stack] == [layer.transfer_bytes for layer in found]


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(lambda number, layer: layer, id="uncompressed"),
        pytest.param(lambda number, layer: gzipped(layer), id="gzip"),
        pytest.param(lambda number, layer: gzipped(layer) if number else layer, id="a loaded base"),
        pytest.param(lambda number, layer: gzip.compress(layer, 1), id="by another level"),
    ],
)
def test_the_layout_of_newer_engines(pack: Callable[[int, bytes], bytes]):
    """Blobs in no order; however they are kept, the same is told of them."""
    blobs = [pack(number, layer) for number, layer in enumerate(STACK)]
    found = read(archives.oci(blobs, config(STACK))).stack

    assert [digest(layer) for layer in STACK] == [layer.diff_id for layer in found]
    assert [2000, 0, 7000, 1] == [layer.unpacked_bytes for layer in found]
    assert [weight(layer) for layer in STACK] == [layer.transfer_bytes for layer in found]


def test_the_configuration_is_that_of_the_manifest():
    """Other documents of the archive do not take its place."""
    settings = config(STACK, ["FROM base", "RUN true", "COPY data /app/", "RUN rm /app/data"])

    for content in (archives.legacy(STACK, settings), archives.oci(STACK, settings)):
        assert settings == read(content).config


def test_a_layer_in_several_gzip_members():
    """What lazily pulled layers and parallel compressors write is one layer."""
    blob = b"".join(gzipped(MIDDLE[at : at + 1000]) for at in range(0, len(MIDDLE), 1000))
    found = read(archives.oci([blob + bytes(512)], config([MIDDLE]))).stack

    assert [digest(MIDDLE)] == [layer.diff_id for layer in found]


def test_the_padding_of_a_layer_is_part_of_it():
    """The digest is that of all bytes, also of those after the end of the tar."""
    padded = MIDDLE + bytes(10_240)
    (found,) = read(archives.oci([padded], config([padded]))).stack

    assert digest(padded) == found.diff_id
    assert weight(padded) == found.transfer_bytes


def test_an_image_without_layers():
    """An image `FROM scratch` that sets something alone has none."""
    assert () == read(archives.legacy((), config(()))).stack


def test_what_a_layer_adds_and_removes():
    """Whiteouts are no files of the layer, and neither is the metadata of a union file system."""
    found = layer_of(
        directory("./"),
        directory("./app"),
        ("./app/one", b"12"),
        ("./app/.wh.two", b""),
        (".wh.three", b""),
        directory("data"),
        ("data/.wh..wh..opq", b""),
        (".wh..wh.plnk", b""),
        hard_link("app/same", "./app/one"),
        symbolic_link("app/link", "one"),
    )
    expected = {
        "app": Entry(0, is_directory=True, mode=stat.S_IFDIR | 0o755),
        "app/one": Entry(2, mode=stat.S_IFREG | 0o644),
        "data": Entry(0, is_directory=True, mode=stat.S_IFDIR | 0o755),
        "app/same": Entry(0, link="app/one", mode=stat.S_IFREG | 0o644),
        "app/link": Entry(0, mode=stat.S_IFLNK | 0o644),
    }

    assert expected == found.entries
    assert {"app/two", "three"} == found.whiteouts
    assert {"data"} == found.opaque
    assert 2 == found.unpacked_bytes


def test_the_root_may_be_opaque():
    """A layer that hides everything below it says so without a folder's name."""
    assert (
        {""} == layer_of((".wh..wh..opq", b"")).opaque == layer_of(("./.wh..wh..opq", b"")).opaque
    )


def test_a_long_name_is_whole():
    """Names beyond 100 characters are in a header of their own."""
    name = "/".join(["usr/share/with-a-long-name"] * 12)

    assert {name: Entry(3, mode=stat.S_IFREG | 0o644)} == layer_of((f"/{name}", b"123")).entries


def test_the_databases_of_packages_are_kept():
    """Their contents alone are held in memory."""
    found = layer_of(
        ("var/lib/dpkg/status", b"a"),
        ("./lib/apk/db/installed", b"b"),
        ("var/lib/dpkg/status.d/base-files", b"c"),
        ("var/lib/dpkg/status-old", b"d"),
    )
    expected = {
        "var/lib/dpkg/status": b"a",
        "lib/apk/db/installed": b"b",
        "var/lib/dpkg/status.d/base-files": b"c",
    }

    assert expected == found.databases


class TestBroken:
    """Whatever cannot be read ends in a sentence and gives no figure."""

    WHOLE = archives.oci([gzipped(layer) for layer in STACK], config(STACK)).rstrip(b"\0")

    def test_zstd(self):
        """The sentence says what to do."""
        with pytest.raises(CouldNotMeasure, match=r"zstd.*Build the image again"):
            read(archives.oci([b"\x28\xb5\x2f\xfd" + bytes(600)], config([BASE])))

    @pytest.mark.parametrize("part", [0, 100, 0.3, 0.6, 0.9])
    def test_an_archive_that_breaks_off(self, part):
        """The engine went away in its middle, or before its beginning."""
        end = part if isinstance(part, int) else int(part * len(self.WHOLE))

        with pytest.raises(CouldNotMeasure, match="archive of the image"):
            read(self.WHOLE[:end])

    def test_no_archive(self):
        """An error page of a proxy is none."""
        with pytest.raises(CouldNotMeasure, match="damaged"):
            read(b"<html>" * 500)

    @pytest.mark.parametrize("place", [30, -6])
    def test_a_compressed_layer_that_is_damaged(self, place):
        """In its middle or in its check sum."""
        blob = bytearray(gzipped(tar(("noise", random.Random(1).randbytes(5000)))))  # noqa: S311
        blob[place] ^= 0xFF

        with pytest.raises(CouldNotMeasure, match="archive of the image"):
            read(archives.oci([bytes(blob)], config([BASE])))

    def test_a_layer_with_other_bytes(self):
        """It has another digest, so the one that the configuration names is not there."""
        with pytest.raises(CouldNotMeasure, match="lacks 1 of its 2 layers"):
            read(archives.legacy([BASE, MIDDLE.replace(b"89", b"98")], config([BASE, MIDDLE])))

    @pytest.mark.parametrize("settings", [{}, {"rootfs": None}, {"rootfs": {}}])
    def test_a_configuration_without_layers(self, settings):
        """A manifest list, or what is no image."""
        with pytest.raises(CouldNotMeasure, match="no configuration"):
            read(archives.legacy([BASE], settings))

    @pytest.mark.parametrize("manifest", [b"", b"{}", b"[]", b"null", b'[{"Config": "no"}]'])
    def test_a_manifest_without_a_configuration(self, manifest):
        """Whatever it has instead."""
        with pytest.raises(CouldNotMeasure, match="no configuration"):
            read(tar(("manifest.json", manifest)))


class TestKept:
    """What a layer was found to weigh is kept, so that it is compressed once."""

    NOISE = random.Random(2).randbytes(100_000)  # noqa: S311
    FIRST = tar(("noise", NOISE))
    OTHER = tar(("noise", NOISE[:-1] + b"."))
    COMPRESSIBLE = tar(("noise", NOISE[:80_000] + bytes(20_000)))

    def test_it_is_used(self, kept):
        """The second time, the figure is what was written down."""
        content = archives.legacy([self.FIRST], config([self.FIRST]))
        first = read(content)
        (file,) = kept.iterdir()
        file.write_text(f"{digest(self.FIRST)} 4711\n")
        second = read(content)

        assert [weight(self.FIRST)] == [layer.transfer_bytes for layer in first.stack]
        assert [4711] == [layer.transfer_bytes for layer in second.stack]
        assert first.stack[0].entries == second.stack[0].entries

    def test_another_layer_that_begins_the_same_is_weighed_anew(self):
        """It has the same length too; only its digest tells."""
        read(archives.legacy([self.FIRST], config([self.FIRST])))
        found = read(archives.legacy([self.COMPRESSIBLE], config([self.COMPRESSIBLE]))).stack

        assert len(self.FIRST) == len(self.COMPRESSIBLE)
        assert [digest(self.COMPRESSIBLE)] == [layer.diff_id for layer in found]
        assert [weight(self.COMPRESSIBLE)] == [layer.transfer_bytes for layer in found]
        assert weight(self.FIRST) != weight(self.COMPRESSIBLE)

    def test_two_that_begin_the_same_in_one_image(self):
        """Each gets its own figures."""
        stack = (self.FIRST, self.COMPRESSIBLE, self.OTHER)
        found = read(archives.legacy(stack, config(stack))).stack

        assert [weight(layer) for layer in stack] == [layer.transfer_bytes for layer in found]

    @pytest.mark.parametrize("text", ["", "sha256:1", "sha256:1 many"])
    def test_what_is_kept_badly_is_computed_again(self, text, kept):
        """A disk that was full may have left half a line."""
        content = archives.legacy([self.FIRST], config([self.FIRST]))
        read(content)
        (file,) = kept.iterdir()
        file.write_text(text)

        assert [weight(self.FIRST)] == [layer.transfer_bytes for layer in read(content).stack]

    def test_where_nothing_can_be_kept(self, kept):
        """The figures are computed each time."""
        kept.write_text("a file in the folder's place")
        content = archives.legacy([self.FIRST], config([self.FIRST]))

        assert read(content).stack == read(content).stack


MEASURED = """
import json, re, sys
from pathlib import Path
from archives import Big
from proving import archive, layers
archive.Kept.__init__.__defaults__ = (Path(sys.argv[1]),)
sent = 0
def save():
    global sent
    for chunk in Big(layers=3, files=13_400, file_bytes=16_000, big_bytes=360 << 20).save():
        sent += len(chunk)
        yield chunk
image = archive.read(save, [b"file-2-13399"])
contents = layers.describe(image.stack, [], 0)
print(json.dumps({
    "sent_bytes": sent,
    "found": image.stack[2].found[b"file-2-13399"],
    "files": len(contents.files),
    "unpacked_bytes": contents.unpacked_bytes,
    "transfer_bytes": contents.transfer_bytes,
    "kibibytes": int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]),
}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others have no /proc")
def test_an_image_of_a_gigabyte_takes_little_memory(tmp_path):
    """40,000 files, one of them of 360 MB, read and then searched: no layer is held in memory."""
    paths = os.pathsep.join([str(LABS), str(Path(__file__).parent)])
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path / "kept")],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(result.stdout)

    assert found["sent_bytes"] >= 1_000_000_000
    assert [["usr/share/package-133/file-2-13399", False]] == found["found"]
    assert found["files"] > 40_000
    assert 3 * 13_400 * 16_000 + (360 << 20) == found["unpacked_bytes"]
    assert 1_000_000 < found["transfer_bytes"] < 100_000_000
    # its own peak: getrusage(2) would tell that of the process that has started it, if larger
    assert found["kibibytes"] * 1024 < 150_000_000


class TestSearch:
    """Wanted bytes are found in all that a layer's tar consists of, and their place is named."""

    TOKEN = b"token-0123456789abcdef"

    def found(self, *members, pieces=1000, pack=bytes):
        """Search a layer that comes in pieces of a size."""
        content = archive._Chunks(chunks(pack(tar(*members)), pieces))
        return list(archive.read_layer(content, 0, [self.TOKEN]).found[self.TOKEN])

    @pytest.mark.parametrize("pieces", [1, 7, 511, 512, 1000, 1 << 20])
    @pytest.mark.parametrize("pack", [bytes, gzipped])
    def test_the_content_of_files(self, pieces, pack):
        """At the beginning, at the end and in the middle, in pieces of any size."""
        found = self.found(
            ("one", self.TOKEN + b" and more"),
            ("two", b"another"),
            ("etc/three", b"-" * 700 + self.TOKEN * 2),
            ("four", b"x" * 1023 + self.TOKEN + b"x" * 3000),
            ("five", self.TOKEN[:-1]),
            pieces=pieces,
            pack=pack,
        )

        assert [("one", True), ("etc/three", True), ("four", True)] == found

    def test_over_the_border_of_what_is_read_at_once(self):
        """A tar is read in pieces of a mebibyte, and a token may lie across their border."""
        for before in (-2048, -530, -523, -513, -512, -500):
            content = b"." * ((1 << 20) + before) + self.TOKEN + b"." * 5000

            assert [("file", True)] == self.found(("file", content)), before

    def test_two_files_that_only_together_have_it(self):
        """What one file ends with and the next begins with is no finding: a header lies between."""
        assert [] == self.found(("one", self.TOKEN[:9]), ("two", self.TOKEN[9:]))

    def test_names_and_links(self):
        """A name tells as much as a content."""
        token = self.TOKEN.decode()
        found = self.found(
            directory(f"tmp/{token}"),
            (f"tmp/{token}/file", b"-"),
            symbolic_link("link", f"/tmp/{token}"),
            ("app/.wh." + token, b""),
            ("long/" * 30 + token, b"-"),
        )
        expected = [
            f"tmp/{token}",
            f"tmp/{token}/file",
            "link",
            f"app/.wh.{token}",
            "long/" * 30 + token,
        ]

        assert [(path, False) for path in expected] == found

    def test_a_name_that_its_header_has_in_two_parts(self):
        """A name of up to 255 bytes may be cut at a slash (ustar), with other fields between."""
        wanted = b"x" * 20 + b"/" + b"y" * 90
        info = tarfile.TarInfo("some/" * 8 + wanted.decode())
        header = info.tobuf(tarfile.USTAR_FORMAT)
        found = archive.read_layer(archive._Chunks([header + bytes(1024)]), 0, [wanted]).found[
            wanted
        ]

        assert wanted not in header
        assert [(info.name, False)] == list(found)

    def test_extended_attributes(self):
        """They are in a header before the file's own."""
        info = tarfile.TarInfo("file")
        info.pax_headers = {"SCHILY.xattr.user.token": self.TOKEN.decode()}

        assert [("file", False)] == self.found(("before", b"-" * 600), info, ("after", b"-"))

    def test_what_follows_the_last_file(self):
        """It belongs to no file, and is part of the layer."""
        layer = tar(("file", b"content")) + self.TOKEN
        found = archive.read_layer(archive._Chunks([layer]), 0, [self.TOKEN]).found[self.TOKEN]

        assert [("", True)] == list(found)

    def test_every_layer_of_an_image_and_its_documents(self):
        """A file that a later layer removes is found where it is; an attestation is a document."""
        stack = (BASE, tar(("token", self.TOKEN)), tar((".wh.token", b"")))
        content = archives.oci([gzipped(layer) for layer in stack], config(stack))
        image = archive.read(lambda: chunks(content), [self.TOKEN, b"one"])

        assert [(), (("token", True),), ()] == [layer.found[self.TOKEN] for layer in image.stack]
        assert [["etc/release"], [], []] == [
            [place.path for place in layer.found[b"one"]] for layer in image.stack
        ]
        assert {"manifest.json", "index.json"} <= set(image.documents)
        assert [weight(layer) for layer in stack] == [layer.transfer_bytes for layer in image.stack]

    def test_without_anything_wanted_nothing_is_found(self):
        """As for all who only want to know what an image weighs."""
        assert {} == layer_of(("token", self.TOKEN)).found
