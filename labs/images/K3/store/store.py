"""A store of values by their keys, in memory."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

values: dict[str, bytes] = {}


class Store(BaseHTTPRequestHandler):
    """Take a value by PUT, give it out by GET; `/` tells how many there are."""

    def do_GET(self) -> None:
        body = values.get(self.path) if self.path != "/" else str(len(values)).encode()
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def do_PUT(self) -> None:
        values[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()


signal.signal(signal.SIGTERM, lambda *_: sys.exit())

server = ThreadingHTTPServer(("", 7000), Store)
print("ready", flush=True)
server.serve_forever()
