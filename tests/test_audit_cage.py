"""Hostile images in the audit's cage: each ends with a sentence, at a bounded cost, and is gone."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound
from proving.audit import cage, run_checks
from proving.audit.cage import Limits, Start
from proving.audit.findings import Finding
from proving.audit.secrets import one_line
from proving.claims import Verdict
from proving.qualities import TEMPORARY

MEBIBYTE = 2**20

Audit = Callable[..., dict[str, Finding]]


@pytest.fixture(scope="module")
def lab() -> Iterator[Any]:
    """Return a lab; afterwards nothing that carries its run's label is on the engine."""
    from proving import Lab, leftovers

    opened = Lab("audit-of-hostile-images")
    yield opened
    opened.close()
    told = {"label": f"{leftovers.RUN_LABEL}={opened.run}"}
    docker = opened.engine.docker

    assert [] == docker.containers.list(all=True, filters=told)
    assert [] == docker.volumes.list(filters=told)
    assert [] == docker.images.list(f"{leftovers.IMAGES_OF_RUNS}/{opened.run}")


@pytest.fixture
def audit(lab: Any, tmp_path: Path) -> Audit:
    """Return a function that builds a Dockerfile and audits it; no container of it is left."""

    def build_and_audit(dockerfile: str, *only: str, **options: Any) -> dict[str, Finding]:
        (tmp_path / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        image = lab.build(tmp_path)
        options = {"writes_seconds": 4.0, "grace_seconds": 2.0, "only": only, **options}
        seen = run_checks.run(lab, image.id, **options)
        told = {"ancestor": image.id}

        assert [] == lab.engine.docker.containers.list(all=True, filters=told)
        return {finding.check.id: finding for finding in seen.findings}

    return build_and_audit


def slim(*lines: str) -> str:
    """Return a Dockerfile on the slim base."""
    return "\n".join(("ARG SLIM=debian:13-slim", "FROM ${SLIM}", *lines, ""))


def bash(script: str) -> str:
    """Return a CMD that runs a script of bash as the first process."""
    return f"CMD {json.dumps(['bash', '-c', script])}"


@pytest.mark.engine
def test_an_image_without_a_command_is_told_so(audit: Audit) -> None:
    """There is nothing to run, and no check passes."""
    found = audit("FROM scratch\nCOPY Dockerfile /only\n")

    assert {Verdict.COULD_NOT_BE_MEASURED} == {finding.verdict for finding in found.values()}
    assert "has no command" in found["stops"].figure


@pytest.mark.engine
def test_an_image_without_a_shell_is_seen_from_outside(audit: Audit) -> None:
    """Nothing is needed in the image: it has one program and its loader."""
    found = audit(
        "ARG MINIMAL=alpine\nFROM ${MINIMAL} AS minimal\nFROM scratch\n"
        "COPY --from=minimal /lib/ld-musl-*.so.1 /lib/\nCOPY --from=minimal /bin/busybox /sleep\n"
        'CMD ["/sleep", "1000"]\n',
        "pid-1",
        "reaps",
        "stops",
    )

    assert Verdict.HOLDS == found["pid-1"].verdict
    assert Verdict.DOES_NOT_HOLD == found["reaps"].verdict
    assert Verdict.DOES_NOT_HOLD == found["stops"].verdict


@pytest.mark.engine
def test_a_program_that_is_not_there_is_told_so(audit: Audit) -> None:
    """What the engine says of it is passed on."""
    found = audit('FROM scratch\nCOPY Dockerfile /only\nCMD ["/nothing"]\n')

    assert {Verdict.COULD_NOT_BE_MEASURED} == {finding.verdict for finding in found.values()}
    assert "The engine does not start it" in found["stops"].figure


@pytest.mark.engine
def test_one_that_forks_without_end_is_bounded_and_ended(audit: Audit) -> None:
    """Its processes are limited, and the audit still sees them and stops it."""
    began = time.monotonic()
    found = audit(
        slim(bash("f() { f | f & }; f; while :; do sleep 1; done")),
        "pid-1",
        "stops",
        limits=Limits(processes=200),
    )

    assert int(found["pid-1"].values.get("processes", 0)) <= 200
    assert Verdict.HOLDS != found["stops"].verdict
    assert time.monotonic() - began < 90


@pytest.mark.engine
def test_one_that_fills_its_disk_is_ended(audit: Audit) -> None:
    """It is ended soon after its bound, and the reason is the sentence of every check."""
    fill = "for n in $(seq 10000); do head -c 16M /dev/zero > /fill$n; sleep 0.05; done"
    found = audit(slim(bash(fill)), limits=Limits(written_bytes=64 * MEBIBYTE))

    assert Verdict.HOLDS not in {finding.verdict for finding in found.values()}
    assert "more than 64 MiB" in found["stops"].figure


@pytest.mark.engine
def test_one_that_fills_its_volume_is_ended(lab: Any, tmp_path: Path) -> None:
    """A volume is no part of the writable layer; it is weighed apart, and goes with the cage."""
    fill = "for n in $(seq 10000); do head -c 16M /dev/zero > /data/$n; sleep 0.05; done"
    (tmp_path / "Dockerfile").write_text(slim("VOLUME /data", bash(fill)), encoding="utf-8")
    image = lab.build(tmp_path)
    told = cage.declared(image.get_wrapped_image().attrs)
    limits = Limits(written_bytes=64 * MEBIBYTE)
    start = Start(up_seconds=60, patience_seconds=60)
    with (
        cage.Guard(lab) as guard,
        cage.Cage(lab, guard, image.id, told, start, limits=limits, options=TEMPORARY) as one,
    ):
        up = one.wait_until_up()
        mounts = one.app.get_wrapped_container().attrs["Mounts"]
    volumes = [mount["Name"] for mount in mounts if mount["Type"] == "volume"]

    assert "more than 64 MiB" in up.fault
    assert 1 == len(volumes)
    with pytest.raises(NotFound):
        lab.engine.docker.volumes.get(volumes[0])


@pytest.mark.engine
def test_one_that_makes_files_without_end_is_seen_in_part(audit: Audit) -> None:
    """Empty files weigh nothing; the list of them is read as far as its bound."""
    touch = "n=0; while :; do : > /var/tmp/a_rather_long_name_of_a_file_$((n += 1)); done"
    began = time.monotonic()
    found = audit(slim(bash(touch)), "writes")

    assert Verdict.HOLDS != found["writes"].verdict
    assert "at least" in found["writes"].figure
    assert time.monotonic() - began < 120


@pytest.mark.engine
def test_one_that_floods_its_log_keeps_a_bounded_one(audit: Audit) -> None:
    """The engine keeps no more than the bound, and the figure says that there was more."""
    found = audit(slim('CMD ["yes", "a flood"]'), "logs", limits=Limits(log_bytes=MEBIBYTE))

    assert Verdict.HOLDS == found["logs"].verdict
    assert "at least" in found["logs"].figure
    assert 0 < int(found["logs"].values["log_bytes"]) <= MEBIBYTE


@pytest.mark.engine
def test_one_that_ignores_every_signal_is_killed(audit: Audit) -> None:
    """The grace period is waited for, and then it is gone."""
    deaf = 'trap "" TERM INT HUP QUIT USR1 USR2; while :; do sleep 1; done'
    found = audit(slim(bash(deaf)), "stops")

    assert Verdict.DOES_NOT_HOLD == found["stops"].verdict
    assert 137 == found["stops"].values["exit_status"]


@pytest.mark.engine
def test_one_that_never_comes_up_costs_its_patience_alone(audit: Audit) -> None:
    """It exposes a port that it never opens: nothing else is tried."""
    began = time.monotonic()
    found = audit(slim("EXPOSE 8080", 'CMD ["sleep", "infinity"]'), start=Start(patience_seconds=3))

    assert {Verdict.COULD_NOT_BE_MEASURED} == {finding.verdict for finding in found.values()}
    assert "did not come up within 3 s" in found["stops"].figure
    assert time.monotonic() - began < 45


@pytest.mark.engine
def test_one_that_needs_more_memory_than_it_gets_is_told_so(audit: Audit) -> None:
    """The kernel ends it, and the sentence names the bound."""
    hog = "x=$(head -c 200M /dev/zero | tr '\\0' x); sleep 1000"
    found = audit(slim(bash(hog)), "stops", limits=Limits(memory_bytes=64 * MEBIBYTE))

    assert Verdict.COULD_NOT_BE_MEASURED == found["stops"].verdict


@pytest.mark.engine
def test_a_job_is_no_service(audit: Audit) -> None:
    """A command that ends well by itself, and opens no port, fails no check."""
    found = audit(slim('CMD ["true"]'))

    assert {Verdict.NOT_APPLICABLE} == {finding.verdict for finding in found.values()}


@pytest.mark.engine
def test_nothing_of_the_host_is_in_reach(audit: Audit, lab: Any, tmp_path: Path) -> None:
    """In the cage there is no interface but loopback, no capability, and no way to new ones."""
    look = (
        "cat /proc/net/dev /proc/net/route; grep -E 'CapEff|NoNewPrivs' /proc/self/status; sleep 99"
    )
    (tmp_path / "Dockerfile").write_text(slim(bash(look)), encoding="utf-8")
    image = lab.build(tmp_path)
    told = cage.declared(image.get_wrapped_image().attrs)
    start = Start(log_line="NoNewPrivs")
    with cage.Guard(lab) as guard, cage.Cage(lab, guard, image.id, told, start) as one:
        up = one.wait_until_up()
        log = one.log_text()
        attributes = one.app.get_wrapped_container().attrs

    assert up.is_up
    interfaces = [line.split(":")[0].strip() for line in log.splitlines() if ":" in line]
    assert not [name for name in interfaces if name.startswith(("eth", "en", "docker", "br"))]
    assert "0000000000000000" in log
    assert "NoNewPrivs:\t1" in log
    assert [] == attributes["Mounts"]
    assert not attributes["HostConfig"]["PortBindings"]


def foreign_image(architecture: str, machine: int, name: str) -> bytes:
    """Return an archive, as `docker save` writes it, with a header of ELF as its only program."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little")
    layer = packed({"program": header + machine.to_bytes(2, "little") + bytes(44)})
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/program"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    told = {"config.json": config, "manifest.json": manifest}
    return packed({"layer.tar": layer} | {key: json.dumps(it).encode() for key, it in told.items()})


def packed(files: dict[str, bytes]) -> bytes:
    """Return a tar archive of files that may be executed."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


@pytest.mark.engine
def test_a_program_of_another_architecture_is_told_so(lab: Any) -> None:
    """Where the engine emulates nothing, the sentence names both architectures."""
    from proving import leftovers

    here = lab.engine.description.architecture
    other, machine = ("arm64", 0xB7) if here == "amd64" else ("amd64", 0x3E)
    name = leftovers.image_name(lab.run, "foreign")
    lab.engine.docker.images.load(foreign_image(other, machine, name))

    seen = run_checks.run(lab, name, writes_seconds=2.0)

    assert {Verdict.COULD_NOT_BE_MEASURED} == {finding.verdict for finding in seen.findings}
    assert f"made for {other}" in seen.findings[0].figure


@pytest.mark.engine
def test_an_image_that_is_not_there_is_told_so(lab: Any) -> None:
    """The engine is asked first, and a sentence says what it has not."""
    from proving.errors import ProvingError

    with pytest.raises(ProvingError, match="has no image no/such:image"):
        run_checks.run(lab, "no/such:image")


@pytest.mark.engine
def test_an_audit_that_breaks_off_leaves_no_container(lab: Any, tmp_path: Path) -> None:
    """Whoever is told of the checks may fail; the cages that are open then are removed."""
    from proving import leftovers

    def fail(name: str) -> None:
        raise RuntimeError(name)

    (tmp_path / "Dockerfile").write_text(slim(bash("sleep 1000")), encoding="utf-8")
    image = lab.build(tmp_path)
    with pytest.raises(RuntimeError):
        run_checks.run(lab, image.id, only=["reaps", "logs"], tell=fail)
    told = {"label": f"{leftovers.RUN_LABEL}={lab.run}"}

    assert [] == lab.engine.docker.containers.list(all=True, filters=told)


def test_what_is_no_regular_expression_is_told_so() -> None:
    """The path of a request begins with a slash, whether or not it was given so."""
    from proving.errors import ProvingError

    with pytest.raises(ProvingError, match="no regular expression"):
        run_checks._checked(Start(log_line="(ready"))
    assert "/ready" == run_checks._checked(Start(path="ready")).path


def test_passwords_in_addresses_are_left_out() -> None:
    """The rest of the address stays, so that a reader knows which one it is."""
    told = one_line("no postgres://shop:secret@db/orders")

    assert "no postgres://shop:••••@db/orders" == told


def test_many_ports_are_told_in_few_words() -> None:
    """A stranger may open thousands."""
    assert "80, 443" == cage.numbers([80, 443])
    assert "none" == cage.numbers([])
    assert cage.numbers(range(1, 1001)).endswith("8 and 992 more")


def test_a_strangers_text_is_made_plain() -> None:
    """Neither a terminal's escapes nor new lines nor directions of writing come through."""
    assert "a\\x1b[31mred \\u202eb" == one_line("a\x1b[31mred\n\u202eb")
    assert "…" in one_line("x" * 500)
    assert 160 == len(one_line("x" * 500))


def test_the_last_lines_of_a_log_make_one() -> None:
    """Empty lines are left out, and no more than three are told."""
    assert "b / c / d" == cage.ending("a\nb\n\nc\nd\n\n")
    assert "" == cage.ending("\n \n")


def test_ports_are_read_as_of_now_and_as_ever() -> None:
    """The last line is now; what was open before is remembered."""
    assert ((80,), (80, 8080)) == cage.parse_ports("listening\nlistening 8080 80\nlistening 80\n")
    assert ((), (80,)) == cage.parse_ports("listening 80\nlistening\nrubbish\n")
    assert ((), ()) == cage.parse_ports("")


def test_an_images_configuration_is_read_with_what_it_leaves_out() -> None:
    """Ports of UDP are not asked by HTTP; an empty configuration has the defaults."""
    told = cage.declared(
        {
            "Architecture": "arm64",
            "Config": {
                "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8080": {}},
                "Env": ["A=b=c", "EMPTY="],
                "Volumes": {"/data": {}},
                "Cmd": ["run"],
                "Healthcheck": {"Test": ["CMD", "look"]},
            },
        }
    )

    assert (80, 8080) == told.ports
    assert {"A": "b=c", "EMPTY": ""} == told.environment
    assert ("/data",) == told.volumes
    assert "CMD look" == told.health_check
    assert "SIGTERM" == told.stop_signal
    assert not cage.declared({"Config": None}).has_command


def test_a_list_of_changes_may_be_cut() -> None:
    """What is whole of it is read; what was deleted is left out."""
    told = b'[{"Path":"/a","Kind":1},{"Path":"/b","Kind":2},{"Path":"/c","Kind":0}]'

    assert ("/a", "/c") == cage.parse_changes(told)
    assert ("/a",) == cage.parse_changes(told[:60])
    assert () == cage.parse_changes(told[:10])
    assert () == cage.parse_changes(b"null")


def test_only_plain_files_have_a_size() -> None:
    """The engine tells the mode as Go does: directories and links are told by upper bits."""

    def stat(mode: int) -> str:
        return base64.b64encode(json.dumps({"mode": mode, "size": 7}).encode()).decode()

    assert 7 == cage._size_of_plain_file(stat(0o644))
    assert 7 == cage._size_of_plain_file(stat(0o755 | 1 << 23))
    assert cage._size_of_plain_file(stat(0o755 | 1 << 31)) is None
    assert cage._size_of_plain_file(stat(0o777 | 1 << 27)) is None
    assert cage._size_of_plain_file("") is None
