"""Check the reader's image by some checks of the audit: what is to be fixed first?"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from proving.audit import in_turn
from proving.audit.cage import Start
from proving.audit.findings import Report
from proving.claims import Verdict
from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, request
from proving.image import Image
from proving.lab import Lab

SECRET, PORT, PATH, NAME = "VOUCHER_SECRET", 8000, "/?for=Ada", "Ada"

READ: Mapping[str, str] = {
    "secrets": "Who may pull the image has it. Who else could hand it to the application?",
    "user": "By what would a kubelet know, before it starts anything, that this is not root?",
    "world-writable": "What has to be written there once the log is elsewhere?",
}
RUN: Mapping[str, str] = {
    "stops": "Which process gets the signal, and what does that one do with it?",
    "logs": "Which file would `docker logs` have read?",
    "settings": "It is missed when somebody asks. When could it be missed at the earliest?",
    "readiness": "Which path could a probe ask for that costs no voucher?",
}
"""The checks that have to hold, and for each a question that leads on."""


def check(lab: Lab, image: Image) -> Answer:
    """Judge by the checks of the audit; the image is read first, and run when all of that holds."""
    secret = secrets.token_hex(16)
    try:
        if fault := _what_is_wrong(lab, image, secret):
            return Answer(Outcome.FAILED, fault)
        read = in_turn.read(lab, image, READ)
        if in_turn.left(read):
            return _hint(read, "Read alone")
        ran = in_turn.run(lab, image, RUN, Start(environment={SECRET: secret}, port=PORT))
        if hint := _of_the_run(ran):
            return hint
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))
    told = {one.check.id: one.figure for one in ran.findings}
    return Answer(
        Outcome.PASSED,
        f"All {len(READ) + len(RUN)} checks hold. {told['stops']} {told['settings']} "
        f"{told['readiness']}",
    )


def _what_is_wrong(lab: Lab, image: Image, secret: str) -> str:
    """Return what is wrong with its vouchers, or nothing."""
    with lab.start(image, environment={SECRET: secret}) as app:
        status, body = request(lab, app, PORT, PATH)
    wanted = hmac.new(secret.encode(), NAME.encode(), hashlib.sha256).hexdigest()[:16]
    if (status, body.strip()) == (200, wanted):
        return ""
    return (
        f"It was given a {SECRET}, and asked for {PATH} it answers with the status {status} and "
        f"{body.strip()[:40]!r}, which is no voucher made with that."
    )


def _of_the_run(ran: Report) -> Answer | None:
    """Return what is left of the checks of a run, or nothing: all of them were made, and hold."""
    if in_turn.left(ran):
        return _hint(ran, "Nothing is left to be read. Run in a cage")
    if silent := in_turn.unasked(ran):
        return Answer(
            Outcome.HINT,
            f"Nothing is left to be read. But run in a cage, {silent} Outside of one it has "
            f"answered on port {PORT}. Check once more, for a busy machine may have kept it from "
            "that. Is it slow again? Then what does it wait for, before it answers?",
        )
    return None


def _hint(report: Report, how: str) -> Answer:
    left = in_turn.left(report)
    first, number = left[0], len(left)
    question = {**READ, **RUN}[first.check.id]
    if first.check.id == "settings" and first.verdict is Verdict.COULD_NOT_BE_MEASURED:
        question = "Whose secret are its vouchers made with then, and who can read that?"
    return Answer(
        Outcome.HINT,
        f"{how}, {number} of {len(report.findings)} checks {'is' if number == 1 else 'are'} left. "
        f"To fix first: {in_turn.told(first)} {question}",
    )
