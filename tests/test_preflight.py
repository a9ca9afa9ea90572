"""The preflight: every check can turn amber or red, each answer has its cure, and codes decode."""

from __future__ import annotations

import hashlib
import http.server
import io
import itertools
import json
import os
import re
import socket
import socketserver
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from proving import buildcache, cluster, leftovers, private
from proving import engine as engines
from proving.audit.scorecard import console
from proving.engine import Engine
from proving.errors import EngineError, EngineForbidden, ProvingError
from proving.lab import RUN_VARIABLE
from proving.paths import ROOT
from proving.preflight import catalogue, command, facts, tell
from proving.preflight.catalogue import CHECKS, FLAVOURS, SYSTEMS, Level
from proving.preflight.code import ALPHABET, decode, encode
from proving.preflight.facts import BasesFacts, ClusterFacts, EngineFacts, Facts, TooLate
from proving.preflight.judge import Verdict, judge
from proving.preflight.trial import Trial

GIGABYTE = 1000**3
SHAPE = "6e96487825ecec04"
"""Of the catalogue of version 1: a change of it needs a new version of the code."""

ENGINE = EngineFacts(
    found="Docker's socket",
    flavour="docker",
    name="Docker Engine",
    version="26.1.5",
    api_version="1.45",
    store="overlay2",
    architecture="amd64",
    cgroup="v1",
    cores=2,
    memory_bytes=16 * GIGABYTE,
    limits_memory=True,
    limits_processes=True,
    is_here=True,
)
WORKS = Trial("works", "", 1.2, 0.3, 3.1, 60 * GIGABYTE)
READY = Facts(
    system="debian",
    machine="amd64",
    engine=ENGINE,
    builder="BuildKit (buildx 0.17.1)",
    available_bytes=8 * GIGABYTE,
    disk_free_bytes=60 * GIGABYTE,
    port=8888,
    browser="/usr/bin/chromium",
    chromium="/usr/bin/chromium",
    bases=BasesFacts("here"),
    cluster=ClusterFacts("node", "Its image is on the engine."),
    trial=WORKS,
)
NO_ENGINE = Facts("debian", "amd64", port=8888, browser="chromium")


def on(**changed: Any) -> Facts:
    """Return a machine that is ready, but for what its engine tells otherwise."""
    return replace(READY, engine=replace(ENGINE, **changed))


def of_trial(outcome: str, seconds: float = 3.0) -> Facts:
    """Return a machine on which the trial came so far."""
    return replace(READY, trial=Trial(outcome, "So it went.", seconds=seconds))


def lacking(outcome: str) -> Facts:
    """Return a machine without an engine, for this reason."""
    return replace(NO_ENGINE, fault=outcome, fault_told="No engine.")


def of_cluster(outcome: str) -> Facts:
    """Return a machine that is ready, but for its cluster."""
    return replace(READY, cluster=ClusterFacts(outcome, "So it is."))


def of_bases(road: str) -> Facts:
    """Return a machine that lacks a base, which would come by this road."""
    return replace(READY, bases=BasesFacts(road, ("SLIM",), "no answer"))


CASES = {
    ("engine", "answers"): READY,
    ("engine", "startable"): lacking("startable"),
    ("engine", "none"): lacking("none"),
    ("engine", "forbidden"): lacking("forbidden"),
    ("engine", "named-gone"): lacking("named-gone"),
    ("engine", "silent"): lacking("silent"),
    ("version", "new-enough"): on(api_version="1.41"),
    ("version", "old"): on(version="19.03.15", api_version="1.40"),
    ("builder", "buildx"): READY,
    ("builder", "within"): replace(READY, builder="BuildKit (within the engine, client 20.10.24)"),
    ("builder", "none"): replace(READY, builder="", builder_fault="No docker client here."),
    ("builder", "podman"): on(flavour="podman"),
    ("store", "overlay"): on(store="containerd (overlayfs)"),
    ("store", "other"): on(store="fuse-overlayfs"),
    ("store", "copies"): on(store="vfs"),
    ("architecture", "native"): READY,
    ("architecture", "foreign"): on(architecture="arm64"),
    ("architecture", "other"): on(architecture="riscv64"),
    ("cgroups", "limits"): on(cgroup="v2"),
    ("cgroups", "no-limits"): on(limits_memory=False),
    ("memory", "enough"): replace(READY, available_bytes=None),
    ("memory", "little"): on(memory_bytes=2 * GIGABYTE),
    ("memory", "busy"): replace(READY, available_bytes=GIGABYTE // 2),
    ("memory", "too-little"): on(memory_bytes=GIGABYTE // 2),
    ("disk", "enough"): READY,
    ("disk", "little"): replace(READY, disk_free_bytes=5 * GIGABYTE),
    ("disk", "full"): replace(READY, disk_free_bytes=GIGABYTE),
    ("ports", "free"): READY,
    ("ports", "another"): replace(READY, port=8890),
    ("ports", "none"): replace(READY, port=None),
    ("browser", "here"): READY,
    ("browser", "elsewhere"): replace(READY, browser=""),
    ("bases", "here"): READY,
    ("bases", "pulled"): of_bases("pulled"),
    ("bases", "packages"): of_bases("packages"),
    ("bases", "none"): of_bases("none"),
    ("trial", "works"): READY,
    ("trial", "slow"): of_trial("works", seconds=35.0),
    ("trial", "no-build"): of_trial("no-build"),
    ("trial", "no-start"): of_trial("no-start"),
    ("trial", "no-answer"): of_trial("no-answer"),
    ("trial", "no-stop"): of_trial("no-stop"),
    ("cluster", "named"): of_cluster("named"),
    ("cluster", "k3s"): of_cluster("k3s"),
    ("cluster", "node"): READY,
    ("cluster", "to-build"): of_cluster("to-build"),
    ("cluster", "none"): of_cluster("none"),
    ("cluster", "left-out"): of_cluster("left-out"),
    ("cluster", "rootless"): of_cluster("rootless"),
    ("cluster", "named-gone"): of_cluster("named-gone"),
}
"""A machine for every answer of the catalogue."""


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """Return a validator by the preflight's own schema."""
    return Draft202012Validator(json.loads(tell.SCHEMA.read_text(encoding="utf-8")))


def answers(found: Facts) -> dict[str, str]:
    """Return the ids of all answers that these facts come to."""
    return {finding.check.id: finding.outcome.id for finding in judge(found).findings}


def test_there_is_a_case_for_every_answer():
    """No answer of the catalogue is out of reach."""
    known = {
        (check.id, outcome.id)
        for check in CHECKS
        for outcome in check.outcomes
        if outcome.id != catalogue.NOT_CHECKED
    }

    assert known == set(CASES)


@pytest.mark.parametrize(
    ("asked", "found"), CASES.items(), ids=["-".join(asked) for asked in CASES]
)
def test_each_answer_is_given_where_it_is_due(asked, found):
    """The facts decide, and nothing else of a machine that is ready turns with them."""
    check, outcome = asked

    assert outcome == answers(found)[check]


def test_a_machine_that_is_ready_is_green():
    """All of it."""
    assert Level.GREEN is judge(READY).level


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_can_be_other_than_green(check):
    """A check that is always green would say nothing."""
    levels = {outcome.level for outcome in check.outcomes}

    assert Level.NOT_CHECKED is check.outcomes[0].level
    assert levels & {Level.AMBER, Level.RED}


def test_every_fault_has_a_cure_on_every_system():
    """Whatever the engine is."""
    without = [
        (check.id, outcome.id, system, flavour)
        for check in CHECKS
        for outcome in check.outcomes
        for system, flavour in itertools.product(SYSTEMS, FLAVOURS)
        if outcome.level in (Level.AMBER, Level.RED) and not outcome.cure(system, flavour)
    ]

    assert [] == without


@pytest.mark.parametrize(
    ("name", "system", "flavour", "word"),
    [
        ("none", "debian", "none", "apt-get"),
        ("none", "fedora", "none", "dnf"),
        ("none", "macos", "none", "colima"),
        ("none", "wsl", "none", "WSL integration"),
        ("silent", "debian", "rootless", "systemctl --user"),
        ("silent", "linux", "docker-desktop", "Docker Desktop"),
    ],
)
def test_cures_are_for_this_platform(name, system, flavour, word):
    """The kind of engine comes first, then the system."""
    assert word in catalogue.check("engine").outcome(name).cure(system, flavour)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_names_are_there_for_people(system, flavour):
    """Of every system and every kind of engine."""
    assert catalogue.NAMES[system]
    assert catalogue.NAMES[flavour]


def test_no_engine_leaves_the_rest_unchecked():
    """What could not be asked is no pass, and says why."""
    found = judge(lacking("startable"))
    unchecked = [one for one in found.findings if one.level is Level.NOT_CHECKED]

    assert Level.NOT_CHECKED is found.level
    assert len(CHECKS) - 3 == len(unchecked)
    assert {"There is no engine to ask."} == {one.found for one in unchecked}


# -- the code ----------------------------------------------------------------

ANSWERS = st.fixed_dictionaries(
    {check.id: st.sampled_from([outcome.id for outcome in check.outcomes]) for check in CHECKS}
)


@given(st.sampled_from(SYSTEMS), st.sampled_from(FLAVOURS), st.integers(0, 127), ANSWERS)
def test_a_code_says_all_of_it(system, flavour, major, given):
    """There and back, whatever was found."""
    told = decode(encode(system, flavour, major, given))

    assert (system, flavour, major) == (told.system, told.flavour, told.major)
    assert given == {check: outcome.id for check, outcome in told.outcomes.items()}


@given(ANSWERS, st.integers(0, 11), st.sampled_from(ALPHABET))
def test_a_slip_is_noticed(given, place, letter):
    """One letter that was read or typed wrongly."""
    letters = encode("debian", "docker", 26, given).replace("-", "")
    slipped = letters[:place] + letter + letters[place + 1 :]
    if slipped == letters:
        return

    with pytest.raises(ProvingError, match=r"slip|version|could have told"):
        decode(slipped)


def test_codes_are_read_as_people_write_them():
    """In small letters, without dashes, with the letters that look like others."""
    code = judge(READY).code
    written = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")

    assert decode(code) == decode(written)


@pytest.mark.parametrize(
    "code", ["", "ABCD", "!!!!-!!!!-!!!!", "ABCD-EFGH-JKMN-PQRS", "ÄBCDEFGHJKMN"]
)
def test_what_is_no_code_is_told(code):
    """In a sentence."""
    with pytest.raises(ProvingError, match="no code"):
        decode(code)


def test_a_code_of_another_version_is_refused(monkeypatch):
    """It is not misread."""
    code = judge(READY).code
    monkeypatch.setattr("proving.preflight.code.VERSION", 2)

    with pytest.raises(ProvingError, match="another version"):
        decode(code)


def test_a_changed_catalogue_has_a_new_version():
    """Whoever changes the answers, or their order, raises VERSION and writes the new shape here."""
    shape = [[check.id, *(outcome.id for outcome in check.outcomes)] for check in CHECKS]
    told = json.dumps([shape, SYSTEMS, FLAVOURS])

    assert (1, SHAPE) == (
        catalogue.VERSION,
        hashlib.sha256(told.encode()).hexdigest()[:16],
    )


# -- how it is told ----------------------------------------------------------


@pytest.mark.parametrize("found", CASES.values(), ids=["-".join(asked) for asked in CASES])
def test_json_follows_the_published_schema(schema, found):
    """Whatever was found."""
    data = tell.as_data(judge(found), found, 3.2)

    assert [] == [error.message for error in schema.iter_errors(data)]


def test_the_schema_knows_every_check_and_machine(schema):
    """And no other."""
    properties = schema.schema["$defs"]["preflight"]["properties"]

    assert [check.id for check in CHECKS] == properties["checks"]["items"]["properties"]["id"][
        "enum"
    ]
    assert list(SYSTEMS) == properties["system"]["enum"]
    assert list(FLAVOURS) == properties["engine_kind"]["enum"]
    schema.check_schema(schema.schema)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_table_says_what_to_do(width):
    """On a narrow terminal as well, and without colour."""
    screen = io.StringIO()
    console(screen, width=width).print(tell.report(judge(lacking("none")), 2.0))
    text = " ".join(screen.getvalue().split())

    assert "▲ red" in text
    assert "○ not checked" in text
    assert "sudo apt-get install" in text
    assert judge(lacking("none")).code in text


def test_what_an_engine_says_steers_no_terminal():
    """Its version may be anything."""
    screen = io.StringIO()
    console(screen, width=100).print(tell.report(judge(on(version="\x1b[31m1")), 2.0))

    assert "\x1b" not in screen.getvalue()


def test_what_was_not_made_for_one_reason_is_told_once():
    """Ten lines that say the same would hide the one that says why."""
    screen = io.StringIO()
    console(screen, width=100).print(tell.report(judge(lacking("none")), 2.0))

    assert 1 == screen.getvalue().count("There is no engine to ask.")
    assert "10 checks" in screen.getvalue()


def test_the_guide_shows_a_code_that_is_one():
    """And not one that somebody made up."""
    page = (ROOT / "guide" / "workshop-participants.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"`([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})`", page)

    assert set(answers(READY)) == set(decode(code).outcomes)


# -- the command -------------------------------------------------------------


def run(capsys: Any, found: Facts, *words: str) -> tuple[int, str, str]:
    """Run the command on these facts; return its status and what it has written."""

    def gather(show: Any, *, start: bool) -> Facts:
        show("Looking")
        return found

    status = command.main(words, gather)
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (READY, 0),
        (of_cluster("none"), 0),
        (of_trial("no-build"), 1),
        (lacking("none"), 1),
        (lacking("startable"), 2),
    ],
)
def test_exit_statuses(capsys, found, status):
    """Green and amber are a pass, red is none, and what could not be checked is told apart."""
    assert status == run(capsys, found)[0]


def test_json_is_alone_on_standard_output(capsys, schema):
    """What is being done goes to standard error."""
    _, out, err = run(capsys, READY, "--json")

    assert [] == list(schema.iter_errors(json.loads(out)))
    assert "Looking …" in err


def test_codes_are_decoded(capsys, schema):
    """Each by itself: one that is none does not hide the others."""
    codes = [judge(READY).code, "NOCODE", judge(lacking("forbidden")).code]
    status = command.main(["--decode", *codes])
    told = capsys.readouterr()

    assert 2 == status
    assert "usermod" in told.out
    assert "13 of 13 are green" in told.out
    assert "'NOCODE' is no code" in told.err
    assert 0 == command.main(["--json", "--decode", codes[0], codes[2]])
    assert [] == list(schema.iter_errors(json.loads(capsys.readouterr().out)))


def test_a_wrong_option_is_bad_usage():
    """With the status that argparse gives, which is that of "could not be checked"."""
    with pytest.raises(SystemExit) as ended:
        command.main(["--stop"])

    assert 2 == ended.value.code


def test_a_fault_of_its_own_is_no_pass(capsys):
    """It is told, and is not taken for a fault of the machine."""

    def broken(show: Any, *, start: bool) -> Facts:
        raise RuntimeError("a bug")

    assert 2 == command.main([], broken)
    assert "by a fault of its own" in capsys.readouterr().err


def test_an_interruption_is_told(capsys):
    """By the usual status."""

    def interrupted(show: Any, *, start: bool) -> Facts:
        raise KeyboardInterrupt

    assert 130 == command.main([], interrupted)


def test_the_code_is_kept_with_the_progress(capsys, monkeypatch, tmp_path):
    """For the reader's own export."""
    from proving import my_progress

    monkeypatch.setenv(my_progress.VARIABLE, str(tmp_path / "progress"))
    run(capsys, READY)

    assert judge(READY).code == my_progress.read().preflight


# -- the facts ---------------------------------------------------------------


def test_a_late_answer_is_left_behind():
    """And an error is passed on."""
    with pytest.raises(TooLate):
        facts.within(0.05, threading.Event().wait)

    with pytest.raises(ZeroDivisionError):
        facts.within(5.0, lambda: 1 // 0)

    assert 3 == facts.within(5.0, lambda: 3)


@pytest.mark.parametrize(
    ("platform", "release", "told", "system"),
    [
        ("linux", "6.1.0", {"ID": "debian"}, "debian"),
        ("linux", "6.1.0", {"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "debian"),
        ("linux", "6.1.0", {"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "fedora"),
        ("linux", "6.1.0", {"ID": "arch"}, "linux"),
        ("linux", "6.1.0", None, "linux"),
        ("linux", "5.15.90.1-microsoft-standard-WSL2", {"ID": "ubuntu"}, "wsl"),
        ("darwin", "23.1.0", None, "macos"),
        ("win32", "10", None, "windows"),
    ],
)
def test_systems_are_told_apart(monkeypatch, platform, release, told, system):
    """WSL is told by its kernel, the others by os-release(5)."""

    def os_release() -> dict[str, str]:
        if told is None:
            raise OSError
        return told

    monkeypatch.setattr(facts.sys, "platform", platform)
    monkeypatch.setattr(facts.platform, "release", lambda: release)
    monkeypatch.setattr(facts.platform, "freedesktop_os_release", os_release)

    assert system == facts.this_system()


@pytest.mark.parametrize(
    ("url", "info", "version", "flavour"),
    [
        ("unix:///var/run/docker.sock", {}, {}, "docker"),
        ("unix:///x", {"OperatingSystem": "Docker Desktop"}, {}, "docker-desktop"),
        ("unix:///x", {"SecurityOptions": ["name=rootless"]}, {}, "rootless"),
        ("unix:///x", {}, {"Components": [{"Name": "Podman Engine"}]}, "podman"),
        ("unix:///x", {"Name": "colima"}, {}, "colima"),
        ("tcp://example.org:2376", {}, {}, "remote"),
        (private.url(), {}, {}, "private"),
    ],
)
def test_kinds_of_engines_are_told_apart(url, info, version, flavour):
    """By their own answers."""
    assert flavour == facts.flavour(Engine(url, "a test"), info, version)


@pytest.mark.parametrize(
    ("which", "store", "cgroup"),
    [
        ("docker-20.10", "overlay2", "v1"),
        ("docker-26.1", "containerd (overlayfs)", "v1"),
        ("docker-28.5", "containerd (overlayfs)", "v1"),
    ],
)
def test_real_engines_are_read(answer, which, store, cgroup):
    """And come to green, each by its own fields."""
    engine = Engine("unix:///var/run/docker.sock", "a test")
    told = facts.read_engine(engine, answer(f"{which}/info.json"), answer(f"{which}/version.json"))
    found = answers(replace(READY, engine=told))

    assert (store, cgroup) == (told.store, told.cgroup)
    assert answers(READY) == found


class _Engine(http.server.BaseHTTPRequestHandler):
    """Answers as an engine of this version would, as far as the preflight asks."""

    api_version = "1.40"

    def do_GET(self) -> None:
        told = {"version": {"ApiVersion": self.api_version, "Version": "19.03.15"}}
        asked = self.path.rpartition("/")[2]
        content = "OK" if asked == "_ping" else json.dumps(told.get(asked, {"MemTotal": GIGABYTE}))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening(path: Path, handler: Any) -> Iterator[None]:
    """Have something answer at a socket."""
    with socketserver.ThreadingUnixStreamServer(str(path), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield
        server.shutdown()


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a socket that DOCKER_HOST names, and nothing is at."""
    path = tmp_path / "s"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setattr(engines, "_pointed_at", None)
    return path


def gather() -> Facts:
    """Return the facts of this machine, without starting anything."""
    return facts.gather(lambda _: None, start=False)


def test_a_dead_socket(quiet):
    """DOCKER_HOST names it, and nothing listens there any more."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(quiet))
    found = gather()

    assert "named-gone" == answers(found)["engine"]
    assert str(quiet) in found.fault_told


def test_an_engine_that_does_not_answer(quiet, monkeypatch):
    """It takes the connection, and that is all: that is not waited for."""
    monkeypatch.setattr(facts, "ENGINE_SECONDS", 0.3)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(quiet))
        silent.listen()
        found = gather()

    assert "silent" == answers(found)["engine"]


def test_an_engine_that_is_too_old(quiet):
    """It is told as such, and nothing is tried on it."""
    with listening(quiet, _Engine):
        found = gather()

    assert found.engine is not None
    assert "19.03.15" == found.engine.version
    assert "old" == answers(found)["version"]
    assert Level.RED is judge(found).level
    assert found.trial is None


@pytest.mark.parametrize(
    ("error", "can_start", "outcome"),
    [
        (EngineForbidden("You may not."), True, "forbidden"),
        (EngineError("None."), True, "startable"),
        (EngineError("None."), False, "none"),
    ],
)
def test_without_an_engine(monkeypatch, error, can_start, outcome):
    """One that is there and may not be used is never passed by for a private one."""

    def find(**_: Any) -> Any:
        raise error

    monkeypatch.setattr(engines, "find", find)
    monkeypatch.setattr(private, "can_start", lambda: can_start)
    monkeypatch.setattr(private, "start", lambda: pytest.fail("it was started"))

    assert outcome == answers(gather())["engine"]


@pytest.mark.parametrize("url", [private.url(), "unix:///var/run/docker.sock"])
def test_a_private_engine_is_started_on_request_and_stopped(monkeypatch, url):
    """One that the packages have started is not ours to stop."""
    done: list[str] = []

    def find(**options: Any) -> Engine:
        if options:
            raise EngineError("None.")
        done.append("started")
        return Engine(url, "a test")

    monkeypatch.setattr(engines, "find", find)
    monkeypatch.setattr(private, "can_start", lambda: True)
    monkeypatch.setattr(private, "stop", lambda: done.append("stopped"))
    monkeypatch.setattr(
        facts, "_on_engine", lambda found, *_, build: replace(READY, system="linux")
    )
    found = facts.gather(lambda _: None, start=True)

    assert "answers" == answers(found)["engine"]
    assert (["started", "stopped"] if url == private.url() else ["started"]) == done


def test_a_private_engine_that_does_not_start(monkeypatch):
    """Or that somebody does not want started: there is none then, and the sentence says why."""

    def find(**options: Any) -> Engine:
        raise EngineError("None." if options else "The private engine did not start.")

    monkeypatch.setattr(engines, "find", find)
    monkeypatch.setattr(private, "can_start", lambda: True)
    found = facts.gather(lambda _: None, start=True)

    assert "none" == answers(found)["engine"]
    assert "did not start" in judge(found).findings[0].found


@pytest.mark.parametrize(
    ("variables", "flavour", "cgroup", "k3s", "node", "outcome"),
    [
        ({"PROVING_CLUSTER": "none"}, "docker", "v1", "", True, "left-out"),
        ({"PROVING_CLUSTER": "nonsense"}, "docker", "v1", "", True, "named-gone"),
        ({"PROVING_KUBECONFIG": "/nowhere"}, "docker", "v1", "", True, "named-gone"),
        ({}, "rootless", "v2", "", True, "rootless"),
        ({}, "docker", "v2", "", False, "k3s"),
        ({}, "docker", "v1", "no registry", True, "node"),
        ({}, "docker", "v1", "no registry", False, "to-build"),
        ({}, "docker", "v2", "no registry", True, "none"),
        ({"PROVING_CLUSTER": "k3s"}, "docker", "v1", "no registry", True, "none"),
        ({"PROVING_CLUSTER": "node"}, "docker", "v1", "", True, "node"),
    ],
)
def test_the_cluster_that_a_run_would_have(
    monkeypatch, variables, flavour, cgroup, k3s, node, outcome
):
    """In the order in which the labs look for one."""
    for name in (cluster.SOURCE_VARIABLE, cluster.CONFIG_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(facts, "_no_k3s", lambda _: k3s)
    monkeypatch.setattr(facts.kubernetes_image, "is_there", lambda _: node)
    told = replace(ENGINE, flavour=flavour, cgroup=cgroup)

    assert outcome == facts._cluster(Engine("unix:///x", "a test"), told).outcome


@pytest.mark.parametrize(
    ("here", "forced", "refusal", "cannot", "road"),
    [
        (True, "", "no answer", "no apt", "here"),
        (False, "", "", "no apt", "pulled"),
        (False, "", "no answer", "", "packages"),
        (False, "", "no answer", "no apt", "none"),
        (False, "pull", "no answer", "", "none"),
        (False, "build", "", "", "packages"),
    ],
)
def test_the_road_of_the_bases(monkeypatch, here, forced, refusal, cannot, road):
    """A registry first, then packages, unless a road is forced."""
    monkeypatch.setenv("PROVING_BASES", forced)
    monkeypatch.setattr(facts.bases, "on_engine", lambda *_: SimpleNamespace() if here else None)
    monkeypatch.setattr(facts.bases, "refusal", lambda *_: refusal)
    monkeypatch.setattr(facts.bases, "cannot_build", lambda _: cannot)

    assert road == facts._bases(Engine("unix:///x", "a test")).road


def test_a_base_is_built_only_where_that_was_asked_for(monkeypatch):
    """Packages are installed for it, perhaps: a look at a machine installs none."""
    monkeypatch.setattr(facts.bases, "on_engine", lambda *_: None)
    monkeypatch.setattr(facts.bases, "ready", lambda *_: pytest.fail("it was built"))
    found = facts._tried(
        replace(of_bases("packages"), trial=None), Engine("unix:///x", "a test"), build=False
    )

    assert "not-checked" == answers(found)["trial"]
    assert "--start" in found.trial_fault


def test_a_trial_that_hangs_is_told_by_where_it_hung(monkeypatch):
    """It is not waited for beyond the bound."""

    def hang(self: Trial) -> None:
        self.outcome, self.told = "no-start", "It did not start in time."
        threading.Event().wait()

    monkeypatch.setattr(Trial, "run", hang)
    monkeypatch.setattr(facts, "TRIAL_SECONDS", 0.1)
    monkeypatch.setattr(facts, "_without_base", lambda *_, build: "")
    found = facts._tried(replace(READY, trial=None), Engine("unix:///x", "a test"), build=False)

    assert "no-start" == answers(found)["trial"]
    assert "did not start in time" in judge(found).findings[11].found


@pytest.mark.parametrize(
    ("system", "variables", "is_here"),
    [
        ("macos", {}, True),
        ("debian", {}, False),
        ("debian", {"BROWSER": "firefox"}, True),
        ("wsl", {}, False),
    ],
)
def test_a_browser_needs_a_place_for_its_window(monkeypatch, system, variables, is_here):
    """A server has none."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(facts.shutil, "which", lambda _: None)

    assert is_here == bool(facts._browser(system))


def test_verdicts_stand_for_the_worst():
    """Red before what was not checked, before amber."""
    red, unchecked, amber = (
        judge(of_trial("no-stop")),
        judge(lacking("startable")),
        judge(of_cluster("none")),
    )
    all_of_them = Verdict(
        (*amber.findings, *unchecked.findings, *red.findings), "linux", "none", ""
    )

    assert [Level.RED, Level.NOT_CHECKED, Level.AMBER] == [
        one.level for one in (red, unchecked, amber)
    ]
    assert Level.RED is all_of_them.level


# -- on an engine ------------------------------------------------------------


@pytest.fixture
def own_run(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Demand that nothing of a test is left: others may be at work on the same engine."""
    run = f"test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv(RUN_VARIABLE, run)
    yield
    labelled = {"label": f"{leftovers.RUN_LABEL}={run}"}
    images = leftovers._tags(engine.docker, f"{leftovers.IMAGES_OF_RUNS}/{run}")
    records = buildcache.records(engine.docker).values()

    assert [] == engine.docker.containers.list(all=True, filters=labelled)
    assert [] == list(images)
    assert [] == [one.command for one in records if "/server.pl" in (one.command or "")]


@pytest.mark.engine
@pytest.mark.usefixtures("own_run")
def test_this_machine_is_tried(capfd, monkeypatch, schema, engine):
    """In under a minute, on a real engine, and nothing of it is left there."""
    monkeypatch.setenv(cluster.SOURCE_VARIABLE, cluster.NONE)  # no registry is asked for K3s
    status = command.main(["--json"])
    told = json.loads(capfd.readouterr().out)
    found = {one["id"]: one for one in told["checks"]}

    assert [] == list(schema.iter_errors(told))
    assert "works" == found["trial"]["outcome"], found["trial"]["found"]
    assert told["seconds"] < 60
    assert told["disk_free_bytes"] > 0
    assert status == (1 if told["level"] == "red" else 0)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("file", "old", "new", "outcome", "word"),
    [
        ("Dockerfile", "perl -c /server.pl", "echo last words && false", "no-build", "last words"),
        ("server.pl", 'print "ready\\n";', "die 'no luck';", "no-start", "no luck"),
        ("server.pl", "LocalPort => 8080", "LocalPort => 8081", "no-answer", "8080"),
        ("server.pl", "sub { exit 0 }", "'IGNORE'", "no-stop", "137"),
    ],
)
@pytest.mark.usefixtures("own_run")
def test_a_trial_that_breaks_says_where(
    monkeypatch, tmp_path, engine, file, old, new, outcome, word
):
    """At each of its steps, by a real engine."""
    import shutil

    from proving.preflight import trial

    context = tmp_path / "image"
    shutil.copytree(trial.CONTEXT, context)
    text = (context / file).read_text(encoding="utf-8")
    (context / file).write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(trial, "CONTEXT", context)
    monkeypatch.setattr(trial, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(trial, "GRACE_SECONDS", 1.0)
    tried = Trial()
    tried.run()

    assert old in text
    assert outcome == tried.outcome, tried.told
    assert word in tried.told


@pytest.mark.engine
def test_it_says_the_same_from_the_shell():
    """By its own program, without nox."""
    import subprocess
    import sys

    ran = subprocess.run(
        [sys.executable, "-m", "proving", "preflight", "--decode", judge(READY).code],
        env={**os.environ, "PYTHONPATH": str(Path(facts.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == ran.returncode
    assert "13 of 13 are green" in ran.stdout
