"""The Sphinx extension, on a site of one page, one lab and two claims."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from proving import (
    build_timeline,
    claims,
    drawing,
    kubernetes_image,
    layer_waterfall,
    recorded,
    recorded_engines,
    show,
    site_files,
    site_results,
    site_tables,
    step_figures,
    stop_timeline,
)
from proving.audit.catalogue import CHECKS
from proving.preflight import catalogue as preflight
from sphinx.cmd.build import build_main

ROOT = Path(__file__).parents[1]

CONF = """
extensions = ["myst_nb", "sphinx_design", "proving.site"]
nb_execution_mode = "off"
suppress_warnings = ["mystnb.unknown_mime_type"]
exclude_patterns = ["_build"]
html_theme = "basic"
"""
CLAIMS = """
[settings]
grace_seconds = 10

[[claim]]
id = "P1"
chapter = "09-some-lab"
advice = "Some `advice`"
bad = "the bad one"
good = "the good one"
[claim.figures]
stop_seconds = { label = "Time to stop", unit = "s" }
exit_status = { label = "Exit status", unit = "status" }
pid_1 = { label = "Process 1", unit = "text" }

[[claim]]
id = "P2"
chapter = "09-some-lab"
advice = "More advice"
bad = "b"
good = "g"
"""
RECORD = {
    "id": "P1",
    "verdict": "holds",
    "arms": {
        "bad": {"stop_seconds": 12.0, "exit_status": 137, "pid_1": "sh"},
        "good": {"stop_seconds": 0.5, "exit_status": 0, "pid_1": "app"},
    },
    "settings": {"grace_seconds": 10},
    "timelines": {"bad": {"kill_at": 10.0, "died_at": 12.0, "grace_seconds": 10}},
    "builds": {
        arm: {
            "seconds": 4.2,
            "steps": [{"name": name, "cached": False, "began_seconds": 0.1, "seconds": 4.0}],
        }
        for arm, name in (("bad", "[1/1] RUN a"), ("other", "[1/1] RUN b"))
    },
    "layers": {
        "good": [
            {
                "created_by": "COPY . .",
                "unpacked_bytes": 4_000_000,
                "transfer_bytes": 2_000_000,
                "wasted_bytes": 1_000_000,
                "from_base": False,
            }
        ]
    },
    "environment": {"engine": "Some Engine", "engine_version": "1.0", "store": "overlay2"},
    "measured_at": "2001-02-03T04:05:06Z",
}


class Site:
    """A small site in a folder; `build` returns a page and the warnings."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("conf.py", CONF)
        self.put("labs/claims.toml", CLAIMS)
        for arm, command in (("bad", "CMD app"), ("good", 'CMD ["app"]'), ("other", "CMD x")):
            self.put(f"labs/images/P1/{arm}/Dockerfile", f"FROM base\nCOPY . .\n{command}\n")
        self.put("labs/images/apps/app.py", "print()\n")
        self.record()

    def put(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def record(self, **changes) -> None:
        card = {claims.MIME: {**RECORD, **changes}, "text/html": "<p>the card</p>"}
        output = {"output_type": "display_data", "metadata": {}, "data": card}
        cells = [
            {"cell_type": "markdown", "metadata": {}, "id": "a", "source": "# Some lab"},
            {
                "cell_type": "code",
                "metadata": {"claim": "P1"},
                "id": "b",
                "source": "1",
                "execution_count": 1,
                "outputs": [output],
            },
        ]
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = {"cells": cells, "nbformat": 4, "nbformat_minor": 5}
        content["metadata"] = {"kernelspec": spec, "language_info": {"name": "python"}}
        path = self.put("labs/09-some-lab.ipynb", json.dumps(content))
        content["metadata"]["proving"] = {
            "decides": claims.decides(
                path, self.root / "labs/images", self.root / "labs/claims.toml"
            ),
            "outputs": recorded.outputs_hash(content),
            "recorded_at": "2001-02-03T04:05:06Z",
            "seconds": 75.0,
            "environment": RECORD["environment"],
        }
        path.write_text(json.dumps(content), encoding="utf-8")

    def record_engine(self, **changes) -> None:
        notebook = self.root / "labs/09-some-lab.ipynb"
        bad = {"stop_seconds": 11.0, "exit_status": 0, "pid_1": "sh"}
        there = {
            "recorded_at": "2002-03-04T05:06:07Z",
            "engine": {
                "engine": "Newer Engine",
                "engine_version": "2.0",
                "store": "containerd",
            },
            "decides": recorded.load(notebook).decides,
            "claims": {"P1": {"verdict": "does not hold", "arms": {"bad": bad}}},
        }
        recording = {"about": "a newer engine", "chapters": {notebook.stem: there | changes}}
        self.put("labs/engines.json", json.dumps({"newer": recording}))

    def build(self, capsys, source, page="index") -> tuple[str, str]:
        self.put("index.md", f"# Title\n\n{source}\n\n```{{toctree}}\n:glob:\nlabs/*\n```\n")
        claims.load.cache_clear()
        out = self.root / "_build" / "html"
        build_main(["-q", "-n", "-b", "html", str(self.root), str(out)])
        html = (out / f"{page}.html").read_text(encoding="utf-8")
        return html, capsys.readouterr().err


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_the_card_in_a_page_is_the_card_of_the_notebook(site, capsys):
    """One renderer; the page adds an address that stays."""
    html, warnings = site.build(capsys, "```{claim} P1\n```")

    claim = claims.load(site.root / "labs/claims.toml")["P1"]
    assert "" == warnings
    assert 'id="claim-P1"' in html
    assert show.card_html(claim, RECORD) in html


def test_a_figure_inside_a_sentence_leads_to_its_card(site, capsys):
    """With its unit, and a title that says where and when it was measured."""
    source = "It took {measured}`P1.bad.stop_seconds`.\n\n```{claim} P1\n```"
    html, warnings = site.build(capsys, source)

    assert "" == warnings
    link = re.search(r"It took <a[^>]*>.*?</a>", html)[0]
    assert "12.0 s" in link
    assert 'href="#claim-P1"' in link
    assert "measured on 3 February 2001, Some Engine 1.0" in link


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("P1.bad.exit_status", "137 (killed by SIGKILL)"),
        ("P1.grace_seconds", "10 s"),
        ("P1.good.pid_1", "app"),
        ("P1.bad.stop_seconds / P1.good.stop_seconds", "24"),
        ("P1.good.stop_seconds / P1.bad.stop_seconds", "0.042"),
    ],
)
def test_figures_settings_and_ratios_can_be_quoted(site, capsys, name, expected):
    """Each as people read it."""
    html, warnings = site.build(capsys, f"So {{measured}}`{name}`.\n\n```{{claim}} P1\n```")

    assert "" == warnings
    assert f">{expected}<" in html


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{measured}`P1.bad.nothing`", "P1.bad.nothing was not recorded"),
        ("{measured}`P2.bad.stop_seconds`", "no recorded lab has a result of it"),
        ("{measured}`P9.bad.stop_seconds`", "There is no claim 'P9'"),
        ("{measured}`P1.bad.pid_1 / P1.good.pid_1`", "has no value"),
        ("{measured}`P1.bad.stop_seconds / P1.good.exit_status`", "has no value"),
        ("```{claim} P9\n```", "There is no claim 'P9'"),
        ("```{claim} P1\n:predict: bad.pid_1\n```", "cannot be predicted"),
        ("```{claim} P1\n:predict: bad.nothing\n```", "was not recorded"),
        ("```{timeline} P9\n```", "There is no claim 'P9'"),
        ("```{timeline} P1\n:arms: good\n```", "P1 has no timeline of good"),
        ("```{build-timeline} P1\n:arms: good\n```", "P1 has no build of good"),
        ("```{layer-waterfall} P1\n:arms: bad\n```", "P1 has no layers of bad"),
        ("```{arms} P1\n:bad-lines: ^RUN\n```", "matches no line of P1/bad"),
        ("```{arms} P1\n:bad-lines: (\n```", "is no regular expression"),
        ("```{arms} P1\n:variants: none\n```", "P1/none has no file Dockerfile"),
        ("```{step-diff} P1 other\n```", "P1 has no step 'other'"),
        ("```{step-figures} P1\n```", "P1 has no open, transfer_bytes"),
        ("```{step-verdicts} P1\n```", "P1 has no verdicts"),
        ("```{arms} P2\n```", "P2/bad has no file Dockerfile"),
        ("{claim}`P9`", "P9"),
        ("{lab}`Open <10-other>`", "There is no lab '10-other'"),
        ("{count}`sheep`", "Nothing counts 'sheep'"),
    ],
)
def test_what_cannot_be_found_is_a_warning_and_no_crash(site, capsys, source, told):
    """A strict build fails with a sentence at the line; a lenient one has the page."""
    html, warnings = site.build(capsys, source)

    assert told in warnings
    assert "index.md" in warnings
    assert "Title" in html


def test_a_claim_without_a_result_has_a_box_that_says_so(site, capsys):
    """That is a state of the guide, not a mistake of the page."""
    html, warnings = site.build(
        capsys,
        "```{claim} P2\n:predict: bad.x\n```\n```{timeline} P2\n```\n"
        "```{build-timeline} P2\n```\n```{layer-waterfall} P2\n```",
    )

    assert "" == warnings
    assert 4 == html.count("○ not proved yet")
    assert "pg-predict" not in html


def test_only_a_long_figure_may_be_broken_into_lines(site, capsys):
    """A text that is wider than a telephone would be cut off."""
    told = "a program, and more than one word of it"
    site.record(arms={**RECORD["arms"], "good": {**RECORD["arms"]["good"], "pid_1": told}})
    html, _ = site.build(
        capsys, "{measured}`P1.bad.pid_1` {measured}`P1.good.pid_1`\n\n```{claim} P1\n```"
    )

    assert 'class="pg-measured">sh<' in html
    assert f'class="pg-measured pg-long">{told}<' in html


def test_a_prediction_stands_before_the_card_and_hides_nothing_itself(site, capsys):
    """Without JavaScript the question stays hidden and the card is there."""
    html, _ = site.build(
        capsys, "```{claim} P1\n:predict: bad.stop_seconds\n:question: How <long>?\n```"
    )

    form = re.search(r"<form.*?</form>", html, re.DOTALL)[0]
    assert html.index("<form") < html.index('id="claim-P1"')
    assert 'class="pg-predict" hidden' in form
    assert 'data-value="12.0"' in form
    assert 'data-asked="P1.bad.stop_seconds"' in form
    assert "How &lt;long&gt;?" in form
    assert "data-covered" not in html


def test_a_timeline_is_drawn_from_the_record(site, capsys):
    """The figure of the package, as it is."""
    html, warnings = site.build(capsys, "```{timeline} P1\n```")

    assert "" == warnings
    assert "KILL is sent after 10.0 s" in html


def test_builds_and_layers_are_drawn_from_the_record(site, capsys):
    """Of all arms that were recorded, or of those that the page asks for."""
    html, warnings = site.build(
        capsys,
        "```{build-timeline} P1\n```\n\n```{build-timeline} P1\n:arms: other\n```\n\n"
        "```{layer-waterfall} P1\n```",
    )

    assert "" == warnings
    assert (1, 2) == (html.count("Timeline of a build. P1, bad"), html.count("RUN b: ran for"))
    assert "COPY . .: 4 MB, 1 MB wasted" in html


def test_a_figure_of_a_stale_result_says_so(site, capsys):
    """As its card does."""
    site.put("labs/images/P1/bad/Dockerfile", "FROM base\nCMD other\n")
    html, _ = site.build(capsys, "```{build-timeline} P1\n```\n\n```{layer-waterfall} P1\n```")

    assert 2 == html.count('<p class="pg-stale">')


def test_arms_stand_side_by_side_with_the_deciding_lines_marked(site, capsys):
    """The real files are included, and the marks are found by pattern."""
    source = (
        "```{arms} P1\n:bad-lines: ^CMD\n:good-lines: ^CMD\n"
        ":good-files: Dockerfile apps/app.py\n:shared: apps/app.py\n:variants: other\n```"
    )
    html, warnings = site.build(capsys, source)

    marked = [re.sub(r"<[^>]+>", "", m) for m in re.findall(r'class="hll">(.*?)\n', html)]
    assert "" == warnings
    assert ["CMD app", 'CMD ["app"]'] == marked
    assert "labs/images/P1/other/Dockerfile" in html
    assert 2 == html.count("labs/images/apps/app.py</span>")
    assert "In both arms: app.py" in html


def test_an_arm_that_has_a_manifest_is_described_by_it(site, capsys):
    """What an image's Dockerfile is to other claims; a file may be named as well, of either."""
    for arm in ("bad", "good", "other"):
        site.put(f"labs/manifests/P1/{arm}.yaml", f"kind: Pod # {arm}\n")
    source = (
        "```{arms} P1\n:bad-lines: kind\n:good-files: Dockerfile good.yaml\n:variants: other\n```"
    )
    html, warnings = site.build(capsys, source)

    shown = re.findall(r"labs/[\w/]+(?:\.yaml|Dockerfile)(?=</span>)", html)
    assert "" == warnings
    assert [
        "labs/manifests/P1/bad.yaml",
        "labs/images/P1/good/Dockerfile",
        "labs/manifests/P1/good.yaml",
        "labs/manifests/P1/other.yaml",
    ] == shown


def test_every_claim_is_listed_with_its_verdict_and_address(site, capsys):
    """Proved or not, and a proved one leads to its card."""
    html, warnings = site.build(capsys, "```{claim} P1\n```\n\n```{claims-table}\n```")

    rows = {
        m[1]: re.sub(r"<[^>]+>", " ", m[2])
        for m in re.finditer(r'<tr[^>]*id="(P\d)">(.*?)</tr>', html, re.DOTALL)
    }
    assert "" == warnings
    assert ["P1", "P2"] == list(rows)
    assert "● holds" in rows["P1"]
    assert "○ not proved yet" in rows["P2"]
    assert "9 · Some lab" in html


def test_a_claim_is_linked_to_the_claims_page_where_it_has_no_card(site, capsys):
    """Links to claims never break while the chapters are being written."""
    html, warnings = site.build(
        capsys, "See {claim}`P2` and {claim}`this <P1>`.\n\n```{claims-table}\n```"
    )

    assert "" == warnings
    assert 'href="#P2"' in html
    assert re.search(r'href="#P1"[^>]*>.*?this', html)


def test_the_status_of_each_lab_tells_when_on_what_and_how_long(site, capsys):
    """And how many of its claims hold."""
    html, warnings = site.build(capsys, "```{status-table}\n```")

    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert "" == warnings
    assert (
        "Some lab 3 February 2001 Some Engine 1.0, overlay2 1 min 15 s 1 of 1 hold ● as recorded"
        in text
    )


def test_a_changed_build_context_makes_results_stale_everywhere(site, capsys):
    """The card, the figure in a sentence and the status page all say it."""
    site.put("labs/images/P1/bad/Dockerfile", "FROM base\nCMD other\n")
    source = "{measured}`P1.bad.stop_seconds`\n\n```{claim} P1\n```\n\n```{status-table}\n```"
    html, warnings = site.build(capsys, source)

    assert "" == warnings
    assert "12.0 s ▲" in html
    assert '<p class="pg-stale">' in html
    assert "▲ stale" in html


def test_what_decides_a_result_is_read_once_for_each_build(site, capsys, monkeypatch):
    """However many figures are quoted; the next build in the same process sees what has changed."""
    asked = []
    read = claims.contexts
    monkeypatch.setattr(claims, "contexts", lambda *told: asked.append(told[0]) or read(*told))
    source = "{measured}`P1.bad.stop_seconds` {measured}`P1.good.stop_seconds`"
    before, _ = site.build(capsys, source)
    once = list(asked)
    site.put("labs/images/P1/bad/Dockerfile", "FROM base\nCMD other\n")
    after, _ = site.build(capsys, source + " again")

    assert ["P1", "P2"] == once
    assert "12.0 s ▲" not in before
    assert "12.0 s ▲" in after


def test_an_edited_output_is_told(site, capsys):
    """Somebody typed a number into the notebook."""
    path = site.root / "labs/09-some-lab.ipynb"
    path.write_text(path.read_text("utf-8").replace("12.0", "99.0"), encoding="utf-8")

    html, _ = site.build(capsys, "```{claim} P1\n```")

    assert "are not those that its recorded run wrote" in html


def test_a_page_is_built_again_when_its_notebook_changes(site, capsys):
    """Sphinx knows what a page depends on."""
    source = "```{claim} P1\n```"
    before, _ = site.build(capsys, source)
    site.record(verdict="does not hold", reason="Too soon.")
    after, _ = site.build(capsys, source)

    assert "● holds" in before
    assert "▲ does not hold" in after


def test_where_no_other_engine_was_recorded_a_sentence_says_so(site, capsys):
    """And no table of one row; once there is a record, the page is built again."""
    source = "```{engines} P1\n```"
    before, warnings = site.build(capsys, source)
    site.record_engine()
    after, _ = site.build(capsys, source)

    assert "" == warnings
    assert "No other engine has been recorded yet." in before
    assert "<table" not in before
    assert "Newer Engine 2.0" in after


def test_a_claim_is_told_on_every_engine(site, capsys):
    """Engine, store, verdict, the first two figures of both arms, and the day."""
    site.record_engine()
    html, warnings = site.build(capsys, "```{engines} P1\n```")

    assert "" == warnings
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert (
        "Some Engine 1.0 overlay2 ● holds ✗ bad Time to stop: 12.0 s; "
        "Exit status: 137 (killed by SIGKILL) ✓ good Time to stop: 0.50 s; Exit status: 0 "
        "3 February 2001 "
        "Newer Engine 2.0 containerd ▲ does not hold ✗ bad Time to stop: 11.0 s; Exit status: 0 "
        "✓ good Time to stop: –; Exit status: – 4 March 2002 "
    ) in text
    assert "Stale result" not in text


def test_the_figures_that_differ_between_engines_can_be_named(site, capsys):
    """Also those of one arm alone."""
    site.record_engine()
    html, warnings = site.build(capsys, "```{engines} P1\n:figures: bad.pid_1\n```")

    assert "" == warnings
    assert "Process 1: sh" in html
    assert "Time to stop" not in html


def test_a_stale_result_of_another_engine_says_so_and_leaves_the_others_alone(site, capsys):
    """What decides it is another thing than when that engine was tried."""
    site.record_engine(decides="sha256:other")
    html, _ = site.build(capsys, "```{engines} P1\n```")

    assert 1 == html.count("▲ Stale result. What decides this result has changed")


def test_an_engine_that_did_not_try_a_claim_shows_no_verdict(site, capsys):
    """It is not proved there, and nothing is stale."""
    site.record_engine(claims={})
    html, warnings = site.build(capsys, "```{engines} P1\n```")

    assert "" == warnings
    assert "○ not proved yet" in html
    assert "Stale result" not in html


@pytest.mark.parametrize(
    ("options", "content", "told"),
    [
        (":figures: bad.colour", None, "P1.bad.colour is no figure of an arm."),
        (":figures: ugly.pid_1", None, "P1.ugly.pid_1 is no figure of an arm."),
        ("", "{", "nox -s engines -- --record"),
    ],
)
def test_what_an_engines_table_cannot_tell_is_a_warning(site, capsys, options, content, told):
    """A figure that nobody measures, and a file that cannot be read."""
    site.record_engine()
    if content:
        site.put("labs/engines.json", content)
    _, warnings = site.build(capsys, f"```{{engines}} P1\n{options}\n```")

    assert told in warnings


def test_each_lab_has_a_page_that_tells_how_to_open_it(site, capsys):
    """Where no server answers at its address with the lab itself."""
    source = "{lab}`Open this lab <09-some-lab>`"
    html, warnings = site.build(capsys, source)
    opened, _ = site.build(capsys, source, page="open/09-some-lab")

    assert "" == warnings
    assert 'href="open/09-some-lab.html"' in html
    assert "Open the lab: Some lab" in opened
    assert 'href="../labs/09-some-lab.html"' in opened


def test_numbers_of_claims_are_counted(site, capsys):
    """The front page types none of them."""
    html, _ = site.build(capsys, "{count}`proved` of {count}`claims` in {count}`chapters`")

    assert "1 of 2 in 1" in html


def test_how_long_a_node_is_built_is_told_in_one_place(site, capsys):
    """Pages and the preflight's cure take it from the builder itself."""
    html, _ = site.build(capsys, "in {count}`node-minutes` minutes")
    cure = preflight.check("cluster").outcome("to-build").cure("", "")

    assert f"in {kubernetes_image.MINUTES} minutes" in html
    assert f"takes {kubernetes_image.MINUTES} minutes or more" in cure


def test_a_step_shows_both_dockerfiles_and_what_changes_elsewhere(site, capsys):
    """The changed lines are marked on both sides; of other files the changes alone are shown."""
    site.put("labs/images/P1/bad/app.py", "print(1)\nprint(2)\n")
    site.put("labs/images/P1/good/app.py", "print(1)\nprint(3)\n")
    site.put("labs/images/P1/bad/start.sh", "app\n")

    html, warnings = site.build(capsys, "```{step-diff} P1 good\n```")

    assert "" == warnings
    marked = re.findall(r'class="hll">(.*?)\n', html)
    assert [["CMD", "app"], ["CMD", '["app"]']] == [
        re.sub("<[^>]*>", "", line).split() for line in marked
    ]
    assert "What changes in app.py" in html
    shown = re.sub("<[^>]*>", "", html)
    assert "-print(2)" in shown
    assert "--- labs/images/P1/bad/app.py\n+++ labs/images/P1/good/app.py\n" in shown
    assert "start.sh" in re.search("Gone: .*", html)[0]


def test_the_checklist_has_every_claim_and_every_check(site, capsys):
    """A claim that no check is about says why; a check that is added to the audit is listed."""
    site.put("labs/claims.toml", (ROOT / "labs/claims.toml").read_text("utf-8"))
    known = claims.load(ROOT / "labs/claims.toml")

    html, _ = site.build(capsys, "```{checklist}\n```")

    lines = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    first = [
        re.sub("<[^>]*>", " ", re.search("<td>.*?</td>", line, re.DOTALL)[0])
        for line in lines
        if "<td>" in line
    ]
    assert list(known) == [cell.strip() for cell in first]
    for check in CHECKS.values():
        assert f"{check.id}</span></code> {check.question}" in html.replace("&#39;", "'")
    measured = {claim for check in CHECKS.values() for claim in check.claims}
    assert len(set(known) - measured) == html.count("Not by the audit")


def test_a_broken_notebook_is_a_warning(site, capsys):
    """The sentence names the file."""
    site.put("labs/10-broken.ipynb", '{"cells": 1}')
    site.put("conf.py", CONF.replace('"_build"', '"_build", "labs/10*"'))

    _, warnings = site.build(capsys, "```{claim} P1\n```")

    assert "10-broken.ipynb is no notebook" in warnings


def test_the_extension_allows_parallel_reading_and_knows_its_own_version():
    """A change of the renderer must build all pages again."""
    from proving import site as extension

    assert isinstance(extension._own_version(), int)
    assert extension._own_version() == extension._own_version()


@pytest.mark.parametrize(
    "module",
    [
        build_timeline,
        claims,
        drawing,
        layer_waterfall,
        recorded,
        recorded_engines,
        show,
        site_files,
        site_results,
        site_tables,
        step_figures,
        stop_timeline,
    ],
    ids=lambda module: module.__name__,
)
def test_a_change_of_any_renderer_is_a_new_version(module, monkeypatch, tmp_path):
    """Whichever module it is in."""
    from proving import site as extension

    before = extension._own_version()
    changed = tmp_path / "changed.py"
    changed.write_text("CHANGED = True\n", encoding="utf-8")
    monkeypatch.setattr(module, "__file__", str(changed))

    assert before != extension._own_version()


def test_readme_and_front_page_give_the_same_commands():
    """The commands are written once, in the include of the front page."""
    commands = re.findall(
        r"```sh\n(.*?)\n```", (ROOT / "guide/two-commands.inc").read_text("utf-8")
    )

    readme = (ROOT / "README.md").read_text("utf-8")
    assert 2 == len(commands)
    assert [command for command in commands if command not in readme] == []


def test_the_settings_of_sphinx_stay_short_and_name_no_other_host():
    """Everything that a page needs comes with the page."""
    conf = (ROOT / "conf.py").read_text("utf-8")

    assert len(conf.splitlines()) < 120
    assert "http" not in conf
    for name in ("proving.css", "proving.js"):
        assert "//" not in re.sub(
            r"^//.*", "", (ROOT / "_static" / name).read_text("utf-8"), flags=re.M
        )


def test_every_claim_quoted_by_a_chapter_exists():
    """Also without a build, so that a typo is found in a second."""
    known = tomllib.loads((ROOT / "labs/claims.toml").read_text("utf-8"))["claim"]
    ids = {row["id"] for row in known}
    text = "".join(path.read_text("utf-8") for path in (ROOT / "chapters").glob("*.md"))

    quoted = set(re.findall(r"\{measured\}`(\w+)\.", text))
    assert quoted
    assert quoted <= ids
