"""A store of reports that sleeps until it is asked for the first time, and sends that one away."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Store(BaseHTTPRequestHandler):
    """Take reports by PUT."""

    is_awake = False

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if Store.is_awake:
            self._answer(200, "taken")
        else:
            Store.is_awake = True
            self._answer(503, "the store was asleep, try again")

    def _answer(self, status: int, body: str) -> None:
        print(body, flush=True)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit())

server = ThreadingHTTPServer(("", 7000), Store)
print("ready", flush=True)
server.serve_forever()
