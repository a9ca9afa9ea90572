"""What following a change of settings takes: when the new value is served, and what that costs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from .errors import CouldNotMeasure
from .spans import span
from .traffic import Report

SETTINGS = "settings.json"
FOLDER = "/etc/greeter"
"""Where the greeter has its settings, and by which name (`labs/images/apps/greeter.py`)."""

QUESTION_SECONDS = 1.0
"""How long one question waits for its answer: one that was lost must not use up a bound."""

_PAUSE_SECONDS = 0.02


def settings(greeting: str) -> Mapping[str, bytes]:
    """Return the greeter's file of settings, by its name."""
    return {SETTINGS: json.dumps({"greeting": greeting}).encode()}


def is_served(url: str, greeting: str, *, timeout_seconds: float = 5.0) -> bool:
    """Tell whether an address answers with a greeting; one that does not answer does not."""
    import httpx

    try:
        answer = httpx.get(url, timeout=timeout_seconds, trust_env=False)
        return answer.text.strip() == greeting
    except httpx.TransportError:
        return False


def served_within(url: str, greeting: str, seconds: float) -> bool:
    """Ask an address until it answers with a greeting; tell whether it did within these seconds.

    A question without an answer is given up after `QUESTION_SECONDS` and asked again.
    """
    until = time.monotonic() + seconds
    with span("change", url):
        while (left_seconds := until - time.monotonic()) > 0:
            if is_served(url, greeting, timeout_seconds=min(QUESTION_SECONDS, left_seconds)):
                return time.monotonic() <= until
            time.sleep(_PAUSE_SECONDS)
    return False


def wait_until_served(url: str, greeting: str, seconds: float) -> None:
    """Ask an address until it answers with a greeting.

    Raises:
        CouldNotMeasure: it does not within these seconds.
    """
    if not served_within(url, greeting, seconds):
        raise CouldNotMeasure(f"{url} does not serve {greeting!r} within {seconds:g} s.")


def lost(report: Report) -> int:
    """Return how many requests of a load got no whole answer: cut, refused or too late.

    Raises:
        CouldNotMeasure: no request was answered, so that none could be lost either.
    """
    if not report.answered:
        raise CouldNotMeasure(f"None of {report.sent} requests was answered.")
    return sum(not request.complete for request in report.requests)
