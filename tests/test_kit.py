"""A kit tells what it holds, is taken whole or not at all, and is served to be read only."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest
import rooms
from docker.errors import ImageNotFound
from proving import packages
from proving.engine import Engine
from proving.kit import command, debian, installs, load, make, manifest, room, sources
from proving.kit.manifest import KitError, Manifest


@cache
def wheel() -> bytes:
    """Return a wheel with nothing in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        folder = "some_thing-1.0.dist-info"
        archive.writestr(
            f"{folder}/METADATA", "Metadata-Version: 2.1\nName: some-thing\nVersion: 1.0\n"
        )
        archive.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{folder}/RECORD", "")
    return buffer.getvalue()


CONTENTS = {
    "images/amd64-base.tar.gz": ("amd64", b"an image" * 1000),
    "images/arm64-base.tar.gz": ("arm64", b"another image" * 1000),
    "wheels/Some.Thing-1.0-py3-none-any.whl": ("any", wheel()),
    "wheels/some_thing-1.0-cp311-cp311-manylinux_2_17_aarch64.whl": ("arm64", b"a wheel too"),
    "lab-wheels/0123456789ab/SHA256SUMS": ("amd64", b"sums"),
}


def write_kit(folder: Path, contents: dict[str, tuple[str, bytes]] | None = None) -> Manifest:
    """Write a kit of these contents into a folder, and return its manifest."""
    made = Manifest("2026-01-02T03:04:05+00:00", is_complete=True)
    for path, (architecture, content) in (contents or CONTENTS).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        made = made.with_entry(manifest.entry_of(folder, path, architecture))
    manifest.write(folder, made)
    return made


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Return the folder of a small kit."""
    write_kit(tmp_path / "kit")
    return tmp_path / "kit"


def archive_of(kit: Path) -> Path:
    """Pack a kit and return its archive."""
    make.pack(kit, kit.with_suffix(".tar"), manifest.read(kit), tell=lambda _: None)
    return kit.with_suffix(".tar")


def take(name: object, target: Path, architecture: str = "amd64") -> Manifest:
    """Take a kit without a word."""
    return sources.take(str(name), target, architecture, tell=lambda _: None)


def files(folder: Path) -> set[str]:
    """Return the files of a folder by their paths within."""
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


def foreign(archive: Path) -> None:
    """Write an archive whose files would lie elsewhere, were it unpacked."""
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("../../escaped")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))


@pytest.fixture
def served(kit: Path) -> Iterator[str]:
    """Serve the kit on loopback by its own program, and yield the room's address."""
    code = (
        "import sys; from pathlib import Path; from proving.kit import room;"
        "room.serve(Path(sys.argv[1]), '127.0.0.1', 0)"
    )
    with rooms.served(code, str(kit)) as address:
        yield address


def get(address: str) -> bytes:
    """Return what a room answers."""
    with urllib.request.urlopen(address, timeout=5) as answer:
        return bytes(answer.read())


def test_a_manifest_is_read_as_it_was_written(kit):
    """Nothing is lost on the way, and the same contents give the same bytes."""
    found = manifest.read(kit)

    assert found == manifest.parse(found.to_json())
    assert ("amd64", "arm64") == found.architectures()


@pytest.mark.parametrize(
    "path",
    [
        "images/../../etc/passwd",
        "/etc/passwd",
        "images",
        "images/",
        "images//a",
        "images/.hidden",
        "images/a\\..\\b",
        "other/a",
        "images/a b",
        "manifest.json",
        "",
    ],
)
def test_a_manifest_leads_nowhere_else(kit, path):
    """A path that leads out of the kit's folder is refused when the manifest is read."""
    told = json.loads((kit / "manifest.json").read_text("utf-8"))
    told["files"][0]["path"] = path

    with pytest.raises(KitError):
        manifest.parse(json.dumps(told))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"format": "proving-ground-kit", "version": 99}',
        b'{"format": "proving-ground-kit", "version": 1}',
        b'{"format": "proving-ground-kit", "version": 1, "files": 1}',
        b'{"format": "proving-ground-kit", "version": 1, "files": [{"path": 1}]}',
        b'{"format": "proving-ground-kit", "version": 1, "files": [null]}',
    ],
)
def test_what_is_no_manifest_is_told_in_a_sentence(text):
    """Whatever stands in its place is refused, and not by a traceback."""
    with pytest.raises(KitError):
        manifest.parse(text)


@pytest.mark.parametrize("pack", [lambda kit: kit, archive_of])
def test_a_kit_is_taken_for_one_architecture(kit, tmp_path, pack):
    """From a folder and from an archive: what is for any machine and for this one, no more."""
    found = take(pack(kit), tmp_path / "taken")

    assert manifest.read(kit) == found
    assert files(tmp_path / "taken") == {
        "manifest.json",
        "images/amd64-base.tar.gz",
        "wheels/Some.Thing-1.0-py3-none-any.whl",
        "lab-wheels/0123456789ab/SHA256SUMS",
    }


@pytest.mark.parametrize("pack", [lambda kit: kit, archive_of])
def test_a_damaged_file_is_found_and_nothing_is_taken_for_a_kit(kit, tmp_path, pack):
    """One bit of an image decides; what was taken before it is no kit yet."""
    image = kit / "images/amd64-base.tar.gz"
    content = bytearray(image.read_bytes())
    content[5000] ^= 1
    image.write_bytes(content)

    with pytest.raises(KitError, match="images/amd64-base.tar.gz is damaged"):
        take(pack(kit), tmp_path / "taken")
    assert not (tmp_path / "taken" / "manifest.json").exists()
    assert not (tmp_path / "taken" / "images/amd64-base.tar.gz").exists()


def test_a_file_that_is_cut_short_is_gone_on_with(kit, tmp_path):
    """What came of it the first time is not taken again once the source is whole."""
    image = kit / "images/amd64-base.tar.gz"
    whole = image.read_bytes()
    image.write_bytes(whole[:3000])
    with pytest.raises(KitError, match="cut short"):
        take(kit, tmp_path / "taken")
    part = tmp_path / "taken/images/amd64-base.tar.gz.part"
    assert whole[:3000] == part.read_bytes()
    image.write_bytes(b"x" * 3000 + whole[3000:])  # its beginning is not asked for again

    take(kit, tmp_path / "taken")

    assert whole == (tmp_path / "taken/images/amd64-base.tar.gz").read_bytes()


def test_a_file_longer_than_told_is_refused(kit, tmp_path):
    """It is not read to its end, which need not exist."""
    with (kit / "images/amd64-base.tar.gz").open("ab") as file:
        file.write(b"more" * 10_000_000)

    with pytest.raises(KitError, match="damaged"):
        take(kit, tmp_path / "taken")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda archive: archive.write_bytes(archive.read_bytes()[:2000]),
        lambda archive: archive.write_bytes(b""),
        lambda archive: archive.write_bytes(b"\0" * 100_000),
        lambda archive: archive.write_bytes(b"no archive" * 1000),
        foreign,
    ],
)
def test_an_archive_that_is_no_kit_ends_in_a_sentence(kit, tmp_path, spoil):
    """Cut short, empty, foreign: each is told, and nothing is taken for a kit."""
    archive = archive_of(kit)
    spoil(archive)

    with pytest.raises(KitError):
        take(archive, tmp_path / "taken")
    assert not (tmp_path / "taken" / "manifest.json").exists()


def test_a_link_in_a_kit_is_not_followed(kit, tmp_path):
    """A taken file that was replaced by a link does not count as whole."""
    entry = manifest.read(kit).entries[0]
    copy = tmp_path / "elsewhere"
    (kit / entry.path).rename(copy)
    (kit / entry.path).symlink_to(copy)

    assert not manifest.is_whole(kit, entry)


def test_a_kit_that_is_not_complete_is_refused(kit, tmp_path):
    """One whose making was interrupted has right files, and too few of them."""
    manifest.write(kit, replace(manifest.read(kit), is_complete=False))

    with pytest.raises(KitError, match="not complete"):
        take(kit, tmp_path / "taken")


def test_a_kit_for_another_architecture_is_refused(kit, tmp_path):
    """It says for which it has images."""
    with pytest.raises(KitError, match="amd64, arm64"):
        take(kit, tmp_path / "taken", "riscv64")


def test_a_disk_without_space_is_told_before_anything_is_taken(kit, tmp_path, monkeypatch):
    """It says how much is needed."""
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda _: type("", (), {"free": 5}))

    with pytest.raises(KitError, match="needs 0.0 MB"):
        take(kit, tmp_path / "taken")
    assert set() == files(tmp_path / "taken")


def test_what_is_taken_already_is_not_taken_again(kit, tmp_path):
    """Where the manifest is the same, the source's files are not even opened."""
    take(kit, tmp_path / "taken")
    (kit / "images/amd64-base.tar.gz").unlink()

    take(kit, tmp_path / "taken")

    assert (tmp_path / "taken/images/amd64-base.tar.gz").is_file()


def test_the_names_of_sources(tmp_path):
    """A word that means no kit is told as such."""
    with pytest.raises(KitError, match="neither a folder nor an archive"):
        sources.source(str(tmp_path / "none"))
    with pytest.raises(KitError, match="no room's address"):
        sources.source("http://192.168.1.5:8475/")
    with pytest.raises(KitError, match="no room's address"):
        sources.source("file:///etc/passwd")


def test_a_kit_is_unpacked_before_there_is_an_environment(kit, tmp_path):
    """By a bare Python with nothing installed: the noxfile has no other at that time."""
    code = (
        "import sys; from pathlib import Path; from proving.kit import sources;"
        "sources.TAKEN; sources.take(sys.argv[1], Path(sys.argv[2]), 'amd64')"
    )
    labs = Path(sources.__file__).parents[2]
    bare = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(labs)!r}); {code}"]

    subprocess.run([*bare, str(kit), str(tmp_path / "taken")], check=True, capture_output=True)

    assert (tmp_path / "taken" / "manifest.json").is_file()


def test_a_room_is_taken_from_like_a_folder(served, kit, tmp_path):
    """One address is enough, and it goes on in the middle of a file."""
    whole = (kit / "images/amd64-base.tar.gz").read_bytes()
    part = tmp_path / "taken/images/amd64-base.tar.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(whole[:4000])

    take(served, tmp_path / "taken")

    assert whole == (tmp_path / "taken/images/amd64-base.tar.gz").read_bytes()


def test_a_room_that_serves_another_kit_is_refused(served, tmp_path):
    """The address tells which kit it is: nobody can put another in its place."""
    other = served[:-1] + ("0" if served[-1] != "0" else "1")

    with pytest.raises(KitError):
        take(other, tmp_path / "taken")


def test_a_manifest_that_was_exchanged_on_the_way_is_refused(kit, tmp_path, monkeypatch):
    """Its checksum is not that of the address."""
    text = (kit / "manifest.json").read_bytes()
    address = f"http://127.0.0.1:1/{sources.token_of(text)}"

    class Answer(io.BytesIO):
        status = 200

    opener = type("", (), {"open": lambda *_, **__: Answer(text.replace(b"2026", b"2027"))})
    monkeypatch.setattr(sources.urllib.request, "build_opener", lambda *_: opener())

    with pytest.raises(KitError, match="not the kit that this address tells"):
        take(address, tmp_path / "taken")


def test_a_room_that_does_not_answer_is_told(tmp_path):
    """Nothing listens there."""
    with pytest.raises(KitError, match="No room answers"):
        take(f"http://127.0.0.1:9/{'0' * sources.TOKEN_LENGTH}", tmp_path / "taken")


def test_a_room_shows_nothing_without_its_token(served, kit):
    """Neither its root nor a guessed path, nor what lies beside the kit."""
    (kit / "secret").write_text("no part of the kit")
    root = served.rpartition("/")[0]

    for path in (
        f"{root}/",
        f"{root}/manifest.json",
        f"{served}/secret",
        f"{served}/../secret",
        f"{served}/images/..%2f..%2fsecret",
        f"{served}/images/",
        f"{served}/images",
    ):
        with pytest.raises(urllib.error.HTTPError, match="40"):
            get(path)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_a_room_can_only_be_read(served, kit, method):
    """Whatever else is asked is refused."""
    host, path = served.removeprefix("http://").split("/")
    for name in ("", "/manifest.json", "/simple/"):
        connection = http.client.HTTPConnection(host, timeout=5)
        connection.request(method, f"/{path}{name}", b"x")

        assert 405 == connection.getresponse().status
        connection.close()


def test_pip_takes_a_wheel_from_a_room(served, tmp_path):
    """The index is a plain one, and pip finds the checksum right."""
    pip = [sys.executable, "-m", "pip", "--isolated", "download", "--no-cache-dir", "--quiet"]
    index = [f"--index-url={served}/simple/", "--only-binary=:all:", f"--dest={tmp_path / 'new'}"]

    subprocess.run([*pip, *index, "some.thing"], check=True, capture_output=True)

    assert wheel() == next((tmp_path / "new").glob("*.whl")).read_bytes()
    assert 2 == get(f"{served}/simple/some-thing/").count(b"#sha256=")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{served}/simple/else/")


def test_a_room_tells_one_variable_and_a_code(kit):
    """What the terminal shows is enough for a participant."""
    address = f"http://192.0.2.7:8475/{room.token(kit)}"
    told = room.told(address)

    assert f"export PROVING_KIT={address}\n" in told
    assert any(block in told for block in "▀▄█")


def test_the_page_of_a_room_tells_what_the_kit_lacks(kit):
    """What is not there is never passed over."""
    lacking = replace(
        manifest.read(kit), missing=(manifest.Missing("images", "arm64", "<none> here"),)
    )
    page = room.page(lacking, "http://192.0.2.7:8475/token")

    assert "images, arm64: &lt;none&gt; here" in page
    assert "--trusted-host 192.0.2.7 nox" in page


def test_a_room_serves_the_site(tmp_path):
    """Its pages are read out of the kit."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("site/index.html")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"page"))
    write_kit(tmp_path, {"site/site.tar.gz": ("any", buffer.getvalue())})

    assert {"index.html": b"page"} == room.site_files(tmp_path)


def test_a_damaged_kit_is_not_served(kit):
    """A room must not find out one by one."""
    (kit / "images/amd64-base.tar.gz").write_bytes(b"other")

    with pytest.raises(KitError, match="missing or damaged"):
        room.serve(kit, "127.0.0.1", 0)


def test_a_port_in_use_is_told(kit):
    """With what to do."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(KitError, match="--port"):
            room.serve(kit, "127.0.0.1", taken.getsockname()[1])


DOCKERFILE = """ARG SLIM=debian:13-slim
FROM ${SLIM} AS build
ARG NEEDS="gunicorn python3-django"
RUN apt-get update \\
 # a comment
 && apt-get install -y --no-install-recommends nginx ${NEEDS} && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/var/cache/apt apt-get -q install -y curl; true
FROM build AS more
RUN apt-get install --yes tini
FROM scratch
COPY --from=build / /
RUN apt-get install -y greeting
"""


def test_what_a_dockerfile_installs_is_read():
    """With its options, its arguments' defaults, and the base that it stands on."""
    found = installs.installs_in(DOCKERFILE)

    assert found == (
        installs.Install(
            "SLIM", ("--no-install-recommends",), ("nginx", "gunicorn", "python3-django")
        ),
        installs.Install("SLIM", (), ("curl",)),
        installs.Install("SLIM", ("--yes",), ("tini",)),
    )


def test_every_installation_of_the_labs_is_read():
    """None is overlooked because it is written in another way."""
    own = set(packages.PACKAGES)
    for file in installs.dockerfiles():
        text = file.read_text("utf-8")
        lines = [
            line
            for line in installs._JOINED.sub(" ", text).splitlines()
            if "install" in line and "apt-get" in line and not own & set(line.split())
        ]
        told = sum(line.count(" install ") for line in lines)

        assert told == len(installs.installs_of(file)), file


def test_the_earliest_end_of_package_lists_counts():
    """apt refuses all once one of them has expired; those without an end never do."""
    releases = (
        "Suite: a\nValid-Until: Thu, 03 Dec 2026 21:03:35 UTC\n"
        "Suite: b\nSuite: c\nValid-Until: Wed, 02 Dec 2026 01:00:00 UTC\n"
    )

    assert "2026-12-02T01:00:00+00:00" == debian.earliest(releases)
    assert "" == debian.earliest("Suite: a\n")


@pytest.mark.parametrize(("days", "told"), [(-1, "have expired"), (0.5, "expire on"), (3, "")])
def test_old_package_lists_are_told(days, told):
    """Before the room finds out."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    found = Manifest("", packages_until=(now + timedelta(days=days)).isoformat())

    assert told in load.outdated(found, now)
    assert bool(told) == bool(load.outdated(found, now))


def test_without_a_kit_builds_get_no_argument(tmp_path, monkeypatch):
    """Nothing is asked of the engine, either."""
    monkeypatch.setattr(sources, "TAKEN", tmp_path)

    assert {} == debian.build_arguments(Engine("unix:///nowhere", "a test"))


def test_a_size_is_told_beforehand(tmp_path):
    """By a recorded run, and never by a guess."""
    made = write_kit(tmp_path / "kit")
    make.record(made, "amd64", 61.2, tmp_path / "kit.json")

    recorded = make.recorded_sizes(tmp_path / "kit.json")["amd64"]

    assert 8000 == recorded["bytes"]["images"]
    assert 61 == recorded["seconds"]
    assert "cannot be told" in make.beforehand(tmp_path / "kit", make.Wanted(), "riscv64")


def test_an_interrupted_kit_is_gone_on_with(kit):
    """Files with the right checksum stay, others are made anew."""
    (kit / "images/amd64-base.tar.gz").write_bytes(b"half of it")

    begun = make.Kit(kit, make.Wanted(), tell=lambda _: None)

    assert "images/amd64-base.tar.gz" not in {one.path for one in begun.manifest.entries}
    assert begun.manifest.find("images/arm64-base.tar.gz") is not None
    assert not begun.manifest.is_complete


def test_an_archive_of_the_same_kit_is_not_packed_again(kit):
    """And one of another is."""
    archive = archive_of(kit)
    first = archive.stat().st_mtime_ns
    archive_of(kit)
    assert first == archive.stat().st_mtime_ns

    manifest.write(kit, replace(manifest.read(kit), made="2026-02-02T00:00:00+00:00"))
    archive_of(kit)

    assert manifest.read(kit) == sources.Archive(archive).manifest()


@pytest.mark.parametrize(
    ("wheel", "architecture"),
    [
        ("a-1-py3-none-any.whl", "any"),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "amd64"),
        ("a-1-cp311-cp311-manylinux_2_17_aarch64.whl", "arm64"),
        ("a-1-cp311-cp311-macosx_11_0_arm64.whl", "arm64"),
        ("a-1-py3-none-win_amd64.whl", "amd64"),
    ],
)
def test_a_wheel_tells_its_architecture(wheel, architecture):
    """By the last part of its name."""
    assert architecture == make._architecture_of(wheel)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--chapters", "77"],
        ["--parts", "everything"],
        ["--python", "2"],
        ["--load", "/nowhere/kit.tar"],
        ["--serve", "--folder", "/nowhere"],
    ],
)
def test_a_slip_ends_in_a_sentence(arguments, capsys):
    """Without an engine being asked for, and with an exit status."""
    assert 1 == command.main(arguments)
    told = capsys.readouterr()

    assert told.err.strip()
    assert "Traceback" not in told.err


@pytest.fixture
def taken(kit, tmp_path, monkeypatch) -> Path:
    """Take a kit as a session does, and return where it lies; its images are on the engine."""
    target = tmp_path / "taken"
    take(kit, target)
    (target / "images/amd64-base.tar.gz").unlink()
    monkeypatch.setattr(sources, "TAKEN", target)
    monkeypatch.setattr(sources, "here", lambda: "amd64")
    monkeypatch.setattr(command.engine, "find", lambda: "the engine")
    return target


NOBODY = f"http://127.0.0.1:9/{'0' * sources.TOKEN_LENGTH}"


def test_a_kit_that_was_taken_is_loaded_without_its_room(taken, monkeypatch):
    """A laptop that has all of it does not need the room any more."""
    loaded = []
    monkeypatch.setattr(command.load, "load", loaded.append)
    monkeypatch.setenv(sources.VARIABLE, NOBODY)

    assert 0 == sources.main([NOBODY])
    assert 0 == command.main(["--load"])
    assert ["the engine"] == loaded


def test_a_kit_that_is_asked_for_by_name_must_be_there(taken, monkeypatch, capsys):
    """No other one is loaded in its place."""
    monkeypatch.setattr(command.load, "load", lambda _: pytest.fail("another kit is loaded"))

    assert 1 == command.main(["--load", NOBODY])
    assert "No room answers" in capsys.readouterr().err


def test_without_a_kit_that_was_taken_the_room_must_answer(taken, monkeypatch, capsys):
    """There is nothing to go on with."""
    (taken / "manifest.json").unlink()
    monkeypatch.setenv(sources.VARIABLE, NOBODY)

    assert 1 == sources.main([NOBODY])
    assert 1 == command.main(["--load"])
    assert "No room answers" in capsys.readouterr().err


def lose_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an engine without the kit's images, which loads those that were taken."""

    def load_them(_engine: object) -> None:
        if not (sources.TAKEN / "images/amd64-base.tar.gz").is_file():
            raise load.Gone("gone")

    monkeypatch.setattr(command.load, "load", load_them)
    monkeypatch.setattr(command.pull, "from_room", lambda *_: None)


def test_images_that_are_gone_are_taken_again(taken, kit, monkeypatch):
    """The usual kit has them, though its manifest is the one that was taken."""
    lose_images(monkeypatch)
    monkeypatch.setattr(command.load, "is_on", lambda *_: False)
    monkeypatch.setenv(sources.VARIABLE, str(kit))

    assert 0 == command.main(["--load"])
    assert (taken / "images/amd64-base.tar.gz").is_file()


def test_a_kit_is_not_forgotten_because_its_room_is_gone(taken, monkeypatch, capsys):
    """Images can be taken again once the room answers; what else was taken stays in use."""
    lose_images(monkeypatch)
    monkeypatch.setenv(sources.VARIABLE, NOBODY)

    assert 1 == command.main(["--load"])
    assert "No room answers" in capsys.readouterr().err
    assert sources.taken() is not None


def test_images_that_were_loaded_are_not_taken_of_a_kit_made_anew(taken, kit):
    """Only what has changed travels."""
    (kit / "images/amd64-more.tar.gz").write_bytes(b"a further image")
    anew = replace(manifest.read(kit), made="2026-02-02T00:00:00+00:00")
    more = manifest.entry_of(kit, "images/amd64-more.tar.gz", "amd64")
    manifest.write(kit, anew.with_entry(more))

    assert 0 == sources.main([str(kit)])
    assert manifest.read(kit) == sources.taken()
    assert (taken / "images/amd64-more.tar.gz").is_file()
    assert not (taken / "images/amd64-base.tar.gz").exists()


class StandInEngine:
    """An engine's images: an ID by each name, with what was asked to be removed."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.removed: list[str] = []
        self.docker = SimpleNamespace(images=self)
        self.description = SimpleNamespace(architecture="amd64", store="overlay2")

    def get(self, name: str) -> SimpleNamespace:
        """Return what there is under a name."""
        if name not in self.names:
            raise ImageNotFound("none")
        return SimpleNamespace(id=self.names[name])

    def load(self, file: IO[bytes]) -> None:
        """Take an archive, which tells name and ID in this test."""
        name, image_id = file.read().decode().split()
        self.names[name] = image_id

    def remove(self, image_id: str) -> None:
        """Note it."""
        self.removed.append(image_id)


def image_kit(folder: Path, digest: str) -> Manifest:
    """Write a kit of one image whose configuration has this digest, and return its manifest."""
    path = folder / "images/amd64-base.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"base:1 {digest}")
    more = {"reference": "base:1", "image_id": digest, "config_digest": digest}
    entry = manifest.entry_of(folder, "images/amd64-base.tar.gz", "amd64", **more)
    made = Manifest(f"2026-01-02T03:04:05+00:00 {digest}", (entry,), is_complete=True)
    manifest.write(folder, made)
    return made


OLDER, NEWER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a checkout that has loaded nothing, and no package cache to start."""
    monkeypatch.setattr(load, "STATE", tmp_path / "state")
    monkeypatch.setattr(load, "LOADED", tmp_path / "state" / "kit-images.json")
    monkeypatch.setattr(load.debian, "build_arguments", lambda _: {})
    monkeypatch.setattr(load.disk, "telling", contextlib.nullcontext)
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def test_a_newer_kit_replaces_the_images_of_an_older_one(tmp_path, own_state):
    """An image counts by its digest and not by its name; the older kit's is removed."""
    engine = StandInEngine()
    for digest in (OLDER, NEWER):
        image_kit(tmp_path / digest[-1], digest)
        load.load(engine, tmp_path / digest[-1], lambda _: None)

    assert {"base:1": NEWER} == engine.names
    assert [OLDER] == engine.removed


def test_an_image_that_is_there_is_not_loaded_again(tmp_path, own_state):
    """Not even its file is needed."""
    engine = StandInEngine()
    image_kit(tmp_path / "kit", OLDER)
    engine.names["base:1"] = OLDER
    (tmp_path / "kit/images/amd64-base.tar.gz").unlink()

    load.load(engine, tmp_path / "kit", lambda _: None)

    assert [] == engine.removed


def test_an_image_of_this_machines_own_is_never_removed(tmp_path, own_state):
    """It loses its name to the kit's image, and that is all."""
    engine = StandInEngine()
    engine.names["base:1"] = OLDER
    image_kit(tmp_path / "kit", NEWER)

    load.load(engine, tmp_path / "kit", lambda _: None)

    assert {"base:1": NEWER} == engine.names
    assert [] == engine.removed


def test_the_id_that_a_containerd_store_gives_is_remembered(tmp_path, own_state):
    """It is of a manifest that the store writes itself, which no kit could tell."""
    made = image_kit(tmp_path / "kit", OLDER)
    engine = StandInEngine()
    engine.names["base:1"] = NEWER
    assert not load.is_on(engine, made.entries[0])

    load.remember(made.entries[0], NEWER)

    assert load.is_on(engine, made.entries[0])


def test_what_several_runs_load_at_once_is_remembered(tmp_path, own_state):
    """A room may be filled while a session loads its kit."""
    (entry,) = image_kit(tmp_path / "kit", OLDER).entries
    ids = [f"sha256:{number:064}" for number in range(40)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: load.remember(entry, one), ids))

    assert set(ids) <= load.known_ids(entry)


def test_a_kit_of_the_earlier_version_is_read(kit):
    """What it does not tell is left open."""
    told = json.loads((kit / "manifest.json").read_text("utf-8"))
    told["version"] = 1
    for one in told["files"]:
        del one["config_digest"]

    assert manifest.read(kit).entries == manifest.parse(json.dumps(told)).entries


def test_images_of_a_room_wait_for_an_engine(kit):
    """Those of a folder do not; nor does anything else."""
    entries = manifest.read(kit).entries
    by_room = [one.part for one in entries if sources.can_wait(NOBODY)(one)]

    assert {"images"} == set(by_room)
    assert not any(sources.can_wait(str(kit))(one) for one in entries)


def test_the_registry_of_a_room_is_not_taken(kit, tmp_path):
    """It is for whoever serves a kit, from its own folder."""
    (kit / "registry").mkdir()
    (kit / "registry/amd64-registry.tar.gz").write_bytes(b"a registry")
    entry = manifest.entry_of(kit, "registry/amd64-registry.tar.gz", "amd64")
    manifest.write(kit, manifest.read(kit).with_entry(entry))

    take(kit, tmp_path / "taken")

    assert not (tmp_path / "taken/registry").exists()


def with_packages(until: datetime | None) -> Manifest:
    """Return a kit with a package cache whose lists hold until then."""
    image = manifest.Entry(
        "images/amd64-p.tar.gz", 1, "0" * 64, "amd64", f"{debian.REPOSITORY}:1", "an id"
    )
    return Manifest("", (image,), packages_until=until.isoformat() if until else "")


@pytest.mark.parametrize(("days", "is_asked"), [(-1, False), (1, True), (None, True)])
def test_builds_ask_a_kit_until_its_package_lists_expire(monkeypatch, days, is_asked):
    """After that apt would refuse them, and builds go on as without a kit."""
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(sources, "here", lambda: "amd64")
    monkeypatch.setattr(sources, "taken", lambda: with_packages(until))

    assert is_asked == (debian._taken_image() is not None)


def test_a_machine_goes_by_the_package_lists_of_its_own_architecture(monkeypatch):
    """Those of the other one may have expired."""
    now = datetime.now(UTC)
    dates = {"amd64": (now + timedelta(days=1)).isoformat(), "arm64": now.isoformat()}
    found = replace(with_packages(now), packages_until_of=dates)
    monkeypatch.setattr(sources, "here", lambda: "amd64")
    monkeypatch.setattr(sources, "taken", lambda: found)

    assert debian._taken_image() is not None


@pytest.mark.parametrize("moment", ["tomorrow", "2026-01-02T03:04:05", 5])
def test_a_moment_that_is_none_is_told(kit, moment):
    """Builds ask for it again and again: it is read once, with the manifest."""
    told = json.loads((kit / "manifest.json").read_text("utf-8"))
    told["packages_until"] = moment

    with pytest.raises(KitError, match="damaged"):
        manifest.parse(json.dumps(told))


def test_what_another_architecture_lacks_stays_told(kit):
    """Its own run tells anew what a kit lacks, and nothing of the other machine's."""
    notes = (
        manifest.Missing("a cluster", "amd64", "told by this machine's last run"),
        manifest.Missing("a cluster", "arm64", "told by the other machine"),
        manifest.Missing(manifest.PARTS[manifest.LAB_WHEELS], "arm64", "told by both"),
        manifest.Missing(manifest.PARTS[manifest.SITE], manifest.ANY, "left out, as was asked."),
        manifest.Missing("a cluster", "riscv64", "of a machine whose images are gone"),
    )
    manifest.write(kit, replace(manifest.read(kit), missing=notes))

    begun = make.Kit(kit, make.Wanted(), lambda _: None, "amd64")

    assert (notes[1],) == begun.manifest.missing


def test_the_earlier_end_of_two_architectures_counts(kit):
    """And no longer than it is true: a run of either machine gives its own anew."""
    first = make._lasting(manifest.read(kit), "arm64", "2026-01-05T00:00:00+00:00")
    both = make._lasting(first, "amd64", "2026-01-08T00:00:00+00:00")
    anew = make._lasting(both, "arm64", "2026-01-12T00:00:00+00:00")
    alone = replace(both, entries=tuple(e for e in both.entries if e.architecture != "arm64"))

    assert "2026-01-05T00:00:00+00:00" == both.packages_until
    assert "2026-01-08T00:00:00+00:00" == anew.packages_until
    assert anew == manifest.parse(anew.to_json())
    last = make._lasting(alone, "amd64", "2026-01-09T00:00:00+00:00")
    assert "2026-01-09T00:00:00+00:00" == last.packages_until


@pytest.mark.parametrize("interpreter", [None, "/some/python3.99"])
def test_pip_judges_by_the_python_that_is_asked_for(tmp_path, monkeypatch, interpreter):
    """Where it is not on the machine, the kit tells that wheels may be missing."""
    commands = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(words)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(make.subprocess, "run", run)
    monkeypatch.setattr(make.shutil, "which", lambda _: interpreter)
    monkeypatch.setattr(make.sys, "platform", "linux")
    begun = make.Kit(tmp_path, make.Wanted(pythons=("3.99",)), lambda _: None)

    make._wheels(begun, Engine("unix:///nowhere", "a test"))

    own, other = commands[:2], commands[2:]
    assert not any("--python=" in word for words in own for word in words)
    assert 2 == len(other)
    assert all((f"--python={interpreter}" in words) == bool(interpreter) for words in other)
    told = [one for one in begun.manifest.missing if "Python 3.99" in one.architecture]
    assert (0 if interpreter else 2) == len(told)


def test_a_kit_is_filled_from_the_network(monkeypatch, tmp_path):
    """And not from an earlier kit's cache, whose lists may have expired."""
    steps = []

    class StandInImage:
        takes_packages_from_kit = True

        def build(self) -> None:
            steps.append(self.takes_packages_from_kit)
            raise KeyboardInterrupt  # all that follows needs an engine

    class StandInLab(contextlib.nullcontext):
        def image_of(self, *_: object, arguments: dict[str, str]) -> StandInImage:
            steps.append(arguments)
            return StandInImage()

    def ready(_engine: object, roles: set[str], _tell: object) -> dict[str, SimpleNamespace]:
        return {role: SimpleNamespace(reference=f"ours/{role}") for role in roles}

    monkeypatch.setattr(debian, "_fresh", lambda *_: None)
    monkeypatch.setattr(debian.bases, "ready", ready)
    monkeypatch.setattr("proving.lab.Lab", lambda name: lab)
    lab = StandInLab()
    monkeypatch.setattr(lab, "enter_result", lab)

    with pytest.raises(KeyboardInterrupt):
        debian.fill(Engine("unix:///nowhere", "a test"), [], lambda _: None)

    assert [{"SLIM": "ours/SLIM"}, False] == steps


class Cache:
    """A container that can be removed."""

    def __init__(self, label: str) -> None:
        self.label, self.is_gone = label, False

    def remove(self, **_: object) -> None:
        """Be gone."""
        self.is_gone = True


def test_a_container_is_asked_until_it_answers(monkeypatch):
    """One that never does is told with the end of its log."""
    monkeypatch.setattr(debian, "READY_SECONDS", 0.2)
    answers = [None, "", "here"]
    container = SimpleNamespace(logs=lambda: b"starting\nno space\n")

    assert "here" == debian.answer_of(container, lambda: answers.pop(0), "It")
    with pytest.raises(KitError, match=r"It did not start\..*\n    starting\n    no space$"):
        debian.answer_of(container, lambda: "", "It")


def test_a_clean_up_leaves_the_caches_of_other_checkouts():
    """It ends this checkout's own, also one that was being filled when its run was killed."""
    own = [Cache(f"{debian.LABEL}={debian.name()}"), Cache(f"{debian.LABEL}={debian.filling()}")]
    others = [Cache(f"{debian.LABEL}=proving-kit-0"), Cache(f"{debian.LABEL}=packages")]

    def listed(*, filters: dict[str, str], **_: object) -> list[Cache]:
        wanted = filters["label"]  # the key alone, or the key with its value
        return [one for one in (*own, *others) if wanted in (debian.LABEL, one.label)]

    nothing = SimpleNamespace(list=lambda **_: [])
    containers = SimpleNamespace(list=listed)
    client = SimpleNamespace(containers=containers, networks=nothing, volumes=nothing)

    assert 2 == debian.remove(client)
    assert [True, True, False, False] == [one.is_gone for one in (*own, *others)]


def test_lab_wheels_come_where_labs_look(kit, tmp_path, monkeypatch):
    """Under the name that tells what they were asked for."""
    monkeypatch.setattr(load, "STATE", tmp_path / "state")
    found = manifest.read(kit)
    entries = [one for one in found.entries if one.part == manifest.LAB_WHEELS]

    load._put_wheels(kit, entries)

    assert {"wheels/0123456789ab/SHA256SUMS"} == files(tmp_path / "state")
