"""Every claim of the guide: its fault is found on its own arms, or the audit cannot see it."""

from __future__ import annotations

from proving import claims
from test_audit_archive import ARMS as BY_ARCHIVE
from test_audit_builds import TABLE as BY_FOLDER
from test_audit_run import ARMS as BY_RUN

BESIDE_THE_TABLES = {
    "M2": "M1's images, by their archives",
    "P5": "test_a_manager_of_services_is_found_and_one_that_fails_alone_is_no_pass",
    "R5": "test_the_fault_of_a_claim_is_found_in_its_bad_arm_alone",
    "A1": "its own lab: it audits each version of one application, and judges the figures",
    "A2": "S1's images; test_audit_dive.py holds both scores against the real dive",
}
"""What finds the faults of claims that no row of a table names by itself."""

_MANIFEST = "the fault is in a manifest or in a cluster; images of both arms are as good"
_BY_BUILDER = "it is about how a builder works, and neither arm's image or folder is at fault"
_SEVERAL = "the fault is in what several images have in common; each by itself is right"
_BESIDE = "PID 1 is the server, and what runs beside it looks like processes of its own"
_BAKED = "a file of settings is a file like others: only its author knows that it is one"

NOT_SEEN = {
    "Q2": _BAKED,
    "Q2K": _BAKED,
    "Q3": "no size is too large by itself: both are facts, which `--compare` tells side by side",
    "Q7": _MANIFEST,
    "Q8K": f"{_MANIFEST}: they are Q8's",
    "B1": "neither comes up as a service; B3 has an image on scratch for the same check",
    "B4": f"{_SEVERAL}, and shares all of its parent with the engine's own image of that",
    "B5": f"{_SEVERAL}, and shares all of its parent with the others",
    "B6": "a tag moves in a registry, and an image on the engine is one by its digest",
    "B6K": _MANIFEST,
    "L1": _BY_BUILDER,
    "L2": _BY_BUILDER,
    "L3": _BY_BUILDER,
    "L4": "what a command would get today shows when it is run today, without the cache",
    "M1K": f"{_MANIFEST}: they are M1's",
    "M4": _BY_BUILDER,
    "F1": _BESIDE,
    "F2": f"{_MANIFEST}: they are F1's",
    "F3": f"{_SEVERAL}: one would have been enough",
    "K1": _MANIFEST,
    "K2": _BESIDE,
    "K3": "where an application looks for its stores is in its code, and no image tells",
    "K4": "whether a form of metrics is the others' form, no image tells",
    "K5": _MANIFEST,
    "K6": f"{_MANIFEST}: they are P4's",
    "R1": _BAKED,
    "R2": _BAKED,
    "R4": _BAKED,
    "R5K": _MANIFEST,
    "R7": "whether a change is followed shows when somebody changes the settings",
    "R7K": _MANIFEST,
    "R8": "without a listener on what it exposes, checks of requests could not be measured",
    "A1K": f"{_MANIFEST} but for A1's, which are in the tables",
    "P1K": f"{_MANIFEST} but for P1's, which are in the tables",
    "H1": _MANIFEST,
    "H2": _MANIFEST,
    "H3": _MANIFEST,
    "H4": _MANIFEST,
    "H5": _MANIFEST,
}
"""Why a claim has no row: nothing that an image, its run or its folder shows is its fault."""


def test_every_claim_has_a_row_or_a_reason() -> None:
    """A new claim asks for one of them."""
    rows = {*BY_ARCHIVE, *(row[0] for row in (*BY_RUN, *BY_FOLDER)), *BESIDE_THE_TABLES}

    assert set() == rows & NOT_SEEN.keys()
    assert claims.load().keys() == rows | NOT_SEEN.keys()
