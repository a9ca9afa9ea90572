"""Check the reader's image: does it tell its log, take a setting, and run locked up?"""

from __future__ import annotations

from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome, request
from proving.image import Image
from proving.lab import Lab
from proving.qualities import all_limits

GREETING = "Good evening"
LOCKED = {key: value for key, value in all_limits().items() if key != "user"}


def check(lab: Lab, image: Image) -> Answer:
    """Judge by what can be seen from outside, and by the user that a kubelet would look at."""
    try:
        return _what_it_tells(lab, image) or _how_it_is_locked_up(lab, image)
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))


def _what_it_tells(lab: Lab, image: Image) -> Answer | None:
    with lab.start(image, environment={"GREETING": GREETING}) as app:
        status, body = request(lab, app, 8000)
        logged = app.wait_for_log("GET / ", seconds=2)
    if status != 200:
        return Answer(Outcome.FAILED, f"The application answered with the status {status}.")
    if not logged:
        return Answer(
            Outcome.HINT,
            "It answers, but `docker logs` does not tell of the request: the log is a file "
            "within the container. Which file would be its standard output?",
        )
    if GREETING not in body:
        return Answer(
            Outcome.HINT,
            f"Its log can be read. But it was started with GREETING={GREETING!r} and greeted "
            f"with {body.strip()!r}: something in the image has the last word.",
        )
    return None


def _how_it_is_locked_up(lab: Lab, image: Image) -> Answer:
    user = image.get_wrapped_image().attrs["Config"].get("User") or ""
    number = user.partition(":")[0]
    if not number.isdigit() or int(number) == 0:
        return Answer(
            Outcome.HINT,
            f"Its log and its setting are right. But its user is {user or 'root'!r}; where a pod "
            "says runAsNonRoot, a node starts nothing but a numeric user that is not 0.",
        )
    try:
        with lab.start(image, options=LOCKED) as app:
            status, _ = request(lab, app, 8000)
    except ContainerError as error:
        return Answer(Outcome.HINT, f"It does not run with a read-only root: {error}")
    if status != 200:
        return Answer(Outcome.HINT, f"With a read-only root it answers with the status {status}.")
    return Answer(
        Outcome.PASSED,
        f"It tells its log, takes its setting, and runs as user {user} with a read-only root and "
        "no capabilities.",
    )
