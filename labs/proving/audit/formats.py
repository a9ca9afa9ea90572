"""A report for programs: JSON by a schema of ours, JUnit XML, and SARIF 2.1.0.

JSON is written in ASCII alone, so that it can be looked at on any terminal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from posixpath import normpath
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from .. import claims
from ..claims import Verdict
from .findings import Check, Finding, Line, Report
from .telling import answer, chapter_of, harmless, lines_of, link, message, page_of, tally

SCHEMA = Path(__file__).with_name("audit.schema.json")
"""The JSON Schema (draft 2020-12) of what `json_text` returns, of comparisons too."""

FORMAT = "proving-ground.audit/1"
"""Names the format; its number is raised when what is there already changes its meaning."""

SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ERROR_WEIGHT, _WARNING_WEIGHT = 65, 35


def as_data(report: Report) -> dict[str, Any]:
    """Return a report as JSON has it; every text in it is printable."""
    report = harmless(report)
    return {
        "format": FORMAT,
        "kind": "report",
        "subject": report.subject,
        "seconds": round(report.seconds, 3),
        "summary": {str(verdict): len(report.of(verdict)) for verdict in Verdict},
        "first": [one.check.id for one in report.first()],
        "facts": dict(report.facts),
        "findings": [_finding_data(one) for one in report.findings],
    }


def _finding_data(finding: Finding) -> dict[str, Any]:
    pages = (page_of(one) for one in finding.check.claims)
    return {
        **finding.as_data(),
        "chapter": chapter_of(finding.check),
        "pages": [page for page in pages if page],
    }


def text_of(data: Mapping[str, Any]) -> str:
    """Return data as JSON, for a file and for a terminal."""
    return json.dumps(data, indent=2) + "\n"


def json_text(report: Report) -> str:
    """Return a report as JSON; see `SCHEMA`."""
    return text_of(as_data(report))


def junit_text(report: Report) -> str:
    """Return a report as JUnit XML: a check is a test case.

    One that does not hold has failed, one that could not be measured is an error, and one that does
    not apply was skipped.
    """
    report = harmless(report)
    suite = ET.Element(
        "testsuite",
        name=_xml(report.subject),
        tests=str(len(report.findings)),
        failures=str(len(report.of(Verdict.DOES_NOT_HOLD))),
        errors=str(len(report.of(Verdict.COULD_NOT_BE_MEASURED))),
        skipped=str(len(report.of(Verdict.NOT_APPLICABLE))),
        time=f"{report.seconds:.1f}",
    )
    for finding in report.findings:
        _junit_case(suite, finding)
    root = ET.Element("testsuites", {key: suite.attrib[key] for key in ("tests", "failures")})
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


_JUNIT = {
    Verdict.DOES_NOT_HOLD: "failure",
    Verdict.COULD_NOT_BE_MEASURED: "error",
    Verdict.NOT_APPLICABLE: "skipped",
}


def _junit_case(suite: ET.Element, finding: Finding) -> None:
    check = finding.check
    case = ET.SubElement(
        suite, "testcase", classname=f"{check.source}.{chapter_of(check)}", name=check.id
    )
    if tag := _JUNIT.get(finding.verdict):
        outcome = ET.SubElement(case, tag, message=_xml(answer(finding)))
        if tag != "skipped":
            outcome.set("type", str(finding.verdict))
            outcome.text = _xml(
                "\n".join(filter(None, (finding.advice, *lines_of(finding), *finding.places)))
            )
    ET.SubElement(case, "system-out").text = _xml(f"{check.question} {answer(finding)}")


_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    """Return a text without the characters that XML 1.0 does not allow (its section 2.2)."""
    return _NO_XML.sub("�", text)


def sarif_text(report: Report, site: str = "") -> str:
    """Return a report as SARIF 2.1.0 (OASIS Standard, with errata 01).

    A rule is a check, and leads to the guide's page where a `site` is given.
    What does not hold is a result of kind `fail`, its level by the check's weight; what could not
    be measured is one of kind `open`, and a notification. The others have no result.
    """
    report = harmless(report)
    place = quote(report.subject, safe="/@")
    open_ones = report.of(Verdict.COULD_NOT_BE_MEASURED)
    told = [one for one in report.findings if one.verdict in _SARIF_KINDS]
    rules = {one.check.id: index for index, one in enumerate(report.findings)}
    driver: dict[str, Any] = {
        "name": "Proving Ground audit",
        "fullName": "Proving Ground: the audit of a container image",
        "rules": [_rule(one.check, site) for one in report.findings],
    }
    if site:
        driver["informationUri"] = site
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"proving-ground-audit/{place}"},
        "artifacts": [{"location": {"uri": place}, "roles": ["analysisTarget"]}],
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_notification(one, rules) for one in open_ones],
            }
        ],
        "results": [_result(one, rules, place) for one in told],
        "properties": {"facts": dict(report.facts), "summary": tally(report)},
    }
    return text_of({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


_SARIF_KINDS = {Verdict.DOES_NOT_HOLD: "fail", Verdict.COULD_NOT_BE_MEASURED: "open"}


def level_of(check: Check) -> str:
    """Return the level of a check that does not hold, as SARIF has it: by its weight."""
    if check.weight >= _ERROR_WEIGHT:
        return "error"
    return "warning" if check.weight >= _WARNING_WEIGHT else "note"


def _rule(check: Check, site: str) -> dict[str, Any]:
    known = claims.load()
    reasons = [f"{one}: {known[one].advice}" for one in check.claims if one in known]
    pages = [page_of(one) for one in check.claims if one in known]
    address = next(filter(None, (link(site, one) for one in check.claims)), "")
    return {
        "id": check.id,
        "shortDescription": {"text": check.question},
        "help": {"text": "\n".join(reasons) or check.question},
        **({"helpUri": address} if address else {}),
        "defaultConfiguration": {"level": level_of(check)},
        "properties": {"claims": list(check.claims), "pages": pages, "tags": [check.source]},
    }


def _result(finding: Finding, rules: Mapping[str, int], place: str) -> dict[str, Any]:
    failed = finding.verdict is Verdict.DOES_NOT_HOLD
    locations = [_line(line, place) for line in finding.lines] or [
        {"physicalLocation": {"artifactLocation": {"uri": place, "index": 0}}}
    ]
    if finding.places:
        locations[0]["logicalLocations"] = [
            {"fullyQualifiedName": one} for one in dict.fromkeys(finding.places)
        ]
    return {
        "ruleId": finding.check.id,
        "ruleIndex": rules[finding.check.id],
        "kind": _SARIF_KINDS[finding.verdict],
        "level": level_of(finding.check) if failed else "none",
        "message": {"text": _message(finding)},
        "locations": locations,
        "properties": dict(finding.values),
    }


def _line(line: Line, place: str) -> dict[str, Any]:
    """Return the location of a line; a file is named from the folder that was audited."""
    file = quote(line.file)
    uri = file if line.file.startswith("/") else normpath(f"{place}/{file}")
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": line.number},
        }
    }


def _notification(finding: Finding, rules: Mapping[str, int]) -> dict[str, Any]:
    return {
        "level": "warning",
        "message": {"text": f"{finding.check.id} could not be measured: {_message(finding)}"},
        "associatedRule": {"id": finding.check.id, "index": rules[finding.check.id]},
    }


def _message(finding: Finding) -> str:
    """Return what a result says, with no placeholder or link in it (sections 3.11.5, 3.11.6)."""
    return message(finding).replace("](", "] (").replace("{", "{{").replace("}", "}}")
