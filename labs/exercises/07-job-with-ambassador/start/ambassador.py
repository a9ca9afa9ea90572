"""Stand for the store of reports on the pod's own address, port 7000.

It ends with status 0 on TERM, or when it is told to: `ambassador.py --quit` tells the one that
listens on this localhost.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

PORT = 7000


class Ambassador(BaseHTTPRequestHandler):
    """Pass each report on to the store, and its answer back."""

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        asked = Request(os.environ["STORE"] + self.path, content, method="PUT")
        try:
            with urlopen(asked, timeout=5) as answer:
                self._answer(answer.status, answer.read())
        except HTTPError as error:
            self._answer(error.code, error.read())
        except OSError as error:
            self._answer(502, str(error).encode())

    def do_POST(self) -> None:
        self._answer(200, b"")
        Thread(target=self.server.shutdown).start()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


if sys.argv[1:] == ["--quit"]:
    urlopen(f"http://localhost:{PORT}/quit", b"", timeout=5).close()
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = ThreadingHTTPServer(("localhost", PORT), Ambassador)
    print("ready", flush=True)
    server.serve_forever()
