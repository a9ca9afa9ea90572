"""A web application that sends its answer in two parts, with a pause between."""

import random
import time
from collections.abc import Iterator
from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Begin to answer at once, end half a second to a second later, and log both."""
    request_id = environ.get("HTTP_X_REQUEST_ID", "none")
    print(f"handler began id={request_id} at={time.time():.6f}", flush=True)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    yield b"begun\n"
    time.sleep(random.uniform(0.5, 1.0))
    yield b"ended\n"
    print(f"handler ended id={request_id} at={time.time():.6f}", flush=True)
