"""A web application that tells its metrics in a form of its own: JSON."""

import json
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

requests = {"answered": 0, "not_found": 0}
began = time.monotonic()


class App(BaseHTTPRequestHandler):
    """Greet at `/`, and tell the metrics at `/status`."""

    def do_GET(self) -> None:
        if self.path == "/status":
            told = {"requests": requests, "up": {"seconds": round(time.monotonic() - began, 1)}}
            self._answer(200, json.dumps(told))
        elif self.path == "/":
            requests["answered"] += 1
            self._answer(200, "hello\n")
        else:
            requests["not_found"] += 1
            self._answer(404, "not found\n")

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit())

server = ThreadingHTTPServer(("", 8080), App)
print("ready", flush=True)
server.serve_forever()
