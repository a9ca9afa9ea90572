"""Check the reader's image by an audit that is told nothing: does the image say all by itself?"""

from __future__ import annotations

import re
from collections.abc import Mapping

from proving.audit import in_turn
from proving.audit.findings import Report
from proving.claims import Verdict
from proving.container import Container
from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, request
from proving.image import Image
from proving.lab import Lab

BOOK, PORT = "/tmp/book", 8123  # noqa: S108 - within the container
GIVEN = {"BOOK": BOOK, "PORT": str(PORT)}

READ: Mapping[str, str] = {
    "user": "A kubelet has the image's configuration and no list of its users. What would it need?",
    "world-writable": "Who is it that has to write there, and who else may now?",
}
RUN: Mapping[str, str] = {
    "stops": "Who waits for whom when TERM has come?",
    "drains": "Who answers while the main thread ends, and would it wait for that one?",
    "logs": "A terminal gets each line at once. What does Python do where its output is none?",
    "read-only-root": "What may still be written then, and how does an image ask for such a place?",
    "readiness": "Where would somebody look who knows nothing of this application?",
}
"""The checks that have to hold, and for each a question that leads on."""

CHECKS = len(READ) + len(RUN)

_VISITOR = re.compile(r"You are visitor (\d+)\.")


def check(lab: Lab, image: Image) -> Answer:
    """Judge by the checks of the audit, and by whether the book outlives its container."""
    try:
        if fault := _what_is_wrong(lab, image):
            return Answer(Outcome.FAILED, fault)
        ran = in_turn.run(lab, image, RUN)
        if not ran.facts.get("speaks_http_on"):
            return _not_up(ran)
        read = in_turn.read(lab, image, READ)
        found = Report(image.name, (*read.findings, *ran.findings), ran.facts)
        return _hint(found) or _of_the_book(lab, image, found)
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))


def _what_is_wrong(lab: Lab, image: Image) -> str:
    """Return what is wrong with the application when it is told its settings, or nothing."""
    with lab.start(image, environment=GIVEN) as app:
        status, body = request(lab, app, PORT)
    if _VISITOR.match(body):
        return ""
    return (
        f"It was told to listen on port {PORT} and to have its book at {BOOK}, and answers with "
        f"the status {status} and {body.strip()[:40]!r}: it counts no visitors."
    )


def _not_up(ran: Report) -> Answer:
    """Return the hint of an image that, told nothing, answers no request of HTTP."""
    if silent := in_turn.unasked(ran):
        return Answer(
            Outcome.HINT,
            f"Told nothing, it starts, and nobody could ask it: {silent} It answers with "
            f"{_settings()}. Where does it listen when it is told neither, and what could the "
            "image say of that by itself?",
        )
    missing = ran.of(Verdict.COULD_NOT_BE_MEASURED)
    why = ran.facts.get("comes_up") or missing[0].figure
    return Answer(
        Outcome.HINT,
        f"Told nothing, the audit could not measure {len(missing)} of {len(ran.findings)} checks "
        f"of a run: {why} It comes up with {_settings()}. What of that could "
        "the image say and have by itself, for the user that it runs as?",
    )


def _settings() -> str:
    return " and ".join(f"{name}={value}" for name, value in GIVEN.items())


def _hint(found: Report) -> Answer | None:
    left = in_turn.left(found)
    if not left:
        return None
    first, number = left[0], len(left)
    question = {**READ, **RUN}[first.check.id]
    return Answer(
        Outcome.HINT,
        f"Told nothing, it comes up, and of {CHECKS} checks {number} "
        f"{'is' if number == 1 else 'are'} left. To fix first: {in_turn.told(first)} {question}",
    )


def _of_the_book(lab: Lab, image: Image, found: Report) -> Answer:
    """Judge by a second container, which has the volumes of the first one."""
    port = found.facts["listens_on"][0]
    with lab.start(image) as app:
        first = _visitor(lab, app, port)
        options = {"volumes_from": [app.get_container_id()]}
        with lab.start(image, options=options) as another:
            second = _visitor(lab, another, port)
    if second != first + 1:
        return Answer(
            Outcome.HINT,
            f"All {CHECKS} checks hold. But after visitor {first} a second container, which had "
            f"the first one's volumes, has greeted visitor {second}: the book is in none of them. "
            "Where would it be kept when the container is gone?",
        )
    told = {one.check.id: one.figure for one in found.findings}
    return Answer(
        Outcome.PASSED,
        f"Told nothing, the audit has measured {CHECKS} checks, and all of them hold. "
        f"{told['drains']} {told['read-only-root']} A second container with its volumes has gone "
        f"on with visitor {second}.",
    )


def _visitor(lab: Lab, app: Container, port: int) -> int:
    status, body = request(lab, app, port)
    if match := _VISITOR.match(body):
        return int(match[1])
    raise CouldNotMeasure(f"Its page has the status {status} and says {body.strip()[:40]!r}.")
