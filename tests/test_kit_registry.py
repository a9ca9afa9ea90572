"""A room's registry can only be read, is believed nothing, and gives an engine each layer once."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import rooms
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from proving import Lab, bases, private
from proving import registry as registries
from proving.kit import debian, make, manifest, pull, registry, room, sources
from proving.kit.manifest import KitError, Manifest
from proving.paths import LABS

CONFIG = f"sha256:{'c' * 64}"
BLOB = b"a layer" * 50_000
BLOB_DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": registries.MANIFESTS[1],
        "config": {"digest": CONFIG, "size": 7},
        "layers": [{"digest": BLOB_DIGEST, "size": len(BLOB)}],
    }
).encode()
INDEX = json.dumps(
    {
        "manifests": [
            {"digest": "sha256:other", "platform": {"os": "linux", "architecture": "arm64"}},
            {"digest": "sha256:this", "platform": {"os": "linux", "architecture": "amd64"}},
        ]
    }
).encode()
ENTRY = manifest.Entry(
    "images/amd64-base.tar.gz", 1, "0" * 64, "amd64", "ours/base:1", CONFIG, CONFIG
)


class StandInRegistry(http.server.BaseHTTPRequestHandler):
    """What a registry would answer, for each path."""

    answers: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        """Answer in whole, or from the middle on."""
        content = self.answers.get(self.path)
        if content is None:
            self.send_error(404)
            return
        begins = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").strip("-"))
        self.send_response(206 if begins else 200)
        self.send_header("Content-Length", str(len(content) - begins))
        self.send_header("Docker-Content-Digest", "sha256:whatever")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[begins:])

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering(answers: dict[str, bytes]) -> Iterator[str]:
    """Yield the `host:port` of a server that answers so."""
    handler = type("", (StandInRegistry,), {"answers": answers})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Serve an empty kit with a registry behind it, by its own program; yield its address."""
    manifest.write(tmp_path / "kit", Manifest("2026-01-02T03:04:05+00:00", is_complete=True))
    code = (
        "import sys; from contextlib import nullcontext; from pathlib import Path;"
        "from proving.kit import room; behind = nullcontext(sys.argv[2]);"
        "room.serve(Path(sys.argv[1]), '127.0.0.1', 0, registry=lambda *_: behind)"
    )
    prefix = "/v2/ours/base"
    answers = {
        f"{prefix}/manifests/1": IMAGE,
        f"{prefix}/blobs/{BLOB_DIGEST}": BLOB,
        "/v2/_catalog": b"{}",
        f"{prefix}/tags/list": b"{}",
    }
    with (
        answering(answers) as behind,
        rooms.served(code, str(tmp_path / "kit"), f"http://{behind}") as address,
    ):
        yield address


def base(served: str) -> str:
    """Return where a room's registry has its repositories."""
    return pull.base(sources.Room(served))


def status(url: str, method: str = "GET") -> int:
    """Return the HTTP status that is answered."""
    request = urllib.request.Request(url, method=method, data=b"x" if method[0] == "P" else None)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_room_passes_on_what_its_registry_answers(served):
    """Manifests and blobs, whole, in part, and their headers alone."""
    blob = f"{base(served)}/ours/base/blobs/{BLOB_DIGEST}"
    with urllib.request.urlopen(blob, timeout=60) as answer:
        assert BLOB == answer.read()
        assert "sha256:whatever" == answer.headers["Docker-Content-Digest"]
    part = urllib.request.Request(blob, headers={"Range": "bytes=100000-"})
    with urllib.request.urlopen(part, timeout=60) as answer:
        assert BLOB[100_000:] == answer.read()
        assert 206 == answer.status
    with urllib.request.urlopen(urllib.request.Request(blob, method="HEAD"), timeout=60) as answer:
        assert str(len(BLOB)) == answer.headers["Content-Length"]

    assert IMAGE == urllib.request.urlopen(f"{base(served)}/ours/base/manifests/1").read()
    assert 200 == status(f"{served.rpartition('/')[0]}/v2/")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_a_rooms_registry_can_only_be_read(served, method):
    """Whatever would change it is refused, and never passed on."""
    for path in ("/manifests/1", f"/blobs/{BLOB_DIGEST}", "/blobs/uploads/"):
        assert status(f"{base(served)}/ours/base{path}", method) in (404, 405)
    assert 405 == status(f"{base(served)}/ours/base/manifests/1", method)
    assert 405 == status(f"{served.rpartition('/')[0]}/v2/", method)


def test_a_rooms_registry_lists_nothing_and_wants_the_token(served):
    """What it has is asked for by name, below the address that the room was told."""
    root = served.rpartition("/")[0]

    for path in (
        f"{root}/v2/_catalog",
        f"{root}/v2/ours/base/manifests/1",
        f"{root}/v2/{'0' * sources.TOKEN_LENGTH}/ours/base/manifests/1",
        f"{base(served)}/ours/base/tags/list",
        f"{base(served)}/../_catalog",
        f"{base(served)}/ours/base/blobs/..%2f..%2f..%2f_catalog",
        f"{base(served)}/ours/base/manifests/2",
    ):
        assert 404 == status(path), path


def test_a_room_without_a_registry_has_no_part_of_one(tmp_path):
    """An engine that asks is told so."""
    manifest.write(tmp_path, Manifest("", is_complete=True))
    pages = room.application(tmp_path, manifest.read(tmp_path), "http://192.0.2.7:1/token")

    assert not any("/v2/" in rule.matcher.regex.pattern for rule in pages.wildcard_router.rules)


def first_answer(host: str, sent: bytes) -> bytes:
    """Return what is answered to these bytes, after which no more come."""
    name, _, port = host.rpartition(":")
    with socket.create_connection((name, int(port)), 60) as connection:
        connection.sendall(sent)
        return connection.recv(1000)


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + b"\x03" * 500


def test_who_begins_with_tls_is_answered(served):
    """Engines try that first, and go on without it after any answer in plain HTTP.

    A server that waited for the end of such a request would wait until the engine gives up.
    """
    host = served.split("/")[2]
    with pull.forwarded(host) as port:
        for place in (host, f"127.0.0.1:{port}"):
            assert first_answer(place, HELLO).startswith(b"HTTP/1.1 400")


def test_a_forwarder_leads_to_the_room_while_it_is_open(served):
    """And nowhere afterwards."""
    path = urllib.request.urlparse(base(served)).path
    with pull.forwarded(served.split("/")[2]) as port:
        url = f"http://127.0.0.1:{port}{path}/ours/base/blobs/{BLOB_DIGEST}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert BLOB == answer.read()

    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=60)


@pytest.mark.parametrize(
    ("content", "is_there"),
    [
        (IMAGE, True),
        (IMAGE.replace(b"ccc", b"ddd"), False),
        (b"{}", False),
        (b"[]", False),
        (b"null", False),
        (b"no JSON", False),
        (b"[" * 100_000, False),
        (b" " * (registry.MOST_BYTES + 1), False),
        (None, False),
    ],
)
def test_a_registry_is_believed_nothing(content, is_there):
    """Its image counts where it is the kit's; the digest to pull by is computed here."""
    answers = {"/v2/ours/base/manifests/1": content} if content is not None else {}
    with answering(answers) as host:
        found = registry.manifest_in(f"http://{host}/v2", ENTRY)

    assert is_there == (found is not None)
    if found is not None:
        assert f"sha256:{hashlib.sha256(IMAGE).hexdigest()}" == found.digest


def test_an_index_leads_to_the_image_of_this_architecture():
    """Some stores push one."""
    answers = {"/v2/ours/base/manifests/1": INDEX, "/v2/ours/base/manifests/sha256:this": IMAGE}
    with answering(answers) as host:
        assert registry.manifest_in(f"http://{host}/v2", ENTRY) is not None


def test_a_registry_that_does_not_answer_is_told():
    """In a sentence."""
    with pytest.raises(KitError, match="does not answer"):
        registry.manifest_in("http://127.0.0.1:9/v2", ENTRY)


LISTED = {
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["10.1.0.0/16", "127.0.0.0/8"],
        "IndexConfigs": {
            "docker.io": {"Secure": True},
            "192.0.2.7:8475": {"Secure": False},
            "192.0.2.8:8475": {"Secure": True},
        },
    }
}


@pytest.mark.parametrize(
    ("host", "is_accepted"),
    [
        ("192.0.2.7:8475", True),
        ("192.0.2.7:8476", False),
        ("192.0.2.8:8475", False),
        ("10.1.2.3:8475", True),
        ("127.0.0.1:8475", True),
        ("trainer:8475", False),
    ],
)
def test_an_engine_tells_what_it_takes_without_tls(host, is_accepted):
    """By the address itself, or by a network that has it."""
    assert is_accepted == pull.is_accepted(LISTED, host)
    assert not pull.is_accepted({}, host)


def test_layers_are_told_as_the_engine_tells_them():
    """Those that it had count apart, and each once."""
    lines = [
        {"status": "Pulling from ours/base", "id": "sha256:1"},
        {"status": "Already exists", "id": "a"},
        {"status": "Pull complete", "id": "b"},
        {"status": "Download complete", "id": "b"},
        {"status": "Status: Downloaded newer image"},
    ]

    assert "1 layer fetched, 1 here already" == pull.told_layers(lines)
    assert "0 layers fetched, 0 here already" == pull.told_layers([])


def test_a_room_is_served_without_a_registry_where_none_can_be(tmp_path, monkeypatch):
    """A sentence says why, and the files are served."""
    told = []

    def nothing(*_: object, **__: object) -> None:
        raise KitError("no engine.")

    monkeypatch.setattr(registry, "find", nothing)

    with registry.serving(tmp_path, Manifest(""), told.append) as address:
        assert "" == address
    assert ["No registry is served, and images travel as files: no engine."] == told


class StandInContainer:
    """A container that an engine does not start, and that was removed by somebody else."""

    def __init__(self, *, is_gone: bool = False) -> None:
        self.is_gone, self.removed = is_gone, 0

    def start(self) -> None:
        """Refuse it, as an engine does where no port is left."""
        raise APIError("no", explanation="no port is left")

    def remove(self, **_: object) -> None:
        """Note that it was removed."""
        self.removed += 1
        if self.is_gone:
            raise NotFound("gone")


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_registry_that_is_not_started_leaves_no_container(is_gone):
    """The engine has made it by then."""
    container = StandInContainer(is_gone=is_gone)
    containers = SimpleNamespace(create=lambda *_, **__: container)
    volumes = SimpleNamespace(create=lambda *_, **__: None)
    engine = SimpleNamespace(docker=SimpleNamespace(containers=containers, volumes=volumes))

    with (
        pytest.raises(KitError, match="does not start it: no port is left"),
        registry._started(engine, ENTRY, writable=False),
    ):
        pytest.fail("it was started")

    assert 1 == container.removed


STUBBORN = """
import signal, sys, time
from contextlib import contextmanager
from pathlib import Path
from proving.kit import room

@contextmanager
def registry(*_):
    try:
        yield ""
    finally:
        print("closing", flush=True)
        time.sleep(1)
        print("closed", flush=True)

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # not ignored, as `nohup` has it
room.serve(Path(sys.argv[1]), "127.0.0.1", 0, registry=registry)
"""


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_a_room_ends_its_registry(tmp_path, name):
    """A terminal that closes does, too; a second signal does not cut that short."""
    manifest.write(tmp_path, Manifest("2026-01-02T03:04:05+00:00", is_complete=True))
    command = [sys.executable, "-c", STUBBORN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        address = next(one for one in served.stdout if one.startswith("The room is served at "))
        assert 200 == status(address.split()[5])  # it is up

        served.send_signal(name)
        assert any(one == "closing\n" for one in served.stdout)
        served.send_signal(name)

        assert "closed\n" == served.stdout.readline()
        assert 0 == served.wait(60)


class StandInStore:
    """The images of an engine by their names: one that has none is gone, as in containerd."""

    def __init__(self, **named: str) -> None:
        self.named = {name.replace("_", ":"): image for name, image in named.items()}

    def get(self, name: str) -> Any:
        """Return an image by its name or its ID."""
        image = self.named.get(name, name)
        if image not in self.named.values():
            raise ImageNotFound(name)
        return SimpleNamespace(
            id=image, tag=lambda repository, tag: self.named.update({f"{repository}:{tag}": image})
        )

    def remove(self, name: str) -> None:
        """Remove a name."""
        del self.named[name]


@pytest.mark.parametrize("there", [{}, {"base_1": "another"}])
@pytest.mark.parametrize("fails", [False, True])
def test_what_an_engine_had_under_a_kits_name_is_there_again(monkeypatch, there, fails):
    """Whatever becomes of the push, or of the loading before it."""
    store, entry = StandInStore(**there), replace(ENTRY, reference="base:1")
    engine = SimpleNamespace(docker=SimpleNamespace(images=store))
    before = dict(store.named)

    def put(*_: object) -> None:
        if fails:
            raise KitError("it is refused.")
        store.named["base:1"] = CONFIG

    monkeypatch.setattr(registry.load, "put", put)

    with suppress(KitError), registry._on_engine(engine, Path(), entry):
        assert CONFIG == store.get("base:1").id
        raise KitError("the push is refused.")

    assert before == store.named


class StandInEngine:
    """An engine that has no image, and refuses each pull."""

    url = "unix:///nowhere"

    def __init__(self, *, refuses: str) -> None:
        self.docker = SimpleNamespace(images=self, api=self, info=lambda: {})
        self.description = SimpleNamespace(architecture="amd64", store="overlay2")
        self.refuses, self.asked = refuses, []

    def get(self, name: str) -> None:
        """Have none."""
        raise ImageNotFound(name)

    def pull(self, name: str, **asked: object) -> list[dict[str, str]]:
        """Refuse it, as an engine does whose machine is another one."""
        self.asked.append((name, asked["tag"]))
        return [{"status": "Pulling"}, {"error": self.refuses}]


@pytest.fixture
def told_from_room(tmp_path, monkeypatch):
    """Return what is said where an engine is to take a kit's image from a room."""
    made = Manifest("", (ENTRY,), is_complete=True)
    monkeypatch.setattr(sources, "taken", lambda: made)
    monkeypatch.setattr(sources, "TAKEN", tmp_path)
    monkeypatch.setattr(pull, "STATE", tmp_path)

    def tell(engine: StandInEngine, answers: dict[str, bytes]) -> str:
        with answering(answers) as host:
            said: list[str] = []
            pull.from_room(engine, f"http://{host}/{TOKEN}", said.append)
            return " ".join(said)

    return tell


TOKEN = "0" * sources.TOKEN_LENGTH
OF_ROOM = {"/v2/": b"{}", f"/v2/{TOKEN}/ours/base/manifests/1": IMAGE}


def test_an_engine_that_refuses_a_room_gets_files(told_from_room):
    """It was asked by the digest that was computed here; a sentence says what it answered."""
    engine = StandInEngine(refuses="connection refused.")

    told = told_from_room(engine, OF_ROOM)

    assert "come as files: the engine does not pull from 127.0.0.1" in told
    assert told.endswith("connection refused.")
    assert f"sha256:{hashlib.sha256(IMAGE).hexdigest()}" == engine.asked[0][1]


def test_a_laptop_whose_credentials_cannot_be_asked_for_gets_files(told_from_room, monkeypatch):
    """The client asks for some before each pull, where its settings name a program for that."""
    engine = StandInEngine(refuses="not asked")

    def pull_it(*_: object, **__: object) -> None:
        raise DockerException("Credentials store error: not installed")

    monkeypatch.setattr(engine, "pull", pull_it)

    told = told_from_room(engine, OF_ROOM)

    assert "come as files: the engine does not pull from 127.0.0.1" in told
    assert told.endswith("Credentials store error: not installed.")


def test_a_room_with_another_image_is_not_pulled_from(told_from_room):
    """The engine is not even asked."""
    engine = StandInEngine(refuses="not asked")
    other = {path: image.replace(b"ccc", b"ddd") for path, image in OF_ROOM.items()}

    assert "has no ours/base:1 of this kit's" in told_from_room(engine, other)
    assert [] == engine.asked


def test_a_room_without_a_registry_is_told(told_from_room):
    """It answers, and has files alone."""
    assert "the room serves no registry" in told_from_room(StandInEngine(refuses=""), {})


def test_an_engine_on_another_system_gets_files(told_from_room, monkeypatch):
    """Such as Docker Desktop's, whose loopback is another one than this machine's."""
    monkeypatch.setattr(pull.sys, "platform", "darwin")
    engine = StandInEngine(refuses="not asked")

    assert "engine's insecure-registries" in told_from_room(engine, OF_ROOM)
    assert [] == engine.asked


SERVE = """
import sys
from pathlib import Path
from proving.kit import registry, room
room.serve(Path(sys.argv[1]), sys.argv[2], 0, registry=registry.serving)
"""

PARTICIPANT = """
set -e
exec 2>&1
"$PYTHON" -m proving.kit.sources "$PROVING_KIT"
"$PYTHON" -m proving.kit.command --load
docker images --digests --no-trunc --format '{{.Repository}}:{{.Tag}} {{.Digest}} {{.ID}}'
find .engine/kit -type f
"""

DOCKERFILE = """
ARG SLIM=debian:13-slim
FROM ${SLIM}
COPY first /first
COPY second /second
"""


@pytest.fixture
def laptop() -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield folder and environment of a machine with an engine of its own, which is empty."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("another private engine needs Linux and root")
    if private.missing_packages():
        pytest.skip("a private engine needs distribution packages that are not here")
    with tempfile.TemporaryDirectory(prefix="proving-room-") as folder:
        ignored = shutil.ignore_patterns("__pycache__", "work")
        shutil.copytree(LABS, Path(folder, "labs"), ignore=ignored)
        environment = {**os.environ, "PYTHONPATH": f"{folder}/labs", "PYTHON": sys.executable}
        try:
            url = on_laptop(folder, environment, START)
            yield Path(folder), {**environment, "DOCKER_HOST": url.splitlines()[-1]}
        finally:
            on_laptop(folder, environment, ERASE)


START = """ "$PYTHON" -c 'from proving import private; print(private.start())' """
ERASE = """ "$PYTHON" -c 'from proving import private; private.erase()' """


def on_laptop(folder: Path | str, environment: dict[str, str], script: str) -> str:
    """Run a script on the laptop; return what it says."""
    command = ["sh", "-c", script]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    print(ended.stdout, ended.stderr)  # shown where a test fails
    assert 0 == ended.returncode
    return ended.stdout


def container_of(engine: Any) -> Any:
    """Return the container with the room's registry."""
    ours = {"label": f"{debian.LABEL}={registry.name()}"}
    (container,) = engine.docker.containers.list(filters=ours)
    return container


def own_address(engine: Any) -> str:
    """Return where the trainer's machine itself reaches the registry: on its loopback alone."""
    (published,) = container_of(engine).ports[f"{registries.PORT}/tcp"]
    assert "127.0.0.1" == published["HostIp"]
    return f"http://127.0.0.1:{published['HostPort']}"


def sent_bytes(engine: Any) -> int:
    """Return the bytes of blobs that the room's registry has sent, by its own log."""
    log = container_of(engine).logs(stderr=False).decode()
    return sum(one.transfer_bytes for one in registries.blobs_sent(registries.parse_answers(log)))


def kit_of(engine: Any, folder: Path, reference: str) -> Manifest:
    """Make a kit of one image and of the registry."""
    folder.mkdir()
    kit = make.Kit(folder, make.Wanted(), lambda _: None, engine.description.architecture)
    make._save(kit, engine, reference, manifest.IMAGES)
    make._registry(kit, engine)
    kit.manifest = replace(kit.manifest, is_complete=True)
    manifest.write(folder, kit.manifest)
    return kit.manifest


@pytest.mark.engine
def test_an_engine_takes_from_a_room_only_the_layers_that_it_lacks(engine, laptop, tmp_path):
    """Of a newer kit that is the new layer, which replaces the older kit's image.

    One room is on a network that the engine knows nothing of, one where engines want no TLS.
    """
    name, sent, told = "proving-ground/test-of-a-room:1", [], []
    slim = bases.ready(engine, ["SLIM"])["SLIM"].reference
    address = engine.docker.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"]
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "first").write_bytes(os.urandom(3_000_000))
    try:
        for kit, host in ((tmp_path / "older", address), (tmp_path / "newer", "127.0.0.1")):
            (context / "second").write_bytes(os.urandom(1_000_000))
            with Lab("test") as lab:
                image = lab.image_of(
                    kit.name, context, Path("Dockerfile"), arguments={"SLIM": slim}
                ).build()
                engine.docker.images.get(image.id).tag(*name.split(":"))
                made = kit_of(engine, kit, name)
            with rooms.served(SERVE, str(kit), host) as room_address:
                before = sent_bytes(engine)
                assert 405 == status(f"{own_address(engine)}/v2/a/blobs/uploads/", "POST")
                environment = {**laptop[1], "PROVING_KIT": room_address}
                told.append(on_laptop(laptop[0], environment, PARTICIPANT))
                sent.append(sent_bytes(engine) - before)
            engine.docker.images.remove(name)
    finally:
        registry.remove(engine.docker)

    ours = {"label": f"{debian.LABEL}={registry.name()}"}
    assert [] == engine.docker.volumes.list(filters=ours)
    print("bytes of blobs that were sent:", sent)
    (entry,) = [one for one in made.entries if one.part == manifest.IMAGES]
    assert sent[0] > 20_000_000
    assert 1_000_000 < sent[1] < 1_100_000
    assert [f"{name} <none> {entry.config_digest}"] == [
        line for line in told[1].splitlines() if "sha256:" in line
    ]
    assert ".tar.gz" not in told[1]
    assert "by way of this machine's loopback" in told[0]
    assert "which the engine takes without TLS" in told[1]
