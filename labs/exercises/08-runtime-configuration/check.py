"""Check the reader's image: do its setting and its arguments arrive, and is one missed in time?"""

from __future__ import annotations

import json
import time

from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, request
from proving.image import Image
from proving.lab import Lab

SETTING, STATION = "STATION", "Bergen"
SHOWS = ["wind and rain", "$HOME", "*", ""]
END_SECONDS = 10.0


def check(lab: Lab, image: Image) -> Answer:
    """Judge by what the application says of itself, and by its end where a setting is missing."""
    try:
        return _what_arrives(lab, image) or _what_is_missed(lab, image)
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))


def _what_arrives(lab: Lab, image: Image) -> Answer | None:
    with lab.start(image, environment={SETTING: STATION}, command=SHOWS) as app:
        status, body = request(lab, app, 8000)
    try:
        told = json.loads(body)
        station, shows = told["station"], told["shows"]
    except (ValueError, TypeError, LookupError):
        return Answer(
            Outcome.FAILED, f"It answers with the status {status} and {body.strip()[:60]!r}."
        )
    if station != STATION:
        return Answer(
            Outcome.FAILED,
            f"It was started with {SETTING}={STATION}, and says that it is {station}: something "
            "in the image has the last word.",
        )
    if shows != SHOWS:
        return Answer(
            Outcome.HINT,
            f"Its setting arrives. But it was started with the arguments {SHOWS!r}, and got "
            f"{shows!r}. Who has read them on the way, and split what has spaces?",
        )
    return None


def _what_is_missed(lab: Lab, image: Image) -> Answer:
    with lab.start(image) as app:
        until = time.monotonic() + END_SECONDS
        while app.state().status == "running" and time.monotonic() < until:
            time.sleep(0.1)
        state, log = app.state(), app.log_text()
    if state.status == "running":
        return Answer(
            Outcome.HINT,
            f"Its setting and its arguments arrive. But without {SETTING} it starts all the same "
            "and fails at the first request. Who could look before the application is started?",
        )
    if state.exit_status == 0 or SETTING not in log:
        return Answer(
            Outcome.HINT,
            f"Without {SETTING} it ends with exit status {state.exit_status} and says "
            f"{log.strip()[-80:]!r}. An error has another status than 0, and names the setting.",
        )
    return Answer(
        Outcome.PASSED,
        f"Its setting and its arguments arrive as they were given. Without {SETTING} it ends with "
        f"exit status {state.exit_status}, and says which setting it misses.",
    )
