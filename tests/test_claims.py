"""Claims are judged by relations; what cannot be measured is never a pass."""

import json
import shutil

import pytest
from proving import claims
from proving.claims import Check, Claim, Figure, Relation, Verdict, judge
from proving.errors import ClaimsFileError
from proving.manifests import MANIFESTS

STOP = Claim(
    id="P1",
    chapter="09-process-management",
    advice="handle TERM",
    bad="shell form",
    good="exec form",
    figures={"stop_seconds": Figure("Time to stop", "s"), "lost": Figure("Lost", "count")},
    must=(
        Check("bad.stop_seconds", Relation.AT_LEAST, "grace_seconds"),
        Check("good.stop_seconds", Relation.AT_MOST, "grace_seconds", factor=0.2),
    ),
    settings={"grace_seconds": 10},
)
HOLDING = {"bad": {"stop_seconds": 10.1}, "good": {"stop_seconds": 0.3}}


def test_a_claim_holds_when_all_checks_do():
    """Both arms as they should be."""
    judged = judge(STOP, HOLDING)

    assert (Verdict.HOLDS, [True, True]) == (judged.verdict, [c.holds for c in judged.checks])


def test_a_claim_that_fails_says_which_figure_of_which_arm():
    """The reason names arm, figure, what was expected and what was found."""
    judged = judge(STOP, {**HOLDING, "good": {"stop_seconds": 3.0}})

    assert Verdict.DOES_NOT_HOLD == judged.verdict
    assert judged.reason == "good: time to stop: expected ≤ 2.0 s (0.2 × grace), found 3.0 s."


def test_a_missing_figure_is_not_a_pass():
    """An arm that gave no figure makes the claim unmeasured."""
    judged = judge(STOP, {"bad": {"stop_seconds": 10.1}, "good": {}})

    assert Verdict.COULD_NOT_BE_MEASURED == judged.verdict
    assert "“stop_seconds” of the arm “good”" in judged.reason


def test_a_precondition_that_fails_is_not_a_refutation():
    """No load at all proves nothing either way."""
    check = Check("bad.lost", Relation.SOME, precondition=True)
    claim = Claim(**{**STOP.__dict__, "must": (check,)})

    assert Verdict.COULD_NOT_BE_MEASURED == judge(claim, {"bad": {"lost": 0}}).verdict


def test_what_an_engine_has_not_is_left_out_and_does_not_count():
    """The arm tells so by another figure; an arm that is not there at all was not measured."""
    asked = Check("bad.attested", Relation.IS, True, where_applicable=True)
    claim = Claim(**{**STOP.__dict__, "must": (Check("bad.lost", Relation.NONE), asked)})
    without = judge(claim, {"bad": {"lost": 0}})
    with_it = judge(claim, {"bad": {"lost": 0, "attested": False}})

    assert (Verdict.HOLDS, "All 1 checks hold.") == (without.verdict, without.reason)
    assert Verdict.DOES_NOT_HOLD == with_it.verdict
    only = Claim(**{**STOP.__dict__, "must": (asked,)})
    assert Verdict.COULD_NOT_BE_MEASURED == judge(only, {"bad": {"lost": 0}}).verdict
    assert Verdict.COULD_NOT_BE_MEASURED == judge(only, {}).verdict


def test_a_claim_without_checks_is_not_a_pass():
    """Nothing written down, nothing proved."""
    claim = Claim(**{**STOP.__dict__, "must": ()})

    assert Verdict.COULD_NOT_BE_MEASURED == judge(claim, HOLDING).verdict


@pytest.mark.parametrize(
    ("relation", "left", "right", "holds"),
    [
        (Relation.AT_MOST, 2, 2, True),
        (Relation.AT_LEAST, 1, 2, False),
        (Relation.LESS_THAN, 2, 2, False),
        (Relation.EQUAL, 2, 2, True),
        (Relation.DIFFER, 2, 2, False),
        (Relation.IS, "sh", "sh", True),
        (Relation.IS_NOT, 137, 137, False),
        (Relation.NONE, 0, 0, True),
        (Relation.SOME, 0, 0, False),
    ],
)
def test_relations(relation, left, right, holds):
    """Each of the fixed list of relations, at its edge."""
    claim = Claim(**{**STOP.__dict__, "must": (Check("bad.lost", relation, right),)})

    assert holds is judge(claim, {"bad": {"lost": left}}).checks[0].holds


def test_exchanged_arms_refute():
    """The teeth of a claim: with its arms exchanged, every check of theirs fails."""
    exchanged = {"bad": HOLDING["good"], "good": HOLDING["bad"]}

    assert () == claims.toothless(STOP, judge(STOP, exchanged))


def test_a_check_without_teeth_is_found_out():
    """A check that holds with the arms exchanged tells nothing."""
    toothless = Check("bad.stop_seconds", Relation.AT_LEAST, 0)
    claim = Claim(**{**STOP.__dict__, "must": (*STOP.must, toothless)})
    exchanged = {"bad": HOLDING["good"], "good": HOLDING["bad"]}

    assert 1 == len(claims.toothless(claim, judge(claim, exchanged)))


def test_the_list_is_whole():
    """Every claim of the guide is a row, each id once; its part in a cluster may be another one."""
    listed = claims.load()

    whole = {name.removesuffix("K") for name in listed}
    assert 62 == len(whole)
    assert whole <= set(listed)
    assert {"P1", "P8", "Q1", "H5"} <= whole


def test_figures_and_arms_of_checks_are_declared():
    """A check may only name figures that have a label and arms that exist.

    An arm is a Dockerfile or a manifest; arms that differ by what is done to one Dockerfile have
    that one.
    """
    for claim in claims.load().values():
        for check in claim.must:
            assert check.left.partition(".")[2] in claim.figures, claim.id
            for arm in check.arms():
                folder = claims.IMAGES / claim.folder
                name = arm.replace("_", "-")
                files = [folder / name / "Dockerfile", folder / "Dockerfile"]
                files.append(MANIFESTS / claim.id / f"{name}.yaml")
                assert any(file.is_file() for file in files), (claim.id, arm)


def test_a_claim_may_look_at_the_images_of_another(tmp_path):
    """It has no folder of its own, and what changes those images makes its result stale too."""
    rows = tmp_path / "claims.toml"
    rows.write_text(
        '[[claim]]\nid = "M2"\nchapter = "05-x"\nadvice = ""\nbad = ""\ngood = ""\nimages = "M1"\n',
        encoding="utf-8",
    )
    dockerfile = tmp_path / "images" / "M1" / "bad" / "Dockerfile"
    dockerfile.parent.mkdir(parents=True)
    notebook = tmp_path / "05-x.ipynb"
    notebook.write_text(json.dumps({"cells": []}), encoding="utf-8")
    hashes = []
    for text in ("FROM scratch\n", "FROM debian\n"):
        dockerfile.write_text(text, encoding="utf-8")
        hashes.append(claims.decides(notebook, tmp_path / "images", rows))

    assert "M1" == claims.load(rows)["M2"].folder
    assert hashes[0] != hashes[1]


def test_of_which_arms_a_card_tells_a_figure_decides_nothing(tmp_path):
    """What was recorded is the same, and so is its hash."""
    notebook, rows = tmp_path / "09-some-lab.ipynb", tmp_path / "claims.toml"
    notebook.write_text('{"cells": []}')
    row = '[[claim]]\nid = "P0"\nchapter = "09-some-lab"\n[claim.figures]\nlost = {%s}\n'
    hashes = []
    for figure in ('unit = "s"', 'unit = "s", arms = ["good"]', 'unit = "B"'):
        rows.write_text(row % figure)
        hashes.append(claims.decides(notebook, tmp_path / "images", rows))

    assert hashes[0] == hashes[1] != hashes[2]


def test_what_needs_a_cluster_decides_nothing_where_it_is_left_out(tmp_path):
    """Neither its row nor its cell: another engine's results stay fresh when they change."""
    rows, notebook = tmp_path / "claims.toml", tmp_path / "08-x.ipynb"
    row = '[[claim]]\nid = "{}"\nchapter = "08-x"\nadvice = ""\nbad = ""\ngood = ""\nuses = {}\n'

    def decided(source, advice, turn="lab.exercise('start')"):
        rows.write_text(
            row.format("R7", "[]")
            + row.format("R7K", f'["{claims.CLUSTER}"]').replace('advice = ""', advice),
            encoding="utf-8",
        )
        cells = [
            {"cell_type": "code", "metadata": {"claim": claim}, "source": [text]}
            for claim, text in (("R7", "measure()"), ("R7K", source), ("", turn))
        ]
        notebook.write_text(json.dumps({"cells": cells}), encoding="utf-8")
        files = (notebook, tmp_path / "images", rows)
        return claims.decides(*files), claims.decides(*files, engine_alone=True)

    first, without = decided("in_a_pod()", 'advice = ""')
    with_source, same = decided("in_two_pods()", 'advice = ""')
    with_row, same_again = decided("in_a_pod()", 'advice = "Follow"')
    with_turn, same_turned = decided("in_a_pod()", 'advice = ""', "lab.exercise('end')")

    assert 4 == len({first, with_source, with_row, with_turn})
    assert {without} == {same, same_again, same_turned}


def test_an_unknown_claim_is_a_sentence():
    """A slip of the keyboard is answered with what was perhaps meant."""
    with pytest.raises(ClaimsFileError, match="did you mean P1"):
        claims.get("P11")


def test_what_decides_a_result_changes_its_hash(tmp_path):
    """A changed source of a build context or code cell makes a result stale; prose does not."""
    images = tmp_path / "images"
    shutil.copytree(claims.IMAGES, images)
    notebook = tmp_path / "09-process-management.ipynb"
    cells = [
        {"cell_type": "markdown", "source": ["prose"]},
        {"cell_type": "code", "metadata": {}, "source": ["lab.arms('P1')"]},
    ]
    notebook.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    first = claims.decides(notebook, images)

    cells[0]["source"] = ["other prose"]
    notebook.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    with_prose = claims.decides(notebook, images)
    next((images / "apps").glob("worker*")).write_text("changed", encoding="utf-8")
    with_source = claims.decides(notebook, images)

    assert first == with_prose
    assert first != with_source


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.284, "s", "0.28 s"),
        (10.13, "s", "10.1 s"),
        (3_400_000, "B", "3.4 MB"),
        (999, "B", "999 B"),
        (1234, "count", "1,234"),
        (True, "yesno", "yes"),
        ("sh", "text", "sh"),
        (137, "status", "137"),
    ],
)
def test_figures_read_well(value, unit, told):
    """Numbers are shown as people read them."""
    assert told == claims.humanize(value, unit)
