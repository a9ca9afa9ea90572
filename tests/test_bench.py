"""The bench counts each instant once, names what could be shorter, and judges nothing."""

from __future__ import annotations

import json
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
from proving import bench, prove
from proving.bench import LabTime, SiteTime
from proving.errors import ProvingError
from proving.spans import Span, span


def of(name, began, ended, detail=""):
    """Return a span with the times that matter here; each detail has a thread of its own."""
    return Span(name, detail, float(began), float(ended), process=1, thread=hash(detail))


LAB = [
    of("lab", 0, 40, "09-process-management"),
    of("kernel", 1, 3, "start"),
    of("cell", 3, 5),
    of("cell", 5, 35, "P1"),
    of("build", 5, 9, "P1/bad"),
    of("build", 5, 11, "P1/good"),
    of("stop", 14, 25, "P1/bad"),
    of("grace period", 14, 24, "P1/bad"),
    of("grace period", 16, 26, "P1/good"),
    of("removal", 24, 28, "P1/bad"),
    of("cell", 35, 36, "P1"),
]


@pytest.mark.parametrize(
    ("intervals", "joined"),
    [
        ([], []),
        ([(3, 4), (0, 1)], [(0, 1), (3, 4)]),
        ([(0, 2), (1, 3), (3, 4)], [(0, 4)]),
        ([(0, 9), (1, 2), (5, 6)], [(0, 9)]),
    ],
)
def test_intervals_are_joined(intervals, joined):
    """Overlapping and touching intervals become one, an inner one disappears."""
    assert joined == bench.union(intervals)


def test_each_instant_counts_once():
    """What is attributed adds up to the wall time, whatever overlaps."""
    seconds = bench.attribute(LAB, [(0, 40)])

    assert 40 == pytest.approx(sum(seconds.values()))


def test_a_wait_hides_the_work_beside_it():
    """Waits come first, inner work before what is around it, the runner has what is left."""
    assert {
        "grace period": 12,
        "build": 6,
        "removal": 2,
        "kernel": 2,
        "cell": 2 + 3 + 7 + 1,
        "lab": 5,
    } == bench.attribute(LAB, [(0, 40)])


def test_an_unknown_kind_is_told_as_it_is():
    """A span that the bench has no word for is work within a cell."""
    noted = [of("lab", 0, 10), of("cell", 0, 10, "P1"), of("push", 2, 5)]

    assert {"push": 3, "cell": 7} == bench.attribute(noted, [(0, 10)])


def test_spans_outside_of_a_part_do_not_count():
    """Another claim's builds, and the ends that stick out, are left out."""
    noted = [of("build", 0, 4), of("build", 8, 12), of("build", 20, 30)]

    assert {"build": 6, "lab": 4} == bench.attribute(noted, [(2, 12)])


def test_a_lab_is_told_as_a_whole_and_by_claim():
    """Waits are told with and without their overlap; cells without a claim are the set-up."""
    (lab,) = bench.lab_times(LAB)
    set_up, claim = lab.claims

    assert (40, 20, 12, 28) == (
        lab.whole.seconds,
        lab.whole.waits_seconds,
        lab.whole.overlapped_waits_seconds,
        lab.whole.rest_seconds,
    )
    assert (bench.SET_UP, 2) == (set_up.name, set_up.seconds)
    assert ("P1", 31, 12) == (claim.name, claim.seconds, claim.overlapped_waits_seconds)


def test_the_longest_spans_are_those_that_can_be_improved():
    """Neither waits, nor what is around other spans, are among them or in their times."""
    noted = [*LAB, of("stop", 26, 37.5, "P1/own"), of("grace period", 26, 36, "P1/own")]
    (lab,) = bench.lab_times(noted)
    found = [(one.kind, one.detail, one.seconds) for one in lab.claims[1].longest]

    assert [("build", "P1/good", 6), ("build", "P1/bad", 4), ("removal", "P1/bad", 4)] == found
    assert 1.5 == bench.part("P1", noted, [(26, 40)]).longest[1].seconds


def test_waits_that_settings_decide_are_told_apart():
    """They are not among what is left to improve, and an unavoidable wait comes before them."""
    noted = [of("load", 0, 8), of("grace period", 6, 10), of("start", 10, 11)]
    part = bench.part("P8", noted, [(0, 12)])

    assert (4, 6, 2) == (
        part.overlapped_waits_seconds,
        part.chosen_waits_seconds,
        part.rest_seconds,
    )


def test_the_table_tells_kinds_in_words():
    """The whole by kind, the largest first, then a line for each claim."""
    text = bench.table(bench.lab_times(LAB)[0])
    lines = [" ".join(line.split()) for line in text.splitlines()]

    assert [
        "09-process-management: 40.0 s",
        "unavoidable waits 12.0 s (20.0 s, had they not overlapped)",
        "waits by settings 0.0 s (answers, restarts)",
        "the rest 28.0 s",
        "the lab's own code 13.0 s",
        "builds 6.0 s",
    ] == lines[:6]
    assert (
        "P1 31.0 12.0 0.0 19.0 build P1/good 6.0 s, build P1/bad 4.0 s, removal P1/bad 4.0 s"
        == (lines[-1])
    )


def test_a_claim_of_a_second_kernel_has_its_own_work():
    """What the other kernel did at the same time is not the claim's, but the lab's as a whole."""
    noted = [
        of("lab", 0, 40, "09-process-management"),
        of("cell", 0, 20, "P1"),
        of("build", 0, 15, "P1/bad"),
        replace(of("cell", 5, 40, "P7"), lane="beside"),
        replace(of("load", 10, 30, "P7/bad"), lane="beside"),
    ]
    (lab,) = bench.lab_times(noted)
    first, second = lab.claims
    text = bench.table(lab)

    assert {"build": 15, "cell": 5} == first.by_kind
    assert {"load": 20, "cell": 15} == second.by_kind
    assert 40 == lab.whole.seconds
    assert "  P7 ∥ " in text
    assert text.endswith("∥ in a second kernel, beside the others")


def told(text):
    """Return the rows of a table, with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()[1:]]


def test_targets_stand_beside_the_times():
    """Each is told as kept or not."""
    labs = bench.lab_times(LAB)

    assert [
        "09-process-management 40.0 s 90 s ok",
        "1 lab, warm 40.0 s 840 s ok",
        "the site, after an edit 12.5 s 4 s over",
        "the site, built anew 9.0 s 30 s ok",
    ] == told(bench.targets(labs, 40.0, SiteTime(9.0, 12.5), cold=False))


def test_a_lab_without_the_cache_has_no_target_of_its_own():
    """All of them together have one."""
    assert ["09-process-management 40.0 s", "1 lab, cold 40.0 s 900 s ok"] == told(
        bench.targets(bench.lab_times(LAB), 40.0, None, cold=True)
    )


def test_a_part_of_the_labs_says_nothing_of_the_whole():
    """Its sum is told, and no target beside it."""
    rows = told(bench.targets(bench.lab_times(LAB), 40.0, None, cold=False, whole=False))

    assert "1 lab, warm 40.0 s" == rows[-1]


def test_labs_side_by_side_have_their_own_times_and_count_once_together():
    """Each has its own work, wherever it ran; the whole is the wall time."""
    seven = [of("lab", 0, 30, "07-pods"), of("cell", 0, 30, "K1"), of("pods", 5, 25)]
    nine = [of("lab", 20, 60, "09-process-management"), of("cell", 20, 60, "P1")]
    again = [replace(one, lane="beside") for one in (of("lab", 70, 80, "07-pods"),)]
    noted = [
        *(replace(one, lab="09-process-management") for one in nine),
        *(replace(one, lab="07-pods") for one in [*seven, *again]),
    ]
    labs = bench.lab_times(noted)
    rows = told(bench.targets(labs, bench.wall_seconds(noted), None, cold=False, alone=False))

    assert [
        "07-pods 40.0 s",
        "09-process-management 40.0 s",
        "2 labs, warm 70.0 s 840 s ok",
    ] == rows
    assert {"cell": 40} == labs[1].whole.by_kind


@pytest.fixture
def run_of(monkeypatch):
    """Have the bench run a lab that notes spans of its own, on no engine."""

    def prepared(*, passed=True):
        def run_notebooks(chosen, told):
            ((notebook, _only),) = chosen
            with span("lab", notebook.stem), span("cell", "P1"), span("build", "P1/bad"):
                pass
            claim = SimpleNamespace(id="P1")
            verdict = "holds" if passed else "does not hold"
            proof = SimpleNamespace(claim=claim, verdict=verdict, passed=passed, reason="Why.")
            told(proof)
            return [proof]

        description = SimpleNamespace(as_data=lambda: {"engine": "a test's"})
        engine = SimpleNamespace(description=description)
        monkeypatch.setattr(bench.prepare, "engine_and_bases", lambda: engine)
        monkeypatch.setattr(prove, "run_notebooks", run_notebooks)
        monkeypatch.setattr(bench.cluster, "for_run", lambda *_: nullcontext())
        monkeypatch.setattr(bench, "time_site", lambda: SiteTime(400.0, 900.0))
        monkeypatch.delenv(bench.NO_CACHE_VARIABLE, raising=False)

    return prepared


def test_a_slow_run_is_no_failure(run_of, capsys):
    """However long the site took, the exit status tells that all claims hold."""
    run_of()

    assert 0 == bench.main(["09"])
    assert "the site, after an edit 900.0 s 4 s over" in told(capsys.readouterr().out)


def test_a_claim_that_fails_is_a_failure(run_of, capsys):
    """Times of a lab that fails tell little, and that is said."""
    run_of(passed=False)

    assert 1 == bench.main(["P1"])
    assert "1 claims do not hold" in capsys.readouterr().out


def test_figures_and_spans_are_kept(run_of, tmp_path):
    """The file has all that is printed, and the spans for whoever looks further."""
    run_of()
    file = tmp_path / "bench.json"
    bench.main(["09", "--json", str(file)])
    kept = json.loads(file.read_text())

    assert ["09-process-management"] == [lab["name"] for lab in kept["labs"]]
    assert ["P1"] == [claim["name"] for claim in kept["labs"][0]["claims"]]
    assert ["lab", "cell", "build"] == [one["name"] for one in kept["spans"]]
    assert {"clean_seconds": 400.0, "edit_seconds": 900.0} == kept["site"]
    assert (False, False) == (kept["cold"], kept["alone"])

    bench.main(["09", "--alone", "--json", str(file)])
    assert json.loads(file.read_text())["alone"]


def test_cold_builds_leave_the_cache_alone(run_of, monkeypatch):
    """A run without the cache is asked for by a variable that labs and their kernels inherit."""
    run_of()
    monkeypatch.setenv(bench.NO_CACHE_VARIABLE, "0")
    bench.main(["09", "--cold"])

    assert "1" == bench.os.environ[bench.NO_CACHE_VARIABLE]


def test_the_site_is_timed_in_a_copy():
    """A chapter with a lab is edited there, and the checkout stays as it is."""
    seen, hidden = [], set()

    def run(command, *, env, **_):
        sources = bench.Path(command[-2])
        seen.append((sources, [path.read_text()[-30:] for path in sources.glob("chapters/*.md")]))
        hidden.update(path.name for path in sources.rglob(".*"))
        return subprocess.CompletedProcess(command, 0, "", "")

    bench.time_site(run)
    (first, before), (second, after) = seen

    assert bench.ROOT not in (first, *first.parents)
    assert first == second
    assert not first.exists()
    assert 1 == sum("This sentence is new." in end for end in after)
    assert 0 == sum("This sentence is new." in end for end in before)
    assert {".dockerignore"} == hidden  # a chapter shows one


def test_a_site_that_does_not_build_is_told():
    """The end of what Sphinx says is quoted."""

    def run(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "chapters/x.md: WARNING: no such role")

    with pytest.raises(ProvingError, match="no such role"):
        bench.time_site(run)


def test_a_lab_without_spans_of_claims_has_a_table():
    """A kernel that never started leaves the runner's time alone."""
    (lab,) = bench.lab_times([of("lab", 0, 3, "09-process-management")])

    assert isinstance(lab, LabTime)
    assert "the runner" in bench.table(lab)
