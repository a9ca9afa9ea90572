"""Engines are found in order, told apart, and missed in a sentence."""

import pytest
import requests
from proving import engine, private
from proving.engine import Engine, architecture, describe, talking_to
from proving.errors import EngineError


@pytest.mark.parametrize(
    ("recording", "version", "api", "store"),
    [
        ("docker-20.10", "20.10.24+dfsg1", "1.41", "overlay2"),
        ("docker-26.1", "26.1.5+dfsg1", "1.45", "containerd (overlayfs)"),
        ("docker-28.5", "28.5.2+dfsg4", "1.51", "containerd (overlayfs)"),
    ],
)
def test_engines_are_described(answer, recording, version, api, store):
    """Old and new, with a classic store and with containerd's: every field that a result tells."""
    info, versions = answer(f"{recording}/info.json"), answer(f"{recording}/version.json")

    told = describe(info, versions, "BuildKit")

    assert ("Docker Engine", version, api) == (told.engine, told.engine_version, told.api_version)
    assert (store, "amd64", "v1", 2) == (told.store, told.architecture, told.cgroup, told.cores)


def test_absent_fields_read_unknown():
    """An engine may leave out any field; the description says so and does not break."""
    told = describe({}, {}, "BuildKit")

    assert ("unknown", "unknown", 0) == (told.store, told.engine_version, told.cores)


@pytest.mark.parametrize(
    ("machine", "expected"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")]
)
def test_architectures_have_their_oci_names(machine, expected):
    """Machines, distributions and images name architectures differently."""
    assert expected == architecture(machine)


@pytest.mark.parametrize(
    ("url", "host", "published"),
    [
        ("unix:///var/run/docker.sock", "127.0.0.1", "127.0.0.1"),
        ("npipe:////./pipe/docker_engine", "127.0.0.1", "127.0.0.1"),
        ("tcp://engine.example:2376", "engine.example", "0.0.0.0"),
        ("ssh://me@engine.example:22", "engine.example", "0.0.0.0"),
        ("tcp://127.0.0.1:2375", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_ports_are_published_where_they_can_be_reached(url, host, published):
    """A local engine publishes on loopback alone; a remote one where we can reach it."""
    found = Engine(url, "a test")

    assert (host, published) == (found.host, found.published_on)


def test_an_answer_that_does_not_come_is_told_from_an_engine_that_went_away():
    """An engine that is busy is not said to be gone."""
    busy = Engine("unix:///var/run/docker.sock", "a test")

    with pytest.raises(EngineError, match="has not answered within 180 s"), talking_to(busy):
        raise requests.ReadTimeout
    with pytest.raises(EngineError, match="went away"), talking_to(busy):
        raise requests.ConnectionError


@pytest.mark.parametrize(
    ("answers", "name", "options"),
    [
        (["26.1.5", "github.com/docker/buildx v0.17.1 257815a"], "buildx 0.17.1", True),
        (["26.1.5", "github.com/docker/buildx 0.13.1+ds1 0.13.1"], "buildx 0.13.1+ds1", True),
        (["20.10.24+dfsg1", None], "within the engine, client 20.10.24+dfsg1", False),
    ],
)
def test_a_client_builds_by_buildx_or_within_the_engine(monkeypatch, answers, name, options):
    """Only buildx knows, and needs, the options that load an image without attestations."""
    told = iter(answers)
    monkeypatch.setattr(engine, "_clients", lambda: iter(["/usr/bin/docker"]))
    monkeypatch.setattr(engine, "_output", lambda *_: next(told))

    builder = Engine("unix:///var/run/docker.sock", "a test").builder

    assert f"BuildKit ({name})" == builder.name
    assert options == ("--provenance=false" in builder.command())
    assert options == ("--provenance=mode=max" in builder.command(provenance=True))


def test_a_new_client_without_buildx_is_passed_by(monkeypatch):
    """Such a client would build without BuildKit; the sentence says what to install."""
    told = iter(["28.2.2", None])
    monkeypatch.setattr(engine, "_clients", lambda: iter(["/usr/bin/docker"]))
    monkeypatch.setattr(engine, "_output", lambda *_: next(told))

    with pytest.raises(EngineError, match=r"28\.2\.2 has no buildx"):
        _ = Engine("unix:///var/run/docker.sock", "a test").builder


def test_a_docker_host_that_does_not_answer_is_an_error(monkeypatch, tmp_path):
    """A named engine is not silently replaced by another one."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")

    with pytest.raises(EngineError, match="unset DOCKER_HOST"):
        engine.find()


def test_no_engine_and_no_way_to_one(monkeypatch):
    """Without root, sudo and an engine, the sentence says what to do."""
    monkeypatch.setattr(engine, "_found", lambda: None)
    monkeypatch.setattr(private, "missing_packages", lambda: ["docker.io"])
    monkeypatch.setattr(private.system, "can_install", lambda: False)

    with pytest.raises(EngineError, match="No container engine answers here"):
        engine.find()


def test_an_engine_that_comes_with_the_packages_is_used(monkeypatch):
    """On an ordinary system the package starts its own engine: no second one is started."""
    answers = iter([None, Engine("unix:///var/run/docker.sock", "Docker's socket")])
    monkeypatch.setattr(engine, "_found", lambda: next(answers))
    monkeypatch.setattr(engine, "_check_version", lambda found: None)
    monkeypatch.setattr(private, "missing_packages", lambda: ["docker.io"])
    monkeypatch.setattr(private, "install", lambda tell: None)

    assert "Docker's socket" == engine.find().found


@pytest.mark.parametrize(("platform", "cure"), [("darwin", "colima"), ("win32", "WSL 2")])
def test_each_platform_has_its_cure(monkeypatch, platform, cure):
    """The sentence names what is to be installed on this platform."""
    monkeypatch.setattr(private.sys, "platform", platform)

    assert cure in private.how_to_get_one()


def test_the_private_socket_fits():
    """A socket's path ends at 107 characters (unix(7))."""
    assert len(str(private.socket())) <= 107
