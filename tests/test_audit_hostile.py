"""Archives that strangers have made: each ends with a sentence or a right answer, bounded."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import resource
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from archives import chunks, config, digest, directory, hard_link, legacy, oci, symbolic_link, tar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proving import layers
from proving.audit import archive_checks, dive, visible
from proving.audit.reader import ImageRead, Limits, clean, read
from proving.errors import CouldNotMeasure

SAID = "The archive"
FUZZED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@pytest.fixture(autouse=True)
def _weighed_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proving import archive

    monkeypatch.setattr(archive.Kept.__init__, "__defaults__", (tmp_path / "kept",))


def image_of(*stack: bytes) -> bytes:
    """Return an archive of these layers."""
    return legacy(stack, config(stack))


def read_all(archive: bytes, **limits: float) -> ImageRead:
    """Read an archive that comes in pieces which keep to no border."""
    return read(chunks(archive, 1777), limits=Limits(**limits) if limits else None)  # type: ignore[arg-type]


def blob(content: bytes) -> str:
    """Return the name of a blob in an OCI archive."""
    return f"blobs/sha256/{digest(content).removeprefix('sha256:')}"


@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_archive_is_told(part: float, packed: bool) -> None:
    archive = image_of(tar(("a", b"1" * 5000)), tar(("b", b"2" * 5000)))
    if packed:
        archive = gzip.compress(archive)

    with pytest.raises(CouldNotMeasure, match=SAID):
        read_all(archive[: int(len(archive) * part)])


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"no archive at all",
        b"\x1f\x8b",
        b"\x1f\x8b" + b"x" * 600,
        b"\x28\xb5\x2f\xfd" + b"x" * 600,
        bytes(10_240),
        bytes(range(256)) * 20,
        tar(("etc/passwd", b"root:x:0:0::/:/bin/sh")),
        b"#!/bin/sh\n" * 200,
    ],
)
def test_what_is_no_archive_of_an_image_is_told(archive: bytes) -> None:
    with pytest.raises(CouldNotMeasure, match=SAID):
        read_all(archive)


@pytest.mark.parametrize(
    ("name", "path", "odd"),
    [
        ("usr/bin/env", "usr/bin/env", False),
        ("./usr//bin/./env/", "usr/bin/env", False),
        ("/etc/passwd", "etc/passwd", False),
        ("../../etc/passwd", "etc/passwd", True),
        ("usr/../../etc", "etc", True),
        ("usr/../etc", "etc", False),
        ("..", "", True),
        (".", "", False),
        ("...", "...", False),
        ("a/..b", "a/..b", False),
    ],
)
def test_a_path_cannot_lead_out_of_the_root(name: str, path: str, odd: bool) -> None:
    assert (path, odd) == clean(name)


def test_names_that_lead_out_are_counted_and_reach_nothing(tmp_path: Path) -> None:
    layer = tar(("../../outside", b"1"), (f"{tmp_path}/absolute", b"2"), ("..", b"3"))

    image = read_all(image_of(layer))

    assert {"outside", f"{tmp_path}/absolute".strip("/")} == set(image.stack[0].entries)
    assert 2 == image.layers[0].odd_names
    assert not list(tmp_path.iterdir())


def test_links_that_loop_are_links() -> None:
    layer = tar(
        symbolic_link("a", "b"),
        symbolic_link("b", "a"),
        symbolic_link("self", "self"),
        hard_link("c", "d"),
        hard_link("d", "c"),
        hard_link("e", "e"),
        hard_link("f", "../../nowhere"),
    )

    findings, facts = archive_checks.check(read_all(image_of(layer)))

    assert len(findings) == 10
    assert 0 == facts["unpacked_bytes"]


def test_layers_of_the_archive_that_are_links_to_themselves_are_missing() -> None:
    layer = tar(("a", b"1"))
    settings_of_image = json.dumps(config([layer])).encode()
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["l/layer.tar"]}]
    archive = tar(
        symbolic_link("l/layer.tar", "../l/layer.tar"),
        ("c.json", settings_of_image),
        ("manifest.json", json.dumps(manifest).encode()),
    )

    with pytest.raises(CouldNotMeasure, match="lacks 1 of the 1 layers"):
        read_all(archive)


def test_a_blob_that_is_not_what_its_name_says_is_told() -> None:
    layer, other = tar(("a", b"1")), tar(("a", b"2"))
    archive = oci([layer], config([layer])).replace(layer[:1024], other[:1024])

    with pytest.raises(CouldNotMeasure, match=f"what it calls {digest(layer)} is {digest(other)}"):
        read_all(archive)


def test_a_configuration_that_is_not_what_its_name_says_is_told() -> None:
    layer = tar(("a", b"1"))
    archive = oci([layer], config([layer])).replace(
        b'"architecture": "any"', b'"architecture": "ANY"'
    )

    with pytest.raises(CouldNotMeasure, match="is damaged: what it calls"):
        read_all(archive)


def test_a_missing_blob_is_told() -> None:
    layer, other = tar(("a", b"1")), tar(("b", b"2"))

    with pytest.raises(CouldNotMeasure, match="lacks 1 of the 2 layers"):
        read_all(oci([layer], config([layer, other])))


def index_of(*manifests: object) -> bytes:
    """Return an OCI archive whose index lists these."""
    return tar(
        ("oci-layout", b"{}"), ("index.json", json.dumps({"manifests": list(manifests)}).encode())
    )


@pytest.mark.parametrize(
    "archive",
    [
        index_of(),
        index_of(7, None, "x"),
        index_of({"digest": "sha256:" + "0" * 64}),
        index_of({"digest": "md5:1"}),
        index_of({"digest": {"a": 1}}),
        index_of({"digest": "sha256:../../../../etc/passwd"}),
        tar(("index.json", b"[1]")),
        tar(("index.json", b"{")),
        tar(("index.json", b"[" * 200_000)),
        tar(("manifest.json", b"{}")),
        tar(("manifest.json", b"[]")),
        tar(("manifest.json", b"[1]")),
        tar(("manifest.json", b'[{"Config": ["x"]}]')),
        tar(("manifest.json", b'[{"Config": "x"}, {"Config": "y"}]')),
        tar(("manifest.json", b'[{"Config": "c"}]'), ("c", b"[]")),
        tar(("manifest.json", b'[{"Config": "c"}]'), ("c", b'{"rootfs": 1}')),
        tar(("manifest.json", b'[{"Config": "c"}]'), ("c", b'{"rootfs": {"diff_ids": [{}]}}')),
        tar(("manifest.json", b'[{"Config": "c"}]'), ("c", b"\xff\xfe")),
    ],
)
def test_documents_that_make_no_sense_are_told(archive: bytes) -> None:
    with pytest.raises(CouldNotMeasure, match=SAID):
        read_all(archive)


def test_an_index_that_leads_to_itself_ends() -> None:
    """It cannot name its own digest; the first of a chain without an end can be made up."""
    inner = b'{"manifests": []}'
    members = []
    for _ in range(20):
        members.append((blob(inner), inner))
        entry = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest(inner)}
        inner = json.dumps({"manifests": [entry]}).encode()

    with pytest.raises(CouldNotMeasure, match="lead to each other"):
        read_all(tar(*members, ("index.json", inner)))


@pytest.mark.parametrize(
    "settings_of_image",
    [
        {"config": 1, "history": 2, "architecture": [], "os": {}},
        {"config": {"Env": [1, None, "A"], "Cmd": "x", "Labels": [1], "User": 3}},
        {"config": {"ExposedPorts": ["80"], "Healthcheck": 1, "Entrypoint": [[], {}]}},
        {"config": None, "history": [1, {"created_by": 7, "empty_layer": "x"}]},
        {"history": [{"created_by": "RUN x"}] * 1000},
        {"config": {"Env": ["=", "", "=x", "\x1b[2J=\x1b"], "User": "\x1b]0;x\x07"}},
    ],
)
def test_a_configuration_of_other_types_gives_findings(
    settings_of_image: dict[str, object],
) -> None:
    layer = tar(("a", b"1"))

    findings, facts = archive_checks.check(
        read_all(legacy([layer], {**config([layer]), **settings_of_image}))
    )

    told = json.dumps([[one.as_data() for one in findings], facts], ensure_ascii=False)
    assert not [character for character in told if character < " " or character == "\x7f"]


def test_terminal_escapes_in_names_are_told_by_their_codes() -> None:
    escape = "\x1b[2J\x9b\u202e\r\n"
    evil = tarfile.TarInfo(f"usr/bin/{escape}")
    evil.mode = 0o6777
    layer = tar(evil, (f".env/{escape}/.env", b"A=1"), (f"tmp/{escape}.aws/credentials", b"x"))
    settings_of_image = {
        "config": {
            "User": escape,
            "Cmd": ["/bin/sh", "-c", escape],
            "Labels": {f"{escape}TOKEN": f"x1{escape}"},
            "Env": [f"{escape}_PASSWORD=x1{escape}"],
            "ExposedPorts": {escape: {}},
            "Volumes": {escape: {}},
            "Healthcheck": {"Test": ["CMD", escape]},
            "StopSignal": escape,
        },
        "history": [{"created_by": f"RUN {escape} PASSWORD=x1{escape}"}],
        "architecture": escape,
        "os": escape,
    }

    findings, facts = archive_checks.check(
        read_all(legacy([layer], {**config([layer]), **settings_of_image}))
    )

    told = repr([[one.as_data() for one in findings], facts])
    texts = _texts([[one.as_data() for one in findings], facts])
    assert not [one for one in texts if any(sign in one for sign in "\x1b\x9b\u202e\r\n")]
    assert "\\\\x1b[2J" in told


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize(
    "name",
    [".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh...", "/.wh...", ".wh..wh.", ".wh..wh.plnk/1"],
)
def test_whiteouts_that_remove_nothing_remove_nothing(name: str) -> None:
    below, above = tar(directory("a"), ("a/b", b"12345")), tar((name, b""))

    findings, facts = archive_checks.check(read_all(image_of(below, above)))

    assert 0 == facts["hidden_bytes"]
    assert len(findings) == 10


@pytest.mark.parametrize(
    ("name", "hidden_bytes"),
    [
        (".wh.a", 5),
        ("./.wh.a", 5),
        ("/.wh.a", 5),
        ("../.wh.a", 5),
        ("a/.wh.b", 5),
        ("a/.wh..wh..opq", 5),
        (".wh..wh..opq", 5),
        (".wh.missing", 0),
        ("a/b/.wh.c", 0),
        ("nowhere/.wh.a", 0),
        ("a/.wh..wh..opq/x", 0),
    ],
)
def test_whiteouts_in_odd_places_hide_what_they_name(name: str, hidden_bytes: int) -> None:
    below, above = tar(directory("a"), ("a/b", b"12345")), tar((name, b""))

    _, facts = archive_checks.check(read_all(image_of(below, above)))

    assert hidden_bytes == facts["hidden_bytes"]


def test_a_whiteout_that_is_a_directory_hides_too() -> None:
    below, above = tar(directory("a"), ("a/b", b"12345")), tar(directory(".wh.a"))

    _, facts = archive_checks.check(read_all(image_of(below, above)))

    assert 5 == facts["hidden_bytes"]


def sparse(name: str, size_bytes: int) -> bytes:
    """Return a tar of one file that is a hole, as GNU tar writes it."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[483:495] = b"%011o\0" % size_bytes if size_bytes < 8**11 else _binary(size_bytes)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


def _binary(number: int) -> bytes:
    return b"\x80" + number.to_bytes(11, "big")


@pytest.mark.parametrize("size_bytes", [10 * 1024**3, 2**60])
def test_a_sparse_file_has_its_size_and_costs_nothing(size_bytes: int) -> None:
    began = time.monotonic()

    _, facts = archive_checks.check(read_all(image_of(sparse("hole", size_bytes))))

    assert size_bytes == facts["unpacked_bytes"]
    assert time.monotonic() - began < 5


def test_a_sparse_file_of_pax_has_its_size() -> None:
    info = tarfile.TarInfo("GNUSparseFile.0/hole")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "hole",
        "GNU.sparse.realsize": str(10 * 1024**3),
    }
    info.size = 512
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as made:
        made.addfile(info, io.BytesIO(b"0\n".ljust(512, b"\0")))

    image = read_all(image_of(written.getvalue()))

    assert {"hole": 10 * 1024**3} == {
        path: entry.size_bytes for path, entry in image.stack[0].entries.items()
    }


def zeros(size_bytes: int) -> Iterator[bytes]:
    """Give a layer with one file of zeros, in pieces."""
    info = tarfile.TarInfo("big")
    info.size = size_bytes
    yield info.tobuf(tarfile.GNU_FORMAT)
    for _ in range(size_bytes >> 20):
        yield bytes(1 << 20)
    yield bytes(1024)


def compressed(codec: str, pieces: Iterator[bytes]) -> bytes:
    """Return pieces compressed."""
    if codec == "zstd":
        made = zstandard.ZstdCompressor(level=3).compressobj()
        return b"".join([*(made.compress(piece) for piece in pieces), made.flush()])
    written = io.BytesIO()
    with gzip.GzipFile(fileobj=written, mode="wb", compresslevel=1, mtime=0) as packed:
        for piece in pieces:
            packed.write(piece)
    return written.getvalue()


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_layer_that_unpacks_to_more_than_is_allowed_ends(codec: str) -> None:
    layer = compressed(codec, zeros(256 << 20))
    assert len(layer) < 2 << 20

    with pytest.raises(CouldNotMeasure, match="when it is unpacked"):
        read_all(oci([layer], config([layer])), unpacked_bytes=64 << 20)


def test_a_layer_that_takes_too_long_ends() -> None:
    layer = compressed("gzip", zeros(1 << 30))
    began = time.monotonic()

    with pytest.raises(CouldNotMeasure, match="was not read within"):
        read_all(oci([layer], config([layer])), seconds=0.1)

    assert time.monotonic() - began < 30


def test_too_many_documents_end() -> None:
    archive = tar(*((f"{number}.json", b"{" + b"x" * 100_000) for number in range(20)))

    with pytest.raises(CouldNotMeasure, match="bytes of documents"):
        read_all(archive, documents_bytes=1_000_000)


_MEASURED = """
import gzip, hashlib, json, resource, sys, tarfile, time
sys.path.insert(0, sys.argv[1])
from archives import tar
from proving.audit import archive_checks
from proving.audit.reader import read
from proving.errors import CouldNotMeasure

blank = bytearray(tarfile.TarInfo("usr/share/many/").tobuf(tarfile.USTAR_FORMAT))
blank[148:156] = b" " * 8
without_name = sum(blank[15:])

def header(number):
    name = b"usr/share/many/%03d/file-with-a-name-%07d" % (number % 1000, number)
    checksum = b"%06o\\0 " % (sum(name) + without_name)
    return b"".join((name, blank[len(name) : 148], checksum, blank[156:]))

def layer(entries):
    hashed = hashlib.sha256()
    pieces = []
    packer = gzip.zlib.compressobj(1, 8, 31)
    for start in range(0, entries, 1000):
        piece = b"".join(header(number) for number in range(start, min(entries, start + 1000)))
        hashed.update(piece)
        pieces.append(packer.compress(piece))
    hashed.update(bytes(1024))
    pieces += [packer.compress(bytes(1024)), packer.flush()]
    return b"".join(pieces), "sha256:" + hashed.hexdigest()

packed, diff_id = layer(int(sys.argv[2]))
config = json.dumps({"rootfs": {"diff_ids": [diff_id]}}).encode()
archive = tar(("l.tar", packed), ("c", config), ("manifest.json", b'[{"Config": "c"}]'))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
try:
    archive_checks.check(read([archive]))
    print("read")
except CouldNotMeasure as error:
    print(error)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(time.process_time() - began, (peak - before) * 1024)
"""


def _measured(entries: int) -> tuple[str, float, float]:
    command = [sys.executable, "-c", _MEASURED, str(Path(__file__).parent), str(entries)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    said, figures = ended.stdout.splitlines()
    seconds, size = figures.split()
    return said, float(seconds), float(size)


def test_a_million_entries_end_with_a_sentence_in_bounded_time_and_memory() -> None:
    said, seconds, peak_bytes = _measured(1_000_000)

    assert "has more than 400000 paths" in said
    assert seconds < 60
    assert peak_bytes < 70e6


def test_as_many_paths_as_are_allowed_are_audited_in_little_memory() -> None:
    """What the checks need is counted, too; the interpreter and its modules need 45 MB more."""
    said, _, peak_bytes = _measured(399_000)

    assert "read" == said
    assert peak_bytes < 75e6


def test_many_secrets_do_not_take_forever() -> None:
    """What looks like the beginning of a secret everywhere is searched in linear time."""
    worst = b"".join(
        (b"://" * 100_000, b"AKIA" * 100_000, b"-----BEGIN " * 50_000, b"a:b@" * 100_000)
    )
    layer = tar(("worst", worst), ("after", b"key AKIAQ3EGRJX5JWKVZ2TT\n"))
    began = time.monotonic()

    image = read_all(image_of(layer))

    assert ["after"] == [hit.path for hit in image.layers[0].hits]
    assert time.monotonic() - began < 30


def test_a_flood_of_candidates_is_not_called_free_of_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from proving.audit import secrets
    from proving.claims import Verdict

    monkeypatch.setattr(secrets, "MOST_CANDIDATES", 10)
    flood = tar(("flood", b"AKIAAAAAAAAAAAAAAAAA " * 1000))

    findings, _ = archive_checks.check(read_all(image_of(flood)))

    found = next(one for one in findings if one.check.id == "secrets")
    assert Verdict.COULD_NOT_BE_MEASURED is found.verdict


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda block: block.__setitem__(slice(124, 136), b"99999999999\0"), "damaged|layer"),
        (lambda block: block.__setitem__(slice(124, 136), b"-0000000001\0"), "damaged"),
        (lambda block: block.__setitem__(slice(124, 136), _binary(2**80)), "cut off|larger"),
        (lambda block: block.__setitem__(slice(148, 156), b"0000000\0"), "damaged|no"),
    ],
)
def test_headers_with_absurd_numbers_are_told(changed: object, said: str) -> None:
    layer = bytearray(tar(("first", b"1" * 600), ("second", b"2" * 600)))
    second = layer[1536:2048]
    changed(second)  # type: ignore[operator]
    if said != "damaged|no":
        second[148:156] = b" " * 8
        second[148:156] = b"%06o\0 " % sum(second)
    layer[1536:2048] = second

    with pytest.raises(CouldNotMeasure, match=said):
        read_all(image_of(bytes(layer)))


@pytest.mark.parametrize(
    "records",
    [
        b"",
        b"x",
        b"10 path=",
        b"99999 path=a\n",
        b"0 a=b\n",
        b"-5 a=b\n",
        b"12 size=-1\n",
        b"\xff" * 30,
    ],
)
def test_extended_headers_that_make_no_sense_end(records: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", len(records)
    layer = (
        info.tobuf(tarfile.USTAR_FORMAT)
        + records.ljust(-(-len(records) // 512) * 512, b"\0")
        + tar(("a", b"1"))
    )

    with suppress(CouldNotMeasure):
        image = read_all(image_of(layer))
        assert {"a"} == set(image.stack[0].entries)


def test_a_path_that_no_engine_could_unpack_is_told() -> None:
    with pytest.raises(CouldNotMeasure, match="a path that is too long"):
        read_all(image_of(tar(("a/" * 5000 + "b", b"1"))))


@FUZZED
@given(st.binary(max_size=3000))
def test_any_bytes_end_with_a_sentence(content: bytes) -> None:
    with pytest.raises(CouldNotMeasure):
        read(chunks(content, 700))


@FUZZED
@given(data=st.data(), packed=st.booleans())
def test_a_damaged_archive_ends_with_a_sentence_or_an_answer(
    data: st.DataObject, packed: bool
) -> None:
    """Whatever bytes of a good archive are changed, nothing else than the one exception comes."""
    lower = tar(
        directory("a"), ("a/b", b"1" * 700), symbolic_link("l", "a/b"), hard_link("h", "a/b")
    )
    upper = tar(("a/.wh.b", b""), ("long/" * 30 + "name", b"AKIAQ3EGRJX5JWKVZ2TT"))
    stack = [lower, gzip.compress(upper, mtime=0)] if packed else [lower, upper]
    good = bytearray(oci(stack, config([lower, upper])) if packed else image_of(lower, upper))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(good) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=20))
        good[at : at + len(piece)] = piece

    with suppress(CouldNotMeasure):
        findings, facts = archive_checks.check(read(chunks(bytes(good), 997)))
        assert len(findings) == 10
        assert facts["transfer_bytes"] >= 0


_DOTS = ("", ".", "..")


def _whiteout(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/.wh.{name}" if folder else f".wh.{name}"


_NAMES = st.text(alphabet="ab.", min_size=1, max_size=3).filter(lambda name: name not in _DOTS)
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)
_MEMBERS = st.one_of(
    st.tuples(_PATHS, st.binary(max_size=40)),
    st.builds(directory, _PATHS),
    st.builds(symbolic_link, _PATHS, _PATHS),
    st.builds(hard_link, _PATHS, _PATHS),
    st.tuples(_PATHS.map(_whiteout), st.just(b"")),
    st.tuples(_PATHS.map(lambda path: f"{path}/.wh..wh..opq"), st.just(b"")),
)
_STACKS = st.lists(st.lists(_MEMBERS, max_size=6), min_size=1, max_size=4)


@FUZZED
@given(_STACKS)
def test_any_layers_are_read_as_the_labs_read_them(members: list[list[object]]) -> None:
    """Hidden bytes are the same by both readers, and nothing is counted below nothing."""
    from proving import archive

    stack = [tar(*layer) for layer in members]  # type: ignore[arg-type]
    made = image_of(*stack)

    image = read(chunks(made, 613))
    ours = image.stack
    theirs = archive.read(lambda: chunks(made)).stack

    for mine, their in zip(ours, theirs, strict=True):
        assert their.entries == mine.entries
        assert their.opaque == mine.opaque
        real = {path for path in their.whiteouts if path.rpartition("/")[2] not in _DOTS}
        assert real == mine.whiteouts
    contents = visible.contents(ours, image.paths, ["" for _ in ours], 0)
    assert contents.unpacked_bytes == contents.wasted_bytes + sum(contents.files.values())
    described = layers.describe(theirs, [], 0)
    assert described.layers == contents.layers
    assert described.files.keys() == contents.files.keys()
    assert described.modes == contents.modes
    assert described.directories == contents.directories
    assert 0 <= dive.of_image(image).wasted_bytes


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_the_memory_for_a_large_layer_is_bounded(codec: str, tmp_path: Path) -> None:
    """A layer of 1 GB that is 1 MB when it is packed, whatever is in it, is never there at once."""
    hashed = hashlib.sha256()
    for piece in zeros(1 << 30):
        hashed.update(piece)
    settings_of_image = {"rootfs": {"diff_ids": [f"sha256:{hashed.hexdigest()}"]}}
    archive = oci([compressed(codec, zeros(1 << 30))], settings_of_image)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    image = read_all(archive)

    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 1 << 30 == image.stack[0].unpacked_bytes
    assert (after - before) * 1024 < 60e6
