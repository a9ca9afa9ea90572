"""The greeter, which looks at its file now and then, and reads it again when it has changed."""

import logging
import threading
import time

import greeter


def watch() -> None:
    """Compare the content: the file is a link, and what it leads to is another file each time."""
    seen = greeter.SETTINGS.read_bytes()
    while True:
        time.sleep(0.5)
        try:
            found = greeter.SETTINGS.read_bytes()
            if found != seen:
                seen = found
                greeter.load()
        except (OSError, ValueError, KeyError) as error:
            logging.error("kept the settings: %r", error)


greeter.load()
threading.Thread(target=watch, daemon=True).start()
greeter.serve()
