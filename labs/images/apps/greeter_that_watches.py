"""The greeter, which looks at its file now and then, and reads it again when it has changed."""

import logging
import threading
import time

import greeter


def watch(seen: bytes) -> None:
    """Compare the content: the file is a link, and what it leads to is another file each time."""
    while True:
        time.sleep(0.5)
        try:
            found = greeter.SETTINGS.read_bytes()
            if found != seen:
                seen = found
                greeter.load()
        except (OSError, ValueError, KeyError) as error:
            logging.error("kept the settings: %r", error)


loaded = greeter.load()  # to be compared with what is served, not with what is there a moment later
threading.Thread(target=watch, args=[loaded], daemon=True).start()
greeter.serve()
