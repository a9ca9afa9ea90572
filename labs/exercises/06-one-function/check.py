"""Check the reader's web server: does it find the application that has replaced another?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack

from proving.errors import ContainerError, CouldNotMeasure
from proving.exercises import Answer, Outcome
from proving.image import Image
from proving.lab import Lab
from proving.releases import (
    WEB_PORT,
    answer_of,
    application,
    build_release,
    end,
    network,
    web_server,
)
from proving.traffic import Load, Request

TOGETHER_SECONDS = 3.0
"""For how long the new container runs beside the old one before that is stopped."""

AFTER_SECONDS = 4.0
"""For how long the load goes on when the old container is gone."""


def check(lab: Lab, image: Image) -> Answer:
    """Judge by what is answered during a release: any way to the new container passes."""
    first, second = (build_release(lab, "good", name) for name in ("first", "second"))
    try:
        with network(lab) as name, ExitStack() as stack:
            old = stack.enter_context(application(lab, first, name))
            web = stack.enter_context(web_server(lab, image, name))
            with Load(
                f"http://{web.address(WEB_PORT)}/", concurrency=3, give_up_after=1000
            ) as load:
                load.wait_for(answered=5)
                began_at = time.time()
                stack.enter_context(application(lab, second, name))
                time.sleep(TOGETHER_SECONDS)
                end(old, lab.grace_seconds)
                time.sleep(AFTER_SECONDS)
                requests = load.finish().requests
    except (ContainerError, CouldNotMeasure) as error:
        return Answer(Outcome.FAILED, str(error))
    return judge(requests, began_at)


def judge(requests: Sequence[Request], began_at: float) -> Answer:
    """Judge a load by its requests; the release began at a moment of the client's clock."""
    before = Counter(answer_of(request) for request in requests if request.ended_at < began_at)
    if before["failed"] or not before["old"]:
        fault = _fault([request for request in requests if request.ended_at < began_at])
        return Answer(Outcome.FAILED, f"Before the release, the page does not come: {fault}.")
    last = max(requests, key=lambda request: request.began_at)
    if answer_of(last) != "new":
        return Answer(
            Outcome.FAILED,
            f"{AFTER_SECONDS:.0f} s after the old container has ended, the new one is not found: "
            f"{_fault(requests)}. When does nginx look its name up, and for how long does it "
            "believe the answer?",
        )
    counted = Counter(answer_of(request) for request in requests)
    if counted["failed"]:
        return Answer(
            Outcome.HINT,
            f"The new container is found, but {counted['failed']} of {len(requests)} requests "
            f"failed: {_fault(requests)}. The two ran side by side for {TOGETHER_SECONDS:.0f} s: "
            "for how long may nginx believe what it was told of the old one alone?",
        )
    return Answer(
        Outcome.PASSED,
        f"All {len(requests)} requests were answered, {counted['old']} by the old release and "
        f"{counted['new']} by the new one.",
    )


def _fault(requests: Sequence[Request]) -> str:
    """Return what the last failure was."""
    failed = [request for request in requests if answer_of(request) == "failed"]
    if not failed:
        return "nothing was answered"
    last = failed[-1]
    return last.detail.rstrip(".") or f"nginx answers with status {last.status}"
