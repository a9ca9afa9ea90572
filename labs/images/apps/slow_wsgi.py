"""A web application that sends its answer in two parts, with a pause between."""

import random
import time
from collections.abc import Iterator
from wsgiref.types import StartResponse, WSGIEnvironment


def application(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Begin to answer at once, and end a quarter to half a second later."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    yield b"begun\n"
    time.sleep(random.uniform(0.25, 0.5))
    yield b"ended\n"
