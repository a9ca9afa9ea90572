"""A server that answers GET /mean?of=3,4,8 with the mean of the numbers, computed in C."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import mean

PORT = 8000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        told = parse_qs(urlsplit(self.path).query).get("of")
        try:
            body = f"{mean.of([float(number) for number in told[0].split(',')]):g}\n".encode()
        except (TypeError, ValueError):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with ThreadingHTTPServer(("0.0.0.0", PORT), Handler) as server:
    print(f"listening on port {PORT}", flush=True)
    server.serve_forever()
