"""The versions of one application: what they are made of, and what a report says of one."""

import io
import re
import tarfile
from types import SimpleNamespace

import pytest
from audits import finding
from docker.errors import NotFound
from proving import claims, steps
from proving.audit.catalogue import CHECKS
from proving.audit.findings import Report
from proving.claims import Verdict
from proving.errors import CouldNotMeasure

FACTS = {
    "transfer_bytes": 5,
    "unpacked_bytes": 6,
    "hidden_bytes": 7,
    "executables": 8,
    "packages": 9,
}
VALUES = {
    "privileged-files": {"privileged_files": 1},
    "toolchain": {"tools": 2},
    "secrets": {"secrets": 5},
    "pid-1": {"processes": 3},
    "writes": {"files": 4},
    "readiness": {"ready_paths": 0},
    "stops": {"stop_seconds": 10.1, "exit_status": 137},
}


def report(**verdicts):
    found = [
        finding(
            check,
            verdicts.get(check.replace("-", "_"), Verdict.HOLDS),
            "a figure",
            **VALUES.get(check, {}),
        )
        for check in CHECKS
    ]
    return Report("an image", tuple(found), FACTS)


def test_each_version_is_a_folder_that_builds_by_itself():
    """All that its Dockerfile copies lies beside it, so that a reader can build it alone."""
    for name, folder in steps.folders("A1").items():
        text = (folder / "Dockerfile").read_text(encoding="utf-8")
        copied = [
            word
            for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
            for word in line.split()
        ]

        assert copied, name
        assert [word for word in copied if not (folder / word).exists()] == []


def test_a_file_that_no_version_needs_is_not_there():
    """What a Dockerfile has stopped copying is gone from its folder too."""
    for name, folder in steps.folders("A1").items():
        text = (folder / "Dockerfile").read_text(encoding="utf-8")
        files = {path.name for path in folder.iterdir()} - {"Dockerfile"}

        assert "COPY . ." in text or all(file in text for file in files), name


def test_the_versions_are_the_arms_of_the_claim():
    """In the order of its row."""
    claim = claims.get("A1")

    assert ("bad", *claim.also, "good") == steps.order("A1")
    assert {arm for pair in claim.exchanges for arm in pair} == set(steps.order("A1"))


def test_what_could_not_be_measured_is_open_too():
    """And what is not applicable is not."""
    told = steps.figures(
        report(
            user=Verdict.DOES_NOT_HOLD,
            drains=Verdict.COULD_NOT_BE_MEASURED,
            settings=Verdict.NOT_APPLICABLE,
        )
    )

    assert 2 == told["open"]
    assert "user, drains" == told["left_open"]
    assert "not applicable" == told[steps.VERDICTS]["settings"]


def test_figures_are_those_of_the_facts_and_of_the_findings():
    """Each under the name that the claim's row has for it."""
    told = steps.figures(report())

    assert "none" == told["left_open"]
    assert (5, 7, 9) == (told["transfer_bytes"], told["hidden_bytes"], told["packages"])
    assert (1, 2, 5, 3, 4) == (
        told["privileged_files"],
        told["tools"],
        told["secrets"],
        told["processes"],
        told["written_files"],
    )
    assert (10.1, 137) == (told["stop_seconds"], told["exit_status"])
    ours = {"run_again", "in_flight", "lost"}
    assert set(claims.get("A1").figures) == set(told) - {steps.VERDICTS} | ours


def test_a_figure_that_a_check_did_not_come_to_is_not_guessed():
    """The claim could not be measured then, with the check's own reason."""
    found = report()
    cut = [one for one in found.findings if one.check.id != "stops"]
    cut.append(finding("stops", Verdict.COULD_NOT_BE_MEASURED, "It did not come up."))

    with pytest.raises(CouldNotMeasure, match="It did not come up"):
        steps.figures(Report("an image", tuple(cut), FACTS))


def stopped(files):
    """A container that has ended, and whose files the engine still gives."""

    def get_archive(path):
        if path not in files:
            raise NotFound("no such file")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            header = tarfile.TarInfo(path.rpartition("/")[2])
            header.size = len(files[path])
            archive.addfile(header, io.BytesIO(files[path]))
        return iter([packed.getvalue()]), {}

    return SimpleNamespace(get_wrapped_container=lambda: SimpleNamespace(get_archive=get_archive))


def test_a_log_in_a_file_is_read_from_a_container_that_has_ended():
    """A version that logs to its output has none, and nothing is added."""
    app = stopped({"/var/log/web.log": b"handler began\n"})

    assert "handler began\n" == steps._file(app, "/var/log/web.log")
    assert "" == steps._file(app, "/var/log/none.log")
