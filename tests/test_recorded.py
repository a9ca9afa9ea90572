"""Reading recorded results from notebooks."""

import json
from pathlib import Path

import pytest
from proving import recorded
from proving.claims import MIME
from proving.errors import ClaimsFileError


def record(claim_id="P1", **figures):
    """A result with the fields that reading needs, and no claim to have been measured."""
    arms = {"bad": figures or {"stop_seconds": 2.0}, "good": {"stop_seconds": 1.0}}
    return {"id": claim_id, "verdict": "holds", "arms": arms, "settings": {"grace_seconds": 3}}


def code(*records, **cell):
    outputs = [
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {MIME: record, "text/plain": ["a\n", "b"]},
        }
        for record in records
    ]
    return {"cell_type": "code", "source": "1", "outputs": outputs, "execution_count": 1, **cell}


def notebook(folder: Path, *cells, name="09-some-lab", **meta) -> Path:
    path = folder / f"{name}.ipynb"
    title = {"cell_type": "markdown", "source": ["# A title\n", "text"]}
    content = {"cells": [title, *cells], "metadata": {"proving": meta}, "nbformat": 4}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_lab_has_its_title_results_and_what_its_run_wrote_down(tmp_path):
    """All that the site tells about a lab comes from the one file."""
    path = notebook(tmp_path, code(record()), seconds=9.5, recorded_at="2026-01-02T03:04:05Z")

    lab = recorded.load(path)

    assert ("09-some-lab", "A title", 9.5) == (lab.slug, lab.title, lab.seconds)
    assert "2026-01-02T03:04:05Z" == lab.recorded_at
    assert ["P1"] == list(lab.results)


def test_a_notebook_that_was_never_recorded_is_read_too(tmp_path):
    """A lab in the making has a page, and is neither intact nor fresh."""
    lab = recorded.load(notebook(tmp_path, code()))

    assert {} == lab.results
    assert lab.recorded_at is None
    assert not lab.intact
    assert lab.stale(lambda _: "sha256:0")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("P1.bad.stop_seconds", 2.0), ("P1.good.stop_seconds", 1.0), ("P1.grace_seconds", 3)],
)
def test_a_figure_and_a_setting_are_found_by_name(tmp_path, name, expected):
    """Chapters quote both."""
    lab = recorded.load(notebook(tmp_path, code(record())))

    assert expected == recorded.value(lab.results, name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("P9.bad.x", "P9.bad.x cannot be quoted: no recorded lab has a result of it"),
        ("P1.bad.x", "P1 has bad.stop_seconds, good.stop_seconds, grace_seconds"),
        ("P1.worse.stop_seconds", "was not recorded"),
        ("P1", "was not recorded"),
    ],
)
def test_a_figure_that_is_not_there_is_told_in_a_sentence(tmp_path, name, told):
    """The sentence names what could be meant instead."""
    lab = recorded.load(notebook(tmp_path, code(record())))

    with pytest.raises(ClaimsFileError, match=told):
        recorded.value(lab.results, name)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3}'])
def test_what_is_no_notebook_is_told_by_its_name(tmp_path, text):
    """A broken file ends with a sentence, not with a traceback of json."""
    path = tmp_path / "09-x.ipynb"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ClaimsFileError, match=r"09-x\.ipynb"):
        recorded.load(path)


def test_two_results_of_one_claim_are_refused(tmp_path):
    """Within a notebook and across notebooks: which of the two would a chapter quote?"""
    notebook(tmp_path, code(record()), name="08-a")
    notebook(tmp_path, code(record()), name="09-b")

    with pytest.raises(ClaimsFileError, match="two results of P1"):
        recorded.load(notebook(tmp_path, code(record(), record()), name="10-c"))
    (tmp_path / "10-c.ipynb").unlink()
    with pytest.raises(ClaimsFileError, match="as another lab does"):
        recorded.load_all(tmp_path)


def test_a_result_without_a_verdict_is_refused(tmp_path):
    """Half a result is no result."""
    half = {"id": "P1", "arms": {}}

    with pytest.raises(ClaimsFileError, match="without id, verdict or arms"):
        recorded.load(notebook(tmp_path, code(half)))


def test_the_hash_of_the_outputs_knows_a_changed_output_from_a_rewritten_file(tmp_path):
    """nbformat splits text into lines and numbers the cells anew; neither changes a result."""
    cells = [code(record()), code(record("P2"))]
    first = recorded.outputs_hash(notebook(tmp_path, *cells, name="1-a"))
    joined = json.loads(json.dumps(cells).replace('["a\\n", "b"]', '"a\\nb"'))
    joined[0]["execution_count"] = 7
    changed = [code(record()), code(record("P2", stop_seconds=2.1))]

    assert first == recorded.outputs_hash(notebook(tmp_path, *joined, name="1-b"))
    assert first == recorded.outputs_hash({"cells": cells})
    assert first != recorded.outputs_hash(notebook(tmp_path, *changed, name="1-c"))


def test_a_lab_is_intact_until_an_output_is_edited(tmp_path):
    """A number typed into the notebook by hand is found."""
    outputs = recorded.outputs_hash({"cells": [code(record())]})

    assert recorded.load(notebook(tmp_path, code(record()), outputs=outputs)).intact
    typed = code(record(stop_seconds=99.0))
    assert not recorded.load(notebook(tmp_path, typed, outputs=outputs)).intact


def test_a_lab_is_stale_when_what_decides_it_has_changed(tmp_path):
    """The hash is taken of the notebook's own file."""
    lab = recorded.load(notebook(tmp_path, code(record()), decides="09-some-lab.ipynb"))

    assert not lab.stale(lambda path: path.name)
    assert lab.stale(lambda path: f"{path.name}, changed")
