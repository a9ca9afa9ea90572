"""A shop's service: it answers every GET with the orders of today."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8000
ORDERS = [{"what": "lamp", "euros": 29.5}, {"what": "chair", "euros": 45}]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(ORDERS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = ThreadingHTTPServer(("0.0.0.0", PORT), Handler)
print("the shop is open", flush=True)
server.serve_forever()
