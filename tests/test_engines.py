"""Other engines: what is chosen, compared, told and kept; without an engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
from proving import bases, claims, engines, prove, recorded_engines
from proving.claims import Verdict
from proving.engine import Description
from proving.engines import Result, Trial
from proving.errors import BuildError, ClaimsFileError, EngineError, ProvingError
from proving.paths import LABS, ROOT
from proving.prove import Proof

HOLDS = Result(Verdict.HOLDS, "", {"bad": {"seconds": 2.5}, "good": {"seconds": 1.0}}, "")
REFUTED = Result(Verdict.DOES_NOT_HOLD, "bad: expected 2, found 1.", {}, "")
TOOTHLESS = Result(Verdict.HOLDS, "", {}, "with its arms exchanged, the claim “holds”.")


def described(version="26.1.5", store="containerd (overlayfs)"):
    told = {field.name: "unknown" for field in fields(Description)}
    told |= {"engine": "Docker Engine", "engine_version": version, "store": store}
    return Description(**told)


def trial(name="trixie", trouble="", reports=(), **results):
    return Trial(name, described(), results, trouble, reports, 61.0)


def record(verdict="holds", version="20.10.24", store="overlay2"):
    return {"verdict": verdict, "environment": {"engine_version": version, "store": store}}


def test_each_engine_has_its_dockerfile_and_each_dockerfile_its_words():
    """What can be named on the command line is what can be built, and the other way round."""
    folders = {path.parent.name for path in (claims.IMAGES / "engines").glob("*/Dockerfile")}

    assert set(engines.ENGINES) == folders


@pytest.mark.parametrize("name", engines.ENGINES)
def test_an_engine_is_built_from_the_slim_base_and_copies_what_is_there(name):
    """It needs no registry, and the labs' bases stay as they are."""
    dockerfile = claims.IMAGES / "engines" / name / "Dockerfile"
    copied = re.findall(r"^COPY (\S+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)

    assert ["SLIM"] == bases.roles_in(dockerfile)
    assert copied
    assert all((claims.IMAGES / source).is_file() for source in copied)


def test_the_engines_use_the_containerd_store():
    """That is what they are for: another image store."""
    told = json.loads((claims.IMAGES / "engines/daemon.json").read_text(encoding="utf-8"))

    assert told["features"]["containerd-snapshotter"]


def test_an_engine_can_be_started_by_its_script():
    """Its entry point is a shell script that can be run, and that a shell can read."""
    script = claims.IMAGES / "engines/start-engine.sh"

    assert script.stat().st_mode & 0o111
    assert 0 == subprocess.run(["sh", "-n", script], check=False).returncode


@pytest.mark.parametrize(
    ("words", "names", "rest"),
    [
        ([], ["trixie", "sid"], []),
        (["sid"], ["sid"], []),
        (["P1", "trixie", "09"], ["trixie"], ["P1", "09"]),
        (["P1", "sid", "trixie"], ["trixie", "sid"], ["P1"]),
    ],
)
def test_words_name_engines_chapters_and_claims(words, names, rest):
    """Without an engine's name, all are tried, always in the same order."""
    assert (names, rest) == engines.choose(words)


def test_a_word_that_names_nothing_is_told_with_the_engines():
    """A slip in an engine's name would else be looked for among the claims alone."""
    with pytest.raises(ProvingError, match="The engines are: trixie, sid"):
        engines.choose(["trixy"])


def test_only_whole_chapters_are_recorded(capsys):
    """Claims that were left out would be missing from the record."""
    with pytest.raises(SystemExit):
        engines.main(["--record", "trixie", "P1"])

    assert "leave out the claims" in capsys.readouterr().err


def test_reports_of_labs_and_teeth_become_results(tmp_path):
    """The runner's own reports carry each verdict, its reason and the figures."""
    claim = claims.get("P1")
    kept = {"verdict": "holds", "arms": {"bad": {"stop_seconds": 10.1}}}
    proofs = [
        (Proof(claim, Verdict.HOLDS, "All 6 checks hold.", kept, 12.0), ""),
        (Proof(claims.get("P5"), Verdict.COULD_NOT_BE_MEASURED, "gone", {}, 0.0), "gone"),
    ]
    prove._write_junit(proofs, tmp_path / "labs.xml", "labs")
    prove._write_junit([(proofs[0][0], "still 137")], tmp_path / "teeth.xml", "teeth")

    found = engines.combine(
        engines.read_report(tmp_path / "labs.xml"), engines.read_report(tmp_path / "teeth.xml")
    )

    assert Result(Verdict.HOLDS, "", kept["arms"], "still 137") == found["P1"]
    missing = "its arms were not exchanged"
    assert Result(Verdict.COULD_NOT_BE_MEASURED, "gone", {}, missing) == found["P5"]


def test_a_report_that_is_not_there_has_no_results(tmp_path):
    """A run that crashed proves nothing."""
    assert {} == engines.combine(engines.read_report(tmp_path / "none.xml"), {})


def test_verdicts_stand_side_by_side_and_a_difference_is_marked():
    """Each claim has a row, each engine that was tried a column; the recorded result leads."""
    trials = [
        trial(P1=HOLDS, P5=REFUTED),
        Trial("sid", trouble="no packages"),
        trial("sid", P1=TOOTHLESS),
    ]
    told = engines.table(trials, {"P1": record(), "P5": record(), "P6": record()})

    assert [
        "claim  recorded  trixie                  sid",
        "       20.10.24  26.1.5                  26.1.5",
        "       overlay2  containerd (overlayfs)  containerd (overlayfs)",
        "P1     holds     holds                   holds, toothless",
        "P5     holds     does not hold           –                       ≠",
    ] == told.splitlines()


def test_a_claim_that_was_never_recorded_has_a_row_too():
    """A lab in the making can be tried before it is recorded."""
    assert "P1     –" in engines.table([trial(P1=HOLDS)], {})


@pytest.mark.parametrize(
    ("trials", "named", "expected"),
    [
        ([trial(P1=HOLDS)], [], 0),
        ([trial(P1=HOLDS, P5=REFUTED)], [], 1),
        ([trial(P1=TOOTHLESS)], [], 1),
        ([trial(P1=HOLDS, trouble="The teeth ended with exit status 2.")], [], 1),
        ([trial(P1=HOLDS), Trial("sid", trouble="no packages")], [], 0),
        ([trial(P1=HOLDS), Trial("sid", trouble="no packages")], ["sid", "P1"], 1),
        ([Trial("sid", trouble="no packages")], [], 1),
    ],
)
def test_the_exit_status_is_zero_only_where_all_that_was_tried_passed(trials, named, expected):
    """An engine that could not be tried is passed over, unless it was asked for or the only one."""
    assert expected == engines.status_of(trials, named)


def test_what_is_no_pass_is_told():
    """Each fault has a sentence with its claim and its engine."""
    broken = trial(trouble="The teeth ended.", P1=HOLDS, P5=REFUTED, P6=TOOTHLESS)

    assert [
        "trixie: The teeth ended.",
        "P5 on trixie: does not hold. bad: expected 2, found 1.",
        "P6 on trixie: holds. with its arms exchanged, the claim “holds”.",
    ] == list(engines.faults(broken))


def test_the_report_counts_an_engine_that_could_not_be_tried_as_skipped(tmp_path):
    """Neither a pass nor a failure in the sum of the session; a crash is an error."""
    lab = tmp_path / "engines-trixie-labs.xml"
    prove._write_junit([(Proof(claims.get("P1"), Verdict.HOLDS, "", {}, 1.0), "")], lab, "labs")
    trials = [trial(trouble="broke", reports=(lab,)), Trial("sid", trouble="no packages")]
    engines.write_report(trials, tmp_path / "engines.xml")

    root = ET.fromstring((tmp_path / "engines.xml").read_text())  # noqa: S314 - we wrote it
    suites = list(root.iter("testsuite"))
    counts = [
        {kind: suite.get(kind) for kind in ("tests", "failures", "errors", "skipped")}
        for suite in suites
    ]
    none = dict.fromkeys(("failures", "errors", "skipped"))

    assert ["engines-trixie-labs", "engines-trixie", "engines-sid"] == [
        s.get("name") for s in suites
    ]
    assert {**none, "tests": "1", "failures": "0"} == counts[0]
    assert {**none, "tests": "1", "errors": "1"} == counts[1]
    assert {**none, "tests": "1", "skipped": "1"} == counts[2]


def test_a_build_without_packages_leaves_an_engine_untried(monkeypatch):
    """It is told why, and the run goes on to the next one."""

    def fail(*_):
        raise BuildError("engines/sid/Dockerfile does not build. E: no package docker.io")

    outer = SimpleNamespace(url="unix:///nowhere", docker=None)
    dog = SimpleNamespace(dismiss=lambda: None)
    monkeypatch.setattr(engines.watchdog, "start", lambda *_: dog)
    monkeypatch.setattr(engines.bases, "ready", lambda *_: {"SLIM": None})
    monkeypatch.setattr(engines, "_image", fail)

    found = engines.try_out(outer, "sid", [])

    assert not found.tried
    assert not found.clean
    assert "no package docker.io" in found.trouble


class Standing:
    """A container as the engine tells of it: its status, its log and no address."""

    def __init__(self, status, log):
        self.status, self._log = status, log
        self.attrs = {"NetworkSettings": {"Networks": {"bridge": {"IPAddress": "10.9.8.7"}}}}

    def reload(self):
        """Ask again, and hear the same."""

    def logs(self, **_):
        return self._log


@pytest.mark.parametrize(
    ("status", "log", "told"),
    [
        ("exited", b"mount: permission denied\n", r"did not start.*\n.*permission denied"),
        ("running", b"API listen on [::]:2375", r"10\.9\.8\.7 is not reached from here.*Linux"),
        ("running", b"waiting", r"did not answer within 0 s"),
    ],
)
def test_an_engine_that_is_not_reached_is_told_in_a_sentence(monkeypatch, status, log, told):
    """It ended, its network is somewhere else, or it is too slow."""
    monkeypatch.setattr(engines, "_answers", lambda _: False)
    monkeypatch.setattr(engines, "ROUTED_SECONDS", 0.0)
    monkeypatch.setattr(engines, "START_SECONDS", 0.0)

    with pytest.raises(EngineError, match=re.compile(told)):
        engines._answering(Standing(status, log))


def test_the_engine_is_spoken_to_at_the_address_of_its_container(monkeypatch):
    """The labs reach published ports of nested containers there."""
    monkeypatch.setattr(engines, "_answers", lambda _: True)

    found = engines._answering(Standing("running", b""))

    assert ("10.9.8.7", "0.0.0.0") == (found.host, found.published_on)


def test_bases_travel_under_their_names(monkeypatch):
    """An engine that does not take one is told of in a sentence."""
    sent = {}

    def take(archive):
        name, content = archive
        sent[name] = content
        return [{"error": "no space left"}] if name == "full:1" else [{"stream": "Loaded"}]

    outer = SimpleNamespace(
        docker=SimpleNamespace(api=SimpleNamespace(get_image=lambda name: (name, "layers")))
    )
    inner = SimpleNamespace(docker=SimpleNamespace(api=SimpleNamespace(load_image=take)), url="")
    engines._load(outer, inner, [SimpleNamespace(reference="proving-ground/slim:1")])

    assert {"proving-ground/slim:1": "layers"} == sent
    with pytest.raises(EngineError, match="does not take full:1: no space left"):
        engines._load(outer, inner, [SimpleNamespace(reference="full:1")])


def test_the_labs_know_only_the_nested_engine(monkeypatch, tmp_path):
    """Neither a context nor another engine's certificates, nor the run outside, lead them away."""
    program = tmp_path / "python"
    program.write_text(
        f"#!/bin/sh\nenv | grep -E '^(DOCKER|PROVING_RUN)' > {tmp_path}/told\nexit 3\n"
    )
    program.chmod(0o755)
    for name in ("DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "PROVING_RUN"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setattr(sys, "executable", str(program))

    status = engines._in_a_process(["labs"], SimpleNamespace(url="tcp://10.9.8.7:2375"))

    assert 3 == status
    assert "DOCKER_HOST=tcp://10.9.8.7:2375\n" == (tmp_path / "told").read_text()


NOW, LATER = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)


def test_results_are_kept_and_read_again(tmp_path):
    """What one run writes the site reads; an engine that is not tried keeps what it had."""
    file = tmp_path / "engines.json"
    sid = engines.with_record({}, trial("sid", P1=REFUTED), "09-x", "sha256:0", NOW)
    both = engines.with_record(sid, trial(P5=HOLDS, P1=HOLDS), "09-x", "sha256:1", NOW)
    recorded_engines.save(both, file)
    read = recorded_engines.load(file)
    there = read["trixie"].chapter_of("P1")

    assert both == read
    assert ["trixie", "sid"] == list(read)
    assert ["P1", "P5"] == list(there.claims)
    assert "2026-01-02T03:04:05Z" == there.recorded_at
    assert "does not hold" == read["sid"].chapter_of("P1").claims["P1"].verdict
    assert 2.5 == there.claims["P1"].arms["bad"]["seconds"]
    assert "26.1.5" == there.engine["engine_version"]
    assert read["sid"].stale("09-x", "sha256:1")
    assert not read["trixie"].stale("09-x", "sha256:1")


def test_a_chapter_is_recorded_beside_the_others():
    """Those keep their results, their day, and the engine that showed them."""
    first = engines.with_record({}, trial(P1=HOLDS), "09-x", "sha256:0", NOW)
    newer = Trial("trixie", described("28.5.2"), {"S1": HOLDS}, "", (), 1.0)
    both = engines.with_record(first, newer, "04-y", "sha256:1", LATER)["trixie"]

    assert {"09-x", "04-y"} == set(both.chapters)
    assert first["trixie"].chapters["09-x"] == both.chapters["09-x"]
    assert "26.1.5" == both.chapter_of("P1").engine["engine_version"]
    assert "28.5.2" == both.chapter_of("S1").engine["engine_version"]
    assert "28.5.2" == both.engine["engine_version"]
    assert both.chapter_of("Q1") is None
    assert both.stale("01-z", "sha256:1")


def test_equal_results_make_equal_files(tmp_path):
    """A difference in the file is a difference in a result, never in an order."""
    turned = Result(HOLDS.verdict, "", dict(reversed(HOLDS.arms.items())), "")
    for name, results, slugs in (
        ("a", {"P1": HOLDS, "P5": HOLDS}, ("1", "2")),
        ("b", {"P5": HOLDS, "P1": turned}, ("2", "1")),
    ):
        kept = {}
        for slug in slugs:
            kept = engines.with_record(kept, trial(**results), slug, slug, NOW)
        recorded_engines.save(kept, tmp_path / name)

    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_what_could_not_be_tried_is_not_recorded():
    """There is no engine that has shown anything."""
    with pytest.raises(ProvingError, match="could not be tried"):
        engines.with_record({}, Trial("sid", trouble="no packages"), "09-x", "sha256:1", NOW)


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Record into a file of our own, by the recorder of a run."""
    monkeypatch.setattr(engines.claims, "decides", lambda lab, **_: f"sha256:{lab.stem}")
    monkeypatch.setattr(engines.prove, "notebooks", lambda: [LABS / "09-x.ipynb"])
    monkeypatch.setattr(engines.prove, "proved_in", lambda *_: [claims.get("P1"), claims.get("P5")])
    file = tmp_path / "engines.json"
    load, save = recorded_engines.load, recorded_engines.save
    monkeypatch.setattr(recorded_engines, "load", lambda: load(file))
    monkeypatch.setattr(recorded_engines, "save", lambda recorded: save(recorded, file))
    return file


@pytest.mark.parametrize(
    "found",
    [
        trial(P1=HOLDS, P5=REFUTED),
        trial(P1=HOLDS, P5=TOOTHLESS),
        trial(P1=HOLDS),
        trial(trouble="The teeth ended with exit status 2.", P1=HOLDS, P5=HOLDS),
    ],
)
def test_a_chapter_that_was_not_clean_is_not_recorded(kept, capsys, found):
    """Not one fault, and no claim left out."""
    engines._recorder()(found, "09-x")

    assert not kept.exists()
    assert "09-x on trixie is left as it was" in capsys.readouterr().err


def test_a_clean_chapter_is_recorded(kept, capsys):
    """With what decided its results when the run began."""
    engines._recorder()(trial(P1=HOLDS, P5=HOLDS), "09-x")

    assert "sha256:09-x" == recorded_engines.load()["trixie"].chapters["09-x"].decides
    assert kept.exists()
    assert "Recorded 09-x on trixie" in capsys.readouterr().err


def test_words_are_grouped_by_their_lab():
    """A lab that is named as a whole is run as a whole."""
    assert {
        "09-process-management": ["P1", "P5"],
        "04-layer-size": ["04-layer-size"],
    } == engines.by_chapter(["P1", "04", "S1", "P5"])


def test_what_needs_a_cluster_is_left_out(monkeypatch):
    """A nested engine has none; where nothing else was asked for, a sentence says so."""
    monkeypatch.setenv("PROVING_CLUSTER", "none")
    rows = claims.load()
    needy = replace(rows["P5"], uses=(claims.CLUSTER,))
    monkeypatch.setattr(claims, "load", lambda: {**rows, "P5": needy})

    assert {"09-process-management": ["P1"]} == engines.by_chapter(["P1", "P5"])
    with pytest.raises(ProvingError, match="have no cluster"):
        engines.choose(["trixie", "P5"])


def test_each_chapter_is_told_as_soon_as_it_was_proved(monkeypatch):
    """A fault, or a run that ends without a report, is not in the way of the next one."""
    came = {"04-layer-size": {"S1": HOLDS}, "09-process-management": {"P1": REFUTED}}
    told = []

    def prove_chapter(_inner, name, description, slug, _words):
        trouble = "The teeth ended." if slug.startswith("09") else ""
        return Trial(name, description, came[slug], trouble, (), 10.0)

    monkeypatch.setattr(engines, "_proved_chapter", prove_chapter)
    whole = engines._proved(
        None, "trixie", described(), ["09", "04"], lambda one, slug: told.append((slug, one.clean))
    )

    assert [("09-process-management", False), ("04-layer-size", True)] == told
    assert {"S1": HOLDS, "P1": REFUTED} == whole.results
    assert ("The teeth ended.", 20.0) == (whole.trouble, whole.seconds)
    assert not whole.clean


def test_no_results_and_broken_ones_are_told_apart(tmp_path):
    """Before the first record there is nothing; a file that cannot be read is an error."""
    (tmp_path / "broken.json").write_text('{"trixie": {"chapters": {"09-x": {}}}}')

    assert {} == recorded_engines.load(tmp_path / "none.json")
    with pytest.raises(ClaimsFileError, match="nox -s engines -- --record"):
        recorded_engines.load(tmp_path / "broken.json")


def test_the_committed_results_can_be_read():
    """They name engines and claims that there are."""
    kept = recorded_engines.load()

    assert set(kept) <= set(engines.ENGINES)
    for engine in kept.values():
        for slug, there in engine.chapters.items():
            assert (LABS / f"{slug}.ipynb").is_file()
            assert set(there.claims) <= set(claims.load())


def test_reading_the_results_is_quick():
    """The site reads them: neither docker nor nbformat is imported for it."""
    code = "import sys; from proving import recorded_engines; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(ROOT / "labs")}
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)

    assert not {"docker", "nbformat", "testcontainers"} & set(told.stdout.split())
