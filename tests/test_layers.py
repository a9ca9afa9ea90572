"""What the layers of an image weigh, and what later layers hide of earlier ones."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import archives
import pytest
from archives import chunks, config, directory, hard_link, symbolic_link, tar
from proving import archive, layers
from proving.archive import Changeset
from proving.layers import Contents, describe, dive_wasted_bytes, instruction


def changeset(*members: Any) -> Changeset:
    """Return what a layer of these members adds and removes; a name alone is an empty file."""
    made = [(member, b"") if isinstance(member, str) else member for member in members]
    return archive.read_layer(archive._Chunks([tar(*made)]), transfer_bytes=0)


def file(name: str, size_bytes: int) -> tuple[str, bytes]:
    """Return a file of a size."""
    return name, b"x" * size_bytes


def contents(*stack: Changeset, of_base: int = 0) -> Contents:
    """Return what a stack of layers comes to."""
    return describe(stack, (), of_base)


def removed(found: Contents) -> list[int]:
    """Return what of each layer later ones remove, in bytes."""
    return [layer.removed_bytes for layer in found.layers]


def rewritten(found: Contents) -> list[int]:
    """Return what of each layer later ones have again, in bytes."""
    return [layer.rewritten_bytes for layer in found.layers]


class TestHidden:
    """What a later layer hides is wasted in the layer that has it."""

    def test_nothing(self):
        """Files that stay are no waste, whatever comes beside them."""
        found = contents(
            changeset(directory("a"), file("a/one", 10)),
            changeset(directory("a"), file("a/two", 5)),
        )

        assert [0, 0] == removed(found) == rewritten(found)
        assert {"a/one": 10, "a/two": 5} == found.files
        assert (15, 0) == (found.unpacked_bytes, found.wasted_bytes)

    def test_a_removed_file(self):
        """It is carried all the same."""
        found = contents(
            changeset(directory("a"), file("a/one", 10), file("a/onetwo", 3)),
            changeset(directory("a"), "a/.wh.one"),
        )

        assert [10, 0] == removed(found)
        assert [0, 0] == rewritten(found)
        assert {"a/onetwo": 3} == found.files
        assert {"a/one", "a/onetwo"} == found.carried

    def test_a_removed_directory(self):
        """One whiteout hides all that is in it, however deep and from whatever layer."""
        found = contents(
            changeset(directory("a"), directory("a/b"), file("a/b/one", 10), file("ab", 1)),
            changeset(directory("a"), file("a/two", 5)),
            changeset(".wh.a"),
        )

        assert [10, 5, 0] == removed(found)
        assert {"ab": 1} == found.files

    def test_a_directory_that_is_in_no_layer_by_itself(self):
        """An archive that was imported may have files alone."""
        found = contents(changeset(file("a/b/one", 10)), changeset("a/.wh.b"))

        assert [10, 0] == removed(found)

    def test_an_opaque_directory(self):
        """It was removed and made again: what was in it is hidden, what is put in it is not."""
        found = contents(
            changeset(directory("a"), file("a/one", 10), file("a/two", 7), file("b", 1)),
            changeset(directory("a"), "a/.wh..wh..opq", file("a/three", 3)),
        )

        assert [17, 0] == removed(found)
        assert {"a/three": 3, "b": 1} == found.files

    def test_a_file_that_is_again_in_an_opaque_directory(self):
        """It is written twice, as it is where the directory was left."""
        found = contents(
            changeset(directory("a"), file("a/one", 10), file("a/two", 7)),
            changeset(directory("a"), "a/.wh..wh..opq", file("a/one", 11)),
        )

        assert [7, 0] == removed(found)
        assert [10, 0] == rewritten(found)

    def test_an_opaque_root(self):
        """All of the base is hidden."""
        found = contents(changeset(file("a", 10), file("b/c", 1)), changeset(".wh..wh..opq"))

        assert [11, 0] == removed(found)
        assert {} == found.files

    def test_a_file_that_is_written_twice(self):
        """A `chmod` is enough: a layer has whole files."""
        found = contents(
            changeset(file("one", 10)),
            changeset(file("one", 10)),
            changeset(file("one", 4)),
        )

        assert [10, 10, 0] == rewritten(found)
        assert [0, 0, 0] == removed(found)
        assert {"one": 4} == found.files
        assert 24 == found.unpacked_bytes

    def test_a_file_that_is_written_removed_and_written(self):
        """Between the layers that have it, one removes it."""
        found = contents(
            changeset(file("one", 10)), changeset(".wh.one"), changeset(file("one", 4))
        )

        assert [10, 0, 0] == removed(found)
        assert [0, 0, 0] == rewritten(found)
        assert {"one": 4} == found.files

    def test_removed_twice(self):
        """Bytes are wasted once."""
        found = contents(changeset(file("one", 10)), changeset(".wh.one"), changeset(".wh.one"))

        assert [10, 0, 0] == removed(found)

    def test_a_file_in_the_place_of_a_directory(self):
        """The new file hides all that was in the directory."""
        found = contents(
            changeset(directory("a"), file("a/one", 10), directory("a/b"), file("a/b/two", 5)),
            changeset(file("a", 3)),
        )

        assert [15, 0] == removed(found)
        assert {"a": 3} == found.files

    def test_a_link_in_the_place_of_a_directory(self):
        """As where `/var/www` is moved away and linked to."""
        found = contents(
            changeset(directory("a"), file("a/one", 10)), changeset(symbolic_link("a", "b"))
        )

        assert [10, 0] == removed(found)
        assert {"a": 0} == found.files

    def test_a_directory_in_the_place_of_a_file(self):
        """The layer has the path again, though not as a file."""
        found = contents(changeset(file("a", 10)), changeset(directory("a"), file("a/one", 3)))

        assert 10 == found.layers[0].wasted_bytes
        assert {"a/one": 3} == found.files

    def test_a_directory_that_is_told_again_hides_nothing(self):
        """Layers name the directories in which they change something."""
        found = contents(changeset(directory("a"), file("a/one", 10)), changeset(directory("a")))

        assert 0 == found.wasted_bytes


class TestHardLinks:
    """A content with several names is there once."""

    TWO = (file("one", 10), hard_link("two", "one"))

    def test_it_counts_once(self):
        """The first name has the size."""
        found = contents(changeset(*self.TWO))

        assert 10 == found.unpacked_bytes
        assert {"one": 10, "two": 0} == found.files

    @pytest.mark.parametrize("name", ["one", "two"])
    def test_one_name_less(self, name):
        """The content is still seen by the other name, which then has the size."""
        (other,) = {"one", "two"} - {name}
        found = contents(changeset(*self.TWO), changeset(f".wh.{name}"))

        assert [0, 0] == removed(found)
        assert {other: 10} == found.files

    def test_all_names_gone(self):
        """In different layers, too."""
        found = contents(changeset(*self.TWO), changeset(".wh.one"), changeset(".wh.two"))

        assert [10, 0, 0] == removed(found)

    def test_a_name_that_is_written_again(self):
        """Only when the last name is gone, the content is wasted."""
        once = contents(changeset(*self.TWO), changeset(file("one", 4)))
        twice = contents(changeset(*self.TWO), changeset(file("one", 4)), changeset(file("two", 4)))

        assert [0, 0] == rewritten(once)
        assert {"one": 4, "two": 10} == once.files
        assert [10, 0, 0] == rewritten(twice)

    def test_a_content_that_is_written_again_with_all_names(self):
        """What a package's upgrade does."""
        found = contents(changeset(*self.TWO), changeset(*self.TWO))

        assert [10, 0] == rewritten(found)
        assert 20 == found.unpacked_bytes


class TestBase:
    """What is told of the base, and what of the image's own layers."""

    @pytest.fixture
    def found(self) -> Contents:
        """An image of two layers of a base and two of its own."""
        return contents(
            changeset(file("base", 100), file("log", 50)),
            changeset(file("base2", 20)),
            changeset(file("log", 60), file("lists", 30)),
            changeset(".wh.lists"),
            of_base=2,
        )

    def test_whose_a_layer_is(self, found):
        """The lowest layers are the base's."""
        assert [True, True, False, False] == [layer.from_base for layer in found.layers]
        assert found.layers[2:] == found.added

    def test_whose_the_waste_is(self, found):
        """A RUN still rewrites files of its base: that is told apart."""
        assert 80 == found.wasted_bytes
        assert 30 == found.added_wasted_bytes
        assert 50 == found.base_rewritten_bytes

    def test_what_the_dockerfile_adds(self, found):
        """Beside what the base has."""
        assert 260 == found.unpacked_bytes
        assert 90 == found.added_unpacked_bytes

    def test_what_a_result_tells(self, found):
        """In the shape that every notebook records."""
        expected = {
            "created_by": "",
            "unpacked_bytes": 90,
            "transfer_bytes": 0,
            "wasted_bytes": 30,
            "from_base": False,
        }

        assert expected == found.as_data()[2]


def test_the_bytes_below_a_folder_are_those_that_are_seen():
    """Neither hidden ones count, nor those of a folder whose name begins the same."""
    found = contents(
        changeset(file("var/lib/apt/lists/a", 10), file("var/lib/apt/lists2/b", 5)),
        changeset(file("var/lib/apt/lists/c", 3), "var/lib/apt/lists/.wh.a"),
    )

    assert 3 == found.bytes_below("/var/lib/apt/lists/") == found.bytes_below("var/lib/apt/lists")
    assert 0 == found.bytes_below("srv")


class TestDive:
    """The other tool's definition, with what it misses."""

    @staticmethod
    def both(*stack: Changeset) -> tuple[int, int]:
        """Return what dive reports, and what no container sees."""
        return dive_wasted_bytes(stack), contents(*stack).wasted_bytes

    def test_a_removed_file(self):
        """Both see it."""
        lists = changeset(directory("lists"), file("lists/a", 10), file("lists/b", 5))

        assert (15, 15) == self.both(lists, changeset("lists/.wh.a", "lists/.wh.b"))

    def test_a_removed_directory_is_missed(self):
        """`rm -rf` of a directory in a later layer adds no waste there."""
        lists = changeset(directory("lists"), file("lists/a", 10), file("lists/b", 5))

        assert (0, 15) == self.both(lists, changeset(".wh.lists"))

    def test_the_last_copy_counts(self):
        """A file that is written twice is wasted once, and counts twice there."""
        assert (18, 10) == self.both(changeset(file("one", 10)), changeset(file("one", 8)))

    def test_an_opaque_directory_is_missed(self):
        """Its mark is no leaf there."""
        lower = changeset(directory("a"), file("a/one", 10))

        assert (0, 10) == self.both(lower, changeset(directory("a"), "a/.wh..wh..opq", "a/two"))

    def test_a_directory_that_was_once_empty_counts_with_all_in_it(self):
        """It was a leaf when it was made, and is one again when it is removed."""
        stack = (
            changeset(directory("cache")),
            changeset(directory("cache"), file("cache/a", 10)),
            changeset(".wh.cache"),
        )

        assert (10, 10) == self.both(*stack)

    def test_a_removed_file_that_comes_again(self):
        """All its copies count."""
        stack = (changeset(file("a", 10)), changeset(".wh.a"), changeset(file("a", 4)))

        assert (14, 10) == self.both(*stack)

    def test_the_same_directory_in_many_layers(self):
        """It has no size."""
        stack = (changeset(directory("app")), changeset(directory("app")))

        assert (0, 0) == self.both(*stack)


STATUS = b"""\
Package: nginx
Status: install ok installed
Version: 1.26.3-3

Package: curl
Status: deinstall ok config-files
Version: 8.14.1-2

Package: libc6
Status: install ok installed
Multi-Arch: same
Description: a library
 Package: not-this-one
"""

INSTALLED = b"""\
C:Q1abc=
P:musl
V:1.2.5-r9
P-not:this

C:Q1def=
P:busybox
V:1.37.0-r12
"""


class TestPackages:
    """Which packages an image's own databases list."""

    def test_debian(self):
        """Those that are installed, and not those whose settings alone are left."""
        found = contents(changeset(("var/lib/dpkg/status", STATUS)))

        assert ("libc6", "nginx") == found.packages

    def test_distroless(self):
        """One file for each package, which does not say that it is installed."""
        found = contents(
            changeset(
                ("var/lib/dpkg/status.d/base", b"Package: base-files\nVersion: 12\n"),
                ("var/lib/dpkg/status.d/tzdata", b"Package: tzdata\nVersion: 2026a\n"),
                ("var/lib/dpkg/status.d/tzdata.md5sums", b"0123  usr/share/zoneinfo/UTC\n"),
            )
        )

        assert ("base-files", "tzdata") == found.packages

    @pytest.mark.parametrize("folder", ["lib", "usr/lib"])
    def test_alpine(self, folder):
        """Its database has moved with the merge of `/lib`."""
        found = contents(changeset((f"{folder}/apk/db/installed", INSTALLED)))

        assert ("busybox", "musl") == found.packages

    def test_the_last_database_counts(self):
        """A layer that installs something has the whole database again."""
        found = contents(
            changeset(("var/lib/dpkg/status", STATUS)),
            changeset(("var/lib/dpkg/status", STATUS.replace(b"Package: nginx", b"Package: zip"))),
        )

        assert ("libc6", "zip") == found.packages

    @pytest.mark.parametrize(
        "whiteout",
        ["var/lib/dpkg/.wh.status", "var/lib/.wh.dpkg", ".wh.var", "var/lib/dpkg/.wh..wh..opq"],
    )
    def test_a_database_that_was_removed(self, whiteout):
        """It tells nothing any more, whether it went by itself or with its folder."""
        base = changeset(
            directory("var"),
            directory("var/lib"),
            directory("var/lib/dpkg"),
            ("var/lib/dpkg/status", STATUS),
        )

        assert () == contents(base, changeset(whiteout)).packages

    def test_none(self):
        """An image that was built from nothing has no database."""
        assert () == contents(changeset(file("app", 10))).packages


@pytest.mark.parametrize(
    ("created_by", "expected"),
    [
        ("RUN /bin/sh -c apt-get update # buildkit", "RUN apt-get update"),
        ("RUN |1 VERSION=2 /bin/sh -c make # buildkit", "RUN make"),
        ("RUN |2 A=1 B=two words /bin/sh -c make all # buildkit", "RUN make all"),
        ("RUN |1 A=1 /bin/sh -c sh /bin/sh -c x # buildkit", "RUN sh /bin/sh -c x"),
        ("RUN /bin/bash -o pipefail -c a | b # buildkit", "RUN /bin/bash -o pipefail -c a | b"),
        ("RUN pip install flask # buildkit", "RUN pip install flask"),
        ("RUN /bin/sh -c a &&     b # buildkit", "RUN a && b"),
        ("RUN /bin/sh -c echo '# buildkit' > x # buildkit", "RUN echo '# buildkit' > x"),
        ("COPY . /app # buildkit", "COPY . /app"),
        ("WORKDIR /app", "WORKDIR /app"),
        ("/bin/sh -c make", "RUN make"),
        ("|1 VERSION=2 /bin/sh -c make", "RUN make"),
        ("/bin/sh -c #(nop) COPY file:0123 in /app ", "COPY file:0123 in /app"),
        ('/bin/sh -c #(nop)  CMD ["nginx"]', 'CMD ["nginx"]'),
        ("", ""),
    ],
)
def test_an_instruction_is_as_its_dockerfile_has_it(created_by, expected):
    """Each builder has its own words around it."""
    assert expected == instruction(created_by)


class TestRead:
    """From an archive to what a lab quotes."""

    LAYERS: Sequence[bytes] = (
        tar(directory("etc"), file("etc/release", 100)),
        tar(directory("app"), file("app/data", 5000)),
        bytes(1024),
        tar(directory("app"), ("app/.wh.data", b"")),
    )

    @pytest.fixture(autouse=True)
    def _kept(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(archive.Kept.__init__, "__defaults__", (tmp_path,))

    def read(self, settings: dict[str, Any], of_base: int = 1) -> Contents:
        """Read the layers, as an image with a configuration."""
        content = archives.oci(self.LAYERS, settings)
        base = settings["rootfs"]["diff_ids"][:of_base]
        return layers.read(lambda: chunks(content), base)

    def test_each_layer_has_its_instruction(self):
        """Instructions that make no layer are passed over."""
        settings = config(self.LAYERS)
        settings["history"] = [
            {"created_by": "/bin/sh -c #(nop) ADD file:0 in / "},
            {"created_by": 'CMD ["bash"]', "empty_layer": True},
            {"created_by": "COPY data /app/ # buildkit"},
            {"created_by": "ENV A=1", "empty_layer": True},
            {"created_by": "RUN /bin/sh -c true # buildkit"},
            {"created_by": "RUN /bin/sh -c rm /app/data # buildkit"},
        ]
        found = self.read(settings)
        expected = ["ADD file:0 in /", "COPY data /app/", "RUN true", "RUN rm /app/data"]

        assert expected == [layer.created_by for layer in found.layers]
        assert [0, 5000, 0, 0] == [layer.wasted_bytes for layer in found.layers]
        assert [100, 5000, 0, 0] == [layer.unpacked_bytes for layer in found.layers]
        assert [True, False, False, False] == [layer.from_base for layer in found.layers]

    @pytest.mark.parametrize("history", [None, [], [{"created_by": "RUN /bin/sh -c x # buildkit"}]])
    def test_a_base_that_was_imported_may_have_no_history(self, history):
        """What there is belongs to the upper layers."""
        settings = config(self.LAYERS)
        settings["history"] = history
        found = self.read(settings)

        assert ["", "", ""] == [layer.created_by for layer in found.layers][:3]
        assert ("RUN x" if history else "") == found.layers[3].created_by

    def test_what_a_node_downloads(self):
        """With the base, or without it where the node has that."""
        found = self.read(config(self.LAYERS), of_base=1)

        assert sum(layer.transfer_bytes for layer in found.layers) == found.transfer_bytes
        assert found.layers[0].transfer_bytes == found.transfer_bytes - found.added_transfer_bytes
        assert all(layer.transfer_bytes > 0 for layer in found.layers)


def with_mode(name: str, mode: int) -> tarfile.TarInfo:
    """Return an empty file with these permissions."""
    info = tarfile.TarInfo(name)
    info.mode = mode
    return info


def test_what_may_be_executed():
    """Regular files alone are counted, as the last layer that has them says."""
    found = contents(
        changeset(
            with_mode("bin/su", 0o4755),
            with_mode("bin/wall", 0o2755),
            with_mode("bin/tool", 0o755),
            with_mode("bin/gone", 0o755),
            with_mode("etc/passwd", 0o644),
            symbolic_link("bin/sh", "tool"),
        ),
        changeset("bin/.wh.gone", with_mode("bin/wall", 0o755)),
    )

    assert ("bin/su", "bin/tool", "bin/wall") == found.executables
    assert ("bin/su",) == found.setuid
