"""A harbour's service: it answers every GET with the notices, and with the tide after 3 hours."""

import ctypes
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8000
FOLDER = Path(__file__).parent

library = ctypes.CDLL(str(FOLDER / "libtide.so"))
library.height.argtypes = [ctypes.c_double]
library.height.restype = ctypes.c_double
notices = (FOLDER / "site" / "index.html").read_text()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{notices}<p>Tide: {library.height(3):g} m</p>\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
