"""A service that answers every GET with the warmest of the readings."""

import ctypes
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 8000
FOLDER = Path(__file__).parent

library = ctypes.CDLL(str(FOLDER / "libpeak.so"))
library.peak.restype = ctypes.c_double


def warmest():
    lines = (FOLDER / "readings.csv").read_text().splitlines()[1:]
    readings = [float(line.split(",")[1]) for line in lines]
    values = (ctypes.c_double * len(readings))(*readings)
    return library.peak(values, len(readings))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{warmest():g}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
