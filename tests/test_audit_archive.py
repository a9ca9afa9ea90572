"""What the audit finds in an image's archive, made up in memory, and in the arms of some claims."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from archives import chunks, config, digest, directory, gzipped, legacy, oci, tar
from hypothesis import given
from hypothesis import strategies as st
from proving.audit import archive_checks, secrets, subject
from proving.audit.archive_checks import check
from proving.audit.catalogue import ARCHIVE
from proving.audit.findings import Finding
from proving.audit.reader import ImageRead, read
from proving.claims import Verdict
from proving.errors import CouldNotMeasure

HOLDS, DOES_NOT = Verdict.HOLDS, Verdict.DOES_NOT_HOLD
AWS = "AKIA" + "Q3EGRJX5JWKVZ2TT"
GITHUB = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0fG3hJ6"
KEY = (
    b"-----BEGIN "
    + b"RSA PRIVATE KEY-----\n"
    + b"MIIEpAIBAAKCAQEA0x7Jb9Zq3kPfW8vYt2uLhRsN5dGmXcEoK1iQ6aTz\n"
)


@pytest.fixture(autouse=True)
def _weighed_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proving import archive

    monkeypatch.setattr(archive.Kept.__init__, "__defaults__", (tmp_path / "kept",))


def image(*stack: bytes, created_by: list[str] | None = None, **settings: object) -> ImageRead:
    """Return an image of these layers, with settings of its configuration."""
    made = {**config(stack, created_by or []), "config": settings}
    return read(chunks(legacy(stack, made), 4000))


def finding(check_id: str, seen: ImageRead) -> Finding:
    """Return what one check finds."""
    return next(one for one in check(seen)[0] if one.check.id == check_id)


def member(name: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """Return an empty file, or something else, with a mode."""
    info = tarfile.TarInfo(name)
    info.mode, info.type = mode, kind
    return info


def test_every_check_of_the_catalogue_finds_something() -> None:
    findings, _ = check(image(tar(("a", b"1"))))

    assert [one.id for one in ARCHIVE] == [one.check.id for one in findings]


def zstd(layer: bytes) -> bytes:
    """Return a layer in two frames, with a third one that is skipped, as zstd:chunked has it."""
    packer = zstandard.ZstdCompressor()
    skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    return packer.compress(layer[:700]) + packer.compress(layer[700:]) + skipped


def oci_layout(blobs: list[bytes], settings: Mapping[str, Any], **platforms: str) -> bytes:
    """Return an OCI archive without docker's manifest.json."""

    def name(blob: bytes) -> str:
        return f"blobs/sha256/{digest(blob).removeprefix('sha256:')}"

    written = json.dumps(settings).encode()
    manifest = json.dumps(
        {"config": {"digest": digest(written)}, "layers": [{"digest": digest(b)} for b in blobs]}
    ).encode()
    entry = {"digest": digest(manifest), "platform": {"architecture": "any"}}
    attestation = {"digest": digest(b"{}"), "platform": {"architecture": "unknown"}}
    index = json.dumps({"manifests": [attestation, entry]}).encode()
    named = {name(blob): blob for blob in (*blobs, written, manifest)}
    return tar(("./oci-layout", b"{}"), *named.items(), ("./index.json", index))


@pytest.mark.parametrize("codec", ["", "gzip", "zstd"])
@pytest.mark.parametrize("packed", ["", "gzip", "zstd"])
@pytest.mark.parametrize("layout", ["docker", "docker and oci", "oci"])
def test_all_forms_of_an_archive_tell_the_same(codec: str, packed: str, layout: str) -> None:
    stack = [tar(directory("etc"), ("etc/a", b"1" * 5000)), tar(("etc/.wh.a", b""), ("b", b"2"))]
    pack = {"": bytes, "gzip": gzipped, "zstd": zstd}
    blobs = [pack[codec](layer) for layer in stack]
    settings = config(stack)
    made = {
        "docker": lambda: legacy(blobs, settings),
        "docker and oci": lambda: oci(blobs, settings),
        "oci": lambda: oci_layout(blobs, settings),
    }[layout]()

    seen = read(chunks(pack[packed](made), 999))

    assert [digest(layer) for layer in stack] == [one.diff_id for one in seen.stack]
    assert [5000, 1] == [one.unpacked_bytes for one in seen.stack]
    assert [{}, {"etc/a"}] == [{}, set(seen.stack[1].whiteouts)]
    assert {codec} == {one.codec for one in seen.layers}
    if codec:
        assert [len(blob) for blob in blobs] == [one.transfer_bytes for one in seen.stack]


def test_a_small_layer_is_weighed_exactly_and_a_large_one_by_samples() -> None:
    small = tar(("a", b"line\n" * 1000))
    large = tar(("b", b"".join(b"line %d\n" % number for number in range(2_000_000))))

    seen = image(small, large)

    exact = [len(gzip.compress(layer, 6, mtime=0)) for layer in (small, large)]
    assert [True, False] == [one.weighed_exactly for one in seen.layers]
    assert exact[0] == seen.stack[0].transfer_bytes
    assert exact[1] == pytest.approx(seen.stack[1].transfer_bytes, rel=0.1)


def test_what_a_later_layer_hides_is_hidden() -> None:
    below = tar(directory("var"), ("var/list", b"1" * 3_000_000))

    kept, removed = image(below), image(below, tar((".wh.var", b"")))

    assert HOLDS is finding("hidden-bytes", kept).verdict
    assert DOES_NOT is finding("hidden-bytes", removed).verdict
    assert 3_000_000 == finding("hidden-bytes", removed).values["removed_bytes"]
    assert 0 == check(removed)[1]["dive_wasted_bytes"]


def test_notes_of_a_package_manager_may_be_written_again_once() -> None:
    """One RUN that installs cannot help it, and several can."""
    stack = [tar(("var/lib/dpkg/status", digit * 900_000)) for digit in (b"1", b"2", b"3")]

    once = finding("hidden-bytes", image(*stack[:2]))

    assert HOLDS is once.verdict
    assert 900_000 == once.values["notes_bytes"] == once.values["hidden_bytes"]
    assert DOES_NOT is finding("hidden-bytes", image(*stack)).verdict


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        ("var/lib/apt/lists/deb_dists_trixie_main", DOES_NOT),
        ("var/cache/apt/archives/nginx_1.deb", DOES_NOT),
        ("var/cache/apt/pkgcache.bin", DOES_NOT),
        ("var/cache/apk/APKINDEX.1.tar.gz", DOES_NOT),
        ("var/cache/dnf/x/repodata.xml", DOES_NOT),
        ("root/.cache/pip/http/1", DOES_NOT),
        ("home/app/.npm/_cacache/content", DOES_NOT),
        ("var/lib/apt/extended_states", HOLDS),
        ("srv/cache/page", HOLDS),
    ],
)
def test_caches_are_told_by_their_places(path: str, verdict: Verdict) -> None:
    assert verdict is finding("caches", image(tar((path, b"1" * 200_000)))).verdict


@pytest.mark.parametrize(
    ("path", "mode", "verdict"),
    [
        ("usr/bin/x86_64-linux-gnu-gcc-14", 0o755, DOES_NOT),
        ("usr/bin/make", 0o755, DOES_NOT),
        ("usr/local/go/bin/go", 0o755, DOES_NOT),
        ("usr/lib/jvm/java-21-openjdk-amd64/bin/javac", 0o755, DOES_NOT),
        ("usr/libexec/gcc/x86_64-linux-gnu/14/cc1", 0o755, DOES_NOT),
        ("usr/bin/ld.so", 0o755, HOLDS),
        ("usr/bin/gcc", 0o644, HOLDS),
        ("usr/share/doc/gcc", 0o755, HOLDS),
        ("srv/make", 0o755, HOLDS),
    ],
)
def test_build_tools_are_told_by_paths_of_programs(path: str, mode: int, verdict: Verdict) -> None:
    assert verdict is finding("toolchain", image(tar(member(path, mode)))).verdict


def test_a_compiler_that_was_removed_is_none() -> None:
    seen = image(tar(member("usr/bin/gcc", 0o755)), tar(("usr/bin/.wh.gcc", b"")))

    assert HOLDS is finding("toolchain", seen).verdict


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (member("usr/bin/su", 0o4755), DOES_NOT),
        (member("usr/bin/wall", 0o2755), DOES_NOT),
        (member("var/mail", 0o2775, tarfile.DIRTYPE), HOLDS),
        (member("usr/bin/cat", 0o755), HOLDS),
    ],
)
def test_files_that_run_as_another_are_privileged(made: tarfile.TarInfo, verdict: Verdict) -> None:
    assert verdict is finding("privileged-files", image(tar(made))).verdict


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (member("srv/data", 0o666), DOES_NOT),
        (member("srv", 0o777, tarfile.DIRTYPE), DOES_NOT),
        (member("tmp", 0o1777, tarfile.DIRTYPE), HOLDS),
        (member("link", 0o777, tarfile.SYMTYPE), HOLDS),
        (member("dev/null", 0o666, tarfile.CHRTYPE), HOLDS),
    ],
)
def test_what_everybody_may_write_is_told(made: tarfile.TarInfo, verdict: Verdict) -> None:
    assert verdict is finding("world-writable", image(tar(made))).verdict


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("app/key.pem", KEY, "private key"),
        ("app/key.json", KEY.replace(b"\n", b"\\n"), "private key"),
        ("app/settings.py", b"ID = '%b'\n" % AWS.encode(), "AWS access key"),
        ("app/x", b"token: %b\n" % GITHUB.encode(), "GitHub token"),
        (
            "app/x.conf",
            b"url=postgres://app:kd83hf7wq@db.internal/x",
            "postgres://app:••••@db.internal",
        ),
        (".npmrc", b"//registry/:_authToken=0a1b2c3d-4e5f-6789-abcd-ef0123456780\n", "npm token"),
        ("root/.aws/credentials", b"x", "stored credentials"),
        ("app/.git/HEAD", b"ref: refs/heads/main\n", "a repository of Git"),
        ("app/.env", b"A=1\n", "settings of a deployment"),
    ],
)
def test_a_secret_is_found_in_a_file_and_not_told(path: str, content: bytes, told: str) -> None:
    seen = image(tar((path, content)), tar(("a", b"1")))

    found = finding("secrets", seen)

    assert DOES_NOT is found.verdict
    assert [told] == [one[-len(told) :] for one in found.places]
    assert f"layer 1: /{path}" in found.places[0]
    for secret in (AWS, GITHUB, "kd83hf7wq", "MIIEpA", "0a1b2c3d"):
        assert secret not in repr(found)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("app/a", b"http://user:password@proxy:3128/"),
        ("app/a", b"postgres://${USER}:${PASSWORD}@db/x"),
        ("app/a", b"https://bob:hunter23@example.com/"),
        ("app/a", b"# http_proxy = http://joe:kd83hf7wq@cache:3128\n"),
        ("usr/share/doc/x", b"ftp://joe:kd83hf7wq@ftp.host.net/"),
        ("usr/lib/python3/x.py", b"redis://joe:kd83hf7wq@redis.host.net/"),
        ("app/tests/key.pem", KEY),
        ("app/a", b"-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----"),
        (
            "usr/lib/libcrypto.so",
            b"\0-----BEGIN PRIVATE KEY-----\0-----BEGIN EC",
        ),
        ("app/a", b"AKIAIOSFODNN7EXAMPLE"),
        ("app/a", b"ghp_" + b"x" * 36),
        ("app/a", b"X" + AWS.encode() + b"YZ"),
        ("app/a", b"git@github.com:user/repo.git ssh://git@host:22/x"),
        ("app/.env.example", b"A=1\n"),
        ("app/token", b"1"),
        (".env", b""),
    ],
)
def test_what_only_looks_like_a_secret_is_none(path: str, content: bytes) -> None:
    assert HOLDS is finding("secrets", image(tar((path, content)))).verdict


def test_a_secret_in_a_removed_file_is_found() -> None:
    seen = image(tar(directory("r"), ("r/k", AWS.encode())), tar((".wh.r", b"")))

    found = finding("secrets", seen)

    assert ("layer 1: /r/k: AWS access key, which a later layer hides",) == found.places


def test_a_removed_file_that_is_named_like_a_secret_is_told() -> None:
    seen = image(tar(directory("root"), ("root/token", b"1")), tar(("root/.wh.token", b"")))

    assert DOES_NOT is finding("secrets", seen).verdict


def test_a_key_that_a_package_brings_is_passed_over_and_counted() -> None:
    listed = ("var/lib/dpkg/info/tls.list", b"/.\n/usr/lib/libtls.so\n")
    seen = image(tar(("usr/lib/libtls.so", KEY)), tar(listed))

    found = finding("secrets", seen)

    assert HOLDS is found.verdict
    assert 1 == found.values["passed_over"]
    assert "1 in files of packages" in found.figure


@pytest.mark.parametrize(
    ("created_by", "environment", "told"),
    [
        (["RUN |1 TOKEN=t-4711 /bin/sh -c make # buildkit"], [], "history, step 1: TOKEN=••••"),
        (["RUN curl -H " + GITHUB], [], "history, step 1: GitHub token ••••"),
        (["ENV DB_PASSWORD=pa55"], ["DB_PASSWORD=pa55"], "environment: DB_PASSWORD=••••"),
        (["ENV API_KEY=old77"], ["API_KEY="], "history, step 1: API_KEY=••••"),
        ([], ["SETTINGS=" + AWS], "environment: SETTINGS=•••• (AWS access key)"),
    ],
)
def test_a_secret_is_found_in_history_and_environment_once(
    created_by: list[str], environment: list[str], told: str
) -> None:
    found = finding("secrets", image(tar(("a", b"1")), created_by=created_by, Env=environment))

    assert (told,) == found.places


@pytest.mark.parametrize(
    "environment",
    [
        "TOKEN_FILE=/run/secrets/token",
        "PASSWORD=",
        "TOKEN=$OTHER",
        "GPG_KEY=7169605F62C7",
        "PWD=/x",
    ],
)
def test_variables_that_hold_no_secret_are_none(environment: str) -> None:
    assert HOLDS is finding("secrets", image(tar(("a", b"1")), Env=[environment])).verdict


def test_facts_tell_no_secret() -> None:
    seen = image(
        tar(("a", b"1")),
        created_by=["RUN |1 TOKEN=t-4711 /bin/sh -c make"],
        Cmd=["serve", f"--key={AWS}"],
        Env=["TOKEN=t-4711"],
    )

    findings, facts = check(seen)

    told = repr(findings) + repr(facts)
    assert "t-4711" not in told
    assert AWS not in told
    assert ["TOKEN"] == facts["environment_names"]


def test_a_secret_is_found_wherever_the_pieces_end() -> None:
    """Pieces of a megabyte end in the middle of it, whatever its place is."""
    for shift in range(0, 60, 7):
        search = secrets.Search()
        search.enter("big", 0, 512, 1 << 21)
        content = b" " * ((1 << 20) - shift) + AWS.encode() + b" " * 5000
        for at in range(0, len(content), 1 << 20):
            search.feed(content[at : at + (1 << 20)])
        search.end()

        assert ["AWS access key"] == [hit.form for hit in search.hits]


_PARTS = st.sampled_from(
    [
        AWS.encode(),
        b"://user:correct-horse@db.internal",
        b"://a:b\vc\x85d@h",
        b"machine db login me password battery",
        b"machine\vdb\nlogin me\tpassword staple",
        b"-----BEGIN RSA PRIVATE KEY-----\n",
        b"AWS_secret_ACCESS_key = " + b"a1B2" * 10,
        b"ghp_" + b"a1B2" * 9,
        b"hooks.slack.com/services/T0A1B2C3D4/B0A1B2C3D4/" + b"aB3_" * 6,
        b" ",
        b"\n",
    ]
)


@given(st.lists(st.one_of(_PARTS, _PARTS.map(lambda part: part[:-1]), st.binary(max_size=40))))
def test_secrets_are_the_same_without_hyperscan(parts: list[bytes]) -> None:
    """It only spares RE2 what has none: wherever RE2 finds an anchor, Hyperscan has told of one."""
    pytest.importorskip("hyperscan")
    text = b"".join(parts)

    fast = _searched(text, secrets._prefilter())
    slow = _searched(text, lambda _: True)

    assert slow == fast
    assert secrets._prefilter()(text) == bool(secrets._anchors().search(text))


def _searched(text: bytes, may_have_one: Callable[[bytes], bool]) -> list[secrets.Hit]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_prefilter", lambda: may_have_one)
        search = secrets.Search()
    search.enter("file", 0, 512, len(text))
    search.feed(bytes(512) + text)
    search.end()
    return list(search.hits)


def test_without_hyperscan_re2_looks_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)

    database = secrets._database.__wrapped__()

    assert database is None


@pytest.mark.parametrize(
    ("user", "verdict", "told"),
    [
        ("", DOES_NOT, "names no user"),
        ("root", DOES_NOT, "which is root"),
        ("0", DOES_NOT, "which is root"),
        ("0:0", DOES_NOT, "which is root"),
        ("toor", DOES_NOT, "which is root"),
        ("www-data", DOES_NOT, "by name (number 33)"),
        ("stranger", DOES_NOT, "by name"),
        ("10001", HOLDS, "10001"),
        ("10001:10001", HOLDS, "10001:10001"),
    ],
)
def test_the_user_is_judged_by_its_number(user: str, verdict: Verdict, told: str) -> None:
    accounts = b"root:x:0:0:\ntoor:x:0:0:\nwww-data:x:33:33:\n"

    found = finding("user", image(tar(("etc/passwd", accounts)), User=user))

    assert verdict is found.verdict
    assert told in found.figure


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({"Cmd": ["/app"]}, HOLDS),
        ({"Cmd": ["/bin/sh", "-c", "/app --x"]}, DOES_NOT),
        ({"Cmd": ["/bin/sh", "-c", "exec /app --x"]}, HOLDS),
        ({"Entrypoint": ["/bin/bash", "-o", "pipefail", "-c", "/app"]}, DOES_NOT),
        ({"Entrypoint": ["/entry.sh"], "Cmd": ["/bin/sh", "-c", "/app"]}, DOES_NOT),
        ({"Entrypoint": ["/sbin/tini", "--", "sh", "-c", "/app"]}, DOES_NOT),
        ({"Entrypoint": ["tini", "--", "/app"]}, HOLDS),
        ({"Cmd": ["bash"]}, HOLDS),
        ({"Cmd": ["sh", "/app/start.sh"]}, HOLDS),
        ({}, Verdict.NOT_APPLICABLE),
    ],
)
def test_the_form_of_the_command_is_told(settings: Mapping[str, Any], verdict: Verdict) -> None:
    assert verdict is finding("command-form", image(tar(("a", b"1")), **settings)).verdict


def test_a_base_is_shared_with_images_that_begin_with_it() -> None:
    stack = [tar(("base", b"1")), tar(("own", b"2"))]
    archive = legacy(stack, config(stack))
    ids = [digest(layer) for layer in stack]

    def judged(*others: tuple[str, tuple[str, ...]], engine: object = object()) -> Verdict:
        one = archive_checks.Seen(read(chunks(archive)), others, has_engine=engine is not None)
        return archive_checks._shared_base(one).verdict

    assert HOLDS is judged(("other:1", (ids[0], "sha256:x")))
    assert DOES_NOT is judged(("other:1", ("sha256:x", ids[0])))
    assert Verdict.NOT_APPLICABLE is judged()
    assert Verdict.NOT_APPLICABLE is judged(engine=None)


def test_a_file_is_a_subject(tmp_path: Path) -> None:
    stack = [tar(("a", b"1"))]
    file = tmp_path / "image.tar"
    file.write_bytes(legacy(stack, config(stack)))
    told: list[int] = []

    one = subject.find(str(file), lambda: pytest.fail("no engine is needed"))
    seen = one.read(on_bytes=told.append)

    assert "image.tar" == one.name
    assert file.stat().st_size == one.archive_bytes == told[-1] == seen.archive_bytes
    assert ("made-up:1",) == seen.names


@pytest.mark.parametrize("prefix", ["", "oci:"])
def test_a_folder_with_an_oci_layout_is_a_subject(prefix: str, tmp_path: Path) -> None:
    """No link of it is followed: one that leads out of it is a blob that is missing."""
    stack = [tar(("etc/a", b"1" * 5000)), tar(("b", b"2"))]
    made = oci_layout([zstd(one) for one in stack], config(stack))
    with tarfile.open(fileobj=io.BytesIO(made)) as members:
        for member in members:
            file = tmp_path / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(members.extractfile(member).read())  # type: ignore[union-attr]
    told: list[int] = []

    one = subject.of_file(f"{prefix}{tmp_path}")
    seen = one.read(on_bytes=told.append)

    assert subject.is_archive(f"{prefix}{tmp_path}")
    assert [5000, 1] == [layer.unpacked_bytes for layer in seen.stack]
    assert one.archive_bytes <= told[-1]

    blob = max((tmp_path / "blobs" / "sha256").iterdir(), key=lambda file: file.stat().st_size)
    elsewhere = blob.rename(tmp_path / "elsewhere")
    blob.symlink_to(elsewhere)
    with pytest.raises(CouldNotMeasure, match="cannot be read"):
        one.read()


@pytest.mark.parametrize("name", ["docker-archive:missing.tar", "oci-archive:/"])
def test_a_file_that_cannot_be_read_is_told(name: str) -> None:
    with pytest.raises(CouldNotMeasure, match="cannot be read"):
        subject.of_file(name)


def test_the_engine_is_told_from_a_damaged_archive(tmp_path: Path) -> None:
    file = tmp_path / "evil\x1b[2J.tar"
    file.write_bytes(b"no archive")

    with pytest.raises(CouldNotMeasure) as raised:
        subject.of_file(str(file)).read()

    assert "\x1b" not in str(raised.value)


ARMS = {
    "B2": ("02-base-images", "hidden-bytes"),
    "B3": ("02-base-images", "package-manager"),
    "R3": ("08-runtime-configuration", "command-form"),
    "S1": ("04-layer-size", "hidden-bytes"),
    "S3": ("04-layer-size", "hidden-bytes"),
    "M1": ("05-multi-stage", "toolchain"),  # the images of M2
    "Q8": ("01-qualities", "user"),
    "P1": ("09-process-management", "command-form"),
}


@pytest.mark.engine
@pytest.mark.beside
@pytest.mark.parametrize("claim", [*ARMS, "R5"])
def test_the_fault_of_a_claim_is_found_in_its_bad_arm_alone(claim: str, engine: Any) -> None:
    with _arms(claim) as (bad, good, check_id):
        found = {
            arm: next(
                one
                for one in check(subject.of_engine(engine, image_id))[0]
                if one.check.id == check_id
            ).verdict
            for arm, image_id in (("bad", bad), ("good", good))
        }

    assert {"bad": DOES_NOT, "good": HOLDS} == found


@pytest.mark.engine
@pytest.mark.beside
@pytest.mark.parametrize(
    ("arm", "verdict"), [("env", DOES_NOT), ("copied", DOES_NOT), ("stage", HOLDS)]
)
def test_a_secret_is_found_wherever_the_image_has_it(
    arm: str, verdict: Verdict, engine: Any
) -> None:
    """A build argument of an earlier stage is in the builder's cache, and not in the image."""
    from proving import Lab, leaks

    with Lab("08-runtime-configuration") as lab, lab.workspace("R5", arm) as work:
        image = leaks.build(work, leaks.Token.random())
        found, _ = check(subject.of_engine(engine, image.id))

    assert verdict is next(one for one in found if one.check.id == "secrets").verdict


@pytest.mark.engine
@pytest.mark.beside
def test_what_was_only_recommended_shows_in_the_facts_of_an_image(engine: Any) -> None:
    """No check can tell it from what is wanted, so that no arm of S2 is at fault for it."""
    from proving import Lab

    with Lab("04-layer-size") as lab:
        (bad, more), (good, less) = (
            check(subject.of_engine(engine, image.id)) for image in lab.arms("S2")
        )

    assert [one.verdict for one in bad] == [one.verdict for one in good]
    for fact in ("packages", "executables", "unpacked_bytes"):
        assert less[fact] < more[fact]


@contextmanager
def _arms(claim: str) -> Iterator[tuple[str, str, str]]:
    """Build the bad and the good arm of a claim, as its chapter does."""
    from proving import Lab, leaks

    if claim != "R5":
        slug, check_id = ARMS[claim]
        with Lab(slug) as lab:
            bad, good = lab.arms(claim) if claim != "B3" else lab.variants(claim, "bad", "scratch")
            yield bad.id, good.id, check_id
        return
    token = leaks.Token.random()
    with (
        Lab("08-runtime-configuration") as lab,
        lab.workspace("R5", "bad") as one,
        lab.workspace("R5", "good") as other,
    ):
        yield leaks.build(one, token).id, leaks.build(other, token).id, "secrets"
