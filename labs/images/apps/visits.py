"""A web application that counts the visits of its pages, and keeps the counts in a store."""

import signal
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def visits_before(address: str) -> int:
    """Return what a store has at an address: nothing before the first visit."""
    try:
        with urlopen(address, timeout=5) as answer:
            return int(answer.read())
    except HTTPError as error:
        if error.code != 404:
            raise
        return 0


def serve(store_of: Callable[[str], str]) -> None:
    """Answer each visit with its number; `store_of` tells in which store a page's count is."""

    class Visits(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = store_of(self.path) + self.path
            count = str(visits_before(address) + 1).encode()
            urlopen(Request(address, count, method="PUT"), timeout=5).close()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(count)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = ThreadingHTTPServer(("", 8000), Visits)
    print("ready", flush=True)
    server.serve_forever()
