"""The greeter, which reads its settings again when SIGHUP asks for it."""

import logging
import signal
from types import FrameType

import greeter


def reload(_signal: int, _frame: FrameType | None) -> None:
    """Load the settings, or keep the old ones where the new ones are no settings."""
    try:
        greeter.load()
    except (OSError, ValueError, KeyError) as error:
        logging.error("kept the settings: %r", error)


greeter.load()
signal.signal(signal.SIGHUP, reload)
greeter.serve()
