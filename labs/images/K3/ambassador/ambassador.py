"""Stand for the stores of the outside world, one or several, on the pod's own address."""

import hashlib
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

STORES = os.environ["STORES"].split()


def store_of(page: str) -> str:
    """Share the pages out among the stores by a checksum of their names."""
    return STORES[hashlib.sha256(page.encode()).digest()[0] % len(STORES)]


class Ambassador(BaseHTTPRequestHandler):
    """Pass each request on to the store that has its page, and the answer back."""

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_PUT(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, content: bytes | None) -> None:
        asked = Request(store_of(self.path) + self.path, content, method=self.command)
        try:
            with urlopen(asked, timeout=5) as answer:
                status, body = answer.status, answer.read()
        except HTTPError as error:
            status, body = error.code, error.read()
        except OSError as error:
            status, body = 502, str(error).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())

server = ThreadingHTTPServer(("localhost", 7000), Ambassador)
print("ready", flush=True)
server.serve_forever()
